"""The sandbox: what stands before a command line so that bubblewrap runs it apart. What it holds: docs/security.md.

The command sees the system's programs read-only and, writable, one directory and its TMPDIR. All else is absent: the
user's home is empty, and processes, sockets and files of this house are not there to be asked for. It has no
terminal, since `processes` gives none, and dies with bubblewrap, which dies with the thread that started it.
"""
