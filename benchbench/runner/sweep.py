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
from benchbench.core.toml import SECTIONS
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
        InputError: A setting has no values, one twice, is among the overrides, or is there under two names; there are
            too many; or the rows of all would have one name.
    """
    for name, values in sweep.items():
        if not values:
            raise InputError(f"the sweep over {name} has no values; write {name}=5,10,20")
        if twice := [value for i, value in enumerate(values) if value in values[:i]]:
            raise InputError(f"the sweep over {name} has {shown(twice[0])} twice; a cell is run once")
        if any(_one_setting(name, own) for own in spec.overrides):
            raise InputError(f"{name} is both set and swept; leave one of them out")
    for name, other in itertools.combinations(sweep, 2):
        if _one_setting(name, other):
            raise InputError(f"{name} and {other} are one setting; leave one of them out")
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


def _one_setting(name: str, other: str) -> bool:
    """Whether two names are of one setting: `lr` is `training.lr`; were it in two sections, it would be refused."""
    (section, own), (others, its) = _placed(name), _placed(other)
    return own == its and (section == others or not (section and others))


def _placed(name: str) -> tuple[str, str]:
    """The section that a name says, "" for none, and the rest."""
    section, _, rest = name.partition(".")
    return (section, rest) if rest and section in SECTIONS else ("", name)
