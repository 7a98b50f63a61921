"""From image to image, a file a family."""
