"""A copy of a dataset whose pixels are not the published ones is no secret: a run, a board and the doctor say so; and
what a network lacks is said as of today."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import benchbench
from benchbench.cli import cli
from benchbench.results.manifest import RunFacts
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import write_rows
from benchbench.runner.evaluate import evaluate
from benchbench.verbs.doctor import JPEG
from benchbench.views.board_notes import NOT_CANONICAL


def copy_of_cifar10(folder: Path, kind: str) -> Path:
    """A few images in the layout of the Hugging Face copies, as files of this kind."""
    rng = np.random.default_rng(0)
    for split, n in (("train", 20), ("test", 10)):
        rows = []
        for i in range(n):
            file = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(file, kind)
            rows.append({"img": {"bytes": file.getvalue(), "path": None}, "label": i % 10})
        (folder / "cifar10").mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_parquet(folder / "cifar10" / f"{split}.parquet")
    return folder


@pytest.mark.costly
@pytest.mark.parametrize(("kind", "doubted"), [("JPEG", True), ("PNG", False)])
def test_a_copy_of_jpeg_files_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, doubted: bool
) -> None:
    """By the command that ran, again when it is answered from the record, and by `doctor`."""
    monkeypatch.setenv("BENCHBENCH_DATA", str(copy_of_cifar10(tmp_path / "data", kind)))
    asked = ["run", "--model", "noise", "--dataset", "cifar10", "--samples", "8", "--metrics", "swd"]
    for _ in range(2):
        ran = CliRunner().invoke(cli, [*asked, "--out", str(tmp_path / "out"), "--device", "cpu"])
        assert ran.exit_code == 0, ran.output
        assert ("its pixels are not canonical" in ran.output) == doubted
    (told,) = [text for name, text in benchbench.doctor()["data"].items() if name == "cifar10"]
    assert (JPEG in told) == doubted


@pytest.mark.parametrize(("canonical", "doubted"), [(False, True), (True, False), (None, False)])
def test_a_board_of_such_a_copy_says_so(
    tmp_path: Path, make_row: Callable[..., Row], canonical: bool | None, doubted: bool
) -> None:
    """What the record states, the notes of the board say; nothing where nobody can tell."""
    facts = RunFacts.model_validate({"seed": 0, "data": {"fingerprint": "f" * 64, "canonical": canonical}})
    with Store(tmp_path).write("digits", "vae", "ab" * 8, facts) as folder:
        write_rows(folder / "metrics.csv", [make_row(cell="ab" * 8, model="vae")])
    board = CliRunner().invoke(cli, ["leaderboard", str(tmp_path), "--format", "markdown"])
    assert board.exit_code == 0, board.output
    assert (NOT_CANONICAL in " ".join(board.output.split())) == doubted


@pytest.mark.costly
def test_what_a_network_lacks_is_said_as_of_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An evaluation without FID's weights, then with a file that is not them: the record answers, with the second
    reason, and what could be computed is as it was."""
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (8, 3, 32, 32), dtype=np.uint8))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    wrong = tmp_path / "wrong.pth"
    wrong.write_bytes(b"no weights")
    found = []
    for given in (str(tmp_path / "nowhere"), str(wrong)):
        monkeypatch.setenv("BENCHBENCH_INCEPTION_WEIGHTS", given)
        frame = evaluate(images, images.flip(3), "fid,swd", out=tmp_path / "out", device="cpu")
        found.append(frame.set_index("metric"))
    before, after = found
    values = [own.loc[own["status"] == "ok", "value"] for own in found]
    assert len(values[0])
    pd.testing.assert_series_equal(*values)
    assert "nowhere" in before.loc["fid", "reason"]
    assert "nowhere" not in after.loc["fid", "reason"]
    assert "wrong.pth" in after.loc["fid", "reason"]
