"""The demo: a real daemon, real signatures and a real git repository, with a script in place of the agent."""
