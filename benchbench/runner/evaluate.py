"""`benchbench.evaluate`: images that others made, scored against a reference.

Pattern: one pass. Every image goes through every extractor once, whatever the metrics, while the next ones are
being decoded; pairs are compared in the same pass. The reference is read once for its pixels and answered from
the cache of reference features where they are known.

Trade-offs: what the images are is known when all of them have been read, and so is the key of the record. The
first evaluation does not read them twice to learn it beforehand. Only where a finished record answers the same
question (same names, reference, metrics and networks) are they read first, without any network, to tell
whether they are still the same; then that record is the answer.

A metric that cannot be computed (too few images for k = 5, say) is a row with its reason, and the others stand.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from benchbench.core.device import describe_machine, resolve_device
from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.hashing import digest
from benchbench.core.progress import SILENT, Progress
from benchbench.data.fingerprint import combine_in_order
from benchbench.data.streams import ImageStream, pairs
from benchbench.metrics.metric import Evidence, FeatureEvidence, Metric
from benchbench.metrics.paired import PairedMetric, PairReader
from benchbench.metrics.select import Outcome, score, select_metrics
from benchbench.results.key import cell_key
from benchbench.results.load import load_results
from benchbench.results.provenance import collect_provenance, read_run_json, utc_now
from benchbench.results.record import Row
from benchbench.results.store import METRICS, RUN, Store
from benchbench.results.tables import to_frame, write_rows
from benchbench.runner.evidence import Failures, Sides, gather
from benchbench.runner.evidence import reference as reference_evidence
from benchbench.runner.judges import Judges, load_judges
from benchbench.runner.rows import Counts, metric_rows
from benchbench.runner.sources import Reference, Samples, open_reference, open_samples
from benchbench.views.grid import image_grid

GRID = 64  # images a panel of samples.png
BATCH = 64  # images at once where no extractor has a preference


class Evaluated(NamedTuple):
    """The rows, what a reader should know of them, the folder of the record (None if there is none), and whether
    that was there before."""

    rows: pd.DataFrame
    notes: list[str]
    path: Path | None
    cached: bool


def evaluate(
    images: Samples, reference: Samples, metrics: Sequence[str] = ("standard",), **options: Any
) -> pd.DataFrame:
    """Score `images` against `reference`: one line a number, with the columns of `load_results`.

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
    metrics: Sequence[str] = ("standard",),
    *,
    extractors: Sequence[str] | None = None,
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

    metrics: names, "standard" or "all"; metrics on pairs are computed only if named, and then image i is held
    against the reference image of its name (or place). extractors: by default efficientnet_lite0, or the network
    of the reference's statistics (inception_v3 where these do not say). out: the folder for the record. seed: of
    a generator's noise and of the choice of as many reference images as samples for the metrics that need it.
    size: bring the images of both sides to size×size. source: name, samples, kind, latent and classes of
    `runner.sources.open_samples`.

    `InputError` for anything that cannot be used; nothing is then written.
    """
    store = None if out is None else Store(Path(out))
    if store is not None:
        store.check_writable()
    where = resolve_device(device)
    against = open_reference(reference, size=size, allow_pickle=allow_pickle, progress=progress)
    chosen = _select(metrics, extractors or _default_extractors(against))
    samples = open_samples(
        images, seed=seed, size=size, allow_pickle=allow_pickle, device=where, progress=progress, **source
    )
    _check_numbers(samples, against, chosen)
    plan = Evaluation(samples, against, chosen, load_judges(chosen, where), seed)
    if against.statistics is not None:
        for judge in plan.judges.extractors.values():
            against.statistics.check(judge)
    if against.images is not None:
        against.images.look(progress)
    before = None if store is None else _finished(plan, store, progress)
    if before is not None:
        return Evaluated(load_results(before), read_run_json(before / RUN)["notes"], before, cached=True)

    provenance, start = collect_provenance(), time.perf_counter()
    scored = _score(plan, where, batch_size, progress)
    if store is None:
        return Evaluated(to_frame(scored.rows), scored.notes, None, cached=False)
    run: dict[str, Any] = {
        "provenance": provenance,
        "machine": describe_machine(where),
        "variant": plan.variant,
        "seed": seed,
        "n_samples": samples.n,
        "request": plan.request,
        "samples": {
            "n": samples.n,
            "fingerprint": samples.fingerprint,
            "size": list(scored.samples.shape[2:]),
        },
        "data": {
            "fingerprint": against.fingerprint,
            "n": against.n,
            "imported": against.statistics is not None and against.statistics.extractor is None,
            "statistics_sha256": against.statistics.sha256 if against.statistics else None,
            "size": None if scored.real is None else list(scored.real.shape[2:]),
        },
        "notes": scored.notes,
        "extractors": plan.judges.describe(),
        "seconds": {"evaluation": round(time.perf_counter() - start, 3)},
        "finished": utc_now(),
    }
    with store.write(plan.dataset_name, plan.model, plan.key, run) as folder:
        write_rows(folder / METRICS, scored.rows)
        panels = [("samples", scored.samples), ("reference", scored.real)]
        image_grid(
            [(label, _hwc(shown)) for label, shown in panels if shown is not None],
            folder / "samples.png",
            f"{plan.model} against {plan.dataset_name}",
        )
    path = store.cell_dir(plan.dataset_name, plan.model, plan.key)
    return Evaluated(load_results(path), scored.notes, path, cached=False)


@dataclass(frozen=True)
class Evaluation:
    """One evaluation, resolved; its `key` is known when the images of both sides have been read."""

    samples: ImageStream
    reference: Reference
    metrics: Sequence[Metric]
    judges: Judges
    seed: int
    variant: str = ""

    @property
    def model(self) -> str:
        """What the samples are called: there is no model here, only what it left."""
        return self.samples.name

    @property
    def dataset_name(self) -> str:
        """What the reference is called."""
        return self.reference.name

    def counts(self, paired: bool) -> Counts:
        """What went into a number."""
        if paired:
            return Counts("paired", self.samples.n, None)
        return Counts("generation", self.samples.n, self.reference.n)

    @property
    def request(self) -> str:
        """Digest of all that the numbers depend on but the pixels of the samples."""
        specifications = [self.judges.specification(metric) for metric in self.metrics]
        asked = [self.model, self.samples.n, self.dataset_name, self.reference.identity, self.seed]
        return digest([asked, specifications])

    @property
    def key(self) -> str:
        """The key of the record. It holds the pixels of both sides in their order: the Inception Score shuffles
        them by seed, and the choice of reference images goes by place."""
        return cell_key(
            model_code=combine_in_order(self.samples.digests),
            hyper={"name": self.model},
            training=None,
            weights_sha256=None,
            dataset_fingerprint=self.reference.identity,
            task={"names": ["evaluate"], "reference": self.dataset_name},
            metrics=[self.judges.specification(metric) for metric in self.metrics],
            n_samples=self.samples.n,
            seed=self.seed,
        )


@dataclass(frozen=True)
class Scored:
    """The numbers, what a reader should know of them, and the first images of both sides."""

    rows: list[Row]
    notes: list[str]
    samples: Tensor
    real: Tensor | None


def _select(names: Sequence[str], extractors: Sequence[str]) -> list[Metric]:
    """As `select_metrics`; but the sets of metrics leave out those on pairs, which not any two folders are."""
    chosen = select_metrics(names, extractors)
    return [metric for metric in chosen if "pairs" not in metric.needs or metric.name in names]


def _default_extractors(against: Reference) -> list[str]:
    if against.statistics is None:
        return ["efficientnet_lite0"]
    known = against.statistics.extractor
    return ["inception_v3" if known is None else known["name"]]


def _check_numbers(samples: ImageStream, against: Reference, metrics: Sequence[Metric]) -> None:
    of_sets = [metric for metric in metrics if "pairs" not in metric.needs]
    if of_sets and samples.n < 2:
        raise InputError(f"{samples.name} holds 1 image; a distribution needs at least 2")
    if any(metric.needs_reference for metric in of_sets) and against.n == 1:
        raise InputError(f"the reference {against.name} holds 1 image; a distribution needs at least 2")
    if len(of_sets) < len(metrics) and against.images is None:
        raise InputError(
            f"the reference {against.name} is statistics, and metrics on pairs need its images; give those"
        )


def _finished(plan: Evaluation, store: Store, progress: Progress) -> Path | None:
    """The record of this evaluation, if there is one; the samples are read only if there may be one."""
    asked_before = any(
        read_run_json(folder / RUN).get("request") == plan.request
        for folder in store.cells(plan.dataset_name, plan.model)
    )
    if not asked_before or plan.samples.once:
        return None
    plan.samples.look(progress)
    return store.find(plan.dataset_name, plan.model, plan.key)


def _score(plan: Evaluation, device: torch.device, batch_size: int | None, progress: Progress) -> Scored:
    reader = PairReader({m.family: m.per_image for m in plan.metrics if isinstance(m, PairedMetric)})
    generated, failures, shown = gather(
        _batches(plan, reader, device, batch_size or BATCH),
        plan.samples.n,
        plan.judges.extractors,
        plan.metrics,
        keep=GRID,
        batch_size=batch_size,
        progress=progress,
        title=f"judging {plan.samples.name}",
    )
    failures = {**plan.judges.failures, **failures}

    def judged(images: ImageStream | None, metrics: Sequence[Metric]) -> Sides:
        return {} if images is None else _real(plan, images, metrics, failures, batch_size, progress)

    real = judged(plan.reference.images, plan.metrics)
    held_out = judged(plan.reference.held_out, [m for m in plan.metrics if m.needs_held_out])
    possible, outcomes = list(plan.metrics), list[Outcome]()
    if plan.reference.statistics is not None:
        real = dict.fromkeys(plan.judges.extractors, FeatureEvidence(plan.reference.statistics.moments))
        possible, outcomes = _without_images(plan.metrics)
    with progress.stage("computing metrics", len(possible), "metric") as stage:
        evidence = Evidence(generated, real, reader.result(), failures, held_out)
        outcomes += score(possible, evidence, seed=plan.seed)
        stage.advance(len(possible))
    outcomes.sort(key=lambda outcome: outcome.metric.name)
    beside = _first_images(plan.reference.images)
    return Scored(list(metric_rows(plan, outcomes)), _notes(plan, shown, beside), shown, beside)


def _batches(plan: Evaluation, reader: PairReader, device: torch.device, batch_size: int) -> Iterator[Tensor]:
    """The samples; where metrics on pairs were asked for, `reader` compares each with its partner on the way."""
    if plan.reference.images is None or not any("pairs" in metric.needs for metric in plan.metrics):
        yield from plan.samples.batches(batch_size)
        return
    for x, y in pairs(plan.samples, plan.reference.images, batch_size):
        reader.show(x.to(device), y.to(device))
        yield x


def _real(
    plan: Evaluation,
    images: ImageStream,
    metrics: Sequence[Metric],
    failures: Failures,
    batch_size: int | None,
    progress: Progress,
) -> Sides:
    """What the judges say of real images; one that fails on them joins `failures`."""
    sides: Sides = {}
    for name in plan.judges.extractors.keys() - failures.keys():
        judge = {name: plan.judges.extractors[name]}
        try:
            sides |= reference_evidence(images, judge, metrics, batch_size=batch_size, progress=progress)
        except MetricFailed as failure:
            failures[name] = MetricFailed(f"{images.name}: {failure.reason}")
    return sides


def _without_images(metrics: Sequence[Metric]) -> tuple[list[Metric], list[Outcome]]:
    """Which metrics the mean and covariance of a reference are enough for, and the outcome of the others."""
    possible = [metric for metric in metrics if "moments" in metric.needs or not metric.needs_reference]
    reason = "the reference is statistics (a mean and a covariance) and this needs its images; give those"
    return possible, [Outcome(m, None, "failed", reason) for m in metrics if m not in possible]


def _first_images(stream: ImageStream | None) -> Tensor | None:
    return None if stream is None else next(stream.batches(min(GRID, stream.n)))


def _notes(plan: Evaluation, samples: Tensor, real: Tensor | None) -> list[str]:
    """What a reader of the record should know: of each side, and of the two together."""
    sides = ((plan.model, plan.samples.notes), (plan.dataset_name, plan.reference.notes))
    notes = [f"{name}: {note}" for name, side in sides for note in side]
    if real is None or plan.reference.images is None:
        return notes
    if samples.shape[2:] != real.shape[2:]:
        (h, w), (height, width) = samples.shape[2:], real.shape[2:]
        notes.append(f"samples are {w}×{h} and the reference is {width}×{height}; each network resizes both")
    mine, theirs = plan.samples.digests, plan.reference.images.digests
    known = set(theirs)
    copies = sum(image in known for image in mine)
    if sorted(mine) == sorted(theirs):
        notes.append("samples and reference are the same images")
    elif copies:
        notes.append(f"{copies} of {len(mine)} samples are, pixel by pixel, images of the reference")
    return notes


def _hwc(images: Tensor) -> Any:
    return images.permute(0, 2, 3, 1).cpu().numpy()
