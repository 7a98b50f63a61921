"""Normalizing flows: invertible networks whose density is exact."""
