"""YAML as PyYAML reads it, which is what the Hub's library reads cards with."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchbench.sinks.yaml_text import to_yaml

yaml = pytest.importorskip("yaml")

TEXTS = st.text()
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
@example({"no": "yes", "on": 1e-05, "a": 1e22, "b": "1e5", "c": "2024-01-01", "y": None, "": "~"})
@example([[[1], []], {"a": [{}]}, "---", "# x", "a: b", "\x85\u2028\x00\t\n\r😀\ufeff"])
def test_what_is_written_is_read(value: Any) -> None:
    """Any JSON-able value comes back as it was, of the same types: texts that look like something else stay texts,
    small and large floats are numbers."""
    read = yaml.safe_load(to_yaml(value))
    assert read == value
    assert repr(read) == repr(value)  # 1 and True and 1.0 are equal


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_none(number: float) -> None:
    """A card must not say NaN."""
    with pytest.raises(ValueError, match="Out of range"):
        to_yaml({"value": number})
