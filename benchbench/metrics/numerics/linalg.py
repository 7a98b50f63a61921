"""Linear algebra on covariances: roots, and the trace of the root of a product.

Pattern: no general matrix square root anywhere. For symmetric semidefinite Σ₁ = F₁F₁ᵀ and Σ₂ = F₂F₂ᵀ,

    tr (Σ₁Σ₂)^{1/2} = tr (F₂ᵀΣ₁F₂)^{1/2} = ‖F₁ᵀF₂‖_*    (nuclear norm: the sum of the singular values)

whatever the roots, since Σ₁Σ₂ and (F₁ᵀF₂)ᵀ(F₁ᵀF₂) share their nonzero eigenvalues. With Cholesky factors the
middle form is one symmetric eigenvalue problem; with centred features as roots the right form needs no
covariance at all.

Trade-offs: the middle form is fast but squares: an eigenvalue of zero comes out as ±ε λ_max, and its root as
1.5e-8 √λ_max. So its error is bounded from the spectrum it found, and where the bound is too wide (a singular
covariance: dead channels, fewer images than dimensions) the right form, which does not square, takes over.
Nothing is ever added to a diagonal.

Scope: float64, CPU or CUDA.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed

EPS = torch.finfo(torch.float64).eps


def check_features(features: Tensor, what: str, minimum: int = 2) -> Tensor:
    """Return `features` if they are float32 or float64 N×D, finite, N ≥ `minimum`.

    `InputError` for another shape or dtype; `MetricFailed` for too few rows or a value that is not finite.
    """
    if features.ndim != 2 or features.dtype not in (torch.float32, torch.float64):
        shape = "×".join(map(str, features.shape))
        raise InputError(f"{what} must be float32 or float64 N×D but are {features.dtype}, {shape}")
    if len(features) < minimum:
        raise MetricFailed(f"{what}: needs at least {minimum} images but has {len(features)}")
    # A finite sum has finite terms, at a tenth of the time that looking at each of them takes.
    if not torch.isfinite(features.sum()) and not torch.isfinite(features).all():
        raise MetricFailed(f"{what} hold NaN or infinity; check the images and the weights")
    return features


def check_pair(x: Tensor, y: Tensor, minimum: int = 2) -> None:
    """`check_features` of both, and an `InputError` when they have different lengths of feature vector."""
    check_features(x, "the generated features", minimum)
    check_features(y, "the reference features", minimum)
    if x.shape[1] != y.shape[1]:
        raise InputError(
            f"features of {x.shape[1]} and {y.shape[1]} dimensions come from different extractors"
        )


def check_directions(features: Tensor) -> None:
    """`MetricFailed` where a row of features N×D is all zeros, which has no direction."""
    zero = int((features == 0).all(1).sum())
    if zero:
        raise MetricFailed(
            f"{zero} of {len(features)} images have features of length 0, which have no direction"
        )


def unit_rows(features: Tensor) -> Tensor:
    """Rows of features N×D at length 1, float64."""
    x = features.double()
    unit: Tensor = x / torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return unit


def nuclear_norm(matrix: Tensor) -> float:
    """The sum of the singular values."""
    return float(torch.linalg.svdvals(matrix).sum())


def root(cov: Tensor) -> Tensor:
    """F (D×R) with F Fᵀ = cov: the Cholesky factor where `cov` is safely positive definite (R = D), else
    V Λ^{1/2} over the R eigenvalues above rounding. `MetricFailed` for a matrix with a negative
    eigenvalue."""
    factor: Tensor
    factor, info = torch.linalg.cholesky_ex(cov)
    floor = len(cov) * EPS * cov.diagonal().max()
    if int(info) == 0 and factor.diagonal().square().min() > floor:
        return factor
    values, vectors = torch.linalg.eigh(cov)
    largest = values[-1].clamp(min=0)
    if values[0] < -1e-6 * largest or (largest == 0 and values[0] < 0):
        raise MetricFailed(f"not a covariance: it has the negative eigenvalue {float(values[0]):.3g}")
    keep = values > len(cov) * EPS * largest
    kept: Tensor = vectors[:, keep] * values[keep].sqrt()
    return kept


def trace_sqrt_product(cov1: Tensor, cov2: Tensor) -> float:
    """tr (Σ₁Σ₂)^{1/2} for symmetric semidefinite float64 D×D; see the module docstring."""
    values = _product_eigenvalues(cov1, cov2)
    if values is not None and _root_error(values) <= 1e-9 * float(cov1.trace() + cov2.trace()):
        return float(values.clamp(min=0).sqrt().sum())
    return nuclear_norm(root(cov1).T @ root(cov2))


def _product_eigenvalues(cov1: Tensor, cov2: Tensor) -> Tensor | None:
    """Eigenvalues of Σ₂Σ₁, ascending, through a Cholesky factor of Σ₂; None where it has none."""
    if cov1.device.type != "cpu":
        factor, info = torch.linalg.cholesky_ex(cov2)
        return None if int(info) else torch.linalg.eigvalsh(factor.T @ cov1 @ factor)
    try:
        # LAPACK's symmetric-definite problem of type 3 forms LᵀΣ₁L with half the work of two products.
        values = scipy.linalg.eigh(
            cov1.numpy(), cov2.numpy(), type=3, eigvals_only=True, driver="gv", check_finite=False
        )
    except np.linalg.LinAlgError:
        return None
    return torch.from_numpy(values)


def _root_error(values: Tensor) -> float:
    """How far Σ √λ can be off when each λ is known to ± δ = 8 ε λ_max: the summed width of √(λ ± δ)."""
    error = 8 * EPS * values[-1].clamp(min=0)
    return float(((values + error).clamp(min=0).sqrt() - (values - error).clamp(min=0).sqrt()).sum())
