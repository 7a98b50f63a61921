"""What Weights & Biases writes without a server, read back by its own messages.

Its files are LevelDB logs (github.com/google/leveldb, doc/log_format.md) behind a head of seven bytes; what is in them
are its protocol buffers.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image
from told import CURVES, KEY, a_picture, a_run

from benchbench.sinks.feed import Feed
from benchbench.sinks.wandb import WeightsAndBiases

pytest.importorskip("wandb")
pytestmark = pytest.mark.costly  # it starts a process of its own

BLOCK = 32768
HEAD = 7


def messages(file: Path) -> Iterator[bytes]:
    """The records of a LevelDB log: pieces (checksum, length, type) in blocks, 1 whole, 2 first, 3 middle, 4 last."""
    content, place, parts = file.read_bytes(), HEAD, b""
    while place + 7 <= len(content):
        if BLOCK - place % BLOCK < 7:
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        if kind == 0:
            break
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield parts
            parts = b""


class Found(NamedTuple):
    """What a run says: settings, the history by step, the summary, how it ended."""

    run: Any
    config: dict[str, Any]
    history: dict[int, dict[str, Any]]
    summary: dict[str, Any]
    exit_code: int | None


def nested(items: Any) -> dict[str, Any]:
    """Values by their key, or as mappings by the parts of a nested one."""
    found: dict[str, Any] = {}
    for item in items:
        *outer, last = item.nested_key or [item.key]
        place = found
        for part in outer:
            place = place.setdefault(part, {})
        place[last] = json.loads(item.value_json)
    return found


def read(folder: Path) -> Found:
    """The only run of a folder."""
    from wandb.proto import wandb_internal_pb2

    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    run, exit_code = None, None
    config: dict[str, Any] = {}
    history: dict[int, dict[str, Any]] = {}
    summary: dict[str, Any] = {}
    for content in messages(file):
        record = wandb_internal_pb2.Record.FromString(content)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
            config |= {item.key: json.loads(item.value_json) for item in run.config.update}
        elif kind == "history":
            items = nested(record.history.item)
            history.setdefault(int(items["_step"]), {}).update(items)
        elif kind == "summary":
            summary |= nested(record.summary.update)
        elif kind == "exit":
            exit_code = record.exit.exit_code
    return Found(run, config, history, summary, exit_code)


def test_what_is_told_is_there(tmp_path: Path, make_row: Any) -> None:
    """Offline, in the folder alone: curves at their steps, the picture's file, numbers with their ends, settings, and
    the table with the failed one."""

    def failed(name: str, error: BaseException) -> None:
        raise error

    feed = Feed({"wandb": (WeightsAndBiases(), a_run(tmp_path))}, failed)
    feed.picture(10, "training/samples", a_picture((0, 0, 255)))
    feed.curves(CURVES)
    feed.end(15, [make_row(), make_row(metric="kd", value=None)], [("record/samples", a_picture())])
    feed.close("finished")
    found = read(tmp_path)
    assert (found.run.run_id, found.run.display_name, found.run.project, found.run.run_group) == (
        KEY,
        "vae on digits, seed 0",
        "benchbench",
        "digits",
    )
    assert found.config["hyper"] == {"width": 16, "betas": [0.5, 0.9]}
    losses = {step: row["curves/loss"] for step, row in sorted(found.history.items()) if "curves/loss" in row}
    assert losses == {5: 2.5, 10: 1.25}
    assert found.history[10]["curves/monitor_distance"] == 7.0
    scan = found.history[10]["training/samples"]
    (file,) = tmp_path.glob(f"wandb/offline-run-*/files/{scan['path']}")
    assert Image.open(file).getpixel((0, 0)) == (0, 0, 255)
    assert found.history[15]["record/samples"]["_type"] == "image-file"
    name = "generation/fd_efficientnet_lite0"
    assert [found.summary[name + end] for end in ("", "_low", "_high")] == [12.5, 11.0, 14.0]
    (table,) = tmp_path.glob("wandb/offline-run-*/files/media/table/numbers_15_*.table.json")
    content = json.loads(table.read_text())
    reasons = [row[content["columns"].index("reason")] for row in content["data"]]
    assert reasons == [None, "too few images"]
    assert found.exit_code == 0
    assert not list(tmp_path.rglob("wandb-metadata.json"))  # what this machine is, an export does not say
