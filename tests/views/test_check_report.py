"""The summary of a check as Markdown and as a table: complete, in order, and proof against markup in names."""

from __future__ import annotations

import io
import re
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from benchbench.results.claims.findings import Finding, Report
from benchbench.views.check_report import MOST, markdown, table

WORSE = Finding(
    dataset="digits",
    model="vae",
    variant="",
    task="generation",
    direction="",
    metric="fd",
    aspect="quality",
    verdict="regression",
    fails=True,
    reason="worse by 2.5 (25.00%)",
    rule="relative = 0.05",
    unit="dB",
    higher_is_better=False,
    baseline=10.0,
    candidate=12.5,
    baseline_seeds=[0, 1],
    candidate_seeds=[0],
    change=2.5,
    low=1.0,
    high=4.0,
)
OK = replace(WORSE, verdict="ok", fails=False, metric="ssim", candidate=10.0, change=0.0, reason="unchanged")
GONE = Finding("digits", "gan", "", "", "", "", "", "not run", False, "the candidate has no record")


def shown(report: Report, width: int = 120) -> str:
    """What a terminal of that width shows."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(table(report))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_what_fails_stands_first() -> None:
    """Sections in the order of `_SECTIONS`, each finding in one of them, the harmless ones folded."""
    text = markdown(Report([OK, GONE, WORSE], ["mind the noise"]))
    order = [
        "exit code 1",
        "mind the noise",
        "### Worse than the gate allows (1)",
        "Fine (1)",
        "Not run by the",
    ]
    places = [text.index(piece) for piece in order]
    assert places == sorted(places)
    assert text.count("<details>") == text.count("</details>") == 2
    assert text.endswith("\n\n")


def test_a_line_has_everything() -> None:
    """By hand; columns that are empty in a section are left out."""
    lines = markdown(Report([OK, GONE, WORSE], [])).splitlines()
    (worse,) = [line for line in lines if line.startswith("| vae | digits | fd ")]
    assert worse == (
        r"| vae | digits | fd (dB) ↓ | 10.00 (2 seeds) | 12.50 | +2.500 (+25.0%) | \[1.000, 4.000\] "
        r"| relative = 0.05 | worse by 2.5 (25.00%) |"
    )
    (gone,) = [line for line in lines if line.startswith("| gan ")]
    assert gone == "| gan | digits | whole model | the candidate has no record |"


def test_a_long_section_is_cut_and_says_so() -> None:
    """GitHub drops a summary of more than a megabyte whole; what is cut is in the JSON."""
    text = markdown(Report([OK] * (MOST + 7), []))
    assert "… and 7 more" in text
    assert text.count("| vae |") == MOST
    assert len(markdown(Report([replace(OK, reason="x" * 200)] * 10_000, [])).encode()) < 2**20


def test_the_terminal_shows_numbers_and_reasons() -> None:
    """Both values and the change of what was compared, the reason of everything that is not fine, the notes."""
    text = shown(Report([OK, GONE, WORSE], ["mind the noise"]))
    lines = text.splitlines()
    (place,) = [n for n, line in enumerate(lines) if "fd (dB) ↓" in line]
    assert lines[place].split()[3:] == ["10.00", "12.50", "+2.500", "regression"]
    assert lines[place + 1].split() == ["(+25.0%)"]
    assert "vae on digits, 2 against 1 seeds" in text
    assert "regression: fd of vae on digits: worse by 2.5 (25.00%)" in text
    assert "not run: gan on digits: the candidate has no record" in text
    assert "note: mind the noise" in text
    assert "unchanged" not in text
    assert shown(Report([], [])) == ""


def test_what_a_check_sees_stands_beside_its_verdict() -> None:
    """By hand: 1.5 of 10 is 15%, of a baseline of 0 it is 1.5 in its unit; 1e-9 of rounding is nothing; "none" where a
    number that moved was tested and its range has no room for a worsening that would have failed; nothing beside what
    was not judged."""
    tested = replace(OK, p=0.5, change=0.1, candidate=10.1, smallest=1.5)
    findings = {
        "15%": tested,
        "1.500": replace(tested, baseline=0.0, candidate=0.1),
        "0.4%": replace(tested, smallest=0.04),
        "0%": replace(tested, smallest=1e-8),
        "none": replace(tested, smallest=None),
        "": replace(tested, verdict="not gated"),
    }
    assert "sees" not in markdown(Report([findings[""]], []))
    for text, finding in findings.items():
        lines = shown(Report([finding], [])).splitlines()
        row = next(line.split() for line in lines if "(dB) ↓" in line)
        assert row[6:] == ([text, "ok"] if text else ["not", "gated"])
        assert ("sees: the smallest worsening" in " ".join(lines[-2:])) == bool(text)
        assert not text or f"| {text} |" in markdown(Report([finding], []))
    unchanged = replace(OK, p=1.0, low=None, high=None)
    assert "none" not in shown(Report([unchanged], [])).splitlines()[3]


def test_no_number_is_broken_at_80_columns() -> None:
    """The widest there are in every column at once: nine signs and an exponent, a share of a million per cent."""
    wide = replace(
        WORSE, metric="conditional_accuracy_efficientnet_lite0", baseline=-1.2347e-06, candidate=-1.2347e07,
        change=-1.2347e07, smallest=3.21e-09, p=0.01, verdict="cannot tell", unit="intensity²",
    )  # fmt: skip
    text = shown(Report([wide, OK], []), width=80)
    assert max(map(len, text.splitlines())) <= 80
    words = text.split()
    for number in ("-1.235e-06", "-12347000", "(-1e+15%)", "0.26%", "cannot", "tell"):
        assert number in words, (number, text)


NAMES = st.text(st.characters(), min_size=1, max_size=20).filter(str.strip)  # a column of blanks is left out


@settings(max_examples=60, deadline=None)
@given(name=NAMES, reason=NAMES)
def test_names_cannot_break_out_of_the_table(name: str, reason: str) -> None:
    """A backslash escapes any ASCII punctuation in Markdown (CommonMark 2.4): once escaped pairs are taken out, no line
    holds syntax that our own page does not have, and the line of the table still has its cells."""
    finding = replace(WORSE, model=name, dataset=name, reason=reason)
    text = markdown(Report([finding], [reason]))
    plain = markdown(Report([replace(WORSE, model="x", dataset="x", reason="x")], ["x"]))
    bare, expected = (re.sub(r"\\[!-/:-@\[-`{-~]", "", page) for page in (text, plain))
    assert [sum(line.count(c) for c in "|<>`*_[]#~") for line in bare.splitlines()] == [
        sum(line.count(c) for c in "|<>`*_[]#~") for line in expected.splitlines()
    ]
    assert "\x1b" not in shown(Report([finding], [reason]))


def test_markup_of_the_terminal_is_text() -> None:
    """rich would take [bold] for a style and [link=…] for a link."""
    evil = "[bold red]x[/bold red][link=https://example.org]y[/link]"
    assert evil in shown(Report([replace(WORSE, reason=evil)], []), width=300)
