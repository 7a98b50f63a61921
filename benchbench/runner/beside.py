"""Shipped baselines beside images that somebody else made: drawn anew, as many of them as there are of those.

A distance depends on how many images it is of, so published numbers share no table with those of another count. The
weights ship, and draw as many as are wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchbench.core.baselines import LANDMARK, published_weights, shipped_baselines
from benchbench.core.errors import InputError
from benchbench.core.names import split_names
from benchbench.core.registry import MODELS
from benchbench.core.runtime import Runtime
from benchbench.data.sources.spec import DATASET, parse_spec
from benchbench.results.provenance import read_manifest
from benchbench.results.store import RUN
from benchbench.runner.describe import is_control
from benchbench.runner.run import carry_out
from benchbench.runner.spec import CellSpec, EvaluationSpec
from benchbench.runner.sweep import Swept
from benchbench.tasks.choose import tasks_of

ALL = "all"


def baselines_of(names: str | Sequence[str], spec: EvaluationSpec) -> list[CellSpec]:
    """What is asked of the baselines that names stand for, but for how many images they draw.

    Args:
        names: Of models whose weights ship for the dataset, or of controls; "all" for every generator, and real images.
        spec: Of the evaluation that they stand beside.

    Returns:
        One a baseline; none where nothing was named.

    Raises:
        InputError: The reference is not what models of a dataset are held against, or nobody published such weights.
    """
    if not names:
        return []
    try:
        asked = [*split_names(names)]
    except ValueError as error:
        raise InputError(f"baselines: {error}") from error
    reference = None if spec.reference is None else parse_spec(spec.reference)
    if (
        reference is None
        or reference.kind != DATASET
        or reference.split == "held_out"
        or spec.task is not None
    ):
        raise InputError(
            "baselines ship for datasets and are held against their training images; score yours against a dataset, "
            "as with --reference cifar10:train, or leave --baselines out"
        )
    dataset = reference.where
    if ALL in asked:
        ending = f"-{dataset}"
        shipped = [own.name.removesuffix(ending) for own in shipped_baselines() if own.name.endswith(ending)]
        asked = [LANDMARK, *(model for model in shipped if model in MODELS.names() and _draws(model))]
    return [_asked(model, dataset, spec) for model in dict.fromkeys(asked)]


def _draws(model: str) -> bool:
    return tasks_of(model, None, {})[0].name == "generation"


def _asked(model: str, dataset: str, spec: EvaluationSpec) -> CellSpec:
    MODELS.get(model)
    trained = not is_control(model)
    if trained:
        published_weights(model, dataset)  # refused before anything is scored
    return CellSpec.of(
        model=model,
        dataset=dataset,
        pretrained=trained,
        **spec.model_dump(include={"metrics", "extractors", "precision", "size"}),
    )


def score_beside(asked: Sequence[CellSpec], scored: Path, out: Path, runtime: Runtime) -> list[Path]:
    """Draw as many images of each as an evaluation was of, and score them alike.

    Args:
        asked: As `baselines_of` has them.
        scored: The record of the evaluation.
        out: The folder for records.
        runtime: Where.

    Returns:
        Their records; a finished one is not made again.

    Raises:
        CellFailed: One could not be scored; the others were.
    """
    n = int(read_manifest(scored / RUN).as_json()["samples"]["n"])
    swept = [Swept(own.model_copy(update={"samples": n}), own.model) for own in asked]
    return [outcome.path for outcome in carry_out(swept, [0], out, runtime)] if swept else []
