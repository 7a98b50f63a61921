"""Gaussians fitted to features, in the forms that distances between them and influences of single images read.

Pattern: a side is looked at by several numbers (a distance, its error, its limit), and each form of it is made once.

Scope: features N×D on any device; means, covariances and roots are float64 there.
"""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from benchbench.features.moments import Moments
from benchbench.metrics.numerics.linalg import Covariance

ROWS = 8192  # rows turned to float64 at a time


def moments_of(features: Tensor) -> Moments:
    """`Moments` of N×D on its device, in slices, so that float64 copies stay small."""
    moments = Moments.zeros(features.shape[1], features.device)
    for rows in torch.split(features, ROWS):
        moments.update(rows)
    return moments


class Fitted:
    """A Gaussian fitted to features, in the forms that distances and influences read, each made once.

    Args:
        features: N×D that were checked, near 1 in size.
        moments: Of all features, where somebody has them.
    """

    def __init__(self, features: Tensor, moments: Moments | None = None) -> None:
        self.features = features
        self._moments = moments

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
        return moments_of(self.features) if self._moments is None else self._moments

    @cached_property
    def covariance(self) -> Covariance:
        """Of all features."""
        return Covariance(self.moments.covariance)

    @cached_property
    def root(self) -> Tensor:
        """F with F Fᵀ = the covariance: the features themselves, centred, where they are few."""
        if not self.deficient:
            return self.covariance.root
        return (self.features.to(torch.float64) - self.mean).T / math.sqrt(len(self.features) - 1)

    @property
    def spread(self) -> float:
        """The trace of the covariance."""
        return float(self.root.square().sum() if self.deficient else self.covariance.matrix.trace())


class Exact:
    """A Gaussian that is known by its moments, which are taken as exact, in the same forms.

    Args:
        moments: float64.
        covariance: Of them, where somebody has it.
    """

    features = None
    deficient = False

    def __init__(self, moments: Moments, covariance: Covariance | None = None) -> None:
        self.moments, self.mean = moments, moments.mean
        self.covariance = Covariance(moments.covariance) if covariance is None else covariance

    @property
    def root(self) -> Tensor:
        """F with F Fᵀ = the covariance."""
        return self.covariance.root
