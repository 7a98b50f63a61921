"""A record scored again: from the samples that it keeps where these are all of them, else from images drawn anew.

What the sums in a `run.json` cannot show, that the numbers are those of the images, is shown here. A record keeps its
first samples one by one; where it made no more, they are scored as they lie. Of larger ones the images are drawn again,
by the weights that it keeps or by a model that needs none, and scored; the first ones are held against those that were
kept.

Scope: generation and reconstruction on datasets that have a name, by registered models: nothing that a record brings is
run but its weights, which are tensors. Images that others made (`evaluate`) are not kept in a record.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchbench.core.arrays import default_float32
from benchbench.core.errors import BenchbenchError
from benchbench.core.numpy_files import DAMAGE, read_arrays
from benchbench.core.registry import DATASETS, MODELS
from benchbench.core.runtime import Runtime
from benchbench.results.agree import TOLERANCE, Key, comparable, difference, keyed
from benchbench.results.claims.conditions import full_task
from benchbench.results.load import Record
from benchbench.results.manifest import RunManifest
from benchbench.results.record import Row
from benchbench.results.rows import rows_of
from benchbench.results.store import WEIGHTS
from benchbench.results.touched import damaged
from benchbench.runner.again import NotScored, asked_of, check_networks, drawn_anew, fingerprint_of, sizes_of
from benchbench.runner.evaluation import score_images
from benchbench.runner.evaluation_plan import make_evaluation, read_reference, resolve
from benchbench.runner.sources import InMemory
from benchbench.runner.spec import EvaluationSpec

SAMPLES = "samples.npz"
TASKS = frozenset({"generation", "reconstruction", "training", "likelihood"})
"""Of rows, in a cell that can be drawn anew."""
KEPT_APART = 0.5
"""Mean difference, of 255 levels, up to which images drawn anew are those that were kept: rounding moves some by 1."""


@dataclass(frozen=True)
class Rescored:
    """What scoring a record again found.

    Attributes:
        folder: Where it lies.
        cell: Its key.
        how: Of which images: "from its 200 samples" or "from 898 images, drawn anew".
        compared: How many numbers came out again.
        unscored: Numbers of it that do not come out of this, by name.
        faults: What came out otherwise, a sentence each.
    """

    folder: Path
    cell: str
    how: str
    compared: int
    unscored: list[str]
    faults: list[str]


@dataclass(frozen=True)
class _Again:
    """how: as `Rescored` has it; rows: what came out; faults: what was found beside the numbers."""

    how: str
    rows: list[Row]
    faults: Sequence[str] = ()


def drawn_by_lot(records: Sequence[Record], seed: int) -> list[Record]:
    """The records in an order that a seed decides, and nobody who does not know it.

    Args:
        records: Those to choose from.
        seed: Any whole number.

    Returns:
        All of them; the order of those that are there does not depend on others.
    """
    return sorted(records, key=lambda own: hashlib.sha256(f"{seed} {own[1].cell}".encode()).digest())


def rescore(record: Record, runtime: Runtime, tolerance: float = TOLERANCE) -> Rescored:
    """Score a record again.

    Args:
        record: Its folder and what its run.json says, verified.
        runtime: Where.
        tolerance: How far apart two values of one number may be, relative.

    Returns:
        What came out otherwise.

    Raises:
        NotScored: It cannot be scored again here; the reason says why.
    """
    folder, run = record
    if run.people is not None:
        raise NotScored("people said these numbers, and are not asked again")
    rows = rows_of(folder, run)
    before = comparable(rows)
    said = keyed(rows)
    strangers = sorted({row.task for row in before.values()} - TASKS)
    if strangers:
        raise NotScored(f"the task {strangers[0]} is not scored again")
    if run.dataset not in DATASETS.names():
        raise NotScored(f"{run.dataset} is no dataset that has a name here")
    try:
        with default_float32():
            again = _again(folder, run, said, runtime)
    except BenchbenchError as error:
        raise NotScored(str(error)) from error
    # What comes out decides what can be compared, not what the record says of itself.
    after = {key: row for key, row in comparable(again.rows).items() if row.status == "ok"}
    asked = {key for key in before.keys() | after.keys() if key in said and said[key].status == "ok"}
    scored = asked & after.keys()
    if not scored:
        raise NotScored("none of its numbers comes out of what it keeps")
    faults = [
        f"{key[2]} {why}, the second from scoring it again"
        for key in sorted(scored)
        if (why := difference(said[key], after[key], tolerance)) is not None
    ]
    moved = {key[2]: key for key in sorted(after.keys() - said.keys())}
    elsewhere = [
        f"{key[2]} stands under {full_task(*key[:2])}, and comes out under {full_task(*moved[key[2]][:2])}"
        for key in sorted(asked - scored)
        if key[2] in moved
    ]
    unscored = sorted(key[2] for key in asked - scored if key[2] not in moved)
    return Rescored(folder, run.cell, again.how, len(scored), unscored, [*again.faults, *faults, *elsewhere])


def _again(folder: Path, run: RunManifest, before: Mapping[Key, Row], runtime: Runtime) -> _Again:
    kept = _kept(folder, run)
    if kept is not None and len(kept) == run.n_samples:
        return _from_samples(kept, run, before, runtime)
    return _drawn_anew(folder, run, before, kept, runtime)


def _kept(folder: Path, run: RunManifest) -> npt.NDArray[np.uint8] | None:
    """The single samples of a record, uint8 N×H×W×3; None where it has none."""
    if SAMPLES not in run.files or not (folder / SAMPLES).exists():
        return None
    try:
        images = read_arrays(folder / SAMPLES, ["images"])["images"]
    except DAMAGE as error:
        raise damaged(folder / SAMPLES, f"is no file of images: {error}") from error
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise damaged(folder / SAMPLES, f"holds {images.dtype} {images.shape} and no images")
    return images


def _from_samples(
    kept: npt.NDArray[np.uint8], run: RunManifest, before: Mapping[Key, Row], runtime: Runtime
) -> _Again:
    names, extractors, precision = asked_of(row for row in before.values() if row.task == "generation")
    held = InMemory.of(torch.from_numpy(kept.copy()).permute(0, 3, 1, 2), run.dataset)
    for size in sizes_of(run):
        spec = EvaluationSpec.of(
            images=None,
            reference=run.dataset,
            metrics=names,
            extractors=extractors or None,
            precision=precision,
            size=size,
            seed=run.seed or 0,
        )
        plan = make_evaluation(resolve(spec, held), runtime)
        read_reference(plan, runtime)
        dataset = plan.reference.dataset
        if dataset is not None and dataset.fingerprint == fingerprint_of(run):
            check_networks(run, {name: own.weights_sha256 for name, own in plan.extractors.loaded.items()})
            return _Again(f"from its {len(kept):,} samples", score_images(plan, runtime).rows)
    raise NotScored(f"{run.dataset} has other images here than those that it was held against")


def _drawn_anew(
    folder: Path,
    run: RunManifest,
    before: Mapping[Key, Row],
    kept: npt.NDArray[np.uint8] | None,
    runtime: Runtime,
) -> _Again:
    """From the model as the record describes it, with the weights that it keeps and the techniques that it names."""
    recipe = run.recipe
    if recipe is None or recipe.model is None:
        raise NotScored("its images were made elsewhere, and a record does not keep those")
    if recipe.model not in MODELS.names():
        raise NotScored(f"{recipe.model} is no model that has a name here")
    weights = folder / WEIGHTS if WEIGHTS in run.files else None
    if weights is not None and not weights.exists():
        raise NotScored(f"it keeps neither all its samples nor {WEIGHTS}")
    if weights is None and (run.weights_loaded_sha256 is not None or _is_trained(recipe.model)):
        raise NotScored("it keeps neither all its samples nor its weights")
    with tempfile.TemporaryDirectory() as out:
        made = drawn_anew(run, before.values(), runtime, Path(out), weights=weights)
        faults = [] if kept is None else list(_apart(kept, _kept(*made)))
        return _Again(f"from {run.n_samples:,} images, drawn anew", rows_of(*made), faults)


def _is_trained(model: str) -> bool:
    own: Any = MODELS.get(model)
    return all(callable(getattr(own, name, None)) for name in ("players", "loss"))


def _apart(kept: npt.NDArray[np.uint8], drawn: npt.NDArray[np.uint8] | None) -> Iterator[str]:
    """Whether the samples that were kept are those that come out."""
    if drawn is None or drawn.shape != kept.shape:
        yield f"{SAMPLES} holds {len(kept)} images of another shape or number than are drawn"
        return
    apart = np.abs(kept.astype(int) - drawn.astype(int)).reshape(len(kept), -1).mean(axis=1)
    if (worst := float(apart.max())) > KEPT_APART:
        n = int((apart > KEPT_APART).sum())
        yield f"{n} of {len(kept)} images in {SAMPLES} are others than are drawn, by up to {worst:.3g} of 255 levels"
