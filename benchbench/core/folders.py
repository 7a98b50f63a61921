"""Where records lie when nobody names a folder.

A project keeps what it publishes under version control, and what is only tried stays out of it. So what writes or reads
by default does so in `OUTPUT`, which git ignores here, and `PUBLISHED` is written and read by its name alone.
"""

from __future__ import annotations

from pathlib import Path

OUTPUT = Path("runs")
PUBLISHED = Path("results")
