"""The nouns and words that the daemon and the terminal share; imports neither of them."""

VERSION = "0.1.0"  # pyproject.toml says it again; asking importlib.metadata would cost each `ls` 40 ms
