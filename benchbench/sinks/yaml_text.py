"""YAML out of JSON-able values, as every version of it reads them: blocks, quoted texts, floats with a point."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_UNPRINTABLE = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
"""What JSON leaves as it is and YAML takes in no text, or for the end of a line."""
_WORD = re.compile(r"[A-Za-z][A-Za-z_-]*")
_MEANS_SOMETHING = re.compile(r"(?i)y|n|yes|no|on|off|true|false|null")


def to_yaml(value: Any, indent: int = 0) -> str:
    """A value as YAML.

    Args:
        value: Mappings with text as names, lists, texts, finite numbers, booleans and None.
        indent: How many blanks stand before each of its lines.

    Returns:
        Lines, each with its end.

    Raises:
        ValueError: A number is not finite.
    """
    blanks = " " * indent
    if isinstance(value, Mapping) and value:
        return "".join(f"{blanks}{_name(name)}:{_inside(own, indent)}" for name, own in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        # The first line of an entry stands behind its dash.
        return "".join(f"{blanks}- {to_yaml(own, indent + 2)[indent + 2 :]}" for own in value)
    return f"{blanks}{_scalar(value)}\n"


def _inside(value: Any, indent: int) -> str:
    """What stands behind a name and its colon."""
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str) and value:
        return "\n" + to_yaml(value, indent + 2)
    return f" {_scalar(value)}\n"


def _name(name: str) -> str:
    return name if _WORD.fullmatch(name) and not _MEANS_SOMETHING.fullmatch(name) else _scalar(name)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, Sequence):
        return "[]"
    text = json.dumps(value, allow_nan=False)
    if isinstance(value, float) and "." not in text:  # 1e-05 would be a text to YAML 1.1
        mantissa, _, exponent = text.partition("e")
        text = f"{mantissa}.0e{exponent}"
    return text
