"""Answers as a table for other programs: places, names and check items."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from studies import answer_next, make_study, rater

import benchbench
from benchbench.cli import cli
from benchbench.study.answers_table import COLUMNS
from benchbench.study.order import presented


@pytest.mark.parametrize("kind", ["pairwise", "real-or-fake", "closer-to-source", "triplet"])
def test_a_line_an_answer(tmp_path: Path, kind: str) -> None:
    """Two raters who press the first place (or "real"): the choice is whose image stood there, by the manifest and by
    what the page showed, and a check item is right where its known answer was given."""
    study = make_study(tmp_path / "study", kind=kind, systems=2, n=6, checks=4)
    word = kind == "real-or-fake"
    for who in range(2):
        while answer_next(study, rater(who), "real" if word else 0) is not None:
            pass
    found = benchbench.study.export_answers(study.folder)
    assert {name: str(dtype) for name, dtype in found.dtypes.items()} == COLUMNS
    assert len(found) == 2 * 10
    assert found["kind"].unique().tolist() == [kind]
    names = {0: "system 0", 1: "system 1", -1: "(real)", -2: "(destroyed)"}
    for who in range(2):
        own = found[found["rater"] == rater(who)].to_dict("records")
        for line, shown in zip(own, presented(study, rater(who)), strict=True):
            by_place = [names[shown.item.systems[image]] for image in shown.order]
            assert [line[f"shown_{k}"] for k in range(1, len(by_place) + 1)] == by_place
            assert all(pd.isna(line[f"shown_{k}"]) for k in range(len(by_place) + 1, 4))
            assert line["choice"] == ("real" if word else by_place[0])
            assert pd.isna(line["place"]) if word else line["place"] == 1
            assert line["check"] == (shown.item.check is not None)
            if line["check"]:
                assert line["right"] == (shown.choice("real" if word else 0) == shown.item.check)
            else:
                assert pd.isna(line["right"])


def test_ties_have_no_place(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", systems=2, n=2, checks=1)
    answer_next(study, rater(0), "tie")
    (line,) = benchbench.study.export_answers(study.folder).to_dict("records")
    assert line["choice"] == "tie"
    assert pd.isna(line["place"])


def test_both_formats_say_the_same(tmp_path: Path) -> None:
    """And a study that nobody answered has a heading and nothing below it."""
    study = make_study(tmp_path / "study", systems=2, n=4, checks=1, names=['a,"b"', "=1+1"])
    command = ["study", "export-answers", str(study.folder)]
    empty = CliRunner().invoke(cli, command).stdout
    assert empty == ",".join(COLUMNS) + "\n"
    while answer_next(study, rater(0), 1) is not None:
        pass
    csv = pd.read_csv(io.StringIO(CliRunner().invoke(cli, command).stdout))
    lines = json.loads(CliRunner().invoke(cli, [*command, "--format", "json"]).stdout)["answers"]
    assert list(csv.columns) == list(COLUMNS)
    assert csv["choice"].tolist() == [line["choice"] for line in lines]
    assert {*csv["choice"]} <= {'a,"b"', "=1+1", "(real)", "(destroyed)"}
    assert all(line["ms"] == 1000 for line in lines)
