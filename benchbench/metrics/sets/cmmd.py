"""CMMD: maximum mean discrepancy of CLIP embeddings under a Gaussian kernel.

Jayasumana et al. 2024, "Rethinking FID: Towards a Better Evaluation Metric for Image Generation":
k(x, y) = exp(−‖x − y‖²/2σ²) with σ = 10 on embeddings of unit length. As the authors' implementation does,
the biased estimate is reported, times 1,000; so numbers at different numbers of images do not compare.

Scope: a kernel for `kernel.kernel_distance`, which does the work.
"""

from __future__ import annotations

from torch import Tensor

from benchbench.core.arrays import ArrayLike
from benchbench.core.errors import MetricFailed
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Estimate, Metric
from benchbench.metrics.numerics.arguments import check_directions, check_number, check_pair
from benchbench.metrics.numerics.gram import Kernel
from benchbench.metrics.numerics.linalg import unit_rows
from benchbench.metrics.sets.kernel import kernel_distance

SIGMA = 10.0
SCALE = 1000.0


def rbf_kernel(sigma: float) -> Kernel:
    """exp(−‖x − y‖²/2σ²), σ above 0."""
    sigma = check_number(sigma, "the width of a kernel", 0, open_end=True)
    square = sigma * sigma
    slope = -0.5 / square if square > 1e-300 else -5e299  # of so narrow a kernel all that differs is at 0

    def kernel(inner: Tensor, x_squares: Tensor, y_squares: Tensor) -> Tensor:
        squares = inner.mul_(-2).add_(x_squares[:, None]).add_(y_squares)
        return squares.clamp_(min=0).mul_(slope).exp_()

    return kernel


def cmmd(x: ArrayLike, y: ArrayLike) -> float:
    """1,000 × biased MMD² of embeddings x (N×D) and y (M×D), which are brought to unit length first.

    `MetricFailed` for an embedding of length 0, which has no direction.
    """
    sides = check_pair(x, y)
    for side in sides:
        check_directions(side)
    a, b = map(unit_rows, sides)
    return SCALE * kernel_distance(a, b, kernel=rbf_kernel(SIGMA)).biased


class CMMD(Metric):
    """How far generated CLIP embeddings lie from real ones, as MMD² with a Gaussian kernel."""

    family = "cmmd"
    aspect = "quality"
    higher_is_better = False
    scale = "log"  # of the biased estimate, which is never negative
    ends = (0.0, None)
    needs = frozenset({"features"})
    on = frozenset({"clip"})
    source = "Jayasumana et al. 2024"

    def compute(self, evidence: Evidence) -> Estimate:
        assert self.extractor is not None
        if not self.defined_on(self.extractor):
            raise MetricFailed(
                f"CMMD is defined on CLIP embeddings, and {self.extractor} is none; kd_{self.extractor} is "
                "the kernel distance on any extractor"
            )
        x, y = (evidence.seen(role, self.extractor).features for role in ("generated", "reference"))
        if x is None or y is None:
            raise MetricFailed(f"{self.name} needs the features of both sides, not their moments alone")
        return Estimate(cmmd(x, y))
