"""Of two sets of images."""
