"""What a step does to weights."""
