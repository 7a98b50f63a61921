"""The VAEs learn on real pictures: the code carries information and samples are not black."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from benchbench.core.protocols import ImageSpec
from benchbench.core.seeds import ImageRng
from benchbench.models.build import build_model
from benchbench.models.vae.vae import VAE, VAEConfig
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.trainer import train

CPU = torch.device("cpu")


def digits() -> tuple[Tensor, Tensor]:
    """scikit-learn's 8×8 digits, doubled to 16×16, grey as RGB: 600 to train, 200 held out."""
    levels = torch.from_numpy(load_digits().images * (255 / 16)).round().to(torch.uint8)[:800, None]
    images = levels.repeat_interleave(2, 2).repeat_interleave(2, 3).expand(-1, 3, -1, -1).contiguous()
    return images[:600], images[600:]


def fit(model: nn.Module, epochs: int, grey: bool = True) -> list[dict[str, float]]:
    images, held_out = digits()
    if not grey:
        images[0, 0, 0, 0] = 9  # one value is enough for the loop to hand over three channels
    config = TrainingConfig(batch_size=50, epochs=epochs, lr=3e-3)
    return train(model, TrainingData(images, None, held_out), config, seed=0, device=CPU).curves


@pytest.mark.costly
@pytest.mark.parametrize("name", ["vae", "vae-mlp"])
@pytest.mark.parametrize("grey", [True, False])
def test_the_code_is_used(name: str, grey: bool) -> None:
    """After 16 epochs the held-out KL is nats, not a fraction of one, and most of the six units are active;
    reconstructions of held-out digits beat the mean training image, the best that a collapsed model can
    paint; samples have ink and differ. The bounds leave a factor of about two to what was seen."""
    images, held_out = digits()
    torch.manual_seed(0)
    width = 64 if name == "vae-mlp" else 8
    model = build_model(name, {"latent": 6, "width": width}, ImageSpec(16, 16, grey, 0))
    assert isinstance(model, VAE)
    row = fit(model, 16, grey)[-1]
    assert row["held_out_kl"] > 2
    assert row["active_units"] >= 3
    with torch.inference_mode():
        error = (model.reconstruct(held_out).float() - held_out).square().mean()
        mean_error = (images.float().mean(0) - held_out).square().mean()
        made = model.sample(32, ImageRng(0, range(32))).float()
    assert error < 0.75 * mean_error
    assert 0.5 < made.mean() / images.float().mean() < 2
    assert made.std(0).mean() > 15


def test_what_sigma_one_would_do() -> None:
    """The contrast: squared error with sigma = 1 on a sigmoid's [0, 1] output, the usual tutorial's loss
    averaged over pixels, prices an image below a nat, and the posterior collapses onto the prior: KL < 0.1
    nats."""
    torch.manual_seed(0)
    base = build_model("vae-mlp", {"latent": 6, "width": 64}, ImageSpec(16, 16, True, 0))
    assert isinstance(base, VAE)
    model = _Tutorial(VAEConfig(latent=6), base.spec, base.encoder, base.decoder)
    row = fit(model, 8)[-1]
    assert row["held_out_kl"] < 0.1
    assert row["active_units"] == 0


class _Tutorial(VAE):
    def reconstruction_nats(self, z: Tensor, x: Tensor) -> Tensor:
        return (torch.sigmoid(self.likelihood_parameters(z)) - (x + 1) / 2).square().flatten(1).mean(1)


def test_loss_falls() -> None:
    """The bound on the training images falls, and on held-out images it is not far from it."""
    torch.manual_seed(0)
    curves = fit(build_model("vae-mlp", {"latent": 4, "width": 32}, ImageSpec(16, 16, True, 0)), 5)
    assert curves[-1]["loss"] < 0.8 * curves[0]["loss"]
    held_out = curves[-1]["held_out_reconstruction"] + curves[-1]["held_out_kl"]
    assert held_out == pytest.approx(curves[-1]["loss"], rel=0.1)
