"""Extractors and what is kept of their output."""
