"""Finished records in tables, dashboards and folders for the Hub."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from noted import Notes
from told import KEY, a_record

import benchbench
from benchbench.cli import cli
from benchbench.core.errors import BenchbenchError, CellFailed, InputError
from benchbench.results.load import load_results


@pytest.fixture
def record(tmp_path: Path, make_row: Any) -> Path:
    """One with a number, a failed one and a rate."""
    rows = [
        make_row(cell=KEY),
        make_row(cell=KEY, metric="kd_efficientnet_lite0", value=None),
        make_row(cell=KEY, metric="sampling_rate", aspect="throughput", value=100.0),
    ]
    return a_record(tmp_path / "runs", rows)


@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
def test_tables(form: Any, tmp_path: Path, record: Path) -> None:
    """Numbers are those of `load_results`, curves those of curves.csv behind what tells runs apart; a missing number is
    missing. `runs` names the record."""
    out = benchbench.export(record, to=form, out=tmp_path / "out")
    read: Any = {"csv": pd.read_csv, "parquet": pd.read_parquet, "json": pd.read_json}[form]
    numbers, curves = (read(out / f"{name}.{form}") for name in ("metrics", "curves"))
    expected = load_results(record)
    assert numbers["metric"].tolist() == expected["metric"].tolist()
    assert numbers["value"].isna().tolist() == [False, True, False]
    assert numbers["value"][0] == 12.5
    assert curves["step"].tolist() == [5, 10, 15]
    assert curves["loss"].isna().tolist() == [False, False, True]
    assert set(curves["model"]) == {"vae"}
    assert sorted(path.name for path in out.iterdir()) == [
        f"{name}.{form}" for name in ("curves", "metrics", "runs")
    ]
    if form == "json":
        (run,) = json.loads((out / "runs.json").read_text())
        assert run["cell"] == KEY
    else:
        assert read(out / f"runs.{form}")["recipe.training.lr"].tolist() == [0.1]


def test_tables_of_what_was_never_trained(tmp_path: Path, make_row: Any) -> None:
    """No curves are an empty table with its head; records of several folders come together, each once."""
    from benchbench.results.manifest import RunFacts
    from benchbench.results.store import Store
    from benchbench.results.tables import write_rows

    for n in (0, 1):
        cell = f"{n}" * 16
        with Store(tmp_path / str(n)).write("digits", "noise", cell, RunFacts(seed=n)) as folder:
            write_rows(folder / "metrics.csv", [make_row(cell=cell, model="noise", seed=n)])
    out = benchbench.export([tmp_path / "0", tmp_path / "1", tmp_path / "1"], to="csv", out=tmp_path / "out")
    assert (out / "curves.csv").read_text().startswith("cell,model,variant,dataset,seed")
    assert pd.read_csv(out / "metrics.csv")["seed"].tolist() == [0, 1]


@pytest.mark.costly
@pytest.mark.parametrize("to", ["tensorboard", "wandb", "mlflow"])
def test_a_record_in_every_dashboard(to: str, tmp_path: Path, record: Path) -> None:
    """The command writes files there and says where; what is in them, the tests of each sink read back."""
    pytest.importorskip(to)
    before = {path: path.stat().st_mtime_ns for path in record.rglob("*")}
    done = CliRunner().invoke(cli, ["export", str(record), "--to", to, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert f"exported: {tmp_path / 'out'}" in done.output
    found = {"tensorboard": "events.out.tfevents.*", "wandb": "*.wandb", "mlflow": "fd_efficientnet_lite0"}
    assert len(list((tmp_path / "out").rglob(found[to]))) == 1
    assert {path: path.stat().st_mtime_ns for path in record.rglob("*")} == before


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"to": "tensorbord"}, "unknown place to export to 'tensorbord'; did you mean 'tensorboard'"),
        ({"to": "csv", "weights": "copy"}, "belong to a model card"),
        ({"to": "csv", "over_seeds": True}, "belong to a model card"),
        ({"to": "hf", "weights": "move"}, "unknown way to hand weights over 'move'"),
        ({"to": "hf", "hub_dataset": "digits"}, "'digits' is no dataset of the Hub; write OWNER/NAME"),
        ({"to": "hf", "hub_dataset": "../../x"}, "is no dataset of the Hub"),
    ],
)
def test_what_cannot_be_asked(changes: dict[str, Any], sentence: str, tmp_path: Path, record: Path) -> None:
    """One sentence, and no folder."""
    with pytest.raises(InputError, match=sentence):
        benchbench.export(record, out=tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_where_nothing_may_be_written(tmp_path: Path, record: Path) -> None:
    """A folder, a file or a pipe that is there, a place in a record, a folder that cannot be made."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "file", "pipe"):
        with pytest.raises(InputError, match="is there already"):
            benchbench.export(record, to="csv", out=tmp_path / name)
    with pytest.raises(InputError, match="lies in a record"):
        benchbench.export(record, to="csv", out=record / "tables")
    with pytest.raises(InputError, match="cannot write"):
        benchbench.export(record, to="csv", out=tmp_path / "file" / "below")
    assert list((tmp_path / "folder").iterdir()) == []


def test_no_records(tmp_path: Path) -> None:
    """An empty folder, and none at all."""
    (tmp_path / "empty").mkdir()
    for given, sentence in ((tmp_path / "empty", "no records in"), ([], "name at least one record")):
        with pytest.raises(InputError, match=sentence):
            benchbench.export(given, to="csv", out=tmp_path / "out")


@pytest.mark.parametrize("to", ["csv", "hf"])
@pytest.mark.parametrize("file", ["curves.csv", "metrics.csv", "run.json"])
def test_a_damaged_record_is_none(file: str, to: str, tmp_path: Path, record: Path) -> None:
    """Cut in the middle: it is named, and nothing is left of the folder. A card shows no curves."""
    content = (record / file).read_bytes()
    (record / file).write_bytes(content[: len(content) // 2])
    if (file, to) == ("curves.csv", "hf"):
        benchbench.export(record, to=to, out=tmp_path / "out")
        return
    with pytest.raises(InputError, match=file):
        benchbench.export(record, to=to, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_at_once_make_one_folder(tmp_path: Path, record: Path) -> None:
    """Of several exports to one place exactly one succeeds, and the folder is its."""
    outcomes: list[object] = []

    def go() -> None:
        try:
            outcomes.append(benchbench.export(record, to="csv", out=tmp_path / "out"))
        except BenchbenchError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(one, Path) for one in outcomes) == 1
    assert all("is there already" in str(one) for one in outcomes if not isinstance(one, Path))
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_a_sink_that_fails_leaves_no_folder(
    tmp_path: Path, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export has nothing else to go on with: it is an error that names the record. A full disk is the user's, who is
    told the way out as of every other export, also where a library wrapped what the system said or kept its words."""
    from told import Remembers

    from benchbench.core.registry import SINKS

    class Wraps(Remembers):
        def __init__(self, error: Exception, cause: Exception | None = None) -> None:
            super().__init__()
            self.error, self.cause = error, cause

        def numbers(self, step: int, rows: Any) -> None:
            raise self.error from self.cause

    full = OSError(28, "No space left on device")
    for sink in (
        Remembers(breaks="numbers"),
        Wraps(ValueError("it broke"), full),
        Wraps(ValueError("write: no space left on device")),
    ):
        monkeypatch.setattr(type(SINKS), "make", lambda *_, sink=sink: sink)
        with pytest.raises(
            InputError, match=r"cannot write .*out: No space left on device; choose another folder"
        ):
            benchbench.export(record, to="tensorboard", out=tmp_path / "out")
        assert not (tmp_path / "out").exists()
    monkeypatch.setattr(type(SINKS), "make", lambda *_: Wraps(ValueError("it broke")))
    with pytest.raises(CellFailed, match=rf"does not take the record .*{KEY}: ValueError: it broke"):
        benchbench.export(record, to="tensorboard", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_several_cards(tmp_path: Path, record: Path, make_row: Any) -> None:
    """Each in a folder of its own, called after dataset, model and cell; of a dataset that the Hub does not know it is
    said once, however many its records are, that leaderboards cannot read the numbers."""
    other = "f" * 16
    a_record(tmp_path / "runs", [make_row(cell=other, dataset="cifar10")])
    a_record(tmp_path / "runs", [make_row(cell="e" * 16, seed=1)])
    notes = Notes()
    out = benchbench.export(tmp_path / "runs", to="hf", out=tmp_path / "out", progress=notes)
    assert sorted(path.name for path in out.iterdir()) == [
        f"cifar10-vae-{other}",
        f"digits-vae-{KEY}",
        f"digits-vae-{'e' * 16}",
    ]
    assert [text.partition(" has no id")[0] for text in notes.said] == ["digits"]
    assert (out / f"cifar10-vae-{other}" / ".eval_results" / "uoft-cs_cifar10.yaml").is_file()


def test_weights(tmp_path: Path, record: Path) -> None:
    """Copied or linked as asked, left out otherwise; those that are not what the record lists are refused."""
    for how in ("copy", "link", None):
        out = benchbench.export(record, to="hf", out=tmp_path / str(how), weights=how)
        placed = out / "weights.safetensors"
        assert placed.exists() == (how is not None)
        if how is not None:
            assert placed.read_bytes() == b"weights"
            assert placed.samefile(record / "weights.safetensors") == (how == "link")
    (record / "weights.safetensors").write_bytes(b"others")
    with pytest.raises(InputError, match="sha256 differs"):
        benchbench.export(record, to="hf", out=tmp_path / "wrong", weights="copy")
    (record / "weights.safetensors").unlink()
    with pytest.raises(InputError, match=r"holds no weights\.safetensors"):
        benchbench.export(record, to="hf", out=tmp_path / "gone", weights="copy")
    assert not (tmp_path / "wrong").exists()
    shutil.rmtree(tmp_path / "copy")
    assert (record / "samples.png").exists()
