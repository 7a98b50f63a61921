"""Of an image and its right answer."""
