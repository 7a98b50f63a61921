"""Records that are not as they were written, and names that are markup, as every verb that reads records meets them."""

from __future__ import annotations

import html.parser
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

from benchbench.cli import main
from benchbench.core.hashing import digest
from benchbench.results.manifest import RunFacts
from benchbench.results.provenance import sealed, write_run_json
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import write_rows
from benchbench.runner.suite import load_suite, plan_suite

MakeRow = Callable[..., Row]
Verb = Callable[..., tuple[int, str, str]]

SUITE = 'models = ["noise"]\ndatasets = ["digits"]\nseeds = 2\n[settings]\nsamples = 16\nmetrics = ["swd"]\n'
VERBS = {
    "leaderboard": ["leaderboard", "runs"],
    "report": ["report", "runs"],
    "check": ["check", "--baseline", "runs", "good"],
    "check, as candidate": ["check", "--baseline", "good", "runs"],
    "compare": ["compare", "runs", "good"],
    "suite": ["suite", "suite.toml", "--dry-run", "--out", "runs"],
}
RUN: dict[str, Any] = {
    "variant": "",
    "data": {"fingerprint": "f" * 64, "train": {"n": 898}, "held_out": {"n": 899}, "notes": []},
    "extractors": {},
    "machine": {"device_name": "a processor", "cores": 2, "device": "cpu"},
    "provenance": {"benchbench": "0.1.0", "code_revision": None, "python": "3.11", "packages": {}},
}
EVIL = "<script>x</script>|_*[b](c)[red]$x$&#{\\\x1b[31m@me"


def land(root: Path, row: Row, files: dict[str, str] | None = None) -> Path:
    """A record of one row, with `files` beside it."""
    run = RUN | {"seed": row.seed}
    with Store(root).write(row.dataset, row.model, row.cell, RunFacts(**run)) as folder:
        write_rows(folder / "metrics.csv", [row])
        for name, text in (files or {}).items():
            (folder / name).write_text(text)
    return Store(root).cell_dir(row.dataset, row.model, row.cell)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The keys of the two cells of `SUITE`, so that a suite meets records which it looks for."""
    path = tmp_path_factory.mktemp("suite")
    (path / "suite.toml").write_text(SUITE)
    cells = plan_suite(load_suite(path / "suite.toml"), Store(path / "runs"), device=torch.device("cpu"))
    return [cell.key for cell in cells]


@pytest.fixture
def folders(tmp_path: Path, make_row: MakeRow, keys: list[str]) -> list[Path]:
    """`runs` and `good` with the two cells of `suite.toml`; returns the folders of those in `runs`."""
    (tmp_path / "suite.toml").write_text(SUITE)
    rows = [make_row(model="noise", seed=seed, cell=key, value=12.5 + seed) for seed, key in enumerate(keys)]
    for row in rows:
        land(tmp_path / "good", row)
    return [land(tmp_path / "runs", row, {"curves.csv": "epoch,step,loss\n0,1,2.0\n"}) for row in rows]


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Verb:
    """Run the console script in this process, in the temporary folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["benchbench", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0), *capsys.readouterr()

    return run


def truncated(folder: Path) -> None:
    run = folder / "run.json"
    run.write_bytes(run.read_bytes()[:100])


def without_run(folder: Path) -> None:
    (folder / "run.json").unlink()


def edited(folder: Path) -> None:
    table = folder / "metrics.csv"
    table.write_text(table.read_text().replace("12.5", "2.5"))


def older(folder: Path) -> None:
    _with_version(folder, 0)


def newer(folder: Path) -> None:
    _with_version(folder, 3)


def _with_version(folder: Path, version: int) -> None:
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": version}))


def mistyped(folder: Path) -> None:
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seed": "zero"}))


def twice(folder: Path) -> None:
    shutil.copytree(folder, folder.parents[2] / "copy" / folder.name)


DAMAGE: dict[Callable[[Path], None], str] = {
    truncated: r"run\.json is not JSON \(.*line 3\); restore it, or delete the folder .* and run the cell again",
    without_run: r"metrics\.csv has no run\.json beside it; restore it, or delete|run\.json cannot be read",
    edited: r"metrics\.csv is not what run\.json lists \(its sha256 differs\); restore it, or delete",
    older: r"run\.json has schema version 0 but this benchbench reads 2; benchbench migrate FOLDER carries",
    newer: r"run\.json has schema version 3 but this benchbench reads 2; read it with the benchbench that wrote it",
    mistyped: r"run\.json states a wrong seed: input should be a valid integer; restore it, or delete the folder",
    twice: r"the same cell is in .* and in .*; read the two folders one by one or delete one",
}


def is_one_sentence(code: int, out: str, err: str, sentence: str) -> bool:
    """Exit code 2, nothing on stdout, and on stderr the sentence as its last line, never a traceback."""
    last = err.strip().splitlines()[-1]
    return (
        code == 2
        and out == ""
        and last.startswith("benchbench: ")
        and re.search(sentence, last) is not None
        and "Traceback" not in err
        and "bug" not in err
    )


@pytest.mark.costly
@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", VERBS)
def test_a_damaged_record_is_one_sentence(
    tmp_path: Path, folders: list[Path], verb: Verb, name: str, damage: Callable[[Path], None]
) -> None:
    """One of two records is cut off, edited by hand, of an older or newer schema, of another type, or there twice: the
    sentence names the file and the way out, the sound record beside it is not served alone, and no file is written."""
    damage(folders[0])
    before = sorted(tmp_path.rglob("*"))
    code, out, err = verb(*VERBS[name])
    assert is_one_sentence(code, out, err, DAMAGE[damage]), (code, out, err)
    assert str(folders[0].relative_to(tmp_path)) in err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.costly
@pytest.mark.parametrize("name", VERBS)
def test_sound_records_are_read(folders: list[Path], verb: Verb, name: str) -> None:
    """The same commands on the same records, not damaged: no test above passes because the command is wrong."""
    code, out, err = verb(*VERBS[name])
    assert code == 0, (out, err)
    assert out


@pytest.mark.costly
def test_a_report_refuses_what_it_would_have_to_make_up(folders: list[Path], verb: Verb) -> None:
    """A fact taken out of run.json, and curves that are not those of the record."""
    for fact in ("seed", "data"):
        path = folders[0] / "run.json"
        whole = path.read_text()
        write_run_json(path, sealed({name: x for name, x in json.loads(whole).items() if name != fact}))
        assert is_one_sentence(*verb("report", "runs"), rf"run\.json does not state {fact}")
        path.write_text(whole)
    (folders[1] / "curves.csv").write_text("epoch,st")
    assert is_one_sentence(*verb("report", "runs"), r"curves\.csv is not what run\.json lists")
    (folders[1] / "curves.csv").unlink()
    assert is_one_sentence(*verb("report", "runs"), r"curves\.csv cannot be read \(No such file")


def test_a_record_published_without_its_pictures_is_reported(
    tmp_path: Path, make_row: MakeRow, verb: Verb
) -> None:
    """A picture that run.json lists and that is gone leaves a gap; one that is another picture is refused."""
    row = make_row()
    picture = land(tmp_path / "runs", row, {"samples.png": "as it was"}) / "samples.png"
    assert verb("report")[0] == 0
    assert "data:image/png;base64," in (tmp_path / "report.html").read_text()
    picture.write_text("another")
    assert is_one_sentence(*verb("report"), r"samples\.png is not what run\.json lists")
    picture.unlink()
    assert verb("report")[0] == 0
    assert "data:image/png;base64," not in (tmp_path / "report.html").read_text()


@pytest.fixture
def evil(tmp_path: Path, make_row: MakeRow) -> None:
    """Two stores in which the name of the model, the dataset, a unit and a reason are markup; the second is worse."""
    (tmp_path / "suite.toml").write_text(SUITE)
    for root, shift in (("runs", 0.0), ("worse", 50.0)):
        for seed in range(3):
            common = {"dataset": EVIL, "seed": seed, "unit": EVIL}
            for name, value in ((EVIL, 12.0), ("plain", 20.0)):
                cell = digest([root, name, seed])[:16]
                value += shift + seed / 10
                row = make_row(model=name, cell=cell, value=value, low=value - 1, high=value + 1, **common)
                land(tmp_path / root, row)
        Store(tmp_path / root).record_failure(
            EVIL, EVIL, "ab" * 8, {"seed": 9, "reason": f"broke {EVIL}", "when": "now"}
        )


class Tags(html.parser.HTMLParser):
    """The elements of a page, and its texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


SHOWN = EVIL.replace("\x1b", "\ufffd")


@pytest.mark.parametrize(
    "arguments", [["leaderboard"], ["compare", "runs", "worse"], ["check", "worse", "--baseline", "runs"]]
)
def test_markup_in_names_stays_text_on_a_terminal(evil: None, verb: Verb, arguments: list[str]) -> None:
    """No escape sequence gets through, and a rich style is shown rather than used."""
    _, out, err = verb(*arguments)
    assert "\x1b" not in out + err
    assert "[red]" in out.replace("\n", "")


def test_markup_in_names_stays_text_in_markdown(evil: None, verb: Verb, tmp_path: Path) -> None:
    """CommonMark: a backslash before each character that would mean something; rows keep their number of cells."""
    assert verb("leaderboard", "--format", "markdown", "--output", "board")[0] == 0
    compared = verb("compare", "runs", "worse", "--format", "markdown")
    assert compared[0] == 0
    assert verb("check", "worse", "--baseline", "runs", "--summary", "summary")[0] == 1
    for text in ((tmp_path / "board").read_text(), compared[1], (tmp_path / "summary").read_text()):
        assert r"\<script\>x\</script\>\|\_\*\[b\](c)\[red\]\$x\$\&\#\{\\" in text
        assert r"\@me" in text
        assert "<script>" not in text
        assert "\x1b" not in text
        bare = re.sub(r"\\.", "", text)
        for block in re.findall(r"(?:^\|.*\|$\n?)+", bare, flags=re.MULTILINE):
            assert len({line.count("|") for line in block.splitlines()}) == 1


def test_markup_in_names_stays_text_in_html(evil: None, verb: Verb, tmp_path: Path) -> None:
    """Parsed: the only script of the report is its own, the leaderboard has none, and names come back as text."""
    assert verb("leaderboard", "--format", "html", "--output", "board.html")[0] == 0
    assert verb("report", "--title", EVIL)[0] == 0
    for name, scripts in (("board.html", 0), ("report.html", 1)):
        page = Tags((tmp_path / name).read_text(encoding="utf-8"))
        assert page.tags.count("script") == scripts
        assert any(SHOWN in text for text in page.texts)


def test_markup_in_names_stays_text_in_latex_and_junit(evil: None, verb: Verb, tmp_path: Path) -> None:
    """LaTeX by the macros that print each sign; XML by a parser that gives the name back."""
    _, out, _ = verb("leaderboard", "--format", "latex")
    assert (
        r"\textless{}/script\textgreater{}\textbar{}\_*[b](c)[red]\$x\$\&\#\{\textbackslash{}"
        in out.replace(r"\allowbreak{}", "")
    )
    assert verb("check", "worse", "--baseline", "runs", "--junit", "junit")[0] == 1
    names = {case.get("classname") for case in ElementTree.parse(tmp_path / "junit").iter("testcase")}
    assert f"{SHOWN}.{SHOWN}" in names


def test_names_in_a_suite_and_in_errors_stay_text(verb: Verb, tmp_path: Path) -> None:
    """A model of that name is unknown, and the sentence which says so moves no cursor."""
    (tmp_path / "suite.toml").write_text(SUITE.replace('"noise"', json.dumps(EVIL)))
    code, out, err = verb(*VERBS["suite"])
    assert (code, out) == (2, "")
    assert "\x1b" not in err
    assert "[red]" in err
