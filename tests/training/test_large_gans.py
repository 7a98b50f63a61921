"""BigGAN and StyleGAN2 through the real loop: resumed bit for bit, averages, lazy phases, weights that sampling does
not move."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from benchbench.core.protocols import ImageSpec
from benchbench.core.weights_file import read_weights
from benchbench.models.build import build_model
from benchbench.models.gan.adversarial import Adversarial
from benchbench.runner.run import run_cells
from benchbench.training.checkpoint import FILE, Checkpoints
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.trainer import train, transient_buffers

SPEC = ImageSpec(8, 8, grey=True, n_classes=2)
ROWS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "biggan": (
        "biggan",
        {"latent": 4, "width": 4, "embedding": 3},
        {"ema_decay": 0.9, "standing_statistics": 2, "player_lr": {"generator": 1e-4}},
    ),
    "stylegan2": (
        "stylegan2",
        {"latent": 4, "width": 4, "style": 4, "mapping_layers": 2, "conditional": True, "ada": True}
        | {"ada_images": 100, "ada_target": -0.5},
        {"betas": (0, 0.99), "ema": {"kind": "halflife", "images": 20, "rampup": 0.05}},
    ),
}


def build(row: str) -> Adversarial:
    torch.manual_seed(0)
    model = build_model(ROWS[row][0], ROWS[row][1], SPEC)
    assert isinstance(model, Adversarial)
    return model


def data() -> TrainingData:
    g = torch.Generator().manual_seed(3)
    images = (
        torch.randint(256, (24, 1, 8, 8), generator=g, dtype=torch.uint8).expand(-1, 3, -1, -1).contiguous()
    )
    return TrainingData(images, torch.arange(24) % 2, images[:4])


def go(model: nn.Module, row: str, folder: Path | None = None) -> list[dict[str, float]]:
    settings = {"steps": 10, "batch_size": 4, "checkpoint_every": 1}
    config = TrainingConfig.model_validate(settings | ROWS[row][2])
    checkpoints = Checkpoints(folder, {}) if folder else None
    return train(model, data(), config, seed=0, device=torch.device("cpu"), checkpoints=checkpoints).curves


class Whole(NamedTuple):
    """A training that nobody interrupted. state: of its last checkpoint."""

    model: Adversarial
    curves: list[dict[str, float]]
    state: dict[str, Any]


@pytest.fixture(scope="module", params=list(ROWS))
def row(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def whole(row: str, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder, model = tmp_path_factory.mktemp(row), build(row)
    curves = go(model, row, folder)
    return Whole(model, curves, torch.load(folder / FILE, weights_only=True)["state"])


@pytest.mark.costly
def test_it_resumes_exactly(row: str, whole: Whole, tmp_path: Path) -> None:
    """Stopped in step 6, between two path lengths and two changes of the augmentation: the same weights, mean style,
    mean path length, probability and power iterations bit for bit."""
    resumed, stopping = build(row), build(row)
    before = stopping.generator_loss
    turns: list[int] = []

    def stop(fake: Tensor) -> Tensor:
        turns.append(1)
        if len(turns) == 7:
            raise InterruptedError
        return before(fake)

    stopping.generator_loss = stop  # type: ignore[method-assign]
    with pytest.raises(InterruptedError):
        go(stopping, row, tmp_path)
    go(resumed, row, tmp_path)
    found, expected = (dict(m.state_dict()) | transient_buffers(m) for m in (resumed, whole.model))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name
    if row == "stylegan2":
        assert 0 < expected["ada.p"] < 1
        assert expected["mean_length"] > 0
        assert expected["generator.w_mean"].any()


@pytest.mark.costly
def test_what_is_averaged(whole: Whole) -> None:
    """The generator's parameters alone; the discriminator is handed out as it is, and so is the mean style."""
    averaged, _ = whole.state["ema"]
    parameters = [name for name, _ in whole.model.named_parameters()]
    assert set(averaged) == {name for name in parameters if name.startswith("generator.")}
    handed = whole.model.state_dict()
    assert all(torch.equal(handed[name], value) for name, value in averaged.items())
    for name, value in whole.state["model"].items():
        if name.startswith("discriminator.") or name.endswith("w_mean"):
            assert torch.equal(handed[name], value), name


@pytest.mark.costly
def test_columns(row: str, whole: Whole) -> None:
    """Those of every GAN; of StyleGAN2 also losses of the lazy phases, p, and the mean sign of real scores."""
    first, own = whole.curves[0], {"loss_discriminator_r1", "loss_generator_path_length", "ada_p", "ada_r"}
    assert {"d_real", "d_fake"} <= first.keys()
    assert own & first.keys() == (own if row == "stylegan2" else set())


@pytest.mark.costly
def test_weights_do_not_depend_on_how_images_are_drawn(tmp_path: Path) -> None:
    """The batch norms of BigGAN are measured on its own samples, after training. Two stores, one of which is asked
    for truncated images at once: the same weights, other images."""
    hyper = ["latent=8", "width=4", "embedding=4", "steps=2", "batch_size=8", "standing_statistics=1"]
    asked: dict[str, Any] = {"metrics": ["mse"], "samples": 8, "device": "cpu"}
    cells = []
    for threshold in ("0.1", None):
        overrides = [*hyper, *([f"sampling.truncation={threshold}"] if threshold else [])]
        ((cell, _),) = run_cells(
            "biggan", "digits", overrides=overrides, out=tmp_path / str(threshold), **asked
        )
        cells.append(cell)
    first, second = (read_weights(cell / "weights.safetensors").content for cell in cells)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert (cells[0] / "samples.png").read_bytes() != (cells[1] / "samples.png").read_bytes()
