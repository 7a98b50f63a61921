"""The published store and the weights that ship: complete, rendered, tied to each other, and reproducible."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

import benchbench
from benchbench.core.baselines import (
    CARD,
    MOST,
    Shipped,
    baselines_folder,
    published_records,
    shipped_baselines,
)
from benchbench.results.claims.numbers import numbers
from benchbench.results.claims.spread import spreads
from benchbench.results.claims.testing import difference
from benchbench.results.claims.verdicts import compare
from benchbench.results.load import load_failures, load_results, records
from benchbench.results.summary import summarise
from benchbench.results.verify import verify_records
from benchbench.runner.baselines.records import record_of
from benchbench.runner.run import run_cells

STORE = Path(__file__).parents[1] / "results"
# Weights that ship without a record in the store: the numbers of judges stand in their cards.
WITHOUT = ("cnn-", "matcher-")


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return load_results(STORE)


def test_the_store_is_whole(published: pd.DataFrame) -> None:
    """Six models or more on two datasets or more under three seeds. Long trainings have one, which the board says; a
    seed that left no record is named there."""
    cells = published.drop_duplicates("cell").groupby(["model", "dataset"])["seed"].nunique()
    complete = cells[cells >= 3].reset_index()
    assert complete["model"].nunique() >= 6
    assert complete["dataset"].nunique() >= 2
    board = (STORE / "LEADERBOARD.md").read_text(encoding="utf-8")
    failures = load_failures(STORE)
    assert [own for own in failures["model"] if f"- {own} on " not in board] == []


@pytest.mark.costly
def test_the_pages_are_up_to_date() -> None:
    """The board and every card: `benchbench baselines render` makes them again."""
    assert published_records() == STORE
    assert benchbench.baselines.render(check=True) == []


@pytest.mark.costly
def test_every_file_is_as_it_was_written() -> None:
    """Plots and pictures, curves and numbers, each against the sha256 in its run.json: none is newer or older than its
    record."""
    assert verify_records([STORE]).faults == []


@pytest.mark.parametrize(
    "card", [own.folder / CARD for own in shipped_baselines()], ids=lambda card: card.parent.name
)
def test_no_number_of_a_card_has_another_ones_name(card: Path) -> None:
    """By metric, task and direction, and its pictures are there."""
    text = card.read_text()
    _, found, below = text.partition("\n## Numbers\n")
    names = [line.split("|")[1] for line in below.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    assert len(names) == len(set(names))
    assert bool(names) == bool(found)
    shown = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert all((card.parent / file).is_file() for file in shown)
    assert len(shown) >= 1 or card.parent.name.startswith(WITHOUT)


def test_every_interval_can_be_true(published: pd.DataFrame) -> None:
    """Every row of every record, and every mean over seeds: low ≤ value ≤ high, all within what the metric can take. By
    definition of an interval and of a range; rounding apart, 1e-12 of the value."""
    lines = summarise(published)
    stated = published[published["status"] == "ok"]
    for table in (stated, lines):
        held = table[table["low"].notna()]
        assert len(held) > 300
        value, low, high = (held[name].astype(float) for name in ("value", "low", "high"))
        slack = 1e-12 * value.abs()
        wrong = held[(low > value + slack) | (high < value - slack)]
        assert wrong[["dataset", "model", "metric"]].to_numpy().tolist() == []
        for end, sign in (("minimum", 1), ("maximum", -1)):
            limit = held[end].astype("Float64").fillna(-sign * float("inf")).astype(float)
            outside = held[(sign * (low - limit) < -1e-12) | (sign * (high - limit) < -1e-12)]
            assert outside[["dataset", "model", "metric"]].to_numpy().tolist() == []


def test_real_images_and_noise_are_told_apart(published: pd.DataFrame) -> None:
    """The two ends of every scale. Each number of quality or diversity that both have is decided: nobody needs more
    seeds to tell real images from noise."""
    sides = [published[published["model"] == name] for name in ("real", "noise")]
    undecided = [
        (pair.a.dataset, line.metric, line.verdict)
        for pair in compare(*sides, known=published).pairs
        for line in pair.lines
        if line.labels.aspect in ("quality", "diversity")
        and line.family is not None
        and line.verdict not in ("better", "worse", "failed")
    ]
    assert undecided == []


def test_real_images_stand_apart_from_every_model(published: pd.DataFrame) -> None:
    """Held-out images are a landmark of no rank; the engine tells them from each trained model wherever their headline
    distances are ten standard errors apart, which is all models of the store."""
    found = numbers(published)
    pools = spreads([found])
    asked = [(unit, a, n[0]) for unit, held in found.items() for a, n in held.items() if n and n[0].headline]
    compared = 0
    for real, question, landmark in asked:
        for unit, same, model in asked:
            if real.model != "real" or unit.dataset != real.dataset or same != question or model.control:
                continue
            apart = difference(model, landmark, pool=pools(unit, question, model))
            assert apart is not None
            if abs(apart.shift) >= 10 * apart.error:
                assert apart.p < 0.05
                compared += 1
    assert compared >= 12  # of 18: 6 models on 3 datasets


def test_nothing_of_a_machine_is_published() -> None:
    """No home folder, no absolute path: what is published is for everybody."""
    texts = [
        file for folder, _ in records(STORE) for file in folder.iterdir() if file.suffix in (".json", ".csv")
    ]
    texts += [STORE / "LEADERBOARD.md", *(own.folder / CARD for own in shipped_baselines())]
    assert len(texts) > 100
    for file in texts:
        text = file.read_text(encoding="utf-8")
        for trace in ("/home/", "/root/", "/work/", "/tmp/", "/Users/"):
            assert trace not in text, file


def test_shipped_weights_are_those_of_a_record() -> None:
    """One that lists the sha256 of the weights it was scored with, or whose key rounded weights name; the card names it
    too. All together they are within the bound."""
    found = list(records(STORE))
    owners = {own.name: (own, record_of(own, found)) for own in shipped_baselines()}
    assert [
        name for name, (_, record) in owners.items() if record is None and not name.startswith(WITHOUT)
    ] == []
    named = [(own, record) for own, record in owners.values() if record is not None]
    assert len(named) >= 14
    for own, (_, run) in named:
        assert run.cell in (own.folder / CARD).read_text(encoding="utf-8")
    assert sum(own.size for own, _ in owners.values()) <= MOST


@pytest.mark.slow
def test_verify_in_a_clean_clone() -> None:
    """`benchbench baselines verify --fast`: every checksum, and the numbers of two baselines within the intervals of
    their records."""
    found = benchbench.baselines.verify(fast=True, device="cpu")
    assert found.exit_code == 0, found.headline
    assert found.table["state"].tolist().count("reproduced") == 2


@pytest.mark.slow
def test_pretrained_weights_reproduce_their_record(published: pd.DataFrame, tmp_path: Path) -> None:
    """`benchbench run --model dcgan --dataset digits --pretrained`: every number but those of the clock lies within
    the interval of the record that the weights came from, or equals it where it has none."""
    owner = record_of(Shipped(baselines_folder() / "dcgan-digits"), list(records(STORE)))
    assert owner is not None
    run = owner[1]
    ((path, _),) = run_cells(
        "dcgan", "digits", seeds=[int(run.seed)], pretrained=True, out=tmp_path, device="cpu"
    )
    again = load_results(path).set_index("metric")
    before = published[published["cell"] == run.cell].set_index("metric")
    kept = before[~before["aspect"].isin(["throughput", "cost"]) & (before["status"] == "ok")]
    assert len(kept) > 10
    for metric, row in kept.iterrows():
        value = float(again.loc[metric, "value"])
        if pd.isna(row["low"]):
            assert value == pytest.approx(float(row["value"]), rel=1e-3), metric
        else:
            assert row["low"] <= value <= row["high"], metric
