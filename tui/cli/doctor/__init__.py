"""What can keep Stitcher from working here, looked at one by one; a room knows its own things and prints nothing."""
