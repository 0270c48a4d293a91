"""The command line of `stitcher`: the parser, the verbs, and what they share."""
