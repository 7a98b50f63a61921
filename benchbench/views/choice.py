"""What of a table from `load_results` is shown: which models, which numbers, in which columns.

A name is taken as tables show it (`fid`, `vae lr=0.0005`), as records have it (`fd_cnn_digits`, `vae`), as `run` is
asked for it (`fd`), or as a pattern (`*gan*`); capital letters are small ones. One that names nothing is an error,
never an empty table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd

from benchbench.core.errors import InputError, no_record, short
from benchbench.results.claims.conditions import MEASURED, short_name
from benchbench.results.summary import complete
from benchbench.views.text import model_name

RANK = "rank"  # a column that is no metric
FIELD = {
    "fid": "fd",
    "sfid": "fd",
    "fid_infinity": "fd_infinity",
    "sfid_infinity": "fd_infinity",
    "kid": "kd",
    "kid_subsets": "kd_subsets",
    "inception_score": "is",
    "inception_score_one_split": "is_one_split",
    "intra_fid": "intra_fd",
    "mind": "swd",
}
"""What the field calls a metric on the very network that it was published with -> what `run` is asked for."""
_HAS = {"model": "is of the model", "metric": "has the metric"}


@dataclass(frozen=True)
class Choice:
    """models, metrics: those that are shown, all where none is named. columns: metrics, and `rank`, of one table a
    dataset and task, in this order, whatever their aspects. transpose: metrics down, models across."""

    models: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    transpose: bool = False

    @classmethod
    def of(
        cls,
        models: str | Iterable[str] = (),
        metrics: str | Iterable[str] = (),
        columns: str | Iterable[str] = (),
        transpose: bool = False,
    ) -> Choice:
        """From texts with commas, or lists of names."""
        return cls(names_in(models), names_in(metrics), names_in(columns), transpose)

    @property
    def ranked(self) -> bool:
        """Whether the ranks have a column."""
        return not self.columns or RANK in map(str.casefold, self.columns)

    @property
    def order(self) -> tuple[str, ...]:
        """The columns that are metrics."""
        return tuple(name for name in self.columns if name.casefold() != RANK)


EVERYTHING = Choice()


def names_in(texts: str | Iterable[str]) -> tuple[str, ...]:
    """The names in texts with commas between them; those within a variant are its own.

    >>> names_in("vae, beta-vae beta=4,latent=8,gan"), names_in(["fd", "kd"])
    (('vae', 'beta-vae beta=4,latent=8', 'gan'), ('fd', 'kd'))
    """
    names: list[str] = []
    for text in [texts] if isinstance(texts, str) else texts:
        for place, piece in enumerate(text.split(",")):
            # No model's name has an equals sign, so that what begins with a setting goes on with a variant.
            if place and names and "=" in names[-1] and "=" in piece.split(" ")[0]:
                names[-1] += f",{piece.rstrip()}"
            elif piece.strip():
                names.append(piece.strip())
    return tuple(names)


def chosen(frame: pd.DataFrame, choice: Choice) -> pd.DataFrame:
    """The rows of `frame` that `choice` is about; `InputError` for a name that nothing has."""
    if frame.empty:
        return frame
    shown = frame
    if choice.models:
        models = zip(frame["model"], frame["variant"], strict=True)
        called = [(str(model), model_name(str(model), str(variant))) for model, variant in models]
        shown = shown[_named("model", choice.models, called)]
    for names in (choice.metrics, choice.order):
        if names:
            shown = shown[_named("metric", names, _called(shown))]
    if choice.columns and not choice.order:
        raise InputError("columns need a metric beside the rank, as in rank,fd")
    return shown


def place_of(row: Mapping[Any, Any], order: Sequence[str]) -> int:
    """Of a row the number of the first of `order` that names its metric, and as many as there are where none does."""
    called = _metric_names(row["metric"], row["extractor"])
    return next((place for place, name in enumerate(order) if any(map(_fits(name), called))), len(order))


def for_paper(frame: pd.DataFrame, choice: Choice) -> tuple[pd.DataFrame, list[str]]:
    """What a paper shows where nobody named metrics: quality without what the machine had a part in, without counts and
    without what restates another number. And the names of what is left out."""
    if choice.metrics or choice.columns:
        return frame, []
    frame = complete(frame)
    kept = ~frame["aspect"].isin(MEASURED) & frame["gated"].astype(bool)
    if not kept.any():
        return frame, []
    return frame[kept], sorted(set(frame.loc[~kept, "metric"]) - set(frame.loc[kept, "metric"]))


def _called(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    return list(map(_metric_names, frame["metric"], frame["extractor"]))


def _metric_names(metric: str, extractor: str | None) -> tuple[str, ...]:
    """What one may call a metric: as records have it, as tables show it, and as `run` is asked for it."""
    short = short_name(metric, extractor)
    return str(metric), short, FIELD.get(short, short)


def _named(kind: str, names: Sequence[str], called: Sequence[tuple[str, ...]]) -> list[bool]:
    """Which of what is `called` so or so one of `names` means."""
    distinct = set(called)
    meant: set[tuple[str, ...]] = set()
    for name in names:
        fits = _fits(name)
        found = {own for own in distinct if any(map(fits, own))}
        if not found:
            raise no_record(f"{_HAS[kind]} {short(name)!r}", name, {own[1] for own in distinct})
        meant |= found
    return [own in meant for own in called]


def _fits(name: str) -> Callable[[str], bool]:
    """Whether a name is `name` or of its pattern."""
    small = name.casefold()
    return lambda own: own.casefold() == small or fnmatchcase(own.casefold(), small)
