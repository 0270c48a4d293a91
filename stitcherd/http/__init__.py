"""The HTTP API: the public door on TCP and the operator's door on a Unix socket."""
