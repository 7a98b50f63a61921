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
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from benchbench.core.arrays import ArrayLike
from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.seeds import permutation
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence
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
from benchbench.metrics.numerics.intervals import normal_estimate, positive_estimate
from benchbench.metrics.numerics.linalg import (
    EPS,
    check_covariance,
    nuclear_norm,
    root,
    trace_sqrt_product,
)

ROWS = 8192  # rows turned to float64 at a time
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
    tensors[1], _ = check_covariance(tensors[1], named[1][0])
    tensors[3], factor = check_covariance(tensors[3], named[3][0])
    # Where squares of its numbers leave float64 everything is brought near 1 first, by a power of two: nothing rounds.
    size = max(largest(t) ** (0.5 if place % 2 else 1) for place, t in enumerate(tensors))
    if (unit := unit_of(size, 1e-70, 1e70)) != 1:
        tensors = [t / unit / (unit if place % 2 else 1) for place, t in enumerate(tensors)]
        factor = None if factor is None else factor / unit
    a, first, b, second = tensors
    return finite_result(_distance(a, first, b, second, factor) * unit * unit, "the Fréchet distance")


def _distance(mu1: Tensor, cov1: Tensor, mu2: Tensor, cov2: Tensor, factor2: Tensor | None = None) -> float:
    """`frechet_distance` of what is known to be means and covariances, float64 on one device, with the Cholesky factor
    of the second one where it is known."""
    if torch.equal(mu1, mu2) and torch.equal(cov1, cov2):
        return 0.0
    shift, traces = (mu1 - mu2).square().sum(), cov1.trace() + cov2.trace()
    return max(float(shift + traces - 2 * trace_sqrt_product(cov1, cov2, factor2)), 0.0)


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


class Fitted:
    """A Gaussian fitted to features, in the forms that distances and influences read, each made once.

    Args:
        features: N×D that were checked, near 1 in size.
    """

    def __init__(self, features: Tensor) -> None:
        self.features = features

    @property
    def deficient(self) -> bool:
        """Whether the covariance is singular: at most as many images as dimensions."""
        n, d = self.features.shape
        return n <= d

    @cached_property
    def mean(self) -> Tensor:
        """float64 (D,)."""
        return self.features.mean(dim=0, dtype=torch.float64)

    @cached_property
    def moments(self) -> Moments:
        """Of all features."""
        return moments_of(self.features)

    @cached_property
    def root(self) -> Tensor:
        """F with F Fᵀ = the covariance: the features themselves, centred, where they are few."""
        if not self.deficient:
            return root(self.moments.covariance)
        return (self.features.to(torch.float64) - self.mean).T / math.sqrt(len(self.features) - 1)

    @property
    def spread(self) -> float:
        """The trace of the covariance."""
        return float(self.root.square().sum() if self.deficient else self.moments.covariance.trace())


def fitted_distance(x: Fitted, y: Fitted) -> float:
    """`frechet_distance_from_features` of what was fitted before."""
    if torch.equal(x.features, y.features):
        return 0.0
    if not (x.deficient or y.deficient):
        a, b = x.moments, y.moments
        return _distance(a.mean, a.covariance, b.mean, b.covariance)
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
    x, y = _checked_sides(x, y)
    return fitted_influence(Fitted(x), y if isinstance(y, Moments) else Fitted(y))


def fitted_influence(x: Fitted, y: Fitted | Moments) -> tuple[Tensor, Tensor | None]:
    """`frechet_influence` of what was fitted before."""
    left, right = _transport(x.root, root(y.covariance) if isinstance(y, Moments) else y.root)
    shift = x.mean - y.mean
    influence = _influence(x.features, x.mean, 2 * shift, right)
    return influence, None if isinstance(y, Moments) else _influence(y.features, y.mean, -2 * shift, left)


def frechet_standard_error(x: Tensor, y: Tensor | Moments) -> float:
    """Standard error of FD by the infinitesimal jackknife (Efron 1982, ch. 6): √(var I(x)/N + var I(y)/M).

    It is the spread of FD over draws of N and M images, not its bias. Conservative: where first-order terms
    vanish (both sides of one distribution) it is √2 too wide, as a jackknife variance of a quadratic form is
    (Efron & Stein 1981), and with N about D up to 1.4 times; in simulations never below 0.9 of the truth.
    """
    unit = 1.0
    if not isinstance(y, Moments):
        x, y, unit = near_one(*check_pair(x, y))
    error = math.sqrt(sum(float(i.var()) / len(i) for i in frechet_influence(x, y) if i is not None))
    return finite_result(error * unit * unit, "the standard error of the Fréchet distance")


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
    seed = check_seed(seed)
    x, y = _checked_sides(x, y)
    n, d = x.shape
    if n < infinity_minimum(d):
        raise MetricFailed(
            f"FD at infinity needs at least {infinity_minimum(d)} generated images for {d} dimensions but has "
            f"{n}; FD is not linear in 1/n below that"
        )
    reference = y if isinstance(y, Moments) else moments_of(y)
    fixed = reference.mean, reference.covariance
    order = torch.from_numpy(permutation(seed, n)).to(x.device)
    blocks = [moments_of(x[rows]) for rows in order.tensor_split(BLOCKS)]
    sizes, distances = [], []
    for width in WINDOWS:
        step = math.gcd(width, BLOCKS)
        windows = [
            _merged([blocks[(start + k) % BLOCKS] for k in range(width)]) for start in range(0, BLOCKS, step)
        ]
        found = [_distance(w.mean, w.covariance, *fixed) for w in windows]
        sizes.append(float(np.mean([w.n for w in windows])))
        distances.append(float(np.mean(found)))
    finite_result(sum(distances), "the Fréchet distance")
    slope, intercept, fit_error = _line(1 / np.array(sizes), np.array(distances))
    if delta_error is None:
        delta_error = frechet_standard_error(x, y)
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
        x, y = generated.features, reference.features
        a, b = generated.moments, reference.moments
        if x is not None and y is not None and min(a.n, b.n) <= a.dim:
            value = frechet_distance_from_features(x, y)
        else:
            cov = (
                b.covariance
                if y is not None
                else check_covariance(b.covariance, "the covariance of the reference")[0]
            )
            value = finite_result(_distance(a.mean, a.covariance, b.mean, cov), "the Fréchet distance")
        if x is None:
            return {
                "fd": Estimate(value),
                "fd_infinity": MetricFailed("FD at infinity needs the features of the generated images"),
            }
        real = b if y is None else y
        error = frechet_standard_error(x, real)
        exact = ", reference taken as exact" if y is None else ""
        deficient = ", rank-deficient (N <= D)" if min(a.n, b.n) <= a.dim else ""
        fd = positive_estimate(value, error, f"delta{exact}{deficient}")
        return {"fd": fd, "fd_infinity": _at_infinity(x, real, error, exact)}


def _at_infinity(x: Tensor, real: Tensor | Moments, error: float, exact: str) -> Estimate | MetricFailed:
    try:
        limit = fd_infinity(x, real, delta_error=error)
    except MetricFailed as failure:
        return failure
    return normal_estimate(limit.value, limit.standard_error, f"delta and line fit{exact}")


def moments_of(features: Tensor) -> Moments:
    """`Moments` of N×D on its device, in slices, so that float64 copies stay small."""
    moments = Moments.zeros(features.shape[1], features.device)
    for rows in torch.split(features, ROWS):
        moments.update(rows)
    return moments


def _checked_sides(x: Tensor, y: Tensor | Moments) -> tuple[Tensor, Tensor | Moments]:
    """Both sides, those that are features checked."""
    if isinstance(y, Moments):
        return check_features(x, "the generated features"), y
    return check_pair(x, y)


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
