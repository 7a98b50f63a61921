"""Identities: stable digests of values and files. Golden tests pin what these return."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from benchbench.core.reading import open_regular


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no white space, no NaN: equal values give equal text on every machine."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(value: Any) -> str:
    """sha256 (hex) of a JSON-able value in canonical form."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_sha256(path: Path | str) -> str:
    """sha256 (hex) of a regular file's bytes; `InputError` for a pipe, a device or a folder."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
