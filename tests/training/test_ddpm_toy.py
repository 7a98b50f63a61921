"""A DDPM in small, as a third party would write it: a thousand steps of noise, one player, a sampler whose steps can be
set without training anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.hashing import file_sha256
from benchbench.core.images import quantize
from benchbench.core.protocols import Batch, ImageSpec, Phase
from benchbench.core.registry import MODELS, Registry
from benchbench.core.seeds import ImageRng
from benchbench.data.builtin.digits import Digits
from benchbench.models.build import build_model
from benchbench.results.load import load_results
from benchbench.results.provenance import read_run_json
from benchbench.runner.run import run_cells
from benchbench.tasks.speed import measure_cost
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.trainer import train

CPU = torch.device("cpu")
STEPS = 1000
SIDE = 8  # the digits' own; shown at 32, where nothing is added


class Noise(nn.Module):
    """What noise an image holds at a time: an image as a row and the time as waves (Ho et al. 2020, appendix B)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(SIDE**2 + 32, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, SIDE**2)
        )  # fmt: skip
        self.register_buffer("rates", (-math.log(1e4) * torch.arange(16) / 16).exp(), persistent=False)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        waves = t[:, None] * self.rates
        return self.layers(torch.cat([x, waves.sin(), waves.cos()], 1))  # type: ignore[no-any-return]


class DDPMToy(nn.Module):
    """The diffusion model of a test."""

    reference: ClassVar[str] = "Ho et al. 2020, Denoising Diffusion Probabilistic Models, arXiv:2006.11239"

    class Config(BaseModel, extra="forbid", frozen=True):
        """The network."""

        width: int = 256

    class Sampling(BaseModel, extra="forbid", frozen=True):
        """How many of the thousand times are visited."""

        steps: int = Field(default=STEPS, ge=1, le=STEPS)

    sampling = Sampling()

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config, self.scale = config, spec.height // SIDE
        self.network = Noise(config.width)
        kept = (1 - torch.linspace(1e-4, 0.02, STEPS, dtype=torch.float64)).cumprod(0)
        self.register_buffer("kept", kept.float(), persistent=False)

    def players(self) -> Mapping[str, nn.Module]:
        return {"network": self.network}

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Equation 14."""
        x = F.avg_pool2d(batch.x[:, :1], self.scale).flatten(1)
        t = torch.randint(STEPS, (len(x),), device=x.device)
        noise, kept = torch.randn_like(x), self.kept[t][:, None]
        return F.mse_loss(self.network(kept.sqrt() * x + (1 - kept).sqrt() * noise, t), noise), {}

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """Algorithm 2 on the times that are visited, with the variance of equation 7, which is DDIM with η = 1 (Song et
        al. 2021, equation 12)."""
        draws = rng.on_device()
        x = draws.normal(SIDE**2)
        times = torch.linspace(STEPS - 1, 0, self.sampling.steps).round().long()
        for t, before in zip(times, [*times[1:], None], strict=True):
            now = self.kept[t]
            then = self.kept.new_ones(()) if before is None else self.kept[before]
            noise = self.network(x, t.expand(n).to(x.device))
            clean = ((x - (1 - now).sqrt() * noise) / now.sqrt()).clamp(-1, 1)
            variance = (1 - then) / (1 - now) * (1 - now / then)
            towards = (x - now.sqrt() * clean) / (1 - now).sqrt()
            x = then.sqrt() * clean + (1 - then - variance).clamp(min=0).sqrt() * towards
            if before is not None:
                x = x + variance.sqrt() * draws.normal(SIDE**2)
        images = quantize(x.view(n, 1, SIDE, SIDE))
        return images.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an installed package would be."""
    entries = Registry._entries
    toy = EntryPoint("ddpm-toy", f"{__name__}:DDPMToy", MODELS.group)

    def with_toy(self: Registry) -> dict[str, EntryPoint]:
        return entries(self) | ({"ddpm-toy": toy} if self.kind == "model" else {})

    monkeypatch.setattr(Registry, "_entries", with_toy)


def run(out: Path, *overrides: str) -> tuple[Path, dict[str, float], dict[str, Any]]:
    """A record of few steps of training: its folder, numbers and run.json."""
    options: dict[str, Any] = {
        "metrics": ["fd"], "extractors": ["cnn_digits"], "samples": 64, "device": "cpu",
        "overrides": ["training.steps=20", "batch_size=32", "ema.kind=power", *overrides],
    }  # fmt: skip
    ((path, _),) = run_cells("ddpm-toy", "digits", out=out, **options)
    rows = load_results(path).set_index("metric")
    return path, rows["value"].to_dict(), read_run_json(path / "run.json")


@pytest.mark.slow
def test_a_thousand_steps_are_a_thousand_evaluations() -> None:
    """Counted, not stated, by what a run measures."""
    for steps in (STEPS, 10):
        model = build_model("ddpm-toy", {}, Digits().load().spec, {"steps": steps}).eval()
        (counted,) = (row for row in measure_cost(model, device=CPU) if row.metric == "network_evaluations")
        assert counted.estimate.value == steps


@pytest.mark.slow
def test_a_run_draws_anew_with_other_steps(tmp_path: Path) -> None:
    """From training to the record. With fifty steps the same weights draw again: one training, two records."""
    whole, numbers, facts = run(tmp_path)
    assert numbers["network_evaluations"] == 1000
    assert facts["sampling"] == {"steps": 1000}
    assert numbers["fd_cnn_digits"] > 0
    fewer, again, other = run(tmp_path, "sampling.steps=50")
    assert again["network_evaluations"] == 50
    assert fewer != whole
    assert other["training_key"] == facts["training_key"]
    assert file_sha256(fewer / "weights.safetensors") == file_sha256(whole / "weights.safetensors")
    assert again["fd_cnn_digits"] != numbers["fd_cnn_digits"]


def brightness_gap(model: nn.Module, images: Tensor) -> float:
    """Between the mean of 128 samples and that of `images`, pixel by pixel, in parts of the range."""
    with torch.inference_mode():
        made = model.eval().sample(128, ImageRng(3, range(128)))  # type: ignore[operator]
    mine, theirs = (some[:, 0].float().mean(0) / 255 for some in (made, images))
    return float((mine - theirs).abs().mean())


@pytest.mark.slow
def test_it_learns_digits() -> None:
    """1,500 steps of training and 1,000 of drawing: each pixel is on average as bright as in digits, to 0.09 of the
    range (two seeds gave 0.06) where an untrained network is off by 0.27; an image does not depend on its batch."""
    data = Digits().load()
    torch.manual_seed(0)
    model = build_model("ddpm-toy", {}, data.spec)
    config = TrainingConfig.model_validate(
        {
            "steps": 1500,
            "batch_size": 64,
            "lr": 1e-3,
            "ema": {"kind": "halflife", "images": 5000, "rampup": 0.05},
        }
    )
    learned = TrainingData(data.train.images, None, data.held_out.images)
    untrained = brightness_gap(model, data.train.images)
    train(model, learned, config, seed=0, device=CPU)
    assert brightness_gap(model, data.train.images) < 0.09 < untrained / 2.5
    with torch.inference_mode():
        made = model.sample(8, ImageRng(3, range(8)))
        alone = model.sample(2, ImageRng(3, range(6, 8)))
    assert (alone.int() - made[6:].int()).abs().max() <= 1  # products of other sizes round otherwise
