"""Where the shipped baselines lie, and the weights that are published with them.

A published baseline is a folder `<model>-<dataset>` with `recipe.toml`, `weights.safetensors`, its checksum in the
format of sha256sum, and `card.md`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import benchbench
from benchbench.core.errors import InputError
from benchbench.core.folders import PUBLISHED
from benchbench.core.hashing import file_sha256

WEIGHTS = "weights.safetensors"
CHECKSUM = f"{WEIGHTS}.sha256"
CARD = "card.md"
TRAITS = "extractor.toml"
"""What an extractor must know beside its weights, where the baseline is one."""
LANDMARK = "real"
"""The model whose numbers are those of held-out real images, beside all others."""
MOST = 150 * 2**20
"""Bytes of all weights that ship together, at most: whoever clones the project carries them."""


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
        known = [own.name for own in shipped_baselines()]
        raise InputError(
            f"no weights of {model} on {' or for '.join(filter(None, made_for))} are published; train it without "
            f"--pretrained. Published: {', '.join(known) or 'none'}"
        )
    return Shipped(baselines_folder() / found_in).checked()


@dataclass(frozen=True)
class Shipped:
    """A baseline whose weights ship.

    Attributes:
        folder: With its recipe, its weights, their checksum and its card.
    """

    folder: Path

    @property
    def name(self) -> str:
        """What its folder is called, `<model>-<dataset>`."""
        return self.folder.name

    @property
    def sha256(self) -> str:
        """What its checksum says; `InputError` for a file that says none."""
        try:
            words = (self.folder / CHECKSUM).read_text(encoding="ascii").split()
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {self.folder / CHECKSUM}: {error}; get it again") from error
        if not words or not re.fullmatch("[0-9a-f]{64}", words[0]):
            raise InputError(f"{self.folder / CHECKSUM} says no sha256; get it again")
        return words[0]

    def checked(self) -> Path:
        """Its weights, held against the checksum; `InputError` where they are gone or are not what was published."""
        weights, expected = self.folder / WEIGHTS, self.sha256
        try:
            found = file_sha256(weights)
        except OSError as error:
            raise InputError(f"cannot read the published weights {weights}: {error.strerror}") from error
        if found != expected:
            raise InputError(
                f"{weights} is not what was published: its sha256 is {found[:16]}…, not {expected[:16]}…; get it again"
            )
        return weights

    @property
    def size(self) -> int:
        """Bytes of its weights; 0 where they are gone."""
        try:
            return (self.folder / WEIGHTS).stat().st_size
        except OSError:
            return 0


def shipped_baselines(folder: Path | None = None) -> list[Shipped]:
    """All baselines below a folder, by default where ours lie, whose weights ship, by name."""
    root = baselines_folder() if folder is None else folder
    return [Shipped(listed.parent) for listed in sorted(root.glob(f"*/{CHECKSUM}"))]


def published_records() -> Path | None:
    """The published records, `results/` beside the package; None where they are not there, as in a wheel."""
    beside = Path(benchbench.__file__).parent.parent / PUBLISHED
    return beside if (baselines_folder().parent == beside.parent) and beside.is_dir() else None
