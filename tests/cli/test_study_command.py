"""`benchbench study`: made, looked at and added to on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from studies import answer_next, make_study, noise, rater, write_folder

from benchbench.cli import cli
from benchbench.core.errors import InputError
from benchbench.study.folder import load


def run(*words: str) -> Result:
    """The command."""
    return CliRunner().invoke(cli, ["study", *words])


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for i, name in enumerate(("ours", "theirs", "real")):
        write_folder(tmp_path / name, noise(i, 6))


def test_create_says_where_and_what_to_do_next() -> None:
    """The folder on standard output, all else beside it; options reach the study."""
    words = ["a=ours", "b=theirs", "--reference", "folder:real", "--out", "s", "--n", "5", "--no-ties"]
    result = run("create", *words, "--checks", "50%", "--question", "Which?", "--seed", "7")
    assert result.exit_code == 0, result.exception
    assert result.stdout == "study: s\n"
    assert "pairwise of 2 systems: 5 items, 5 a pair of systems, and 4 check items" in result.stderr
    assert "about 1 minute a rater, at 5 seconds an answer" in result.stderr
    assert "fill in s/consent.txt" in result.stderr
    assert "  benchbench study serve s\n" in result.stderr
    study = load("s").manifest
    assert (study.ties, study.question, study.seed, len(study.items)) == (False, "Which?", 7, 5 + 4)
    assert [own.name for own in study.systems] == ["a", "b"]


def test_create_says_what_a_reader_should_know() -> None:
    """A note of the manifest is one on the screen."""
    result = run("create", "a=ours", "b=theirs", "--reference", "folder:real", "--out", "s", "--n", "30")
    assert result.exit_code == 0, result.exception
    assert "a has 6 images, and some are shown in 5 items" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--n", "0"], "--n 0 must be"),
        (["--n", "100000"], "--n 100000 must be"),
        (["--n", "37"], "suffice for 36 different items, not for 37; use --n 36"),
        (["--out", "ours"], "there already"),
        (["--reference", "folder:nowhere"], "nowhere is not there"),
        (["--kind", "closer-to-source", "--reference", "digits"], "belong to one image of the reference"),
    ],
)
def test_create_refuses_in_a_sentence(words: list[str], said: str) -> None:
    """And leaves nothing."""
    result = run("create", "a=ours", "b=theirs", "--reference", "folder:real", "--out", "s", *words)
    assert isinstance(result.exception, InputError)
    assert said in str(result.exception)
    assert not Path("s").exists()


def test_status_has_a_line_a_rater() -> None:
    """And a sentence; as CSV nothing else."""
    study = make_study(Path("s"), n=4)
    assert run("status", "s").stdout == "pairwise of 3 systems, 8 items: nobody has answered yet\n"
    answer_next(study, rater(1))
    page = run("status", "s").stdout
    assert rater(1) in page
    assert "1 of 8" in page
    assert "1 answers of 1 rater, 0 of whom answered everything" in page
    table = run("status", "s", "--format", "csv").stdout.splitlines()
    assert table[0] == "rater,answered,items,checks_right,checks,median_seconds,last,consent"
    assert table[1].startswith(f"{rater(1)},1,8,")
    assert len(table) == 2


def test_import_adds_each_file() -> None:
    """Twice adds nothing; what does not fit is refused with the exit code of bad input, those before it stay."""
    study = make_study(Path("s"), n=4)
    item = study.manifest.items[0].id
    answer = {"item": item, "place": "tie", "shown": [1, 0], "ms": 1, "at": "2026-11-29T12:00:00Z"}
    for number in (1, 2):
        given = {"format": "benchbench-study-answers", "version": 1, "study": study.manifest.id}
        said = {**given, "token": f"{number:032x}", "answers": [answer]}
        Path(f"{number}.json").write_text(json.dumps(said))
    assert "1.json: 1 answers of the rater" in run("import", "s", "1.json").stdout
    again = run("import", "s", "1.json", "2.json").stdout.splitlines()
    assert again[0].endswith("0 answers of the rater " + again[0].split()[6] + " added, 1 were there before")
    assert " 1 answers" in again[1]
    Path("3.json").write_text("{}")
    refused = run("import", "s", "3.json")
    assert isinstance(refused.exception, InputError)
    assert len(list((study.folder / "answers").iterdir())) == 2
