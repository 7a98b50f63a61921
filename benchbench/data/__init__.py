"""Datasets: catalogue, sources, decoding, fingerprints."""
