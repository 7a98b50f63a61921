"""What a check found: a finding a number, the report of them all, and what it means for a CI job."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from benchbench.core.errors import listed
from benchbench.results.claims.conditions import MEASURED

Verdict = Literal[
    "ok", "regression", "failed", "missing", "cannot tell", "not comparable", "not gated", "not run", "new"
]
COMPARED = ("ok", "regression")
NAMED = 3  # so many are named in the headline


@dataclass(frozen=True)
class Finding:
    """What the gate says of one number, or of a whole model (then `metric` is empty).

    baseline, candidate: means over `baseline_seeds` and `candidate_seeds`. change: candidate − baseline, with its
    interval at 95% where there is one. p: one-sided for "worse", corrected for all tests of the check. smallest:
    the least worsening, in the metric's unit, that this check would have failed, with odds of 80% where it is
    tested; None where the metric's range leaves no room for one, or nothing was tested. method: of interval and p.
    """

    dataset: str
    model: str
    variant: str
    task: str
    direction: str
    metric: str
    aspect: str
    verdict: Verdict
    fails: bool
    reason: str
    headline: bool = False
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
    smallest: float | None = None
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
            failing = [f for f in self.findings if f.fails and f.verdict == verdict]
            found = [f"{_name(f)} ({f.reason})" for f in sorted(failing, key=lambda f: not f.headline)]
            if found:
                parts.append(f"{words.format(len(found))}: {listed(found, NAMED)}")
        return "; ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; docs/check.md describes the fields."""
        return {
            "schema_version": 2,
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
