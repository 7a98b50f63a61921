"""A record's numbers asked for again: with the model as the record describes it, and weights that are given.

Who scores a record again (`runner.rescore`) and who verifies shipped weights (`runner.baselines`) ask here. What the
request was is read from what the record says of it, and what comes out is held against that: other images of a dataset,
another network under one name, another degradation are no score of the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchbench.core.errors import InputError
from benchbench.core.registry import EXTRACTORS, MODELS, TASKS
from benchbench.core.runtime import Runtime
from benchbench.metrics.select import select_metrics
from benchbench.results.load import Record
from benchbench.results.manifest import RunManifest
from benchbench.results.provenance import read_manifest
from benchbench.results.record import Row
from benchbench.results.settings import TECHNIQUE
from benchbench.results.store import RUN
from benchbench.runner.run import run_cells
from benchbench.tasks.base import NoOptions
from benchbench.tasks.choose import make_task

DEGRADATION = "degradation"
"""What a restoration says in run.json of what it undid."""


class NotScored(Exception):
    """A record cannot be scored again; the reason as half a sentence."""


def drawn_anew(
    run: RunManifest,
    rows: Iterable[Row],
    runtime: Runtime,
    out: Path,
    *,
    weights: Path | None,
    pretrained: bool = False,
    overrides: Mapping[str, Any] | None = None,
    extractors: Sequence[str] = (),
) -> Record:
    """Ask the model of a record for the same images, and score them.

    Args:
        run: What the record says.
        rows: The numbers that are to come out again.
        runtime: Where.
        out: Where the new record goes.
        weights: Those that the model gets; None for one that needs none, and for those that ship.
        pretrained: Whether it gets those that ship for it.
        overrides: Settings of the model and of drawing; None for those of the record.
        extractors: Those whose standard metrics are asked for in place of the numbers of `rows`.

    Returns:
        The new record.

    Raises:
        NotScored: The request cannot be made here, or what came of it is of other data or networks.
    """
    recipe = run.recipe
    if recipe is None or recipe.model is None or recipe.model not in MODELS.names():
        raise NotScored("the record names no model that there is here")
    if extractors:
        names, read, precision = ["standard"], list(extractors), "float32"
    else:
        names, read, precision = asked_of(rows)
    task, options = task_of(run, rows)
    if overrides is None:
        overrides = {
            f"{section}.{name}": value
            for section, stated in (("model", recipe.hyper), ("sampling", recipe.sampling))
            for name, value in (stated or {}).items()
        }
    for size in sizes_of(run):
        ((path, _),) = run_cells(
            recipe.model,
            run.dataset,
            seeds=[run.seed or 0],
            out=out,
            device=str(runtime.device),
            batch_size=runtime.batch_size,
            progress=runtime.progress,
            samples=run.n_samples,
            size=size,
            overrides=overrides,
            weights=weights,
            pretrained=pretrained,
            variant=str((run.settings or {}).get(TECHNIQUE, "")),
            metrics=names,
            extractors=read or None,
            precision=precision,  # type: ignore[arg-type]
            task=task,
            task_options=options,
        )
        made = read_manifest(path / RUN)
        if fingerprint_of(made) != fingerprint_of(run):
            continue
        check_networks(run, {name: own.weights_sha256 for name, own in (made.extractors or {}).items()})
        return path, made
    raise NotScored(f"{run.dataset} has other images here than those that it was held against")


def task_of(run: RunManifest, rows: Iterable[Row]) -> tuple[str | None, dict[str, Any]]:
    """Which task a record is of, and the options with which it was asked; None for what its model is asked by itself.

    A restoration is found by what it undid: of all options that its record could mean the one that says the same.
    Raises `NotScored` where none does.
    """
    undone = run.as_json().get(DEGRADATION)
    if undone is None:
        return None, {}
    found = {row.task.partition(":")[0] for row in rows} & set(TASKS.names())
    for name in sorted(found):
        for options in _candidates(name, undone):
            try:
                made: Any = make_task(name, options)
            except InputError:
                continue
            if made.degradation().settings() == undone:
                return name, options
    raise NotScored("what its images were restored from cannot be asked for again")


def _candidates(task: str, undone: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Options that a record could mean: those that it names itself, and every switch."""
    fields = getattr(TASKS.get(task), "Options", NoOptions).model_fields
    ratios = undone.get("ratios") or []
    told = {"noise": undone.get("kind"), "ratio": ratios[0] if len(ratios) == 1 else None, **undone}
    named = {name: told[name] for name in fields if told.get(name) is not None}
    switches = [name for name, field in fields.items() if field.annotation is bool]
    for held in itertools.product((False, True), repeat=len(switches)):
        yield named | {name: True for name, on in zip(switches, held, strict=True) if on}


def asked_of(rows: Iterable[Row]) -> tuple[list[str], list[str], str]:
    """What to ask for so that these numbers come out: metrics, extractors and their precision."""
    good = [row for row in rows if row.status == "ok"]
    extractors = sorted({row.extractor for row in good if row.extractor is not None})
    names = [name for name in sorted({row.metric for row in good}) if _is_metric(name, extractors)]
    if not names:
        raise NotScored("none of its numbers is a metric that has a name here")
    precisions = sorted({row.precision for row in good if row.precision is not None} - {"float32"})
    return names, extractors, (precisions or ["float32"])[0]


def _is_metric(name: str, extractors: Sequence[str]) -> bool:
    """Whether it can be asked for: details that stand beside another come along with that."""
    try:
        select_metrics([name], extractors or EXTRACTORS.names())
    except InputError:
        return False
    return True


def sizes_of(run: RunManifest) -> list[int | None]:
    """The dataset's own size, and that which the record states."""
    size = None if run.data is None else run.data.size
    width, _, height = str(size).partition("×")
    return [None, int(width)] if width.isdecimal() and width == height and int(width) >= 8 else [None]


def fingerprint_of(run: RunManifest) -> str | None:
    return None if run.data is None else run.data.fingerprint


def check_networks(run: RunManifest, here: Mapping[str, str | None]) -> None:
    """Numbers of another network, under whatever name, are no others of this one."""
    for name, stated in (run.extractors or {}).items():
        if stated.weights_sha256 is not None and here.get(name) not in (None, stated.weights_sha256):
            raise NotScored(f"{name} has other weights here than it had there")
