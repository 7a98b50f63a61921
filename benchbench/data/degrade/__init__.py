"""What is done to images before a model restores them."""
