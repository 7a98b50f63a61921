"""What a notebook shows: a real one is run by its kernel, and its HTML is read back.

Expected numbers are those of the tables themselves; that nothing of a name becomes markup is by hand.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import benchbench
from benchbench.core.notebook import NotebookProgress, in_notebook, watching
from benchbench.core.progress import AUTO, SILENT
from benchbench.results.record import Row
from benchbench.views.notebook import NumbersFrame

MakeRow = Callable[..., Row]
Land = Callable[..., Path]
HOSTILE = "<script>x</script>&amp;[b]"


class Page(HTMLParser):
    """The tags of a page, its text, and the cells of its tables by row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.rows: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data

    def column(self, name: str, of: str = "") -> list[str]:
        """What stands under a heading, in rows that begin with `of`."""
        place = self.rows[0].index(name)
        return [row[place] for row in self.rows[1:] if len(row) > place and row[0].startswith(of)]


@pytest.fixture
def store(tmp_path: Path, make_row: MakeRow, land: Land) -> Path:
    """Two models of two numbers, one of them with a name that is no name, and a number that failed."""
    for cell, model, value in (("ab" * 8, "vae", 12.5), ("cd" * 8, HOSTILE, 13.5)):
        rows = [make_row(cell=cell, model=model, value=value, headline=True)]
        rows.append(make_row(cell=cell, model=model, metric="kd_efficientnet_lite0", value=None))
        land(tmp_path / "runs", rows)
    return tmp_path / "runs"


def html_of(frame: pd.DataFrame) -> str:
    return frame._repr_html_()  # type: ignore[operator, no-any-return]


def test_a_record_shows_itself(store: Path) -> None:
    """Each run as the terminal lists it: the value and its interval, and why there is none."""
    frame = benchbench.load_results(store)
    shown = html_of(frame)
    page = Page(shown)
    assert page.column("value", "fd_") == ["13.50", "12.50"]
    assert page.column("interval", "fd_") == ["[11.00, 14.00]"] * 2
    assert page.column("value", "kd_") == ["failed"] * 2
    assert "too few images" in page.text
    assert HOSTILE in page.text
    assert "script" not in page.tags


def test_what_is_made_of_it_is_a_plain_table(store: Path) -> None:
    """A filter, a join, a table without a column: as pandas shows them. An empty one too."""
    frame = benchbench.load_results(store)
    assert type(frame) is NumbersFrame
    for made in (frame[frame["seed"] == 0], frame.head(1), frame.merge(frame[["cell"]]), frame[["value"]]):
        assert type(made) is pd.DataFrame
    del frame["status"]
    assert "dataframe" in html_of(frame)
    assert "dataframe" in html_of(benchbench.load_results(store).iloc[:0])


def test_many_records_are_one_list(
    tmp_path: Path, make_row: MakeRow, land: Land, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven records of one number where five lines are shown: the first ones, and how many there are."""
    monkeypatch.setattr("benchbench.views.notebook.MOST_LINES", 5)
    for seed in range(7):
        land(tmp_path, [make_row(cell=f"{seed:016x}", seed=seed, model=HOSTILE)])
    page = Page(html_of(benchbench.load_results(tmp_path)))
    assert page.column("seed") == ["0", "1", "2", "3", "4"]
    assert "7 numbers of 7 records, the first 5" in page.text
    assert "script" not in page.tags


def test_a_board_shows_itself(store: Path) -> None:
    """The best is bold, its interval below the number, names and notes are text, the page's own colours are left."""
    board = benchbench.leaderboard(store, metrics="fd")
    shown = html_of(board)
    assert Page(shown).column("model") == ["vae", HOSTILE]
    assert "<strong>12.50</strong><br><small>[11.00, 14.00]</small>" in shown
    assert "script" not in Page(shown).tags
    assert "color:" not in shown.replace("currentColor", "")
    assert type(board[board["model"] == "vae"]) is pd.DataFrame
    turned = html_of(benchbench.leaderboard(store, metrics="fd", transpose=True))
    assert Page(turned).rows[0][1:] == ["vae", HOSTILE]


def test_outside_a_notebook_nothing_is_shown() -> None:
    """This is none, and nobody imported IPython for the question; whoever watches by himself is told."""
    assert not in_notebook()
    assert watching(AUTO) is SILENT
    own = NotebookProgress()
    assert watching(own) is own
    assert repr(AUTO) == "AUTO"


NOTEBOOK = """
import benchbench
asked = {"samples": 8, "metrics": ["swd"], "extractors": ["cnn_digits"], "device": "cpu"}
frame = benchbench.run("noise", "folder:pictures", out="runs", **asked)
frame
---
benchbench.leaderboard("runs", metrics="swd")
---
benchbench.plot.grid("runs", images=4, columns=2)
---
benchbench.export("runs", to="csv", out="tables")
import sys
sorted({"ipywidgets", "tensorboard", "wandb", "mlflow", "benchbench.sinks.wandb"} & sys.modules.keys())
"""


@pytest.mark.costly
def test_in_a_real_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel runs four cells: the first shows progress, which ends in lines, and the table; the others a board, a
    picture and tables for other programs. None loads widgets, nor a dashboard that nobody asked for."""
    (tmp_path / "pictures").mkdir()
    for number, image in enumerate(np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), dtype=np.uint8)):
        Image.fromarray(image).save(tmp_path / "pictures" / f"{number}.png")
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    monkeypatch.setenv("PYTHONPATH", str(Path(benchbench.__file__).parents[1]))
    kernel = tmp_path / "jupyter" / "kernels" / "here"
    kernel.mkdir(parents=True)
    command = f'["{sys.executable}", "-m", "ipykernel_launcher", "-f", "{{connection_file}}"]'
    (kernel / "kernel.json").write_text(
        f'{{"argv": {command}, "display_name": "here", "language": "python"}}'
    )
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(s.strip()) for s in NOTEBOOK.split("---")]
    )
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="here", resources=resources).execute()
    shown = [[own["data"] for own in cell["outputs"] if "data" in own] for cell in notebook.cells]
    progress, table = shown[0]
    assert "computing metrics: 1 metric in" in Page(progress["text/html"]).text
    assert "progress" not in Page(progress["text/html"]).tags  # all has ended
    assert float(Page(table["text/html"]).column("value", "swd")[0]) > 0
    assert "noise" in Page(shown[1][0]["text/html"]).text
    assert Page(shown[2][0]["text/html"]).tags == ["img"]
    assert shown[3][0]["text/plain"] == "[]"


def test_progress_is_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar while it lasts, of all that ended a line each, of many the last 12; whatever is in a title is text."""
    seen: list[str] = []
    monkeypatch.setattr(NotebookProgress, "_show", lambda self, stage: seen.append(self._html(stage)))
    progress = NotebookProgress()
    with progress.stage(HOSTILE, 4, "image") as stage:
        stage.advance(2, loss=0.5)
    assert '<progress value="0" max="4">' in seen[0]
    assert '<progress value="2" max="4">' in seen[1]
    assert "loss 0.5" in seen[1]
    assert "script" not in Page("".join(seen)).tags
    for n in range(20):
        progress.note(f"line {n}")
    assert Page(seen[-1]).tags.count("div") == 1 + 1 + 12
    assert "9 lines before" in Page(seen[-1]).text
