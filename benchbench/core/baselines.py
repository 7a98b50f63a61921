"""Where the shipped baselines lie, and the weights that are published with them.

A published baseline is a folder `<model>-<dataset>` with `recipe.toml`, `weights.safetensors`, its checksum in the
format of sha256sum, and `card.md`.
"""

from __future__ import annotations

import os
from pathlib import Path

import benchbench
from benchbench.core.errors import InputError
from benchbench.core.hashing import file_sha256

WEIGHTS = "weights.safetensors"
CHECKSUM = f"{WEIGHTS}.sha256"


def baselines_folder() -> Path:
    """`baselines/`: inside the package in a wheel, beside it in a checkout."""
    package = Path(benchbench.__file__).parent
    shipped = package / "_baselines"
    return shipped if shipped.is_dir() else package.parent / "baselines"


def published_weights(model: str, *made_for: str) -> Path:
    """The weights that ship for `model` on a dataset, or for what a restorer undoes ("x2"), or for all that it does:
    the first that is there, checked against the sha256 beside it.

    Raises `InputError` where none ship, naming those that do, and for a file that is not the published one.
    """
    names = [*(f"{model}-{own}" for own in made_for if own), model]
    shipped = (name for name in names if Path(name).name == name)  # whatever the name may be
    found_in = next((name for name in shipped if os.path.isfile(baselines_folder() / name / CHECKSUM)), None)
    if found_in is None:
        known = sorted(file.parent.name for file in baselines_folder().glob(f"*/{CHECKSUM}"))
        raise InputError(
            f"no weights of {model} on {' or for '.join(filter(None, made_for))} are published; train it without "
            f"--pretrained. Published: {', '.join(known) or 'none'}"
        )
    weights, listed = baselines_folder() / found_in / WEIGHTS, baselines_folder() / found_in / CHECKSUM
    expected = listed.read_text(encoding="ascii").split()[0]
    try:
        found = file_sha256(weights)
    except OSError as error:
        raise InputError(f"cannot read the published weights {weights}: {error.strerror}") from error
    if found != expected:
        raise InputError(
            f"{weights} is not what was published: its sha256 is {found[:16]}…, not {expected[:16]}…; get it again"
        )
    return weights
