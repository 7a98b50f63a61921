"""Where the time of a piece of work went, as a table: the most costly part first."""

from __future__ import annotations

from collections.abc import Mapping

from benchbench.core.shares import Share
from benchbench.views.blocks import Blocks, Column

LEAST = 0.005
"""Of the processor's and of the clock's time, below which parts are added up in one line."""


def shares_table(parts: Mapping[str, Share]) -> Blocks:
    """The parts of `core.shares.Shares`, by processor seconds, and their sum."""
    whole = Share(sum(own.processor for own in parts.values()), sum(own.wall for own in parts.values()))
    named: dict[str, Share] = {}
    small = Share()
    for name, own in sorted(parts.items(), key=lambda item: -item[1].processor):
        if own.processor >= LEAST * whole.processor or own.wall >= LEAST * whole.wall:
            named[name] = own
        else:
            small = Share(small.processor + own.processor, small.wall + own.wall)
    if n := len(parts) - len(named):
        named[f"{n} more, each below {LEAST:.1%}"] = small
    named["all"] = whole
    return Blocks(
        "where the time went",
        Column("part", list(named)),
        [
            Column("processor s", [f"{own.processor:.2f}" for own in named.values()]),
            Column("share", [_share(own.processor, whole.processor) for own in named.values()]),
            Column("clock s", [f"{own.wall:.2f}" for own in named.values()]),
            Column("share", [_share(own.wall, whole.wall) for own in named.values()]),
        ],
        {len(named) - 1},
    )


def _share(own: float, whole: float) -> str:
    return f"{own / whole:.1%}" if whole > 0 else "–"
