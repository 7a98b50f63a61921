"""Where the shipped baselines lie."""

from __future__ import annotations

from pathlib import Path

import benchbench


def baselines_folder() -> Path:
    """`baselines/`: inside the package in a wheel, beside it in a checkout."""
    package = Path(benchbench.__file__).parent
    shipped = package / "_baselines"
    return shipped if shipped.is_dir() else package.parent / "baselines"
