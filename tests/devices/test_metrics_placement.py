"""Every metric on evidence that lives on a device: nothing is left on the CPU, and the number is the same.

What they are compared with is the same metric on the CPU. The arithmetic is the CPU's on both sides; only how rows are
cut into tiles differs, which moves float64 sums in their last digits: 1e-9, relative. `benchmarks/gpu.py` does the
same on a card.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
from pretend_cuda import CUDA, DeviceTensor, Traffic

from benchbench.core.errors import MetricFailed
from benchbench.core.registry import EXTRACTORS, METRICS
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import CaptionEvidence, Evidence, FeatureEvidence
from benchbench.metrics.metric import Estimate, Metric
from benchbench.metrics.pairs.paired import PairedMetric
from benchbench.metrics.select import balanced, build_metric

pytestmark = pytest.mark.costly

N_REAL = 1200  # `ndb` wants a thousand, and fewer generated ones for `balanced` to cut
N_FAKE = 700
DIM = 12  # 4 × 12 images and more: `fd_infinity` is there
FAMILIES = sorted(
    name
    for name, family in METRICS.items()
    if not (issubclass(family, PairedMetric) and not family.uses_extractor)
)


def extractor_of(family: type[Metric]) -> str:
    """One on which the family is defined; of dots where it counts them, of CLIP where it asks for that."""
    able = [name for name in EXTRACTORS.names() if family.defined_on(name)]
    return next((name for name in ("cnn_digits", "clip_vit_b_32", "modes_grid25") if name in able), able[0])


def evidence_for(extractor: str, seed: int = 0) -> Evidence:
    """Seeded Gaussians of which the generated ones are shifted and hold ten copies of one; logits of ten classes."""
    rng = torch.Generator().manual_seed(seed)

    def side(n: int, shift: float) -> FeatureEvidence:
        features = torch.randn(n, DIM, generator=rng) + shift
        features[:10] = features[0].clone()
        classes = 25 if extractor == "modes_grid25" else 10
        return FeatureEvidence(Moments.of(features), features, torch.randn(n, classes, generator=rng))

    variants = torch.randn(30, 4, DIM, generator=rng)
    asked = torch.randint(0, 10, (N_FAKE,), generator=rng)
    return Evidence(
        {
            "generated": {extractor: side(N_FAKE, 0.3)},
            "reference": {extractor: side(N_REAL, 0.0)},
            "held_out": {extractor: side(N_REAL, 0.05)},
            "sources": {extractor: side(N_FAKE, 0.2)},
            "variants": {extractor: FeatureEvidence(Moments.of(variants.flatten(0, 1)), variants)},
        },
        labels=asked,
        reference_labels=torch.randint(0, 10, (N_REAL,), generator=rng),
        captions=CaptionEvidence({extractor: torch.randn(10, DIM, generator=rng)}, asked),
    )


def answer(metric: Metric, evidence: Evidence) -> Estimate | str:
    """The number, or why there is none."""
    try:
        return metric.compute(evidence)
    except MetricFailed as failure:
        return failure.reason


def metric_of(name: str) -> Metric:
    """On an extractor where it is defined."""
    return build_metric(name, extractor_of(METRICS.get(name)))


@cache
def expected_of(name: str) -> Estimate | str:
    """What the family answers here."""
    metric = metric_of(name)
    evidence = evidence_for(metric.extractor or "")
    return answer(metric, balanced(evidence) if metric.balanced else evidence)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_metric_on_the_device(name: str, cuda: Traffic) -> None:
    """Value and interval, or the same refusal."""
    metric = metric_of(name)
    if isinstance(metric, PairedMetric):
        pytest.skip("reads values of pairs, which are scored as they come: test_images_placement")
    assert metric.extractor is not None
    there = evidence_for(metric.extractor).to(CUDA)
    assert isinstance(there.features("generated", metric.extractor), DeviceTensor)
    if metric.balanced:
        there = balanced(there)
    expected, result = expected_of(name), answer(metric, there)
    if isinstance(expected, str) or isinstance(result, str):
        assert result == expected
        return
    assert (expected.low is None) == (result.low is None)
    expected_numbers, numbers = ([e.value, e.low or 0, e.high or 0] for e in (expected, result))
    assert numbers == pytest.approx(expected_numbers, rel=1e-9, abs=1e-12)


def test_the_list_is_not_of_refusals(cuda: Traffic) -> None:
    """All but a few families answer on this evidence: the test above compares numbers, not sentences."""
    assert sum(isinstance(expected_of(name), str) for name in FAMILIES) <= 5


def test_features_stay_where_they_are(cuda: Traffic) -> None:
    """The Fréchet distance of features on the device copies nothing of their size to the host."""
    evidence = evidence_for("cnn_digits").to(CUDA)
    cuda.reset()
    METRICS.get("fd")("cnn_digits").compute(evidence)
    assert cuda.to_host < DIM * DIM * 8
