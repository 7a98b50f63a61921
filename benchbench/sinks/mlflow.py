"""MLflow: a tracking server where MLFLOW_TRACKING_URI names one, else a store of files.

Through its client alone: nothing becomes the process's active run. The store of files needs no database, and newer
releases of MLflow keep it as it is; they open it where MLFLOW_ALLOW_FILE_STORE says so.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from PIL import Image

from benchbench.results.record import Row
from benchbench.sinks.sink import NOTHING, LoggedRun, Opened, Status, flat, library, named

EXPERIMENT = "benchbench"
CELL = "benchbench.cell"
"""The tag by which a run is found again."""
_LONGEST = 6000
"""Characters of a parameter."""
_MOST_AT_ONCE = {"metrics": 1000, "params": 100}
"""What a server takes in one request."""
_ENDED = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


class MLflow:
    """MLflow; MLFLOW_TRACKING_URI names a server, MLFLOW_EXPERIMENT_NAME another experiment."""

    reference = "https://mlflow.org"

    def __init__(self) -> None:
        # Its own are seven tries, each twice as late as the one before: minutes in which nothing is trained.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        self._mlflow = library("mlflow", "mlflow")
        self._client: Any = None
        self._id = ""

    def open(self, run: LoggedRun) -> Opened:
        """Begin, or go on with the run that has the key as its tag."""
        uri = self._place(run)
        self._client = self._mlflow.MlflowClient(tracking_uri=uri)
        experiment = self._experiment()
        there = self._client.search_runs([experiment], f"tags.`{CELL}` = '{run.key}'")
        if there:
            self._id = there[0].info.run_id
            self._client.set_terminated(self._id, "RUNNING")
            step = self._last_step(there[0])
        else:
            tags = {CELL: run.key, "benchbench.dataset": run.dataset}
            self._id = self._client.create_run(experiment, run_name=run.name, tags=tags).info.run_id
            said = [(_plain(name), str(value)[:_LONGEST]) for name, value in flat(run.config)]
            self._log("params", [self._mlflow.entities.Param(name, value) for name, value in said])
            step = NOTHING
        shown = f"MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri {uri}" if _of_files(uri) else uri
        return Opened(step, f"run {self._id} ({shown})")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One point a number."""
        now, kind = round(time.time() * 1000), self._mlflow.entities.Metric
        self._log("metrics", [kind(_plain(name), value, now, step) for name, value in values.items()])

    def image(self, step: int, name: str, png: bytes) -> None:
        """Among the run's images."""
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            self._client.log_image(self._id, image.convert("RGB"), key=_plain(name), step=step)

    def numbers(self, step: int, rows: Sequence[Row]) -> None:
        """Metrics, and metrics.csv, which has the failed ones too."""
        self.scalars(step, named(rows))
        self._client.log_text(
            self._id, pd.DataFrame([row.as_dict() for row in rows]).to_csv(index=False), "metrics.csv"
        )

    def close(self, status: Status) -> None:
        """Ends the run."""
        if self._id:
            self._client.set_terminated(self._id, _ENDED[status])

    def _place(self, run: LoggedRun) -> str:
        """The address of the store."""
        if not run.offline and self._mlflow.is_tracking_uri_set():
            uri: str = self._mlflow.get_tracking_uri()
        else:
            run.folder.mkdir(parents=True, exist_ok=True)
            uri = run.folder.resolve().as_uri()
        if _of_files(uri):
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        return uri

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = self._client.get_experiment_by_name(name)
        made: str = self._client.create_experiment(name) if found is None else found.experiment_id
        return made

    def _last_step(self, run: Any) -> int:
        """Of the curves of a run; the store says the latest step of each."""
        steps = [
            point.step
            for name in run.data.metrics
            if name.startswith("curves/")
            for point in self._client.get_metric_history(self._id, name)
        ]
        return max(steps, default=NOTHING)

    def _log(self, kind: str, entries: Sequence[Any]) -> None:
        most = _MOST_AT_ONCE[kind]
        for start in range(0, len(entries), most):
            self._client.log_batch(self._id, **{kind: entries[start : start + most]})


def _of_files(uri: str) -> bool:
    """Whether a store is a folder."""
    return uri.startswith("file:") or "://" not in uri


def _plain(name: str) -> str:
    """As MLflow takes names."""
    return re.sub(r"[^\w\-./ ]", "_", name, flags=re.ASCII)[:250]
