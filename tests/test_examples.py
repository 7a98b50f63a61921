"""The examples in docstrings are what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import benchbench

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules() -> list[str]:
    """All of the package but its main one, which would run."""
    found = pkgutil.walk_packages(benchbench.__path__, "benchbench.")
    return [module.name for module in found if not module.name.endswith("__main__")]


@pytest.mark.costly
def test_examples() -> None:
    """By Python's own `doctest`. There are some, or the test would hold nothing."""
    tried = 0
    for name in modules():
        result = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
        assert result.failed == 0, name
        tried += result.attempted
    assert tried > 50
