"""What all diffusion models and flows here share: one network, a loss of noise and time, labels and guidance.

Pattern: `Diffusion` owns the U-Net, the training, and what is drawn around a sampler (starting noise, labels,
rounding); a family says what the network is asked (`errors`) and how images come out of noise (`draw`).

- A loss is a mean over images of one time each. `errors` is a function of noise and of a number uniform on [0, 1) that
  says the time, so that held-out images can be asked with the same noise after every epoch.
- Where labels or captions are a condition, each is dropped with probability `label_dropout` while training (Ho &
  Salimans 2022, algorithm 1). `Sampling.guidance` is their w: (1 + w) times the answer with the label minus w times
  that without (equation 6). Noise, clean image and velocity are affine in what any of our networks answers, at a given
  x and time, so guiding the answer guides all of them. At 0 the network is asked once a step, else twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from benchbench.core.device_rng import DeviceRng
from benchbench.core.errors import InputError
from benchbench.core.images import quantize
from benchbench.core.protocols import Batch, ImageSpec, Phase
from benchbench.core.seeds import ImageRng
from benchbench.models.nn.diffusion_unet import DiffusionUNet, UNetConfig
from benchbench.models.nn.given import check_conditional, classes_asked_for, own_images


class Ask(Protocol):
    """The network: (x M×C×H×W, times (M,)) to M×C×H×W; `rows` says which of the batch they are, None for all."""

    def __call__(self, x: Tensor, time: Tensor, rows: Tensor | None = None) -> Tensor: ...


class DiffusionConfig(UNetConfig, frozen=True):
    """The network, and what it is told of an image."""

    conditional: bool = Field(default=False, description="the class is told; needs labels")
    label_dropout: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="share of labels or captions hidden in training, which guidance needs",
    )


class Guided(BaseModel, extra="forbid", frozen=True):
    """What the sampling settings of all families have."""

    guidance: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="w of classifier-free guidance; above 0 each step asks the network twice",
    )


class Diffusion(nn.Module):
    """A network of noisy images and times, trained on `errors` and drawn from by `draw`."""

    sampling: Guided

    def __init__(self, config: DiffusionConfig, spec: ImageSpec) -> None:
        super().__init__()
        if config.conditional and spec.condition_dim:
            raise InputError(
                "conditional=true tells the class of an image, and here its caption is told; leave conditional at false"
            )
        if config.conditional:
            check_conditional(spec)
        self.config = config
        self.spec = spec
        self.conditional = config.conditional
        self.network = DiffusionUNet(
            config,
            spec.channels,
            (spec.height, spec.width),
            n_classes=spec.n_classes if config.conditional else 0,
            vector=spec.condition_dim,
        )

    # What a family says.

    def errors(self, x: Tensor, noise: Tensor, u: Tensor, ask: Ask) -> Tensor:
        """What is minimised.

        Args:
            x: Images, float32 in [-1, 1], N×C×H×W.
            noise: Standard normal, of the same shape.
            u: Uniform on [0, 1), (N,): which time.
            ask: The network, told what it may know of the images.

        Returns:
            Squared errors a value, weighted as the family weighs times, float32 N×C×H×W.
        """
        raise NotImplementedError

    def draw(self, noise: Tensor, draws: DeviceRng, ask: Ask) -> Tensor:
        """Images from noise.

        Args:
            noise: Standard normal, float32 N×C×H×W.
            draws: For more of it.
            ask: The network, guided as `sampling` says.

        Returns:
            Images around [-1, 1], of the same shape.
        """
        raise NotImplementedError

    def prepared(self, x: Tensor) -> Tensor:
        """The images that are learned from, as training draws them."""
        return x

    def coupled(self, x: Tensor, noise: Tensor) -> Tensor:
        """The noise that goes with each image in training: as it was drawn."""
        return noise

    # Trainable

    def players(self) -> Mapping[str, nn.Module]:
        """One player: the network."""
        return {"network": self.network}

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean of `errors`, with noise, times and dropped labels from torch's global generator."""
        x = self.prepared(batch.x)
        noise = self.coupled(x, torch.randn_like(x))
        u = torch.rand(len(x), device=x.device)
        told, dropped = (batch.condition if self.spec.condition_dim else None), None
        if self.conditional:
            told = batch.labels
        if told is not None:
            dropped = torch.rand(len(x), device=x.device) < self.config.label_dropout
        return self.errors(x, noise, u, self.asked(told, dropped=dropped)).mean(), {}

    # Observant

    def epoch_statistics(self, images: Tensor) -> dict[str, float]:
        """The loss on held-out images, with the same noise and times every epoch, none coupled or told its label; of
        a model that was never shown an image without its label, nothing."""
        if not self.knows_all:
            return {}
        x = self.floats(images)
        rng = ImageRng(0, range(len(x)), x.device)
        noise, u = rng.normal(*x.shape[1:]), rng.uniform()
        return {"held_out_loss": float(self.errors(x, noise, u, self.asked(None)).detach().mean())}

    # Generator

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """`n` uint8 RGB images. A conditional model draws the labels that are not given, uniformly and first, from
        `rng`; an unconditional one ignores them, and one that was told captions is told none."""
        told = classes_asked_for(labels, self.spec.n_classes, rng, self.device) if self.conditional else None
        return self._drawn(told, rng)

    # TextConditional

    def sample_captions(self, conditions: Tensor, rng: ImageRng) -> Tensor:
        """One uint8 RGB image of each caption, float32 (N, condition_dim)."""
        dim = self.spec.condition_dim
        if not dim:
            raise InputError(
                "this model was built to be told no captions; train it with --task text-to-image"
            )
        if conditions.shape != (len(rng), dim):
            shape = "×".join(map(str, conditions.shape))
            raise InputError(
                f"the captions of {len(rng)} images must be {len(rng)}×{dim} numbers but are {shape}"
            )
        return self._drawn(conditions.to(self.device), rng)

    def _drawn(self, told: Tensor | None, rng: ImageRng) -> Tensor:
        """Images that are told this, guided as `sampling` says; None for the null condition, which nothing guides."""
        self.check_sampling()
        draws = rng.on_device()
        noise = draws.normal(self.spec.channels, self.spec.height, self.spec.width).to(self.device)
        return quantize(self.draw(noise, draws, self.asked(told, guidance=self.sampling.guidance)))

    # Choosy

    def check_sampling(self) -> None:
        """Guidance is between what the network answers with and without a label or caption, and needs both."""
        if not self.sampling.guidance:
            return
        if not (self.conditional or self.spec.condition_dim):
            raise InputError("guidance needs a conditional model; train one with --set conditional=true")
        if not self.knows_all:
            raise InputError(
                "guidance needs a model that was trained with label_dropout above 0; leave it at 0"
            )

    # For families.

    def asked(self, condition: Tensor | None, *, guidance: float = 0.0, dropped: Tensor | None = None) -> Ask:
        """The network, told these labels or captions but for those `dropped`, or guided by them; None for the null
        condition."""

        def ask(x: Tensor, time: Tensor, rows: Tensor | None = None) -> Tensor:
            told = condition if condition is None or rows is None else condition[rows]
            if told is None or not guidance:
                answer: Tensor = self.network(x, time, told, dropped)
                return answer.to(x.dtype)
            hidden = torch.arange(2 * len(x), device=x.device) >= len(x)
            both = self.network(torch.cat([x, x]), torch.cat([time, time]), torch.cat([told, told]), hidden)
            with_label, without = both.to(x.dtype).chunk(2)
            guided: Tensor = (1 + guidance) * with_label - guidance * without
            return guided

        return ask

    def floats(self, images: Tensor) -> Tensor:
        """uint8 RGB images of the size that the model was built for, as it computes on them."""
        return own_images(images, self.spec, self.device)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    @property
    def knows_all(self) -> bool:
        """Whether the network answers without a label or caption too, and so has a density of images."""
        told = self.conditional or self.spec.condition_dim > 0
        return not told or self.config.label_dropout > 0
