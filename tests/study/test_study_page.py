"""The page of a study in a real browser: keys and touches of a person, and what stands on disk afterwards.

Expected choices come from what was pressed and from the pictures that the page showed at that moment, as the browser
has them; that is held against the file of answers, which the page never sees.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from answering import (
    ENDED,
    PLACE,
    SEEN,
    begin,
    damaged,
    in_a_browser,
    press,
    ready,
    violations,
    went_on,
)
from chromium import Chromium
from served import lines, served
from studies import make_study

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytestmark = [pytest.mark.costly, in_a_browser]

AT_ONCE = """new Promise((done) => {
  const watch = () => {
    const button = document.querySelector("#choices button:enabled");
    if (button === null) return setTimeout(watch, 1);
    button.click();
    done();
  };
  watch();
})"""
"""Press the first button in the moment in which it can be pressed."""


KEYS: dict[str, list[tuple[str, int | str]]] = {
    "pairwise": [("1", 0), ("2", 1), ("ArrowLeft", 0), ("ArrowRight", 1), ("t", "tie"), (" ", "tie"), ("T", "tie")],
    "real-or-fake": [("1", "real"), ("2", "fake"), ("ArrowLeft", "real"), ("ArrowRight", "fake"), ("r", "real")],
    "closer-to-source": [("1", 0), ("2", 1), ("ArrowLeft", 0), ("ArrowRight", 1), (" ", "tie")],
    "triplet": [("1", 0), ("2", 1), ("3", 2), ("ArrowLeft", 0), ("ArrowRight", 2)],
}  # fmt: skip


@pytest.mark.parametrize("kind", KEYS)
def test_by_keyboard(kind: str, tmp_path: Path) -> None:
    """From the consent text to the thanks without a mouse, each key once: on disk stands, in this order, the picture
    that was at the place that the key names. Keys that mean nothing, and those of the browser (with Ctrl), answer
    nothing. No request goes elsewhere, and the console stays empty: the policy of the page forbids nothing it does."""
    keys = KEYS[kind]
    study = make_study(tmp_path / "s", kind, n=len(keys) - 1, checks=1)
    seen = []
    with served(study) as caller, Chromium(tmp_path / "profile") as browser:
        browser.open(caller.url)
        browser.wait("document.querySelector('#consent').hidden === false")
        browser.key("Tab")
        browser.key("Enter")
        ready(browser)
        for key in ("x", "Enter", "9"):
            browser.key(key)
        browser.key("1", modifiers=2)
        for number, (key, _) in enumerate(keys):
            assert browser.js(PLACE) == f"{number + 1} of {len(keys)}"
            seen.append(press(browser, key))
        browser.wait(ENDED)
        (rater,) = lines(study)
        assert f"Your number in this study is {rater}." in browser.text()
        assert browser.console == []
        assert all(url.startswith(caller.url) for url in browser.requests)
    answers = lines(study)[rater]
    for (_, place), ids, answer in zip(keys, seen, answers, strict=True):
        item = study.item(answer["item"])
        source = [] if item.source is None else [item.source]
        assert ids == [*source, *(item.images[number] for number in answer["shown"])]
        expected = place if isinstance(place, str) else str(item.images.index(ids[len(source) + place]))
        assert answer["choice"] == expected
        assert 300 <= answer["ms"] < 60_000


def test_by_tab_and_enter(tmp_path: Path) -> None:
    """Who uses no shortcuts reaches the buttons one after the other; the space bar presses the one that has the focus,
    and the focus can be seen."""
    study = make_study(tmp_path / "s", n=1, checks=1)
    style = "getComputedStyle(document.activeElement)"
    with served(study) as caller, Chromium(tmp_path / "profile") as browser:
        begin(browser, caller.url)
        for tabs, key in ((2, " "), (1, "Enter")):
            place = browser.js(PLACE)
            for _ in range(tabs):
                browser.key("Tab")
            assert browser.js(f"{style}.outlineStyle + {style}.outlineWidth") == "solid3px"
            browser.key(key)
            went_on(browser, place)
        browser.wait(ENDED)
    (answers,) = lines(study).values()
    assert [answer["shown"].index(int(answer["choice"])) for answer in answers] == [1, 0]


def test_by_touch(tmp_path: Path) -> None:
    """On a phone: every target is 44 CSS pixels a side at least (WCAG 2.5.5), nothing is wider than the screen or below
    it, and a double tap is one answer: neither its second tap on the question that was answered counts, nor one in the
    moment in which the next question appears."""
    study = make_study(tmp_path / "s", n=5, checks=1)
    boxes = "[...document.querySelectorAll('button')].map((b) => b.getBoundingClientRect()).filter((b) => b.width > 0)"
    inside = f"{boxes}.every((own) => own.left >= 0 && own.right <= innerWidth && own.bottom <= innerHeight)"
    seen = []
    with served(study) as caller, Chromium(tmp_path / "profile", phone=True) as browser:
        browser.open(caller.url)
        browser.wait("document.querySelector('#consent').hidden === false")
        assert min(browser.js(f"{boxes}.map((own) => Math.min(own.width, own.height))")) >= 44
        browser.tap("#begin")
        browser.js(AT_ONCE)
        time.sleep(0.35)
        assert browser.js(PLACE) == "1 of 6"
        assert lines(study) == {}
        for number, button in enumerate((1, 2, 3, 1, 2, 3)):
            assert min(browser.js(f"{boxes}.map((own) => Math.min(own.width, own.height))")) >= 44
            assert browser.js(inside)
            assert browser.js("document.documentElement.scrollWidth <= innerWidth")
            seen.append(browser.js(SEEN))
            browser.tap(f"#choices button:nth-child({button})", times=2 if number < 3 else 1)
            went_on(browser, f"{number + 1} of 6")
        browser.wait(ENDED)
        assert browser.console == []
    (answers,) = lines(study).values()
    for button, ids, answer in zip((0, 1, None) * 2, seen, answers, strict=True):
        images = study.item(answer["item"]).images
        assert answer["choice"] == ("tie" if button is None else str(images.index(ids[button])))


def test_two_people_at_once(tmp_path: Path) -> None:
    """Each in a browser of their own, taking turns: two files, each with all items, each answer the one that was
    pressed; and what they see is not in one order."""
    study = make_study(tmp_path / "s", n=4, checks=1)
    with (
        served(study) as caller,
        Chromium(tmp_path / "a") as first,
        Chromium(tmp_path / "b", phone=True) as second,
    ):
        begin(first, caller.url)
        begin(second, caller.url)
        seen: tuple[list[list[str]], list[list[str]]] = ([], [])
        for _ in range(5):
            seen[0].append(press(first, "1"))
            seen[1].append(press(second, "2"))
        first.wait(ENDED)
        second.wait(ENDED)
        numbers = [browser.js("document.querySelector('#rater').textContent") for browser in (first, second)]
    held = lines(study)
    assert set(held) == set(numbers)
    for place, (number, ids) in enumerate(zip(numbers, seen, strict=True)):
        assert len({answer["item"] for answer in held[number]}) == 5
        for shown, answer in zip(ids, held[number], strict=True):
            assert answer["choice"] == str(study.item(answer["item"]).images.index(shown[place]))
    assert seen[0] != seen[1]


@pytest.mark.parametrize(("phone", "dark"), [(False, False), (True, True)], ids=["desk-light", "phone-dark"])
def test_axe_finds_nothing(phone: bool, dark: bool, tmp_path: Path) -> None:
    """axe-core, all its rules, on the consent text, on questions of two kinds, while an answer cannot be kept, and on
    the thanks."""
    for kind in ("pairwise", "closer-to-source"):
        study = make_study(tmp_path / kind, kind, n=1, checks=0)
        with (
            served(study) as caller,
            Chromium(tmp_path / f"{kind}-profile", phone=phone, dark=dark) as browser,
        ):
            browser.open(caller.url)
            browser.wait("document.querySelector('#consent').hidden === false")
            assert violations(browser) == []
            browser.press("#begin")
            ready(browser)
            assert violations(browser) == []
            with damaged(study):
                browser.key("1")
                browser.wait(
                    "document.querySelector('#notice').textContent", lambda text: "not kept yet" in text
                )
                assert violations(browser) == []
            browser.wait(ENDED)
            assert violations(browser) == []
