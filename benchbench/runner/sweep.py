"""A sweep: one request for every combination of some settings' values.

What only the drawing of images depends on changes no training (`core.protocols.Sampled`), so a sweep over samplers,
steps and guidance is answered by the same weights.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchbench.core.errors import InputError
from benchbench.core.validation import shown
from benchbench.runner.spec import CellSpec

MOST_COMBINATIONS = 1000


class Swept(NamedTuple):
    """One request of a sweep. told: its combination as people read it, "sampling.steps=5"; "" outside of a sweep."""

    spec: CellSpec
    told: str = ""


def combinations(spec: CellSpec, sweep: Mapping[str, Sequence[Any]]) -> list[Swept]:
    """The request with every combination of values, the last setting's changing fastest.

    Args:
        spec: What is asked otherwise.
        sweep: Values by the name of their setting, as in `CellSpec.overrides`; without any it is the request alone.

    Returns:
        One request a combination.

    Raises:
        InputError: A setting has no values, one twice, or is among the overrides; there are too many; or the rows of
            all would have one name.
    """
    for name, values in sweep.items():
        if not values:
            raise InputError(f"the sweep over {name} has no values; write {name}=5,10,20")
        if twice := [value for i, value in enumerate(values) if value in values[:i]]:
            raise InputError(f"the sweep over {name} has {shown(twice[0])} twice; a cell is run once")
        if name in spec.overrides:
            raise InputError(f"{name} is both set and swept; leave one of them out")
    if (n := math.prod(map(len, sweep.values()))) > MOST_COMBINATIONS:
        raise InputError(f"the sweep has {n:,} combinations; at most {MOST_COMBINATIONS:,} are possible")
    if sweep and spec.name is not None:
        raise InputError(
            f"all cells of the sweep would be called {spec.name!r}; leave the name out, and settings tell them apart"
        )
    return [
        Swept(
            spec.model_copy(
                update={"overrides": {**spec.overrides, **dict(zip(sweep, values, strict=True))}}
            ),
            ", ".join(f"{name}={value}" for name, value in zip(sweep, values, strict=True)),
        )
        for values in itertools.product(*sweep.values())
    ]
