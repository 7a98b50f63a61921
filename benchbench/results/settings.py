"""Settings as text: as one types them after `--set`, in labels and in `settings` of run.json.

    lr=0.001   batch_norm=true   betas=[0.5,0.999]   player_lr={"generator"=0.0002}   schedule=cosine

Pattern: what differs between two recipes is found by comparing such texts, and a text that was found can be typed
again. A name says its section, `training.precision`, where the bare one would mean something else as well: a setting
of the other section, a column of records (a group such as `variant=precision=bf16` would be read as two conditions),
or one of the facts that stand among the settings in run.json.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from benchbench.results.record import COLUMNS

TECHNIQUE = "technique"
FACTS = ("code", "weights", "pretrained", "images", "source", TECHNIQUE)
"""What labels and `settings` say beside settings: identities of code, weights and images, where those come from, and
what was done to the model."""
_TAKEN = {*COLUMNS, *FACTS}


def as_typed(sections: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Per section ("model", "sampling", "training") the text of each setting by its name, from JSON-able values."""
    times = Counter(name for own in sections.values() for name in own)

    def called(section: str, name: str) -> str:
        return f"{section}.{name}" if times[name] > 1 or name in _TAKEN else name

    return {
        section: {called(section, name): setting_text(value) for name, value in own.items()}
        for section, own in sections.items()
    }


def setting_text(value: Any) -> str:
    """A JSON-able value as one types it; "none" for None, which nobody can type. Equal values give equal texts.

    >>> setting_text(4.0), setting_text("cosine"), setting_text([0.5, 0.999])
    ('4', 'cosine', '[0.5,0.999]')
    """
    if value is None:
        return "none"
    return value if isinstance(value, str) and _is_bare(value) else _toml(value)


def _toml(value: Any) -> str:
    if isinstance(value, float):
        short = f"{value:.12g}"
        return short if float(short) == value else repr(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_toml, value))}]"
    if isinstance(value, dict):
        # Quoted, so that no part of a label looks like a column of records.
        return "{" + ",".join(f"{_quoted(name)}={_toml(own)}" for name, own in sorted(value.items())) + "}"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    """A basic string of TOML: JSON's, but for surrogates, of which TOML has none, and the one control character that
    JSON lets through."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _is_bare(text: str) -> bool:
    """Whether `--set key=text` means this very text: it is no TOML value, and nothing is stripped from it."""
    if not text or text != text.strip() or not text.isprintable():
        return False
    try:
        return tomllib.loads(f"value = {text}").keys() != {"value"}
    except tomllib.TOMLDecodeError:
        return True
