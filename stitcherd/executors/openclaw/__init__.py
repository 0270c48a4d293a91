"""Drives an OpenClaw gateway over its WebSocket protocol, version 4."""
