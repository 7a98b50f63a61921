"""Extractors and metrics of other packages that write into what they are shown: nobody else's number changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from benchbench.core.runtime import Runtime
from benchbench.features.extractor import Features
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence, PairEvidence
from benchbench.metrics.metric import Aspect, Estimate, Metric, Need
from benchbench.metrics.pairs.paired import PairReader, mse
from benchbench.metrics.select import score, select_metrics
from benchbench.tasks.evidence import gather

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (50, 3, 8, 8), np.uint8))


class Linear:
    """Random features and logits of 8×8 images, which are as many as `dim` and `n_logits`."""

    name = "linear"
    dim = 5
    n_logits = 3
    resize = "none"
    input_side = None
    batch_size = 4
    weights_sha256 = "0" * 64

    def __call__(self, images: Tensor) -> Features:
        rng = torch.Generator().manual_seed(7)
        x = images.flatten(1).float() / 255
        return Features(x @ torch.randn(192, 5, generator=rng), x @ torch.randn(192, 3, generator=rng))

    def describe(self) -> dict[str, Any]:
        return {"name": self.name, "weights_sha256": "0" * 64, "resize": "none", "precision": "float32"}


def zeroed(images: Tensor) -> None:
    images.zero_()


def through_numpy(images: Tensor) -> None:
    images.numpy()[:] = 255


def a_view(images: Tensor) -> None:
    images[1:, :, ::2].add_(1)


def resized(images: Tensor) -> None:
    images.data.resize_(1)


WRITES: list[Callable[[Tensor], None]] = [zeroed, through_numpy, a_view, resized]


class Writer(Linear):
    """A judge that spoils its images after it has judged them, and hands out the same memory every time."""

    name = "writer"

    def __init__(self, write: Callable[[Tensor], None]) -> None:
        self.write = write
        self.features: Tensor | None = None

    def __call__(self, images: Tensor) -> Features:
        found = super().__call__(images)
        self.write(images)
        if self.features is None or len(self.features) != len(found.features):
            self.features = torch.empty_like(found.features)
        self.features.copy_(found.features)
        return Features(self.features, found.logits)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("last", [True, False])
def test_an_extractor_that_writes(write: Callable[[Tensor], None], last: bool) -> None:
    """Before or after it another reads the same images: both say what the judge says of the images alone, the picture
    shows them, and the caller's tensor is what it was. Oracle: the judge on a copy."""
    images = IMAGES.clone()
    expected = Linear()(IMAGES.clone()).features
    judges: dict[str, Any] = {"linear": Linear(), "writer": Writer(write)}
    names = ["linear", "writer"] if last else ["writer", "linear"]
    metrics: list[Any] = [_Reads(name) for name in names]
    sides, failures, shown = gather(
        images.split(20),
        len(images),
        {name: judges[name] for name in names},
        metrics,
        Runtime(torch.device("cpu"), 16),
        title="",
        keep=8,
    )
    assert not failures
    for name in names:
        assert torch.equal(sides[name].features, expected)  # type: ignore[arg-type]
        torch.testing.assert_close(sides[name].moments.mean, Moments.of(expected).mean)
    assert torch.equal(shown, IMAGES[:8])
    assert torch.equal(images, IMAGES)


class _Reads(Metric):
    """Spoils all that it was shown, and says nothing."""

    family = "spoils"
    aspect: ClassVar[Aspect] = "quality"
    higher_is_better = True
    needs: ClassVar[frozenset[Need]] = frozenset({"features", "logits", "moments"})

    def compute(self, evidence: Evidence) -> Estimate:
        for role in ("generated", "reference"):
            side = evidence.seen(role, self.extractor)
            for rows in (side.features, side.logits, side.moments.mean, side.moments.m2):
                if rows is not None:
                    rows.fill_(-1)
            side.moments.update(torch.ones(3, side.moments.dim))
        for pairs in evidence.pairs.values():
            for values in pairs.values.values():
                values.zero_()
        return Estimate(0.0)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("asked", ["fd", "kd", "precision", "fd,mse", "is", "density"])
def test_a_metric_that_writes(asked: str, first: bool) -> None:
    """Before or after the metric that writes, the others find what they find without it."""
    judge = Linear()

    def evidence() -> Evidence:
        sides = {}
        for role, images in (("generated", IMAGES[:25]), ("reference", IMAGES[25:])):
            rows = judge(images.clone()).features
            sides[role] = {"efficientnet_lite0": FeatureEvidence(Moments.of(rows), rows, rows.clone())}
        return Evidence(sides, {"truth": PairEvidence({"mse": torch.arange(5.0, dtype=torch.float64)})})

    metrics: list[Metric] = list(select_metrics(asked.split(","), ["efficientnet_lite0"]))
    expected = [outcome.estimate for outcome in score(metrics, evidence())]
    spoiler = _Reads("efficientnet_lite0")
    found = score([spoiler, *metrics] if first else [*metrics, spoiler], evidence())
    assert [outcome.estimate for outcome in found if outcome.metric is not spoiler] == expected


def test_ours_write_into_nothing() -> None:
    """What `score` takes for granted of the metrics of this package, and copies nothing for them: after all that are
    defined on these features (and some that fail on them), every tensor is what it was."""
    judge = Linear()
    sides = {}
    for role, images in (("generated", IMAGES[:25]), ("reference", IMAGES[25:]), ("held_out", IMAGES[10:35])):
        rows = judge(images.clone()).features
        sides[role] = {"efficientnet_lite0": FeatureEvidence(Moments.of(rows), rows, rows.clone())}
    evidence = Evidence(sides)
    before = evidence.copy("efficientnet_lite0")
    outcomes = score(select_metrics(["all"], ["efficientnet_lite0"]), evidence)
    assert sum(outcome.estimate is not None for outcome in outcomes) > 8
    for role, own in sides.items():
        kept = before.sets[role]["efficientnet_lite0"]
        side = own["efficientnet_lite0"]
        for one, other in ((side.features, kept.features), (side.logits, kept.logits)):
            assert one is not None
            assert other is not None
            assert torch.equal(one, other)
        assert torch.equal(side.moments.m2, kept.moments.m2)
        assert torch.equal(side.moments.mean, kept.moments.mean)


def test_a_copy_for_a_metric_on_several_networks() -> None:
    """What it writes into what either of its networks said reaches nobody; of a third one nothing is copied."""
    rows = Linear()(IMAGES[:4].clone()).features
    names = ("one", "other", "third")
    side = {name: FeatureEvidence(Moments.of(rows), rows.clone()) for name in names}
    copied = Evidence({"generated": side}).copy("one", "other").sets["generated"]
    for name in names:
        features = copied[name].features
        assert features is not None
        features.zero_()
    assert [torch.equal(side[name].features, rows) for name in names] == [True, True, False]  # type: ignore[arg-type]


@pytest.mark.parametrize("write", WRITES)
def test_a_metric_on_pairs_that_writes(write: Callable[[Tensor], None]) -> None:
    """Beside it the mean squared error of the same pairs is that of the images, and these stay what they were."""

    def spoils(x: Tensor, y: Tensor) -> Tensor:
        n = len(x)
        write(x)
        write(y)
        return torch.zeros(n)

    x, y = IMAGES[:25].clone(), IMAGES[25:].clone()
    reader = PairReader({"a": spoils, "mse": mse, "z": spoils})
    for a, b in zip(x.split(10), y.split(10), strict=True):
        reader.update(a, b)
    assert torch.equal(reader.compute().values["mse"], mse(IMAGES[:25], IMAGES[25:]))
    assert torch.equal(x, IMAGES[:25])
    assert torch.equal(y, IMAGES[25:])
