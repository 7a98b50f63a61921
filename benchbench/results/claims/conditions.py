"""Under which conditions a number was made. Two numbers stand beside each other where all of them are equal.

Every view asks this one tuple: rows that differ in it are never averaged, ranked or tested together, and whoever
refuses says which field differs. What was measured by the clock or took memory is also a property of the machine; what
is counted is the same on every one.

Beside its own columns a table from `load_results` has what `run.json` says of each number (`FACTS`), and
what its `curves.csv` says of the training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchbench.core.errors import InputError, NothingComparable, listed
from benchbench.core.errors import short as shortened
from benchbench.results.budget import Ended
from benchbench.results.chosen import chosen_of
from benchbench.results.manifest import Data, Machine, RunManifest
from benchbench.results.older import directed

QUESTION = ["dataset", "task", "direction", "metric"]
PROTOCOL = ["n_images", "n_reference", "extractor", "resize", "precision", "metric_version"]
CONDITIONS = ["data", "size", *PROTOCOL, "extractor_weights", "decoder", "unit", "machine"]
WORDS = {
    "data": "the reference data",
    "size": "the size",
    "extractor_weights": "the weights of the extractor",
}
"""What people call a field that its column does not name well."""

FACTS = {
    "data": "string",  # fingerprint of the dataset
    "size": "string",  # of the images, "32×32"
    "extractor_weights": "string",  # sha256 of the extractor's weights, the first 16 digits
    "decoder": "string",  # what decoded the images, where it matters
    "machine": "string",  # in words, of what depends on it
    "busy": "Float64",  # share of the machine that other programs took while it was timed (see `BUSY`)
    "canonical": "boolean",  # whether the data are the published pixels, null where nobody can say
    "control": "boolean",  # a landmark, whose seeds are no trainings
    "collapse": "string",  # the alarm's words, null where it was silent
    "chosen_by": "string",  # what chose the weights (`results.chosen`), null where nothing was trained
    "chosen_step": "Int64",  # optimiser steps done at the weights that a metric chose
    "asked": "string",  # what people were asked, how many, and how far they agree, null where nobody was
    "budget": "string",  # how the training ended (`results.budget`), null where nothing was trained
    "budget_words": "string",  # what that rests on
}
"""What run.json adds to a number, with its dtype."""

PEOPLE = "human"
"""The aspect of what people said."""
MEASURED = ("throughput", "cost")  # aspects that depend on the machine, `COUNTED` apart
COUNTED = (
    "parameters",
    "parameters_sampling",
    "parameters_training",
    "network_evaluations",
    "flops_per_image",
)
BUSY = 0.2  # above this share a rate says little: it is shown with a dagger, and neither ranked nor gated
SAME = 1e-6  # relative: two runs of the same thing differ by rounding alone
_MACHINE = ("device", "device_name", "processor", "cores", "threads", "memory_gib")

Places = npt.NDArray[np.int64]
Question = tuple[str, str, str, str]  # dataset, task, direction, metric
Conditions = tuple[tuple[str, str], ...]  # (field, value), in the order of `CONDITIONS`; a null is "none"


def full_task(task: str, direction: str) -> str:
    """A task with its direction in one word, where a name has to tell two apart.

    >>> full_task("translation", "AtoB"), full_task("generation", "")
    ('translation_AtoB', 'generation')
    """
    return f"{task}_{direction}" if direction else task


def facts_of(run: RunManifest, end: Ended | None = None) -> dict[str, Any]:
    """The `FACTS` that a `run.json` states of all its numbers, and the machine's `cores`; `extractor_weights` by
    extractor. end: how its training ended."""
    machine, data, chosen = run.machine or Machine(), run.data or Data(), chosen_of(run)
    weights = {
        name: told.weights_sha256[:16] for name, told in (run.extractors or {}).items() if told.weights_sha256
    }
    return {
        "data": data.fingerprint,
        "size": data.size if isinstance(data.size, str) else None,
        "extractor_weights": weights,
        "decoder": data.decoder,
        "machine": _machine([getattr(machine, name) for name in _MACHINE], machine.ranks),
        "busy": beyond_one_a_core(machine.load_1min, machine.cores),
        "cores": machine.cores,
        "canonical": data.canonical,
        "control": run.model in _OLDER_CONTROLS if run.control is None else run.control,
        "collapse": None if run.collapse is None else run.collapse.words,
        "chosen_by": chosen.by,
        "chosen_step": chosen.step,
        "asked": None if run.people is None else run.people.noted,
        "budget": None if end is None else end.verdict,
        "budget_words": None if end is None else end.words,
    }


# Records from before run.json said so.
_OLDER_CONTROLS = ("real", "memorizer", "collapsed", "noise", "identity")


def measured(rows: pd.DataFrame) -> pd.Series:
    """Which rows depend on the machine, boolean."""
    return rows["aspect"].isin(MEASURED) & ~rows["metric"].isin(COUNTED)


def of_family(rows: pd.DataFrame, family: str) -> pd.Series:
    """Which rows are the number of this name on their extractor, as records compose its full name; boolean."""
    return rows["metric"] == family + "_" + rows["extractor"].fillna("")


def short_name(metric: str, extractor: str | None) -> str:
    """A metric's name without that of its extractor, for a place where that one is named beside it.

    >>> short_name("fd_cnn_digits", "cnn_digits"), short_name("fid", "inception_v3"), short_name("psnr", None)
    ('fd', 'fid', 'psnr')
    """
    return metric if extractor is None or pd.isna(extractor) else metric.removesuffix(f"_{extractor}")


def condition_columns(rows: pd.DataFrame) -> pd.DataFrame:
    """`CONDITIONS` of each row as text, a null or a column that is not there as "none"."""
    whole = rows.reindex(columns=CONDITIONS)
    return pd.DataFrame({name: whole[name].astype("string").fillna("none") for name in CONDITIONS})


def conditions_of(rows: pd.DataFrame) -> list[Conditions]:
    """The conditions of each row, in its order."""
    places, made = distinct_conditions(rows)
    return [made[place] for place in places.tolist()]


def distinct_conditions(rows: pd.DataFrame) -> tuple[Places, list[Conditions]]:
    """All conditions that a table has, sorted, and of each row the place of its own among them."""
    whole = rows.reindex(columns=CONDITIONS)
    places, lines = distinct_lines([whole[name] for name in CONDITIONS])
    return places, [tuple(zip(CONDITIONS, line, strict=True)) for line in lines]


def distinct_lines(columns: Iterable[pd.Series]) -> tuple[Places, list[tuple[str, ...]]]:
    """The lines that some columns make, as texts, a null as "none".

    columns: one at least, all of one length. Returns the place of each line among the distinct ones, and these, sorted.
    """
    places: Places = np.zeros(0, np.int64)
    lines: list[tuple[str, ...]] = [()]
    for column in columns:
        own, levels = pd.factorize(column)
        # A null has the place −1, that of the last.
        texts = [*pd.Series(levels).astype("string").fillna("none"), "none"]
        names = sorted(set(texts))
        rank = {name: n for n, name in enumerate(names)}
        both = np.array([rank[text] for text in texts])[own]
        both += len(names) * (places if len(lines) > 1 else 0)
        found, distinct = pd.factorize(both)  # which does not sort all of them, as np.unique does
        order = np.argsort(distinct)
        places = np.argsort(order).astype(np.int64)[found]
        lines = [(*lines[n // len(names)], names[n % len(names)]) for n in distinct[order].tolist()]
    return places, lines


def differences(a: Sequence[Conditions], b: Sequence[Conditions]) -> str:
    """ "n_images is 1000 against 5000, …": the fields in which two sides differ, with their values."""
    sides = [{name: sorted({dict(one)[name] for one in side}) for name in CONDITIONS} for side in (a, b)]
    said = [
        f"{WORDS.get(name, name)} is {_values(name, sides[0][name])} against {_values(name, sides[1][name])}"
        for name in CONDITIONS
        if len({*sides[0][name], *sides[1][name]}) > 1
    ]
    return ", ".join(said)


def contradiction(who: str, metric: str, seed: str, cells: Iterable[str]) -> InputError:
    """Of two values of one number under equal conditions: two recipes under one name are no seeds."""
    return InputError(
        f"{who} has several values of {metric} for {seed} (cells {', '.join(sorted(set(cells)))}): these were run with "
        "different settings; read them from separate folders, or give them names with --name"
    )


NAMED = 2  # numbers of one refusal; of the rest their count


def together(refused: Iterable[str]) -> list[str]:
    """Refusals, `what: why`, with all that have one reason in one.

    >>> together(["fd: n is 1 against 2", "kd: n is 1 against 2", "is: n is 1 against 2", "ssim: the size differs"])
    ['fd, kd and 1 more: n is 1 against 2', 'ssim: the size differs']
    """
    by_reason: dict[str, list[str]] = {}
    for text in refused:
        what, _, why = text.partition(": ")
        by_reason.setdefault(why, []).append(what)
    return [f"{listed(names, NAMED)}: {why}" for why, names in by_reason.items()]


def check_comparable(a_rows: pd.DataFrame, b_rows: pd.DataFrame) -> list[Question]:
    """The (dataset, task, direction, metric) that both tables answer, sorted, after checking that they may be compared.

    Failed rows hold no number and are left out. Raises `NothingComparable` when the tables share no question, or when a
    condition differs within a shared one; the message names metric, field and both values. Raises `InputError` for
    a table that lacks a column.
    """
    a, b = _by_question(a_rows), _by_question(b_rows)
    shared = sorted(a.keys() & b.keys())
    if not shared:
        raise NothingComparable(
            f"the two share no number: one has {_listed(a)}, the other {_listed(b)}; "
            "compare runs of the same metric on the same dataset"
        )
    refused = [
        f"{metric} of {full_task(task, direction)} on {dataset}: "
        f"{differences(sorted(a[question]), sorted(b[question]))}"
        for question in shared
        for dataset, task, direction, metric in [question]
        if len(a[question] | b[question]) > 1
    ]
    if refused:
        raise NothingComparable(
            f"these numbers were not made the same way: {'; '.join(together(refused))}; run both alike"
        )
    return shared


def _by_question(rows: pd.DataFrame) -> dict[Question, set[Conditions]]:
    needed = ["dataset", "task", "metric", *PROTOCOL, "status"]
    missing = [name for name in needed if name not in rows.columns]
    if missing:
        raise InputError(f"a table of results lacks the column(s) {', '.join(missing)}")
    rows = directed(rows)
    numbers = rows[rows["status"] == "ok"]
    found: dict[Question, set[Conditions]] = {}
    asked = zip(*(numbers[name] for name in QUESTION), strict=True)
    for question, made in zip(asked, conditions_of(numbers), strict=True):
        dataset, task, direction, metric = question
        found.setdefault((dataset, task, direction, metric), set()).add(made)
    return found


def _listed(found: Mapping[Question, Any]) -> str:
    names = sorted({f"{metric} on {dataset}" for dataset, _, _, metric in found})
    return listed(names, 4) or "none"


def _values(name: str, values: Sequence[str]) -> str:
    """Values side by side; of a fingerprint the first digits, which tell two apart."""
    return " and ".join(short(name, value) for value in values)


def short(name: str, value: str) -> str:
    """A value of the field `name` as people read it."""
    return value[:8] if name in ("data", "extractor_weights") and value != "none" else shortened(value)


def _machine(facts: Sequence[Any], ranks: int | None) -> str:
    """`device cpu, device_name AMD EPYC, …`. Which of several equal accelerators ran it makes no difference, over how
    many ranks does."""
    texts = ["unknown" if x is None else f"{x:.0f}" if isinstance(x, float) else str(x) for x in facts]
    texts[0] = texts[0].split(":")[0]
    several = [f"ranks {ranks}"] if ranks is not None and ranks > 1 else []
    return ", ".join([*(f"{name} {text}" for name, text in zip(_MACHINE, texts, strict=True)), *several])


def beyond_one_a_core(load: Any, cores: Any) -> float | None:
    """Of a record from before anybody measured it: runnable processes a core, less the one that the run itself
    takes."""
    if not isinstance(load, int | float) or not isinstance(cores, int) or not cores:
        return None
    return max(0.0, float(load) / cores - 1)
