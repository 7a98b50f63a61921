"""Where copies of datasets lie on this machine: `$BENCHBENCH_DATA`."""

from __future__ import annotations

import os
from pathlib import Path

from benchbench.core.errors import InputError


def data_folder() -> Path | None:
    """$BENCHBENCH_DATA; None where it is not set, `InputError` where it is no folder."""
    chosen = os.environ.get("BENCHBENCH_DATA")
    if not chosen:
        return None
    root = Path(chosen).expanduser()
    if not root.is_dir():
        raise InputError(f"BENCHBENCH_DATA is {chosen}, which is not a folder; correct it or unset it")
    return root
