"""The page of a study in a real browser: keys and touches of a person, and what stands on disk afterwards.

Expected choices come from what was pressed and from the pictures that the page showed at that moment, as the browser
has them; that is held against the file of answers, which the page never sees.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import BROWSER, Chromium
from PIL import Image
from served import lines, served
from studies import make_study

from benchbench.study.answer import rater_of
from benchbench.study.answers import next_shown
from benchbench.study.folder import Study, create_folder
from benchbench.study.manifest import StudyFacts
from benchbench.study.serving import reception

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytestmark = [
    pytest.mark.costly,
    pytest.mark.skipif(
        BROWSER is None, reason="no Chromium or Chrome is installed; the page is checked where one is"
    ),
]
ASKED = (
    "!document.querySelector('#item').hidden && document.querySelector('#choices button:enabled') !== null"
)
ENDED = "!document.querySelector('#end').hidden"
PICTURES = "[...document.querySelectorAll('#pictures img')]"
SEEN = f"{PICTURES}.map((image) => image.src.split('/').pop().replace('.png', ''))"
PLACE = "document.querySelector('#place').textContent"


def begin(browser: Chromium, url: str) -> None:
    """Read the consent text and agree, by touch or mouse."""
    browser.open(url)
    browser.wait("document.querySelector('#consent').hidden === false")
    browser.press("#begin")
    ready(browser)


def ready(browser: Chromium) -> None:
    """Until a question can be answered: the page takes no answer in the first 0.3 seconds."""
    browser.wait(ASKED)
    time.sleep(0.35)


def went_on(browser: Chromium, place: str) -> None:
    """Until another question, or the end, is there."""
    browser.wait(f"({ENDED}) || ({PLACE} !== {place!r} && {ASKED})")
    time.sleep(0.35)


def press(browser: Chromium, key: str) -> list[str]:
    """Answer by a key; returns the ids of the pictures that were seen."""
    place, seen = browser.js(PLACE), browser.js(SEEN)
    browser.key(key)
    went_on(browser, place)
    return list(seen)


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
    it, and a double tap is one answer."""
    study = make_study(tmp_path / "s", n=5, checks=1)
    boxes = "[...document.querySelectorAll('button')].map((b) => b.getBoundingClientRect()).filter((b) => b.width > 0)"
    inside = f"{boxes}.every((own) => own.left >= 0 && own.right <= innerWidth && own.bottom <= innerHeight)"
    seen = []
    with served(study) as caller, Chromium(tmp_path / "profile", phone=True) as browser:
        browser.open(caller.url)
        browser.wait("document.querySelector('#consent').hidden === false")
        assert min(browser.js(f"{boxes}.map((own) => Math.min(own.width, own.height))")) >= 44
        browser.tap("#begin")
        ready(browser)
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
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")

    def violations(browser: Chromium) -> Any:
        browser.js(f"{axe}; true")
        nodes = "found.violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 99))])"
        return browser.js(f"axe.run(document).then((found) => {nodes})")

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


@contextmanager
def damaged(study: Study) -> Iterator[None]:
    """No answer of the study can be written meanwhile: where its answers should lie is a file."""
    folder, aside = study.folder / "answers", study.folder / "aside"
    folder.rename(aside)
    folder.write_text("in the way")
    try:
        yield
    finally:
        folder.unlink()
        aside.rename(folder)


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


def facts_of(study: Study) -> StudyFacts:
    """What the study is, without its images."""
    return StudyFacts(**{name: getattr(study.manifest, name) for name in StudyFacts.model_fields})


def noisy(study: Study, folder: Path, side: int) -> Study:
    """The same study with noise as its images, in which every pixel tells."""
    facts = StudyFacts(**{name: getattr(study.manifest, name) for name in StudyFacts.model_fields})
    images = (
        (own, np.random.default_rng(int(own, 16)).integers(0, 256, (side, side, 3), np.uint8))
        for own in sorted(facts.image_ids)
    )
    return create_folder(folder, facts, images)


@pytest.mark.parametrize(
    ("side", "kind", "dots"),
    [(8, "pairwise", 1), (28, "triplet", 3), (100, "closer-to-source", 1.5), (500, "real-or-fake", 2)],
)
def test_pictures_are_magnified_whole(side: int, kind: str, dots: float, tmp_path: Path) -> None:
    """On a desk, and on screens with several dots to a CSS pixel: what is seen is the image with every pixel k times k
    dots, to the last dot, and k is the same for all pictures of a question."""
    study = noisy(make_study(tmp_path / "s", kind, n=1, checks=0), tmp_path / "noise", side)
    boxes = f"{PICTURES}.map((own) => own.getBoundingClientRect()).map((b) => [b.x, b.y, b.width])"
    with served(study) as caller, Chromium(tmp_path / "profile", screen=(640, 800, dots)) as browser:
        begin(browser, caller.url)
        assert browser.js("devicePixelRatio") == dots
        screen = np.asarray(Image.open(io.BytesIO(browser.picture())).convert("RGB"))
        found = list(zip(browser.js(SEEN), browser.js(boxes), strict=True))
    (scale,) = {round(wide * dots / side, 4) for _, (_, _, wide) in found}
    k = int(scale)
    assert k == scale >= 1
    for own, (x, y, _) in found:
        pixels = np.asarray(Image.open(io.BytesIO(study.png(own))))
        left, top = round(x * dots), round(y * dots)
        seen = screen[top : top + k * side, left : left + k * side]
        assert (seen == np.kron(pixels, np.ones((k, k, 1), np.uint8))).all()


def test_a_picture_larger_than_the_screen(tmp_path: Path) -> None:
    """It is shown smaller, whole, and without stairs."""
    study = make_study(tmp_path / "s", n=1, checks=0, side=900)
    with served(study) as caller, Chromium(tmp_path / "profile") as browser:
        begin(browser, caller.url)
        assert browser.js("[...document.images].every((own) => own.getBoundingClientRect().width < 900)")
        assert browser.js(
            "[...document.images].every((own) => getComputedStyle(own).imageRendering === 'auto')"
        )
        assert browser.js(
            "document.documentElement.scrollHeight <= innerHeight && document.documentElement.scrollWidth <= innerWidth"
        )


def test_a_consent_text_is_text(tmp_path: Path) -> None:
    """Markup in it, and in the question, is shown as it was written and does nothing."""
    study = make_study(tmp_path / "s", n=1, checks=0)
    nasty = "<img src=x onerror=\"document.title='got'\"> {{ 7 * 7 }} & <script>document.title='got'</script>"
    facts = StudyFacts(
        **{name: getattr(study.manifest, name) for name in StudyFacts.model_fields} | {"question": nasty}
    )
    images = ((own, np.zeros((4, 4, 3), np.uint8)) for own in sorted(facts.image_ids))
    other = create_folder(tmp_path / "other", facts, images, f"One.\n\n{nasty}\n")
    with served(other) as caller, Chromium(tmp_path / "profile") as browser:
        browser.open(caller.url)
        browser.wait("document.querySelector('#consent').hidden === false")
        assert browser.text().count(nasty) == 2
        browser.click("#begin")
        ready(browser)
        assert browser.js("document.querySelector('#question').textContent") == nasty
        assert browser.js("document.title") == "A study of pictures"
        assert browser.console == []
