"""Adversarial generators, a file a family."""
