"""Feature likelihood divergence: the density against SciPy, its fit against the conditions of a maximum, its authors'
code, and what the number is for.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from calibration_rows.inputs import gaussian
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.seeds import permutation
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.numerics import centred_mixture
from benchbench.metrics.numerics.centred_mixture import NARROWEST, Mixture, Nearest, fit
from benchbench.metrics.sets.feature_likelihood import (
    FeatureLikelihood,
    Likelihoods,
    feature_likelihood_divergence,
    generalization_gap,
    likelihoods,
)


def log_density(x: Tensor, centres: Tensor, variances: Tensor) -> np.ndarray:
    """Oracle: SciPy's normal densities, one centre after the other."""
    terms = [
        multivariate_normal(c.numpy(), float(s) * np.eye(len(c))).logpdf(x.numpy())
        for c, s in zip(centres.double(), variances, strict=True)
    ]
    return np.asarray(logsumexp(terms, axis=0) - np.log(len(centres)))


@pytest.mark.parametrize("groups", [1, 7])
def test_the_density_is_the_mixtures(groups: int) -> None:
    """Oracle: SciPy. Parts of groups add up to it; distances are float32, each off by some 1e-6 of |x|²/s."""
    x, centres = gaussian(0, 40, 6), gaussian(1, 30, 6).float()
    variances = torch.linspace(0.2, 3, 30, dtype=torch.float64)
    parts = Mixture(centres, variances).log_parts(x.float(), groups)
    assert parts.shape == (40, groups)
    expected = log_density(x.float().double(), centres, variances)
    assert parts.logsumexp(1).numpy() == pytest.approx(expected, abs=1e-4)


def mean_log_density(squares: Tensor, log_variances: Tensor, dim: int) -> Tensor:
    """Of points at these squared distances (n×m) from the centres."""
    terms = -(dim / 2) * log_variances - squares / (2 * log_variances.exp())
    return terms.logsumexp(1).mean()


@pytest.mark.costly
@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(5, 60),
    m=st.integers(2, 40),
    scale=st.sampled_from([0.3, 1.0, 2.0]),
)
def test_the_fit_is_a_maximum(seed: int, n: int, m: int, scale: float) -> None:
    """By definition: at the widths the mean log density of the points has no slope in any log width, but for centres at
    the smallest width and those that no point needs. Steps go on here until one gains 1e-12; a slope g gains about
    g²/D. The density is at least that of the start."""
    x, centres = gaussian(seed, n, 5).float(), gaussian(seed + 1, m, 5, scale).float()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(centred_mixture, "_SETTLED", 1e-13)
        patch.setattr(centred_mixture, "_STEPS", 5000)
        mixture, near = fit(centres, x)
    squares = torch.cdist(x.double(), centres.double()).square()
    logs = mixture.variances.log().requires_grad_()
    value = mean_log_density(squares, logs, 5)
    (slope,) = torch.autograd.grad(value, logs)
    free = mixture.variances > 2 * NARROWEST
    assert float(slope[free].abs().max() if free.any() else 0.0) < 1e-4
    start = (squares.amin(0) / 5).clamp(min=NARROWEST).log()
    reached = float(value.detach())
    assert reached >= float(mean_log_density(squares, start, 5)) - 1e-6
    dense = mixture.log_parts(x, 1)[:, 0]
    assert mixture.near_terms(near).logsumexp(1).tolist() == pytest.approx(dense.tolist(), abs=1e-3)


def test_the_nearest_centres_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of the nearest are not: the bound says so and more are taken, until the widths are those of all centres. The
    bound lets pass 1e-4 of the density, which moves a width by about as much."""
    x, centres = gaussian(0, 300, 12).float(), gaussian(1, 200, 12).float()
    whole = fit(centres, x)[0]
    monkeypatch.setattr(centred_mixture, "_NEAREST", 2)
    mixture, near = fit(centres, x)
    assert near.squares.shape[1] > 2
    assert mixture.variances.log().tolist() == pytest.approx(whole.variances.log().tolist(), abs=5e-3)


def by_definition(train: Tensor, held_out: Tensor, fake: Tensor) -> tuple[float, float]:
    """FLD and gap from SciPy's densities; widths from `fit`, which has tests of its own."""
    mean, spread = held_out.mean(0), held_out.std(0)
    train, held_out, fake = (((side - mean) / spread).float() for side in (train, held_out, fake))
    order = torch.from_numpy(permutation(0, len(train)))
    half = min(len(fake), len(train) // 2)

    def nll(centres: Tensor, fitted_to: Tensor, x: Tensor) -> float:
        return (
            -float(log_density(x.double(), centres, fit(centres, fitted_to)[0].variances).mean())
            * 100
            / x.shape[1]
        )

    own = nll(fake, train, held_out)
    baseline = nll(train[order[:half]], train[order[half:]], held_out)
    return own - baseline, nll(fake, train, train) - own


def test_equals_the_definition() -> None:
    """Oracle: the formula written out with SciPy."""
    sides = gaussian(0, 120, 6), gaussian(1, 70, 6), gaussian(2, 50, 6, 0.8)
    expected = by_definition(*sides)
    assert feature_likelihood_divergence(*sides) == pytest.approx(expected[0], abs=1e-3)
    assert generalization_gap(*sides) == pytest.approx(expected[1], abs=1e-3)


TRAIN, HELD_OUT = gaussian(0, 400, 16), gaussian(1, 200, 16)
SAMPLES = {
    "fresh": gaussian(2, 200, 16),
    "copies": TRAIN[:200],
    "near copies": TRAIN[:200] + gaussian(3, 200, 16, 0.02),
    "half copies": torch.cat([TRAIN[:100], gaussian(2, 100, 16)]),
    "moved": gaussian(2, 200, 16, 1.0, 1.0),
    "dull": gaussian(2, 200, 16, 0.3),
    "one image": gaussian(2, 1, 16).repeat(200, 1),
}


@pytest.mark.costly
def test_what_it_is_for() -> None:
    """FLD of fresh draws is 0 but for their number; it rises where images are copied, moved or one. The gap of what was
    not copied is 0 but for the fit to the training images, and far below that where it was."""
    found = {name: likelihoods(TRAIN, HELD_OUT, x) for name, x in SAMPLES.items()}
    fld, gap = (
        {name: of(own).value for name, own in found.items()} for of in (Likelihoods.fld, Likelihoods.gap)
    )
    assert abs(fld["fresh"]) < 1
    for name in SAMPLES.keys() - {"fresh", "dull"}:
        assert fld[name] > fld["fresh"] + 1, name
    assert gap["copies"] < gap["half copies"] < gap["fresh"] - 50
    assert gap["near copies"] < gap["fresh"] - 5
    for name in ("fresh", "moved", "dull", "one image"):
        assert gap[name] > -5, name


# What the authors' code (github.com/marcojira/fld, ffbbf20) says, run as it is: 100/D times the mean −log p of held-out
# and of training images under samples of N(0, I) (fresh) or of N(0, I/4) (dull): n training, m generated, h held-out
# images.
PACKAGE = {
    (16, 300, 200, 150, 1.0): (154.336, 153.642),
    (16, 300, 200, 150, 0.5): (143.52, 143.687),
    (64, 400, 300, 200, 1.0): (162.173, 162.748),
    (64, 400, 300, 200, 0.5): (153.366, 154.219),
    (64, 400, 100, 200, 1.0): (164.68, 165.309),
    (64, 400, 100, 200, 0.5): (156.075, 156.853),
    (256, 500, 400, 300, 1.0): (166.909, 167.189),
    (256, 500, 400, 300, 0.5): (147.373, 148.048),
}


@pytest.mark.parametrize("case", PACKAGE, ids=str)
def test_against_the_authors_code(case: tuple[int, int, int, int, float]) -> None:
    """Frozen numbers, rounded to 1e-3. Its fit stops after 50 gradient steps or fewer and starts where ours does; in
    256 dimensions it stays there, and so density, standardisation and start are held to be the same. Ours goes to a
    maximum: training images are at least as likely in every case."""
    d, n, m, h, scale = case
    train, held_out, fake = gaussian(0, n, d), gaussian(1, h, d), gaussian(2, m, d, scale)
    found = likelihoods(train, held_out, fake)
    assert -100 / d * float(found.train.logsumexp(1).mean()) <= PACKAGE[case][1] + 1e-3
    if d == 256:
        mean, spread = held_out.mean(0), held_out.std(0)
        real, other, sample = (((side - mean) / spread).float() for side in (train, held_out, fake))
        start = Nearest.find(real, sample, 1)[1] / d
        said = [-100 / d * float(Mixture(sample, start).log_parts(x, 1).mean()) for x in (other, real)]
        assert said == pytest.approx(PACKAGE[case], abs=2e-3)


def evidence(train: Tensor, held_out: Tensor | None, fake: Tensor) -> Evidence:
    sets = {"reference": train, "held_out": held_out, "generated": fake}
    return Evidence(
        {
            role: {"net": FeatureEvidence(Moments.zeros(x.shape[1]), x.float())}
            for role, x in sets.items()
            if x is not None
        }
    )


@pytest.mark.costly
def test_the_metrics_are_the_functions() -> None:
    """The classes give the functions' numbers within intervals that have a width; without held-out images a
    sentence."""
    sides = TRAIN[:200], HELD_OUT[:90], SAMPLES["dull"][:90]
    expected = (
        f(*(side.float() for side in sides)) for f in (feature_likelihood_divergence, generalization_gap)
    )
    for name, value in zip(("fld", "fld_gap"), expected, strict=True):
        found = FeatureLikelihood("net", name).compute(evidence(*sides))
        assert found.value == value
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high
    with pytest.raises(MetricFailed, match="no model saw"):
        FeatureLikelihood("net", "fld").compute(evidence(sides[0], None, sides[2]))


@pytest.mark.slow
@pytest.mark.parametrize(("scale", "copies"), [(1.0, 0), (0.5, 0), (1.0, 100)])
def test_intervals_cover_the_mean(scale: float, copies: int) -> None:
    """Against one training set, the mean of 150 draws of 200 held-out and 200 generated images lies in 90 to 100% of
    the 95% intervals; 150 draws know such a share to 2%."""
    rng = torch.Generator().manual_seed(0)
    train = torch.randn(400, 64, generator=rng)
    rows = []
    for _ in range(150):
        held_out, fake = (torch.randn(200, 64, generator=rng) * own for own in (1.0, scale))
        fake[:copies] = train[torch.randperm(400, generator=rng)[:copies]]
        found = likelihoods(train, held_out, fake)
        rows.append([(e.value, e.low, e.high) for e in (found.fld(), found.gap())])
    value, low, high = torch.tensor(rows, dtype=torch.float64).unbind(-1)
    mean = value.mean(0)
    assert float(((low <= mean) & (mean <= high)).double().mean(0).min()) >= 0.9


@pytest.mark.costly
def test_units_and_order_change_nothing() -> None:
    """Features are standardised, so that no shift and no factor of a feature counts; no order of held-out or generated
    images does. Float32 distances: 1e-3 of a hundredth of a nat per dimension."""
    factors, shifts = torch.linspace(0.1, 50, 16, dtype=torch.float64), gaussian(9, 1, 16, 10)
    expected = feature_likelihood_divergence(TRAIN, HELD_OUT, SAMPLES["dull"])
    moved = (side * factors + shifts for side in (TRAIN, HELD_OUT, SAMPLES["dull"]))
    assert feature_likelihood_divergence(*moved) == pytest.approx(expected, abs=2e-2)
    turned = feature_likelihood_divergence(TRAIN, HELD_OUT.flip(0), SAMPLES["dull"].flip(0))
    assert turned == pytest.approx(expected, abs=1e-3)


@pytest.mark.costly
def test_a_feature_that_does_not_vary_is_left_out() -> None:
    """By definition: held-out images say nothing of a feature that all have alike, as of a dead unit of a network."""
    dead = [
        torch.cat([side, torch.full((len(side), 1), 7.0, dtype=torch.float64)], 1)
        for side in (TRAIN, HELD_OUT)
    ]
    fake = torch.cat([SAMPLES["fresh"], gaussian(5, 200, 1)], 1)
    assert feature_likelihood_divergence(*dead, fake) == pytest.approx(
        feature_likelihood_divergence(TRAIN, HELD_OUT, SAMPLES["fresh"]), abs=1e-9
    )
    assert likelihoods(*dead, fake).dim == 16


def test_the_training_set_itself_is_infinitely_bad() -> None:
    """By definition: with a copy of each training image there is no width that is too narrow, and fresh images have no
    density: no number, and the reason. With images besides there is one."""
    with pytest.raises(MetricFailed, match="is infinite"):
        feature_likelihood_divergence(TRAIN[:60], HELD_OUT, TRAIN[:60])
    more = torch.cat([TRAIN[:60], SAMPLES["fresh"][:20]])
    assert feature_likelihood_divergence(TRAIN[:60], HELD_OUT, more) < 1e9
    with pytest.raises(MetricFailed, match="copies of each other"):
        feature_likelihood_divergence(TRAIN[:1].repeat(20, 1), HELD_OUT, SAMPLES["fresh"])


@pytest.mark.costly
def test_held_out_images_that_are_generated_ones_too_are_left_out() -> None:
    """The control `real` hands out held-out images: each would lie at distance 0 of itself. Equal to the number of the
    held-out images that are left."""
    control = HELD_OUT[:120]
    assert feature_likelihood_divergence(TRAIN, HELD_OUT, control) == feature_likelihood_divergence(
        TRAIN, HELD_OUT[120:], control
    )
    with pytest.raises(MetricFailed, match="among the generated ones"):
        feature_likelihood_divergence(TRAIN, HELD_OUT, HELD_OUT)


def test_what_cannot_be_compared() -> None:
    """Too few images of a side, NaN, other dimensions, held-out images that are all one."""
    with pytest.raises(MetricFailed, match="at least 4"):
        feature_likelihood_divergence(TRAIN[:3], HELD_OUT, SAMPLES["fresh"])
    with pytest.raises(MetricFailed, match="at least 2"):
        feature_likelihood_divergence(TRAIN, HELD_OUT[:1], SAMPLES["fresh"])
    with pytest.raises(MetricFailed, match="at least 2"):
        feature_likelihood_divergence(TRAIN, HELD_OUT, SAMPLES["fresh"][:1])
    with pytest.raises(MetricFailed, match="NaN"):
        feature_likelihood_divergence(TRAIN, HELD_OUT.log(), SAMPLES["fresh"])
    with pytest.raises(InputError, match="dimensions"):
        feature_likelihood_divergence(TRAIN, HELD_OUT, SAMPLES["fresh"][:, :5])
    with pytest.raises(MetricFailed, match="the same features"):
        feature_likelihood_divergence(TRAIN, HELD_OUT[:1].repeat(9, 1), SAMPLES["fresh"])
