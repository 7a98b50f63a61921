"""Features of one image are one vector, whatever batch, device or cache they come from: no tie is decided by rounding.

Rounding is simulated as it was measured on a processor: features of one image in two batches differ by up to 2.6e-6 of
their length.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from torch import Tensor

from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.numerics import neighbours
from benchbench.metrics.numerics.one_image import OF_ARRAYS, OF_NETWORKS, one_image
from benchbench.metrics.select import build_metric, score
from benchbench.metrics.sets.feature_likelihood import feature_likelihood_divergence
from benchbench.metrics.sets.memorization import authentic, ct_score, nn_distance_ratio
from benchbench.metrics.sets.mode_collapse import birthday_support, has_twin, ndb
from benchbench.metrics.sets.prdc import overlap, prdc, symmetric_precision_recall
from benchbench.metrics.sets.probabilistic import p_precision_recall

MEASURED = 2.6e-6
D = 48


def images(seed: int, n: int) -> Tensor:
    """Features of n different images: as a network's they are positive, and longer than they are apart."""
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed)).abs() + 0.5


def elsewhere(features: Tensor, seed: int) -> Tensor:
    """The same images in another batch."""
    noise = torch.randn(features.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    share = (
        MEASURED * torch.rand(len(features), 1, generator=torch.Generator().manual_seed(seed + 1)).double()
    )
    unit = noise / noise.norm(dim=1, keepdim=True)
    return (features.double() + unit * share * features.double().norm(dim=1, keepdim=True)).float()


REAL = images(0, 160)
FRESH = images(1, 60)
# Reference and generated images: what both sides hold, and how often.
CASES: dict[str, tuple[Tensor, Tensor]] = {
    "copies of all": (REAL, REAL.clone()),
    "copies among others": (REAL, torch.cat([REAL[:40], FRESH])),
    "one image again and again": (REAL, REAL[:1].repeat(80, 1)),
    "a new image again and again": (REAL, FRESH[:1].repeat(80, 1)),
    "real images that are there more than k times": (
        torch.cat([REAL[:20].repeat(8, 1), REAL[20:100]]),
        torch.cat([REAL[:20].repeat(4, 1), FRESH]),
    ),
    "all real images alike": (REAL[:1].repeat(150, 1), torch.cat([REAL[:1].repeat(20, 1), FRESH])),
    "both sides a few images, often": (REAL[:6].repeat(25, 1), REAL[:6].repeat(12, 1)),
}
HELD_OUT = torch.cat([images(2, 80), REAL[:10], images(2, 5)])
METRICS = (
    "precision", "recall", "density", "coverage", "precision_k3", "recall_k3", "authenticity", "nn_distance_ratio",
    "ct", "duplicate_rate", "duplicate_excess", "birthday_support", "clipped_density", "clipped_coverage",
    "sym_precision", "sym_recall", "p_precision", "p_recall", "fld", "fld_gap",
)  # fmt: skip


def scored(real: Tensor, fake: Tensor, held_out: Tensor) -> dict[str, float | str]:
    """Every metric on neighbours: its number, or why there is none."""
    sets = {"reference": real, "generated": fake, "held_out": held_out}
    sides = {role: {"net": FeatureEvidence(Moments.of(rows), rows)} for role, rows in sets.items()}
    outcomes = score([build_metric(name, "net") for name in METRICS], Evidence(sides))
    return {o.metric.family: o.estimate.value if o.estimate else str(o.reason) for o in outcomes}


@pytest.mark.costly
@pytest.mark.parametrize("name", CASES)
def test_numbers_do_not_depend_on_the_batch(name: str) -> None:
    """Oracle: the same metrics where features of one image are equal to the bit. In any other batch counts, shares and
    failures are the same, and what is continuous moves by the rounding itself, 1e-5."""
    real, fake = CASES[name]
    expected = scored(real, fake, HELD_OUT)
    for seed in (10, 20):
        found = scored(elsewhere(real, seed), elsewhere(fake, seed + 2), elsewhere(HELD_OUT, seed + 4))
        for metric, value in expected.items():
            least = (
                1e-3 if metric.startswith("fld") else 0.0
            )  # a difference of log likelihoods of some hundred
            close = pytest.approx(value, rel=1e-5, abs=least) if isinstance(value, float) else value
            assert found[metric] == close, metric


def test_the_cases_hold_what_is_to_be_shown() -> None:
    """By definition: a ball of an image that is there more than k times has radius 0 and holds nothing, so precision of
    copies of such images is 0; copies of images that are there once lie each in its own ball, k a ball."""
    assert scored(*CASES["both sides a few images, often"], HELD_OUT)["precision"] == 0
    whole = scored(*CASES["copies of all"], HELD_OUT)
    assert (whole["precision"], whole["authenticity"]) == (1, 0)
    assert whole["density"] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_functions_take_features_of_one_image_as_equal(name: str) -> None:
    """The same of the functions that are called with arrays: where rounding is that of a sum, 1e-6 of the length."""
    real, fake = CASES[name]
    other_real, other_fake = (rows + (elsewhere(rows, 5) - rows) * 0.4 for rows in (real, fake))
    assert prdc(other_real, other_fake) == prdc(real, fake)
    assert symmetric_precision_recall(other_real, other_fake) == symmetric_precision_recall(real, fake)
    assert authentic(other_real, other_fake).tolist() == authentic(real, fake).tolist()
    assert has_twin(other_fake, 0.0).tolist() == has_twin(fake, 0.0).tolist()
    calls: list[Callable[[Tensor, Tensor], object]] = [
        lambda x, y: birthday_support(y, 1e-9),
        lambda x, y: ndb(x, y, bins=5),
        lambda x, y: round(ct_score(x, HELD_OUT, y), 6),
        lambda x, y: round(nn_distance_ratio(y, x, HELD_OUT), 4),
        lambda x, y: round(p_precision_recall(x, y)["p_precision"], 4),
        lambda x, y: round(feature_likelihood_divergence(x, HELD_OUT, y), 2),
    ]
    for call in calls:
        assert _said(call, other_real, other_fake) == _said(call, real, fake)


def _said(call: Callable[[Tensor, Tensor], object], x: Tensor, y: Tensor) -> object:
    try:
        return call(x, y)
    except Exception as error:
        return str(error)


@pytest.mark.costly
@pytest.mark.parametrize("name", CASES)
def test_numbers_do_not_depend_on_tiles_or_order(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What each image says is the same whatever tiles are computed together and in whatever order the images come."""
    real, fake = CASES[name]
    whole = overlap(real, fake)
    for size in (16, 64):
        monkeypatch.setattr(neighbours, "_TILE", size)
        assert torch.equal(overlap(real, fake).balls, whole.balls)
    orders = [torch.from_numpy(np.random.default_rng(3).permutation(len(rows))) for rows in (real, fake)]
    moved = overlap(real[orders[0]], fake[orders[1]])
    assert torch.equal(moved.balls, whole.balls[orders[1]])
    assert torch.equal(moved.covered, whole.covered[orders[0]])
    assert torch.equal(moved.recalled, whole.recalled[orders[0]])
    assert torch.equal(authentic(real[orders[0]], fake[orders[1]]), authentic(real, fake)[orders[1]])


def test_of_several_nearest_images_none_names_itself_by_its_place() -> None:
    """By hand on a lattice: 1 lies between 0 and 2, whose next neighbours are 0.5 and 9 away. A tie is a copy, so the
    wider spacing decides, in every order of the training images."""
    train = torch.tensor([[0.0], [0.5], [2.0], [11.0]])
    fake = torch.tensor([[1.25]])  # 0.75 from 0.5 and from 2, whose spacings are 0.5 and 1.5
    for order in ([0, 1, 2, 3], [2, 1, 0, 3], [3, 2, 1, 0]):
        assert authentic(train[order], fake).tolist() == [False]


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 10**6),
    st.integers(1, 12),
    st.integers(1, 5),
    st.sampled_from([*OF_ARRAYS.values(), OF_NETWORKS]),
)
def test_rows_that_agree_are_those_within_the_share(seed: int, n: int, times: int, share: float) -> None:
    """Oracle: SciPy's distances between all rows, joined where they are within the share of the length. Groups are
    equal to the bit afterwards, and rows of no group stay as they were."""
    rng = np.random.default_rng(seed)
    rows = torch.from_numpy(rng.normal(size=(n, 6)) * 10.0 ** rng.integers(-3, 4, size=(n, 1)))
    copies = rows.repeat(times, 1)
    offsets = torch.from_numpy(rng.normal(size=copies.shape))
    scale = torch.from_numpy(rng.choice([0, 0.2, 3], size=(len(copies), 1)) * share)
    copies += offsets / offsets.norm(dim=1, keepdim=True) * copies.norm(dim=1, keepdim=True) * scale
    copies = torch.cat([copies, torch.full((1, 6), 1e5, dtype=torch.float64)])  # so that the sets are wide
    cut = int(rng.integers(0, len(copies) + 1))
    found = torch.cat(one_image(copies[:cut], copies[cut:], agree=share)).numpy()
    near = cdist(copies, copies) <= share * copies.norm(dim=1).numpy()[:, None]
    groups, label = connected_components(near, directed=False)
    assert len(np.unique(found, axis=0)) == groups
    for group in range(groups):
        members = np.flatnonzero(label == group)
        assert (found[members] == found[members[0]]).all()
        assert (found[members[0]] == copies[members[0]].numpy()).all()


@pytest.mark.parametrize(("dtype", "far"), [(torch.float32, 1e4), (torch.float32, 1e5), (torch.float64, 1e8)])
def test_features_far_from_the_origin_are_not_one_image(dtype: torch.dtype, far: float) -> None:
    """A shift moves no distance by more than the dtype rounds, so overlaps stay: with nothing else but rounding, the
    same within the few images that it decides (2 of 160)."""
    real, fake = REAL.to(dtype), (FRESH * 1.1).to(dtype)
    here, there = prdc(real, fake), prdc(real + far, fake + far)
    assert 0.1 < here["precision"] < 1
    for name in ("precision", "recall", "coverage"):
        assert there[name] == pytest.approx(here[name], abs=2 / 60)


def test_different_images_stay_as_they_are() -> None:
    """No copy is made of a set in which nothing changes: the very tensor comes back."""
    found = one_image(REAL, FRESH)
    assert found[0] is REAL
    assert found[1] is FRESH
    assert one_image(REAL[:0], FRESH)[1] is FRESH


@pytest.mark.costly
def test_many_rows_that_agree_cost_no_pass_over_all_pairs() -> None:
    """A collapsed generator makes one image 20,000 times, each in a batch of its own: all are one image."""
    rows = elsewhere(FRESH[:1].repeat(20_000, 1), 0)
    assert len(one_image(rows, agree=OF_NETWORKS)[0].unique(dim=0)) == 1
