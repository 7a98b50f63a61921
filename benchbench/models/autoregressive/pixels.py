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

from benchbench.core.protocols import Batch, ImageSpec, LikelihoodEstimate, Phase
from benchbench.core.seeds import ImageRng
from benchbench.models.nn.given import check_conditional, own_images


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
        x = own_images(images, self.spec, next(self.parameters()).device)
        if not self.conditional:
            return self.image_nats(x, None).double()
        classes = self.spec.n_classes
        given = [self.image_nats(x, torch.full((len(x),), c, device=x.device)) for c in range(classes)]
        return math.log(classes) - (-torch.stack(given).double()).logsumexp(0)


def one_hot(numbers: Tensor, n: int) -> Tensor:
    """int64 of any shape to float32 with one more dimension of `n`; unlike torch's it never waits for the device."""
    return (numbers[..., None] == torch.arange(n, device=numbers.device)).float()
