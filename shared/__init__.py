"""What the daemon and its client share; imports neither of them."""

VERSION = "0.1.0"  # also in pyproject.toml; importlib.metadata would cost every `stitcher ls` 40 ms
