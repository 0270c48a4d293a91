"""Text for people: jobs, events, decisions, diffs and times in words, safe for a terminal."""
