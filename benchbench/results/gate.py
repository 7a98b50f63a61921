"""The gate: is a candidate worse than its baseline, number by number.

Pattern: `gate_match` pairs the numbers, `gate_config` says what is tolerated, here each pair gets its verdict. A
tolerance looks at the means over seeds and nothing else. `worse_with` is a one-sided test of "the model is
unchanged", seeds being the unit of observation, all such tests of one check corrected together by Holm's method:
however many numbers there are, an unchanged model raises any alarm at all with a probability of at most
1 − confidence.

Which test: the same seeds on both sides are paired (Student's t of the differences). Other seeds: Student's t with
the pooled variance, not Mann-Whitney as in comparisons of two models. Under the question asked here, an unchanged
model, both sides have one distribution and so one spread; and the smallest p of Mann-Whitney, 0.05 with 3 seeds
against 3, could never survive the correction, so that such a gate would be open. It takes one seed against several.
One seed against one: the intervals of the two runs, which know nothing of the noise between trainings.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import special

from benchbench.results.gate_config import Gate, Rule
from benchbench.results.gate_match import BUSY, MEASURED, SAME, Leftover, Numbers, Pair, match
from benchbench.results.statistics import Difference, difference, difference_from_intervals, holm

SHOWN = 0.95  # level of the intervals beside a change, as of all others in records

Verdict = Literal[
    "ok", "regression", "failed", "missing", "cannot tell", "not comparable", "not gated", "not run", "new"
]
COMPARED = ("ok", "regression")
UNCHANGED = "unchanged"
NAMED = 3  # so many are named in the headline


@dataclass(frozen=True)
class Finding:
    """What the gate says of one number, or of a whole model (then `metric` is empty).

    baseline, candidate: means over `baseline_seeds` and `candidate_seeds`. change: candidate − baseline, with
    its interval at 95% where there is one. p: one-sided for "worse", after Holm. method: of interval and p.
    """

    dataset: str
    model: str
    variant: str
    task: str
    metric: str
    aspect: str
    verdict: Verdict
    fails: bool
    reason: str
    rule: str = ""
    unit: str = ""
    higher_is_better: bool | None = None
    baseline: float | None = None
    candidate: float | None = None
    baseline_seeds: list[int] = field(default_factory=list)
    candidate_seeds: list[int] = field(default_factory=list)
    change: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    method: str | None = None
    conditions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """All findings of one check, what has to be known to read them, and what it means for a CI job."""

    findings: list[Finding]
    notes: list[str]

    @property
    def counts(self) -> dict[str, int]:
        """How many findings have which verdict."""
        return dict(Counter(finding.verdict for finding in self.findings))

    @property
    def compared(self) -> int:
        """How many numbers got a verdict."""
        return sum(finding.verdict in COMPARED for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """4 a cell failed, else 3 nothing comparable, else 1 a regression, else 0.

        Rates and sizes alone are not what a check is for: where other numbers were to be compared and none
        could be, that is "nothing comparable" too.
        """
        if any(finding.verdict == "failed" for finding in self.findings):
            return 4
        asked = ("cannot tell", "not comparable", "missing", *COMPARED)
        other = [f.verdict for f in self.findings if f.aspect not in ("", *MEASURED) and f.verdict in asked]
        if not self.compared or (other and not set(other) & set(COMPARED)):
            return 3
        return 1 if any(finding.fails for finding in self.findings) else 0

    @property
    def headline(self) -> str:
        """The outcome in one sentence, which names what made the check fail."""
        if self.exit_code == 0:
            return f"passed: {self.compared} compared, none worse than the gate allows"
        if self.exit_code == 3:
            why = next((f": {_name(f)}: {f.reason}" for f in self.findings if f.verdict != "not gated"), "")
            return f"nothing comparable{why}"
        said = {
            "failed": "{} failed that the baseline has",
            "regression": f"{self.compared} compared, {{}} worse than the gate allows",
            "missing": "{} missing in the candidate",
        }
        parts = []
        for verdict, words in said.items():
            found = [f"{_name(f)} ({f.reason})" for f in self.findings if f.fails and f.verdict == verdict]
            if found:
                more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
                parts.append(f"{words.format(len(found))}: {', '.join(found[:NAMED])}{more}")
        return "; ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; docs/check.md describes the fields."""
        return {
            "schema_version": 1,
            "exit_code": self.exit_code,
            "headline": self.headline,
            "compared": self.compared,
            "counts": self.counts,
            "notes": self.notes,
            "findings": [asdict(finding) for finding in self.findings],
        }


def _name(finding: Finding) -> str:
    who = f"{finding.model} {finding.variant}".strip() + f" on {finding.dataset}"
    return f"{finding.metric} of {who}" if finding.metric else who


def check(baseline: Path, candidate: Path, gate: Gate) -> Report:
    """Hold everything below `candidate` against everything below `baseline`.

    Raises `InputError` for folders and records that cannot be read. What was found is in the report, never
    raised: a regression, a failed cell, nothing comparable.
    """
    pairs, left = match(baseline, candidate)
    findings = [*judge(pairs, gate), *(_left_over(entry, gate) for entry in left)]
    order = sorted(findings, key=lambda f: (f.dataset, f.model, f.variant, bool(f.metric), f.task))
    return Report(order, list(_notes(pairs, findings, gate)))


def judge(pairs: Sequence[Pair], gate: Gate) -> list[Finding]:
    """A finding a pair, in their order."""
    drafts = [_draft(pair, gate.rule(pair.question.metric, pair.aspect)) for pair in pairs]
    tested = [(index, draft.p) for index, draft in enumerate(drafts) if draft.p is not None]
    for (index, _), p in zip(tested, holm([p for _, p in tested]), strict=True):
        rule = gate.rule(drafts[index].metric, drafts[index].aspect)
        drafts[index] = _tested(replace(drafts[index], p=float(p)), rule)
    return [_with_load(draft, pair) for draft, pair in zip(drafts, pairs, strict=True)]


def _with_load(draft: Finding, pair: Pair) -> Finding:
    """What a clock said on a busy machine is still a verdict, with the doubt beside it."""
    if draft.verdict != "regression" or draft.aspect != "throughput" or _load(pair) <= BUSY:
        return draft
    return replace(draft, reason=f"{draft.reason}; the machine was busy")


def _load(pair: Pair) -> float:
    return max(pair.baseline.load or 0.0, pair.candidate.load or 0.0)


def _draft(pair: Pair, rule: Rule) -> Finding:
    """Everything but the outcome of a test, which depends on all the others. Then `p` is not yet corrected."""
    before, after = pair.baseline.mean, pair.candidate.mean
    draft = Finding(
        **pair.question._asdict(),
        aspect=pair.aspect,
        verdict="ok",
        fails=False,
        reason=_movement(before, after, pair.higher_is_better),
        rule=str(rule),
        unit=pair.unit,
        higher_is_better=pair.higher_is_better,
        baseline=before,
        candidate=after,
        baseline_seeds=list(pair.baseline.by_seed),
        candidate_seeds=list(pair.candidate.by_seed),
        change=after - before,
        conditions=dict(pair.conditions),
    )
    if pair.higher_is_better is None:
        return replace(draft, verdict="not gated", rule="", reason="neither higher nor lower is better")
    if rule.ignore:
        return replace(draft, verdict="not gated", reason=f"{draft.reason}; ignored by the gate")
    test = _test(pair) if draft.reason != UNCHANGED else None
    if test is not None:
        low, high = (x if math.isfinite(x) else None for x in (test.low, test.high))
        draft = replace(draft, low=low, high=high, method=test.method)
    if rule.worse_with is None:
        return _tolerated(draft, rule)
    if draft.reason == UNCHANGED:
        return replace(draft, p=1.0)
    if test is None:
        reason = f"{draft.reason}; one run without a 95% interval: run several seeds, or set a tolerance"
        return replace(draft, verdict="cannot tell", reason=reason)
    return replace(draft, p=test.p / 2 if _worsening(draft) > 0 else 1 - test.p / 2)


def _worsening(draft: Finding) -> float:
    """How far the mean moved in the wrong direction; negative for the right one, 0 for rounding."""
    assert draft.change is not None
    return 0.0 if draft.reason == UNCHANGED else -draft.change if draft.higher_is_better else draft.change


def _tolerated(draft: Finding, rule: Rule) -> Finding:
    assert draft.baseline is not None
    assert draft.candidate is not None
    before, after = draft.baseline, draft.candidate
    allowed = rule.absolute if rule.absolute is not None else (rule.relative or 0.0) * abs(before)
    # 0.81 − 0.80 is a little more than 0.01 in floating point.
    if _worsening(draft) > allowed + 1e-9 * max(abs(before), abs(after)):
        return _regression(draft, f"{draft.reason}, more than {rule} allows")
    return draft


def _tested(draft: Finding, rule: Rule) -> Finding:
    assert draft.p is not None
    assert rule.worse_with is not None
    level = 1 - rule.worse_with
    if draft.p <= level:
        return _regression(draft, f"{draft.reason}: p = {draft.p:.2g}, at most {level:.2g} ({draft.method})")
    if _worsening(draft) > 0 and draft.low is None:
        # All runs of a side agree, so that there is no spread to hold the change against.
        reason = f"{draft.reason} without any spread over seeds: run more seeds, or set a tolerance"
        return replace(draft, verdict="cannot tell", reason=reason)
    return replace(draft, reason=f"{draft.reason}, p = {draft.p:.2g}")


def _regression(draft: Finding, reason: str) -> Finding:
    return replace(draft, verdict="regression", fails=True, reason=reason)


def _movement(before: float, after: float, higher_is_better: bool | None) -> str:
    """ "worse by 1.2 (10%)"."""
    change = after - before
    # Another library or machine may move every seed the same way in the last digits: that is no change.
    if abs(change) <= SAME * max(abs(before), abs(after)):
        return UNCHANGED
    share = f" ({abs(change / before):.2%})" if before else ""
    return f"{'better' if (change > 0) == higher_is_better else 'worse'} by {abs(change):.4g}{share}"


def _test(pair: Pair) -> Difference | None:
    """candidate − baseline with a two-sided p; None where one run a side has no interval."""
    old, new = pair.baseline, pair.candidate
    if len(old.by_seed) == len(new.by_seed) == 1:
        return _one_against_one(old, new)
    seeds = list(old.by_seed)
    if seeds == list(new.by_seed):
        return difference([new.by_seed[s] for s in seeds], [old.by_seed[s] for s in seeds], True, SHOWN)
    return _pooled_t(list(new.by_seed.values()), list(old.by_seed.values()))


def _one_against_one(old: Numbers, new: Numbers) -> Difference | None:
    sides = [
        (side.mean, *side.interval)
        for side in (new, old)
        if side.interval is not None and side.interval[0] <= side.mean <= side.interval[1]
    ]
    return difference_from_intervals(sides[0], sides[1], SHOWN) if len(sides) == 2 else None


def _pooled_t(a: Sequence[float], b: Sequence[float]) -> Difference:
    """Student's t test of two samples with one variance; exact ranks where there is no spread at all."""
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    degrees = len(x) + len(y) - 2
    spread = ((x - x.mean()) ** 2).sum() + ((y - y.mean()) ** 2).sum()
    value = float(x.mean() - y.mean())
    if spread <= (SAME * value) ** 2:
        ranks = difference(x, y, False, SHOWN)
        return Difference(value, -math.inf, math.inf, ranks.p, ranks.method)
    error = math.sqrt(spread / degrees * (1 / len(x) + 1 / len(y)))
    half = float(special.stdtrit(degrees, (1 + SHOWN) / 2)) * error
    p = 2 * float(special.stdtr(degrees, -abs(value) / error))
    return Difference(value, value - half, value + half, p, f"t test, {len(x)} against {len(y)} seeds")


def _left_over(entry: Leftover, gate: Gate) -> Finding:
    verdict: Verdict = entry.what
    reason, fails = entry.reason, verdict == "failed"
    if entry.question.metric and gate.rule(entry.question.metric, entry.aspect).ignore:
        verdict, fails = "not gated", False
    elif verdict == "missing":
        # Which rates there are depends on the device and on whether weights were trained or loaded.
        fails = gate.missing != "ignore" and entry.directed and entry.aspect not in MEASURED
    elif verdict == "not run" and gate.missing == "model":
        verdict, fails = "missing", True
    if fails and verdict == "missing":
        reason = f'{reason} (missing = "{gate.missing}")'
    return Finding(
        **entry.question._asdict(), aspect=entry.aspect, verdict=verdict, fails=fails, reason=reason
    )


def _notes(pairs: Iterable[Pair], findings: Sequence[Finding], gate: Gate) -> Iterable[str]:
    """What a reader must know before trusting the verdicts."""
    tests = sum(finding.p is not None for finding in findings)
    if tests:
        yield f"{tests} one-sided tests, corrected together (Holm): the confidence holds for all of them at once."
    single = sum(f.method is not None and "one run each" in f.method for f in findings if f.p is not None)
    if single:
        yield (
            f"{single} of these tests have one seed a side: their intervals do not cover the noise between "
            "trainings, so an unchanged model with another seed may fail. Run several seeds."
        )
    untested = [f for f in findings if f.verdict in COMPARED and f.p is None and f.aspect not in MEASURED]
    if any(len(f.baseline_seeds) == 1 or len(f.candidate_seeds) == 1 for f in untested):
        yield "Tolerances were held against single runs, whose noise between trainings nobody knows."
    busiest = max(map(_load, pairs), default=0.0)
    timed = any(f.aspect == "throughput" and f.verdict in COMPARED for f in findings)
    if timed and busiest > BUSY:
        yield (
            f"The machine was busy (up to {busiest:.1f} runnable processes a core): rates and latencies say little."
        )
    known = {finding.metric for finding in findings}
    yield from (f'The rule [metric."{pattern}"] fits no number here.' for pattern in gate.unused(known))
