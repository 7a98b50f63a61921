"""TensorBoard: event files, one folder a run.

Written by hand out of TensorBoard's own messages: its asynchronous writer hides a full disk until later, and names
files after the machine.
"""

from __future__ import annotations

import io
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from PIL import Image

from benchbench.results.record import Row
from benchbench.sinks.sink import NOTHING, LoggedRun, Opened, Status, flat, library, named

_CURVES = "curves/"


class TensorBoard:
    """Event files for TensorBoard, which is opened on the folder of all runs."""

    reference = "https://www.tensorflow.org/tensorboard"

    def __init__(self) -> None:
        library("tensorboard", "tensorboard")
        self._event: Any = library("tensorboard.compat.proto.event_pb2", "tensorboard").Event
        self._summary: Any = library("tensorboard.compat.proto.summary_pb2", "tensorboard").Summary
        self._file: IO[bytes] | None = None

    def open(self, run: LoggedRun) -> Opened:
        """A new event file in the run's folder, beside those of earlier sittings."""
        folder = run.folder / run.place
        folder.mkdir(parents=True, exist_ok=True)
        step = self._last_step(folder)
        # Read in the order of their names: two sittings may begin in one second.
        seconds, rest = divmod(time.time_ns(), 10**9)
        name = f"events.out.tfevents.{seconds:010d}.{rest:09d}.{os.getpid()}"
        self._file = (folder / name).open("xb")
        self._records: Any = library("tensorboard.summary.writer.record_writer", "tensorboard").RecordWriter(
            self._file
        )
        self._write(self._event(wall_time=time.time(), file_version="brain.Event:2"))
        if step == NOTHING:
            hparams = library("tensorboard.plugins.hparams.summary_v2", "tensorboard").hparams_pb
            self._say(0, hparams(dict(flat(run.config)), trial_id=run.key))
            self._text(0, "config", _as_code(json.dumps(run.config, indent=2)))
        return Opened(step, f"{folder} (tensorboard --logdir {run.folder})")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One summary a row."""
        self._say(step, self._scalars(values))

    def image(self, step: int, name: str, png: bytes) -> None:
        """As it is."""
        width, height = _size(png)
        image = self._summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
        self._say(step, self._summary(value=[self._summary.Value(tag=name, image=image)]))

    def numbers(self, step: int, rows: Sequence[Row]) -> None:
        """Scalars, and a table that has the failed ones too."""
        self._say(step, self._scalars(named(rows)))
        self._text(step, "numbers", _table(rows))

    def close(self, status: Status) -> None:
        """Every event was written as it came."""
        if self._file is not None:
            self._file.close()

    def _scalars(self, values: Mapping[str, float]) -> Any:
        return self._summary(
            value=[self._summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        )

    def _text(self, step: int, tag: str, markdown: str) -> None:
        text = library("tensorboard.plugins.text.summary_v2", "tensorboard").text_pb
        self._say(step, text(tag, markdown))

    def _say(self, step: int, summary: Any) -> None:
        self._write(self._event(wall_time=time.time(), step=step, summary=summary))

    def _write(self, event: Any) -> None:
        assert self._file is not None
        self._records.write(event.SerializeToString())
        self._file.flush()

    def _last_step(self, folder: Path) -> int:
        """Of the curves in all event files of a run. A file that a kill cut off is read as far as it goes."""
        loader = library("tensorboard.backend.event_processing.event_file_loader", "tensorboard")
        last = NOTHING
        files = sorted(file for file in folder.glob("events.out.tfevents.*") if file.is_file())
        for file in files:
            for event in loader.LegacyEventFileLoader(str(file)).Load():
                if any(value.tag.startswith(_CURVES) for value in event.summary.value):
                    last = max(last, event.step)
        return last


def _size(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        return image.size


def _as_code(text: str) -> str:
    """As Markdown shows it: a block that no content ends."""
    return "".join(f"    {line}\n" for line in text.splitlines())


def _table(rows: Sequence[Row]) -> str:
    """A Markdown table of all rows."""
    lines = ["| task | metric | value | low | high | why not |", "|---|---|---|---|---|---|"]
    for row in rows:
        numbers = ["" if value is None else f"{value:.6g}" for value in (row.value, row.low, row.high)]
        task = " ".join(filter(None, (row.task, row.direction)))
        lines.append("| " + " | ".join(map(_cell, (task, row.metric, *numbers, row.reason or ""))) + " |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """What anybody may have written, as plain text in Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#|!&])", r"\\\1", " ".join(text.split()))
