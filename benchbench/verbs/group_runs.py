"""Cells that a group such as `model=vae,dataset=digits,lr=1e-3` names, run where the records lack them.

`benchbench compare A B --seeds 5` is `benchbench run` of A and of B, under the same seeds, and then the comparison of
exactly these cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchbench.core.errors import InputError
from benchbench.core.progress import SILENT, Progress
from benchbench.core.toml import settings_of
from benchbench.results.select_records import Selection, everything_below

# Of a group what `run` has options for; all else is behind its --set.
ASKED = ("task", "samples", "size", "metrics", "extractors")
NOT_ASKED = ("variant", "seed", "cell", "metric", "extractor")


def is_group(text: str) -> bool:
    """Whether a text says what to run: names with values, and no folder of that name."""
    return "=" in text and not Path(text).is_dir()


def run_groups(
    texts: Sequence[str], seeds: int | Iterable[int], out: Path, device: str, progress: Progress = SILENT
) -> dict[str, Selection]:
    """Of the texts those that are groups, each with its cells under some seeds: those that are there from their
    records, the others run. All are planned before the first is trained.

    Raises:
        InputError: No text is a group, or one does not say a model and a dataset, or cannot be run.
        CellFailed: A cell could not be carried out; the others were.
    """
    from benchbench.core.device import resolve_device
    from benchbench.core.runtime import Runtime
    from benchbench.runner.run import carry_out
    from benchbench.runner.spec import CellSpec, seed_list
    from benchbench.runner.sweep import Swept

    groups = [text for text in dict.fromkeys(texts) if is_group(text)]
    if not groups:
        raise InputError(
            "seeds are for groups that say what to run, as in model=vae,dataset=digits; what is named by its folder or "
            "key is there already"
        )
    swept = [Swept(CellSpec.of(**asked_of(text)), text) for text in groups]
    of_each = seed_list(seeds)
    outcomes = carry_out(swept, of_each, out, Runtime(resolve_device(device), None, progress))
    paths = [outcome.path for outcome in outcomes]
    return {
        text: Selection(text, *everything_below(paths[n * len(of_each) : (n + 1) * len(of_each)]))
        for n, text in enumerate(groups)
    }


def asked_of(text: str) -> dict[str, Any]:
    """What a group asks `run` for.

    >>> asked_of("model=vae,dataset=digits,betas=[0.5,0.9],samples=300")
    {'model': 'vae', 'dataset': 'digits', 'samples': 300, 'overrides': {'betas': [0.5, 0.9]}}
    """
    pairs = _pairs(text)
    said = {name.strip(): value.strip() for name, _, value in (pair.partition("=") for pair in pairs)}
    if len(said) < len(pairs):
        raise InputError(f"{text!r} must give each name one value, as in model=vae,dataset=digits")
    if not all(said.get(name) for name in ("model", "dataset")):
        raise InputError(
            f"{text!r} is to be run and must say a model and a dataset, as in model=vae,dataset=digits"
        )
    if no_setting := [name for name in NOT_ASKED if name in said]:
        raise InputError(
            f"{text!r} is to be run, and {no_setting[0]} is no setting; write settings as after --set, as in lr=1e-3"
        )
    named = {name: said.pop(name) for name in ("model", "dataset")}
    typed = settings_of([f"{name}={value}" for name, value in said.items()])
    options = {name: typed.pop(name) for name in ASKED if name in typed}
    return {**named, **options, "overrides": typed}


def _pairs(text: str) -> Sequence[str]:
    """The NAME=VALUE of a group; a value may hold commas within brackets."""
    pairs: list[str] = []
    for piece in text.split(","):
        if pairs and ("=" not in piece or pairs[-1].count("[") > pairs[-1].count("]")):
            pairs[-1] += f",{piece}"
        else:
            pairs.append(piece)
    return pairs
