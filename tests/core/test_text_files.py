"""JSON and TOML that anybody may have written: parsed within bounds, or refused by its cause."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.core.text_files import DEEPEST, TextFault, parse_json, parse_toml
from benchbench.core.toml import settings_of

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@settings(max_examples=100, deadline=None)
@given(value=VALUES, escaped=st.booleans(), bom=st.booleans())
def test_what_json_writes_is_read(value: Any, escaped: bool, bom: bool) -> None:
    """Identity, by Python's own writer; a byte-order mark is no part of the text."""
    text = json.dumps(value, ensure_ascii=escaped)
    assert parse_json((b"\xef\xbb\xbf" if bom else b"") + text.encode()) == value


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"[" * 100_000, f"more than {DEEPEST} levels"),
        (b'{"a":' * 100_000, f"more than {DEEPEST} levels"),
        (b"[" * 101 + b"1" + b"]" * 101, f"more than {DEEPEST} levels"),
        (b'{"a": 1, "a": 2}', "says 'a' twice"),
        (b"[NaN]", "holds NaN"),
        (b"[-Infinity]", "holds -Infinity"),
        (b"[1e999]", "holds 1e999, which is beyond float64"),
        (b"[" + b"9" * 5000 + b"]", "a number of thousands of digits"),
        (b'["\\ud83d"]', "half a surrogate pair"),
        (b"{", r"is not JSON \(.*line 1\)"),
        (b'{"a": 1}\n{"b": 2}', r"is not JSON \(Extra data: line 2\)"),
        ("{}".encode("utf-16"), "is not UTF-8 text but UTF-16"),
        (b'{"a": "\xff"}', "is not UTF-8 text .byte 0xff at place 7"),
    ],
)
def test_json_is_refused_by_its_cause(content: bytes, said: str) -> None:
    """RFC 8259 has no NaN and leaves names said twice, depth and size to the reader."""
    with pytest.raises(TextFault, match=said):
        parse_json(content)


def test_a_hundred_levels_are_read() -> None:
    """By the definition of `DEEPEST`: the last one that is."""
    assert parse_json(b"[" * DEEPEST + b"]" * DEEPEST) == json.loads("[" * DEEPEST + "]" * DEEPEST)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a = " + b"[" * 100_000, f"more than {DEEPEST} levels"),
        (b"[" + b"a." * 200 + b"b]\n", f"more than {DEEPEST} levels"),
        (b"a = " + b"9" * 5000, "a number of thousands of digits"),
        (b"a = 1\na = 2", "is not valid TOML"),
        (b"\0\0", "is full of zeros"),
        ("a = 1".encode("utf-16"), "is not valid TOML: it is not UTF-8 text but UTF-16"),
    ],
)
def test_toml_is_refused_by_its_cause(content: bytes, said: str) -> None:
    """The same bounds."""
    with pytest.raises(TextFault, match=said):
        parse_toml(content)


def test_toml_with_a_byte_order_mark_and_crlf() -> None:
    """As an editor on Windows saves it: what tomllib reads without both."""
    text = 'a = 1\n[b]\nc = "x"\n'
    assert parse_toml(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()) == tomllib.loads(text)
    assert parse_toml(b"") == {}


def test_a_setting_of_brackets_is_text() -> None:
    """`--set x=[[[[…` is no TOML value, so it is text, which the setting refuses by its name."""
    assert settings_of(["x=" + "[" * 50_000]) == {"x": "[" * 50_000}
