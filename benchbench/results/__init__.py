"""Records, provenance, the store. Knows nothing of models or torch."""
