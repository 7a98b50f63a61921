"""The sentence that answers "is A better than B?", of the one number by which models of a dataset and task rank."""

from __future__ import annotations

from benchbench.results.claims.testing import POWER
from benchbench.results.claims.verdicts import Comparison, Line, Pair
from benchbench.views.text import direction_words, model_name, number, percent, plain


def answers(comparison: Comparison) -> list[str]:
    """A sentence for each headline that A and B both have: which is better, by how much, and how sure that is; or that
    it cannot be said, and what would have been seen."""
    return [
        _answer(pair, line)
        for pair in comparison.pairs
        for line in pair.lines
        if line.labels.headline and not line.labels.control and line.verdict != "not tested"
    ]


def _answer(pair: Pair, line: Line) -> str:
    a, b = (model_name(unit.model, unit.variant) for unit in (pair.a, pair.b))
    a, b = (a, b) if a != b else ("A", "B")
    where = f"on {plain(pair.a.dataset)} by {plain(line.metric)}{direction_words(line.direction)}"
    if line.verdict == "failed":
        return f"{a} and {b} cannot be compared {where}: it failed."
    values = f"{number(line.a.mean)} against {number(line.b.mean)}"
    evidence = f"{values} ({', '.join([*_test(line), _seeds(line)])})"
    if line.verdict in ("better", "worse", "differs"):
        relation = "differs from" if line.verdict == "differs" else f"is {line.verdict} than"
        return f"{a} {relation} {b} {where}: {evidence}."
    if line.verdict == "equal":
        return f"{a} and {b} are equal {where}: {evidence}."
    return f"Whether {a} is better than {b} {where} cannot be said: {evidence}{_way_out(line)}."


def _test(line: Line) -> list[str]:
    """The difference with its interval, and p where a difference was tested for."""
    found, p = line.difference, line.p
    said = (
        []
        if found is None
        else [f"difference {number(found.value)} [{number(found.low)}, {number(found.high)}]"]
    )
    if p is not None and line.verdict != "equal":
        said.append("p <0.001" if p < 0.001 else f"p = {p:.3f}")
    return said


def _seeds(line: Line) -> str:
    a, b = len(line.a.by_seed), len(line.b.by_seed)
    if a == b:
        return f"{a} seed{'' if a == 1 else 's'} each"
    return f"{a} seed{'' if a == 1 else 's'} against {b}"


def _way_out(line: Line) -> str:
    """What these runs would have seen, or why they see nothing."""
    if 1 in (len(line.a.by_seed), len(line.b.by_seed)):
        return "; another seed is another model, so give more of them"
    if line.smallest is None or not line.b.mean:
        return ""
    seen = percent(line.smallest / abs(line.b.mean))
    return f"; these runs would have shown a worsening of {seen} with odds of {POWER:.0%}"
