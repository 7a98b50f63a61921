"""The study as one HTML file: what it holds, that a browser runs it without any network, and the way back."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from answering import PLACE, in_a_browser, stored, violations
from chromium import Chromium
from served import lines
from studies import make_study

import benchbench
from benchbench.core.errors import InputError
from benchbench.study import exported
from benchbench.study.folder import Study
from benchbench.study.handed_in import import_answers
from benchbench.study.kinds import KINDS
from benchbench.study.order import ORDERS

NAMES = ("stylish-gan", "honest-vae", "old-flow")
ASKED = "document.querySelector('#choices button:enabled') !== null"

FILL = """for (let size = 1 << 22; size > 0; size = Math.floor(size / 2)) {
  try { localStorage.setItem("x" + size, "x".repeat(size)); } catch {}
}"""


def data_of(text: str) -> dict[str, Any]:
    """The values that the page holds."""
    found = re.search(r'<script type="application/json" id="study-data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


def page(study: Study, folder: Path) -> Path:
    """The file."""
    return benchbench.study.export_html(study.folder, out=folder / "study.html")


@pytest.mark.costly
@pytest.mark.parametrize("kind", KINDS)
def test_what_it_holds(kind: str, tmp_path: Path) -> None:
    """Every image once, as it lies in the folder; every item once, sorted by its id, so that check items, which the
    manifest has at its end, are not told by their place; orders that have every item once and every image of it once.
    No name of a system, no check, no path, no secret stands anywhere in it."""
    study = make_study(tmp_path / "the-owners-folder", kind, names=NAMES)
    text = page(study, tmp_path).read_text()
    data = data_of(text)
    assert set(data) == {"study", "consent", "question", "choices", "items", "orders", "images"}
    assert {own: base64.b64decode(uri.partition(",")[2]) for own, uri in data["images"].items()} == {
        own: study.png(own) for own in study.manifest.images
    }
    assert [item["item"] for item in data["items"]] == sorted(item.id for item in study.manifest.items)
    for item in data["items"]:
        own = study.item(item["item"])
        assert item == {"item": own.id, "images": list(own.images), "source": own.source}
    assert len(data["orders"]) == ORDERS
    for order in data["orders"]:
        assert sorted(number for number, _ in order) == list(range(16))
        assert all(sorted(places) == list(range(len(places))) for _, places in order)
    assert len({json.dumps(order) for order in data["orders"]}) == ORDERS
    words = (
        *NAMES,
        "the-owners-folder",
        str(tmp_path),
        study.manifest.secret,
        "digits",
        '"systems',
        '"check',
    )
    for word in words:
        assert word not in text, word


def test_check_items_stand_where_they_do_for_others(tmp_path: Path) -> None:
    """Orders are dealt as they are to people of the served page: no check item is among the first two."""
    study = make_study(tmp_path / "s", n=12, checks=4)
    data = data_of(page(study, tmp_path).read_text())
    checks = {i for i, item in enumerate(data["items"]) if study.item(item["item"]).check is not None}
    assert len(checks) == 4
    for order in data["orders"]:
        assert checks.isdisjoint(number for number, _ in order[:2])


def test_it_needs_nothing_else_and_allows_nothing_else(tmp_path: Path) -> None:
    """No address to fetch in it; its policy names the digests of exactly the scripts and the style that stand in it
    (CSP level 3), and pictures only from itself. The same study gives the same bytes."""
    study = make_study(tmp_path / "s")
    text = page(study, tmp_path).read_text()
    assert re.findall(r"""(?:src|href)\s*=\s*["']?(?!data:)([^"')\s>]+)""", text.partition("<body>")[0]) == []
    assert "://" not in text
    policy = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', text)
    assert policy is not None

    def digests(pattern: str) -> set[str]:
        found = re.findall(pattern, text, re.DOTALL)
        return {
            f"'sha256-{base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()}'" for own in found
        }

    rules = dict(rule.split(" ", 1) for rule in html.unescape(policy[1]).split("; "))
    assert set(rules.pop("script-src").split()) == digests(r"<script>(.*?)</script>")
    assert set(rules.pop("style-src").split()) == digests(r"<style>(.*?)</style>")
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "form-action": "'none'",
        "base-uri": "'none'",
    }
    assert page(study, tmp_path).read_text() == text


def test_what_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentences: an image is not there, the file would lie in the study, it would be larger than browsers read; nothing
    is written then. A large one is said."""
    study = make_study(tmp_path / "s", n=2, checks=0)
    with pytest.raises(InputError, match=r"lies in the study, to which nothing is added"):
        benchbench.study.export_html(study.folder, out=study.folder / "study.json")
    with monkeypatch.context() as patched:
        patched.setattr(exported, "MOST_PAGE", 1000)
        with pytest.raises(InputError, match="a browser reads at most"):
            page(study, tmp_path)
    notes: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(exported, "LARGE", 1000)
        told = type("Told", (), {"note": lambda self, text: notes.append(text)})()
        benchbench.study.export_html(study.folder, out=tmp_path / "large.html", progress=told)
    assert "consent.txt still says [TITLE OF THE STUDY]" in notes.pop(0)
    assert len(notes) == 1
    assert "large.html has 0 MB: slow to send and to open" in notes[0]
    study.image(next(iter(study.manifest.images))).unlink()
    with pytest.raises(InputError, match="cannot read the image"):
        page(study, tmp_path)
    assert not (tmp_path / "study.html").exists()


@in_a_browser
@pytest.mark.costly
@pytest.mark.parametrize(("kind", "phone"), [("pairwise", False), ("closer-to-source", True)])
def test_there_and_back_without_a_network(kind: str, phone: bool, tmp_path: Path) -> None:
    """Opened from the disk, offline; killed in the middle and opened again by the same browser, it goes on where it
    was; the file that it hands back is imported, and on disk stands what was pressed and seen. Imported twice it adds
    nothing. axe-core finds nothing, the console is empty, and nothing but the file itself was asked for."""
    study = make_study(tmp_path / "s", kind, n=4, checks=1)
    url = page(study, tmp_path).as_uri()
    names = {uri: own for own, uri in data_of((tmp_path / "study.html").read_text())["images"].items()}
    key = f"benchbench-study-{study.manifest.id}"
    seen: list[list[str]] = []

    def answer(browser: Chromium, number: int, button: int) -> None:
        browser.wait(f"{PLACE} === '{number} of 5' && {ASKED}")
        time.sleep(0.35)
        pictures = browser.js("[...document.querySelectorAll('#pictures img')].map((own) => own.src)")
        seen.append([names[uri] for uri in pictures])
        if phone:
            browser.tap(f"#choices button:nth-child({button + 1})", times=2)
        else:
            browser.key(str(button + 1))

    with Chromium(tmp_path / "profile", phone=phone) as browser:
        offline(browser)
        browser.open(url)
        browser.wait("document.querySelector('#consent').hidden === false")
        browser.press("#begin")
        answer(browser, 1, 0)
        answer(browser, 2, 1)
        browser.wait(f"{PLACE} === '3 of 5'")
        second = browser.js(f"JSON.parse(localStorage.getItem('{key}')).answers[1].item")
        stored(tmp_path / "profile", second)
        browser.kill()
    with Chromium(tmp_path / "profile", phone=phone) as browser:
        offline(browser)
        browser("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path / "got"))
        browser.open(url)
        answer(browser, 3, 0)
        assert violations(browser) == []
        answer(browser, 4, 1)
        answer(browser, 5, 0)
        browser.wait("!document.querySelector('#end').hidden")
        assert browser.js("document.querySelector('#another').disabled")
        assert violations(browser) == []
        number = browser.js("document.querySelector('#rater').textContent")
        browser.press("#save")
        (file,) = downloaded(tmp_path / "got")
        browser.wait("!document.querySelector('#another').disabled")
        assert browser.console == []
        assert {asked for asked in browser.requests if not asked.startswith(("data:", "blob:"))} == {url}
        browser.press("#another")
        browser.wait("!document.querySelector('#consent').hidden")
        assert browser.js(f"localStorage.getItem('{key}')") is None
    assert import_answers(study, file).added == 5
    assert import_answers(study, file).known == 5
    ((rater, answers),) = lines(study).items()
    assert rater == number
    for button, ids, own in zip((0, 1, 0, 1, 0), seen, answers, strict=True):
        item = study.item(own["item"])
        assert ids == [
            *([] if item.source is None else [item.source]),
            *(item.images[k] for k in own["shown"]),
        ]
        assert own["choice"] == str(own["shown"][button])
        assert 300 <= own["ms"] < 60_000
    assert len({own["item"] for own in answers}) == 5


@in_a_browser
@pytest.mark.costly
def test_half_a_study_can_be_handed_back_and_two_pages_agree(tmp_path: Path) -> None:
    """Answers so far are saved from the middle, imported, and the rest later: each stands once. A second window of the
    same browser, left open on an item that the first one has answered, adds no second answer to it."""
    study = make_study(tmp_path / "s", n=3, checks=0)
    url = page(study, tmp_path).as_uri()
    with Chromium(tmp_path / "profile") as browser:
        browser("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path / "got"))
        browser.open(url)
        browser.wait("document.querySelector('#consent').hidden === false")
        browser.press("#begin")
        browser.wait(f"{PLACE} === '1 of 3' && {ASKED}")
        key = f"benchbench-study-{study.manifest.id}"
        time.sleep(0.35)
        browser.key("1")
        browser.wait(f"{PLACE} === '2 of 3' && {ASKED}")
        browser.press("#stop")
        browser.press("#pause .save")
        (first,) = downloaded(tmp_path / "got")
        browser.press("#back")
        assert import_answers(study, first).added == 1
        first.rename(tmp_path / "first.json")
        # What another window would have stored meanwhile: an answer to the item that is shown here.
        browser.js(
            f"(() => {{ const state = JSON.parse(localStorage.getItem('{key}'));"
            "const data = JSON.parse(document.getElementById('study-data').textContent);"
            "const order = data.orders[parseInt(state.token.slice(0, 8), 16) % data.orders.length];"
            "state.answers.push({item: data.items[order[1][0]].item, place: 'tie', shown: order[1][1], ms: 500,"
            " at: '2026-11-29T12:00:00Z'});"
            f"localStorage.setItem('{key}', JSON.stringify(state)); }})()"
        )
        time.sleep(0.35)
        browser.key("2")
        browser.wait(f"{PLACE} === '3 of 3' && {ASKED}")
        time.sleep(0.35)
        browser.key("t")
        browser.wait("!document.querySelector('#end').hidden")
        browser.press("#save")
        (second,) = downloaded(tmp_path / "got")
    found = import_answers(study, second)
    assert (found.added, found.known) == (2, 1)
    (answers,) = lines(study).values()
    assert [own["choice"] for own in answers[1:]] == ["tie", "tie"]


@in_a_browser
@pytest.mark.costly
def test_full_storage_loses_nothing(tmp_path: Path) -> None:
    """The browser takes no more while its storage is full: the page says that the answer is not kept and goes on by
    itself once there is room."""
    study = make_study(tmp_path / "s", n=2, checks=0)
    with Chromium(tmp_path / "profile") as browser:
        browser.open(page(study, tmp_path).as_uri())
        browser.wait("document.querySelector('#consent').hidden === false")
        browser.press("#begin")
        browser.wait(f"{PLACE} === '1 of 2' && {ASKED}")
        browser.js(FILL)
        time.sleep(0.35)
        browser.key("1")
        said = "document.querySelector('#notice').textContent"
        browser.wait(said, lambda text: "storage of this browser is full" in text)
        assert browser.js(PLACE) == "1 of 2"
        browser.js(
            "for (const own of Object.keys(localStorage)) if (own.startsWith('x')) localStorage.removeItem(own)"
        )
        browser.wait(f"{PLACE} === '2 of 2' && {ASKED}")
        held = json.loads(browser.js(f"localStorage.getItem('benchbench-study-{study.manifest.id}')"))
        assert [own["place"] for own in held["answers"]] == [0]


def offline(browser: Chromium) -> None:
    """Pull the plug."""
    browser(
        "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0
    )


def downloaded(folder: Path) -> list[Path]:
    """The file that the browser has saved, once it is whole."""
    end = time.monotonic() + 60
    while not (found := list(folder.glob("*.json"))):
        assert time.monotonic() < end, "nothing was saved"
        time.sleep(0.05)
    return found
