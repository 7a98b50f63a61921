"""Generators that others wrote, from a Python file, an archive, a pipeline or memory, as models of ours."""
