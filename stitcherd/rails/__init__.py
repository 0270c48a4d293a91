"""The policy: rails.yaml read, checked and compiled, and what it says of a delivery or a manual dispatch."""
