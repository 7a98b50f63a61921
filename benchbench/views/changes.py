"""What differs between two sets of records, in words: for a terminal, a pull request and a program."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.console import Console

from benchbench.results.changes import Change, Changes
from benchbench.results.claims.numbers import Asked, Number
from benchbench.results.claims.testing import over_seeds
from benchbench.views.blocks import print_entries
from benchbench.views.text import escape_markdown, number, plain, task_words

MOST = 40  # numbers of one kind that are listed

Part = tuple[str, list[tuple[str, str]]]  # a heading, and names with what is said of them


def headline(found: Changes) -> str:
    """The whole in one sentence."""
    gone, both, new = found.cells
    weighs = sum(change.weighs for change in found.changed)
    parts = [f"records: {new} new, {gone} gone, {both} in both", f"{found.same} numbers stayed"]
    if weighs:
        parts.append(f"{weighs} are gone or moved beyond their interval")
    if found.gone:
        parts.append(f"{len(found.gone)} model{'' if len(found.gone) == 1 else 's'} gone")
    if found.rewritten:
        parts.append(
            f"{len(found.rewritten)} written anew under the same key: {', '.join(found.rewritten[:4])}"
        )
    return "; ".join(parts)


def print_changes(console: Console, found: Changes) -> None:
    """The same with every number, for a terminal of any width."""
    console.print(plain(f"A is {found.a}, B is {found.b}"), soft_wrap=True)
    console.print(headline(found), soft_wrap=True)
    for title, entries in _parts(found):
        console.print()
        print_entries(console, title, entries)


def markdown(found: Changes) -> str:
    """The same as Markdown, for the summary of a job."""
    lines = [
        f"### {escape_markdown(found.a)} → {escape_markdown(found.b)}",
        "",
        escape_markdown(headline(found)),
        "",
    ]
    for title, entries in _parts(found):
        lines += [f"**{title}**", ""]
        lines += [f"- {escape_markdown(name)}: {escape_markdown(text)}" for name, text in entries]
        lines.append("")
    return "\n".join(lines)


def as_json(found: Changes) -> str:
    """The same for a program: every number of every change."""
    gone, both, new = found.cells
    content = {
        "a": found.a,
        "b": found.b,
        "exit_code": found.exit_code,
        "headline": headline(found),
        "records": {"new": new, "gone": gone, "both": both, "rewritten": found.rewritten},
        "same": found.same,
        "new": [str(unit) for unit in found.new],
        "gone": [str(unit) for unit in found.gone],
        "changed": [
            {
                **change.unit._asdict(),
                **change.asked._asdict(),
                "kind": change.kind,
                "before": _number_json(change.before),
                "after": _number_json(change.after),
                "beyond": change.beyond,
                "weighs": change.weighs,
                "why": change.why,
            }
            for change in found.changed
        ],
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _number_json(own: Number | None) -> dict[str, Any] | None:
    if own is None:
        return None
    low, high, method = over_seeds(own) or (None, None, None)
    return {"value": own.mean, "low": low, "high": high, "interval": method, "seeds": sorted(own.by_seed)}


def _parts(found: Changes) -> Iterator[Part]:
    if found.gone:
        yield "gone", [(plain(unit), _whole(held)) for unit, held in found.gone.items()]
    kinds: tuple[tuple[str, Callable[[Change], bool]], ...] = (
        ("numbers gone or moved beyond their interval", lambda own: own.weighs),
        (
            "changed within their interval",
            lambda own: own.kind == "changed" and not own.weighs and not own.of_machine,
        ),
        ("means over more seeds", lambda own: own.kind == "more seeds" and not own.of_machine),
        ("made otherwise, and not held against each other", lambda own: own.kind == "made otherwise"),
        ("numbers that are new", lambda own: own.kind == "new"),
        (
            "of the clock and the memory",
            lambda own: own.of_machine and own.kind in ("changed", "more seeds", "gone"),
        ),
    )
    for title, fits in kinds:
        if some := [change for change in found.changed if fits(change)]:
            entries = [(_name(change), _told(change)) for change in some[:MOST]]
            if len(some) > MOST:
                entries.append(("…", f"and {len(some) - MOST} more; --format json has all"))
            yield title, entries
    if found.new:
        yield "new", [(plain(unit), _whole(held)) for unit, held in found.new.items()]


def _name(change: Change) -> str:
    task, direction, metric = change.asked
    return plain(f"{change.unit}, {task_words(task, direction)}: {metric}")


def _told(change: Change) -> str:
    before, after = change.before, change.after
    if change.kind == "made otherwise" and before is not None and after is not None:
        return f"{_value(before)} and {_value(after)}; {plain(change.why)}"
    if before is None or after is None:
        own = before or after
        why = f"; it failed: {plain(change.why)}" if change.why else ""
        return (_value(own) if own is not None else "") + why
    apart = after.mean - before.mean
    said = f"{_value(before)} → {_value(after)}, {'+' if apart >= 0 else '−'}{number(abs(apart))}"
    if change.kind == "more seeds":
        return said
    if (beyond := change.beyond) is None:
        said += ", without an interval"
    else:
        said += f", {'beyond' if beyond else 'within'} the interval of A"
    if before.higher_is_better is not None and after.mean != before.mean:
        said += ", better" if (after.mean > before.mean) == before.higher_is_better else ", worse"
    return said


def _value(own: Number) -> str:
    interval = over_seeds(own)
    bounds = f" [{number(interval[0])}, {number(interval[1])}]" if interval is not None else ""
    seeds = f" ({len(own.by_seed)} seeds)" if len(own.by_seed) > 1 else ""
    return f"{number(own.mean)}{bounds}{seeds}"


def _whole(held: Mapping[Asked, list[Number]]) -> str:
    """Of a model what it is ranked by, and how many numbers it has."""
    everything = [(asked, own) for asked, same in held.items() for own in same]
    lead = next(((asked, own) for asked, own in everything if own.headline), None)
    seeds = {seed for _, own in everything for seed in own.by_seed}
    said = f"{len(everything)} number{'' if len(everything) == 1 else 's'}, seeds {', '.join(map(str, sorted(seeds)))}"
    return said if lead is None else f"{plain(lead[0].metric)} {_value(lead[1])}; {said}"
