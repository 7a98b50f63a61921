"""The datasets that have a name."""
