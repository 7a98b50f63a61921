"""The report: what it says, that nothing escapes into markup, that a browser and an accessibility checker agree."""

from __future__ import annotations

import hashlib
import html
import html.parser
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.core.hashing import digest
from benchbench.results.manifest import Artefact, RunFacts
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import write_rows
from benchbench.runner.evaluate import evaluate
from benchbench.views.curves import Alarm
from benchbench.views.figures import COLOURS, MARKERS, Point, curves, histogram, looks_of, plane
from benchbench.views.grid import save_samples
from benchbench.views.report import render_report
from benchbench.views.text import number

pytestmark = pytest.mark.costly

MakeRow = Callable[..., Row]
NASTY = "<script>alert(1)</script>&\"'{{ 7 * 7 }}$\\frac$"
LONG = "https://somewhere.example/" + "weights-" * 12 + "v0.1.pth"  # which no line of a phone holds
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def land(
    root: Path,
    make_row: MakeRow,
    model: str,
    seed: int,
    fd: float,
    dataset: str = "digits",
    also: Mapping[str, bytes] | None = None,
    **facts: Any,
) -> None:
    """A record with what a real one has: curves, pictures, classes, an alarm for the last seed. also: files
    beside. facts: what run.json says otherwise."""
    key = digest([model, seed, dataset, str(facts)])
    common: dict[str, Any] = {"cell": key, "model": model, "seed": seed, "dataset": dataset}
    share = {"low": 0.1, "high": 0.9, "higher_is_better": True, "value": 1 / (1 + fd)}
    rows = [
        make_row(**common, value=fd, low=fd - 1, high=fd + 1),
        make_row(**common, metric="precision_efficientnet_lite0", **share),
        make_row(**common, metric="recall_efficientnet_lite0", aspect="diversity", **share),
        make_row(**common, metric="sampling_rate", aspect="throughput", value=100 + fd, low=90, high=200,
                 unit="images/s", higher_is_better=True, extractor=None, resize=None, n_reference=None),
        make_row(**common, metric="vendi_efficientnet_lite0", aspect="diversity", value=None,
                 reason=f"too few {NASTY}"),
    ]  # fmt: skip
    run: dict[str, Any] = {
        "seed": seed,
        "variant": "",
        "data": {"fingerprint": "f" * 64, "train": {"n": 898}, "held_out": {"n": 899}, "notes": [f"a note {NASTY}"]},
        "extractors": {"efficientnet_lite0": {"weights_sha256": "a" * 64, "resize": "bicubic"}},
        "machine": {"device_name": "a processor", "cores": 2, "device": "cpu"},
        "provenance": {"benchbench": "0.1.0", "code_revision": "abc", "python": "3.11", "packages": {"torch": "2.4"}},
        "protocol": {"ema": 0.99, "labels": None},
        "classes": {"judge": "cnn_digits", "names": ["0", "1", NASTY], "generated": [5, 0, 3], "reference": [3, 3, 2]},
        "collapse": {"step": 20, "rule": "coverage", "words": f"coverage fell {NASTY}"} if seed else None,
    }  # fmt: skip
    for name, own in facts.items():
        both = isinstance(own, dict) and isinstance(run.get(name), dict)
        run[name] = run[name] | own if both else own
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    with Store(root).write(dataset, model, key, RunFacts(**run)) as folder:
        write_rows(folder / "metrics.csv", rows)
        table = pd.DataFrame(
            {
                "epoch": [0, 1, 1],
                "step": [10, 20, 30],
                "loss": [3.0, 2.0, None],
                "monitor_recall": [None, 0.2, 0.4],
            }
        )
        table.to_csv(folder / "curves.csv", index=False)
        save_samples(folder / "samples.png", images, images, model)
        for name, content in (also or {}).items():
            (folder / name).write_bytes(content)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, make_row: MakeRow) -> Path:
    root = tmp_path_factory.mktemp("store")
    for model, fd in (("vae", 30.0), ("dcgan", 10.0), (NASTY, 20.0)):
        for seed in (0, 1):
            land(root, make_row, model, seed, fd + seed)
    Store(root).record_failure(
        "digits", "gan", "ab" * 8, {"seed": 3, "reason": f"broke {NASTY}, get {LONG}", "when": "now"}
    )
    return root


def test_the_words_and_the_numbers_are_there(store: Path) -> None:
    """By hand from the rows: the lowest distance leads, means over two seeds, classes and alarms in words. Its interval
    is Student's on the log scale, 10.5 × exp(± 12.706 × ln(11 / 10) / 2); the alarm fired in one
    seed of each."""
    text = render_report(store)
    assert "dcgan has the best fd_efficientnet_lite0 of 3 models: 10.50 [5.731, 19.24]." in text
    assert "dcgan collapsed in 1 of 2 seeds." in text  # a median of two is their mean
    assert '<td data-sort="2">2, 1 collapsed</td>' in text
    assert "covered 2 of 3 classes" in text
    assert "collapse alarm at step 20" in text
    assert "6 runs, 24 numbers, 6 that could not be had" in text
    assert text.count("<svg") >= 2 + 3 * 2  # two planes, curves and classes of three models
    assert text.count("data:image/webp;base64,") == 3
    assert "gan on digits, seed 3: broke" in text


def test_it_needs_nothing_else_and_is_the_same_every_time(store: Path) -> None:
    """No address that a browser would fetch (namespaces of SVG are names, not addresses); equal bytes."""
    text = render_report(store)
    fetched = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!#|data:)([^"')\s>]+)""", text)
    assert fetched == []
    assert "@import" not in text
    assert render_report(store) == text


def test_names_from_records_are_never_markup(store: Path) -> None:
    """Parsed: exactly one script element, ours; template code in a name is text; tags nest."""
    scripts, open_tags = [], []
    void = {"meta", "link", "br", "wbr", "input", "img", "path", "use", "line", "rect", "circle"}

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            scripts.extend([tag] if tag == "script" else [])
            if tag not in void:
                open_tags.append(tag)

        def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag != "script"

        def handle_endtag(self, tag: str) -> None:
            if tag not in void:
                assert open_tags.pop() == tag

    text = render_report(store, title=NASTY)
    Reader().feed(text)
    assert scripts == ["script"]
    assert open_tags == []
    assert "{{ 7 * 7 }}" in text
    assert "alert(1)</script>" not in text


def sections(text: str) -> dict[str, list[str]]:
    """Heading of each dataset's section -> its sentences."""
    found = {}
    for part in re.split(r'<section aria-labelledby="dataset-', text)[1:]:
        heading = re.search(r"<h2[^>]*>(.*?)</h2>", part)
        listed = re.search(r'<ul class="said">(.*?)</ul>', part, re.DOTALL)
        assert heading is not None
        found[html.unescape(heading[1])] = re.findall(r"<li>(.*?)</li>", listed[1]) if listed else []
    return found


def test_two_data_sets_of_one_name_are_two_sections(tmp_path: Path, make_row: MakeRow) -> None:
    """Each names its data and has its own leader. By hand: 710.5 leads where 720.5 is the only rival, although 10.50
    was measured elsewhere under that name; a mean over both, 360.5, stands nowhere. In the table of all numbers the
    lines of one name say which data they are of."""
    for fingerprint, shift in (("1", 0.0), ("2", 700.0)):
        for model, fd in (("vae", 10.0), ("dcgan", 20.0)):
            for seed in (0, 1):
                land(
                    tmp_path, make_row, model, seed, fd + shift + seed, data={"fingerprint": fingerprint * 64}
                )
    text = render_report(tmp_path)
    leaders = {title: said[0].partition(" [")[0] for title, said in sections(text).items()}
    best = "vae has the best fd_efficientnet_lite0 of 2 models:"
    assert leaders == {
        "digits (the reference data 11111111)": f"{best} 10.50",
        "digits (the reference data 22222222)": f"{best} 710.5",
    }
    assert "360.5" not in text
    assert "4 seeds" not in text
    for value, fingerprint in (("10.50", "11111111"), ("710.5", "22222222")):
        (line,) = [line for line in text.split("<tr>") if f">{value}</td>" in line]
        assert f"the reference data {fingerprint}" in line


def test_controls_are_landmarks_in_words(tmp_path: Path, make_row: MakeRow) -> None:
    """Real images have the lowest distance and the highest coverage and rate of all; they lead nothing, and a sentence
    says where they stand."""
    for seed in (0, 1):
        land(tmp_path, make_row, "real", seed, 1.0, control=True, collapse=None)
        land(tmp_path, make_row, "vae", seed, 30.0 + seed, collapse=None)
        land(tmp_path, make_row, "dcgan", seed, 20.0 + seed, collapse=None)
    (said,) = sections(render_report(tmp_path)).values()
    assert said[0].startswith("dcgan has the best fd_efficientnet_lite0 of 2 models: 20.50 [")
    assert said[1].startswith("vae follows with 30.50 [")
    # A control's interval is that of its runs: 1 − 1 to 1 + 1.
    assert said[2] == "Landmark: real has 1.000 [0, 2.000]."
    assert said[3] == "vae samples fastest: sampling_rate 130.5 images/s."
    assert len(said) == 4


def test_a_busy_machine_has_no_front(tmp_path: Path, make_row: MakeRow) -> None:
    """Load 3 on two cores: rates carry a dagger and their reason, nobody is the fastest, and the figure says why it has
    no front; on a quiet machine it has one."""
    for name, load in (("busy", 3.0), ("quiet", 0.5)):
        for model, fd in (("vae", 10.0), ("dcgan", 20.0)):
            land(tmp_path / name, make_row, model, 0, fd, machine={"load_1min": load})
    busy, quiet = (render_report(tmp_path / name) for name in ("busy", "quiet"))
    assert "110.0†</td>" in busy
    assert "† timed while other programs took more than 20%" in busy
    assert "samples fastest" not in busy
    assert "so there is no Pareto front" in busy
    assert "dcgan samples fastest" in quiet
    assert "the Pareto front: dcgan, vae" in quiet
    assert "†" not in quiet


def test_images_that_something_else_made_are_in_the_report(tmp_path: Path) -> None:
    """`evaluate` of two folders of one last name against one reference, and of one of them against another reference of
    that name: three records, in two sections, each value in its place and none averaged. The pictures are there."""
    for seed, (folder, n) in enumerate(
        (("real", 12), ("other/real", 12), ("a/samples", 8), ("b/samples", 8))
    ):
        (tmp_path / folder).mkdir(parents=True)
        images = np.random.default_rng(seed).integers(0, 256, (n, 16, 16, 3), np.uint8)
        for i, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / folder / f"{i}.png")
    values = []
    for samples, reference in (("a/samples", "real"), ("b/samples", "real"), ("b/samples", "other/real")):
        found = evaluate(
            tmp_path / samples, tmp_path / reference, "fd", out=tmp_path / "results", device="cpu"
        )
        values.append(number(float(found["value"].iloc[0])))
    text = render_report(tmp_path / "results")
    shown = sections(text)
    assert len(shown) == 2
    assert all(title.startswith("folder-real (the reference data ") for title in shown)
    of_two, of_one = sorted((" ".join(said) for said in shown.values()), key=len, reverse=True)
    assert all(value in of_two for value in values[:2])
    assert values[2] in of_one
    assert all(text.count(f">{value}</td>") == 1 for value in values)
    assert "one run each does not tell what another seed would do" in of_two
    assert "reference images" in text
    assert text.count("data:image/webp;base64,") == 3


def artefact(file: str, kind: str, caption: str) -> Artefact:
    return Artefact(file=file, kind=kind, caption=caption)


def test_artefacts_of_any_task_stand_by_kind(tmp_path: Path, make_row: MakeRow) -> None:
    """Two kinds that alternate in the list: each has one heading. Pictures are shown; a file of another sort is named
    with its digest, and how to open it. One that was taken away says so and keeps its
    digest; a picture that was taken away leaves no heading."""
    listed = [
        artefact("samples.png", "samples", "drawn"),
        artefact("turns.npz", "turns", f"one by one {NASTY}"),
        artefact("samples.npz", "samples", "the first 4 of 9"),
        artefact("notes.txt", "turns", "in words"),
    ]
    land(tmp_path, make_row, "vae", 0, 10.0, artefacts=listed,
         also={"turns.npz": b"zip", "samples.npz": b"zip", "notes.txt": b"zip"})  # fmt: skip
    text = render_report(tmp_path)
    assert re.findall(r"<h4>(.*?)</h4>", text) == ["samples", "turns", "figures"]
    assert text.count("data:image/webp;base64,") == 1
    sha256 = hashlib.sha256(b"zip").hexdigest()
    assert text.count(f"sha256 <code>{sha256}</code>") == 3
    shown = html.unescape(text)
    assert 'numpy.load("samples.npz")["images"] has them' in shown
    assert "vae, seed 0: the first 4 of 9" in shown
    assert "<script>alert" not in text
    (folder,) = {file.parent for file in tmp_path.rglob("run.json")}
    for name in ("samples.png", "samples.npz", "turns.npz"):
        (folder / name).unlink()
    gone = render_report(tmp_path)
    assert gone.count("it is not in this copy") == 2
    assert gone.count(f"sha256 <code>{sha256}</code>") == 3
    assert "data:image/webp;base64," not in gone
    (folder / "samples.npz").write_bytes(b"another")
    with pytest.raises(InputError, match=r"samples\.npz is not what run\.json lists"):
        render_report(tmp_path)


def test_it_opens_with_models_and_metrics(tmp_path: Path, make_row: MakeRow) -> None:
    """Before any sentence the board of the headline: a row a model, best first, with what tells two of one name apart;
    landmarks in a part of their own; each number with its interval below it, the best of a column marked. By hand as in
    `test_the_words_and_the_numbers_are_there`."""
    for seed in (0, 1):
        land(tmp_path, make_row, "vae", seed, 30.0 + seed, collapse=None)
        land(tmp_path, make_row, "dcgan", seed, 10.0 + seed)
        land(tmp_path, make_row, "real", seed, 1.0, control=True, collapse=None)
    text = render_report(tmp_path)
    start = text.index('<h2 id="dataset-1">')
    opening = text[start : text.index('<ul class="said">', start)]
    models, landmarks = opening.split('<tbody class="landmarks">')
    named = r'<th scope="row">(.*?)</th>'
    assert re.findall(named, models) == [
        "dcgan <small>2 seeds, 1 collapsed</small>",
        "vae <small>2 seeds</small>",
    ]
    assert re.findall(named, landmarks) == ["real <small>2 seeds</small>"]
    assert '<td class="best"><span>10.50</span> <small>[5.731, 19.24]</small></td>' in models
    assert "class=" not in landmarks.partition("</tbody>")[0]
    heads = re.findall(r'<th scope="col">(.*?)</th>', models)
    assert heads == ["model", "rank", "fd ↓ [1]", "precision ↑ [1]"]
    assert opening.count("<li>[1] 1000 images against 1437, efficientnet_lite0") == 1


def test_variants_are_named_on_the_board(tmp_path: Path, make_row: MakeRow) -> None:
    """Of two recipes of one name the setting in which they differ stands below the name."""
    for fd, lr in ((10.0, "0.001"), (20.0, "0.0005")):
        land(tmp_path, make_row, "vae", 0, fd, collapse=None, settings={"lr": lr})
    text = render_report(tmp_path)
    assert "vae <small>lr=0.001</small>" in text
    assert "vae <small>lr=0.0005</small>" in text


def test_an_empty_folder_is_one_sentence(tmp_path: Path) -> None:
    """It says what to do."""
    with pytest.raises(InputError, match="no records below"):
        render_report(tmp_path)


def test_figures_are_svg_without_a_fixed_size() -> None:
    """They scale with the page, take its colour, hold their text as text, and come out the same twice."""
    looks = {"a": 0, "b": 1}
    points = {"a": (Point(0.1, 0.0, 0.3), Point(0.2)), "b": (Point(0.5), Point(0.9, 1.0, 1.1))}
    table = pd.DataFrame({"step": [1, 2, 3], "loss": [1.0, None, 3.0]})
    drawn = [
        plane(points, "x", "y $a_b$ <c>", looks, front=["a", "b"]),
        curves({0: table, 1: table}, ["loss"], {1: Alarm(2, "fell")}),
        histogram([0.5, 0.5], [0.9, 0.1], ["a", "b"]),
        histogram([0.01] * 100, [0.01] * 100, [str(n) for n in range(100)]),
    ]
    for svg in drawn:
        assert svg.startswith("<svg")
        head = svg[: svg.index(">")]
        assert " width=" not in head
        assert " height=" not in head
        assert "viewBox" in head
        assert "currentColor" in svg
        ElementTree.fromstring(svg)  # well-formed
        assert "#010203" not in svg
    assert "y $a_b$ &lt;c&gt;" in drawn[0]
    assert drawn[0] == plane(points, "x", "y $a_b$ <c>", looks, front=["a", "b"])


def test_a_name_in_a_figure_is_no_style() -> None:
    """What a record calls a model is text in the figure, also where it reads like an attribute: no rule and no path is
    made of it."""
    name = 'x style="}body{display:none}" d="M 0.123 L 0 0 L 1 1"'
    svg = plane({name: (Point(0.1), Point(0.2))}, "x", "y", {name: 0})
    rules = re.findall(r"<style[^>]*>(.*?)</style>", svg)
    assert "display" not in "".join(rules)
    assert name in html.unescape(svg)


def test_models_of_one_figure_share_no_colour() -> None:
    """Eight models on each of three datasets, some on two: eight colours are enough for each figure, by hand the models
    of a dataset could have them in order. No two of all have one number, so none has another's colour and marker."""
    names = [f"m{n:02}" for n in range(20)]
    groups = [names[:8], names[6:14], names[12:]]
    looks = looks_of(groups)
    assert sorted(looks) == names
    assert len(set(looks.values())) == 20
    assert max(looks.values()) < len(COLOURS) * len(MARKERS)
    for group in groups:
        assert len({looks[name] % len(COLOURS) for name in group}) == 8
    assert sorted(looks_of([names]).values()) == list(range(20))


def test_models_beyond_the_eighth_have_their_own_look() -> None:
    """Colours and markers go round by numbers without a common divisor: 56 pairs. Figures of one point each that
    share a colour, a marker or neither with the first are different ones."""
    looks = {(MARKERS[n % len(MARKERS)], COLOURS[n % len(COLOURS)]) for n in range(56)}
    assert len(looks) == 56
    point = {"a": (Point(0.1), Point(0.2))}
    some = (0, 55, len(COLOURS), len(MARKERS))
    assert len({plane(point, "x", "y", {"a": number}) for number in some}) == 4


PROBE = (Path(__file__).parent / "report_probe.js").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(
    BROWSER is None, reason="no Chromium or Chrome is installed; the page is checked where one is"
)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_in_a_real_browser(store: Path, tmp_path: Path, width: int, scheme: str) -> None:
    """Headless Chromium: sorting and filtering work, every picture decodes, nothing is wider than the window,
    nothing is written to the console, and axe-core finds nothing serious, on a desk in light and on a phone in
    dark colours."""
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    page = tmp_path / "report.html"
    text = render_report(store)
    page.write_text(text.replace("</body>", f"<script>{axe}</script><script>{PROBE}</script></body>"))
    assert BROWSER is not None
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr",
        f"--window-size={width},900", "--virtual-time-budget=20000", f"--user-data-dir={tmp_path / 'profile'}",
        *(["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []), "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    for _ in range(
        3
    ):  # virtual time does not wait for the threads that decode pictures, which a busy machine delays
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
        match = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
        if match is not None:
            break
    assert match is not None, done.stderr[-2000:]
    seen = json.loads(html.unescape(match[1]))
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    assert seen["errors"] == []

    up = [float(value) for value in seen["up"] if value != "failed"]
    assert up == sorted(up)
    assert seen["up"][-3:] == ["failed"] * 3
    down = [float(value) for value in seen["down"] if value != "failed"]
    assert down == sorted(down, reverse=True)
    assert (seen["ariaUp"], seen["ariaDown"]) == ("ascending", "descending")
    assert seen["filtered"] == [["dcgan", "recall_efficientnet_lite0 ↑"]]
    assert (
        max(seen["rows"]) <= 36
    )  # one line of text and its padding are 31, two lines 48, give or take the font
    assert seen["height"] <= (12000 if width == 390 else 6000)
    assert seen["status"] == "1 of 15 rows"
    assert len(seen["images"]) == 3
    assert min(seen["images"]) > 0
    assert seen["overflow"] <= 0
    serious = [violation for violation in seen["axe"] if violation[0] in ("serious", "critical")]
    assert serious == []
