"""Package config."""
