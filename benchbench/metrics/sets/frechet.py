"""The Fréchet distance between Gaussians fitted to features, its standard error and its limit.

    FD = ‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^{1/2}

Dowson & Landau 1982, "The Fréchet distance between multivariate normal distributions"; on Inception
features this is the FID of Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule …", eq. (6).
Covariances are divided by n − 1, as in the field's implementations.

Bias. FD of finite samples is too large. For n and m images of one Gaussian N(0, I_d), to first order

    E FD = d (1/n + 1/m) + d (d + 1) / 4 · (1/n + 1/m),    with n = m = N:  2d/N + d(d + 1)/2N.

The first term is E‖x̄ − ȳ‖². The second is the covariance's: with Σ̂ = I + E, tr Σ̂^{1/2} = tr(I + E/2 − E²/8
+ …), E is centred and E tr E² = d (d + 1)/(n − 1), so −2 tr contributes d (d + 1)/4n a side. Distances at
different numbers of images therefore do not compare, and `fd_infinity` estimates the limit.

Trade-offs: where a side has at most D images its covariance is singular, and its centred features serve as
the root of it (`linalg`): that is exact, where a matrix square root is not.

Scope: pure functions on float32 or float64 features, N×D, CPU or CUDA; all arithmetic in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchbench.core.arrays import ArrayLike
from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.seeds import permutation
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.metric import Estimate, Family, Output
from benchbench.metrics.numerics.arguments import (
    check_features,
    check_finite,
    check_pair,
    check_seed,
    finite_result,
    largest,
    near_one,
    real_numbers,
    unit_of,
)
from benchbench.metrics.numerics.gaussians import ROWS, Exact, Fitted, moments_of
from benchbench.metrics.numerics.intervals import normal_estimate, positive_estimate
from benchbench.metrics.numerics.linalg import (
    EPS,
    Covariance,
    check_covariance,
    nuclear_norm,
    trace_sqrt_product,
)

BLOCKS = 12
WINDOWS = (6, 8, 9, 10, 12)  # blocks a subset of `fd_infinity` spans: sizes from N/2 to N


def frechet_distance(mu1: ArrayLike, cov1: ArrayLike, mu2: ArrayLike, cov2: ArrayLike) -> float:
    """FD of two Gaussians: ‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^{1/2} (Dowson & Landau 1982).

    On Inception-v3 features this is the FID (Heusel et al. 2017, eq. 6). Distances at different numbers of images do
    not compare: that of finite samples is too large.

    Args:
        mu1: The mean of one side, real numbers (D,), a tensor or any array; everything is computed in float64.
        cov1: Its covariance (D, D), symmetric and semidefinite, divided by n − 1 as in the field's implementations.
        mu2: The mean of the other side, (D,).
        cov2: Its covariance, (D, D).

    Returns:
        The distance, in squared units of the features. Never negative, symmetric up to rounding, and exactly 0 for
        equal arguments (they are compared first).

    Raises:
        InputError: An argument is no array of real numbers, or the shapes do not fit together.
        MetricFailed: A value is not finite, a matrix is no covariance, or the distance exceeds float64.
    """
    given = (("the first mean", mu1), ("the first covariance", cov1), ("the second mean", mu2))
    named = (*given, ("the second covariance", cov2))
    tensors = [real_numbers(value, what).to(torch.float64) for what, value in named]
    d = tensors[0].numel()
    if [tuple(t.shape) for t in tensors] != [(d,), (d, d)] * 2 or not d:
        shapes = ", ".join(str(tuple(t.shape)) for t in tensors)
        raise InputError(f"Fréchet distance: means (D,) and covariances (D, D) do not fit together: {shapes}")
    if len({t.device for t in tensors}) > 1:
        raise InputError("Fréchet distance: the means and covariances lie on different devices")
    for (what, _), tensor in zip(named, tensors, strict=True):
        check_finite(tensor, what)
    mean1, mean2 = tensors[0], tensors[2]
    first, second = (check_covariance(tensors[place], named[place][0]) for place in (1, 3))
    # Where squares of its numbers leave float64 everything is brought near 1 first, by a power of two: nothing rounds.
    size = max(*map(largest, (mean1, mean2)), *(largest(cov.matrix) ** 0.5 for cov in (first, second)))
    if (unit := unit_of(size, 1e-70, 1e70)) != 1:
        mean1, mean2 = mean1 / unit, mean2 / unit
        first, second = (Covariance(cov.matrix / unit / unit) for cov in (first, second))
    return finite_result(_distance(mean1, first, mean2, second) * unit * unit, "the Fréchet distance")


def _distance(mu1: Tensor, cov1: Covariance, mu2: Tensor, cov2: Covariance) -> float:
    """`frechet_distance` of what is known to be means and covariances, float64 on one device."""
    if torch.equal(mu1, mu2) and torch.equal(cov1.matrix, cov2.matrix):
        return 0.0
    shift, traces = (mu1 - mu2).square().sum(), cov1.matrix.trace() + cov2.matrix.trace()
    return max(float(shift + traces - 2 * trace_sqrt_product(cov1, cov2)), 0.0)


def frechet_distance_from_features(x: ArrayLike, y: ArrayLike) -> float:
    """FD of the Gaussians fitted to features x (N×D) and y (M×D), N, M ≥ 2.

    With more images than dimensions on both sides through the covariances, else through the features
    themselves (module docstring); the two agree where both apply.
    """
    x, y = check_pair(x, y)
    if torch.equal(x, y):
        return 0.0
    x, y, unit = near_one(x, y)
    return finite_result(fitted_distance(Fitted(x), Fitted(y)) * unit * unit, "the Fréchet distance")


def fitted_distance(x: Fitted, y: Fitted | Exact) -> float:
    """`frechet_distance_from_features` of what was fitted before."""
    if y.features is not None and torch.equal(x.features, y.features):
        return 0.0
    if not (x.deficient or y.deficient):
        return _distance(x.moments.mean, x.covariance, y.moments.mean, y.covariance)
    shift = (x.mean - y.mean).square().sum()
    traces = x.root.square().sum() + y.root.square().sum()
    return max(float(shift + traces - 2 * nuclear_norm(x.root.T @ y.root)), 0.0)


def frechet_influence(x: Tensor, y: Tensor | Moments) -> tuple[Tensor, Tensor | None]:
    """What each image adds: the empirical influence function of FD, float64 (N,) and (M,), each of mean 0.

    FD is smooth in (μ₁, Σ₁): with T = Σ₂^{1/2} (Σ₂^{1/2} Σ₁ Σ₂^{1/2})^{-1/2} Σ₂^{1/2}, which is the optimal
    transport map from N(0, Σ₁) to N(0, Σ₂), d tr (Σ₁Σ₂)^{1/2} = ½ tr (T dΣ₁), so that

        I(x) = 2 (μ₁ − μ₂)·(x − μ₁) + (x − μ₁)ᵀ (I − T) (x − μ₁) − tr ((I − T) Σ₁)

    and for y the same with the sides exchanged. With any roots F₁, F₂ and F₁ᵀF₂ = U S Vᵀ,
    T = F₂ V S⁻¹ Vᵀ F₂ᵀ and its counterpart is F₁ U S⁻¹ Uᵀ F₁ᵀ; inverses are pseudo-inverses, on the span of
    the data. So one symmetric eigenproblem serves both sides. `y` as `Moments` is taken as exact: no second
    part.
    """
    return fitted_influence(*_sides(x, y))


def fitted_influence(x: Fitted, y: Fitted | Exact) -> tuple[Tensor, Tensor | None]:
    """`frechet_influence` of what was fitted before."""
    left, right = _transport(x.root, y.root)
    shift = x.mean - y.mean
    influence = _influence(x.features, x.mean, 2 * shift, right)
    return influence, None if y.features is None else _influence(y.features, y.mean, -2 * shift, left)


def frechet_standard_error(x: Tensor, y: Tensor | Moments) -> float:
    """Standard error of FD by the infinitesimal jackknife (Efron 1982, ch. 6): √(var I(x)/N + var I(y)/M).

    It is the spread of FD over draws of N and M images, not its bias. Conservative: where first-order terms
    vanish (both sides of one distribution) it is √2 too wide, as a jackknife variance of a quadratic form is
    (Efron & Stein 1981), and with N about D up to 1.4 times; in simulations never below 0.9 of the truth.
    """
    unit = 1.0
    if not isinstance(y, Moments):
        x, y, unit = near_one(*check_pair(x, y))
    return _standard_error(*_sides(x, y), unit)


def _standard_error(x: Fitted, y: Fitted | Exact, unit: float) -> float:
    """`frechet_standard_error` of what was fitted before, in that unit."""
    error = math.sqrt(sum(float(i.var()) / len(i) for i in fitted_influence(x, y) if i is not None))
    return finite_result(error * unit * unit, "the standard error of the Fréchet distance")


def distance_with_error(x: Tensor, y: Tensor) -> tuple[float, float]:
    """`frechet_distance_from_features` and `frechet_standard_error`, for which each side is fitted once."""
    x, y, unit = near_one(*check_pair(x, y))
    ours, theirs = Fitted(x), Fitted(y)
    distance = finite_result(fitted_distance(ours, theirs) * unit * unit, "the Fréchet distance")
    return distance, _standard_error(ours, theirs, unit)


def infinity_minimum(d: int) -> int:
    """The fewest generated images with which `fd_infinity` is valid in `d` dimensions."""
    return max(4 * d, 4 * BLOCKS)


@dataclass(frozen=True)
class Extrapolation:
    """FD at infinity: `value` (the intercept, may fall below 0), its standard error, and the line it is from:
    FD ≈ value + slope / n through the mean `distances` at the subset `sizes`."""

    value: float
    standard_error: float
    slope: float
    sizes: tuple[float, ...]
    distances: tuple[float, ...]


def fd_infinity(
    x: Tensor, y: Tensor | Moments, seed: int = 0, delta_error: float | None = None
) -> Extrapolation:
    """FD with infinitely many generated images, by a line in 1/n (Chong & Forsyth 2020, "Effectively unbiased
    FID and Inception Score and where to find them"). The reference is held fixed, as there.

    x: N×D. y: reference features (a sample, whose uncertainty counts) or `Moments` (taken as exact). The
    images are shuffled by `seed` and cut into 12 blocks; subsets of 6, 8, 9, 10 and 12 consecutive blocks, in
    cyclic windows that use each image equally often, give mean distances at five sizes from N/2 to N. In such
    a balanced design the first-order noise is the same at every size, so the slope is free of it, and 16
    distances do for the paper's 15 independent draws. The line goes through the five means by least squares.

    standard_error: √(delta² + fit²): the first-order error of FD, which the intercept inherits whole
    (`frechet_standard_error`, or `delta_error` if it was computed before), and the residual error of the
    line.

    Valid from N = 4D, so that the smallest subset has 2D images (the paper's 5,000 are 2.4 D): below n = D
    covariances are singular and FD is no line in 1/n, near it the line bends (`MetricFailed`). For
    N(0, I_d) and large d the Marchenko–Pastur law gives E FD at every size: the intercept is then 0.006 d too
    low at N = 4D (2% of the bias it removes), 0.0012 d at 8D. Real spectra decay and fare better.
    """
    return _extrapolated(*_sides(x, y), check_seed(seed), delta_error)


def _extrapolated(x: Fitted, y: Fitted | Exact, seed: int, delta_error: float | None) -> Extrapolation:
    """`fd_infinity` of what was fitted before."""
    n, d = x.features.shape
    if n < infinity_minimum(d):
        raise MetricFailed(
            f"FD at infinity needs at least {infinity_minimum(d)} generated images for {d} dimensions but has "
            f"{n}; FD is not linear in 1/n below that"
        )
    fixed = y.moments.mean, y.covariance
    order = torch.from_numpy(permutation(seed, n)).to(x.features.device)
    blocks = [moments_of(x.features[rows]) for rows in order.tensor_split(BLOCKS)]
    sizes, distances = [], []
    for width in WINDOWS:
        step = math.gcd(width, BLOCKS)
        windows = [
            _merged([blocks[(start + k) % BLOCKS] for k in range(width)]) for start in range(0, BLOCKS, step)
        ]
        found = [_distance(w.mean, Covariance(w.covariance), *fixed) for w in windows]
        sizes.append(float(np.mean([w.n for w in windows])))
        distances.append(float(np.mean(found)))
    finite_result(sum(distances), "the Fréchet distance")
    slope, intercept, fit_error = _line(1 / np.array(sizes), np.array(distances))
    if delta_error is None:
        delta_error = _standard_error(x, y, 1.0)
    return Extrapolation(intercept, math.hypot(delta_error, fit_error), slope, tuple(sizes), tuple(distances))


class FrechetDistance(Family):
    """How far generated features lie from real ones, as Gaussians (FID on Inception-v3)."""

    outputs = (
        Output(
            "fd",
            "quality",
            False,
            "How far generated features lie from real ones, as Gaussians (FID on Inception-v3).",
            scale="log",  # a squared distance
            ends=(0.0, None),
        ),
        Output(
            "fd_infinity",
            "quality",
            False,
            "What `fd` would be with infinitely many generated images, by a line in 1/n.",
            scale="sqrt",  # an extrapolation may pass 0, where there is no log
            source="Chong & Forsyth 2020",
            beside="fd",
        ),
    )
    needs = frozenset({"moments", "features"})
    source = "Heusel et al. 2017, eq. (6); interval: Efron 1982, ch. 6; infinity: Chong & Forsyth 2020"

    def numbers(self, evidence: Evidence) -> dict[str, Estimate | MetricFailed]:
        """FD from the moments; with the generated features also a delta-method interval on the log scale, and
        FD at infinity where there are enough images (otherwise it has none: it would be no estimate of it). A
        reference that is moments alone is taken as exact. With at most as many images as dimensions on a side its
        covariance is singular and FD is mostly bias: the interval's name says so."""
        generated, reference = (evidence.seen(role, self.extractor) for role in ("generated", "reference"))
        if generated.features is None:
            return {
                "fd": Estimate(_of_moments(generated.moments, reference.moments)),
                "fd_infinity": MetricFailed("FD at infinity needs the features of the generated images"),
            }
        x, y, unit = _fitted(generated.features, generated.moments, reference)
        value = finite_result(fitted_distance(x, y) * unit * unit, "the Fréchet distance")
        error = _standard_error(x, y, unit)
        exact = ", reference taken as exact" if isinstance(y, Exact) else ""
        few = min(x.moments.n, y.moments.n) <= x.moments.dim
        fd = positive_estimate(value, error, f"delta{exact}{', rank-deficient (N <= D)' if few else ''}")
        return {"fd": fd, "fd_infinity": _at_infinity(x, y, error, unit, f"delta and line fit{exact}")}


def _of_moments(a: Moments, b: Moments) -> float:
    """FD of the generated images and the reference where there is no more of the former."""
    cov = check_covariance(b.covariance, "the covariance of the reference")
    return finite_result(_distance(a.mean, Covariance(a.covariance), b.mean, cov), "the Fréchet distance")


def _fitted(x: Tensor, a: Moments, reference: FeatureEvidence) -> tuple[Fitted, Fitted | Exact, float]:
    """The generated images, whose moments are there too, and the reference, and the unit that they are counted in."""
    b = reference.moments
    if reference.features is None:
        cov = check_covariance(b.covariance, "the covariance of the reference")
        return Fitted(check_features(x, "the generated features"), a), Exact(b, cov), 1.0
    x, y, unit = near_one(*check_pair(x, reference.features))
    return (Fitted(x, a), Fitted(y, b), unit) if unit == 1 else (Fitted(x), Fitted(y), unit)


def _at_infinity(
    x: Fitted, y: Fitted | Exact, error: float, unit: float, method: str
) -> Estimate | MetricFailed:
    try:
        limit = _extrapolated(x, y, 0, error / unit / unit)
        value, error = (
            finite_result(number * unit * unit, "the Fréchet distance at infinity")
            for number in (limit.value, limit.standard_error)
        )
    except MetricFailed as failure:
        return failure
    return normal_estimate(value, error, method)


def _sides(x: Tensor, y: Tensor | Moments) -> tuple[Fitted, Fitted | Exact]:
    """Both sides, those that are features checked."""
    if isinstance(y, Moments):
        return Fitted(check_features(x, "the generated features")), Exact(y)
    x, y = check_pair(x, y)
    return Fitted(x), Fitted(y)


def _transport(root1: Tensor, root2: Tensor) -> tuple[Tensor, Tensor]:
    """A₁ = F₁ U S^{-1/2} and A₂ = F₂ V S^{-1/2}, so that A₂A₂ᵀ maps N(0, Σ₁) to N(0, Σ₂) and A₁A₁ᵀ back."""
    if root1.shape[1] < root2.shape[1]:
        right, left = _transport(root2, root1)
        return left, right
    product = root1.T @ root2
    squares, vectors = torch.linalg.eigh(product.T @ product)
    # A direction adds its singular value to the quadratic form, so those lost in rounding weigh nothing.
    keep = squares > len(squares) * EPS * squares[-1:].sum()  # of equal images there are no directions at all
    singular, vectors = squares[keep].sqrt(), vectors[:, keep]
    return root1 @ (product @ vectors / singular**1.5), root2 @ (vectors / singular.sqrt())


def _influence(features: Tensor, mean: Tensor, linear: Tensor, transport: Tensor) -> Tensor:
    parts = []
    for rows in torch.split(features, ROWS):
        centred = rows.to(torch.float64) - mean
        parts.append(centred @ linear + centred.square().sum(1) - (centred @ transport).square().sum(1))
    influence = torch.cat(parts)
    return influence - influence.mean()


def _merged(parts: list[Moments]) -> Moments:
    """All parts at once by Chan's rule: one pass over the matrices instead of one a part."""
    n = sum(part.n for part in parts)
    means = torch.stack([part.mean for part in parts])
    counts = torch.tensor([part.n for part in parts], dtype=torch.float64, device=means.device)
    mean = counts @ means / n
    shifts = (means - mean) * counts.sqrt()[:, None]
    m2 = shifts.T @ shifts
    for part in parts:
        m2 += part.m2
    return Moments(n, mean, m2)


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Slope, intercept and the intercept's standard error of the least-squares line."""
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    intercept = float(y.mean() - slope * x.mean())
    residual = y - intercept - slope * x
    variance = residual @ residual / (len(x) - 2)
    return slope, intercept, math.sqrt(variance * (1 / len(x) + x.mean() ** 2 / (centred @ centred)))
