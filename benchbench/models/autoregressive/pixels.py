"""What models of pixels share: an exact likelihood, its loss, and the class that it may be told.

-log p(x) = Σ_i -log p(x_i | x_1, …, x_{i-1}) in raster order (van den Oord et al. 2016, equation 1), of the 8-bit
levels themselves: nothing is dequantised. Where a model is conditional on labels, an image without its label has p(x)
= Σ_c p(x | c) / C over the C classes, a uniform prior; that is what `nats` says, so that it compares with models that
know no labels.

Draws round as any product of floats does, and an autoregressive sampler carries on what it drew: where a number falls
within a rounding error of the border of two levels, the same image on another device or in a batch of another size
may go another way from that pixel on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.images import check_images, to_signed
from benchbench.core.protocols import Batch, ImageSpec, LikelihoodEstimate, Phase
from benchbench.core.seeds import ImageRng


class PixelModel(nn.Module):
    """The likelihood and everything around it; a family writes `image_nats`.

    conditional: whether it is told the class.
    """

    def __init__(self, spec: ImageSpec, conditional: bool) -> None:
        super().__init__()
        if conditional:
            check_conditional(spec)
        self.spec = spec
        self.conditional = conditional

    def image_nats(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """-log p of images in [-1, 1], N×C×H×W, given their labels where it is conditional; nats, float32 (N,)."""
        raise NotImplementedError

    # Trainable

    def players(self) -> Mapping[str, nn.Module]:
        """One player: the whole network."""
        return {"network": self}

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """-log p, nats per pixel and channel, mean over the batch."""
        labels = batch.labels if self.conditional else None
        loss = self.image_nats(batch.x, labels).mean() / math.prod(batch.x.shape[1:])
        return loss, {"bits_per_dim": loss.detach() / math.log(2)}

    # Observant

    def epoch_statistics(self, images: Tensor) -> dict[str, float]:
        """The same of held-out images, without their labels."""
        nats = self.nats(images, "", ImageRng(0, range(len(images))))
        dims = self.spec.channels * self.spec.height * self.spec.width
        return {"held_out_bits_per_dim": float(nats.mean()) / dims / math.log(2)}

    # Likelihood

    def likelihoods(self) -> Sequence[LikelihoodEstimate]:
        """One: exact."""
        facts = {"labels": "sum over classes, uniform prior"} if self.conditional else {}
        return (LikelihoodEstimate("", "exact", "none", facts),)

    def nats(self, images: Tensor, estimate: str, rng: ImageRng) -> Tensor:
        """-log p of 8-bit images, float64 (N,); draws nothing."""
        x = signed(images, self.spec, next(self.parameters()).device)
        if not self.conditional:
            return self.image_nats(x, None).double()
        classes = self.spec.n_classes
        given = [self.image_nats(x, torch.full((len(x),), c, device=x.device)) for c in range(classes)]
        return math.log(classes) - (-torch.stack(given).double()).logsumexp(0)


def check_conditional(spec: ImageSpec) -> None:
    """Refuse data that gives a conditional model nothing to condition on."""
    if not spec.n_classes:
        raise InputError(
            "conditional=true learns to make images of a class but this dataset has no labels; leave it out"
        )


def classes_to_draw(classes: int, rng: ImageRng, labels: Tensor | None, device: torch.device) -> Tensor:
    """The labels of images to draw: those given, else uniform from `rng`; one-hot, float32 (N, classes)."""
    labels = (rng.integers(classes) if labels is None else labels).to(device)
    if not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise InputError(
            f"the classes of this model are 0 to {classes - 1} but labels run from {int(labels.min())} to "
            f"{int(labels.max())}"
        )
    return one_hot(labels, classes)


def one_hot(numbers: Tensor, n: int) -> Tensor:
    """int64 of any shape to float32 with one more dimension of `n`; unlike torch's it never waits for the device."""
    return (numbers[..., None] == torch.arange(n, device=numbers.device)).float()


def signed(images: Tensor, spec: ImageSpec, device: torch.device) -> Tensor:
    """uint8 RGB to float32 in [-1, 1], N×`spec.channels`×H×W. `InputError` for another size."""
    check_images(images)
    if images.shape[2:] != (spec.height, spec.width):
        raise InputError(
            f"this model was built for {spec.height}x{spec.width} images but these are "
            f"{images.shape[2]}x{images.shape[3]}; resize them or train a model of that size"
        )
    return to_signed(images.to(device), spec.channels)
