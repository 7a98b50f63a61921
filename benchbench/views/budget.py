"""What a board says of how the trainings behind it ended: by their budget, or because nothing improved any more
(`results.budget`)."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from benchbench.views.text import model_name, plain

MARK = "§"
STOPPED = "stopped by budget"
MARKED = f"{MARK} {STOPPED}, improving by 2% or more over the last third of its training"
_OTHERS = {
    "converged": "converged (less than 2% better over the last third)",
    "rising": "past its best (2% worse or more over the last third)",
    "undecided": "cannot say whether it still improved",
    "unknown": "unknown whether it still improved (too few scans, or none)",
}
"""Every verdict but the one that has a mark, in the order in which they are told."""


def stopped_by_budget(rows: pd.DataFrame) -> set[str]:
    """The models, by name, any of whose runs was. rows: of a table from `load_results`."""
    told = rows[rows["budget"] == STOPPED].drop_duplicates(["model", "variant"])
    return {model_name(*map(str, who)) for who in told[["model", "variant"]].itertuples(index=False)}


def budget_notes(rows: pd.DataFrame, whole: bool) -> Iterator[str]:
    """What the mark means, with how much each run still improved; then how the other trainings ended.

    rows: of a table from `load_results`; nothing is said of those in which nothing was trained. whole: False for a
    board beside the one that says all this, where a line that explains the mark is enough.
    """
    runs = rows[rows["budget"].notna()].drop_duplicates("cell").sort_values(["model", "variant", "seed"])
    if not whole and (runs["budget"] == STOPPED).any():
        yield MARKED
    if runs.empty or not whole:
        return
    names = [model_name(*map(str, who)) for who in runs[["model", "variant"]].itertuples(index=False)]
    runs = runs.assign(name=names)
    for name, own in runs[runs["budget"] == STOPPED].groupby("name", sort=True):
        told = (f"seed {seed}: {words}" for seed, words in zip(own["seed"], own["budget_words"], strict=True))
        yield plain(f"{MARK} {STOPPED}: {name}: {'; '.join(told)}")
    others = []
    for verdict, words in _OTHERS.items():
        own = runs[runs["budget"] == verdict]
        if len(own):
            of = [f"{name} ({_seeds(seeds)})" for name, seeds in own.groupby("name", sort=True)["seed"]]
            others.append(f"{words}: {', '.join(of)}")
    if others:
        yield plain(f"training: {'; '.join(others)}")


def _seeds(seeds: pd.Series) -> str:
    """Each once: a record of what people said of a model's images has the model's own seed."""
    found = seeds.unique()
    return f"seed{'' if len(found) == 1 else 's'} {', '.join(map(str, found))}"
