"""Boards from stores: who stands beside whom, who wins, and what a reader is told.

Stores are written as a run writes them, and read as every view does. Values are chosen so that a mean over rows which
do not belong together would be a text that stands nowhere else.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from benchbench.core.hashing import digest
from benchbench.results.load import load_results
from benchbench.results.manifest import RunFacts
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import to_frame, write_rows
from benchbench.views.apart import apart
from benchbench.views.board import Board, Entry, boards
from benchbench.views.choice import Choice
from benchbench.views.leaderboard import leaderboard
from benchbench.views.table import frame_table

MakeRow = Callable[..., Row]
Land = Callable[..., None]
TEXTS = ("terminal", "markdown", "latex", "html")
NOTHING = {"low": None, "high": None, "interval": None}
RATE = "sampling_rate"
METRICS: dict[str, dict[str, Any]] = {
    "fd_efficientnet_lite0": {"headline": True, "scale": "log", "minimum": 0.0},
    "recall_efficientnet_lite0": {
        "aspect": "diversity",
        "higher_is_better": True,
        "scale": "arcsine",
        "minimum": 0.0,
        "maximum": 1.0,
    },
    RATE: {
        "aspect": "throughput",
        "unit": "images/s",
        "higher_is_better": True,
        "scale": "log",
        "extractor": None,
        "resize": None,
        "n_images": 64,
        "n_reference": None,
    },
    "parameters": {"aspect": "cost", "extractor": None},
    "peak_memory_rss": {"aspect": "cost", "extractor": None, "unit": "MiB"},
    "machine_busy": {"aspect": "cost", "extractor": None, "higher_is_better": None},
}
FD, RECALL = list(METRICS)[:2]
MACHINE = {
    "device": "cpu",
    "device_name": "EPYC",
    "processor": "EPYC",
    "cores": 2,
    "threads": 2,
    "load_1min": 0.5,
    "memory_gib": 24.0,
}


@pytest.fixture
def land(tmp_path: Path, make_row: MakeRow) -> Land:
    """Write a cell below `tmp_path`: the values of its metrics, and what its run.json says beside the usual."""

    def write(model: str, seed: int, values: Mapping[str, Any], where: str = "", **facts: Any) -> None:
        key = digest([model, seed, where, str(facts)])[:16]
        changes = {name: facts.pop(name) for name in ("n_images", "variant") if name in facts}
        run: dict[str, Any] = {
            "seed": seed,
            "data": {"fingerprint": "1" * 64, "size": "32×32"},
            "extractors": {"efficientnet_lite0": {"weights_sha256": "a" * 64}},
            "machine": MACHINE,
            "settings": {},
            "control": model == "real",
            "collapse": None,
        }
        for name, own in facts.items():
            run[name] = run[name] | own if isinstance(run.get(name), dict) else own
        rows = [
            make_row(
                model=model,
                seed=seed,
                cell=key,
                metric=metric,
                **METRICS.get(metric, {}),
                **changes,
                **stated,
            )
            for metric, value in values.items()
            for stated in [_stated(value)]
        ]
        with Store(tmp_path / where).write("digits", model, key, RunFacts(**run)) as folder:
            write_rows(folder / "metrics.csv", rows)

    return write


def _stated(value: Any) -> dict[str, Any]:
    """Of a value, or (value, low, high), or None for a run that failed."""
    if isinstance(value, tuple):
        return dict(zip(("value", "low", "high"), value, strict=True))
    return {"value": value, **NOTHING}


def found(root: Path) -> list[Board]:
    return list(boards(load_results(root)))


def text_of(frame: pd.DataFrame, format: str, width: int = 80) -> str:
    if format != "terminal":
        return leaderboard(frame, format=format)
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(frame_table(frame))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    return text


def column(board: Board, place: int = 0) -> dict[str, Entry | None]:
    return {name: entries[place] for name, entries in board.rows}


def marks(board: Board, place: int = 0) -> dict[str, int]:
    return {name: entry.rank for name, entry in column(board, place).items() if entry is not None}


OTHER_WEIGHTS = {"extractors": {"efficientnet_lite0": {"weights_sha256": "b" * 64}}}
OTHER_DATA = {"data": {"fingerprint": "2" * 64}}
OTHER_SIZE = {"data": {"size": "64×64"}}
OTHER_DECODER = {"data": {"decoder": "libjpeg-turbo"}}


@pytest.mark.costly
@pytest.mark.parametrize(
    ("other", "differs"),
    [
        (OTHER_WEIGHTS, ("the weights of the extractor aaaaaaaa", "the weights of the extractor bbbbbbbb")),
        (OTHER_DATA, ("the reference data 11111111", "the reference data 22222222")),
        (OTHER_SIZE, ("the size 32×32", "the size 64×64")),
        (OTHER_DECODER, ("decoder libjpeg-turbo", "decoder not stated")),
        ({"n_images": 500}, ("1,000 images", "500 images")),
    ],
    ids=["weights", "data", "size", "decoder", "images"],
)
def test_what_was_made_otherwise_stands_on_a_board_of_its_own(
    tmp_path: Path, land: Land, other: dict[str, Any], differs: tuple[str, str]
) -> None:
    """Two models of two seeds each under two conditions. By hand: 10 and 11 give 10.50 on one board and 710 and 711
    give 710.5 on the other; mixed they would be 360.5, or four seeds. Each board has its own best, and the worse
    model leads where the better one was measured otherwise."""
    for seed in (0, 1):
        land("vae", seed, {FD: 10.0 + seed})
        land("gan", seed, {FD: 20.0 + seed})
        land("vae", seed, {FD: 710.0 + seed}, **other)
        land("gan", seed, {FD: 30.0 + seed}, **other)
    there = found(tmp_path)
    assert {board.title for board in there} == {f"digits: generation ({field})" for field in differs}
    by_value = {column(board)["vae (2 seeds)"].text: board for board in there}  # type: ignore[union-attr]
    assert marks(by_value["10.50"]) == {"vae (2 seeds)": 1, "gan (2 seeds)": 2}
    assert marks(by_value["710.5"]) == {"gan (2 seeds)": 1, "vae (2 seeds)": 2}
    assert not any("Pareto" in note for board in there for note in board.notes)
    frame = load_results(tmp_path)
    for format in TEXTS if "extractors" in other else ("csv",):  # all of them render the boards above
        text = text_of(frame, format)
        assert "360.5" not in text
        assert "4 seeds" not in text
    (field,) = {
        name
        for name in ("extractor_weights", "data", "size", "decoder", "n_images")
        if frame[name].nunique(False) > 1
    }
    lines = list(csv.DictReader(io.StringIO(leaderboard(frame, format="csv"))))
    assert sorted((line["model"], float(line["value"])) for line in lines) == [
        ("gan", 20.5), ("gan", 30.5), ("vae", 10.5), ("vae", 710.5),
    ]  # fmt: skip
    assert len({line[field] for line in lines}) == 2


def test_a_rank_never_crosses_boards(tmp_path: Path, land: Land) -> None:
    """Six models of five seeds, three judged by each of two weights files, an order of magnitude apart: each board
    ranks its three from 1 to 3. On one board they would be places 1 to 6."""
    for place, model in enumerate("abcdef"):
        for seed in range(5):
            land(model, seed, {FD: 10.0**place * (1 + seed / 100)}, **(OTHER_WEIGHTS if place % 2 else {}))
    assert [board.ranks for board in found(tmp_path)] == [["1", "2", "3"]] * 2


@pytest.mark.costly
def test_two_machines_part_rates_and_not_quality(tmp_path: Path, land: Land) -> None:
    """Quality is the same on every machine, and so is what is counted; a rate and a peak of memory are not. 110 and 900
    images/s of one model would be 505.0. Titles name what of the machines differs, and not that both are processors of
    as many cores."""
    for seed, (rate, name) in enumerate(((110.0, "EPYC"), (900.0, "Xeon"))):
        for model, shift in (("vae", 0.0), ("gan", 5.0)):
            land(
                model, seed, {FD: 10 + shift + seed, RATE: rate + shift, "parameters": 100.0},
                machine={"device_name": name, "processor": name},
            )  # fmt: skip
    quality, *rates, cost = found(tmp_path)
    assert quality.title == "digits: generation: quality"
    assert [name for name, _ in quality.rows] == ["vae (2 seeds)", "gan (2 seeds)"]
    assert cost.title == "digits: generation: cost"
    assert [board.title for board in rates] == [
        f"digits: generation: throughput (machine device_name {name}, processor {name})"
        for name in ("EPYC", "Xeon")
    ]
    assert [column(board)["vae"].text for board in rates] == ["110.0", "900.0"]  # type: ignore[union-attr]
    assert not any("Pareto" in note for note in quality.notes)
    for format in TEXTS:
        assert "505.0" not in text_of(load_results(tmp_path), format)
    land("vae", 7, {"peak_memory_rss": 300.0}, machine={"device_name": "Xeon"})
    land("vae", 8, {"peak_memory_rss": 100.0})
    memory = [board for board in found(tmp_path) if "cost" in board.title]
    assert len(memory) == 2
    assert not any(
        "200.0" in entry.text for board in memory for _, row in board.rows for entry in row if entry
    )


@pytest.mark.costly
@pytest.mark.parametrize("seeds", [(0, 0), (0, 1)], ids=["one seed", "two seeds"])
def test_a_sweep_over_a_training_setting_is_a_row_each(
    tmp_path: Path, land: Land, seeds: tuple[int, int]
) -> None:
    """Two learning rates, under one seed or two, are two recipes: 10 and 710 are no mean of 360, and no refusal. What
    they share, the width, is not said."""
    for seed, (lr, fd) in zip(seeds, (("0.001", 10.0), ("0.002", 710.0)), strict=True):
        land("vae", seed, {FD: fd}, settings={"lr": lr, "width": "8"})
    land("gan", 0, {FD: 20.0}, settings={"lr": "0.5"})
    (board,) = found(tmp_path)
    assert {name: entry.text for name, entry in column(board).items() if entry} == {
        "vae lr=0.001": "10.00",
        "gan": "20.00",
        "vae lr=0.002": "710.0",
    }
    for format in (*TEXTS, "csv"):
        assert "360.0" not in text_of(load_results(tmp_path), format)


@pytest.mark.costly
def test_two_folders_of_one_last_name_are_a_row_each(tmp_path: Path, land: Land) -> None:
    """`evaluate a/samples` and `evaluate b/samples` leave records of one name, seed and protocol; the images tell them
    apart. Other images under another seed are a replicate, as those of `run` are."""
    for images, fd in (("aaaa1111", 10.0), ("bbbb2222", 710.0)):
        land("samples", 0, {FD: fd}, settings={"images": images, "source": "folder"})
    for seed, images in enumerate(("cccc3333", "dddd4444")):
        land("steps", seed, {FD: 20.0 + seed}, settings={"images": images, "source": "folder"})
    (board,) = found(tmp_path)
    assert {name: entry.text for name, entry in column(board).items() if entry} == {
        "samples images=aaaa1111": "10.00",
        "steps (2 seeds)": "20.50",
        "samples images=bbbb2222": "710.0",
    }
    for format in (*TEXTS, "csv"):
        assert "360.0" not in text_of(load_results(tmp_path), format)


def test_records_that_share_no_metric_still_share_their_data(
    tmp_path: Path, land: Land, make_row: MakeRow
) -> None:
    """One record has only FD on one data set, another only SWD on another of that name: no column of theirs meets, and
    a board of both would say that they are of one data set."""
    land("vae", 0, {FD: 10.0})
    land("gan", 0, {"swd": 0.5}, data={"fingerprint": "2" * 64})
    assert [(board.title, [name for name, _ in board.rows]) for board in found(tmp_path)] == [
        ("digits: generation (the reference data 11111111)", ["vae"]),
        ("digits: generation (the reference data 22222222)", ["gan"]),
    ]


CELLS = st.lists(
    st.tuples(
        st.sampled_from(("vae", "gan")),
        st.integers(0, 3),
        st.dictionaries(st.sampled_from((FD, RECALL, "ssim")), st.sampled_from((500, 1000)), min_size=1),
        st.sampled_from("12"),
    ),
    min_size=1,
    max_size=8,
)


@pytest.mark.costly
@settings(max_examples=40, deadline=None)
@given(cells=CELLS)
def test_parts_are_made_alike_and_lose_nothing(
    make_row: MakeRow, cells: Sequence[tuple[str, int, Mapping[str, int], str]]
) -> None:
    """Whatever the mix: each row is in one part, in a part each metric has one number of images and all rows have one
    data set, and a cell is never torn."""
    rows = [
        make_row(model=model, seed=seed, cell=f"{n:016x}", metric=metric, n_images=n_images)
        for n, (model, seed, asked, _) in enumerate(cells)
        for metric, n_images in asked.items()
    ]
    data = {f"{n:016x}": fingerprint for n, (*_, fingerprint) in enumerate(cells)}
    frame = to_frame(rows)
    frame = frame.assign(data=frame["cell"].map(data).astype("string"))
    parts = [part for _, part in apart(frame)]
    assert sorted(row for part in parts for row in part.index) == list(frame.index)
    for part in parts:
        assert part["data"].nunique() == 1
        assert part.groupby("metric")["n_images"].nunique().max() == 1
    assert sum(part["cell"].nunique() for part in parts) == frame["cell"].nunique()


def test_numbers_that_all_failed_are_one_part(make_row: MakeRow) -> None:
    """What has no number was made in no way of its own: by definition nothing parts it."""
    frame = to_frame([make_row(seed=seed, cell=f"{seed:016x}", value=None) for seed in range(2)])
    ((told, part),) = apart(frame.assign(data=pd.array(["a", "b"], "string")))
    assert (told, list(part.index)) == ("", [0, 1])


def _with_controls(land: Land) -> None:
    """Three models and real images, which are better and faster than all of them; `slow` is beaten in both."""
    for seed in range(5):
        for model, fd, rate in (
            ("good", 10.0, 100.0),
            ("fast", 40.0, 400.0),
            ("slow", 160.0, 50.0),
            ("real", 1.0, 900.0),
        ):
            wide = 1 + 0.02 * seed
            land(model, seed, {FD: (fd * wide, fd, fd * 1.2), RATE: rate * wide})


def test_controls_are_landmarks(tmp_path: Path, land: Land) -> None:
    """By hand: real images have the lowest distance and the highest rate, and win neither a mark, nor a rank, nor a
    place on the Pareto front; they stand last, below the rule, and a note says why. FD 10, 40 and 160 are told apart
    by far, with spreads of 3%; on the front are those that none beats in both."""
    _with_controls(land)
    quality, rates = found(tmp_path)
    assert [name for name, _ in quality.rows] == [f"{m} (5 seeds)" for m in ("good", "fast", "slow", "real")]
    assert quality.ranks == ["1", "2", "3", ""]
    assert marks(quality) == {
        "good (5 seeds)": 1,
        "fast (5 seeds)": 2,
        "slow (5 seeds)": 0,
        "real (5 seeds)": 0,
    }
    assert (quality.n_controls, rates.n_controls) == (1, 1)
    assert marks(rates)["fast (5 seeds)"] == 1
    assert marks(rates)["real (5 seeds)"] == 0
    assert "Pareto front of fd ↓ and sampling_rate: fast, good" in quality.notes
    assert "landmarks, not ranked: real; intervals of a run" in quality.notes
    # A control's seeds do not train: its interval is that of its runs, not one over seeds.
    assert column(quality)["real (5 seeds)"].interval == "[1.000, 1.200]"  # type: ignore[union-attr]


RULES = {
    "terminal": "\n                ",  # an empty line
    "markdown": "\n| – | – | – |\n",
    "latex": "\n\\midrule\n",
    "html": "\n</tbody>\n<tbody>\n",
}


@pytest.mark.costly
@pytest.mark.parametrize("format", TEXTS)
def test_a_rule_stands_above_the_controls(tmp_path: Path, land: Land, format: str) -> None:
    """In each format's own syntax, between the last contestant and the first control, and nothing of a control is
    bold."""
    _with_controls(land)
    board = text_of(load_results(tmp_path), format)
    board = board.partition("throughput")[0]  # the title of the second one
    seeds = " & " if format == "latex" else " (5"  # a paper has them in the caption
    place, last = board.index(f"real{seeds}"), board.index(f"slow{seeds}")
    assert last < board.index(RULES[format], last) < place
    best = {
        "terminal": "1.040 *",
        "markdown": "**1.040**",
        "latex": r"\bfseries 1.0",
        "html": "<strong>1.040",
    }
    assert ("1.0 & " if format == "latex" else "1.040") in board
    assert best[format] not in board


@pytest.mark.costly
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.5, 0.5, 0.5, 0.2), (0, 0, 0, 0)),  # three of four share the first place
        ((0.5, 0.0, 0.0, 0.0), (0, 0, 0, 0)),  # three of four share the last
        ((0.5, 0.5, 0.2, 0.1), (1, 1, 2, 0)),  # half is not more than half
        ((0.5, 0.4, 0.4), (0, 0, 0)),
        ((0.5, 0.4, 0.3), (1, 2, 0)),
    ],
)
def test_nothing_is_marked_where_more_than_half_tie(
    tmp_path: Path, land: Land, values: Sequence[float], expected: Sequence[int]
) -> None:
    """By hand; a control neither ties nor counts."""
    for name, value in zip("abcd", values, strict=False):
        land(name, 0, {RECALL: value})
    land("real", 0, {RECALL: 0.5})
    (board,) = found(tmp_path)
    assert marks(board) == {**dict(zip("abcd", expected, strict=False)), "real": 0}


@pytest.mark.costly
def test_nothing_wins_without_a_rival(tmp_path: Path, land: Land) -> None:
    """One contestant beside a control, and one beside another that failed."""
    land("vae", 0, {FD: 10.0})
    land("real", 0, {FD: 1.0})
    land("gan", 0, {FD: None})
    (board,) = found(tmp_path)
    assert marks(board) == {"vae": 0, "gan": 0, "real": 0}
    assert column(board)["gan"] == Entry("failed")
    for format in TEXTS:
        text = text_of(load_results(tmp_path), format)
        assert not [mark for mark in ("**", "<u>", r"\bfseries", "<strong>", " *") if mark in text]


@pytest.mark.costly
def test_a_dead_seed_shows(tmp_path: Path, land: Land) -> None:
    """By hand: 10, 12 and 500 have the mean 174 and the median 12; the name says that one collapsed, the note has the
    alarm's words. A rate is no worse for it and has no median; a collapsed single run says so too."""
    words = {"step": 20, "words": "coverage fell below 0.1 | twice"}
    for seed, fd in enumerate((10.0, 12.0, 500.0)):
        land("gan", seed, {FD: fd, RATE: 100.0 + seed}, collapse=words if seed == 2 else None)
    land("dcgan", 0, {FD: 600.0}, collapse=words)
    land("vae", 0, {FD: 50.0})
    quality, rates = found(tmp_path)
    assert {name: entry.text for name, entry in column(quality).items() if entry} == {
        "vae": "50.00",
        "gan (3 seeds, 1 collapsed)": "174.0 (median 12.00)",
        "dcgan (collapsed)": "600.0",
    }
    assert column(rates)["gan (3 seeds, 1 collapsed)"].text == "101.0"  # type: ignore[union-attr]
    said = ["collapsed: dcgan: seed 0: coverage fell below 0.1 | twice"]
    said.append("collapsed: gan: seed 2: coverage fell below 0.1 | twice")
    assert [note for note in quality.notes if note.startswith("collapsed")] == said
    assert not [note for note in rates.notes if note.startswith("collapsed")]
    for format in TEXTS:
        text = text_of(load_results(tmp_path), format)
        assert ("gan in 1 of 3" if format == "latex" else "1 collapsed") in text
        assert "(median 12.00)" in text
    assert r"twice" in text_of(load_results(tmp_path), "markdown")


@pytest.mark.costly
def test_a_busy_machine_carries_a_dagger(tmp_path: Path, land: Land) -> None:
    """Load 3 on two cores is half a process a core beyond the run's own, above a fifth; 2.4 is a fifth and not
    above. The fastest was busy: it has a dagger and no mark, the next two have the marks, and there is no Pareto
    front of such rates. Quality is not touched."""
    for model, fd, rate, load in (
        ("busy", 10.0, 900.0, 3.0),
        ("quiet", 20.0, 400.0, 2.4),
        ("slow", 30.0, 100.0, 0.1),
    ):
        land(model, 0, {FD: fd, RATE: rate}, machine={"load_1min": load})
    quality, rates = found(tmp_path)
    assert column(rates)["busy"] == Entry("900.0†")
    assert marks(rates) == {"busy": 0, "quiet": 1, "slow": 2}
    assert marks(quality) == {"busy": 1, "quiet": 2, "slow": 0}
    assert any(note.startswith("† timed while other programs took more than 20%") for note in rates.notes)
    assert not any("†" in note or "Pareto" in note for note in quality.notes)
    frame = load_results(tmp_path)
    for format in set(TEXTS) - {"latex"}:
        assert "900.0†" in text_of(frame, format)
    asked = leaderboard(frame, format="latex", choice=Choice.of(metrics="sampling_rate"))
    assert r"busy & 900 & {\scriptsize $^{\dagger}$" in asked


def test_what_was_measured_while_timing_counts(tmp_path: Path, land: Land) -> None:
    """`machine_busy` is the number of cores that others took while a rate was taken: 1 of 2 is half of the machine,
    whatever the load was before the run."""
    for model, busy in (("vae", 1.0), ("gan", 0.1)):
        land(model, 0, {RATE: 100.0, "machine_busy": busy}, machine={"load_1min": 3.0})
    rates = next(board for board in found(tmp_path) if board.aspect == "throughput")
    assert {name: entry.text for name, entry in column(rates).items() if entry} == {
        "vae": "100.0†",
        "gan": "100.0",
    }


@pytest.mark.costly
def test_one_run_a_model_ranks_nobody(tmp_path: Path, land: Land) -> None:
    """Two runs that are far apart, with narrow intervals of their own: another seed of either is another model, and the
    note says so. The better one is still bold: that is what was measured."""
    land("vae", 0, {FD: (10.0, 9.9, 10.1)})
    land("gan", 0, {FD: (90.0, 89.0, 91.0)})
    (board,) = found(tmp_path)
    assert board.ranks == []
    assert "no ranks: one run a model does not tell what another seed would do" in board.notes
    assert marks(board) == {"vae": 1, "gan": 2}
    for format in TEXTS:
        text = text_of(load_results(tmp_path), format, width=100)
        assert "no ranks: one run a model does not tell what another seed would do" in text
        assert "rank:" not in text


def test_models_that_are_not_told_apart_have_no_ranks(tmp_path: Path, land: Land) -> None:
    """The same five values for both: every place is open to either, and a column of "1–2" says nothing."""
    for seed in range(5):
        for model in ("vae", "gan"):
            land(model, seed, {FD: 10.0 + seed})
    (board,) = found(tmp_path)
    assert board.ranks == []
    assert "no ranks: no two are told apart" in board.notes


def test_only_a_headline_ranks(tmp_path: Path, land: Land) -> None:
    """Recall is told apart by far, and is not what the dataset ranks by."""
    for seed in range(5):
        for model, value in (("vae", 0.9), ("gan", 0.1)):
            land(model, seed, {RECALL: value + 0.001 * seed})
    (board,) = found(tmp_path)
    assert board.ranks == []
    assert not any("rank" in note for note in board.notes)


def test_the_csv_has_no_nan(tmp_path: Path, land: Land) -> None:
    """A number without an interval, a failed one, a single run, a control: what is not there is empty, and a reader of
    any language parses the rest as numbers."""
    land("vae", 0, {FD: 10.0, RATE: 100.0, "parameters": 5.0})
    land("gan", 0, {FD: None, RECALL: None})
    land("real", 0, {FD: (1.0, 0.9, 1.1)})
    text = leaderboard(load_results(tmp_path), format="csv")
    lines = list(csv.DictReader(io.StringIO(text)))
    cells = {cell for line in lines for cell in line.values()}
    assert not {cell for cell in cells if cell.strip("<>[]").lower() in ("nan", "na", "none", "inf", "-inf")}
    failed = [line for line in lines if line["n_failed"] != "0"]
    assert [(line["metric"], line["value"], line["low"], line["median"]) for line in failed] == [
        (FD, "", "", ""),
        (RECALL, "", "", ""),
    ]
    assert all(float(line["value"]) > 0 for line in lines if line not in failed)


def test_a_wide_board_keeps_its_numbers_whole(tmp_path: Path, land: Land) -> None:
    """Nine columns of long names in 80 columns, with a median: each value stands on one line, in a table that repeats
    the names, and the rank stands beside the first."""
    many = {f"distance_{n}_of_a_long_name_efficientnet_lite0": 0.00012345 * 10**n for n in range(8)}
    for seed in range(5):
        for model, shift in (("vae", 1.0), ("conditional-gan", 9.0)):
            collapse = {"step": 20, "words": "fell"} if seed == 4 else None
            values = {FD: 10 * shift, **{name: value * shift for name, value in many.items()}}
            land(model, seed, {k: v * (1 + seed**3 / 99) for k, v in values.items()}, collapse=collapse)
    (board,) = found(tmp_path)
    text = text_of(load_results(tmp_path), "terminal", width=80)
    for name, entries in board.rows:
        for entry in entries:
            assert entry is not None
            value, _, median = entry.text.partition(" (")
            assert value in text.split(), (name, entry)
            assert f"({median}" in text
    assert text.count("conditional-gan") == text.count("model ") > 1
    assert text.count("rank  ") == 1
