"""Class shares under a classifier: counts by hand, standard errors against simulation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.features.moments import Moments
from benchbench.metrics.metric import Evidence, FeatureEvidence, Metric
from benchbench.metrics.mode_collapse import class_kl, class_shares, class_tv
from benchbench.metrics.modes import (
    ClassKL,
    ClassTV,
    ModesCovered,
    kl_standard_error,
    modes_estimate,
    tv_standard_error,
)

JUDGE = "cnn_digits"
P = [0.4, 0.3, 0.2, 0.1]
Q = [0.25, 0.25, 0.25, 0.25]


def side(labels: list[int], n_classes: int = 4) -> FeatureEvidence:
    """What a judge that is sure of itself says of images of these classes."""
    logits = 9.0 * torch.nn.functional.one_hot(torch.tensor(labels), n_classes)
    return FeatureEvidence(Moments.of(logits), None, logits)


def evidence(fake: list[int], real: list[int], judge: str = JUDGE) -> Evidence:
    return Evidence({judge: side(fake)}, {judge: side(real)})


def test_by_hand() -> None:
    """Generated ½, ½, 0, 0 against ¼ each: 2 modes, KL = log 2, TV = ½; names carry the judge."""
    seen = evidence([0, 1] * 50, [0, 1, 2, 3] * 50)
    values = {m(JUDGE).name: m(JUDGE).compute(seen) for m in (ModesCovered, ClassKL, ClassTV)}
    assert set(values) == {"modes_cnn_digits", "class_kl_cnn_digits", "class_tv_cnn_digits"}
    assert values["modes_cnn_digits"].value == 2
    assert values["class_kl_cnn_digits"].value == pytest.approx(math.log(2), rel=1e-12)
    assert values["class_tv_cnn_digits"].value == pytest.approx(0.5, rel=1e-12)
    for estimate in values.values():
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low <= estimate.value <= estimate.high


def test_equal_shares_are_zero_and_one_class_is_the_worst() -> None:
    """The same histogram at another number of images is 0 exactly; all in one class of four is log 4 and ¾."""
    same = evidence([0, 1, 2, 3], [0, 1, 2, 3] * 30)
    assert (ClassKL(JUDGE).compute(same).value, ClassTV(JUDGE).compute(same).value) == (0, 0)
    worst = evidence([2] * 40, [0, 1, 2, 3] * 30)
    assert ClassKL(JUDGE).compute(worst).value == pytest.approx(math.log(4), rel=1e-12)
    estimate = ClassTV(JUDGE).compute(worst)
    assert estimate.value == pytest.approx(0.75, rel=1e-12)
    assert estimate.high is not None
    assert estimate.high <= 1


def test_interval_of_modes() -> None:
    """A class with one image of 100 is missing from a bootstrap draw with probability 0.99^100 = 0.37: the lower
    end is one less. Two such: both are missing in 0.134 of draws, more than 2.5%: two less. Classes of 25 images
    are never missing (0.75^100 ~ 3e-13)."""
    even = torch.arange(100) % 4
    assert (modes_estimate(even, 6).low, modes_estimate(even, 6).value) == (4, 4)
    for rare in (1, 2):
        labels = even.clone()
        labels[:rare] = torch.tensor([4, 5])[:rare]
        estimate = modes_estimate(labels, 6)
        assert (estimate.low, estimate.value, estimate.high) == (4, 4 + rare, 4 + rare)
    assert modes_estimate(even, 6, seed=1) == modes_estimate(even, 6, seed=1)


@pytest.mark.parametrize(
    ("error_of", "value_of"), [(kl_standard_error, class_kl), (tv_standard_error, class_tv)]
)
def test_standard_errors_against_simulation(
    error_of: Callable[[Tensor, Tensor, int], float], value_of: Callable[[Tensor, Tensor], float]
) -> None:
    """Oracle: the spread of the value over 600 draws of 500 and 800 labels from shares that differ. A standard
    deviation of 600 values is known to 1/√1200 = 3%, and the delta method is first-order: 12% covers both."""
    rng = np.random.default_rng(0)
    values, errors = [], []
    for _ in range(600):
        fake, real = (
            torch.from_numpy(np.repeat(np.arange(4), rng.multinomial(n, p))) for n, p in ((500, P), (800, Q))
        )
        values.append(value_of(fake, class_shares(real, 4)))
        errors.append(error_of(fake, real, 4))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.12)


@pytest.mark.parametrize("metric", [ModesCovered, ClassKL, ClassTV])
def test_what_cannot_be_counted(metric: type[Metric]) -> None:
    """A judge with other classes, evidence without logits, logits that are NaN: each fails with its reason."""
    with pytest.raises(MetricFailed, match=r"efficientnet_lite0 was not trained on them; .*cnn_digits"):
        metric("efficientnet_lite0").compute(evidence([0], [0], "efficientnet_lite0"))
    with pytest.raises(MetricFailed, match="no logits of cnn_digits"):
        metric(JUDGE).compute(Evidence())
    logits = torch.full((3, 4), torch.nan)
    broken = FeatureEvidence(Moments.of(torch.ones(3, 4)), None, logits)
    with pytest.raises(MetricFailed, match="NaN or infinity"):
        metric(JUDGE).compute(Evidence({JUDGE: broken}, {JUDGE: broken}))


def test_a_class_the_reference_lacks() -> None:
    """KL is infinite there and fails by name; TV is not: by hand, shares (½, ½) against (1, 0) are ½ apart."""
    seen = evidence([0, 1], [0, 0, 0])
    with pytest.raises(MetricFailed, match="class 1 is generated but absent"):
        ClassKL(JUDGE).compute(seen)
    assert ClassTV(JUDGE).compute(seen).value == 0.5
