"""Gaussians around given points, whose widths are fitted to other points: a density of images in features.

    p(x) = 1/m Σ_j N(x | c_j, s_j I)

The centres stay, the variances s_j are what makes the data x_1 … x_n likeliest, found by expectation maximisation: with
r the share that centre j has in the density at x_i, s_j = Σ_i r_ij |x_i − c_j|² / (D Σ_i r_ij). It starts where each
centre makes its nearest point likeliest, s_j = min_i |x_i − c_j|²/D, and no step makes the data less likely. A centre
that has no share in any point keeps its width.

Pattern: at distance d no Gaussian of any width is denser than one of variance d²/D. So what all centres but the nearest
`_NEAREST` of a point can add to the density there is bounded, and a step looks at n × `_NEAREST` distances and not at n
× m; where the bound is not small, more of the nearest are taken, all of them at last. The distances are computed once.

Scope: features N×D, centres by the thousands; memory a strip of distances and the nearest of each point.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from benchbench.features.frozen import full_float32
from benchbench.metrics.numerics.log_squares import squares
from benchbench.metrics.numerics.neighbours import Side, mean_row, tiles

NARROWEST = 2.0**-32
"""The smallest variance. In units of a feature's variance: a width of 1.5e-5, to which networks agree on one image."""
_NEAREST = 64
_LEFT_OUT = 1e-4  # of the density, mean over points, that centres may have which nobody looked at
_STEPS = 200
_SETTLED = 1e-6  # nats per dimension and point that a step gains
_SHARE = 1e-6  # of a point: a centre with less of all of them says nothing of its width
_STRIP = 2**22  # distances at once: 16 MiB


@dataclass(frozen=True)
class Mixture:
    """centres: float32 m×D. variances: float64 (m,)."""

    centres: Tensor
    variances: Tensor

    def log_parts(self, x: Tensor, groups: int) -> Tensor:
        """What groups of centres add to p at each of x (n×D): float64 n×groups, in column g the logarithm of 1/m times
        the sum over the centres g, g + groups, …"""
        scale = self._scale(x.shape[1])
        rest = -len(self.centres) % groups
        parts = []
        for _, strip in distances(x, self.centres):
            terms = strip.double().div_(-2 * self.variances).add_(scale)
            terms = pad(terms, (0, rest), value=-math.inf).view(len(terms), -1, groups)
            parts.append(terms.logsumexp(1))
        return torch.cat(parts)

    def near_terms(self, near: Nearest) -> Tensor:
        """The logarithms of what the nearest centres of each point add to p there, float64 n×K."""
        of = near.index.flatten()
        # In place: these are hundreds of megabytes, and fresh memory costs as much as the arithmetic.
        terms = (2 * self.variances).index_select(0, of).view_as(near.squares)
        torch.div(near.squares, terms, out=terms)
        return terms.neg_().add_(self._scale(near.dim).index_select(0, of).view_as(terms))

    def near_parts(self, near: Nearest, groups: int) -> Tensor:
        """`log_parts` of the points whose nearest centres these are."""
        terms, group = self.near_terms(near), near.index % groups
        return torch.stack(
            [terms.masked_fill(group != own, -math.inf).logsumexp(1) for own in range(groups)], 1
        )

    def _scale(self, dim: int) -> Tensor:
        return -dim / 2 * (2 * math.pi * self.variances).log() - math.log(len(self.centres))


@dataclass(frozen=True)
class Nearest:
    """Of each of n points its nearest centres. squares: float64 n×K, squared distances, ascending; index: int64 n×K;
    of: how many centres there are; dim: of the space."""

    squares: Tensor
    index: Tensor
    of: int
    dim: int

    @classmethod
    def find(cls, x: Tensor, centres: Tensor, width: int) -> tuple[Nearest, Tensor]:
        """And the squared distance of each centre to its nearest point, float64 (m,)."""
        width = min(width, len(centres))
        found, least = [], torch.full((len(centres),), torch.inf, device=x.device)
        for _, strip in distances(x, centres):
            found.append(strip.topk(width, dim=1, largest=False))
            least = torch.minimum(least, strip.amin(0))
        values, index = (torch.cat(part) for part in zip(*found, strict=True))
        return cls(values.double(), index, len(centres), x.shape[1]), least.double()

    def left_out(self, log_density: Tensor) -> float:
        """At most this share of the density, mean over the points, have the centres that are not among the nearest."""
        others = self.of - self.index.shape[1]
        if not others:
            return 0.0
        densest = -self.dim / 2 * (1 + (2 * math.pi * self.squares[:, -1] / self.dim).log())
        return float((densest + math.log(others / self.of) - log_density).exp().clamp(max=1e6).mean())


def distances(x: Tensor, centres: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of all rows of x to all centres, some rows of x at a time with where they are."""
    centre = mean_row(centres)
    a, b = (Side.of(rows, centre, torch.float32) for rows in (x, centres))
    with full_float32():
        for rows in tiles(len(x), max(1, _STRIP // len(centres))):
            yield rows, squares(x[rows], centres, a[rows], b, centre)


def fit(centres: Tensor, x: Tensor) -> tuple[Mixture, Nearest]:
    """The mixture around centres m×D that makes x, n×D, likeliest, and the nearest centres of x that tell its density
    there."""
    width = _NEAREST
    while True:
        near, least = Nearest.find(x, centres, width)
        mixture, log_density = _climb(Mixture(centres, (least / near.dim).clamp_(min=NARROWEST)), near)
        if near.left_out(log_density) <= _LEFT_OUT:
            return mixture, near
        width *= 8


def _climb(mixture: Mixture, near: Nearest) -> tuple[Mixture, Tensor]:
    """Expectation maximisation until a step gains next to nothing, and the log densities of the points then, (n,)."""
    before = -math.inf
    index = near.index.flatten()
    for _ in range(_STEPS):
        terms = mixture.near_terms(near)
        log_density = terms.logsumexp(1)
        if float(log_density.mean()) - before < _SETTLED * near.dim:
            break
        before = float(log_density.mean())
        shares = terms.sub_(log_density[:, None]).exp_()
        total, moment = (
            torch.zeros_like(mixture.variances).index_add_(0, index, own.flatten())
            for own in (shares, shares * near.squares)
        )
        fitted = (moment / (near.dim * total.clamp(min=_SHARE))).clamp_(min=NARROWEST)
        mixture = replace(mixture, variances=torch.where(total > _SHARE, fitted, mixture.variances))
    return mixture, log_density
