"""Identities that stand for the same numbers, and the command that carries records over."""
