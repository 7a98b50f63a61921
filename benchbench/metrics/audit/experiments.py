"""The synthetic experiments of Räisä, van Breugel & van der Schaar 2025, "Position: All Current Generative Fidelity and
Diversity Metrics are Flawed" (ICML 2025, arXiv:2505.22450, appendix; their code is MIT).

In each, one parameter goes over its values, and at every value there is a set of real points and a set of generated
ones. A case is the experiment in one number of dimensions or with the sides in one role. What a metric has to say is
`expectations`; names of experiments and cases are those of the authors' tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.random import Generator

from benchbench.metrics.audit.distributions import (
    Points,
    ball,
    cube,
    mixture,
    normal,
    pareto,
    sphere,
    torus,
)

Pair: TypeAlias = tuple[Points, Points]
Make: TypeAlias = Callable[[float, int, Generator, Generator], Pair]
"""Value of the parameter, number of points, generators of the real and of the generated side: real and generated
points, N×D and M×D."""


@dataclass(frozen=True)
class Case:
    """An experiment as it is made.

    Attributes:
        values: Those of its parameter, ascending.
        make: The points of both sides at a value.
    """

    values: tuple[float, ...]
    make: Make


@dataclass(frozen=True)
class Experiment:
    """A question about metrics.

    Attributes:
        title: What it is called in tables.
        parameter: What goes over its values.
        cases: By name; "" for the only one.
        real_anew: Whether real points are drawn anew at every value; else one set serves all of a case.
    """

    title: str
    parameter: str
    cases: Mapping[str, Case]
    real_anew: bool = False


def mean_moved(mean: float, n: int, real: Generator, made: Generator, *, dim: int) -> Pair:
    """Two Gaussians; the generated one's mean moves along the diagonal."""
    return normal(real, n, dim), normal(made, n, dim, mean)


def mean_moved_with_outlier(
    mean: float, n: int, real: Generator, made: Generator, *, dim: int, farthest: float, outlier: str
) -> Pair:
    """The same with one point more, at the farthest mean, on one side."""
    points, generated = mean_moved(mean, n, real, made, dim=dim)
    far = np.full((1, dim), farthest)
    if outlier == "real":
        return np.concatenate([points, far]), generated
    return points, np.concatenate([generated, far])


def widened(deviation: float, n: int, real: Generator, made: Generator, *, dim: int) -> Pair:
    """Two Gaussians of one mean; the generated one's standard deviation grows."""
    return normal(real, n, dim), normal(made, n, dim, deviation=deviation)


def axis_scaled(scale: float, n: int, real: Generator, made: Generator) -> Pair:
    """Two Gaussians that lie apart on the first axis; the second axis of both is stretched."""
    axes, apart = np.array([1, scale]), np.array([6, 0])
    return normal(real, n, 2) * axes, (apart + normal(made, n, 2)) * axes


def mean_moved_beside_pareto(mean: float, n: int, real: Generator, made: Generator) -> Pair:
    """The mean moves on the first axis; the second has a heavy tail on both sides."""
    return tuple(  # type: ignore[return-value]
        np.concatenate([normal(rng, n, 1, at), pareto(rng, n, 1.01)], axis=1)
        for rng, at in ((real, 0.0), (made, mean))
    )


def one_axis_apart(others: float, n: int, real: Generator, made: Generator) -> Pair:
    """Two Gaussians that lie apart on one axis and are alike on ever more others."""
    dim = 1 + int(others)
    apart = np.zeros(dim)
    apart[0] = 6
    return normal(real, n, dim), apart + normal(made, n, dim)


MODES = 10
_WIDTHS = {1: 1 / 6, 8: 1 / 3, 64: 1.0}
_PLACES = np.array(
    [
        [5.46794328, -4.08481523], [4.87211875, -13.64864684], [-16.39432073, 9.09802249], [-2.15447941, 12.46200019],
        [11.55784483, -4.96049923], [-24.60558474, 14.18020818], [16.84215967, -3.18710751],
        [-5.47807206, -6.77247129], [9.46726546, 1.05922347], [-5.40346201, -17.29490131],
    ]
)  # fmt: skip
"""Of the modes that are dropped and invented: the authors drew them once."""


def _along_diagonal(dim: int) -> Points:
    return np.repeat(np.linspace(0, 10, MODES)[:, None], dim, axis=1)


def modes_thinned(share: float, n: int, real: Generator, made: Generator, *, dim: int) -> Pair:
    """Ten modes; nine of them lose the same share of their points to the first."""
    shares = np.array([1, *[1 - share] * (MODES - 1)])
    means, width = _along_diagonal(dim), _WIDTHS[dim]
    return mixture(real, n, means, width, np.ones(MODES)), mixture(made, n, means, width, shares)


def modes_dropped(dropped: float, n: int, real: Generator, made: Generator, *, dim: int) -> Pair:
    """Ten modes, of which one after the other is missing."""
    means, width = _along_diagonal(dim), _WIDTHS[dim]
    left = MODES - int(dropped)
    return mixture(real, n, means, width, np.ones(MODES)), mixture(
        made, n, means[:left], width, np.ones(left)
    )


def modes_invented(modes: float, n: int, real: Generator, made: Generator) -> Pair:
    """Five real modes in the plane, and as many generated ones as the value says: the first five are the real ones."""
    own, width = int(modes), 0.25
    return mixture(real, n, _PLACES[:5], width, np.ones(5)), mixture(
        made, n, _PLACES[:own], width, np.ones(own)
    )


def one_for_two_modes(distance: float, n: int, real: Generator, made: Generator, *, dim: int) -> Pair:
    """Two real modes draw apart on every axis; one generated Gaussian grows with them, of variance 1 + distance², as
    the authors have it."""
    means = np.repeat(np.array([[-0.5], [0.5]]) * distance, dim, axis=1)
    generated = normal(made, n, dim, deviation=float(np.sqrt(1 + distance**2)))
    return mixture(real, n, means, 1, np.ones(2)), generated


def radius_grown(radius: float, n: int, real: Generator, made: Generator, *, dim: int) -> Pair:
    """The surfaces of two spheres of one centre; the generated one's radius grows."""
    return sphere(real, n, dim), sphere(made, n, dim, radius)


OVERLAP = 0.2
"""Of the volume of two cubes, which share it."""


def cubes(times: float, n: int, real: Generator, made: Generator, *, dim: int, both: bool) -> Pair:
    """Two cubes that share a fifth of their volume, with `times` as many points: on both sides, or generated alone."""
    many, start = round(times * n), 1 - OVERLAP ** (1 / dim)
    return cube(real, many if both else n, dim), cube(made, many, dim, start)


def ball_in_torus(times: float, n: int, real: Generator, made: Generator, *, real_is: str) -> Pair:
    """A ball within the hole of a torus, with `times` as many generated points."""
    many = round(times * n)
    if real_is == "ball":
        return ball(real, n, 3, 0.8), torus(made, many)
    return torus(real, n), ball(made, many, 3, 0.8)


def rounded(scale: float, n: int, real: Generator, made: Generator, *, whole: str) -> Pair:
    """Two Gaussians of one width, of which one side is rounded to whole numbers."""
    points, generated = scale * normal(real, n, 1), scale * normal(made, n, 1)
    return (np.round(points), generated) if whole == "real" else (points, np.round(generated))


def _even(low: float, high: float, n: int) -> tuple[float, ...]:
    return tuple(np.linspace(low, high, n).tolist())


def _powers(low: float, high: float, n: int) -> tuple[float, ...]:
    """Ten to the powers from `low` to `high`."""
    return tuple(np.logspace(low, high, n).tolist())


def _by_dim(
    make: Callable[..., Pair], values: Mapping[int, Sequence[float]], **rest: object
) -> dict[str, Case]:
    return {str(dim): Case(tuple(own), partial(make, dim=dim, **rest)) for dim, own in values.items()}


DIMENSIONS = (1, 8, 64)
_FARTHEST = {1: 6.0, 8: 3.0, 64: 1.0}
_MEANS = {dim: _even(-far, far, 51) for dim, far in _FARTHEST.items()}
_DEVIATIONS = {1: _powers(-3, 3, 51), 8: _powers(-1, 1, 51), 64: _powers(-0.5, 0.5, 51)}
_TIMES = _powers(-1, 1, 20)


def _of_all(values: Sequence[float], dimensions: Sequence[int] = DIMENSIONS) -> dict[int, Sequence[float]]:
    return dict.fromkeys(dimensions, values)


EXPERIMENTS: Mapping[str, Experiment] = {
    "gaussian-mean-difference": Experiment(
        "Gaussian, mean moved", "mean of the generated points", _by_dim(mean_moved, _MEANS)
    ),
    "gaussian-mean-difference-with-outlier": Experiment(
        "Gaussian, mean moved, one outlier",
        "mean of the generated points",
        {
            f"{side}_outlier {dim}": Case(
                _MEANS[dim],
                partial(
                    mean_moved_with_outlier,
                    dim=dim,
                    farthest=_FARTHEST[dim],
                    outlier="real" if side == "real" else "generated",
                ),
            )
            for side in ("real", "syn")
            for dim in DIMENSIONS
        },
    ),
    "gaussian-std-difference": Experiment(
        "Gaussian, width changed", "standard deviation of the generated points", _by_dim(widened, _DEVIATIONS)
    ),
    "gaussian-mixture-simultaneous-mode-dropping": Experiment(
        "Modes thinned at once",
        "share that nine modes of ten lose",
        _by_dim(modes_thinned, _of_all(_even(0, 1, 50))),
    ),
    "gaussian-mixture-sequential-mode-dropping": Experiment(
        "Modes dropped in turn", "modes that are missing", _by_dim(modes_dropped, _of_all(_even(0, 9, 10)))
    ),
    "gaussian-mixture-mode-dropping-invention": Experiment(
        "Modes dropped and invented", "generated modes", {"": Case(_even(1, 10, 10), modes_invented)}
    ),
    "uniform-hypersphere-surface": Experiment(
        "Surface of a sphere",
        "radius of the generated sphere",
        _by_dim(radius_grown, _of_all(_even(0.1, 1.9, 51), (2, 16, 128))),
    ),
    "uniform-hypercube-varying-size": Experiment(
        "Cubes, more points",
        "points a side, in thousands",
        _by_dim(cubes, _of_all(_TIMES), both=True),
        real_anew=True,
    ),
    "uniform-hypercube-varying-syn-size": Experiment(
        "Cubes, more generated points",
        "generated points, in thousands",
        _by_dim(cubes, _of_all(_TIMES), both=False),
    ),
    "sphere-torus": Experiment(
        "Ball in a torus",
        "generated points, in thousands",
        {
            "real_sphere": Case(_TIMES, partial(ball_in_torus, real_is="ball")),
            "real_torus": Case(_TIMES, partial(ball_in_torus, real_is="torus")),
        },
    ),
    "one-vs-two-modes": Experiment(
        "One mode for two",
        "distance of the real modes on an axis",
        _by_dim(one_for_two_modes, _of_all(_even(0, 5, 20))),
        real_anew=True,
    ),
    "gaussian-scaling-one-dimension": Experiment(
        "One axis scaled",
        "scale of the second axis",
        {"": Case(_powers(-3, 3, 20), axis_scaled)},
        real_anew=True,
    ),
    "gaussian-mean-difference-with-pareto": Experiment(
        "Gaussian, mean moved, beside a heavy tail",
        "mean of the generated points",
        {"": Case(_even(-6, 6, 51), mean_moved_beside_pareto)},
    ),
    "gaussian-high-dim-one-disjoint-dim": Experiment(
        "One axis apart, many alike",
        "axes on which both are alike",
        {"": Case(tuple(float(int(own)) for own in np.logspace(0, 3, 20)), one_axis_apart)},
        real_anew=True,
    ),
    "discrete-numerical-vs-continuous-numerical": Experiment(
        "Whole numbers against any",
        "standard deviation in units of the rounding",
        {
            "real_discrete": Case(_powers(0, 3, 20), partial(rounded, whole="real")),
            "real_continuous": Case(_powers(0, 3, 20), partial(rounded, whole="generated")),
        },
        real_anew=True,
    ),
}
"""In the order of the authors' tables; sizes and values are theirs."""
