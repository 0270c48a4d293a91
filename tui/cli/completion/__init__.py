"""Package completion."""
