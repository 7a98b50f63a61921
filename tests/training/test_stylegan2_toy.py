"""A StyleGAN2 in small, as a third party would write it: a mapping network, modulated convolutions, lazy R1 and path
length, a generator that is averaged by a half-life. It overrides no more than the game leaves open.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.images import quantize
from benchbench.core.protocols import Batch, ImageSpec, Phase
from benchbench.core.seeds import ImageRng
from benchbench.data.builtin.digits import Digits
from benchbench.models.gan.adversarial import Adversarial, AdversarialConfig
from benchbench.training.checkpoint import FILE, Checkpoints
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.state import TrainingResult
from benchbench.training.trainer import train

SPEC = ImageSpec(8, 8, grey=True, n_classes=0)


class Modulated(nn.Module):
    """A 3×3 convolution whose inputs are scaled by a style and whose outputs back to unit variance (Karras et al. 2020,
    equations 1 and 3)."""

    def __init__(self, style: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.affine = nn.Linear(style, inputs)
        nn.init.ones_(self.affine.bias)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3) / (9 * inputs) ** 0.5)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style = self.affine(w)
        scale = (style.square() @ self.weight.square().sum((2, 3)).T + 1e-8).rsqrt()
        made = F.conv2d(x * style[:, :, None, None], self.weight, padding=1) * scale[:, :, None, None]
        return F.leaky_relu(made, 0.2)


class StyleGenerator(nn.Module):
    """z to w by a mapping network, w to images of 8×8; remembers where w is on average."""

    def __init__(self, latent: int, width: int) -> None:
        super().__init__()
        self.mapping = nn.Sequential(
            nn.Linear(latent, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2)
        )
        self.constant = nn.Parameter(torch.randn(1, width, 4, 4))
        self.first, self.second = Modulated(width, width, width), Modulated(width, width, width)
        self.to_grey = nn.Conv2d(width, 1, 1)
        self.register_buffer("mean_w", torch.zeros(width))

    def style(self, z: Tensor) -> Tensor:
        w: Tensor = self.mapping(z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt())
        if self.training:
            self.mean_w.lerp_(w.detach().mean(0), 0.01)
        return w

    def images(self, w: Tensor) -> Tensor:
        x = self.first(self.constant.expand(len(w), -1, -1, -1), w)
        return self.to_grey(self.second(F.interpolate(x, scale_factor=2), w)).tanh()

    def forward(self, z: Tensor, labels: Tensor | None) -> Tensor:
        return self.images(self.style(z))


class Critic(nn.Sequential):
    """Images to scores."""

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        return super().forward(x)[:, 0]  # type: ignore[no-any-return]


class StyleGAN2Toy(Adversarial):
    """The StyleGAN2 of a test."""

    reference: ClassVar[str] = "Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN"

    class Config(AdversarialConfig, frozen=True):
        """Weights of the regularisations."""

        latent: int = 16
        width: int = 32
        r1: float = 0.1
        path_length: float = 0.1

    class Sampling(BaseModel, extra="forbid", frozen=True):
        """The truncation trick."""

        truncation: float = Field(default=1.0, ge=0)

    config: Config
    sampling = Sampling()
    generator: StyleGenerator

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        width = config.width
        critic = Critic(
            nn.Conv2d(1, width, 3, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(width, width, 3, 2, 1), nn.LeakyReLU(0.2),
            nn.Flatten(), nn.Linear(4 * width, 1),
        )  # fmt: skip
        super().__init__(config, spec, StyleGenerator(config.latent, width), critic)
        self.register_buffer("mean_length", torch.zeros(()), persistent=False)

    def phases(self) -> Sequence[Phase]:
        return (
            *super().phases(),
            Phase("discriminator", "r1", every=16, fresh_batch=False),
            Phase("generator", "path_length", every=4, fresh_batch=False),
        )

    def averaged(self) -> Sequence[nn.Module]:
        return [self.generator]

    def regularization(self, phase: Phase, batch: Batch) -> Tensor:
        """R1 (Mescheder et al. 2018, equation 9) and the path length (Karras et al. 2020, equation 4)."""
        if phase.name == "r1":
            real = batch.augment(batch.x).requires_grad_()
            (slope,) = torch.autograd.grad(self.score(real, None).sum(), real, create_graph=True)
            return self.config.r1 / 2 * slope.square().sum((1, 2, 3)).mean()
        w = self.generator.style(torch.randn(len(batch.x), self.config.latent))
        made = self.generator.images(w)
        directions = torch.randn_like(made) / (made.shape[2] * made.shape[3]) ** 0.5
        (slope,) = torch.autograd.grad((made * directions).sum(), w, create_graph=True)
        lengths = slope.square().sum(1).sqrt()
        self.mean_length.lerp_(lengths.detach().mean(), 0.01)
        return self.config.path_length * (lengths - self.mean_length).square().mean()

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        w = self.generator.style(rng.normal(self.config.latent))
        return quantize(self.generator.images(self.generator.mean_w.lerp(w, self.sampling.truncation)))


def toy() -> StyleGAN2Toy:
    torch.manual_seed(0)
    return StyleGAN2Toy(StyleGAN2Toy.Config(), SPEC)


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    """Digits at the 8×8 that they have."""
    data = Digits().load()
    small = [F.avg_pool2d(split.images.float(), 4).round().byte() for split in (data.train, data.held_out)]
    return TrainingData(small[0], None, small[1])


PAPER: dict[str, Any] = {
    "batch_size": 32,
    "lr": 4e-3,
    "betas": (0, 0.99),
    "ema": {"kind": "halflife", "images": 500, "rampup": 0.05},
}


def go(model: nn.Module, data: TrainingData, folder: Path | None = None, **settings: Any) -> TrainingResult:
    config = TrainingConfig.model_validate(PAPER | settings)
    checkpoints = Checkpoints(folder, {}) if folder else None
    return train(model, data, config, seed=0, device=torch.device("cpu"), checkpoints=checkpoints)


def distance(model: StyleGAN2Toy, data: TrainingData) -> float:
    """Fréchet distance of pixels in [0, 1], by the eigenvalues of Σ₁Σ₂."""
    with torch.inference_mode():
        made = model.eval().sample(500, ImageRng(1, range(500)))
    a, b = (images[:, 0].flatten(1).double() / 255 for images in (made, data.images))
    roots = torch.linalg.eigvals(a.T.cov() @ b.T.cov()).real.clamp(min=0).sqrt().sum()
    return float((a.mean(0) - b.mean(0)).square().sum() + a.T.cov().trace() + b.T.cov().trace() - 2 * roots)


@pytest.mark.costly
def test_it_learns_digits(digits: TrainingData) -> None:
    """300 steps take the distance of pixels to less than half of the untrained one, 0.25 of it here. The
    regularisations have their columns."""
    model = toy()
    before = distance(model, digits)
    rows = go(model, digits, steps=300).curves
    assert distance(model, digits) < 0.5 * before
    assert {
        "loss_discriminator",
        "loss_generator",
        "loss_discriminator_r1",
        "loss_generator_path_length",
    } <= (rows[0].keys())


def test_what_is_kept_of_it(digits: TrainingData, tmp_path: Path) -> None:
    """Adam's settings are corrected by 16/17 and 4/5, 33 steps are 33 + 3 and 33 + 9 of the optimisers; the average is
    one of the generator's parameters alone, and what is handed out of the discriminator is what it is."""
    model = toy()
    go(model, digits, tmp_path, steps=33)
    state = torch.load(tmp_path / FILE, weights_only=True)["state"]
    for player, ratio, steps in (("discriminator", 16 / 17, 36), ("generator", 4 / 5, 42)):
        adam = state["optimizers"][player]
        (group,) = adam["param_groups"]
        assert group["lr"] == pytest.approx(4e-3 * ratio)
        assert tuple(group["betas"]) == pytest.approx((0, 0.99**ratio))
        # A bias behind the last layer has no part in a slope, so R1 does not move it.
        assert max(int(own["step"]) for own in adam["state"].values()) == steps
    averaged, updates = state["ema"]
    assert updates == 33
    assert set(averaged) == {name for name, _ in model.named_parameters() if name.startswith("generator.")}
    for name, value in model.state_dict().items():
        kept = averaged.get(name, state["model"][name])
        assert torch.equal(value, kept), name
    assert not torch.equal(averaged["generator.constant"], state["model"]["generator.constant"])


def test_it_resumes_exactly(digits: TrainingData, tmp_path: Path) -> None:
    """Stopped at step 13, between two path lengths: the same weights bit for bit, so the mean length of paths, which is
    no weight, came back too."""

    class Stopping(StyleGAN2Toy):
        def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
            self.steps = getattr(self, "steps", 0) + 1
            if self.steps == 14:
                raise InterruptedError
            return super().discriminator_loss(real, fake)

    whole, resumed = toy(), toy()
    torch.manual_seed(0)
    stopping = Stopping(StyleGAN2Toy.Config(), SPEC)
    go(whole, digits, steps=20, checkpoint_every=1)
    with pytest.raises(InterruptedError):
        go(stopping, digits, tmp_path, steps=20, checkpoint_every=1)
    go(resumed, digits, tmp_path, steps=20, checkpoint_every=1)
    assert torch.equal(whole.mean_length, resumed.mean_length)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_its_sampler(digits: TrainingData) -> None:
    """Another truncation draws from the same weights: 0 is one image, that of the mean style."""
    model = toy()
    go(model, digits, steps=2)
    model.sampling = StyleGAN2Toy.Sampling(truncation=0)
    with torch.inference_mode():
        made = model.sample(4, ImageRng(0, range(4)))
    assert len(made.flatten(1).unique(dim=0)) == 1
