"""The published store and the weights that ship: complete, rendered, tied to each other, and reproducible."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from benchbench.core.baselines import CHECKSUM, WEIGHTS, baselines_folder
from benchbench.results.load import load_failures, load_results, records
from benchbench.runner.run import run_cells
from benchbench.views.leaderboard import leaderboard

STORE = Path(__file__).parents[1] / "results"
# Models whose weights ship with a record in the store; the judges' own records are in their cards.
SHIPPED = sorted(
    file.parent.name
    for file in baselines_folder().glob(f"*/{CHECKSUM}")
    if not file.parent.name.startswith("cnn-")
)


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return load_results(STORE)


def test_the_store_is_whole(published: pd.DataFrame) -> None:
    """Six models or more on two datasets or more under three seeds, and no cell that failed."""
    cells = published.drop_duplicates("cell").groupby(["model", "dataset"])["seed"].nunique()
    complete = cells[cells >= 3].reset_index()
    assert complete["model"].nunique() >= 6
    assert complete["dataset"].nunique() >= 2
    assert len(complete) == len(cells)
    assert load_failures(STORE).empty


def test_the_leaderboard_is_up_to_date(published: pd.DataFrame) -> None:
    """`benchbench leaderboard results --format markdown --output results/LEADERBOARD.md` makes it again."""
    assert (STORE / "LEADERBOARD.md").read_text(encoding="utf-8") == leaderboard(published)


def test_nothing_of_a_machine_is_published() -> None:
    """No home folder, no absolute path: run.json is for everybody."""
    for folder, _ in records(STORE):
        text = (folder / "run.json").read_text(encoding="utf-8")
        for trace in ("/home/", "/root/", "/work/", "/tmp/", "/Users/"):
            assert trace not in text, folder


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_are_those_of_a_record(name: str) -> None:
    """The record lists the sha256 of the weights it was scored with; the card names the record."""
    folder = baselines_folder() / name
    sha256 = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    owners = [run["cell"] for _, run in records(STORE) if run["files"].get(WEIGHTS) == sha256]
    assert len(owners) == 1
    assert owners[0] in (folder / "card.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_pretrained_weights_reproduce_their_record(published: pd.DataFrame, tmp_path: Path) -> None:
    """`benchbench run --model dcgan --dataset digits --pretrained`: every number but those of the clock lies within
    the interval of the record that the weights came from, or equals it where it has none."""
    sha256 = (baselines_folder() / "dcgan-digits" / CHECKSUM).read_text().split()[0]
    (run,) = [run for _, run in records(STORE) if run["files"].get(WEIGHTS) == sha256]
    ((path, _),) = run_cells(
        "dcgan", "digits", seeds=[int(run["seed"])], pretrained=True, out=tmp_path, device="cpu"
    )
    again = load_results(path).set_index("metric")
    before = published[published["cell"] == run["cell"]].set_index("metric")
    kept = before[~before["aspect"].isin(["throughput", "cost"]) & (before["status"] == "ok")]
    assert len(kept) > 10
    for metric, row in kept.iterrows():
        value = float(again.loc[metric, "value"])
        if pd.isna(row["low"]):
            assert value == pytest.approx(float(row["value"]), rel=1e-3), metric
        else:
            assert row["low"] <= value <= row["high"], metric
