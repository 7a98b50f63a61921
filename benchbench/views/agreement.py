"""How far the rankings of models agree that one metric gives on several networks, as a note of a board."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import pandas as pd

from benchbench.results.claims.agreement import FEWEST, METHOD, agreement
from benchbench.results.claims.conditions import short_name
from benchbench.views.text import plain

FIELD = {
    "fid": "fd", "sfid": "fd", "fid_infinity": "fd_infinity", "sfid_infinity": "fd_infinity", "kid": "kd",
    "kid_subsets": "kd_subsets", "mind": "swd", "inception_score": "is", "inception_score_one_split": "is_one_split",
    "intra_fid": "intra_fd",
}  # fmt: skip
"""What the field calls a metric on the network that it was published with, as the metric's own name."""

Column = Sequence[Mapping[Any, Any]]
"""The lines of one metric: a model's name, value and the rest, as `summarise` has them."""


def agreement_notes(lead: Column, columns: Sequence[Column], controls: Collection[str]) -> Iterator[str]:
    """One line with Kendall's τ-b for each two networks that have the metric of `lead`, over the models that have it on
    both, controls apart; none where there is one network alone."""
    metric = _family(lead)
    known = [column for column in columns if not all(pd.isna(line["value"]) for line in column)]
    on = {str(column[0]["extractor"]): column for column in known if _family(column) == metric}
    if metric is None or len(on) < 2 or pd.isna(lead[0]["higher_is_better"]):
        return
    said = [
        f"{one} and {other} {_in_words(_values(on[one], controls), _values(on[other], controls))}"
        for one, other in combinations(on, 2)
    ]
    yield plain(f"agreement of the rankings by {metric} (Kendall's τ-b, 95%, {METHOD}): {'; '.join(said)}")


def _family(column: Column) -> str | None:
    """The metric without its network; None for one that reads none."""
    extractor = column[0]["extractor"]
    if pd.isna(extractor):
        return None
    name = short_name(str(column[0]["metric"]), str(extractor))
    return FIELD.get(name, name)


def _values(column: Column, controls: Collection[str]) -> dict[str, float]:
    return {
        line["name"]: float(line["value"])
        for line in column
        if not pd.isna(line["value"]) and line["name"] not in controls
    }


def _in_words(one: Mapping[str, float], other: Mapping[str, float]) -> str:
    both = [name for name in one if name in other]
    found = agreement([one[name] for name in both], [other[name] for name in both])
    if found.tau is None or found.low is None or found.high is None:
        count = f"{found.n} model{'' if found.n == 1 else 's'}"
        why = f"{count}, too few" if found.n < FEWEST else f"{count}, all of them alike,"
        return f"({why} to say)"
    return f"{found.tau:.2f} [{found.low:.2f}, {found.high:.2f}] over {found.n} models"
