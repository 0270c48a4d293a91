"""The configuration: stitcherd.toml, and what reading it and rails.yaml has in common."""
