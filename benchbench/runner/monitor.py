"""Looking at a generator while it trains: a few numbers, cheap enough for every few hundred steps.

Pattern: one extractor, the same noise every time, and reference features that are read once and kept by the cache that
the final evaluation uses too. The numbers are those of the metrics room without their intervals.

Trade-offs: at most 2,000 samples against the training split, and neighbourhoods among at most 1,000 a side. So the
numbers compare with each other along a run, not with the record, whose counts are larger. The seed of the noise is
none that a run can have: what is scanned is never what is scored.

Where weights are selected by the distance (`checkpoint=best`) it is the distance to a validation part of the training
split, on which nothing is trained (`training.validation`): the nearest weights to the images they were trained on
would be those that remember most. Everything else, which only the alarm reads, is against the whole training split, of
which a tenth could not even show that a class is missing. The reference of the record stays the whole training
split too, so that the row compares with others: a tenth of it, or what the record names, was scanned.

Scope: the extractor is the classifier of the dataset's own classes where its weights are at hand (it is also the
cheapest), else the first one that was asked for; then there are no classes to report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.progress import SILENT, Progress
from benchbench.core.registry import EXTRACTORS
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import permutation
from benchbench.data.pipeline.image_source import Images
from benchbench.features.extract import Extracted, extract
from benchbench.features.extractor import Extractor
from benchbench.features.moments import Moments
from benchbench.features.reference_cache import reference_features
from benchbench.metrics.sets.frechet import frechet_distance
from benchbench.metrics.sets.mode_collapse import (
    ALIKE,
    class_kl,
    class_shares,
    has_twin,
    typical_distance,
)
from benchbench.metrics.sets.modes import ModesCovered, class_extractor, class_histogram, classes_of
from benchbench.metrics.sets.prdc import prdc
from benchbench.runner.extractors import ExtractorLoader, ExtractorSet
from benchbench.tasks.generation import generate, labels_for
from benchbench.training.validation import validation_parts
from benchbench.training.watch.monitor import (
    CLASS_KL,
    COVERAGE,
    DISTANCE,
    DUPLICATES,
    MODES,
    REAL_DUPLICATES,
    RECALL,
)

SAMPLES = 2000
SHOWN = 64  # of them, where somebody looks on
NEIGHBOURS = 1000  # images a side among which neighbours are looked for
FEWEST = 6  # with 5 neighbours each
SEED = 2**32  # of the noise and of choices; runs have seeds below it
VERSION = 2  # raised whenever the same model would get other numbers


@dataclass(frozen=True)
class Known:
    """What is known of the real images: how many they are, moments of those the distance is taken to, features of
    some, the class shares of all (None where the extractor knows no classes), the distance below which two images
    count as one, and the share of `features` that have another so close."""

    n: int
    moments: Moments
    features: Tensor
    shares: Tensor | None
    alike: float
    duplicates: float

    @classmethod
    def of(cls, real: Extracted, extractor: str, selected_by: Tensor | None = None) -> Known:
        """From all that `extractor` says of the real images; `InputError` for fewer than 6 of them. selected_by: rows
        of those the distance is taken to, int64; all by default."""
        assert real.features is not None
        if real.moments.n < FEWEST:
            raise InputError(
                f"scanning samples needs at least {FEWEST} training images to compare them with but there are "
                f"{real.moments.n}; leave monitor_every at 0"
            )
        some = real.features[permutation(SEED, real.moments.n)[:NEIGHBOURS]]
        alike = ALIKE * typical_distance(some)
        shares = None
        if real.logits is not None and ModesCovered.defined_on(extractor):
            shares = class_histogram(real.logits, extractor).double() / len(real.logits)
        moments = real.moments if selected_by is None else Moments.of(real.features[selected_by])
        return cls(real.moments.n, moments, some, shares, alike, _share(has_twin(some, alike)))


def panel_numbers(generated: Extracted, known: Known, extractor: str) -> dict[str, float]:
    """The columns of `training.watch.monitor` that can be known, from what `extractor` says of generated images."""
    assert generated.features is not None
    mine, real = generated.moments, known.moments
    some = generated.features[: len(known.features)]
    near = prdc(known.features, some)
    numbers = {
        DISTANCE: frechet_distance(mine.mean, mine.covariance, real.mean, real.covariance),
        RECALL: near["recall"],
        COVERAGE: near["coverage"],
        DUPLICATES: _share(has_twin(some, known.alike)),
        REAL_DUPLICATES: known.duplicates,
    }
    if known.shares is not None:
        assert generated.logits is not None
        classes = classes_of(generated.logits, extractor)
        labels = classes[classes >= 0]
        numbers[MODES] = float(len(labels.unique()))
        # Of a class that no real image has, KL is infinite: then it has no value in this row.
        if len(labels) and bool((known.shares[labels] > 0).all()):
            numbers[CLASS_KL] = max(0.0, class_kl(labels, known.shares) - _kl_bias(labels, known))
    return numbers


def _kl_bias(labels: Tensor, known: Known) -> float:
    """What two finite samples add to the KL of their class shares, to first order: (m − 1)/2N for m classes seen among
    N samples (Miller 1955), and (Σ p/q − 1)/2M for shares q of M real images. With 1,000 classes and 2,000 samples it
    is a quarter of a nat, for a generator that stands on one class nothing."""
    assert known.shares is not None
    shares = class_shares(labels, len(known.shares))
    held = shares > 0
    ratio = float((shares[held] / known.shares[held]).sum())
    return (int(held.sum()) - 1) / (2 * len(labels)) + (ratio - 1) / (2 * known.n)


def _share(hits: Tensor) -> float:
    return float(hits.double().mean())


class Panel:
    """A `training.watch.monitor.Monitor`: one extractor, what it knows of the training split, and how many samples to
    draw."""

    def __init__(
        self,
        extractor: Extractor,
        images: Images,
        labels: Tensor | None,
        *,
        device: torch.device,
        selects: bool = False,
        progress: Progress = SILENT,
        shown: Callable[[int, Tensor], None] | None = None,
    ) -> None:
        """images, labels: the training split, labels int64 (N,) or None. selects: whether weights are chosen by the
        distance, which is then that to the validation part. shown: who is shown the first samples of every scan, with
        the steps done; uint8 RGB, N×3×H×W."""
        real = reference_features(
            images,
            extractor,
            need_features=True,
            need_logits=ModesCovered.defined_on(extractor.name),
            runtime=Runtime(device, progress=progress),
            title=f"{extractor.name} on reference images",
        )
        self.extractor, self.labels, self.device = extractor, labels, device
        self.n, self.shown = panel_size(len(images)), shown
        rows = validation_parts(images, labels).validation if selects else None
        self.known = Known.of(real, extractor.name, rows)

    def panel(self, model: nn.Module, step: int) -> dict[str, float]:
        """Numbers by column of `training.watch.monitor`; the same model gives the same numbers at every step."""
        labels = labels_for(model, self.labels, SEED, self.n)  # type: ignore[arg-type]  # plans watch Generators
        images = generate(model, range(self.n), seed=SEED, labels=labels, runtime=Runtime(self.device))  # type: ignore[arg-type]
        first: list[Tensor] = []
        seen = extract(
            self._kept(images, first),
            self.extractor,
            need_features=True,
            need_logits=self.known.shares is not None,
            total=self.n,
        )
        if self.shown is not None:
            self.shown(step, torch.cat(first)[:SHOWN])
        return panel_numbers(seen, self.known, self.extractor.name)

    def _kept(self, images: Iterable[Tensor], first: list[Tensor]) -> Iterator[Tensor]:
        """The same batches; the first images are put aside where somebody is shown them."""
        for batch in images:
            if self.shown is not None and sum(map(len, first)) < SHOWN:
                first.append(batch)
            yield batch

    def describe(self) -> dict[str, Any]:
        """`describe_panel` of this one."""
        return {**describe_panel(self.extractor, self.known.n), "distance_to": self.known.moments.n}


def panel_size(n_train: int) -> int:
    """How many samples a panel draws."""
    return min(SAMPLES, n_train)


def describe_panel(extractor: Extractor, n_train: int) -> dict[str, Any]:
    """What the numbers of a panel depend on beside the model and the data, for keys and for run.json."""
    described = extractor.describe()
    kept = {name: described[name] for name in ("weights_sha256", "resize", "precision")}
    return {
        "judge": extractor.name,
        **kept,
        "n_samples": panel_size(n_train),
        "n_reference": n_train,
        "version": VERSION,
    }


def choose_watcher(
    dataset: str, extractors: Sequence[str], loaded: ExtractorSet, load: ExtractorLoader, precision: str
) -> Extractor:
    """The classifier of the dataset's own classes where its weights are at hand, else the first of `extractors` that
    is.

    loaded: those that are loaded already, as they are; the others compute in `precision`, but for the dataset's own,
    which is float32. `InputError` where there is none.
    """
    failures = dict(loaded.failures)
    own = class_extractor(dataset, EXTRACTORS.names())
    for name in [*([own] if own else []), *extractors]:
        if name in loaded.loaded:
            return loaded.loaded[name]
        if name not in failures:
            try:
                return load(name, "float32" if name == own else precision)
            except MetricFailed as failure:
                failures[name] = failure
    reasons = "; ".join(f"{name}: {failure.reason}" for name, failure in failures.items())
    raise InputError(f"scanning samples while training needs a network, and there is none here ({reasons})")
