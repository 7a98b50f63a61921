"""The page of a study when something goes wrong: disks, networks, other studies. No answer is lost or doubled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from answering import (
    ENDED,
    PICTURES,
    PLACE,
    SEEN,
    begin,
    damaged,
    in_a_browser,
    press,
    ready,
    went_on,
)
from chromium import Chromium
from served import lines, served
from studies import make_study

from benchbench.study.answer import rater_of
from benchbench.study.answers import next_shown
from benchbench.study.serving import reception

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytestmark = [pytest.mark.costly, in_a_browser]


def test_what_cannot_be_kept_is_tried_again(tmp_path: Path) -> None:
    """The page says so, shows nothing new, takes no other answer meanwhile, and goes on by itself when it can: the
    answer that was given stands on disk once."""
    study = make_study(tmp_path / "s", n=2, checks=0)
    with served(study) as caller, Chromium(tmp_path / "profile") as browser:
        begin(browser, caller.url)
        with damaged(study):
            ids = browser.js(SEEN)
            browser.key("2")
            said = browser.wait("document.querySelector('#notice').textContent")
            assert "Your answer is not kept yet; please leave this page open." in said
            browser.key("1")
            assert browser.js(PLACE) == "1 of 2"
            assert str(study.folder) not in browser.js("document.documentElement.outerHTML")
        went_on(browser, "1 of 2")
        assert browser.js("document.querySelector('#notice').textContent") == ""
    ((answer,),) = lines(study).values()
    assert answer["choice"] == str(study.item(answer["item"]).images.index(ids[1]))


def test_a_response_that_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is on disk and whoever sent it was not told: the page sends it again, learns that it is there, and
    goes on. Each item stands on disk once."""
    study = make_study(tmp_path / "s", n=3, checks=0)
    take, lost = reception.Reception.take, []

    def forgetful(self: reception.Reception, rater: str, body: bytes) -> dict[str, Any]:
        found = take(self, rater, body)
        lost.append(rater)
        if len(lost) < 3:
            raise reception.Refused(503, "lost", None)
        return found

    monkeypatch.setattr(reception.Reception, "take", forgetful)
    with served(study) as caller, Chromium(tmp_path / "profile") as browser:
        begin(browser, caller.url)
        for _ in range(3):
            press(browser, "1")
        browser.wait(ENDED)
    (answers,) = lines(study).values()
    assert len(answers) == len({answer["item"] for answer in answers}) == 3


def test_pictures_appear_together_and_before_any_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One picture of each item comes only when it is let go, after the other has long been there: until then neither is
    seen, and keys answer nothing."""
    study = make_study(tmp_path / "s", n=2, checks=0)
    held = {item.images[0] for item in study.manifest.items}
    image = reception.Reception.image

    def slow(self: reception.Reception, own: str) -> bytes:
        if own in held:
            raise reception.Refused(503, "not yet")
        return image(self, own)

    monkeypatch.setattr(reception.Reception, "image", slow)
    visible = f"{PICTURES}.filter((own) => own.checkVisibility({{visibilityProperty: true}})).length"
    with served(study) as caller, Chromium(tmp_path / "profile") as browser:
        browser.open(caller.url)
        browser.wait("document.querySelector('#consent').hidden === false")
        browser.click("#begin")
        for shown in (1, 2):
            browser.wait(
                "document.querySelector('#notice').textContent", lambda text: "could not be loaded" in text
            )
            browser.key("1")
            assert browser.js(visible) == 0
            assert sum(map(len, lines(study).values())) == shown - 1
            token = browser.js(f"localStorage.getItem('benchbench-study-{study.manifest.id}')")
            due = next_shown(study, rater_of(token))
            assert due is not None
            held.difference_update(due.item.images)
            ready(browser)
            assert browser.js(visible) == 2
            browser.key("1")


def test_a_study_that_is_another_one(tmp_path: Path) -> None:
    """A browser whose token the study does not know is told so, and may begin again; the token of another study is not
    lost by it, as it has a name of its own."""
    study = make_study(tmp_path / "s", n=1, checks=0)
    with served(study) as caller, Chromium(tmp_path / "profile") as browser:
        browser.open(caller.url)
        browser.wait("document.querySelector('#consent').hidden === false")
        browser.js(f"localStorage.setItem('benchbench-study-{study.manifest.id}', '{'0' * 32}')")
        browser.js("localStorage.setItem('benchbench-study-other', 'kept')")
        browser.open(caller.url)
        browser.wait(
            "document.querySelector('#notice').textContent",
            lambda text: "does not know this browser" in text,
        )
        browser.click("#begin")
        ready(browser)
        press(browser, "1")
        browser.wait(ENDED)
        assert browser.js("localStorage.getItem('benchbench-study-other')") == "kept"
        browser.click("#another")  # somebody else on the same device
        browser.wait("document.querySelector('#consent').hidden === false")
        browser.click("#begin")
        ready(browser)
        press(browser, "2")
    assert [len(answers) for answers in lines(study).values()] == [1, 1]


def test_a_browser_that_keeps_nothing(tmp_path: Path) -> None:
    """Where a page may store nothing, as in some private windows, the person is told before they begin, and can answer
    to the end in one go."""
    study = make_study(tmp_path / "s", n=1, checks=1)
    fault = "new DOMException('no', 'SecurityError')"
    forbidden = f"Object.defineProperty(window, 'localStorage', {{get() {{ throw {fault}; }}}})"
    with served(study) as caller, Chromium(tmp_path / "profile") as browser:
        browser("Page.addScriptToEvaluateOnNewDocument", source=forbidden)
        browser.open(caller.url)
        browser.wait("document.querySelector('#notice').textContent", lambda text: "finish in one go" in text)
        browser.click("#begin")
        ready(browser)
        press(browser, "1")
        press(browser, "2")
        browser.wait(ENDED)
        assert browser.console == []
    ((_, answers),) = lines(study).items()
    assert [answer["shown"].index(int(answer["choice"])) for answer in answers] == [0, 1]
