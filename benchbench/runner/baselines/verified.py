"""Every baseline that ships, held against its checksum and its record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from benchbench.core.baselines import Shipped
from benchbench.core.errors import InputError, listed
from benchbench.core.runtime import Runtime
from benchbench.results.load import Record
from benchbench.runner.again import NotScored
from benchbench.runner.baselines.records import record_of
from benchbench.runner.baselines.reproduce import Held, held_against
from benchbench.training.weights import MisfitError

FAST = 2
"""Baselines whose numbers a fast look computes."""

State = Literal["reproduced", "missed", "damaged", "intact", "not here", "no record"]


@dataclass(frozen=True)
class Verified:
    """What was found of a baseline.

    Attributes:
        name: Of it.
        state: "reproduced" where every number came out within its interval, "missed" where one did not, "damaged" where
            the weights are not what was published or do not fit the recipe that ships, "intact" where the checksum
            alone was looked at, "not here" where they cannot be scored on this machine, "no record" where their numbers
            stand in its card alone.
        held: Every number beside what came out.
        words: What else there is to say.
    """

    name: str
    state: State
    held: list[Held] = field(default_factory=list)
    words: str = ""

    @property
    def wrong(self) -> bool:
        """Whether it is not what was published."""
        return self.state in ("missed", "damaged")

    @property
    def numbers(self) -> str:
        """ "20 of 20" within their intervals."""
        return f"{sum(own.within for own in self.held)} of {len(self.held)}" if self.held else ""


def verified(
    shipped: Sequence[Shipped], found: Sequence[Record], runtime: Runtime, *, fast: bool = False
) -> list[Verified]:
    """Look at baselines.

    Args:
        shipped: Those to look at.
        found: The published records.
        runtime: Where images are drawn.
        fast: Whether the numbers of `FAST` of them are enough, whose evaluation took the least time.

    Returns:
        One entry each, in their order.

    Raises:
        InputError: A record is damaged.
    """
    done = {own.name: own for own in _looked_at(shipped, found, runtime, FAST if fast else len(shipped))}
    return [done[own.name] for own in shipped]


def _looked_at(
    shipped: Sequence[Shipped], found: Sequence[Record], runtime: Runtime, most: int
) -> Iterator[Verified]:
    to_score: list[tuple[float, Shipped, Record]] = []
    for own in shipped:
        try:
            own.checked()
        except InputError as error:
            yield Verified(own.name, "damaged", words=str(error))
            continue
        record = record_of(own, found)
        if record is None:
            yield Verified(
                own.name, "no record", words="its sha256 is right; its numbers stand in its card alone"
            )
        else:
            seconds = None if record[1].seconds is None else record[1].seconds.evaluation
            to_score.append((seconds or 0.0, own, record))
    scored = 0
    for _, own, record in sorted(to_score, key=lambda entry: (entry[0], entry[1].name)):
        if scored == most:
            yield Verified(own.name, "intact", words="its sha256 is right; its numbers were not computed")
            continue
        line = _scored(own, record, runtime)
        scored += line.state != "not here"
        yield line


def _scored(own: Shipped, record: Record, runtime: Runtime) -> Verified:
    """With the recipe that ships, as `--pretrained` has it."""
    try:
        held = held_against(record, own.checked(), runtime, overrides={})
    except NotScored as why:
        misfit = isinstance(why.__cause__, MisfitError)  # of the recipe that ships with them
        return Verified(own.name, "damaged" if misfit else "not here", words=str(why))
    wrong = [str(number) for number in held if not number.within]
    return Verified(own.name, "missed" if wrong else "reproduced", held, listed(wrong, 2) if wrong else "")
