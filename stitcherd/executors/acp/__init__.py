"""Drives an agent that speaks the Agent Client Protocol (version 1) over its stdin and stdout."""
