"""A study's numbers as rows: where they stand, what reads them, and what is never written over."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from studies import hex_of, make_study
from studies_answered import answer, careful
from study_simulated import STRENGTHS

import benchbench
from benchbench.core.errors import InputError
from benchbench.results.claims.people import WithPeople, with_people, without_correlation
from benchbench.results.claims.verdicts import compare
from benchbench.results.load import load_results
from benchbench.results.people import Agreement, FromOther
from benchbench.results.provenance import read_manifest
from benchbench.results.record import Row
from benchbench.results.verify import verify_records
from benchbench.study.folder import Study
from benchbench.study.kinds import KINDS
from benchbench.study.manifest import Item
from benchbench.study.scoring import score as score_answers
from benchbench.study.strengths import Compared, strengths
from benchbench.verbs.study.score import score, scored
from benchbench.views.board import boards
from benchbench.views.choice import Choice
from benchbench.views.citations import bibtex
from benchbench.views.leaderboard import leaderboard
from benchbench.views.people import apart, metrics, terminal
from benchbench.views.report import render_report

pytestmark = pytest.mark.costly

MakeRow = Callable[..., Row]
FACTS: dict[str, Any] = {
    "variant": "",
    "settings": {"lr": "0.001"},
    "control": False,
    "seed": 0,
    "n_samples": 1000,
    "data": {
        "fingerprint": "f" * 64,
        "size": "8×8",
        "train": {"n": 898},
        "held_out": {"n": 899},
        "notes": [],
    },
    "extractors": {"efficientnet_lite0": {"weights_sha256": "a" * 64, "resize": "bicubic"}},
    "machine": {"device_name": "a processor", "cores": 2, "device": "cpu"},
    "provenance": {"benchbench": "0.1.0", "code_revision": "abc", "python": "3.11", "packages": {}},
    "recipe": {"model": "vae", "training": {"lr": 0.001}},
    "training_key": "ab" * 8,
    "status": "finished",
}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory, make_row: MakeRow, land: Callable[..., Path]) -> Path:
    """Six models whose Fréchet distance ranks them as raters do, and whose recall ranks them the other way round."""
    root = tmp_path_factory.mktemp("records") / "runs"
    for i in range(6):
        own = make_row(
            cell=hex_of(f"cell {i}"), model=f"model{i}", value=10.0 + i, low=9.0 + i, high=11.0 + i
        )
        recall = replace(
            own, metric="recall_efficientnet_lite0", higher_is_better=True, value=0.1 * i, low=0.0, high=0.6
        )
        rate = replace(
            own,
            metric="sampling_rate",
            aspect="throughput",
            extractor=None,
            higher_is_better=True,
            low=None,
            high=None,
            interval=None,
        )
        land(root, [replace(own, headline=True), recall, rate], FACTS)
    return root


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Of those six, answered by eight raters."""
    found = make_study(tmp_path_factory.mktemp("study") / "study", systems=6, n=60, checks=10)
    rng = np.random.default_rng(0)
    for who in range(8):
        answer(found, who, careful, rng)
    return found


@pytest.fixture(scope="module")
def joined(records: Path, study: Study) -> pd.DataFrame:
    """The table of the records with the rows of the study among them."""
    score(study.folder, results=records)
    return load_results(records)


def test_they_join_the_rows_of_their_records(joined: pd.DataFrame, study: Study) -> None:
    """One label a model, whatever its records, and one board of all metrics: a human column among the others."""
    assert set(joined["model"]) == {f"model{i}" for i in range(6)}
    assert set(joined["variant"]) == {""}
    (board,) = boards(joined, Choice.of(columns="fd,human_strength"))
    name = f"human_strength_study_{study.manifest.id[:8]}"
    assert [measure.metric for measure in board.measures] == ["fd_efficientnet_lite0", name]
    assert all(entry is not None and entry.interval for _, entries in board.rows for entry in entries)
    assert board.measures[1].heading == "human_strength ↑ [2]"
    (said,) = [note for note in board.notes if note.startswith("people, ")]
    assert said.startswith(
        f"people, study_{study.manifest.id[:8]}: “Which of the two looks better?” (pairwise, ties allowed), 8 raters, "
        "480 answers about 60 items; agreement of raters (Krippendorff's α) 0."
    )
    assert {entry.rank for _, entries in board.rows if (entry := entries[1]) is not None} == {0}
    assert {entry.rank for _, entries in board.rows if (entry := entries[0]) is not None} == {0, 1, 2}


def test_rows_have_the_intervals_of_the_strengths(joined: pd.DataFrame, study: Study) -> None:
    """Value and both ends, as the fit of the same answers gives them, bit by bit."""
    rows = joined[joined["metric"].str.startswith("human_strength")].set_index("model")
    found = score_answers(study).strengths
    assert found is not None
    for i, own in enumerate(found.systems):
        assert rows.loc[f"model{i}", ["value", "low", "high"]].tolist() == [own.value, own.low, own.high]


def test_a_board_of_its_own(joined: pd.DataFrame) -> None:
    """Without a choice people have a board beside those of quality and speed, in the order of `ASPECTS`."""
    assert [board.aspect for board in boards(joined)] == ["quality", "human", "throughput"]


def test_every_table_takes_them(joined: pd.DataFrame) -> None:
    for format in ("markdown", "latex", "html", "csv"):
        assert "human" in leaderboard(joined, format=format, choice=Choice.of(metrics="human_*"))


def test_two_systems_are_not_compared_by_their_intervals(joined: pd.DataFrame) -> None:
    """The same raters judged both, so that `compare` says what people said of either, and no difference that two
    intervals would make of it: the study has that."""
    two = [joined[joined["model"] == name] for name in ("model0", "model5")]
    lines = {
        line.metric: line for pair in compare(*two).pairs for line in pair.lines if line.a.aspect == "human"
    }
    assert len(lines) == 2
    for line in lines.values():
        assert (line.verdict, line.difference, line.p) == ("not tested", None, None)
        assert line.note == "its study says how far apart"


def test_the_model_card_tells_it(records: Path, joined: pd.DataFrame, tmp_path: Path) -> None:
    """One card a model: what people said of its images is no second seed, the card is that of the images' own record,
    which has pictures and weights, and says what people were asked."""
    out = benchbench.export(records, to="hf", out=tmp_path / "cards", over_seeds=True)
    assert sorted(own.name for own in out.iterdir()) == [
        f"digits-model{i}-{hex_of(f'cell {i}')}" for i in range(6)
    ]
    for own in out.iterdir():
        text = (own / "README.md").read_text()
        assert ", seed 0. 1,000 images" in text
        assert "mean over seeds" not in text
        assert "human_strength_study_" in text
        assert "people were asked “Which of the two looks better?” (pairwise, ties allowed), 8 raters" in text


def test_the_records_are_whole(records: Path, joined: pd.DataFrame) -> None:
    """Every file has its sha256, every number lies within its interval, and the images' own records are as they
    were."""
    found = verify_records([records])
    assert found.faults == []
    assert len(found.records) == 12


def test_what_a_record_says(records: Path, joined: pd.DataFrame, study: Study) -> None:
    """The study, the record of the images and how these were made; no key of a training, by which the work of one
    that goes on would be cleared away."""
    (cell,) = set(joined.loc[(joined["model"] == "model2") & (joined["aspect"] == "human"), "cell"])
    run = read_manifest(records / "digits" / "model2" / cell / "run.json")
    assert run.people is not None
    assert (run.people.study, run.people.cell) == (study.manifest.id, hex_of("cell 2"))
    assert (run.people.raters, run.people.answers, run.people.items) == (8, 480, 60)
    assert len(run.people.apart) == 5
    assert run.settings == FACTS["settings"]
    assert run.training_key is None
    assert run.people.agreement.alpha is not None


def test_once_more_is_the_same_records(records: Path, joined: pd.DataFrame, study: Study) -> None:
    found = scored(study.folder, records, None, True)
    assert found.recorded is not None
    assert found.recorded.fresh == 0
    assert len(found.recorded.paths) == 6


def test_other_answers_are_never_written_over(
    tmp_path: Path, records: Path, joined: pd.DataFrame, study: Study
) -> None:
    """One more rater: numbers are said, rows are refused beside the earlier ones and written elsewhere. Where both
    are read together they stand apart, for they are not of the same answers."""
    new = answer(study, 8, careful, np.random.default_rng(9))
    try:
        with pytest.raises(InputError, match="from other answers; a study is recorded when it is over"):
            score(study.folder, results=records)
        assert len(score(study.folder, results=records, rows=False)) == 12
        score(study.folder, results=records, out=tmp_path / "later")
        both = pd.concat([joined, load_results(tmp_path / "later")], ignore_index=True)
        human = [board for board in boards(both) if board.aspect == "human"]
        assert len(human) == 2
        assert all("the weights of the extractor" in board.title for board in human)
    finally:
        (study.folder / "answers" / f"{new}.jsonl").unlink()


def test_agreement_with_metrics(records: Path, joined: pd.DataFrame, study: Study) -> None:
    """The distance ranks the six as the strengths that raters answered by, so that τ-b is 1 where their estimates
    keep that order; recall ranks them the other way round, which is its opposite exactly. Speed is no judgement of
    images."""
    found = {own.metric: own for own in scored(study.folder, records, None, False).agreed}
    assert found.keys() == {"fd_efficientnet_lite0", "recall_efficientnet_lite0"}
    fd, recall = found["fd_efficientnet_lite0"], found["recall_efficientnet_lite0"]
    assert fd.n == 6
    assert fd.tau is not None
    assert fd.tau >= 0.6  # at most three of fifteen pairs in another order
    assert recall.tau == pytest.approx(-fd.tau)


def test_agreement_by_hand(joined: pd.DataFrame) -> None:
    """Kendall's τ-b of 1, 2, 3, 4 with 1, 2, 4, 3: five of six pairs agree, (5 − 1)/6. A number made otherwise is not
    ranked with them, and three systems are too few."""
    cells = [hex_of(f"cell {i}") for i in range(4)]
    people = dict(zip(cells, [4.0, 3.0, 1.0, 2.0], strict=True))
    (first, *_) = with_people(joined, people)
    assert (first.metric, first.n) == ("fd_efficientnet_lite0", 4)
    assert first.tau == pytest.approx(4 / 6)
    (fewer, *_) = with_people(joined, dict([*people.items()][:3]))
    assert (fewer.n, fewer.tau) == (3, None)
    odd = joined.assign(n_images=joined["n_images"].where(joined["cell"] != cells[0], 10))
    assert {own.n for own in with_people(odd, people)} == {3}
    assert with_people(joined, {}) == []


def test_the_report_tells_it(records: Path, joined: pd.DataFrame) -> None:
    page = render_report(records)
    assert "What people said (pairwise)" in page
    assert "480 answers about 60 items" in page
    assert "system 0 over system 5" in page
    assert "Automatic metrics against people" in page


def test_what_has_no_record(tmp_path: Path, study: Study) -> None:
    """A folder without these records: numbers, and of each system why it has no rows. No folder: refused, unless
    nobody wants rows."""
    (tmp_path / "empty").mkdir()
    found = scored(study.folder, tmp_path / "empty", None, True)
    assert found.recorded is not None
    assert found.recorded.paths == []
    assert [*found.recorded.without] == [f"system {i}" for i in range(6)]
    with pytest.raises(InputError, match="write no rows with --no-rows"):
        score(study.folder, results=tmp_path / "none")
    assert len(score(study.folder, results=tmp_path / "none", rows=False)) == 12


def test_without_answers_nothing_is_written(tmp_path: Path, records: Path) -> None:
    empty = make_study(tmp_path / "study", systems=6, n=30, checks=4)
    frame = score(empty.folder, results=records, out=tmp_path / "out")
    assert frame.attrs["notes"] == [
        "nobody has answered yet",
        "no rows are written, for there is no answer that counts",
    ]
    assert not (tmp_path / "out").exists()


def test_a_system_without_a_strength_has_a_failed_row(tmp_path: Path, records: Path) -> None:
    """Its reason stands in the row, and no number."""
    own = make_study(tmp_path / "study", systems=6, n=60, checks=4)
    rng = np.random.default_rng(1)
    for who in range(8):
        answer(
            own,
            who,
            lambda item, rng: (
                str(item.systems.index(0)) if 0 in item.systems and item.check is None else careful(item, rng)
            ),
            rng,
        )
    score(own.folder, results=records, out=tmp_path / "out")
    rows = load_results(tmp_path / "out")
    first = rows[(rows["model"] == "model0") & rows["metric"].str.startswith("human_strength")].iloc[0]
    assert first["status"] == "failed"
    assert first["reason"].startswith("it won all its ")
    assert len(rows[rows["status"] == "ok"]) == 11


def test_json_has_everything(records: Path, joined: pd.DataFrame, study: Study) -> None:
    said = json.loads(scored(study.folder, records, None, False).as_json())
    assert len(said["raters"]) == 8
    assert len(said["systems"][0]["apart"]) == 5
    assert said["records"] == []
    strengths = [own["value"] for own in said["numbers"] if own["metric"] == "human_strength"]
    assert np.argsort(strengths)[-1] == np.argmax(STRENGTHS)


def test_two_studies_two_columns(tmp_path: Path, records: Path, joined: pd.DataFrame) -> None:
    """Another question to the same records has columns of its own, and a note of its own, on the same board."""
    other = make_study(tmp_path / "study", kind="real-or-fake", systems=6, n=48, checks=4)
    rng = np.random.default_rng(5)
    for who in range(6):
        answer(other, who, lambda item, rng: item.check or str(rng.choice(["real", "fake"])), rng)
    score(other.folder, results=records, out=tmp_path / "out")
    both = pd.concat([joined, load_results(tmp_path / "out")], ignore_index=True)
    (board,) = [board for board in boards(both) if board.aspect == "human"]
    assert [measure.short for measure in board.measures] == [
        "human_error_rate", "human_hype_infinity", "human_strength",
    ]  # fmt: skip
    assert sum(note.startswith("people, ") for note in board.notes) == 2
    assert all(name.startswith("model") and len([*filter(None, own)]) == 3 for name, own in board.rows)


def test_an_older_record_says_less(tmp_path: Path, make_row: MakeRow, land: Callable[..., Path]) -> None:
    """Of a run.json that states next to nothing the rows still join its label."""
    for i in range(2):
        land(tmp_path / "runs", [make_row(cell=hex_of(f"cell {i}"), model=f"model{i}")], {})
    own = make_study(tmp_path / "study", systems=2, n=10, checks=4)
    rng = np.random.default_rng(6)
    for who in range(4):
        answer(own, who, careful, rng)
    score(own.folder, results=tmp_path / "runs")
    rows = load_results(tmp_path / "runs")
    assert set(rows["variant"]) == {""}
    assert (rows["aspect"] == "human").sum() == 4


def test_hostile_names_are_text(tmp_path: Path, make_row: MakeRow, land: Callable[..., Path]) -> None:
    """Whatever a system is called, nothing of it becomes markup of the page or moves a terminal's cursor."""
    names = ["<script>alert(1)</script>", "a\x1b[2J{{ 7 * 7 }}", "[bold]x[/bold]"]
    for i in range(3):
        land(tmp_path / "runs", [make_row(cell=hex_of(f"cell {i}"), model=f"model{i}")], FACTS)
    own = make_study(tmp_path / "study", systems=3, n=30, checks=4, names=names)
    rng = np.random.default_rng(7)
    for who in range(4):
        answer(own, who, careful, rng)
    found = scored(own.folder, tmp_path / "runs", None, True)
    page = render_report(tmp_path / "runs")
    assert "<script>alert" not in page
    console = Console(width=100, record=True, markup=False, file=io.StringIO())
    console.print(terminal(found.numbers, found.people, found.agreed))
    text = console.export_text()
    assert "\x1b" not in text
    assert "[bold]x[/bold]" in text


def test_a_damaged_record_is_named(tmp_path: Path, make_row: MakeRow, land: Callable[..., Path]) -> None:
    """Its table was edited: one sentence, and no rows."""
    for i in range(2):
        folder = land(tmp_path / "runs", [make_row(cell=hex_of(f"cell {i}"), model=f"model{i}")], FACTS)
    (folder / "metrics.csv").write_bytes((folder / "metrics.csv").read_bytes().replace(b"12.5", b"1.5"))
    own = make_study(tmp_path / "study", systems=2, n=10, checks=4)
    answer(own, 0, careful, np.random.default_rng(0))
    with pytest.raises(InputError, match=r"metrics\.csv"):
        score(own.folder, results=tmp_path / "runs", out=tmp_path / "out")
    assert not (tmp_path / "out" / "digits").exists()


def test_one_sentence_in_the_place_of_equal_lines(
    tmp_path: Path, make_row: MakeRow, land: Callable[..., Path]
) -> None:
    """Two systems and two metrics: why there is no correlation is said once, and no metric has a line of its own. The
    report has systems with intervals in a table and a figure of every study, and no name is broken."""
    for i in range(2):
        own = make_row(cell=hex_of(f"cell {i}"), model=f"model{i}")
        land(tmp_path / "runs", [own, replace(own, metric="kd_efficientnet_lite0")], FACTS)
    for kind in ("pairwise", "real-or-fake", "triplet"):
        own_study = make_study(tmp_path / kind, kind=kind, systems=2, n=24, checks=4)
        rng = np.random.default_rng(7)

        def choose(item: Item, rng: np.random.Generator) -> str:
            choices = KINDS[own_study.manifest.kind].choices  # noqa: B023
            return item.check or str(rng.choice(choices))

        for who in range(5):
            answer(own_study, who, choose, rng)
        found = scored(own_study.folder, tmp_path / "runs", None, True)
        console = Console(width=200, record=True, markup=False, file=io.StringIO())
        console.print(terminal(found.numbers, found.people, found.agreed))
        text = console.export_text()
        assert (
            text.count("2 systems besides controls, fewer than 4: no correlation of metrics with people") == 1
        )
        assert "kd_efficientnet_lite0" not in text
    page = render_report(tmp_path / "runs")
    assert page.count("Systems, best first, with intervals of 95%</caption>") == 3
    for metric in ("human_strength", "human_hype_infinity", "human_miss_rate"):
        assert f"<figcaption>{metric} of 2 systems, with intervals of 95%: right is better." in page
    assert page.count("fewer than 4: no correlation of metrics with people.") == 3


def test_metrics_with_other_reasons_are_counted() -> None:
    """By hand: one metric with a correlation, two of one system, one that holds all alike."""
    known = WithPeople("fd", "generation", "", 5, 0.5, 0.1, 0.9)
    silent = [replace(known, metric=f"m{i}", n=n, tau=None) for i, n in enumerate((1, 1, 6))]
    assert without_correlation([known, *silent]) == [
        "1 system besides controls, fewer than 4: no correlation of 2 metrics with people",
        "people or the metric hold all systems alike: no correlation of 1 metric with people",
    ]
    assert without_correlation([known]) == []
    assert [row[0] for row in metrics([known, *silent])] == ["metric", "fd"]


def test_what_would_have_been_found_is_a_share_too(study: Study) -> None:
    """A difference of log odds d that would have been found is the share 1/(1 + exp(−d)) of being preferred, in the
    words of the plan. Plural forms follow the numbers, and no zero has a sign."""
    people = scored(study.folder, Path("none"), None, False).people[0]
    other = FromOther(other="b", value=-0.0, low=-1.0, high=1.0, p=1.0, detectable=float(np.log(9)))
    one = people.model_copy(
        update={
            "raters": 1, "answers": 1, "items": 1, "apart": [other], "name": "a",
            "agreement": Agreement(alpha=-0.0001, low=None, high=None, items=1),
        }
    )  # fmt: skip
    assert apart([one])[1] == ["a over b", "0 [-1.000, 1.000]", "50%", "1.000", "no (from 2.197, 90%, on)"]
    assert one.noted.endswith(
        "1 rater, 1 answer about 1 item; agreement of raters (Krippendorff's α) 0.00; only 1 item with two answers, "
        "which says little"
    )


def test_equal_strengths_are_zero(tmp_path: Path) -> None:
    """Every pair is decided as often one way as the other: strengths and differences are 0, and not what is left of
    the search for them."""
    first, second = np.array([0, 0, 1, 1, 2, 2] * 20), np.array([1, 1, 2, 2, 0, 0] * 20)
    outcome = np.array([1, -1] * 60)
    who, what = np.divmod(np.arange(120), 12)
    found = strengths(Compared.of(first, second, outcome, who, what, 3))
    assert [repr(own.value) for own in found.systems] == ["0.0"] * 3
    assert [repr(own.difference.value) for own in found.pairs] == ["0.0"] * 3


@pytest.mark.parametrize(
    ("metric", "cited"),
    [
        (
            "human_strength",
            {"bradley1952rank", "davidson1970ties", "krippendorff2004content", "cameron2011multiway"},
        ),
        ("human_hype_infinity", {"zhou2019hype", "krippendorff2004content", "cameron2011multiway"}),
        ("human_miss_rate", {"macmillan2005detection", "krippendorff2004content", "cameron2011multiway"}),
        ("human_alpha", {"krippendorff2004content"}),
    ],
)
def test_what_is_cited(joined: pd.DataFrame, metric: str, cited: set[str]) -> None:
    """The papers of a number that stands on a board, and none of another kind's; of every kind the agreement, which the
    note below the board states."""
    human = joined[joined["metric"].str.startswith("human_strength")]
    name = f"{metric}_{human.iloc[0]['extractor']}"
    found = bibtex(human.assign(metric=name))
    ours = {"bradley1952rank", "davidson1970ties", "zhou2019hype", "macmillan2005detection"}
    ours |= {"krippendorff2004content", "cameron2011multiway"}
    assert {key for key in ours if f"{{{key}," in found} == cited


def test_a_caption_says_who_was_asked(joined: pd.DataFrame) -> None:
    """A paper's table names the question, the kind, raters and answers, in the caption and not in a comment alone."""
    tex = leaderboard(joined, format="latex", choice=Choice.of(metrics="human_strength"))
    (caption,) = [line for line in tex.splitlines() if line.startswith(r"\caption")]
    assert (
        "“Which of the two looks better?” (pairwise, ties allowed), 8 raters, 480 answers about 60 items"
        in caption
    )
    assert r"Krippendorff's $\alpha$" in caption
