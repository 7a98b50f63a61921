"""The gate: is a candidate worse than its baseline, number by number.

Pattern: `gate_match` pairs the numbers, `testing` says how large each difference is and whether it could be nothing,
`gate_config` says what is tolerated; here each pair gets its verdict.

What is tested together: an unchanged branch raises any alarm at all with odds of at most 1 − confidence. Half of that
is for the headlines, the one number a task by which models are ranked, half for the rest of what is said of the images,
by Holm within a model. Models whose numbers did not move at all were not run again and take no part; the others share.

What a change has to exceed: for a headline both the tolerance and what another seed would explain, of the mean or
of the worst run, so that a seed that died is not hidden by the spread that it makes. The spread over seeds comes
from the records at hand (`testing`); where one run a side is all there is, it is taken to be what the gate states.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchbench.results.claims.conditions import BUSY, COUNTED, MEASURED, PEOPLE, SAME
from benchbench.results.claims.findings import COMPARED, Finding, Report, Verdict
from benchbench.results.claims.gate_config import Gate, Rule
from benchbench.results.claims.gate_match import Leftover, Matched, Pair, match
from benchbench.results.claims.numbers import Number, Unit, family
from benchbench.results.claims.spread import Pool, Pools, spreads
from benchbench.results.claims.testing import Difference, difference, holm
from benchbench.results.load import without_collection

UNCHANGED = "unchanged"


@without_collection()
def check(baseline: Path, candidate: Path, gate: Gate) -> Report:
    """Hold everything below `candidate` against everything below `baseline`.

    Raises `InputError` for folders and records that cannot be read. What was found is in the report, never
    raised: a regression, a failed cell, nothing comparable.
    """
    found = match(baseline, candidate)
    findings = [*judge(found, gate), *(_left_over(entry, gate) for entry in found.left)]
    order = sorted(
        findings,
        key=lambda f: (f.dataset, f.model, f.variant, bool(f.metric), f.task, f.direction, not f.headline),
    )
    return Report(order, list(_notes(found, findings, gate)))


def judge(found: Matched, gate: Gate) -> list[Finding]:
    """A finding a pair, in their order."""
    pools = spreads(found.known, gate.assumed_spread)
    drafts = [_draft(pair, gate, pools) for pair in found.pairs]
    tested: dict[Unit, dict[str, list[int]]] = {}
    for i, draft in enumerate(drafts):
        if draft.test is not None:
            tested.setdefault(draft.unit, {}).setdefault(draft.group, []).append(i)
    moved = {draft.unit for draft in drafts if draft.test is not None and draft.moved}
    for groups in tested.values():
        # So the level holds for the whole check.
        part = float(len(groups) * max(1, len(moved)))
        for places in groups.values():
            adjusted = [min(1.0, p * part) for p in holm([drafts[i].worse for i in places])]
            for i, p in zip(places, adjusted, strict=True):
                drafts[i] = drafts[i].tested(p, part * len(places))
    return [_with_load(draft.finding, pair) for draft, pair in zip(drafts, found.pairs, strict=True)]


@dataclass(frozen=True)
class _Draft:
    """A finding before all tests are corrected together. test: what `rule.worse_with` looks at, None where nothing is
    tested. group: "headline" or "quality". worst: of a headline of several seeds, the candidate's worst run against the
    baseline: its seed and its p for "no worse than another run", corrected for the number of runs."""

    finding: Finding
    rule: Rule
    unit: Unit
    group: str
    test: Difference | None = None
    worst: tuple[int, float] | None = None

    @property
    def moved(self) -> bool:
        return self.finding.reason != UNCHANGED

    @property
    def worse(self) -> float:
        """One-sided p, not corrected for other numbers: of the mean, and where a worst run is asked as well, of
        both."""
        assert self.test is not None
        if not self.moved:
            return 1.0
        mean = self.test.one_sided(not self.finding.higher_is_better)
        return mean if self.worst is None else min(1.0, 2 * min(mean, self.worst[1]))

    @property
    def died(self) -> str:
        """What to say of a worst run that speaks louder than the mean; "" where it does not."""
        assert self.test is not None
        if self.worst is None or self.worst[1] >= self.test.one_sided(not self.finding.higher_is_better):
            return ""
        return f"; seed {self.worst[0]} is worse than any seed of the baseline explains"

    def tested(self, p: float, tests: float) -> _Draft:
        """With its p, corrected, and a verdict. tests: by how much the level of the check was divided for it."""
        assert self.test is not None
        assert self.rule.worse_with is not None
        level = 1 - self.rule.worse_with
        found = replace(self.finding, p=p)
        tolerated = _allowed(found, self.rule)
        if self.moved or self.test.error:
            tests *= 1 if self.worst is None else 2
            seen = self.test.detectable(level / tests, not found.higher_is_better)
            found = replace(found, smallest=None if seen is None else max(seen, tolerated))
        beyond = _worsening(found) > tolerated
        if beyond and p <= level:
            than = f" and more than {self.rule.tolerance} allows" if self.rule.tolerance else ""
            said = f"{found.reason}{than}: p = {p:.2g}, at most {level:.2g} ({found.method}{self.died})"
            return replace(self, finding=_regression(found, said))
        if beyond and self.rule.tolerance:
            said = (
                f"{found.reason}, more than {self.rule.tolerance} allows, but another seed may do that "
                f"(p = {p:.2g}; {_seen(found)}): run more seeds"
            )
            return replace(self, finding=replace(found, verdict="cannot tell", reason=said))
        said = f"{found.reason}, p = {p:.2g}" if self.moved else found.reason
        if _worsening(found) > 0 and found.smallest is None:
            # No worsening that is possible would have failed: then that this one did not says nothing.
            return replace(
                self, finding=replace(found, verdict="cannot tell", reason=f"{said}; {_seen(found)}")
            )
        return replace(self, finding=replace(found, reason=f"{said}; {_seen(found)}" if self.moved else said))


def _with_load(finding: Finding, pair: Pair) -> Finding:
    """What a clock said on a busy machine is no verdict."""
    if finding.verdict != "regression" or finding.aspect != "throughput" or pair.busy <= BUSY:
        return finding
    reason = f"{finding.reason}; other programs took {pair.busy:.0%} of the machine"
    return replace(finding, verdict="cannot tell", fails=False, reason=reason)


def _draft(pair: Pair, gate: Gate, pools: Pools) -> _Draft:
    """Everything but the outcome of a test, which depends on all the others."""
    old, new = pair.baseline, pair.candidate
    headline = family(pair.question.asked, old) == "headline"
    rule = gate.rule(pair.question.metric, old.aspect, headline)
    found = Finding(
        **pair.question._asdict(),
        aspect=old.aspect,
        verdict="ok",
        fails=False,
        reason=_movement(old.mean, new.mean, old.higher_is_better),
        headline=headline,
        rule=str(rule),
        unit=old.unit,
        higher_is_better=old.higher_is_better,
        baseline=old.mean,
        candidate=new.mean,
        baseline_seeds=sorted(old.by_seed),
        candidate_seeds=sorted(new.by_seed),
        change=new.mean - old.mean,
        conditions=dict(old.conditions),
    )
    draft = _Draft(found, rule, pair.question.unit, "headline" if headline else "quality")
    if (why := _not_gated(pair, rule, gate)) is not None:
        return replace(draft, finding=replace(found, verdict="not gated", rule=why[0], reason=why[1]))
    pool = pools(pair.question.unit, pair.question.asked, old)
    # Only a headline is worth a guess of its spread.
    test = difference(new, old, same_model=True, pool=pool if headline else replace(pool, assumed=None))
    if test is not None and old.aspect not in MEASURED:
        low, high = (x if math.isfinite(x) else None for x in (test.low, test.high))
        if draft.moved:
            found = replace(found, low=low, high=high, method=test.method)
    draft = replace(draft, finding=found)
    if rule.worse_with is None:
        return replace(draft, finding=_tolerated(found, rule))
    if test is None:
        reason = f"{found.reason}; nothing says how far seeds scatter: run several, or set a tolerance"
        return replace(draft, finding=replace(found, verdict="cannot tell", reason=reason))
    return replace(draft, test=test, worst=_worst(new, old, pool) if headline else None)


def _worst(new: Number, old: Number, pool: Pool) -> tuple[int, float] | None:
    """The seed of the candidate's worst run, and its p as one more run of the baseline, corrected for the choice.

    One dead run among several widens their spread and so hides from a test of the mean.
    """
    if len(new.by_seed) < 2:
        return None
    sign = -1 if new.higher_is_better else 1
    seed = max(new.by_seed, key=lambda seed: sign * new.by_seed[seed])
    own = {seed: new.intervals[seed]} if seed in new.intervals else {}
    alone = replace(new, by_seed={seed: new.by_seed[seed]}, intervals=own, collapsed=())
    found = difference(alone, old, same_model=True, pool=pool)
    if found is None:
        return None
    return seed, min(1.0, len(new.by_seed) * found.one_sided(not new.higher_is_better))


def _not_gated(pair: Pair, rule: Rule, gate: Gate) -> tuple[str, str] | None:
    """(rule, reason) of a number that no verdict is about."""
    old, metric = pair.baseline, pair.question.metric
    if old.higher_is_better is None and not (rule.two_sided and gate.names(metric)):
        return "", "neither higher nor lower is better"
    if rule.ignore:
        return str(
            rule
        ), f"{_movement(old.mean, pair.candidate.mean, old.higher_is_better)}; ignored by the gate"
    if family(pair.question.asked, old) is None and metric not in COUNTED and not gate.names(metric):
        if old.aspect == PEOPLE:
            return "", "people said it, and their study tells systems apart"
        return "", "restates the number beside it"
    return None


def _worsening(finding: Finding) -> float:
    """How far the mean moved in the wrong direction; negative for the right one, 0 for rounding."""
    assert finding.change is not None
    if finding.reason == UNCHANGED:
        return 0.0
    return -finding.change if finding.higher_is_better else finding.change


def _allowed(finding: Finding, rule: Rule) -> float:
    """How much worse the mean may be, in the metric's unit; 0 where the rule states no tolerance."""
    assert finding.baseline is not None
    assert finding.candidate is not None
    before, after = finding.baseline, finding.candidate
    stated = rule.absolute if rule.absolute is not None else (rule.relative or 0.0) * abs(before)
    # 0.81 − 0.80 is a little more than 0.01 in floating point.
    return stated + 1e-9 * max(abs(before), abs(after)) if rule.tolerance else 0.0


def _tolerated(finding: Finding, rule: Rule) -> Finding:
    """By the means alone."""
    assert finding.baseline is not None
    assert finding.candidate is not None
    assert finding.change is not None
    if rule.between is not None:
        low, high = rule.between
        if not low <= finding.candidate <= high:
            return _regression(finding, f"{finding.candidate:.6g} lies outside {low:g} to {high:g}")
        return finding
    if rule.within is not None:
        allowed = rule.within * abs(finding.baseline) * (1 + 1e-9)
        if abs(finding.change) > allowed and finding.reason != UNCHANGED:
            return _regression(
                finding, f"{finding.reason}, which is outside ±{rule.within:.2%} of the baseline"
            )
        return replace(finding, smallest=allowed)
    allowed = _allowed(finding, rule)
    if _worsening(finding) > allowed:
        return _regression(finding, f"{finding.reason}, more than {rule} allows")
    return replace(finding, smallest=allowed)


def _regression(finding: Finding, reason: str) -> Finding:
    return replace(finding, verdict="regression", fails=True, reason=reason)


def _seen(finding: Finding) -> str:
    """ "would have seen 12%": the smallest worsening that this check finds four times in five."""
    if finding.smallest is None:
        return "nothing worse is possible that this many seeds would show"
    before = abs(finding.baseline or 0.0)
    if not before:
        return f"would have seen {finding.smallest:.3g}"
    share = finding.smallest / before
    return f"would have seen {share:.0%}" if share >= 0.1 else f"would have seen {100 * share:.2g}%"


def _movement(before: float, after: float, higher_is_better: bool | None) -> str:
    """ "worse by 1.2 (10%)"."""
    change = after - before
    # Another library or machine may move every seed the same way in the last digits: that is no change.
    if abs(change) <= SAME * max(abs(before), abs(after)):
        return UNCHANGED
    share = f" ({abs(change / before):.2%})" if before else ""
    if higher_is_better is None:
        return f"{'higher' if change > 0 else 'lower'} by {abs(change):.4g}{share}"
    return f"{'better' if (change > 0) == higher_is_better else 'worse'} by {abs(change):.4g}{share}"


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


def _notes(found: Matched, findings: Sequence[Finding], gate: Gate) -> Iterable[str]:
    """What a reader must know before trusting the verdicts."""
    tests = sum(finding.p is not None for finding in findings)
    if tests:
        yield (
            f"{tests} one-sided tests, half of the level for headlines, half for the rest (Holm within a model), "
            "shared by the models that moved: the confidence holds for all of them at once."
        )
    guessed = sum("taken to be" in (finding.method or "") for finding in findings)
    if guessed:
        yield (
            f"{guessed} headline{'s' if guessed > 1 else ''} had one run a side and no model here tells how far "
            f"seeds scatter: it was taken to be {gate.assumed_spread:.0%}. Run several seeds, at least of the baseline."
        )
    for pair in found.pairs:
        if family(pair.question.asked, pair.baseline) == "headline":
            yield from _collapses(pair)
    busiest = max((pair.busy for pair in found.pairs), default=0.0)
    timed = any(f.aspect == "throughput" and f.verdict in (*COMPARED, "cannot tell") for f in findings)
    if timed and busiest > BUSY:
        yield (
            f"Other programs took up to {busiest:.0%} of the machine: rates and latencies say little, "
            "and fail nothing."
        )
    known = {finding.metric for finding in findings}
    yield from (f'The rule [metric."{pattern}"] fits no number here.' for pattern in gate.unused(known))


def _collapses(pair: Pair) -> Iterable[str]:
    old, new = pair.baseline, pair.candidate
    if len(new.collapsed) * len(old.by_seed) > len(old.collapsed) * len(new.by_seed):
        yield (
            f"{pair.question.unit}: the collapse alarm fired in {len(new.collapsed)} of {len(new.by_seed)} seeds "
            f"of the candidate ({', '.join(map(str, new.collapsed))}) and in {len(old.collapsed)} of "
            f"{len(old.by_seed)} of the baseline."
        )
