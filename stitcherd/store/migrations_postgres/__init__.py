"""Numbered SQL files for PostgreSQL: the first makes what those for SQLite up to its number make; then one for each."""
