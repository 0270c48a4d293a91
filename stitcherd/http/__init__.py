"""The HTTP API, on TCP and on a Unix socket."""
