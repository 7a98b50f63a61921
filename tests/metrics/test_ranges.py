"""Every registered metric: it says its scale and its range, and whatever it is shown, its number lies within that
range and within its own interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.core.registry import METRICS
from benchbench.core.scales import from_scale, to_scale
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import CaptionEvidence, Evidence, FeatureEvidence, PairEvidence
from benchbench.metrics.metric import Estimate, Family, Metric, Output, output_of
from benchbench.metrics.pairs.cycle import CYCLE_EXACT
from benchbench.metrics.select import balanced, build_metric

pytestmark = pytest.mark.costly

FAMILIES = METRICS.names()
JUDGES = ("cnn_digits", "modes_grid25", "clip_vit_b_32", "clip_folder", "efficientnet_lite0", "inception_v3")

# What generated images may be, given real ones N×D: fresh, a copy of the set, one point, two points, near copies,
# far off.
KINDS: dict[str, Callable[[Tensor, int, torch.Generator], Tensor]] = {
    "fresh": lambda real, n, rng: torch.randn(n, real.shape[1], generator=rng),
    "the same set": lambda real, n, rng: real.clone(),
    "one point": lambda real, n, rng: torch.randn(1, real.shape[1], generator=rng).repeat(n, 1),
    "two points": lambda real, n, rng: torch.randn(2, real.shape[1], generator=rng).repeat(n, 1)[:n],
    "copies": lambda real, n, rng: real[torch.randint(len(real), (n,), generator=rng)],
    "near": lambda real, n, rng: 1e-3 * torch.randn(n, real.shape[1], generator=rng),
    "far": lambda real, n, rng: 1e4 + torch.randn(n, real.shape[1], generator=rng),
}


def built(family: str) -> Metric:
    """The metric on an extractor that it is defined on, or on pairs."""
    metric = METRICS.get(family)
    if not metric.uses_extractor:
        return build_metric(family)
    return build_metric(family, next(name for name in JUDGES if metric.defined_on(name)))


def features_evidence(metric: Metric, kind: str, n: int, m: int, d: int, seed: int) -> Evidence:
    """Both sides with features, and logits of d classes among which −5 … 0 of a judge of dots are some within 3σ."""
    rng = torch.Generator().manual_seed(seed)
    real = torch.randn(m, d, generator=rng)
    fake = KINDS[kind](real, n, rng)

    def side(x: Tensor) -> FeatureEvidence:
        return FeatureEvidence(Moments.of(x), x, -5 * x.abs())

    name = metric.extractor or ""
    found = Evidence({"generated": {name: side(fake)}, "reference": {name: side(real)}})
    if metric.balanced:
        found = balanced(found)
    held_out = side(torch.randn(max(m // 2, 1), d, generator=rng))
    sources = side(KINDS["copies"](real, len(fake), rng))
    variants = fake[:, None] + torch.randn(len(fake), 3, d, generator=rng) * (seed % 3)
    beside = {
        "held_out": {name: held_out},
        "sources": {name: sources},
        "variants": {name: FeatureEvidence(Moments.of(variants.flatten(0, 1)), variants)},
    }
    asked = torch.randint(d, (len(fake),), generator=rng)
    told = CaptionEvidence({name: real}, torch.randint(m, (len(fake),), generator=rng))
    return replace(found, sets={**found.sets, **beside}, labels=asked, captions=told)


def check(estimate: Estimate, output: Output) -> None:
    low_end, high_end = estimate.ends or output.ends
    scale = output.scale
    numbers = [estimate.low, estimate.value, estimate.high]
    if estimate.low is None or estimate.high is None:
        assert estimate.low is estimate.high is estimate.interval is None
        numbers = [estimate.value]
    for number in numbers:
        assert number is not None
        assert math.isfinite(number)
        assert low_end is None or number >= low_end
        assert high_end is None or number <= high_end
    assert numbers == sorted(numbers)  # type: ignore[type-var]
    if scale == "arcsine":
        assert None not in (low_end, high_end)
    moved = to_scale(estimate.value, scale, (low_end, high_end))
    assert from_scale(moved, scale, (low_end, high_end)) == pytest.approx(estimate.value, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_says_its_scale_and_its_range(family: str) -> None:
    """On the class or a base of its room, never left to `Metric`'s defaults; a log scale has no negative numbers, an
    arcsine has two ends or gets the second from the evidence."""
    metric = METRICS.get(family)
    if not issubclass(metric, Family):
        for said in ("scale", "ends"):
            owner = next(base for base in metric.__mro__ if said in base.__dict__)
            assert owner is not Metric, f"{family} leaves its {said} to chance"
    output = output_of(metric, family)
    low, high = output.ends
    if output.scale in ("log", "arcsine"):
        assert low is not None
    if output.scale == "log":
        assert low is not None
        assert low >= 0
    if output.scale == "arcsine":
        assert high is not None or family == "modes"


@pytest.mark.parametrize("family", [name for name in FAMILIES if METRICS.get(name).uses_extractor])
@settings(deadline=None, max_examples=25)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    n=st.sampled_from([1, 2, 3, 6, 7, 12, 60]),
    m=st.sampled_from([1, 2, 6, 11, 60]),
    d=st.sampled_from([1, 3, 12]),
    seed=st.integers(0, 10**6),
)
def test_numbers_of_features_stay_in_their_range(
    family: str, kind: str, n: int, m: int, d: int, seed: int
) -> None:
    """low ≤ value ≤ high, all within the range, and the value comes back from its scale (1e-9: a square and a
    root). What cannot be computed says so instead."""
    metric = built(family)
    evidence = features_evidence(metric, kind, n, m, d, seed)
    if "style" in metric.needs:
        values = torch.rand(n, generator=torch.Generator().manual_seed(seed)) * (seed % 2)
        evidence = Evidence(pairs={"style": PairEvidence({metric.name: values.double()})})
    try:
        check(metric.compute(evidence), metric.output)
    except MetricFailed:
        return


@pytest.mark.parametrize("family", ["fd", "kd", "is"])
def test_what_stands_beside_stays_in_its_range(family: str) -> None:
    """1,000 images of three dimensions of one distribution, whose extrapolation and unbiased distance have either
    sign in some draws: both numbers are there, and lie in ranges of their own."""
    metric, negative = built(family), 0
    for seed in range(12):
        found = metric.numbers(features_evidence(metric, "fresh", 1000, 1000, 3, seed))
        for output in metric.declared():
            number = found[output.name]
            assert isinstance(number, Estimate)
            check(number, output)
            negative += number.value < 0
    assert (negative > 0) is (family != "is")


@pytest.mark.parametrize("family", [name for name in FAMILIES if not METRICS.get(name).uses_extractor])
@settings(deadline=None, max_examples=25)
@given(
    n=st.sampled_from([1, 2, 5, 40]),
    form=st.sampled_from(["any", "smallest", "largest", "both"]),
    seed=st.integers(0, 10**6),
)
def test_numbers_of_pairs_stay_in_their_range(family: str, n: int, form: str, seed: int) -> None:
    """One value a pair anywhere in the metric's range, or all at one end, or at both: the mean and Student's interval
    stay within. Where a range has no end 50 stands for it."""
    metric = built(family)
    low, high = (end if end is not None else 50.0 for end in metric.ends)
    assert low is not None
    share = torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    share = {"any": share, "smallest": 0 * share, "largest": 0 * share + 1, "both": share.round()}[form]
    values = {metric.name: low + (high - low) * share}
    if family.startswith("cycle_growth"):  # a difference of two errors in 0 … 1
        values = {metric.disturbed: share, CYCLE_EXACT: 1 - share}  # type: ignore[attr-defined]
    role = getattr(metric, "role", "cycle")
    check(metric.compute(Evidence(pairs={role: PairEvidence(values)})), metric.output)
