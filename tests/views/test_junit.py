"""JUnit XML that every CI system reads, whatever names and reasons hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.results.claims.findings import Finding, Report
from benchbench.views.junit import junit

# The elements of junit-10.xsd (Jenkins' xUnit plugin) that may occur: required attributes, allowed ones, children.
SCHEMA: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors", "disabled"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
            "log",
            "url",
            "version",
        },
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name"},
        {"time", "classname", "group"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": (set(), {"type", "message"}, set()),
    "error": (set(), {"type", "message"}, set()),
    "skipped": (set(), {"type", "message"}, set()),
    "system-out": (set(), set(), set()),
}

WORSE = Finding(
    dataset="digits",
    model="vae",
    variant="beta=4",
    task="generation",
    direction="",
    metric="fd_efficientnet_lite0",
    aspect="quality",
    verdict="regression",
    fails=True,
    reason="worse by 2.5 (25.00%), more than relative = 0.05 allows",
    rule="relative = 0.05",
    higher_is_better=False,
    baseline=10.0,
    candidate=12.5,
    baseline_seeds=[0, 1],
    candidate_seeds=[0],
    change=2.5,
    low=1.0,
    high=4.0,
    method="paired t over 3 seeds",
    conditions={"n_images": "1000", "resize": "none"},
)
OK = replace(WORSE, verdict="ok", fails=False, metric="ssim", reason="unchanged")
NAMES = st.text(st.characters(), min_size=1, max_size=20)


def parsed(report: Report) -> ElementTree.Element:
    """The document as a CI system sees it, after a check against the schema."""
    root = ElementTree.fromstring(junit(report).encode())
    assert root.tag == "testsuites"
    for parent in root.iter():
        required, allowed, children = SCHEMA[parent.tag]
        assert required <= parent.attrib.keys() <= required | allowed
        assert {child.tag for child in parent} <= children
    (suite,) = root
    for counted, tag in (
        ("tests", "testcase"),
        ("failures", "failure"),
        ("errors", "error"),
        ("skipped", "skipped"),
    ):
        assert int(suite.attrib[counted]) == len(list(suite.iter(tag)))
    return suite


def test_a_regression_reads_well() -> None:
    """The message says what happened; the text both values, seeds, interval, rule and what was equal."""
    suite = parsed(Report([WORSE, OK], ["a note"]))
    worse, fine = suite.iter("testcase")
    assert (worse.get("classname"), worse.get("name")) == ("vae beta=4.digits", "fd_efficientnet_lite0")
    (failure,) = worse
    assert failure.get("message") == WORSE.reason
    assert failure.text is not None
    assert failure.text.splitlines()[1:] == [
        "baseline: 10.00, seeds 0, 1",
        "candidate: 12.50, seed 0",
        "95% interval of the change: [1.000, 4.000], paired t over 3 seeds",
        "rule: relative = 0.05",
        "n_images: 1000",
    ]
    assert list(fine) == []
    assert "a note" in (suite.findtext("system-out") or "")


@pytest.mark.parametrize(
    ("verdict", "fails", "tag"),
    [
        ("ok", False, None),
        ("regression", True, "failure"),
        ("missing", True, "failure"),
        ("failed", True, "error"),
        ("missing", False, "skipped"),
        ("not comparable", False, "skipped"),
        ("cannot tell", False, "skipped"),
        ("not gated", False, "skipped"),
        ("not run", False, "skipped"),
        ("new", False, "skipped"),
    ],
)
def test_what_each_verdict_becomes(verdict: Any, fails: bool, tag: str | None) -> None:
    """The table of docs/check.md; beside it a plain number, so that something was compared."""
    first = next(parsed(Report([replace(WORSE, verdict=verdict, fails=fails), OK], [])).iter("testcase"))
    assert [child.tag for child in first] == ([tag] if tag else [])
    if tag == "skipped":
        assert (first[0].get("message") or "").startswith(f"{verdict}: worse by 2.5")


def test_nothing_compared_is_never_green() -> None:
    """Without any number, and with skipped ones alone: one error of its own."""
    skipped = replace(WORSE, verdict="not comparable", fails=False)
    for findings in ([], [skipped]):
        (error,) = parsed(Report(findings, [])).iter("error")
        assert (error.get("message") or "").startswith("nothing comparable")


def test_every_case_has_a_name_of_its_own() -> None:
    """One metric in two tasks and under two protocols, and a whole model; CI systems merge cases of one name."""
    findings = [
        OK,
        replace(OK, task="reconstruction"),
        replace(OK, task="reconstruction"),
        replace(OK, metric=""),
    ]
    names = [case.get("name") for case in parsed(Report(findings, [])).iter("testcase")]
    assert names == ["ssim (generation)", "ssim (reconstruction)", "ssim (reconstruction) #2", "whole model"]


@settings(max_examples=60, deadline=None)
@given(model=NAMES, dataset=NAMES, metric=NAMES, reason=NAMES)
def test_any_text_is_well_formed(model: str, dataset: str, metric: str, reason: str) -> None:
    """Markup, quotes, control characters (which XML 1.0 cannot hold at all) and lone surrogates: the document parses,
    keeps its shape, and printable names come back as they are, white space apart."""
    finding = replace(WORSE, model=model, variant="", dataset=dataset, metric=metric, reason=reason)
    (case,) = parsed(Report([finding], [reason])).iter("testcase")
    if metric.isprintable() and metric == " ".join(metric.split()) != "":
        assert case.get("name") == metric


def test_markup_is_text() -> None:
    """What would close a tag or an attribute comes back as it went in."""
    evil = '"/><failure>]]>&amp;<!--'
    (case,) = parsed(Report([replace(OK, metric=evil)], [])).iter("testcase")
    assert case.get("name") == evil
