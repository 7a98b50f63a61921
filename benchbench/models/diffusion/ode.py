"""Solvers of dy/dt = f(t, y) for a batch of rows, each its own problem, and the density that goes along with them.

The state is N×D, a row an image. Fixed steps are the same for all rows. `dopri5` has times and steps of its own for
each row, and only rows that have not arrived are evaluated: what is computed for an image, and how often the network
is asked for it, does not depend on its batch.

`with_divergence` adds a column to the state, the integral of div f. With it the way back from an image is its
log-density (Chen et al. 2018, equation 8; Grathwohl et al. 2019, equation 4).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from benchbench.core.errors import InputError

Slope = Callable[[Tensor, Tensor, Tensor], Tensor]
"""f(t, y, rows): times (M,), states M×D, and which rows of the batch they are, int64 (M,); M×D."""
Solver = Literal["euler", "midpoint", "heun"]
FINEST = 16  # dopri5's shortest step is the way over 2 to this


def euler(f: Callable[[float, Tensor], Tensor], t: float, h: float, y: Tensor) -> Tensor:
    """Order 1, one evaluation."""
    return y + h * f(t, y)


def midpoint(f: Callable[[float, Tensor], Tensor], t: float, h: float, y: Tensor) -> Tensor:
    """Order 2, two evaluations."""
    return y + h * f(t + h / 2, y + h / 2 * f(t, y))


def heun(f: Callable[[float, Tensor], Tensor], t: float, h: float, y: Tensor) -> Tensor:
    """Order 2, two evaluations: the mean of the slopes at both ends."""
    slope = f(t, y)
    return y + h / 2 * (slope + f(t + h, y + h * slope))


STEPS: dict[Solver, Callable[[Callable[[float, Tensor], Tensor], float, float, Tensor], Tensor]] = {
    "euler": euler,
    "midpoint": midpoint,
    "heun": heun,
}


def fixed(f: Slope, y: Tensor, start: float, end: float, steps: int, solver: Solver) -> Tensor:
    """`steps` equal steps from `start` to `end`, either of which may be the larger.

    Args:
        f: The field.
        y: States at `start`, N×D.
        start: The time of `y`.
        end: The time of the answer.
        steps: How many.
        solver: Which.

    Returns:
        States at `end`, N×D.
    """
    rows = torch.arange(len(y), device=y.device)
    times = [start + (end - start) * k / steps for k in range(steps + 1)]
    for now, then in pairwise(times):
        y = STEPS[solver](lambda t, at: f(at.new_full((len(at),), t), at, rows), now, then - now, y)
    return y


def heun_to_images(f: Slope, y: Tensor, start: float, end: float, steps: int) -> Tensor:
    """As `fixed` by Heun's method with its last step by Euler's, so that nothing is asked at `end`: 2·steps - 1
    evaluations.

    Where no noise is left a learned field cannot tell which noise there was. Its slope there is that of the mean of
    all, and a step that trusts it by half leaves half of the last noise in the image. Karras et al. 2022 end in the
    same way (algorithm 1, line 6).
    """
    last = end - (end - start) / steps
    if steps > 1:
        y = fixed(f, y, start, last, steps - 1, "heun")
    return fixed(f, y, last, end, 1, "euler")


def heun_from_images(f: Slope, y: Tensor, start: float, end: float, steps: int) -> Tensor:
    """`heun_to_images` undone, from `start`, where the images are: the first step takes the image for the state before
    the last step, as the inverse of DDIM does, which misses by a second order of that one step."""
    first = start + (end - start) / steps
    y = y + (first - start) * f(y.new_full((len(y),), first), y, torch.arange(len(y), device=y.device))
    return fixed(f, y, first, end, steps - 1, "heun") if steps > 1 else y


# Dormand & Prince 1980, the pair of orders 5 and 4 with seven stages; the last of a step is the first of the next.
_TIMES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_FOURTH = (5179 / 57600, 0.0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40)
_ERROR = tuple(fifth - fourth for fifth, fourth in zip((*_STAGES[-1], 0.0), _FOURTH, strict=True))


def dopri5(f: Slope, y: Tensor, start: float, end: float, tolerance: float) -> Tensor:
    """Steps as long as the estimated error of a row allows (Hairer, Nørsett & Wanner 1993, section II.4): its root
    mean square, in units of tolerance·(1 + |y|), is at most 1 a step.

    A step is the whole way over a power of two, and begins at a multiple of itself. So rounding, which differs with
    the size of a batch, moves no step unless an error lies within rounding of a border; steps in proportion to the
    error would all move, and chaotic fields make much of that. It takes up to half as many steps more.

    Args:
        f: The field.
        y: States at `start`, N×D.
        start: The time of `y`.
        end: The time of the answer; may be the smaller one.
        tolerance: Absolute and relative.

    Returns:
        States at `end`, N×D.

    Raises:
        InputError: A row does not arrive: the field is no number, or the tolerance is out of reach.
    """
    y, rows = y.clone(), torch.arange(len(y), device=y.device)
    place = torch.zeros_like(rows)  # on the way, in steps of the shortest length
    length = torch.full_like(rows, 2 ** (FINEST - 4))  # of the next step, in these
    scale = (end - start) / 2**FINEST
    slope = f(y.new_full((len(y),), start), y, rows)
    while len(rows):
        t, h = start + scale * place[rows].to(y.dtype), scale * length[rows].to(y.dtype)
        new, new_slope, error = _dopri5_step(f, t, h, y[rows], slope[rows], rows)
        unit = tolerance * (1 + torch.maximum(y[rows].abs(), new.abs()))
        size = (error / unit).square().mean(1).sqrt()
        accepted = size <= 1  # not of what is no number
        moved, refused = rows[accepted], rows[~accepted]
        y[moved], slope[moved] = new[accepted], new_slope[accepted]
        place[moved] += length[moved]
        # An error of fifth order grows 32 times with twice the step.
        grows = moved[(size[accepted] < 1 / 64) & (place[moved] % (2 * length[moved]) == 0)]
        length[grows] *= 2
        length[refused] //= 2
        if (stuck := length[rows] == 0).any():
            if not new_slope[stuck].isfinite().all():
                raise InputError(
                    "dopri5 can't go on: the model's field is no number there; its training diverged"
                )
            raise InputError(
                f"dopri5 found no step short enough for a tolerance of {tolerance:g}; set a larger one, or a solver of "
                "fixed steps"
            )
        rows = rows[place[rows] < 2**FINEST]
    return y


def _dopri5_step(
    f: Slope, t: Tensor, h: Tensor, y: Tensor, slope: Tensor, rows: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """States of fifth order after a step, slopes there, and the difference from the fourth order."""
    slopes, new = [slope], y
    for time, weights in zip(_TIMES, _STAGES, strict=True):
        new = y + h[:, None] * sum(
            (weight * one for weight, one in zip(weights, slopes, strict=True) if weight), torch.zeros_like(y)
        )
        slopes.append(f(t + time * h, new, rows))
    error = sum(
        (weight * one for weight, one in zip(_ERROR, slopes, strict=True) if weight), torch.zeros_like(y)
    )
    return new, slopes[-1], h[:, None] * error


def with_divergence(f: Slope, probes: Tensor | None = None) -> Slope:
    """A field of states with a column more, whose slope is div f.

    Args:
        f: Of N×D, differentiable; its rows do not see each other.
        probes: K×N×D of ±1 for Hutchinson's estimate, the mean over K of vᵀ(∂f/∂y)v (Grathwohl et al. 2019, equation
            7); None for the exact trace, D products.

    Returns:
        A field of states N×(D + 1).
    """

    def augmented(t: Tensor, state: Tensor, rows: Tensor) -> Tensor:
        with torch.enable_grad():
            y = state[:, :-1].detach().requires_grad_()
            slope = f(t, y, rows)
            if probes is None:
                vectors = [
                    torch.eye(y.shape[1], dtype=y.dtype, device=y.device)[i].expand_as(y)
                    for i in range(y.shape[1])
                ]
            else:
                vectors = list(probes[:, rows].unbind(0))
            divergence = y.new_zeros(len(y))
            for i, vector in enumerate(vectors):
                (product,) = torch.autograd.grad(slope, y, vector, retain_graph=i < len(vectors) - 1)
                divergence = divergence + (product * vector).sum(1)
        if probes is not None:
            divergence = divergence / len(probes)
        return torch.cat([slope.detach(), divergence[:, None]], 1)

    return augmented
