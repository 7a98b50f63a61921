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

from functools import cached_property

import scipy.linalg
import torch
from scipy.linalg.lapack import dsygst
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.metrics.numerics.products import at_once

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


class Covariance:
    """A symmetric semidefinite matrix and its roots, each made once.

    matrix: float64 D×D.
    """

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix

    @cached_property
    def cholesky(self) -> Tensor | None:
        """L with L Lᵀ = the matrix; None where rounding or a zero eigenvalue leaves it none."""
        factor, info = torch.linalg.cholesky_ex(self.matrix)
        return None if int(info) else factor

    @cached_property
    def root(self) -> Tensor:
        """F (D×R) with F Fᵀ = the matrix: the Cholesky factor where it is safely positive definite (R = D), else V
        Λ^{1/2} over the R eigenvalues above rounding. `MetricFailed` for a matrix with a negative eigenvalue."""
        cov, factor = self.matrix, self.cholesky
        if factor is not None and factor.diagonal().square().min() > len(cov) * EPS * cov.diagonal().max():
            return factor
        values, vectors = torch.linalg.eigh(cov)
        largest = values[-1].clamp(min=0)
        _refuse_negative(values)
        keep = values > len(cov) * EPS * largest
        kept: Tensor = vectors[:, keep] * values[keep].sqrt()
        return kept


def check_covariance(cov: Tensor, what: str) -> Covariance:
    """A finite float64 D×D as the covariance it is, symmetric to the last bit.

    `MetricFailed` for a matrix that is further from symmetric than float32 sums leave it, or has a negative eigenvalue
    beyond rounding.
    """
    gap = _asymmetry(cov)
    if gap and gap > ASYMMETRY * float(cov.abs().max()):
        raise MetricFailed(
            f"{what} is not symmetric, so it is no covariance: an entry differs from its mirror image by {gap:.3g}"
        )
    checked = Covariance(cov if gap == 0 else (cov + cov.T) / 2)
    if checked.cholesky is None:
        _refuse_negative(torch.linalg.eigvalsh(checked.matrix))
    return checked


def _asymmetry(cov: Tensor) -> float:
    """The largest difference between an entry and its mirror image, each pair looked at once."""
    step = at_once(cov, 256, 4096)
    strips = (slice(i, i + step) for i in range(0, len(cov), step))
    return float(torch.stack([(cov[i, i.start :] - cov[i.start :, i].T).abs().max() for i in strips]).max())


def _refuse_negative(values: Tensor) -> None:
    """`MetricFailed` for ascending eigenvalues of what is no covariance."""
    if values[0] < -NEGATIVE * values[-1].clamp(min=0):
        raise MetricFailed(f"not a covariance: it has the negative eigenvalue {float(values[0]):.3g}")


def trace_sqrt_product(first: Covariance, second: Covariance) -> float:
    """tr (Σ₁Σ₂)^{1/2}; see the module docstring."""
    values = _product_eigenvalues(first.matrix, second.cholesky)
    if values is not None and _root_error(values) <= 1e-9 * float(
        first.matrix.trace() + second.matrix.trace()
    ):
        return float(values.clamp(min=0).sqrt().sum())
    return nuclear_norm(first.root.T @ second.root)


def _product_eigenvalues(cov1: Tensor, factor2: Tensor | None) -> Tensor | None:
    """Eigenvalues of Σ₂Σ₁, ascending, through the Cholesky factor L of Σ₂; None where it has none."""
    if factor2 is None:
        return None
    if cov1.device.type != "cpu":
        values: Tensor = torch.linalg.eigvalsh(factor2.T @ cov1 @ factor2)
        return values
    # LAPACK forms LᵀΣ₁L with half the work of two products. It reads by columns: Lᵀ, so that the upper half counts.
    reduced, _ = dsygst(cov1.numpy().T, factor2.numpy().T, itype=3, lower=0)
    found = scipy.linalg.eigh(
        reduced, lower=False, eigvals_only=True, driver="ev", overwrite_a=True, check_finite=False
    )
    return torch.from_numpy(found)


def _root_error(values: Tensor) -> float:
    """How far Σ √λ can be off when each λ is known to ± δ = 8 ε λ_max: the summed width of √(λ ± δ)."""
    error = 8 * EPS * values[-1].clamp(min=0)
    return float(((values + error).clamp(min=0).sqrt() - (values - error).clamp(min=0).sqrt()).sum())
