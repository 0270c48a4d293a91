"""The full-screen application, and what keeps its session up to date."""
