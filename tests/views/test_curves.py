"""Training curves as small multiples."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.views.curves import Alarm, on_log_scale, plot_curves

CURVES = "epoch,step,loss,kl,lr,val_$loss\n0,10,5.0,,0.1,nan\n1,20,3.0,1.5,0.05,inf\n2,30,2.5,1.0,0.02,3.0\n"


def test_every_quantity_has_an_axis(tmp_path: Path) -> None:
    """Four quantities, three a line: 3 × 4 in and 2 × 2.8 in at 120 dpi. The drawn lines are in matplotlib's
    first colour, and each of the four places holds some; the two spare ones are blank."""
    (tmp_path / "curves.csv").write_text(CURVES)
    plot_curves(tmp_path / "curves.csv", tmp_path / "training.png")
    with Image.open(tmp_path / "training.png") as picture:
        assert picture.size == (1440, 672)
        pixels = np.asarray(picture.convert("RGB"))
    blue = (pixels == (31, 119, 180)).all(-1)
    places = [[blue[y : y + 336, x : x + 480].sum() > 20 for x in (0, 480, 960)] for y in (0, 336)]
    assert places == [[True, True, True], [True, False, False]]
    assert (pixels[336:, 500:] == 255).all()


@pytest.mark.costly
def test_the_same_curves_give_the_same_bytes(tmp_path: Path) -> None:
    """Records are compared by sha256."""
    (tmp_path / "curves.csv").write_text(CURVES)
    for name in ("a.png", "b.png"):
        plot_curves(tmp_path / "curves.csv", tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_points_are_joined_over_rows_that_lack_the_quantity(tmp_path: Path) -> None:
    """A row without the number, as the monitor's looks leave between epochs, is as if it were not there: the same
    bytes as from a table without it."""
    (tmp_path / "gap.csv").write_text("step,loss\n10,5\n15,\n20,3\n")
    (tmp_path / "none.csv").write_text("step,loss\n10,5\n20,3\n")
    for name in ("gap", "none"):
        plot_curves(tmp_path / f"{name}.csv", tmp_path / f"{name}.png")
    assert (tmp_path / "gap.png").read_bytes() == (tmp_path / "none.png").read_bytes()


@pytest.mark.costly
def test_an_alarm_is_a_line_on_every_axis_and_words_on_top(tmp_path: Path) -> None:
    """In the alarm's colour (192, 57, 43): each of the four places has a column of at least 100 such pixels (an axis
    is 336 high), and letters in it stand above them; without an alarm there is none."""
    (tmp_path / "curves.csv").write_text(CURVES)
    reds = []
    for alarm in (None, Alarm(20, "coverage fell from 0.9 to 0.2")):
        plot_curves(tmp_path / "curves.csv", tmp_path / "training.png", alarm)
        with Image.open(tmp_path / "training.png") as picture:
            reds.append((np.asarray(picture.convert("RGB")) == (192, 57, 43)).all(-1))
    assert not reds[0].any()
    places = [(y, x) for y in (0, 336) for x in (0, 480, 960)][:4]
    assert all(reds[1][y : y + 336, x : x + 480].sum(0).max() >= 100 for y, x in places)
    assert reds[1][:30].any()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no training curves at"),
        (b"", "is not a table of training curves"),
        (b"\xff\xfe\x00\x01", "is not a table of training curves"),
        (b"epoch,loss\n0,1\n", "has no column 'step'"),
        (b"epoch,step,loss\n0,1,nan\n", "holds no curve to draw"),
        (b"step,loss\n", "holds no curve to draw"),
    ],
)
def test_what_is_no_table_of_curves_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    """Missing, empty, binary, another table, nothing but gaps, no line; and no picture is left."""
    if content is not None:
        (tmp_path / "curves.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        plot_curves(tmp_path / "curves.csv", tmp_path / "training.png")
    assert not (tmp_path / "training.png").exists()


@pytest.mark.costly
def test_views_are_drawn_without_torch() -> None:
    """The room's own rule: looking at records must not wait for torch, nor touch pyplot's global state."""
    code = (
        "import sys; import benchbench.views.curves, benchbench.views.grid, benchbench.views.leaderboard,"
        "benchbench.views.table; sys.exit('torch' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "values", "log"),
    [
        ("monitor_distance", [230.0, 70.0, 2.1], True),
        ("monitor_distance", [30.0, 1.0], True),
        ("monitor_distance", [29.0, 1.0], False),
        ("monitor_distance", [230.0, 0.0], False),  # no logarithm
        ("monitor_distance", [230.0, -0.1], False),
        ("monitor_distance", [], False),
        ("loss", [230.0, 2.1], False),
    ],
)
def test_a_distance_that_falls_far_has_a_log_scale(name: str, values: list[float], log: bool) -> None:
    """By the rule: thirty times from the smallest to the largest, all above 0."""
    assert on_log_scale(name, pd.Series(values, dtype=float)) is log
