"""`benchbench.evaluate`: images that others made, scored against a reference.

Pattern: everything that can be refused is refused first, then one pass over the samples (`runner.evaluation`),
then the record. The reference is read for its pixels and answered from the cache of reference features where
they are known.

Trade-offs: what the images are is known when all of them have been read, and so is the key of the record. The
first evaluation does not read them twice to learn it beforehand. Only where a finished record answers the same
question (same names, reference, metrics and networks) are they read first, without any network, to tell
whether they are still the same; then that record is the answer.

A metric that cannot be computed (too few images for k = 5, say) is a row with its reason, and the others stand.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from benchbench.core.device import resolve_device
from benchbench.core.errors import InputError
from benchbench.core.progress import SILENT, Progress
from benchbench.core.runtime import Runtime
from benchbench.data.dataset import size_text
from benchbench.data.pipeline.streams import ImageStream
from benchbench.data.sources.options import SourceOptions
from benchbench.metrics.metric import Metric
from benchbench.metrics.select import select_metrics
from benchbench.metrics.sets.modes import ConditionalAccuracy
from benchbench.results.load import load_results
from benchbench.results.manifest import Artefact, ImagesEvaluated, RunManifest, SampleFacts, Seconds
from benchbench.results.provenance import read_manifest
from benchbench.results.store import METRICS, RUN, Store
from benchbench.results.tables import to_frame, write_rows
from benchbench.runner.describe import before, describe_data, stated
from benchbench.runner.evaluation import Evaluation, Scored, score_images
from benchbench.runner.judges import Chosen, ExtractorLoader, choose_extractors, enlarged_notes, load_chosen
from benchbench.runner.labels import checked_name
from benchbench.runner.sources import Reference, Samples, generator_sha256, open_reference, open_samples
from benchbench.views.grid import image_grid

PICTURE = Artefact(
    file="samples.png", kind="samples", caption="the images that were scored, and the reference"
)


class Evaluated(NamedTuple):
    """The rows, what a reader should know of them, the folder of the record (None if none was asked for), and
    whether that was there before."""

    rows: pd.DataFrame
    notes: list[str]
    path: Path | None
    cached: bool


def evaluate(
    images: Samples, reference: Samples, metrics: str | Sequence[str] = "standard", **options: Any
) -> pd.DataFrame:
    """Score `images` against `reference`: one line a number, with the columns of `results.record.Row`, of a record that
    was written also those that `load_results` adds.

    images, reference: a spec as on the command line ("samples/", "samples.zip", "cifar10:train", …) or uint8 RGB
    tensors N×3×H×W, one or several; the reference may also be an .npz of statistics. options: the keyword
    arguments of `evaluate_images`; without `out` no record is written. What a reader of the numbers should know
    is in `.attrs["notes"]`.

    >>> frame = benchbench.evaluate(images, "cifar10:train", ["fd", "kd"])  # doctest: +SKIP
    """
    found = evaluate_images(images, reference, metrics, **options)
    found.rows.attrs["notes"] = found.notes
    return found.rows


def evaluate_images(
    images: Samples,
    reference: Samples,
    metrics: str | Sequence[str] = "standard",
    *,
    extractors: str | Sequence[str] | None = None,
    precision: str = "float32",
    name: str | None = None,
    out: Path | str | None = None,
    seed: int = 0,
    size: int | None = None,
    allow_pickle: bool = False,
    device: str = "auto",
    batch_size: int | None = None,
    progress: Progress = SILENT,
    **source: Any,
) -> Evaluated:
    """What `evaluate` and the command do.

    metrics: names, "standard" or "all", in a list or with commas; metrics on pairs are computed only if named,
    and then image i is held against the reference image of its name (or place). extractors: likewise, by default
    those of `run` on the reference's dataset, else efficientnet_lite0, or the network of the reference's statistics
    (inception_v3 where these do not say). precision: what they compute in, float32, bfloat16 or float16. name: what
    rows call whatever made the images, instead of where they lie. out: the folder for the record. seed: of a
    generator's noise; samples of one name under several seeds are replicates. size: bring the images of both sides to
    size×size. source: samples, kind, latent and classes of `data.sources.options.SourceOptions`.

    `InputError` for anything that cannot be used; nothing is then written.
    """
    name = checked_name(name)
    store = None if out is None else Store(Path(out))
    if store is not None:
        store.check_writable()
    where = resolve_device(device)
    reading = SourceOptions(size=size, allow_pickle=allow_pickle)
    against = open_reference(reference, reading, progress)
    load = ExtractorLoader(where)
    readers = _extractors(extractors, against, load)
    chosen = _select(_names(metrics), readers)
    generating = replace(reading, seed=seed, device=where, **source)
    samples = open_samples(images, generating, progress)
    _check_numbers(samples, against, chosen)
    named = {metric.name for metric in chosen if not {metric.family, metric.name}.isdisjoint(_names(metrics))}
    chosen, judges = load_chosen(chosen, readers, named, load, precision, progress)
    plan = Evaluation(
        samples,
        against,
        chosen,
        judges,
        readers.names,
        seed,
        name,
        limited=source.get("samples") is not None,
        judge_notes=[*readers.notes, *enlarged_notes(against.dataset, judges)],
    )
    if against.statistics is not None:
        for judge in plan.judges.extractors.values():
            against.statistics.check(judge)
    if against.images is not None:
        against.images.look(progress)
    done = None if store is None else _finished(plan, store, progress)
    if done is not None:
        return Evaluated(load_results(done), _notes_of(read_manifest(done / RUN)), done, cached=True)

    known, start = before(where), time.perf_counter()
    scored = score_images(plan, Runtime(where, batch_size, progress))
    if store is None:
        return Evaluated(to_frame(scored.rows), scored.notes, None, cached=False)
    seconds = Seconds(evaluation=round(time.perf_counter() - start, 3))
    shown = SampleFacts(
        n=samples.n,
        fingerprint=samples.fingerprint,
        size=size_text(scored.samples),
        options={option: value for option, value in source.items() if value is not None},
        generator_sha256=generator_sha256(images, generating),
    )
    common = stated(plan, known, _data(plan.reference, scored), seconds=seconds, artefacts=[PICTURE])
    run = ImagesEvaluated(**common.stated(), samples=shown, request=plan.request)
    path = _record(plan, scored, run, store)
    return Evaluated(load_results(path), scored.notes, path, cached=False)


def _record(plan: Evaluation, scored: Scored, run: ImagesEvaluated, store: Store) -> Path:
    """Write the record. Returns its folder."""
    samples = plan.samples
    with store.write(plan.dataset_name, samples.name, plan.key, run) as folder:
        write_rows(folder / METRICS, scored.rows)
        panels = [("samples", scored.samples), ("reference", scored.real)]
        image_grid(
            [(label, images.permute(0, 2, 3, 1).numpy()) for label, images in panels if images is not None],
            folder / PICTURE.file,
            f"{plan.model} against {plan.dataset_name}",
        )
    return store.cell_dir(plan.dataset_name, samples.name, plan.key)


def _data(against: Reference, scored: Scored) -> dict[str, Any]:
    """What the reference is, as `describe_data` says it of the data of a run. Statistics know no size: theirs is that
    of the samples that were held against them."""
    whole = {} if against.dataset is None else describe_data(against.dataset)
    return {
        **whole,
        "fingerprint": against.fingerprint,
        "n": against.n,
        "imported": against.imported,
        "statistics_sha256": against.statistics.sha256 if against.statistics else None,
        "size": size_text(scored.samples if scored.real is None else scored.real),
        "notes": scored.notes,
    }


def _notes_of(run: RunManifest) -> list[str]:
    """The notes in a run.json, which older ones have beside `data`."""
    of_data = None if run.data is None else run.data.notes
    return list(run.notes or () if of_data is None else of_data)


def _select(names: Sequence[str], readers: Chosen) -> list[Metric]:
    """As `select_metrics`; but the sets of metrics leave out those on pairs, which not any two folders are, and
    those on classes that were asked for, which nobody did of images that are there."""
    chosen = select_metrics(names, readers.names, readers.own)
    return [
        metric
        for metric in chosen
        if not {metric.family, metric.name}.isdisjoint(names)
        or not ("truth" in metric.needs or isinstance(metric, ConditionalAccuracy))
    ]


def _extractors(asked: str | Sequence[str] | None, against: Reference, load: ExtractorLoader) -> Chosen:
    names = None if asked is None else _names(asked)
    if names is None and against.statistics is not None:
        known = against.statistics.extractor
        names = ["inception_v3" if known is None else known["name"]]
    return choose_extractors(names, against.dataset, load)


def _names(names: str | Sequence[str]) -> Sequence[str]:
    return names.split(",") if isinstance(names, str) else names


def _check_numbers(samples: ImageStream, against: Reference, metrics: Sequence[Metric]) -> None:
    of_sets = [metric for metric in metrics if "truth" not in metric.needs]
    if of_sets and samples.n < 2:
        raise InputError(f"{samples.name} holds 1 image; a distribution needs at least 2")
    if any(metric.needs_reference for metric in of_sets) and against.n == 1:
        raise InputError(f"the reference ({against.name}) holds 1 image; a distribution needs at least 2")
    if len(of_sets) < len(metrics) and against.images is None:
        raise InputError(
            f"the reference ({against.name}) is statistics, and metrics on pairs need its images; give those"
        )


def _finished(plan: Evaluation, store: Store, progress: Progress) -> Path | None:
    """The record of this evaluation, if there is one; the samples are read only if there may be one."""
    asked_before = any(
        read_manifest(folder / RUN).request == plan.request
        for folder in store.cells(plan.dataset_name, plan.samples.name)
    )
    if not asked_before or plan.samples.once:
        return None
    plan.samples.look(progress)
    return store.find(plan.dataset_name, plan.samples.name, plan.key)
