"""A person at the page of a study, in tests: what they read, press and wait for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from chromium import BROWSER, PATIENCE, Chromium

from benchbench.study.folder import Study

in_a_browser = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium or Chrome is installed; the page is checked where one is"
)
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


def violations(browser: Chromium) -> Any:
    """What axe-core finds in the page as it is, by all its rules."""
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    browser.js(f"{axe}; true")
    nodes = "found.violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 99))])"
    return browser.js(f"axe.run(document).then((found) => {nodes})")


def stored(profile: Path, text: str) -> None:
    """Wait until the browser has written what a page told it to keep, which it does within some seconds."""
    end = time.monotonic() + PATIENCE
    while not any(
        text.encode() in file.read_bytes() for file in profile.glob("Default/Local Storage/leveldb/*.log")
    ):
        assert time.monotonic() < end, "the browser keeps nothing"
        time.sleep(0.1)


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
