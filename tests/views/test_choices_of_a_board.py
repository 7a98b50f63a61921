"""What a board says of choices that nobody sees in its numbers: of a network, and of the weights that were scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import kendalltau

from benchbench.core.hashing import digest
from benchbench.core.registry import EXTRACTORS
from benchbench.features.networks.inception_v3 import InceptionV3, InceptionV3Spatial
from benchbench.results.load import load_results
from benchbench.results.record import Row
from benchbench.views.agreement import FIELD
from benchbench.views.board import Board, boards
from benchbench.views.leaderboard import leaderboard
from benchbench.views.report_boards import page_boards

MakeRow = Callable[..., Row]
Land = Callable[..., Path]
BARE = {"low": None, "high": None, "interval": None}
NETWORKS = {
    "fd_efficientnet_lite0": "efficientnet_lite0",
    "fd_cnn_digits": "cnn_digits",
    "fid": "inception_v3",
}
LEAD = "fd_efficientnet_lite0"


@pytest.fixture
def store(tmp_path: Path, make_row: MakeRow, land: Land) -> Callable[..., None]:
    """Write the record of a model with distances on several networks, and what its run.json says."""

    def write(model: str, values: Mapping[str, float | None], seed: int = 0, **run: Any) -> None:
        cell = digest([model, seed])[:16]
        rows = [
            make_row(
                model=model, seed=seed, cell=cell, metric=metric, extractor=NETWORKS[metric], value=value,
                headline=metric == LEAD, **BARE,
            )
            for metric, value in values.items()
        ]  # fmt: skip
        land(tmp_path, rows, {"control": model == "real"} | run)

    return write


def board(root: Path) -> Board:
    (found,) = boards(load_results(root))
    return found


def notes(root: Path, begin: str) -> list[str]:
    return [note for note in board(root).notes if note.startswith(begin)]


A, B = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [10.0, 30.0, 20.0, 40.0, 60.0, 50.0]


def test_agreement_of_two_networks(store: Callable[..., None], tmp_path: Path) -> None:
    """SciPy's τ of the six models that have both numbers; a control, and a model with one of them, take no part. The
    line stands in the board of every format that has notes."""
    for model, a, b in zip("abcdef", A, B, strict=True):
        store(model, {LEAD: a, "fid": b})
    store("real", {LEAD: 0.1, "fid": 100.0})
    store("g", {LEAD: 0.5})
    (note,) = notes(tmp_path, "agreement of the rankings by fd (Kendall's τ-b")
    tau = kendalltau(A, B).statistic
    assert f"efficientnet_lite0 and inception_v3 {tau:.2f} [" in note
    assert note.endswith("] over 6 models")
    frame = load_results(tmp_path)
    assert "Kendall's τ-b" in leaderboard(frame)
    assert [note in page.notes for page in page_boards(frame)] == [True]


def test_three_networks_are_three_pairs(store: Callable[..., None], tmp_path: Path) -> None:
    """All of one line; the same order is 1, whatever the units, and its interval is none of a certainty."""
    for model, a, b in zip("abcdef", A, B, strict=True):
        store(model, {LEAD: a, "fd_cnn_digits": a**2, "fid": b})
    (note,) = notes(tmp_path, "agreement")
    for pair in (
        "efficientnet_lite0 and cnn_digits 1.00 [",
        "efficientnet_lite0 and inception_v3 0.",
        "cnn_digits and",
    ):
        assert pair in note
    assert "1.00 [1.00" not in note
    assert note.count(" and ") == 3


@pytest.mark.parametrize(
    ("b", "said"),
    [([1.0, 2.0, 3.0], "(3 models, too few to say)"), ([7.0] * 4, "(4 models, all of them alike, to say)")],
)
def test_nothing_can_be_said(store: Callable[..., None], tmp_path: Path, b: list[float], said: str) -> None:
    """Of three models, and where one network tells none of them from another."""
    for model, own, other in zip("abcd", A, b, strict=False):
        store(model, {LEAD: own, "fid": other})
    (note,) = notes(tmp_path, "agreement")
    assert note.endswith(f"efficientnet_lite0 and inception_v3 {said}")


def test_one_network_needs_no_agreement(store: Callable[..., None], tmp_path: Path) -> None:
    """Nothing is said, of one that is not at hand neither."""
    for model, a in zip("abcdef", A, strict=True):
        store(model, {LEAD: a, "fid": None})
    assert notes(tmp_path, "agreement") == []


def test_names_of_the_field_are_known() -> None:
    """Those that Inception's extractors give metrics, which views cannot ask them for."""
    theirs = dict(InceptionV3.field_names) | dict(InceptionV3Spatial.field_names)
    assert {name: family for family, name in InceptionV3.field_names.items()}.items() <= FIELD.items()
    assert set(FIELD) >= set(theirs.values())
    assert EXTRACTORS.get("inception_v3") is InceptionV3


LAST = {"protocol": {"checkpoint": "last"}}


def best(by: str, step: int | None) -> dict[str, Any]:
    training = {
        "images_per_second": 1.0, "n_steps": 9000, "seconds": 1.0, "stopped_early": False, "peak_memory_mib": 1.0,
        "best_step": step,
    }  # fmt: skip
    return {"protocol": {"checkpoint": "best", "chosen_by": by}, "training": training}


def test_what_chose_the_weights(store: Callable[..., None], tmp_path: Path) -> None:
    """By the very metric that ranks: a mark at that number and at no other, in every format, and the step. By another
    one: said, and no mark. A model that was not trained is not spoken of."""
    store("a", {LEAD: 1.0, "fid": 5.0}, **best(LEAD, 1200))
    store("a", {LEAD: 1.5, "fid": 5.5}, seed=1, **best(LEAD, 1400))
    store("b", {LEAD: 2.0, "fid": 6.0}, **best("validation_loss", 7))
    store("c", {LEAD: 3.0, "fid": 7.0}, **LAST)
    store("real", {LEAD: 0.1, "fid": 0.2})
    (note,) = notes(tmp_path, "checkpoint")
    assert note == f"checkpoint: last, but best {LEAD} for a (step 1,200, 1,400); best validation_loss for b"
    assert notes(tmp_path, "‡ the weights are those at which this metric was best")
    texts = {name: [entry.text if entry else "" for entry in row] for name, row in board(tmp_path).rows}
    assert [cells for cells in texts.values() if any("‡" in text for text in cells)] == [["1.250‡", "5.250"]]
    frame = load_results(tmp_path)
    assert "1.250‡" in leaderboard(frame, format="markdown")
    tex = leaderboard(frame, format="latex")
    assert tex.count(r"$^{\ddagger}$") == 1
    assert r"$\ddagger$ weights chosen by this metric, on validation images" in tex
    assert "1.250‡" in [cell.value for page in page_boards(frame) for row in page.rows for cell in row.cells]


def test_all_last_is_one_short_line(store: Callable[..., None], tmp_path: Path) -> None:
    """And no mark is explained that stands nowhere; where nothing was trained, nothing is said."""
    store("real", {LEAD: 0.1})
    assert notes(tmp_path, "checkpoint") == []
    store("a", {LEAD: 1.0}, **LAST)
    assert notes(tmp_path, "checkpoint") == ["checkpoint: last"]
    assert notes(tmp_path, "‡") == []


def test_a_hostile_record(store: Callable[..., None], tmp_path: Path) -> None:
    """What it says chose its weights is one printable line, and not a long one."""
    store("a", {LEAD: 1.0}, **best("x\n\x1b[31m" * 1000, 5))
    (note,) = notes(tmp_path, "checkpoint")
    assert note.isprintable()
    assert len(note) < 200
