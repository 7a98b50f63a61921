"""What networks of several families are built from."""
