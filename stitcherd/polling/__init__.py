"""Asks the forges of sources with `pull` for what happened, in place of webhooks or beside them."""
