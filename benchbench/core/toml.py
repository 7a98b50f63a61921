"""TOML files that people write: recipes, gates, suites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchbench.core.errors import InputError, short
from benchbench.core.reading import read_bytes
from benchbench.core.text_files import TextFault, parse_toml


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The content of a TOML file. `InputError` where it cannot be read or is no TOML; `what`, "suite", names it."""
    try:
        return parse_toml(read_bytes(path, f"the {what}"))
    except TextFault as fault:
        raise InputError(f"the {what} {path} {short(str(fault))}") from fault


SECTIONS = ("model", "sampling", "training")
"""Of a recipe, and before the dot in the name of a setting."""


def dotted(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their names where a section of a recipe may be a table of them, as TOML makes one of
    `set = { training.lr = 0.1 }`. `ValueError` for a setting that is there both ways.

    >>> dotted({"training": {"lr": 0.1}, "width": 32, "args": {"nz": 5}})
    {'training.lr': 0.1, 'width': 32, 'args': {'nz': 5}}
    """
    found: dict[str, Any] = {}
    for name, value in settings.items():
        inside = name in SECTIONS and isinstance(value, Mapping)
        for own, said in (
            {f"{name}.{key}": one for key, one in value.items()}.items() if inside else [(name, value)]
        ):
            if own in found:
                raise ValueError(f"{own} is there twice, by its name and in a table; leave one of them out")
            found[own] = said
    return found


def settings_of(
    overrides: Mapping[str, Any] | Sequence[str], option: str = "--set", example: str = "lr=1e-3"
) -> dict[str, Any]:
    """Settings by their names, as they are or as one types them after `--set`: values are TOML (`1e-3`, `true`,
    `[0.5, 0.9]`), anything else is text. `InputError` for a text that is no key=value; it names `option` and gives the
    `example`.

    >>> settings_of(["lr=1e-3", "schedule=cosine"])
    {'lr': 0.001, 'schedule': 'cosine'}
    """
    if isinstance(overrides, Mapping):
        return dict(overrides)
    settings: dict[str, Any] = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        key = key.strip()
        if not equals or not all(key.split(".")):
            raise InputError(
                f"{option} {override!r} must look like key=value, for example {option} {example}"
            )
        settings.pop(key, None)  # said again, it comes last
        settings[key] = _value(text)
    return settings


def lists_of(swept: Mapping[str, Any] | Sequence[str]) -> dict[str, list[Any]]:
    """Several values of each setting, as they are or as one types them after `--sweep`: with commas between, or as a
    TOML list, which values that hold commas themselves need. `InputError` for a text that is no key=value, for
    nothing where a value should be, and for a setting that is named again.

    >>> lists_of(["sampling.steps=5,10", "betas=[[0.5, 0.9], [0, 0.99]]"])
    {'sampling.steps': [5, 10], 'betas': [[0.5, 0.9], [0, 0.99]]}
    """
    found: dict[str, list[Any]] = {}
    settings = settings_of(swept, "--sweep", "sampling.steps=5,10,20")
    if not isinstance(swept, Mapping) and len(settings) < len(swept):
        names = [text.partition("=")[0].strip() for text in swept]
        again = next(name for place, name in enumerate(names) if name in names[:place])
        raise InputError(
            f"--sweep {again} is there twice; give all its values at once, --sweep {again}=5,10,20"
        )
    for key, value in settings.items():
        if isinstance(value, str):
            parts = value.split(",")
            if not all(part.strip() for part in parts):
                raise InputError(
                    f"--sweep {key}={value} has nothing between two commas or at an end; leave the comma out"
                )
            value = [_value(part) for part in parts]
        found[key] = list(value) if isinstance(value, list | tuple | range) else [value]
    return found


def _value(text: str) -> Any:
    try:
        parsed = parse_toml(f"value = {text}".encode("utf-8", "surrogateescape"))
    except TextFault:
        return text.strip()
    return parsed["value"] if parsed.keys() == {"value"} else text.strip()
