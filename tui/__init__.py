"""The terminal: `stitcher`, its verbs and its screens."""
