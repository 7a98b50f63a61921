"""What a model can do, as small protocols. A model is a `torch.nn.Module` that satisfies one or more.

Every image that goes in or comes out is uint8 RGB N×3×H×W (see `core.images`); the float world stays inside.
The methods below run under `torch.inference_mode()` with the model in eval mode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from pydantic import BaseModel
from torch import Tensor, nn

from benchbench.core.seeds import ImageRng


@dataclass(frozen=True)
class ImageSpec:
    """What a model must know of its data before it is built: `height`, `width`, `grey` (R = G = B everywhere),
    `n_classes` (0 when there are no labels)."""

    height: int
    width: int
    grey: bool
    n_classes: int

    @property
    def channels(self) -> int:
        """Channels inside a model: 1 for grey data, else 3."""
        return 1 if self.grey else 3


class ModelClass(Protocol):
    """What stands behind a name in the `benchbench.models` group: a class with a config of its own.

    The first line of its docstring is what `benchbench list models` shows, `reference` the paper.
    """

    Config: ClassVar[type[BaseModel]]
    reference: ClassVar[str]

    def __call__(self, config: Any, spec: ImageSpec) -> nn.Module: ...


@runtime_checkable
class Generator(Protocol):
    """Makes images from nothing."""

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """`n` images; all randomness comes from `rng`, whose length is `n`. `labels`: int64 (n,)."""


@runtime_checkable
class Conditional(Generator, Protocol):
    """A generator that can be asked for a class. Without `labels` its `sample` draws them uniformly from `rng`."""

    @property
    def conditional(self) -> bool:
        """Whether `labels` change what is drawn; one class may have both kinds, by its hyper-parameters."""


@runtime_checkable
class Autoencoder(Generator, Protocol):
    """Also maps images to codes and back."""

    def encode(self, images: Tensor) -> Tensor:
        """Images to codes, float (n, latent): the deterministic code, the posterior mean for a VAE."""

    def decode(self, codes: Tensor) -> Tensor:
        """Codes to images."""

    def reconstruct(self, images: Tensor) -> Tensor:
        """`decode(encode(images))`."""


Direction = Literal["AtoB", "BtoA"]


@runtime_checkable
class Translator(Protocol):
    """Turns images of one domain into another.

    directions: those it can do, in the order they are evaluated. paired: whether it learns from pairs, images of both
    domains that show the same thing; a model that does not is never shown which images belong together.
    """

    directions: Sequence[Direction]
    paired: bool

    def translate(self, images: Tensor, direction: Direction, rng: ImageRng) -> Tensor:
        """What `images` (of A for "AtoB") are in the other domain, of the same shape. All randomness comes from `rng`,
        whose length is that of `images`; a deterministic model draws nothing. `InputError` for a direction that is
        not among `directions`."""


@runtime_checkable
class Cyclic(Translator, Protocol):
    """Translates there and back without rounding in between."""

    def cycle(self, images: Tensor, direction: Direction, disturb: Callable[[Tensor], Tensor]) -> Tensor:
        """`images` translated in `direction` and back again. `disturb` is applied to the translation on its way back,
        float32 in [-1, 1], N×channels×H×W, the same shape out (Chu et al. 2017: what the model hides there is lost
        to rounding and noise)."""


@runtime_checkable
class Hinted(Translator, Protocol):
    """Takes some points of the truth as hints, as a person who colours line art would click them."""

    def translate_hinted(
        self, images: Tensor, direction: Direction, rng: ImageRng, truth: Tensor, hints: int
    ) -> Tensor:
        """As `translate`, but the colours of `truth` (uint8 RGB, aligned) are known at `hints` points of each image,
        which `rng` draws. Without hints it is `translate`."""


@runtime_checkable
class Stylizer(Protocol):
    """Shows a content in the style of a picture."""

    def show_styles(self, styles: Tensor) -> None:
        """The pictures (uint8 RGB, of the size of the contents) whose styles are asked for from now on; called once,
        before training. As many as `ImageSpec.n_classes` said."""

    def stylize(self, contents: Tensor, style: int, rng: ImageRng) -> Tensor:
        """`contents` in the style of picture number `style`; randomness as in `Translator.translate`."""


@runtime_checkable
class Restorer(Protocol):
    """Undoes a degradation."""

    def restore(self, degraded: Tensor) -> Tensor: ...


@runtime_checkable
class Classifier(Protocol):
    """Tells the classes of a dataset apart."""

    def classify(self, images: Tensor) -> Tensor:
        """Images to logits, float32 (n, n_classes)."""


def unchanged(x: Tensor) -> Tensor:
    """The augmentation that does nothing."""
    return x


@dataclass(frozen=True)
class Batch:
    """What a loss sees: `x` float32 in [-1, 1], N×channels×H×W, on the training device; `labels` int64 (N,)
    or None; `step` counts optimiser steps from 0, `total_steps` is the planned end. `augment` is the
    differentiable augmentation that was asked for: a model with a discriminator applies it to whatever its
    discriminator sees, real or generated, and nowhere else (Zhao et al. 2020, equations 4 and 5). For a `Translator`
    `x` is of domain A and `y` of domain B, in the same form; row i of both shows the same thing if the model is
    `paired`, else they are drawn independently and may differ in number."""

    x: Tensor
    labels: Tensor | None
    step: int
    total_steps: int
    augment: Callable[[Tensor], Tensor] = unchanged
    y: Tensor | None = None


@runtime_checkable
class Trainable(Protocol):
    """Has losses. The loop lives in `training/`; a model only says who plays and what each one minimises.

    One step of the loop walks through `turns(step)`; in each turn the named player's parameters get one
    optimiser step on `loss(player, batch)`. A VAE has one player and one turn; a GAN with n_dis = 5 returns
    ("discriminator",) * 5 + ("generator",). A player's k-th turn of a step sees the step's k-th batch: the five
    turns of that critic see five batches, and the generator the first of them.
    """

    def players(self) -> Mapping[str, nn.Module]:
        """The modules that are optimised, by name: one optimiser each."""

    def turns(self, step: int) -> Sequence[str]:
        """Who moves in this step, in order."""

    def loss(self, player: str, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The scalar this player minimises, and detached scalars worth a curve (their names are columns)."""


@runtime_checkable
class Standing(Protocol):
    """Has batch norms whose running statistics can be taken anew from what the final weights generate, instead
    of from the weights' history ("standing statistics", Brock et al. 2019, appendix D)."""

    def standing_pass(self, n: int) -> None:
        """Generate `n` images in training mode, from torch's global generator; nothing else is wanted of it."""


@runtime_checkable
class Observant(Protocol):
    """Reports more than its losses once an epoch, for example the number of active units."""

    def epoch_statistics(self, images: Tensor) -> dict[str, float]:
        """Numbers for `curves.csv` from held-out `images` (uint8 RGB, at most a few hundred)."""


@runtime_checkable
class Fittable(Protocol):
    """Learns without gradient steps, for example a control row that hands out training images."""

    def fit(self, train: Tensor, held_out: Tensor) -> None:
        """Look at the images of both splits (uint8 RGB); only a control may use `held_out`."""
