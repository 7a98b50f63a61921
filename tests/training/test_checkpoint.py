"""Checkpoints that do not fit are refused by name; damaged ones say which file to delete."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from benchbench.core.errors import InputError
from benchbench.core.protocols import ImageSpec
from benchbench.models.build import build_model
from benchbench.training.checkpoint import Checkpoints, load_checkpoint, save_checkpoint
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.trainer import train

IDENTITY = {"model": "vae", "hyper": {"latent": 4}, "training": {"lr": 0.001, "betas": (0.9, 0.999)}}


def test_round_trip(tmp_path: Path) -> None:
    """What went in comes out; a tuple and the list it became are the same setting; nothing else is in the
    folder."""
    assert load_checkpoint(tmp_path, IDENTITY) is None
    save_checkpoint(tmp_path, IDENTITY, {"step": 3, "w": torch.tensor([1.5])})
    state = load_checkpoint(tmp_path, IDENTITY)
    assert state is not None
    assert state["step"] == 3
    assert torch.equal(state["w"], torch.tensor([1.5]))
    assert os.listdir(tmp_path) == ["checkpoint.pt"]


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (
            IDENTITY | {"training": {"lr": 0.002, "betas": (0.9, 0.999)}},
            "was made with lr=0.001, now lr=0.002; remove it to train from the start, or use the old value",
        ),
        (
            IDENTITY | {"hyper": {"latent": 8, "beta": 2.0}, "model": "beta-vae"},
            "was made with beta=nothing, latent=4, model=vae, now beta=2.0, latent=8, model=beta-vae; .*s$",
        ),
    ],
)
def test_changed_settings_are_named(tmp_path: Path, now: dict[str, Any], message: str) -> None:
    """Every setting that differs, then and now, wherever it is nested; those that agree are not mentioned."""
    save_checkpoint(tmp_path, IDENTITY, {})
    with pytest.raises(InputError, match=message) as error:
        load_checkpoint(tmp_path, now)
    assert str(tmp_path) in str(error.value)
    assert "betas" not in str(error.value)


@pytest.mark.parametrize("keep", [0, 10, 400])
def test_damage_is_one_sentence(tmp_path: Path, keep: int) -> None:
    """A file cut after 0, 10 or 400 bytes; no traceback of whatever the unpacking met."""
    save_checkpoint(tmp_path, IDENTITY, {"w": torch.zeros(100)})
    file = tmp_path / "checkpoint.pt"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"checkpoint\.pt is damaged .*; delete it to train from the start"):
        load_checkpoint(tmp_path, IDENTITY)


def test_a_planted_pickle_runs_nothing(tmp_path: Path) -> None:
    """`weights_only` refuses a file whose unpickling would make a folder."""

    class Planted:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({"identity": "{}", "state": Planted()}, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match="damaged"):
        load_checkpoint(tmp_path, IDENTITY)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 0.02}, "lr=0.001, now lr=0.02"),
        ({"batch_size": 2}, "batch_size=4, now batch_size=2"),
        ({"seed": 1}, "seed=0, now seed=1"),
        ({"identity": {"dataset": "b"}}, "dataset=a, now dataset=b"),
    ],
)
def test_the_loop_refuses_changes(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """Settings, seed and the caller's own identity; how often a checkpoint is written may change."""

    def go(*, seed: int = 0, identity: dict[str, str] | None = None, **settings: Any) -> None:
        images = torch.arange(8 * 3 * 64, dtype=torch.int32).to(torch.uint8).view(8, 3, 8, 8)
        model = build_model("vae-mlp", {"latent": 2, "width": 4}, ImageSpec(8, 8, False, 0))
        config = TrainingConfig(**{"batch_size": 4, "epochs": 1} | settings)
        train(
            model,
            TrainingData(images, None, images),
            config,
            seed=seed,
            device=torch.device("cpu"),
            checkpoints=Checkpoints(tmp_path, identity or {"dataset": "a"}),
        )

    go()
    go(checkpoint_every=1)
    with pytest.raises(InputError, match=message):
        go(**change)
