"""How much P-precision and P-recall vary from draw to draw, from halves of the images, as `halves` has it.

The probability that an image belongs to the support of the other set is 1 − Π min(d/R, 1) over the images of that set,
so its logarithm is a sum over images, and the sums over all halves are one product of a tile with the weights of the
halves. R is a mean distance and differs a little from half to half: the sums are taken at one R for all halves, and
what the own R of a half changes is added to first order (the derivative of the sum by log R is the number of images
nearer than R).
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchbench.core.comm import Comm
from benchbench.metrics.numerics.halves import CUTS, Halves
from benchbench.metrics.numerics.log_squares import LEAST


def log_radius(distances: Tensor, weights: Tensor, wide: float) -> Tensor:
    """log R² with R = `wide` times the weighted mean of distances (U,) or U×C, from `LEAST` on."""
    mean = (distances * weights).sum(0) / weights.sum(0)
    return (2 * (wide * mean).log()).clamp(min=LEAST)


class HalvedSupports:
    """Gathers from the tiles of log squared distances what each half says of the other set's images.

    sides: the halves of the real and of the generated images. wide: R over the mean distance to the k-th neighbour.
    """

    def __init__(self, sides: tuple[Halves, Halves], wide: float) -> None:
        self.sides = sides
        radii = [
            log_radius(own.limits.double().clamp(min=0).sqrt(), own.weights.double(), wide) for own in sides
        ]
        self._common = [float(own.mean()) for own in radii]
        self._beyond = [(own - own.mean()) / 2 for own in radii]  # log R of each half less the common one
        self._weights = [own.weights.float() for own in sides]
        self._logs, self._inside = ([torch.zeros_like(own) for own in self._weights] for _ in range(2))

    def add(self, logs: Tensor, i: slice, j: slice) -> None:
        """Count one tile of log squared distances, real rows `i` and generated rows `j`."""
        for of, part, tile in ((0, (i, j), logs.T), (1, (j, i), logs)):
            nearer = (tile - self._common[of]).clamp_(max=0)
            own, other = part
            weights = self._weights[of][own]
            self._logs[1 - of][other] += nearer @ weights
            self._inside[1 - of][other] += (nearer < 0).float() @ weights

    def values(self, comm: Comm) -> Tensor:
        """P-precision and P-recall of each half of each cut, float64 2×C×2; with what other ranks found."""
        found = []
        for mine in (1, 0):
            logs, inside = (comm.total(own).double() for own in (self._logs[mine], self._inside[mine]))
            outside = (logs / 2).exp()
            moved = self.sides[mine].share(outside * inside) * self._beyond[1 - mine]
            found.append((1 - self.sides[mine].share(outside) + moved).clamp(0, 1))
        return torch.stack(found).view(2, CUTS, 2).cpu()
