"""Where records lie when nobody names a folder, and where what can be made anew is kept.

A project keeps what it publishes under version control, and what is only tried stays out of it. So what writes or reads
by default does so in `OUTPUT`, which git ignores here, and `PUBLISHED` is written and read by its name alone.
"""

from __future__ import annotations

import os
from pathlib import Path

OUTPUT = Path("runs")
PUBLISHED = Path("results")


def cache_folder() -> Path:
    """$BENCHBENCH_CACHE, or benchbench/ in the user's cache folder ($XDG_CACHE_HOME, ~/.cache)."""
    if chosen := os.environ.get("BENCHBENCH_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "benchbench"
