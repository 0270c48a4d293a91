"""The daemon: receives webhooks, decides by rails, runs and gates jobs, keeps their history."""
