"""Vendi scores of other orders and truncated ones: closed forms, and their names."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.select import is_named, score, select_metrics
from benchbench.metrics.sets.rke import rke
from benchbench.metrics.sets.vendi import Vendi, vendi_score, vendi_standard_error

LITE = "efficientnet_lite0"


def gaussian(seed: int, n: int, d: int, offset: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + offset


# Orthogonal groups of 5, 3 and 2 images: λ = 0.5, 0.3, 0.2.
GROUPS = torch.eye(3, dtype=torch.float64)[[0] * 5 + [1] * 3 + [2] * 2]


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 40), d=st.integers(1, 40))
def test_orders_fall_from_the_rank_to_the_largest_eigenvalue(seed: int, n: int, d: int) -> None:
    """Closed forms: order 2 is RKE, ∞ is 1/λ_max of NumPy's eigenvalues; Rényi's entropy falls with its order and is
    continuous in it. Rounding: 1e-9, near 1 and 2 the distance of the orders, 1e-6, times the logarithm of the
    score."""
    x = gaussian(seed, n, d, 0.3).double()
    unit = (x / x.norm(dim=1, keepdim=True)).numpy()
    largest = float(np.linalg.eigvalsh(unit @ unit.T / n)[-1])
    scores = [vendi_score(x, q) for q in (0, 0.5, 1, 1.5, 2, 10, 100, math.inf)]
    assert all(a >= b * (1 - 1e-9) for a, b in pairwise(scores))
    assert scores[4] == pytest.approx(rke(x), rel=1e-9)
    assert scores[-1] == pytest.approx(1 / largest, rel=1e-9)
    assert vendi_score(x, 2 + 1e-6) == pytest.approx(scores[4], rel=1e-5)
    for near in (1 - 1e-6, 1 + 1e-7, 1 + 1e-12):
        assert vendi_score(x, near) == pytest.approx(scores[2], rel=1e-5)


def test_truncation_by_hand() -> None:
    """Of λ = 0.5, 0.3, 0.2 two are kept and get half of the 0.2 each: 0.6, 0.4. One that is kept is 1. All: the plain
    score. float64 rounding: 1e-12."""
    entropy = -(0.6 * math.log(0.6) + 0.4 * math.log(0.4))
    assert vendi_score(GROUPS, t=2) == pytest.approx(math.exp(entropy), abs=1e-12)
    assert vendi_score(GROUPS, 2, 2) == pytest.approx(1 / (0.36 + 0.16), abs=1e-12)
    assert vendi_score(GROUPS, math.inf, 2) == pytest.approx(1 / 0.6, abs=1e-12)
    assert vendi_score(GROUPS, t=1) == pytest.approx(1, abs=1e-12)
    for q in (0, 0.5, 1, 2, math.inf):
        for t in (3, 10, 10**6):
            assert vendi_score(GROUPS, q, t) == vendi_score(GROUPS, q)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 40), d=st.integers(2, 40), t=st.integers(1, 50))
def test_truncated_scores(seed: int, n: int, d: int, t: int) -> None:
    """Properties: at most t, and n eigenvalues are all of them; t that are kept are more even than the n that there are
    without the rest, so the truncated score is at least exp of the entropy of the t alone, brought to the sum 1 by a
    factor."""
    x = gaussian(seed, n, d, 0.3).double()
    assert 1 - 1e-9 <= vendi_score(x, t=t) <= min(t, n, d) + 1e-9
    assert vendi_score(x, t=n) == vendi_score(x)
    unit = (x / x.norm(dim=1, keepdim=True)).numpy()
    top = np.sort(np.linalg.eigvalsh(unit @ unit.T / n))[::-1][: min(t, n, d)]
    top = top[top > 1e-12] / top.sum()
    assert vendi_score(x, t=t) >= math.exp(-(top * np.log(top)).sum()) * (1 - 1e-9)


@pytest.mark.costly
@pytest.mark.parametrize(("q", "t"), [(2.0, None), (math.inf, None), (0.5, None), (1.0, 10), (2.0, 10)])
def test_standard_error_is_the_spread_over_draws(q: float, t: int | None) -> None:
    """Oracle: simulation, as of order 1 in tests/parity/test_vendi.py: 150 draws know the spread to 6%, 30 jackknives
    of 20 groups to 3%, and a jackknife errs upwards: 30%."""
    draws = [gaussian(seed, 100, 30, 0.7) for seed in range(150)]
    spread = float(np.std([math.log(vendi_score(x, q, t)) for x in draws], ddof=1))
    mean = float(np.mean([vendi_standard_error(x, q=q, t=t) for x in draws[:30]]))
    assert mean == pytest.approx(spread, rel=0.3)


@pytest.mark.parametrize(
    ("name", "q", "t"),
    [
        ("vendi_q2", 2, None),
        ("vendi_q0", 0, None),
        ("vendi_q0p5", 0.5, None),
        ("vendi_qinf", math.inf, None),
        ("vendi_t1000", 1, 1000),
        ("vendi_q2_t100", 2, 100),
        ("vendi_qinf_t3", math.inf, 3),
    ],
)
def test_names_have_the_settings_in_them(name: str, q: float, t: int | None) -> None:
    """By name with and without an extractor, as other metrics: named, computed, and its own row."""
    for asked in (name, f"{name}_{LITE}"):
        (metric,) = select_metrics([asked], [LITE])
        assert isinstance(metric, Vendi)
        assert (metric.name, metric.family, metric.extractor) == (f"{name}_{LITE}", name, LITE)
        assert (metric.q, metric.t) == (q, t)
        assert is_named(metric, [asked])
        assert not is_named(metric, ["vendi", "all"])
    x = gaussian(0, 40, 6)
    evidence = Evidence({"generated": {LITE: FeatureEvidence(Moments.of(x), x)}})
    plain, own = score(select_metrics(["vendi", name], [LITE]), evidence)
    assert plain.metric.name == f"vendi_{LITE}"
    assert own.metric.name == f"{name}_{LITE}"
    assert own.estimate is not None
    assert own.estimate.value == pytest.approx(vendi_score(x, q, t), rel=1e-12)
    assert own.estimate.ends == (1.0, float(min(6, t or 6)))
    assert (own.estimate.interval is None) == (q == 0)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("vendi_q1", "vendi_q1 is written vendi$"),
        ("vendi_q2p0", "vendi_q2p0 is written vendi_q2$"),
        (f"vendi_q1_{LITE}", f"vendi_q1 is written vendi_{LITE}"),
        ("vendi_q02", "is written vendi_q2"),
        ("vendi_q101", "from 0 to 100"),
        ("vendi_t0", "must be at least 1, not 0"),
        ("vendi_t1000001", "at most 1,000,000"),
        ("vendi_q2_nothing", "nothing"),
        ("vendi_q-2", "vendi_q-2"),
        ("vendi_q99999", "vendi_q99999"),
        ("vendi_t" + "9" * 400, "metric"),
    ],
)
def test_names_that_mean_nothing(name: str, sentence: str) -> None:
    """One sentence that names them; one way to write each."""
    with pytest.raises(InputError, match=sentence):
        select_metrics([name], [LITE])
    with pytest.raises(InputError, match="vendi is not defined on no extractor"):
        select_metrics(["vendi_q2"], [])
