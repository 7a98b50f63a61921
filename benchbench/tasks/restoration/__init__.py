"""Restoration: images are degraded, a model makes them what they were, and each is held against its original."""
