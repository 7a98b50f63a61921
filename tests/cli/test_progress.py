"""Progress as it is seen in a log and on a terminal."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from benchbench.cli import progress
from benchbench.cli.progress import RichProgress
from benchbench.core import progress as core_progress
from benchbench.core.progress import rate


@pytest.mark.parametrize(
    ("n", "seconds", "words"),
    [
        (20, 123.1, "6.2 s/step"),
        (1, 3600.0, "3.6e+03 s/step"),
        (1, 1.0, "1 steps/s"),
        (3, 2.0, "1.5 steps/s"),
        (99, 100.0, "1 s/step"),
        (1200, 2.0, "600 steps/s"),
        (0, 10.0, ""),
    ],
)
def test_a_rate_is_never_zero(n: int, seconds: float, words: str) -> None:
    """Below one a second it is turned round: 123.1 s for 20 steps are 6.155 s a step."""
    assert rate(n, seconds, "step") == words


def log(*, terminal: bool) -> tuple[RichProgress, io.StringIO]:
    """Progress whose stderr is text in memory."""
    text = io.StringIO()
    drawn = RichProgress()
    drawn.console = Console(
        file=text, force_terminal=terminal, markup=False, emoji=False, highlight=False, width=100
    )
    return drawn, text


def test_a_log_says_something_while_one_unit_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no unit has ended yet: a line with title, count and total, before the stage ends."""
    monkeypatch.setattr(progress, "EVERY", 0.005)
    drawn, text = log(terminal=False)
    said = threading.Event()
    line = drawn.line
    monkeypatch.setattr(drawn, "line", lambda words: (line(words), said.set()))
    with drawn.stage("[bold]training", 1200, "step", done=3) as stage:
        assert said.wait(10)
        first = text.getvalue().splitlines()[0]
        stage.advance(1197, loss=0.5)
    assert first.rstrip(", ") == "[bold]training: 3 of 1,200 steps"
    assert text.getvalue().splitlines()[-1].startswith("[bold]training: 1,200 steps in ")
    assert threading.active_count() < 50


def test_a_log_says_how_long_it_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the rate so far, of what was done here: 10 steps in 5 s leave 45 s for 90. Nothing is said before the first
    step, after the last one, and where nobody knows how many there are."""
    now = iter([0.0, *[5.0] * 8])
    monkeypatch.setattr(core_progress.time, "monotonic", lambda: next(now))
    stage = progress._Stage("training", 100, "step", 0)
    assert stage.left() == ""
    stage.advance(10)
    assert stage.left() == "45 s left"
    assert stage.words() == "training: 10 of 100 steps, 2 steps/s, 45 s left"
    stage.advance(90)
    assert stage.left() == ""
    unknown = progress._Stage("reading", 0, "image", 0)
    unknown.advance(10)
    assert unknown.left() == ""


def test_no_thread_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none may be started the log has the last line alone."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    drawn, text = log(terminal=False)
    with drawn.stage("work", 2, "step") as stage:
        stage.advance(2)
    assert text.getvalue().splitlines() == ["work: 2 steps in 0.0 s"]


@pytest.mark.parametrize("total", [0, 5])
def test_a_bar_is_drawn_of_an_unknown_total_too(total: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """0 is nobody knows. Brackets in a title are brackets."""
    drawn, text = log(terminal=True)
    with drawn.stage("[/x] images", total, "image") as stage:
        stage.advance(2, loss=1.0)
    assert "[/x] images" in text.getvalue()
    assert "2 images in" in text.getvalue()
