"""The checks of `stitcher doctor`: each yields its results and prints nothing."""
