"""`benchbench.audit`: metrics put to tests of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from benchbench.core.errors import InputError, unknown_name
from benchbench.core.files import atomic_write
from benchbench.core.names import split_names
from benchbench.core.notebook import watching
from benchbench.core.progress import AUTO, Progress
from benchbench.data.catalogue import load_dataset
from benchbench.features.extractor import load_extractor
from benchbench.metrics.audit.claims import audited
from benchbench.metrics.audit.disturbances import N, disturbed, judged_images
from benchbench.metrics.audit.suite import SMALL, Extent, judged, measured
from benchbench.metrics.select import select_metrics
from benchbench.verbs.outputs import checked_outputs
from benchbench.views.audit import written

Format = Literal["markdown", "csv", "json"]


def metrics(
    metrics: str | Iterable[str] = (),
    *,
    experiments: str | Iterable[str] = (),
    dataset: str | None = None,
    extractor: str | Iterable[str] = (),
    points: int | None = None,
    repeats: int | None = None,
    values: int | None = None,
    seed: int = 0,
    small: bool = False,
    unscaled: bool = False,
    checks: bool = False,
    format: Format = "markdown",
    output: Path | str | None = None,
    progress: Progress = AUTO,
) -> pd.DataFrame:
    """Ask fidelity and diversity metrics about sets of which the answer is known (Räisä et al. 2025, ICML).

    Args:
        metrics: Names, "precision,recall" or a list; by default all that claim fidelity or diversity, those of other
            packages among them. With `dataset` any metric on features, by default FD as well.
        experiments: Those of `metrics.audit.experiments`; by default all 15. Not with `dataset`.
        dataset: Instead of experiments, real images of this dataset with disturbances that nobody sees and that anybody
            does.
        extractor: The networks that look at the images of `dataset`; by default the one by which it is ranked.
        points: Points a side, by default 1,000 as in the paper; of `dataset` images a side, by default 2,000.
        repeats: Draws of every set, by default 10 as in the paper.
        values: The most that a parameter takes, by default 51 as in the paper.
        seed: Of all draws.
        small: 200 points, 2 repeats and 11 values, where nothing else is said: a minute.
        unscaled: Leave features as they are; the paper standardises them by the real ones.
        checks: Write every single check as well, where the format is a table.
        format: How `output` is written.
        output: Write the table to this file as well.
        progress: Who is told how far it is.

    Returns:
        A row a check, with the columns experiment, case, title, desideratum, check, expected, metric, claim, verdict
        ("pass", "fail", "low", "high" or "no number") and detail.

    Raises:
        InputError: A name means nothing, a metric claims neither, a number is out of its bounds, or the file cannot be
            written.

    >>> benchbench.audit.metrics("precision", small=True).verdict.value_counts()  # doctest: +SKIP
    """
    if format not in get_args(Format):
        raise unknown_name("format", str(format), get_args(Format))
    path = checked_outputs({"--output": output})["--output"]
    names, some, networks = (_names(own) for own in (metrics, experiments, extractor))
    if dataset is None:
        if networks:
            raise InputError(
                "an extractor looks at images: name a dataset as well, for example --dataset digits"
            )
        extent = _extent_of(points, repeats, values, seed, small, unscaled)
        found = _on_points(names, some, extent, watching(progress))
    else:
        if some or small or unscaled or repeats is not None or values is not None:
            raise InputError("experiments, small, repeats, values and unscaled are of points, not of images")
        found = _on_images(dataset, names, networks, points, watching(progress))
    if path is not None:
        atomic_write(path, written(found, format, checks))
    return found


def _names(given: str | Iterable[str]) -> tuple[str, ...]:
    """The names that are given, split at commas; none where nothing is."""
    texts = (given,) if isinstance(given, str) else tuple(given)
    try:
        return split_names(texts) if texts else ()
    except ValueError as error:
        raise InputError(f"{given!r} are no names: {error}") from error


def _extent_of(
    points: int | None, repeats: int | None, values: int | None, seed: int, small: bool, unscaled: bool
) -> Extent:
    """How much is drawn: what is said, else what `small` or the paper has."""
    said = {"points": points, "repeats": repeats, "values": values}
    asked = {name: value for name, value in said.items() if value is not None}
    return replace(SMALL if small else Extent(), seed=seed, standardised=not unscaled, **asked)


def _on_points(
    names: Sequence[str], experiments: Sequence[str], extent: Extent, progress: Progress
) -> pd.DataFrame:
    """The checks of the experiments."""
    chosen = audited(names)
    return judged(measured(chosen, experiments, extent, progress), chosen)


def _on_images(
    name: str, names: Sequence[str], extractors: Sequence[str], points: int | None, progress: Progress
) -> pd.DataFrame:
    """The checks of what is seen on the images of a dataset."""
    n = Extent(points=N if points is None else points).points
    dataset = load_dataset(name, progress=progress)
    frames = []
    for one in extractors or (dataset.extractor or "efficientnet_lite0",):
        network = load_extractor(one)
        chosen = (
            select_metrics(names, [network.name])
            if names
            else [*select_metrics(["fd"], [network.name]), *audited((), network.name)]
        )
        found = disturbed(dataset, network, chosen, n, progress=progress)
        frames.append(judged_images(found, chosen))
    return pd.concat(frames, ignore_index=True)
