"""The table that boards are made of, and its parts: one a board."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchbench.results.claims.conditions import BUSY, Places, distinct_lines
from benchbench.results.claims.ranks import pareto_front
from benchbench.results.summary import MODEL, summarise
from benchbench.views.apart import Making, parted
from benchbench.views.choice import Choice
from benchbench.views.text import by_aspect, model_name, plain, task_words

RATE = "sampling_rate"
_ENDING = [*MODEL, "cell", "seed", "collapse", "budget", "budget_words", "chosen_by", "chosen_step"]
_FAILURE = ["metric", "extractor", "status", "reason"]
_STUDY = ["extractor", "asked"]


class Table:
    """The table that boards are made of, and what is asked of many parts of it. Lines are called by their places."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self.making = Making(frame)
        self.metric = frame["metric"].to_numpy(object)
        self.headline = frame["headline"].fillna(False).to_numpy(bool)
        self.timed = (frame["aspect"] == "throughput").to_numpy(bool, na_value=False)
        self.failed = (frame["status"] != "ok").to_numpy(bool, na_value=True)
        busy = frame["busy"].fillna(0)
        self.busy, self.beyond = (busy > BUSY).to_numpy(bool), (busy > 1).to_numpy(bool)
        methods = {name: "rank-deficient" in name for name in frame["interval"].dropna().unique()}
        self.deficient = (
            frame["interval"].isin([name for name, lacks in methods.items() if lacks]).to_numpy(bool)
        )
        self.copied = ~frame["canonical"].fillna(True).to_numpy(bool)
        self.collapsed = frame["collapse"].notna().to_numpy(bool)
        self.trained = frame["chosen_by"].notna().to_numpy(bool)
        self.human = frame["asked"].notna().to_numpy(bool)
        # A selection of lines copies every column of the table, of which a note needs few.
        self.endings, self.failures, self.studies = (frame[own] for own in (_ENDING, _FAILURE, _STUDY))

    def trainings(self, lines: Places) -> pd.DataFrame:
        """How the trainings behind these lines ended."""
        return self.endings.iloc[lines[self.trained[lines]]]


class Part(NamedTuple):
    """What stands on one board. runs: its lines of the table. front: the models that none beats, by name."""

    title: str
    aspect: str
    runs: Places
    front: list[str]


def parts_of(table: Table, choice: Choice) -> Iterator[Part]:
    """The boards of a table, by dataset, task, direction and aspect, and where it was made in several ways by those."""
    frame = table.frame
    asked, questions = distinct_lines([frame[name] for name in ("dataset", "task", "direction")])
    kind, aspects = distinct_lines([by_aspect(frame), frame["aspect"]])
    order = [n for _, n in sorted((int(place), n) for n, (place, _) in enumerate(aspects))]
    for which, (dataset, task, direction) in enumerate(questions):
        title = f"{plain(dataset)}: {task_words(task, direction)}"
        whole = np.flatnonzero(asked == which)
        parts = [("", whole)]
        if not choice.columns:
            own = ((aspects[n][1], whole[kind[whole] == n]) for n in order)
            parts = [(aspect, lines) for aspect, lines in own if len(lines)]
        for aspect, lines in parts:
            words = f": {plain(aspect).replace('_', ' ')}" if len(parts) > 1 else ""
            alike = parted(table.making, lines)
            for told, runs in alike:
                differs = f" ({told})" if told else ""
                front = _front(table, whole, runs) if len(alike) == 1 else []
                yield Part(f"{title}{words}{differs}", aspect, runs, front)


Line = dict[Hashable, Any]  # a model and a number, as `summarise` has them, with the name and the standing


def _front(table: Table, whole: Places, runs: Places) -> list[str]:
    """The models that none beats in both the headline and the rate of sampling, by name; none where either is missing,
    or rates were taken on several machines or a busy one. Controls take no part. whole: the lines of the dataset."""
    led = runs[table.headline[runs]]
    rates = whole[(table.metric[whole] == RATE) & table.making.good[whole]]
    if not (len(led) and len(rates)) or len(parted(table.making, rates)) > 1 or table.busy[rates].any():
        return []
    lines = summarise(table.frame.iloc[np.concatenate([led, rates])])
    lines = lines[lines["value"].notna() & ~lines["control"].fillna(False)]
    lines = lines.assign(name=[model_name(*who) for who in lines[MODEL].itertuples(index=False)])
    lead, speed = (
        lines[lines["headline"].fillna(False) == led].drop_duplicates("name") for led in (True, False)
    )
    both = lead.merge(speed, on="name", suffixes=("", "_rate"))
    if len(both) < 2 or pd.isna(both.iloc[0]["higher_is_better"]):
        return []
    quality = both["value"].astype(float) * (1 if both.iloc[0]["higher_is_better"] else -1)
    front = pareto_front(quality, both["value_rate"].astype(float))
    return sorted(both["name"][front])
