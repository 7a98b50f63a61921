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

from benchbench.core.errors import MetricFailed

EPS = torch.finfo(torch.float64).eps
_TINY = (
    1e-140  # shorter rows, and longer ones than 1 over it, have squares that float64 does not hold in full
)
NEGATIVE = 1e-6  # of the largest eigenvalue: what rounding may leave below 0 in a covariance
ASYMMETRY = 1e-4  # of the largest entry: what float32 sums may leave between an entry and its mirror image


def unit_rows(features: Tensor) -> Tensor:
    """Rows of features N×D at length 1, float64. Rows of zeros are the caller's to refuse."""
    x = features.double()
    lengths = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    if not (
        (lengths > _TINY) & (lengths < 1 / _TINY)
    ).all():  # squares left float64: rows are brought near 1 first
        x = x / x.abs().amax(1, keepdim=True)
        lengths = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    unit: Tensor = x / lengths
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
    _refuse_negative(values)
    keep = values > len(cov) * EPS * largest
    kept: Tensor = vectors[:, keep] * values[keep].sqrt()
    return kept


def check_covariance(cov: Tensor, what: str) -> Tensor:
    """A finite float64 D×D as the covariance it is: symmetric to the last bit.

    `MetricFailed` for a matrix that is further from symmetric than float32 sums leave it, or has a negative eigenvalue
    beyond rounding.
    """
    gap = float((cov - cov.T).abs().max())
    if gap > ASYMMETRY * float(cov.abs().max()):
        raise MetricFailed(
            f"{what} is not symmetric, so it is no covariance: an entry differs from its mirror image by {gap:.3g}"
        )
    cov = cov if gap == 0 else (cov + cov.T) / 2
    if int(torch.linalg.cholesky_ex(cov)[1]):
        _refuse_negative(torch.linalg.eigvalsh(cov))
    return cov


def _refuse_negative(values: Tensor) -> None:
    """`MetricFailed` for ascending eigenvalues of what is no covariance."""
    if values[0] < -NEGATIVE * values[-1].clamp(min=0):
        raise MetricFailed(f"not a covariance: it has the negative eigenvalue {float(values[0]):.3g}")


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
