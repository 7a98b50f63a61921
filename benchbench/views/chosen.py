"""What a board says of how the weights behind it were chosen.

A model whose weights are those of the scan with the lowest distance has an advantage in that very distance, though the
scan was of other images: of several numbers that scatter it is the smallest. Readers see it by a mark.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pandas as pd

from benchbench.core.errors import short
from benchbench.results.chosen import LAST
from benchbench.views.text import model_name, plain

MARK = "‡"
MARKED = (
    f"{MARK} the weights are those at which this metric was best among several scans of the training, on a validation "
    "part of its images: that favours them here"
)


def chosen_by(rows: pd.DataFrame) -> dict[str, set[str]]:
    """Metric -> the models, by name, any of whose runs it chose. rows: of a table from `load_results`."""
    told = rows[rows["chosen_by"].notna() & (rows["chosen_by"] != LAST)]
    found: dict[str, set[str]] = {}
    for model, variant, by in (
        told[["model", "variant", "chosen_by"]].drop_duplicates().itertuples(index=False)
    ):
        found.setdefault(str(by), set()).add(model_name(str(model), str(variant)))
    return found


def checkpoint_notes(trained: pd.DataFrame, metrics: Collection[str]) -> Iterator[str]:
    """`checkpoint: last, but best fd_cnn_digits for dcgan (step 1,200)`, and what the mark means where one of `metrics`
    is such. trained: the rows of models that were; there may be none."""
    if trained.empty:
        return
    chosen = chosen_by(trained)
    said = [
        f"best {short(by, 80)} for {', '.join(_with_steps(trained, by, name) for name in sorted(names))}"
        for by, names in sorted(chosen.items())
    ]
    last = [LAST] if (trained["chosen_by"] == LAST).any() else []
    yield plain(f"checkpoint: {', but '.join(filter(None, [*last, '; '.join(said)]))}")
    if chosen.keys() & set(metrics):
        yield MARKED


def _with_steps(trained: pd.DataFrame, by: str, name: str) -> str:
    own = trained[trained["chosen_by"] == by].drop_duplicates("cell").sort_values("seed")
    steps = [
        step
        for model, variant, step in own[["model", "variant", "chosen_step"]].itertuples(index=False)
        if model_name(str(model), str(variant)) == name and not pd.isna(step)
    ]
    return f"{name} (step {', '.join(f'{step:,}' for step in steps)})" if steps else name
