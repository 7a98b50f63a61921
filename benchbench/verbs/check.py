"""`benchbench.check`: is a branch worse than its baseline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchbench.core.errors import InputError
from benchbench.core.files import append, atomic_write
from benchbench.core.folders import OUTPUT
from benchbench.core.paths import as_path
from benchbench.core.validation import is_number, shown
from benchbench.results.claims.findings import Report
from benchbench.results.claims.gate import check as hold
from benchbench.results.claims.gate_config import load_gate
from benchbench.verbs.outputs import checked_outputs
from benchbench.views.check_report import as_json, markdown
from benchbench.views.junit import junit as as_junit


def check(
    candidate: Path | str = OUTPUT,
    *,
    baseline: Path | str,
    tolerance: Path | str | None = None,
    confidence: float | None = None,
    junit: Path | str | None = None,
    json: Path | str | None = None,
    summary: Path | str | None = None,
) -> Report:
    """Compare the records below a folder with those of a baseline, number by number.

    Args:
        candidate: A folder of records.
        baseline: The folder of the records it is compared with.
        tolerance: What may get worse, as TOML; None for the gate of docs/gate.toml.
        confidence: In place of that of every `worse_with` rule, between 0.5 and 1.
        junit: Write JUnit XML here.
        json: Write the findings as JSON here.
        summary: Append a Markdown summary here.

    Returns:
        What was found; `exit_code` and `headline` say what it means. Improvements never fail.

    Raises:
        InputError: A folder, a record or the gate cannot be read, or a file cannot be written.

    >>> benchbench.check("runs", baseline="results").exit_code  # doctest: +SKIP
    0
    """
    outputs = checked_outputs(
        {"--junit": junit, "--json": json, "--summary": summary}, {"--tolerance": tolerance}
    )
    gate = None if tolerance is None else as_path(tolerance)
    report = judged(as_path(candidate), as_path(baseline), gate, confidence)
    write_findings(report, outputs)
    return report


def judged(candidate: Path, baseline: Path, tolerance: Path | None, confidence: float | None) -> Report:
    """What `check` finds, without writing it anywhere."""
    if confidence is not None and not (is_number(confidence) and 0.5 < confidence < 1):
        raise InputError(f"confidence={shown(confidence)} must be a number between 0.5 and 1, such as 0.97")
    gate = load_gate(tolerance)
    return hold(baseline, candidate, gate if confidence is None else gate.with_confidence(confidence))


def write_findings(report: Report, outputs: Mapping[str, Path | None]) -> None:
    """Write a report to the files of `check`, as they are called on the command line. All that can be written are;
    `InputError` for the first that cannot."""
    faults = []
    for name, write in (("--junit", as_junit), ("--json", as_json)):
        if (path := outputs[name]) is not None:
            try:
                atomic_write(path, write(report))
            except InputError as error:
                faults.append(error)
    if (path := outputs["--summary"]) is not None:
        append(path, markdown(report))
    if faults:
        raise faults[0]
