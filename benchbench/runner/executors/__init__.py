"""Who carries cells out."""
