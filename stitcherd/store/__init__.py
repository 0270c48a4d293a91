"""Jobs, steps, events, deliveries and decisions in one SQLite file: one writer, several readers."""
