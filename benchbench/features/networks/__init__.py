"""The networks that look at images, a file a family."""
