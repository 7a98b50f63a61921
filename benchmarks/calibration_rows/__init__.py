"""What docs/calibration.md compares: rows of our number beside others', the inputs that both get, and the page."""
