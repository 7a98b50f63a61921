"""The loop, optimisers, EMA, precision, checkpoints. Knows nothing of metrics."""
