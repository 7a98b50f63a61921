"""Training curves as small multiples."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.views.curves import plot_curves

CURVES = "epoch,step,loss,kl,lr,val_$loss\n0,10,5.0,,0.1,nan\n1,20,3.0,1.5,0.05,inf\n2,30,2.5,1.0,0.02,3.0\n"


def test_every_quantity_has_an_axis(tmp_path: Path) -> None:
    """Four quantities, three a line: 3 × 4 in and 2 × 2.8 in at 120 dpi. The drawn lines are in matplotlib's
    first colour, and each of the four places holds some; the two spare ones are blank."""
    (tmp_path / "curves.csv").write_text(CURVES)
    plot_curves(tmp_path / "curves.csv", tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (1440, 672)
        pixels = np.asarray(picture.convert("RGB"))
    blue = (pixels == (31, 119, 180)).all(-1)
    places = [[blue[y : y + 336, x : x + 480].sum() > 20 for x in (0, 480, 960)] for y in (0, 336)]
    assert places == [[True, True, True], [True, False, False]]
    assert (pixels[336:, 500:] == 255).all()


def test_the_same_curves_give_the_same_bytes(tmp_path: Path) -> None:
    """Records are compared by sha256."""
    (tmp_path / "curves.csv").write_text(CURVES)
    for name in ("a.png", "b.png"):
        plot_curves(tmp_path / "curves.csv", tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no training curves at"),
        (b"", "is not a table of training curves"),
        (b"\xff\xfe\x00\x01", "is not a table of training curves"),
        (b"loss\n1\n", "has no column 'epoch'"),
        (b"epoch,step,loss\n0,1,nan\n", "holds no curve to draw"),
        (b"epoch,loss\n", "holds no curve to draw"),
    ],
)
def test_what_is_no_table_of_curves_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    """Missing, empty, binary, another table, nothing but gaps, no line; and no picture is left."""
    if content is not None:
        (tmp_path / "curves.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        plot_curves(tmp_path / "curves.csv", tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_views_are_drawn_without_torch() -> None:
    """The room's own rule: looking at records must not wait for torch, nor touch pyplot's global state."""
    code = (
        "import sys; import benchbench.views.curves, benchbench.views.grid, benchbench.views.leaderboard,"
        "benchbench.views.table; sys.exit('torch' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
