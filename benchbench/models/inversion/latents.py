"""Codes of GANs, which have none for given images: latents or styles whose images are nearest, by descent.

A GAN's latent is looked for as z (Creswell & Bharath 2018), under the label of the image where there are labels. That
of StyleGAN2 is looked for as w, one style for all layers (Karras et al. 2020, section 5), from the styles of random
latents, without the noise of the layers and without truncation. A style is what the mapping network made of a label, so
another label changes nothing in it.

Batch norms of a generator are those of evaluation: an image does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict

import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.images import quantize
from benchbench.core.seeds import ImageRng
from benchbench.models.gan.adversarial import Adversarial
from benchbench.models.gan.stylegan2 import StyleGAN2
from benchbench.models.inversion.descent import Descent, descended
from benchbench.models.nn.given import own_images


class Latents:
    """A GAN, inverted by descent to the latent z."""

    costly = True

    def __init__(self, model: Adversarial, descent: Descent) -> None:
        self.model, self.descent = model, descent

    @property
    def relabels(self) -> bool:
        """Where the generator is told the class beside the latent."""
        return self.model.conditional

    @property
    def inversion(self) -> Mapping[str, str | int | float | bool]:
        """Descent, and in how many steps of which rate from how many starts."""
        return {"by": "descent", **asdict(self.descent)}

    def painter(self, labels: Tensor | None) -> Callable[[Tensor], Tensor]:
        """From codes to images in [-1, 1], N×C×H×W; gradients go through it."""
        return lambda z: self.model.generate(z, labels)

    def starts(self, rng: ImageRng, labels: Tensor | None) -> Tensor:
        """Codes to begin with, (starts, N, size); labels (starts·N,)."""
        drawn = rng.normal(self.descent.starts, self.model.config.latent)
        return drawn.to(self._device).transpose(0, 1)

    def invert(self, images: Tensor, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """Codes (N, size); starts come from `rng`."""
        with torch.inference_mode(False):  # whoever asks may be in it, and its tensors have no gradients
            targets = own_images(images.clone(), self.model.spec, self._device)
            asked = self._asked(labels)
            repeated = None if asked is None else asked.clone().repeat(self.descent.starts)
            with torch.no_grad():
                starts = self.starts(rng, repeated)
            return descended(self.painter(repeated), starts, targets, self.descent)

    def decode(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images of codes."""
        return quantize(self.painter(self._asked(labels))(codes.to(self._device)))

    def _asked(self, labels: Tensor | None) -> Tensor | None:
        if self.relabels and labels is None:
            raise InputError("this model is told the classes of images beside their codes; say labels")
        return labels.to(self._device) if self.model.conditional and labels is not None else None

    @property
    def _device(self) -> torch.device:
        return next(self.model.generator.parameters()).device


class Styles(Latents):
    """StyleGAN2, inverted by descent to a style w."""

    model: StyleGAN2
    relabels = False

    def painter(self, labels: Tensor | None) -> Callable[[Tensor], Tensor]:
        """One style for all layers, no noise."""
        network, spec = self.model.generator, self.model.spec

        def paint(w: Tensor) -> Tensor:
            calm = [w.new_zeros(len(w), 1, *side) for side in network.sides]
            images = network.synthesis(w[:, None].expand(-1, network.n_styles, -1), calm)
            return images[..., : spec.height, : spec.width].float()

        return paint

    def starts(self, rng: ImageRng, labels: Tensor | None) -> Tensor:
        """Styles of random latents, of images' own classes where there are classes."""
        z = super().starts(rng, labels)
        return self.model.generator.mapping(z.flatten(0, 1), labels).unflatten(0, z.shape[:2])  # type: ignore[no-any-return]
