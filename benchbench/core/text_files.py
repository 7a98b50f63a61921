"""Texts that somebody may have touched since they were written: parsed within bounds, and what became of them in words.

Pattern: whoever parses JSON, TOML or CSV gets its text from here, from the bytes that `core.reading` has read. What
cannot be parsed is named by its cause, as the end of a sentence that begins with the file: `TextFault` carries it; the
caller, who knows the way out, makes the error.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from typing import Any

DEEPEST = 100
"""Levels of a JSON or TOML value. What we write has seven; what reads it takes a frame or more a level."""


class TextFault(ValueError):
    """What is wrong with a file, as the end of a sentence that begins with it."""


_CAUSES: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"\s*\Z"), "is empty"),
    (re.compile(rb"\x00+\Z"), "is full of zeros, as after a crash or a full disk"),
    (
        re.compile(rb"version https://git-lfs\.github\.com/"),
        "is a pointer of Git LFS, not the file itself; git lfs pull fetches it",
    ),
    (
        re.compile(codecs.BOM_UTF16_LE + b"|" + codecs.BOM_UTF16_BE, re.DOTALL),
        "is not UTF-8 text but UTF-16, as some editors and PowerShell save it",
    ),
    (re.compile(rb"\s*<(!doctype html|html)\b", re.IGNORECASE), "is a web page, not the file behind it"),
)
_CONFLICT = re.compile(rb"^<{7} .*?^={7}\r?$.*?^>{7} ", re.DOTALL | re.MULTILINE)


def what_became_of(content: bytes) -> str | None:
    """What happened to a file, where its bytes tell; None where they do not.

    >>> what_became_of(b""), what_became_of(b"a,b")
    ('is empty', None)
    """
    for pattern, words in _CAUSES:
        if pattern.match(content):
            return words
    if b"<<<<<<< " in content and _CONFLICT.search(content):
        return "holds a merge conflict that nobody has settled (<<<<<<<, =======, >>>>>>>)"
    return None


def as_text(content: bytes) -> str:
    """UTF-8 without a byte-order mark. Raises `TextFault` where it is none, or where something else became of it."""
    if (words := what_became_of(content)) is not None:
        raise TextFault(words)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TextFault(
            f"is not UTF-8 text (byte {error.object[error.start]:#04x} at place {error.start})"
        ) from error


def _text_of(what: str, content: bytes) -> str:
    try:
        return as_text(content)
    except TextFault as fault:
        raise TextFault(f"is not {what}: it {fault}") from fault


def parse_json(content: bytes) -> Any:
    """The value in a JSON text.

    Raises `TextFault` for what is no JSON, and for what JSON readers disagree about or fall over: a name said twice,
    NaN and infinity, a number beyond float64, half a surrogate pair, more than `DEEPEST` levels.
    """
    text = _text_of("JSON", content)
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refused, parse_float=_finite)
    except RecursionError as error:
        raise TextFault(_TOO_DEEP) from error
    except json.JSONDecodeError as error:
        raise TextFault(f"is not JSON ({error.msg}: line {error.lineno})") from error
    except TextFault:
        raise
    except ValueError as error:  # more digits than Python converts
        raise TextFault("holds a number of thousands of digits") from error
    _bounded(value)
    if "\\u" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise TextFault("holds half a surrogate pair, which is no text") from error
    return value


def parse_toml(content: bytes) -> dict[str, Any]:
    """The tables of a TOML text. Raises `TextFault` for what is none, and for more than `DEEPEST` levels."""
    text = (
        _text_of("valid TOML", content) if content.strip() else ""
    )  # an empty file says nothing, and is TOML
    try:
        value = tomllib.loads(text)
    except RecursionError as error:
        raise TextFault(_TOO_DEEP) from error
    except tomllib.TOMLDecodeError as error:
        raise TextFault(f"is not valid TOML: {error}") from error
    except ValueError as error:  # more digits than Python converts
        raise TextFault("holds a number of thousands of digits") from error
    _bounded(value)
    return value


_TOO_DEEP = f"is nested more than {DEEPEST} levels deep"


def _bounded(value: Any) -> None:
    """`TextFault` where `value` has more than `DEEPEST` levels; level by level, since recursion is what would fail."""
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise TextFault(_TOO_DEEP)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise TextFault(f"says {said_twice(pairs)!r} twice")
    return found


def said_twice(pairs: Sequence[tuple[str, Any]]) -> str | None:
    """The first name of a JSON object that is there more than once; None where each is there once."""
    counts = Counter(name for name, _ in pairs)
    return next((name for name, n in counts.items() if n > 1), None)


def _refused(constant: str) -> Any:
    raise TextFault(f"holds {constant}, which is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise TextFault(f"holds {text[:40]}, which is beyond float64")
    return number
