"""What the functions of this room are given, checked: by one set of words, and before anything is computed.

Whatever is an array is taken (`core.arrays.tensor_of`); what is asked of its dtype, shape and values is asked here.
Arguments that cannot be meant raise `InputError`; numbers of which there are too few, or that are no numbers,
`MetricFailed`, for they are what images and networks bring.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from benchbench.core.arrays import dtype_text, shape_text, tensor_of
from benchbench.core.errors import InputError, MetricFailed

_GENERATED, _REFERENCE = "the generated features", "the reference features"
_SMALL, _LARGE = 1e-9, 1e9  # the squares of such numbers, times some thousand dimensions, fit into float32


def real_numbers(given: object, what: str) -> Tensor:
    """An array of real numbers in a precision that can be computed in: float32 or float64 as it is, less as float32,
    whole numbers as float64. `InputError` for truth values and complex numbers."""
    numbers = tensor_of(given, what)
    if numbers.dtype == torch.bool or numbers.is_complex():
        kind = "truth values" if numbers.dtype == torch.bool else "complex numbers"
        raise InputError(
            f"{what} must be real numbers, float32 or float64, but are {kind} ({dtype_text(numbers)})"
        )
    if not numbers.is_floating_point():
        return numbers.double()
    return numbers if numbers.dtype in (torch.float32, torch.float64) else numbers.float()


def check_features(features: Any, what: str, minimum: int = 2) -> Tensor:
    """Features as real numbers N×D, finite, N ≥ `minimum`, D ≥ 1.

    `InputError` for another shape or what `real_numbers` refuses; `MetricFailed` for too few rows or a value that is
    not finite.
    """
    rows = real_numbers(features, what)
    if rows.ndim != 2:
        raise InputError(f"{what} must be N×D but are {dtype_text(rows)}, {shape_text(rows)}")
    if not rows.shape[1]:
        raise InputError(
            f"{what} are {shape_text(rows)}: vectors of no numbers, of which nothing can be said"
        )
    if len(rows) < minimum:
        raise MetricFailed(f"{what}: needs at least {minimum} images but has {len(rows)}")
    check_finite(rows, what)
    return rows


def check_finite(numbers: Tensor, what: str) -> None:
    """`MetricFailed` where one of them is NaN or infinite."""
    # A finite sum has finite terms, at a tenth of the time that looking at each of them takes.
    if not torch.isfinite(numbers.sum()) and not torch.isfinite(numbers).all():
        raise MetricFailed(f"{what} hold NaN or infinity; check the images and the weights")


def check_pair(x: Any, y: Any, minimum: int = 2) -> tuple[Tensor, Tensor]:
    """`check_features` of both, in the more precise dtype of the two; an `InputError` when they have different lengths
    of feature vector or lie on different devices."""
    x, y = _check_sides({_GENERATED: x, _REFERENCE: y}, minimum)
    return x, y


def check_three(fake: Any, reference: Any, held_out: Any, minimum: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """`check_pair` of generated, reference and held-out features: what is wrong with one is said of that one."""
    sides = {_GENERATED: fake, _REFERENCE: reference, "the held-out features": held_out}
    fake, reference, held_out = _check_sides(sides, minimum)
    return fake, reference, held_out


def _check_sides(named: Mapping[str, Any], minimum: int) -> list[Tensor]:
    sides = [check_features(side, what, minimum) for what, side in named.items()]
    lengths = dict.fromkeys(side.shape[1] for side in sides)
    if len(lengths) > 1:
        raise InputError(
            f"features of {' and '.join(map(str, lengths))} dimensions come from different extractors"
        )
    devices = dict.fromkeys(side.device for side in sides)
    if len(devices) > 1:
        raise InputError(
            f"the features lie on {' and on '.join(map(str, devices))}; bring them to one device"
        )
    dtype = reduce(torch.promote_types, (side.dtype for side in sides))
    return [side.to(dtype) for side in sides]


def check_directions(features: Tensor) -> None:
    """`MetricFailed` where a row of features N×D is all zeros, which has no direction."""
    zero = int((features == 0).all(1).sum())
    if zero:
        raise MetricFailed(
            f"{zero} of {len(features)} images have features of length 0, which have no direction"
        )


def check_whole(value: Any, what: str, least: int, most: int | None = None) -> int:
    """A whole number from `least` to `most`, None for no upper end; `InputError` for anything else."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise InputError(f"{what} must be a whole number, not {value!r}") from None
    said = str(number) if abs(number) < 10**20 else "a number of more than 20 digits"
    if number < least:
        raise InputError(f"{what} must be at least {least}, not {said}")
    if most is not None and number > most:
        raise InputError(f"{what} must be at most {most}, not {said}")
    return number


def check_seed(value: Any) -> int:
    """A seed: from 0 to 2⁶³ − 1."""
    return check_whole(value, "a seed", 0, 2**63 - 1)


def check_number(value: Any, what: str, least: float, *, open_end: bool = False) -> float:
    """A real number of at least `least`, above it with `open_end`; infinity is one. `InputError` for anything else."""
    bounds = f"above {least:g}" if open_end else f"of {least:g} or more"
    try:
        if isinstance(value, bool | str | bytes):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise InputError(f"{what} must be a number {bounds}, not {str(value)[:40]!r}") from None
    if math.isnan(number) or number < least or (open_end and number == least):
        raise InputError(f"{what} must be a number {bounds}, not {number:g}")
    return number


def check_labels(labels: Any, what: str = "labels") -> Tensor:
    """Whole numbers (N,), int64; `InputError` for anything else."""
    numbers = tensor_of(labels, what)
    if (
        numbers.ndim != 1
        or numbers.is_floating_point()
        or numbers.is_complex()
        or numbers.dtype == torch.bool
    ):
        raise InputError(
            f"{what} must be integers of shape (N,) but are {dtype_text(numbers)} {tuple(numbers.shape)}"
        )
    return numbers.long()


def finite_result(value: float, what: str) -> float:
    """The number; `MetricFailed` where float64 was too small for what it is made of."""
    if not math.isfinite(value):
        raise MetricFailed(
            f"{what} does not fit into float64: the numbers it is made of are too large; rescale them"
        )
    return value


def near_one(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, float]:
    """Two sets of features and the unit in which they are given, a power of two so that nothing rounds: 1 for nearly
    all; for features of which float32 or float64 does not hold the squares, what brings the largest number near 1."""
    unit = unit_of(max(map(largest, (x, y))))
    return (x, y, unit) if unit == 1 else (x / unit, y / unit, unit)


def unit_of(size: float, small: float = _SMALL, large: float = _LARGE) -> float:
    """The power of two next below `size`; 1 for zero and for what lies between `small` and `large`."""
    return 1.0 if size == 0 or small < size < large else 2.0 ** math.floor(math.log2(size))


def largest(side: Tensor) -> float:
    """The largest absolute value, without a copy of them all; 0 of none."""
    if not side.numel():
        return 0.0
    low, high = side.aminmax()
    return max(-float(low), float(high))
