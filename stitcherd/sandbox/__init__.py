"""The sandbox of agents and gates: bubblewrap's command line, and the limits that the kernel does not enforce."""
