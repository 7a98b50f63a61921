"""TOML files that people write: recipes, gates, suites."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from benchbench.core.errors import InputError


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The content of a TOML file. `InputError` where it cannot be read or is no TOML; `what`, "suite", names it."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the {what} {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"the {what} {path} is not valid TOML: {error}") from error
