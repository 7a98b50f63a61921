"""Event files, read back by TensorBoard itself."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from told import CURVES, KEY, a_picture, a_run

from benchbench.results.record import Row
from benchbench.sinks.feed import Feed
from benchbench.sinks.tensorboard import TensorBoard

pytest.importorskip("tensorboard")
pytestmark = pytest.mark.costly  # to import it takes seconds


def read(folder: Path) -> Any:
    """What TensorBoard's own reader has of a run; every point, for by default it drops most of many."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    kinds = ("scalars", "images", "tensors")
    return EventAccumulator(
        str(folder / "digits" / "vae" / KEY), size_guidance=dict.fromkeys(kinds, 0)
    ).Reload()


def opened(folder: Path) -> Feed:
    """A feed of one sink whose failures are errors."""

    def failed(name: str, error: BaseException) -> None:
        raise error

    return Feed({"tensorboard": (TensorBoard(), a_run(folder))}, failed)


def points(found: Any, tag: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in found.Scalars(tag)]


def test_what_is_told_is_there(tmp_path: Path, make_row: Any) -> None:
    """Curves, pictures, numbers with their ends, the settings and the table, at the steps where they were told. Values
    are float32 in event files: those below are exact in it."""
    rows: list[Row] = [make_row(), make_row(metric="kd", value=None, reason="<b>| few")]
    feed = opened(tmp_path)
    feed.picture(10, "training/samples", a_picture((0, 255, 0)))
    feed.curves(CURVES)
    feed.end(15, rows, [("record/samples", a_picture())])
    feed.close("finished")
    found = read(tmp_path)
    assert points(found, "curves/loss") == [(5, 2.5), (10, 1.25)]
    assert points(found, "curves/monitor_distance") == [(10, 7.0)]
    name = "generation/fd_efficientnet_lite0"
    assert [points(found, name + end) for end in ("", "_low", "_high")] == [
        [(15, 12.5)],
        [(15, 11.0)],
        [(15, 14.0)],
    ]
    (scan,) = found.Images("training/samples")
    picture = Image.open(io.BytesIO(scan.encoded_image_string))
    assert (scan.step, scan.width, scan.height, picture.getpixel((0, 0))) == (10, 6, 4, (0, 255, 0))
    assert [image.step for image in found.Images("record/samples")] == [15]
    (table,) = found.Tensors("numbers")
    said = table.tensor_proto.string_val[0].decode()
    assert "| generation | fd\\_efficientnet\\_lite0 | 12.5 | 11 | 14 |  |" in said
    assert "\\<b\\>\\| few" in said
    (config,) = found.Tensors("config")
    assert '"width": 16' in config.tensor_proto.string_val[0].decode()


def test_settings_are_hyper_parameters(tmp_path: Path) -> None:
    """Those that TensorBoard's HPARAMS reads, by dotted name."""
    from tensorboard.plugins.hparams import metadata

    opened(tmp_path).close("finished")
    content = read(tmp_path).SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    told = metadata.parse_session_start_info_plugin_data(content).hparams
    assert told["hyper.width"].number_value == 16
    assert told["hyper.betas"].string_value == "[0.5, 0.9]"
    assert told["model"].string_value == "vae"


def test_a_run_that_goes_on_has_no_point_twice(tmp_path: Path) -> None:
    """The first sitting told two rows and was killed in the middle of writing the next event; the second is told all.
    Each step is there once, and so are the settings."""
    feed = opened(tmp_path)
    feed.curves(CURVES[:2])
    (file,) = (tmp_path / "digits" / "vae" / KEY).iterdir()
    with file.open("ab") as events:
        events.write(b"\x18\x00\x00\x00\x00")  # the beginning of a length
    again = opened(tmp_path)
    again.curves(CURVES)
    again.close("finished")
    found = read(tmp_path)
    assert [step for step, _ in points(found, "curves/lr")] == [5, 10, 15]
    assert len(found.Tensors("config")) == 1


def test_a_full_disk_is_said_and_nothing_else_fails(tmp_path: Path) -> None:
    """On the device that is always full: the sink fails at once, not at its end."""
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no device that is always full")
    failures: list[str] = []
    sink = TensorBoard()
    feed = Feed({"tensorboard": (sink, a_run(tmp_path))}, lambda _, error: failures.append(str(error)))
    assert sink._file is not None
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, sink._file.fileno())
    os.close(full)
    feed.curves(CURVES)
    assert len(failures) == 1
    assert "No space left" in failures[0]
    feed.close("finished")


def test_no_event_file_names_the_machine(tmp_path: Path) -> None:
    """TensorBoard's own writer puts the host's name into the name of the file; records name none."""
    opened(tmp_path).close("finished")
    (file,) = (tmp_path / "digits" / "vae" / KEY).iterdir()
    assert file.name.count(".") == 5
    assert os.uname().nodename not in file.name
