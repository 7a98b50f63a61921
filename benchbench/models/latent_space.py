"""Whose images are a function of a latent, and how it is asked without rounding: from outside the model.

A model that has `latents` and `paint` does it itself. For ours, classes by name, as in `models.inversion.inverter`;
they stand for their subclasses too, and the nearest one counts. Images are what the network makes, before they
become 8 bits; batch norms are those of evaluation, and the noise of StyleGAN2's layers is none: an image depends on
its latent alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from benchbench.core.protocols import Navigable
from benchbench.core.seeds import ImageRng
from benchbench.models.by_class import of_nearest_class

if TYPE_CHECKING:
    from benchbench.models.gan.adversarial import Adversarial
    from benchbench.models.gan.stylegan2 import StyleGAN2


def space_of(model: nn.Module) -> Navigable | None:
    """Who paints the latents of this model.

    Args:
        model: Built; trained or not.

    Returns:
        The model itself, or what asks it; None for a model whose images are no function of one latent.
    """
    if isinstance(model, Navigable):
        return model
    found = of_nearest_class(model, SPACES)
    return None if found is None else found(model)


class Latents:
    """A GAN in the space of its latents z ~ N(0, I)."""

    spaces: Sequence[str] = ("z",)

    def __init__(self, model: Adversarial) -> None:
        self.model = model

    def latents(self, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """Two of each image, from `rng`."""
        return rng.normal(2, self.model.config.latent).to(next(self.model.generator.parameters()).device)

    def styles(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """There are none."""
        raise NotImplementedError(f"{type(self.model).__name__} has no space w")

    def paint(self, latents: Tensor, space: str, labels: Tensor | None = None) -> Tensor:
        """What the generator makes of them."""
        return self.model.generate(latents, labels if self.model.conditional else None)


class Mapped(Latents):
    """StyleGAN2 in z and in w, one style for all layers; neither truncated nor mixed."""

    spaces = ("z", "w")
    model: StyleGAN2

    def styles(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """What the mapping network makes of latents."""
        return self.model.generator.mapping(latents, labels if self.model.conditional else None)  # type: ignore[no-any-return]

    def paint(self, latents: Tensor, space: str, labels: Tensor | None = None) -> Tensor:
        """What the synthesis network makes of styles, or of those of latents."""
        from benchbench.models.inversion.descent import Descent
        from benchbench.models.inversion.latents import Styles

        w = latents if space == "w" else self.styles(latents, labels)
        return Styles(self.model, Descent(0, 0.0, 0)).painter(labels)(w)  # nothing is looked for here


SPACES: Mapping[str, Callable[[Any], Navigable]] = {
    "benchbench.models.gan.adversarial:Adversarial": Latents,
    "benchbench.models.gan.stylegan2:StyleGAN2": Mapped,
}
