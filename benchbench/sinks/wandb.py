"""Weights & Biases, by its own library, which knows the user's account, project and mode.

What identifies this machine is left to the library where a run is logged from it, and left out of an export, whose
machine is another one.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from benchbench.results.record import COLUMNS, Row
from benchbench.sinks.sink import NOTHING, LoggedRun, Opened, Status, library, named

PROJECT = "benchbench"


class WeightsAndBiases:
    """Weights & Biases; WANDB_MODE=offline writes files alone, WANDB_PROJECT names another project."""

    reference = "https://wandb.ai"

    def __init__(self) -> None:
        self._wandb = library("wandb", "wandb")
        self._run: Any = None
        self._exports = False

    def open(self, run: LoggedRun) -> Opened:
        """Begin, or go on under the same id where the server knows it. Without a server every sitting writes a run of
        its own with the whole curve."""
        self._exports = run.offline
        run.folder.mkdir(parents=True, exist_ok=True)
        # Standard output and error are the verb's, and a checkout that benchbench happens to run in is none of its.
        # A run that the program has open already stays its own.
        quiet = {
            "silent": True,
            "console": "off",
            "disable_git": True,
            "save_code": False,
            "reinit": "create_new",
        }
        of_others = (
            {"mode": "offline", "x_disable_stats": True, "x_disable_meta": True} if run.offline else {}
        )
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=run.key,
            name=run.name,
            group=run.dataset,
            dir=str(run.folder),
            config=dict(run.config),
            resume="allow",
            settings=self._wandb.Settings(**quiet, **of_others),
        )
        if self._run.offline:
            return Opened(NOTHING, f"{self._run.settings.sync_dir} (wandb sync puts it on a server)")
        return Opened(self._run.step - 1 if self._run.resumed else NOTHING, str(self._run.url))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One line of the history."""
        self._run.log(dict(values), step=step)

    def image(self, step: int, name: str, png: bytes) -> None:
        """Beside the numbers of its step."""
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            self._run.log({name: self._wandb.Image(image)}, step=step)

    def numbers(self, step: int, rows: Sequence[Row]) -> None:
        """The summary, by which runs are compared, and a table that has the failed ones too."""
        self._run.summary.update(named(rows))
        columns = [name for name in COLUMNS if name not in ("cell", "model", "variant", "dataset", "seed")]
        table = self._wandb.Table(columns=columns, allow_mixed_types=True)
        for row in rows:
            table.add_data(*(getattr(row, name) for name in columns))
        self._run.log({"numbers": table}, step=step)

    def close(self, status: Status) -> None:
        """Ends the run, as failed where it did."""
        if self._run is None:
            return
        self._run.finish(exit_code=0 if status == "finished" else 1)
        if self._exports and self._wandb.run is None:
            # Else its process writes the file some time later, and an export is files. Live runs may share it.
            self._wandb.teardown()
