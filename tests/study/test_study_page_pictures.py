"""What a person sees on the page of a study: pictures to the dot, on any screen, and texts as they were written."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from answering import (
    PICTURES,
    SEEN,
    begin,
    in_a_browser,
    ready,
)
from chromium import Chromium
from PIL import Image
from served import served
from studies import make_study

from benchbench.study.folder import Study, create_folder
from benchbench.study.manifest import StudyFacts

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytestmark = [pytest.mark.costly, in_a_browser]


def test_the_smallest_phone(tmp_path: Path) -> None:
    """320 CSS pixels wide, the least that has to work without scrolling sideways (WCAG 1.4.10), and 568 high: a
    question stands at its beginning although the consent text was scrolled, and all its buttons are on the screen."""
    study = make_study(tmp_path / "s", "triplet", n=1, checks=0)
    with served(study) as caller, Chromium(tmp_path / "profile", phone=True) as browser:
        shape = {"width": 320, "height": 568, "deviceScaleFactor": 2, "mobile": True}
        browser("Emulation.setDeviceMetricsOverride", **shape)
        browser.open(caller.url)
        browser.wait("document.querySelector('#consent').hidden === false")
        browser.tap("#begin")
        ready(browser)
        assert browser.js("scrollY") == 0
        assert browser.js("document.documentElement.scrollWidth") == 320
        bottoms = browser.js(
            "[...document.querySelectorAll('#choices button')].map((b) => b.getBoundingClientRect().bottom)"
        )
        assert len(set(bottoms)) == 1
        assert bottoms[0] <= 568


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


def test_small_pictures_beside_large_ones(tmp_path: Path) -> None:
    """Images of 32 pixels beside one of 128 and one of 50: all are shown at the size of the largest, or by the whole
    factor next below it (4 × 32 = 128, 2 × 50 = 100), and their middles are on one line."""
    study = make_study(tmp_path / "s", "triplet", n=1, checks=0)
    sides = dict(zip(study.manifest.items[0].images, (32, 128, 50), strict=True))
    images = ((own, np.zeros((side, side, 3), np.uint8)) for own, side in sorted(sides.items()))
    mixed = create_folder(tmp_path / "mixed", facts_of(study), images)
    with served(mixed) as caller, Chromium(tmp_path / "profile", screen=(640, 700, 1)) as browser:
        begin(browser, caller.url)
        boxes = (
            f"{PICTURES}.map((own) => own.getBoundingClientRect()).map((b) => [b.width, b.y + b.height / 2])"
        )
        found = dict(zip(browser.js(SEEN), browser.js(boxes), strict=True))
    factors = {sides[own]: wide / sides[own] for own, (wide, _) in found.items()}
    k = factors[128]
    assert k == int(k) >= 1
    assert factors == {32: 4 * k, 128: k, 50: int(128 * k / 50)}
    middles = [middle for _, middle in found.values()]
    assert max(middles) - min(middles) <= 0.5


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
