"""Points of known distributions, float64 N×D, drawn from a generator that is given."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Points: TypeAlias = NDArray[np.float64]


def normal(rng: Generator, n: int, dim: int, mean: float = 0, deviation: float = 1) -> Points:
    """A Gaussian of one mean and one standard deviation on every axis."""
    return mean + deviation * rng.standard_normal((n, dim))


def mixture(rng: Generator, n: int, means: Points, deviation: float, shares: Points) -> Points:
    """A mixture of Gaussians: means K×D, shares (K,) in any unit."""
    own = rng.choice(len(means), size=n, p=shares / shares.sum())
    return means[own] + deviation * rng.standard_normal((n, means.shape[1]))


def pareto(rng: Generator, n: int, exponent: float) -> Points:
    """Numbers from 1 on whose density falls as x^−(exponent + 1), N×1."""
    return 1 + rng.pareto(exponent, (n, 1))


def cube(rng: Generator, n: int, dim: int, start: float = 0) -> Points:
    """Uniform in the cube [start, start + 1]^dim."""
    return start + rng.random((n, dim))


def sphere(rng: Generator, n: int, dim: int, radius: float = 1) -> Points:
    """Uniform on the surface of a sphere."""
    points = rng.standard_normal((n, dim))
    lengths: Points = np.linalg.norm(points, axis=1, keepdims=True)
    return radius * points / lengths


def ball(rng: Generator, n: int, dim: int, radius: float) -> Points:
    """Uniform in a ball: the share of it within a radius r grows as r^dim."""
    return sphere(rng, n, dim) * radius * rng.random((n, 1)) ** (1 / dim)


def torus(rng: Generator, n: int, ring: float = 1, tube: float = 0.1) -> Points:
    """A disc of radius `tube` carried round a ring of radius `ring`: uniform in the disc and in the angle, N×3."""
    across, up = ball(rng, n, 2, tube).T
    angle = 2 * np.pi * rng.random(n)
    return np.stack([(ring + across) * np.cos(angle), (ring + across) * np.sin(angle), up], axis=1)
