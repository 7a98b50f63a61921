"""A check as JUnit XML, which every CI system shows: one test case a number.

`classname` is model.dataset, `name` the metric. What fails the check is a failure, a failed cell an error, what was
not compared is skipped, each with its reason. The elements and attributes are those of the schema of Jenkins'
xUnit plugin (junit-10.xsd), which the others read too.
"""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree

from benchbench.results.claims.conditions import full_task
from benchbench.results.claims.findings import COMPARED, Finding, Report
from benchbench.views.text import model_name, number, plain


def junit(report: Report) -> str:
    """The whole document, UTF-8. A check that compared nothing has an error of its own, so that it never looks
    green."""
    cases = [_case(finding, name) for finding, name in zip(report.findings, _names(report), strict=True)]
    if report.exit_code == 3:
        nothing = ElementTree.Element(
            "testcase", classname="benchbench.check", name="comparable numbers", time="0"
        )
        ElementTree.SubElement(nothing, "error", message=plain(report.headline), type="nothing comparable")
        cases.append(nothing)
    totals = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
    }
    named = {"name": "benchbench check", **totals, "time": "0"}
    root = ElementTree.Element("testsuites", named)
    skipped = str(sum(case.find("skipped") is not None for case in cases))
    suite = ElementTree.SubElement(root, "testsuite", named, skipped=skipped)
    suite.extend(cases)
    out = ElementTree.SubElement(suite, "system-out")
    out.text = "\n".join(map(plain, [report.headline, *report.notes]))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _names(report: Report) -> list[str]:
    """The name of each case, unique within its class: task and direction are added where they are needed."""
    plainly = [(_classname(f), plain(f.metric or "whole model")) for f in report.findings]
    often, seen = Counter(plainly), Counter[tuple[str, str]]()
    names = []
    for finding, (classname, name) in zip(report.findings, plainly, strict=True):
        if often[classname, name] > 1 and finding.task:
            name = f"{name} ({plain(full_task(finding.task, finding.direction))})"
        seen[classname, name] += 1
        names.append(f"{name} #{seen[classname, name]}" if seen[classname, name] > 1 else name)
    return names


def _classname(finding: Finding) -> str:
    return f"{model_name(finding.model, finding.variant).strip()}.{plain(finding.dataset)}"


def _case(finding: Finding, name: str) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=_classname(finding), name=name, time="0")
    if finding.fails:
        tag = "error" if finding.verdict == "failed" else "failure"
        told = ElementTree.SubElement(case, tag, message=plain(finding.reason), type=finding.verdict)
        told.text = "\n".join(map(plain, _details(finding)))
    elif finding.verdict not in COMPARED:
        ElementTree.SubElement(case, "skipped", message=plain(f"{finding.verdict}: {finding.reason}"))
    return case


def _details(finding: Finding) -> list[str]:
    """What one wants to know of a failure, a line each."""
    lines = [finding.reason]
    if finding.baseline is not None and finding.candidate is not None:
        unit = f" {finding.unit}" if finding.unit else ""
        lines += [
            f"baseline: {number(finding.baseline)}{unit}, {_seeds(finding.baseline_seeds)}",
            f"candidate: {number(finding.candidate)}{unit}, {_seeds(finding.candidate_seeds)}",
        ]
    if finding.low is not None and finding.high is not None:
        lines.append(
            f"95% interval of the change: [{number(finding.low)}, {number(finding.high)}], {finding.method}"
        )
    if finding.rule:
        lines.append(f"rule: {finding.rule}")
    lines += [f"{name}: {value}" for name, value in finding.conditions.items() if value != "none"]
    return lines


def _seeds(seeds: list[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
