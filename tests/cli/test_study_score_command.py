"""`benchbench study score` and `study plan`: what is printed, what is written, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from studies import answer_next, hex_of, make_study, rater

import benchbench
from benchbench.cli import cli
from benchbench.core.errors import InputError
from benchbench.results.load import load_results
from benchbench.results.record import Row
from benchbench.study.folder import Study


def said(*words: str) -> Result:
    return CliRunner().invoke(cli, ["study", *words], catch_exceptions=True)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are looked for in `runs` of the working folder, and what lies there is somebody's own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Two systems, 10 items, answered by three raters, each by the left image but for check items."""
    own = make_study(tmp_path / "study", systems=2, n=10, checks=4)
    for who in range(3):
        while answer_next(own, rater(who), 0) is not None:
            pass
    return own


def test_numbers_without_rows(study: Study, tmp_path: Path) -> None:
    """Nothing but the study has to be there, and nothing is written."""
    found = said("score", str(study.folder), "--no-rows", "--results", str(tmp_path / "none"))
    assert found.exit_code == 0, found.exception
    assert "Which of the two looks better?" in found.stdout
    assert "left out: rater" in found.stdout or "human_strength" in found.stdout
    assert sorted(own.name for own in tmp_path.iterdir()) == ["study"]
    told = json.loads(said("score", str(study.folder), "--no-rows", "--format", "json").stdout)
    assert [own["metric"] for own in told["numbers"]] == ["human_strength", "human_alpha"] * 2
    assert len(told["raters"]) == 3
    header = said("score", str(study.folder), "--no-rows", "--format", "csv").stdout.splitlines()[0]
    assert header == "system,metric,value,low,high,interval,reason"


def test_rows_beside_the_records(
    study: Study, tmp_path: Path, make_row: Callable[..., Row], land: Callable[..., Path]
) -> None:
    for i in range(2):
        land(tmp_path / "runs", [make_row(cell=hex_of(f"cell {i}"), model=f"model{i}")])
    found = said("score", str(study.folder), "--results", str(tmp_path / "runs"))
    assert found.exit_code == 0, found.exception
    counted = "no rows are written" not in found.stderr
    assert found.stderr.count("rows: ") == (2 if counted else 0)
    assert (load_results(tmp_path / "runs")["aspect"] == "human").sum() == (4 if counted else 0)


def test_what_is_refused(study: Study, tmp_path: Path) -> None:
    """One sentence and no traceback: no study, no records, a share that chance gives, one rater."""
    for words, sentence in (
        (["score", str(tmp_path / "none")], "is not there"),
        (["score", str(study.folder), "--results", str(tmp_path / "none")], "write no rows with --no-rows"),
        (["plan", "--share", "0.5"], "is what chance gives"),
        (["plan", "--share", "nan"], "does not lie between 0 and 1"),
        (["plan", "--share", "0.6", "--raters", "1"], "two raters at least"),
        (["plan", "--share", "0.6", "--kind", "triplet", "--ties", "0.1"], "has no ties"),
    ):
        found = said(*words)
        assert isinstance(found.exception, InputError), (words, found.output)
        assert sentence in str(found.exception)


def test_a_plan() -> None:
    """As `benchbench.study.plan` returns it; what no number of items reaches is a dash."""
    found = said("plan", "--share", "0.6", "--raters", "5", "--raters", "30")
    assert found.exit_code == 0, found.exception
    frame = benchbench.study.plan(0.6, raters=[5, 30])
    assert frame["items"].isna().tolist() == [True, False]
    assert f"{frame['items'][1]}" in found.stdout
    words = " ".join(found.stdout.split())
    assert "so few raters differ too much among themselves" in words
    assert (
        f"study create SYSTEM SYSTEM --kind pairwise --n {frame['all_items'][1]} --out FOLDER (for 30 rat"
        in words
    )
    csv = said("plan", "--share", "0.6", "--raters", "30", "--format", "csv").stdout
    assert csv.splitlines()[0] == "raters,items,all_items,images,answers,minutes,effect,finds"
    with pytest.raises(InputError, match="at least one number of raters"):
        benchbench.study.plan(0.6, raters=[])
