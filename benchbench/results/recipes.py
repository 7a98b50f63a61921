"""Whose numbers are seeds of one thing: rows of one label are told apart where they were not made by one recipe.

Seeds are replicates of a recipe. Two runs under one model and variant that differ in code, weights or any setting
are two recipes, whatever their seeds, and get labels that say what differs: `vae lr=0.0005` beside `vae lr=0.001`.
A name that the owner gave (`--name`) is the owner's word that its runs are one recipe. What is left, several values
for one seed, is told apart by the images, and at last by the cell: nothing is averaged that contradicts itself, and
no such pair keeps the other models from their board.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from benchbench.results.claims.conditions import MEASURED, QUESTION, SAME, condition_columns
from benchbench.results.manifest import RunFacts
from benchbench.results.settings import as_typed, setting_text

LABEL = ["dataset", "model", "variant"]
_OWN = ("images", "source")  # of what `evaluate` was shown: other images under another seed are a replicate
# Settings of training that no weight depends on.
_NOT_MADE_BY = ("monitor_every", "checkpoint_every", "on_collapse")


def settings_of(run: RunFacts) -> dict[str, str]:
    """All that tells two recipes apart, as text by name: `settings` of run.json, or for an older record what can be
    read from the rest of it."""
    if run.settings is not None:
        return {name: x if isinstance(x, str) else setting_text(x) for name, x in run.settings.items()}
    weights, images = run.weights_loaded_sha256, None if run.samples is None else run.samples.fingerprint
    typed = as_typed({"model": run.config or {}, "training": _made_by(run)})
    found = {
        "code": run.code_hash[:8] if run.code_hash else None,
        "weights": weights[:8] if weights else None,
        "images": images[:8] if images else None,
        **typed["model"],
        **({} if weights else typed["training"]),
    }
    return {name: text for name, text in found.items() if text is not None}


def _made_by(run: RunFacts) -> dict[str, Any]:
    """The settings of training that the weights of an older record depend on."""
    training = (run.recipe and run.recipe.training) or {}
    kept = {name: value for name, value in training.items() if name not in _NOT_MADE_BY}
    stops = training.get("on_collapse") == "stop"
    if stops or training.get("checkpoint") == "best":  # then it matters when the samples were scanned
        kept["monitor_every"] = training.get("monitor_every")
    return kept | ({"on_collapse": "stop"} if stops else {})


class Recipe(NamedTuple):
    """How a run was made.

    Attributes:
        settings: `settings_of` it.
        named: Whether its owner gave it a name.
    """

    settings: dict[str, str]
    named: bool


def recipe_of(run: RunFacts) -> Recipe:
    """What a `run.json` says of it."""
    return Recipe(settings_of(run), bool(run.name))


def told_apart(rows: pd.DataFrame, recipes: Mapping[str, Recipe]) -> pd.DataFrame:
    """`rows` with variants that say what differs, where one label stands for several recipes.

    rows: a table of numbers with `FACTS`. recipes: of each of its cells.
    """
    by_cell = {cell: recipe.settings for cell, recipe in recipes.items() if not recipe.named}
    labels = rows.drop_duplicates("cell")[["cell", "seed", *LABEL]]
    extra: dict[str, dict[str, str]] = {}
    for _, same in labels.groupby(LABEL, sort=False):
        if len(same) > 1:
            extra |= _differing({cell: by_cell[cell] for cell in same["cell"] if cell in by_cell}, _OWN)
    rows = _with(rows, extra)
    for cells in _contradictions(rows):
        own = {
            cell: {name: x for name, x in recipes[cell].settings.items() if name in _OWN} for cell in cells
        }
        rows = _with(rows, _differing(own, ()))
    for cells in _contradictions(rows):  # nothing else tells these apart
        rows = _with(rows, {cell: {"cell": cell} for cell in cells})
    return rows


def _differing(
    settings: Mapping[str, Mapping[str, str]], ignored: Iterable[str]
) -> dict[str, dict[str, str]]:
    """Cell -> its values of the settings that are not the same in all cells, by name; none where all agree."""
    names = sorted({name for own in settings.values() for name in own} - set(ignored))
    differ = [name for name in names if len({own.get(name, "none") for own in settings.values()}) > 1]
    if not differ:
        return {}
    return {cell: {name: own.get(name, "none") for name in differ} for cell, own in settings.items()}


def _with(rows: pd.DataFrame, extra: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """What `extra` says of a cell, added to its variant; what the variant says already is not said twice."""
    if not extra:
        return rows

    def joined(variant: str, more: Mapping[str, str]) -> str:
        pieces = [f"{name}={text}" for name, text in more.items()]
        # Lists hold commas of their own, so the variant is not taken apart.
        new = [piece for piece in pieces if f",{piece}," not in f",{variant},"]
        return ",".join(filter(None, [variant, *new]))

    added = [
        joined(variant, extra[cell]) if cell in extra else variant
        for variant, cell in zip(rows["variant"], rows["cell"], strict=True)
    ]
    return rows.assign(variant=pd.array(added, dtype="string"))


def _contradictions(rows: pd.DataFrame) -> list[list[str]]:
    """The cells of every label and seed that have two values of one number under one set of conditions."""
    who = ["model", "variant", "seed"]
    counts = (rows["status"] == "ok") & ~rows["aspect"].isin(MEASURED)
    asked = rows[[*QUESTION, *who]][counts]
    if not (again := asked.duplicated(keep=False)).any():
        return []
    repeated = rows.loc[asked.index[again]]
    whole = repeated[["cell", "value", *QUESTION, *who]].join(condition_columns(repeated))
    keys = [name for name in whole.columns if name not in ("cell", "value")]
    values = whole.groupby(keys, sort=False)["value"].agg(["min", "max"])
    wrong = values[(values["max"] - values["min"]) > SAME * values[["min", "max"]].abs().max(axis=1)]
    where = wrong.reset_index()[["dataset", *who]].drop_duplicates()
    cells = repeated.merge(where, on=["dataset", *who])
    return [sorted(set(own["cell"])) for _, own in cells.groupby(["dataset", *who], sort=True)]
