"""What whoever makes or shows a study is told: its size, check items that find nobody, a text that is unfinished."""

from __future__ import annotations

from math import comb
from pathlib import Path

import pytest
from studies import make_study

from benchbench.core.errors import InputError
from benchbench.study.consent import blanks, template
from benchbench.study.folder import CONSENT, load
from benchbench.study.kinds import KINDS
from benchbench.study.raters import checks_that_find, fewest_right, found_without_looking
from benchbench.study.serving.hosts import Hosts
from benchbench.study.told import summary, weak_checks


def binomial(k: int, n: int, p: float) -> float:
    """P(X ≤ k), term by term."""
    return sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))


@pytest.mark.parametrize("images", [2, 3])
def test_odds_of_finding_who_presses_one_side(images: int) -> None:
    """By the terms of the binomial distribution (1e-12 is the rounding of as many sums); the least number is the first
    from which on all have 95%, looked at one by one to 60."""
    odds = []
    for n in range(1, 61):
        least = next(k for k in range(n + 1) if binomial(k, n, 0.9) >= 0.05)
        assert fewest_right(n, 0.9) == least
        odds.append(binomial(least - 1, n, 1 / images) if least else 0.0)
        assert found_without_looking(n, 0.9, images) == pytest.approx(odds[-1], abs=1e-12)
    last = max(n for n, own in enumerate(odds, 1) if own < 0.95)
    assert checks_that_find(0.9, images) == last + 1


def test_few_check_items_are_said(tmp_path: Path) -> None:
    """Six find a presser with 1/64 × (1 + 6 + 15 + 20) = 42/64 = 66%;
    16 of 60 are 27%, and of 8 items more than half."""
    said = weak_checks(make_study(tmp_path / "6", n=60, checks=6).manifest)
    assert said is not None
    assert "6 check items find who presses one side always with odds of 66%, and 16 with 95% or more" in said
    assert said.endswith("--checks 27% makes 17")
    few = weak_checks(make_study(tmp_path / "4", n=8, checks=4).manifest)
    assert few is not None
    assert few.endswith("--n 32 --checks 50% makes 16")
    assert weak_checks(make_study(tmp_path / "20", n=200, checks=20).manifest) is None


def test_what_a_study_holds(tmp_path: Path) -> None:
    """13 items over three pairs are 4 or 5 each; half of real-or-fake is real. At five seconds 250 items are 21
    minutes."""
    found = summary(make_study(tmp_path / "p", systems=2, n=230, checks=20).manifest)
    assert found == (
        "pairwise of 2 systems: 230 items, 230 a pair of systems, and 20 check items; about 21 minutes a rater, at 5 "
        "seconds an answer"
    )
    found = summary(make_study(tmp_path / "r", "real-or-fake", systems=2, n=12, checks=4).manifest)
    assert found.startswith(
        "real-or-fake of 2 systems: 12 items, 3 a system and 6 of real images, and 4 check items;"
    )
    assert "13 items, 4 to 5 a pair" in summary(
        make_study(tmp_path / "o", systems=3, n=13, checks=4).manifest
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_is_finished_by_hand(kind: str, tmp_path: Path) -> None:
    """Every bracket of it is named until it is filled in; brackets in small letters are somebody's own."""
    wanted = ["TITLE OF THE STUDY", "PURPOSE", "MINUTES", "RESEARCHER", "INSTITUTION", "CONTACT", "RETENTION"]
    text = template(kind)
    for own in (*wanted, "APPROVAL: BOARD AND NUMBER"):
        assert f"[{own}]" in blanks(text)
    study = make_study(tmp_path / "s", kind, n=1, checks=0)
    assert (study.folder / CONSENT).read_text(encoding="utf-8") == text
    assert study.consent_warning is not None
    assert "consent.txt still says [TITLE OF THE STUDY], [PURPOSE]" in study.consent_warning
    for own in blanks(text):
        text = text.replace(own, "something [sic]")
    (study.folder / CONSENT).write_text(text, encoding="utf-8")
    assert load(study.folder).consent_warning is None


def test_names_somebody_vouches_for() -> None:
    """They are answered under, in any case and with any port, and nothing else is: no part of one, none that ends in
    it."""
    hosts = Hosts("127.0.0.1", ["Study.Example.org", "lab_1"])
    for header in ("study.example.org", "STUDY.example.org:443", "lab_1:80", "localhost"):
        assert hosts.allow(header)
    for header in (
        "example.org",
        "x.study.example.org",
        "study.example.org.evil.example",
        "lab_2",
        "10.0.0.1",
    ):
        assert not hosts.allow(header)
    for name in (
        "",
        "https://study.example.org",
        "study.example.org:80",
        "a/b",
        "müller.example",
        "*",
        "a..b",
        " a",
    ):
        with pytest.raises(InputError, match="is no name of a host"):
            Hosts("127.0.0.1", [name])
