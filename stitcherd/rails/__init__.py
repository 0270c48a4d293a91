"""The policy: loads, validates and compiles rails.yaml, and decides deliveries and manual dispatches."""
