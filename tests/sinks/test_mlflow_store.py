"""A store of files, read back by MLflow's own client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from told import CURVES, KEY, a_picture, a_run

from benchbench.sinks.feed import Feed
from benchbench.sinks.mlflow import CELL, MLflow
from benchbench.sinks.sink import LoggedRun, Opened

pytest.importorskip("mlflow")
pytestmark = pytest.mark.costly  # to import it takes seconds


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's server, and variables that the sink sets are put back."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")


def opened(run: LoggedRun) -> Feed:
    """A feed of one sink whose failures are errors."""

    def failed(name: str, error: BaseException) -> None:
        raise error

    return Feed({"mlflow": (MLflow(), run)}, failed)


def client(folder: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=folder.resolve().as_uri())


def only_run(folder: Path) -> Any:
    """The run of the experiment, found by the cell."""
    reader = client(folder)
    experiment = reader.get_experiment_by_name("benchbench").experiment_id
    (run,) = reader.search_runs([experiment])
    assert run.data.tags[CELL] == KEY
    return run


def points(folder: Path, run: Any, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in client(folder).get_metric_history(run.info.run_id, name)]


def test_what_is_told_is_there(tmp_path: Path, make_row: Any) -> None:
    """Curves at their steps, pictures, numbers with their ends, settings, and the table with the failed one."""
    feed = opened(a_run(tmp_path))
    feed.picture(10, "training/samples", a_picture())
    feed.curves(CURVES)
    feed.end(15, [make_row(), make_row(metric="kd", value=None)], [("record/samples", a_picture())])
    feed.close("finished")
    run = only_run(tmp_path)
    assert (run.info.run_name, run.info.status) == ("vae on digits, seed 0", "FINISHED")
    assert run.data.params == {
        "model": "vae",
        "hyper.width": "16",
        "hyper.betas": "[0.5, 0.9]",
        "training.lr": "0.1",
    }
    assert points(tmp_path, run, "curves/loss") == [(5, 2.5), (10, 1.25)]
    name = "generation/fd_efficientnet_lite0"
    assert [points(tmp_path, run, name + end) for end in ("", "_low", "_high")] == [
        [(15, 12.5)],
        [(15, 11.0)],
        [(15, 14.0)],
    ]
    images = [file.path for file in client(tmp_path).list_artifacts(run.info.run_id, "images")]
    assert (
        len([path for path in images if path.endswith(".png") and "step+10" in path.replace("%", "+")]) == 1
    )
    assert len([path for path in images if path.endswith(".png")]) == 2
    (table,) = tmp_path.rglob("artifacts/metrics.csv")
    assert pd.read_csv(table)["reason"].tolist()[1] == "too few images"


def test_a_run_that_goes_on_has_no_point_twice(tmp_path: Path) -> None:
    """It is the same run, told what it lacks."""
    feed = opened(a_run(tmp_path))
    feed.curves(CURVES[:2])
    feed.close("interrupted")
    assert only_run(tmp_path).info.status == "KILLED"
    again = opened(a_run(tmp_path))
    assert only_run(tmp_path).info.status == "RUNNING"
    again.curves(CURVES)
    again.close("finished")
    run = only_run(tmp_path)
    assert run.info.status == "FINISHED"
    assert [step for step, _ in points(tmp_path, run, "curves/lr")] == [5, 10, 15]


def test_a_server_that_is_away_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Port 9 of this machine, where nobody answers: said once, and nothing is written elsewhere."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    failures: list[str] = []
    run = a_run(tmp_path / "store", offline=False)
    feed = Feed({"mlflow": (MLflow(), run)}, lambda _, error: failures.append(str(error)))
    feed.curves(CURVES)
    feed.close("finished")
    assert len(failures) == 1
    assert "127.0.0.1" in failures[0]
    assert not (tmp_path / "store").exists()


def test_an_export_asks_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though one is named: what is offline stays in the folder."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    opened(a_run(tmp_path)).close("finished")
    assert only_run(tmp_path).info.status == "FINISHED"


def test_names_that_mlflow_does_not_take(tmp_path: Path) -> None:
    """A model may log under any name; what MLflow takes in none becomes an underscore."""
    feed = opened(a_run(tmp_path))
    feed.curves([{"step": 1, "loss:ä?": 1.0}])
    feed.close("finished")
    assert points(tmp_path, only_run(tmp_path), "curves/loss___") == [(1, 1.0)]


def test_opening_says_where(tmp_path: Path) -> None:
    """How to look at the store."""
    said: Opened = MLflow().open(a_run(tmp_path))
    assert f"mlflow ui --backend-store-uri {tmp_path.resolve().as_uri()}" in said.where
