"""Stopping in the middle, on a device that others use, too: in a real browser, served and as one file.

Expected raters are digests of the tokens that the browser holds, computed here by another implementation of SHA-256.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from answering import ENDED, PLACE, begin, damaged, in_a_browser, press, ready, violations
from chromium import Chromium
from served import lines, served
from studies import make_study

from benchbench.study.answer import rater_of
from benchbench.study.exported import export_html
from benchbench.study.handed_in import import_answers

pytestmark = [pytest.mark.costly, in_a_browser]

NUMBER = "document.querySelector('#item .rater').textContent"
PAUSED = "!document.querySelector('#pause').hidden"
ASKS = "!document.querySelector('#consent').hidden"
SIDEWAYS = "document.documentElement.scrollWidth <= innerWidth"


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
def test_stop_in_the_middle(phone: bool, tmp_path: Path) -> None:
    """The number is on the first question. While it is asked whether to stop no key answers, going on shows the same
    item and its time leaves out the pause; the next person has another number, and the answers of both stand."""
    pytest.importorskip("uvicorn")
    study = make_study(tmp_path / "s", n=4, checks=0)
    with served(study) as caller, Chromium(tmp_path / "profile", phone=phone) as browser:
        begin(browser, caller.url)
        key = f"localStorage.getItem('benchbench-study-{study.manifest.id}')"
        first = rater_of(browser.js(key))
        assert browser.js(NUMBER) == first
        press(browser, "1")
        browser.press("#stop")
        browser.wait(PAUSED)
        assert violations(browser) == []
        assert first in browser.text()
        for own in ("1", "t", "ArrowLeft"):
            browser.key(own)
        browser.js("new Promise((done) => setTimeout(done, 1500))")
        browser.press("#back")
        ready(browser)
        assert browser.js(PLACE) == "2 of 4"
        press(browser, "1")
        browser.press("#stop")
        browser.wait(PAUSED)
        browser.press("#pause .another")
        browser.wait(ASKS)
        assert browser.js(key) is None
        browser.press("#begin")
        ready(browser)
        second = browser.js(NUMBER)
        assert second == rater_of(browser.js(key)) != first
        press(browser, "2")
        assert browser.console == []
    found = lines(study)
    assert {rater: len(answers) for rater, answers in found.items()} == {first: 2, second: 1}
    assert found[first][1]["ms"] < 1500


def test_a_file_saves_before_the_next_person(tmp_path: Path) -> None:
    """Nobody else begins before the answers so far are saved; that it was is said, and the file has the number in its
    name under which they are imported. Answers that come after it have to be saved again."""
    study = make_study(tmp_path / "s", n=3, checks=0)
    file = tmp_path / "page.html"
    export_html(study, file)
    another = "document.querySelector('#pause .another').disabled"
    with Chromium(tmp_path / "profile") as browser:
        browser("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path / "got"))
        begin(browser, file.as_uri())
        state = f"JSON.parse(localStorage.getItem('benchbench-study-{study.manifest.id}'))"
        rater = rater_of(browser.js(f"{state}.token"))
        assert browser.js(NUMBER) == rater
        for count in (1, 2):
            press(browser, "1")
            browser.press("#stop")
            browser.wait(PAUSED)
            assert browser.js(another)
            assert violations(browser) == []
            browser.press("#pause .save")
            browser.wait(f"!{another}")
            name = f"study-answers-{study.manifest.id[:8]}-{rater}.json"
            assert f"Saved as {name}" in browser.text()
            got = tmp_path / "got" / name
            browser.wait("1", lambda _, got=got: got.is_file() and got.stat().st_size > 0)
            assert import_answers(study, got).rater == rater
            got.unlink()
            assert len(lines(study)[rater]) == count
            if count == 1:
                browser.press("#back")
                ready(browser)
        browser.press("#pause .another")
        browser.wait(ASKS)
        assert browser.js(state) is None


def test_what_is_said_covers_nothing(tmp_path: Path) -> None:
    """On the smallest phone (320 × 568, WCAG 1.4.10), while an answer cannot be kept: the question lies below the
    notice, the buttons on the screen, and nothing scrolls sideways."""
    pytest.importorskip("uvicorn")
    study = make_study(tmp_path / "s", n=1, checks=0)
    top, bottom = "getBoundingClientRect().top", "getBoundingClientRect().bottom"
    with served(study) as caller, Chromium(tmp_path / "profile", phone=True) as browser:
        shape = {"width": 320, "height": 568, "deviceScaleFactor": 2, "mobile": True}
        browser("Emulation.setDeviceMetricsOverride", **shape)
        begin(browser, caller.url)
        with damaged(study):
            browser.key("1")
            browser.wait("document.querySelector('#notice').textContent", lambda text: "not kept yet" in text)
            notice = browser.js(f"document.querySelector('#notice').{bottom}")
            assert notice > 20
            assert browser.js(f"document.querySelector('.progress').{top}") >= notice
            assert browser.js(f"document.querySelector('#item .small').{bottom}") <= 568
            assert browser.js(SIDEWAYS)
        browser.wait(ENDED)
        assert browser.js("document.documentElement.style.getPropertyValue('--notice')") == "0px"


def test_keys_are_shown(tmp_path: Path) -> None:
    """Each key that answers stands on its button, where there is a keyboard."""
    pytest.importorskip("uvicorn")
    study = make_study(tmp_path / "s", "real-or-fake", n=1, checks=0)
    with served(study) as caller, Chromium(tmp_path / "profile") as browser:
        begin(browser, caller.url)
        shown = browser.js("[...document.querySelectorAll('#choices kbd')].map((own) => own.innerText)")
    assert shown == ["1 r ←", "2 g →"]
