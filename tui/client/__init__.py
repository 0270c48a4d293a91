"""Access to the daemon: HTTP over its Unix socket, typed routes, and the event stream."""
