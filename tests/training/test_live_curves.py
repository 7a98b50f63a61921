"""`curves.csv` in the work folder while a training goes on."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch

from benchbench.core.protocols import ImageSpec
from benchbench.models.build import build_model
from benchbench.training.checkpoint import Checkpoints
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.trainer import train
from benchbench.training.watch.curves import write_curves


def test_rows_so_far_are_there(tmp_path: Path) -> None:
    """Those of two epochs, then of three, whole each time; a column that came later is empty before."""
    rows: list[dict[str, float]] = [
        {"epoch": 0, "step": 5, "loss": 2.0},
        {"epoch": 1, "step": 10, "loss": 1.0},
    ]
    write_curves(tmp_path, rows)
    assert pd.read_csv(tmp_path / "curves.csv").to_dict("records") == rows
    rows.append({"epoch": 2, "step": 15, "loss": 0.5, "distance": 3.0})
    write_curves(tmp_path, rows)
    assert pd.read_csv(tmp_path / "curves.csv")["distance"].isna().tolist() == [True, True, False]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_training_writes_them_as_it_goes(tmp_path: Path) -> None:
    """Three epochs of two steps: the file has the rows that the training returns, long before any checkpoint is due."""
    images = torch.randint(0, 256, (16, 3, 8, 8), dtype=torch.uint8)
    model = build_model("vae-mlp", {"latent": 2, "width": 4}, ImageSpec(8, 8, False, 0))
    config = TrainingConfig(epochs=3, batch_size=8)
    data = TrainingData(images, None, images)
    found = train(
        model, data, config, seed=0, device=torch.device("cpu"), checkpoints=Checkpoints(tmp_path, {})
    )
    written = pd.read_csv(tmp_path / "curves.csv", engine="pyarrow")
    assert len(found.curves) == 3
    assert written["step"].tolist() == [row["step"] for row in found.curves] == [2, 4, 6]
