"""Codes of images, directions between classes among them, and lines between two of them."""
