"""BibTeX of what stands in a table: its models, metrics, datasets and networks, from `references.bib`.

An entry's own field `benchbench` says which names cite it, so that a new name is one word beside its paper.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files

import pandas as pd

from benchbench import __version__
from benchbench.results.claims.conditions import short_name
from benchbench.views.text import plain

ITSELF = "benchbench"  # what its own entry is cited by
# No paper, and none is missed.
CONTROLS = ("real", "memorizer", "collapsed", "noise", "identity", "degraded", "independent-pixels")
# Formulas of textbooks, and networks of the project's own (those of `cnn_*` are cited by what they judge).
OURS = (
    "psnr",
    "psnr_y",
    "mse",
    "mae",
    "psnr_hole",
    "mae_hole",
    "nearest-fill",
    "class_tv",
    "swd",
    "mind",
    "cnn_*",
    "modes_*",
)


@dataclass(frozen=True)
class Reference:
    """One entry. `text`: BibTeX without our field; `names`: patterns of the names that cite it."""

    key: str
    text: str
    names: tuple[str, ...]


def bibtex(frame: pd.DataFrame) -> str:
    """The entries behind a table from `load_results`, benchbench's own first, in the order of the file; a model or
    dataset without one is a comment, since silence would look like nothing to cite. The same table gives the same
    bytes."""
    names = {ITSELF} | _names(frame)
    asked = set(frame["model"]) | set(frame["dataset"])
    entries = [
        reference
        for reference in references()
        if any(fnmatchcase(name, pattern) for name in names for pattern in reference.names)
    ]
    notes = [f"% {plain(name)}: no entry is known; cite its authors\n" for name in uncited(sorted(asked))]
    return "\n".join([*(entry.text for entry in entries), *notes]).replace(
        "{Version VERSION}", f"{{Version {__version__}}}"
    )


def references() -> list[Reference]:
    """Every entry of `references.bib`."""
    text = files("benchbench.views").joinpath("references.bib").read_text(encoding="utf-8")
    found = []
    for match in re.finditer(r"^@(?!comment)\w+\{([^,]+),\n(?:.*\n)*?\}$", text, flags=re.MULTILINE):
        block, key = match[0], match[1]
        field = re.search(r"^  benchbench = \{(.*)\},\n", block, flags=re.MULTILINE)
        assert field is not None, key
        names = tuple(name.strip() for name in field[1].split(","))
        found.append(Reference(key, block.replace(field[0], "") + "\n", names))
    return found


def _names(frame: pd.DataFrame) -> set[str]:
    """Models, datasets, extractors, and metrics without the name of their extractor."""
    extractors = set(frame["extractor"].dropna())
    families = {
        short_name(metric, extractor)
        for metric, extractor in frame[["metric", "extractor"]].drop_duplicates().itertuples(index=False)
    }
    return set(frame["model"]) | set(frame["dataset"]) | extractors | families


def uncited(names: Iterable[str]) -> list[str]:
    """Those of `names` that no entry and no exception covers."""
    patterns = [pattern for reference in references() for pattern in reference.names] + [*CONTROLS, *OURS]
    return [name for name in names if not any(fnmatchcase(name, pattern) for pattern in patterns)]
