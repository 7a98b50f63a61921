"""What a model can do, as small protocols. A model is a `torch.nn.Module` that satisfies one or more.

Every image that goes in or comes out is uint8 RGB N×3×H×W (see `core.images`); the float world stays inside.
The methods below run under `torch.inference_mode()` with the model in eval mode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from benchbench.core.seeds import ImageRng


class Degradation(Protocol):
    """What is done to images that a model is to undo.

    Attributes:
        name: As rows name it behind their task: "x2", "sigma25", "q10".
        scale: How many times smaller a side is afterwards; 1 where sizes stay.
    """

    @property
    def name(self) -> str: ...
    @property
    def scale(self) -> int: ...

    def of_image(self, image: Tensor, number: int) -> Tensor:
        """Degrade an image that is scored.

        Args:
            image: uint8 RGB, 1×3×H×W; the scale divides both sides.
            number: The image's own, from 0 on: all randomness comes from it.

        Returns:
            An image of 1×3×(H/scale)×(W/scale), on the CPU; uint8, or float32 grey levels where they are neither
            clipped nor rounded.
        """

    def of_patches(self, levels: Tensor) -> Tensor:
        """Degrade what a model learns from; all randomness comes from torch's global generator.

        Args:
            levels: float32 grey levels 0..255, N×C×H×W with C of 1 or 3; the scale divides both sides.

        Returns:
            float32 grey levels N×C×(H/scale)×(W/scale), whole ones where `of_image` has uint8.
        """


@dataclass(frozen=True)
class ImageSpec:
    """What a model must know of its data before it is built.

    Attributes:
        height: Of the images, in pixels; of the smallest, where they differ.
        width: Likewise.
        grey: Whether R = G = B everywhere.
        n_classes: How many classes the labels tell apart; 0 when there are no labels.
        degradation: What a restorer is to undo; None where nothing is to be restored.
        condition_dim: How many numbers the embedding of a caption has that a model is told; 0 where it is told none.
    """

    height: int
    width: int
    grey: bool
    n_classes: int
    degradation: Degradation | None = None
    condition_dim: int = 0

    @property
    def channels(self) -> int:
        """Channels inside a model: 1 for grey data, else 3."""
        return 1 if self.grey else 3


@runtime_checkable
class Sampled(Protocol):
    """A model with settings that only the drawing of images depends on: steps, guidance, temperature, and the like.

    The weights do not depend on them, so another value of one never trains anew. `models.build.build_model` sets
    `sampling`; a class gives it the defaults, `sampling = Sampling()`.

    Attributes:
        Sampling: The settings, a frozen pydantic model; its fields are what `--set sampling.` takes.
        sampling: Those that the next images are drawn with.
    """

    Sampling: ClassVar[type[BaseModel]]
    sampling: BaseModel


@runtime_checkable
class Choosy(Sampled, Protocol):
    """Cannot draw with all that its `Sampling` takes, because of what it was built as: more steps than it has times,
    guidance by classes that it is never told. Asked when it is built, so before it is trained."""

    def check_sampling(self) -> None:
        """Refuse what `sampling` asks for and the model cannot do.

        Raises:
            InputError: It says which setting, and what to do.
        """


@runtime_checkable
class Generator(Protocol):
    """Makes images from nothing."""

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """Draw images.

        Args:
            n: How many.
            rng: All randomness comes from here; its length is `n`.
            labels: The classes to draw, int64 (n,); None leaves them open.

        Returns:
            uint8 RGB, n×3×H×W.
        """


@runtime_checkable
class Conditional(Generator, Protocol):
    """A generator that can be asked for a class. Without `labels` its `sample` draws them uniformly from `rng`."""

    @property
    def conditional(self) -> bool:
        """Whether `labels` change what is drawn; one class may have both kinds, by its hyper-parameters."""


@runtime_checkable
class TextConditional(Generator, Protocol):
    """A generator that can be told what to show, by the embedding of a caption; `ImageSpec.condition_dim` says that it
    is going to be, and of how many numbers."""

    def sample_captions(self, conditions: Tensor, rng: ImageRng) -> Tensor:
        """Draw images of captions.

        Args:
            conditions: The embedding of the caption of each image, float32 (N, condition_dim).
            rng: All randomness comes from here; its length is N.

        Returns:
            uint8 RGB, N×3×H×W.
        """


@runtime_checkable
class Autoencoder(Generator, Protocol):
    """Also maps images to codes and back."""

    def encode(self, images: Tensor) -> Tensor:
        """Images to codes.

        Args:
            images: uint8 RGB, N×3×H×W.

        Returns:
            The deterministic code, for a VAE the posterior mean; float (N, latent).
        """

    def decode(self, codes: Tensor) -> Tensor:
        """Codes to images.

        Args:
            codes: As `encode` returns them.

        Returns:
            uint8 RGB, N×3×H×W.
        """

    def reconstruct(self, images: Tensor) -> Tensor:
        """`decode(encode(images))`.

        Args:
            images: uint8 RGB, N×3×H×W.

        Returns:
            uint8 RGB of the same shape.
        """


@runtime_checkable
class Invertible(Protocol):
    """Finds codes of given images, and makes images of codes again. What belongs to an image is found of it alone.

    A model may be one itself; ours are made so from outside (`models.inversion`), an `Autoencoder` by its encoder.

    Attributes:
        relabels: Whether a code means another image under another label: then the class of an image is changed by its
            label alone. Else labels are ignored by `decode`, and the class is a matter of the code.
        costly: Whether finding a code takes many evaluations of a network: then few training images are asked for
            theirs.
        inversion: How codes are found, JSON-able, for `run.json`: by what, in how many steps.
    """

    @property
    def relabels(self) -> bool: ...
    @property
    def costly(self) -> bool: ...
    @property
    def inversion(self) -> Mapping[str, str | int | float | bool]: ...

    def invert(self, images: Tensor, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """Codes of images.

        Args:
            images: uint8 RGB, N×3×H×W.
            rng: All randomness comes from here; its length is N. What is found without any draws nothing.
            labels: The classes of the images, int64 (N,); None where nobody knows.

        Returns:
            float (N, …), of which `decode` makes images that are close to these.
        """

    def decode(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Codes to images.

        Args:
            codes: As `invert` returns them, or moved from there.
            labels: The classes to make, int64 (N,), where the model `relabels`.

        Returns:
            uint8 RGB, N×3×H×W.
        """


@runtime_checkable
class Navigable(Protocol):
    """A generator whose images are a function of a latent alone, which may be moved by any small step.

    A model may be one itself; ours are made so from outside (`models.latent_space`).

    Attributes:
        spaces: In which latents lie: "z", from which images are drawn, and "w", of which a StyleGAN's layers are told.
    """

    @property
    def spaces(self) -> Sequence[str]: ...

    def latents(self, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """Draw latents z, two of each image.

        Args:
            rng: All randomness comes from here; its length is N.
            labels: The classes of the images, int64 (N,), where the model is told classes.

        Returns:
            float32 N×2×D.
        """

    def styles(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents in the space "w"; asked only of a model that has it.

        Args:
            latents: z, N×D.
            labels: As in `latents`.

        Returns:
            w, float32 N×D'.
        """

    def paint(self, latents: Tensor, space: str, labels: Tensor | None = None) -> Tensor:
        """Images of latents, the same for the same latents whatever was drawn before.

        Args:
            latents: N×D, of this space.
            space: One of `spaces`.
            labels: As in `latents`.

        Returns:
            float32 in [-1, 1] and a little beyond, N×C×H×W with C of 1 or 3; neither rounded nor clipped.
        """


@dataclass(frozen=True)
class LikelihoodEstimate:
    """One way in which a model says how probable images are.

    Attributes:
        name: As metrics name it behind `bits_per_dim`: "" for the exact probability of the 8-bit image, "uniform" for
            the density of the image with uniform noise on it, "elbo", "iwae64". Numbers of different names are never
            compared.
        relation: Of its expectation to the true value under this model, that of the density where levels are made
            continuous: "exact", or an "upper bound" of it.
        dequantization: How 8-bit levels are made continuous: "none" where the model speaks of the levels themselves.
        facts: What else the number depends on, JSON-able: samples, solver, tolerance.
        costly: Whether it takes many evaluations of a network an image. The task `likelihood` asks for it all the same;
            `generation` then leaves it out.
    """

    name: str
    relation: Literal["exact", "upper bound"]
    dequantization: Literal["none", "uniform"]
    facts: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    costly: bool = False


@runtime_checkable
class Likelihood(Protocol):
    """Says how probable images are."""

    def likelihoods(self) -> Sequence[LikelihoodEstimate]:
        """The ways in which it can, the best one first; none where its settings leave no probability of 8-bit images.

        Returns:
            Estimates with different names.
        """

    def nats(self, images: Tensor, estimate: str, rng: ImageRng) -> Tensor:
        """How improbable images are: -log p, of all `ImageSpec.channels` of the 8-bit image.

        Args:
            images: uint8 RGB, N×3×H×W; of a grey model R = G = B.
            estimate: The name of one of `likelihoods()`.
            rng: All randomness comes from here; its length is N.

        Returns:
            Nats, float64 (N,). Under uniform dequantisation that of the density on [0, 256)^D, an upper bound in
            expectation (Theis et al. 2016, equation 3).
        """


@runtime_checkable
class Examined(Generator, Protocol):
    """A generator that somebody else wrote, of which something is known only once its weights are there: what its
    images look like."""

    def examine(self, device: torch.device) -> Sequence[str]:
        """Look at what it makes.

        Args:
            device: Where it computes.

        Returns:
            What a reader of its numbers should know, in sentences.

        Raises:
            InputError: It makes no images, or it is not clear what they mean.
        """

    def describe(self) -> dict[str, Any]:
        """How it is asked and how its answers are read.

        Returns:
            For run.json, JSON-able.
        """


Direction = Literal["AtoB", "BtoA"]


@runtime_checkable
class Translator(Protocol):
    """Turns images of one domain into another.

    Attributes:
        directions: Those it can do, in the order they are evaluated.
        paired: Whether it learns from pairs, images of both domains that show the same thing; a model that does not is
            never shown which images belong together.
    """

    directions: Sequence[Direction]
    paired: bool

    def translate(self, images: Tensor, direction: Direction, rng: ImageRng) -> Tensor:
        """What images are in the other domain.

        Args:
            images: uint8 RGB, N×3×H×W; of A for "AtoB".
            direction: One of `directions`.
            rng: All randomness comes from here; its length is N. A deterministic model draws nothing.

        Returns:
            uint8 RGB of the same shape.

        Raises:
            InputError: `direction` is not among `directions`.
        """


@runtime_checkable
class Cyclic(Translator, Protocol):
    """Translates there and back without rounding in between."""

    def cycle(self, images: Tensor, direction: Direction, disturb: Callable[[Tensor], Tensor]) -> Tensor:
        """Images translated and back again.

        Args:
            images: uint8 RGB, N×3×H×W.
            direction: That of the first translation.
            disturb: Applied to the translation on its way back, float32 in [-1, 1], N×channels×H×W, the same shape out
                (Chu et al. 2017: what the model hides there is lost to rounding and noise).

        Returns:
            uint8 RGB of the same shape.
        """


@runtime_checkable
class Hinted(Translator, Protocol):
    """Takes some points of the truth as hints, as a person who colours line art would click them."""

    def translate_hinted(
        self, images: Tensor, direction: Direction, rng: ImageRng, truth: Tensor, hints: int
    ) -> Tensor:
        """As `translate`, but with some colours of the right answer known. Without hints it is `translate`.

        Args:
            images: As in `translate`.
            direction: As in `translate`.
            rng: As in `translate`; it draws the points, too.
            truth: The right answers, uint8 RGB, aligned with `images`.
            hints: At how many points of each image the colour is known.

        Returns:
            uint8 RGB of the same shape.
        """


@runtime_checkable
class Stylizer(Protocol):
    """Shows a content in the style of a picture."""

    def show_styles(self, styles: Tensor) -> None:
        """Show the pictures whose styles are asked for from now on. Called once, before training.

        Args:
            styles: uint8 RGB, of the size of the contents; as many as `ImageSpec.n_classes` said.
        """

    def stylize(self, contents: Tensor, style: int, rng: ImageRng) -> Tensor:
        """Contents in the style of one picture.

        Args:
            contents: uint8 RGB, N×3×H×W.
            style: The number of the picture, in the order of `show_styles`.
            rng: As in `Translator.translate`.

        Returns:
            uint8 RGB of the same shape.
        """


@runtime_checkable
class Restorer(Protocol):
    """Undoes a degradation, which `ImageSpec.degradation` tells it before it is built.

    A class may say `undoes`, the names of the tasks that it is made for; without it, it is asked for any.
    """

    def restore(self, degraded: Tensor) -> Tensor:
        """What the images were before they were degraded.

        Args:
            degraded: uint8 RGB, N×3×H×W, of any size; where noise is neither clipped nor rounded, float32 grey levels
                around 0..255.

        Returns:
            The same kind of thing, N×3×(scale·H)×(scale·W).
        """


@runtime_checkable
class Inpainter(Protocol):
    """Fills the holes of images.

    A class may say `undoes`, as a `Restorer` does: `("inpaint",)`.
    """

    def inpaint(self, images: Tensor, holes: Tensor) -> Tensor:
        """What the images were before they had holes.

        Args:
            images: uint8 RGB, N×3×H×W, of any size; missing pixels have the level 128 and say nothing.
            holes: bool N×1×H×W, True where a pixel is missing; of each image some are known.

        Returns:
            uint8 RGB of the same shape. Known pixels are put back by whoever asks, so only those in the holes count.

        Raises:
            InputError: The holes are not those of these images, or nothing of an image is known.
        """


@runtime_checkable
class Editor(Protocol):
    """Edits images as it is told: by the name of an edit and its strength (`data.edits.edit.EDITS`).

    Attributes:
        edits: The names of those it can do.
    """

    edits: Sequence[str]

    def edit(self, images: Tensor, edit: str, strength: float, rng: ImageRng) -> Tensor:
        """Images after an edit.

        Args:
            images: uint8 RGB, N×3×H×W, of any size.
            edit: One of `edits`.
            strength: In the unit of the edit.
            rng: All randomness comes from here; its length is N. A deterministic editor draws nothing.

        Returns:
            uint8 RGB of the same shape.
        """

    def undo(self, images: Tensor, edit: str, strength: float, rng: ImageRng) -> Tensor:
        """The way back from a geometric edit; it is asked for no other.

        Args:
            images: As `edit` returned them.
            edit: The edit that was made.
            strength: How strong it was.
            rng: As in `edit`.

        Returns:
            uint8 RGB of the same shape.
        """


@runtime_checkable
class Classifier(Protocol):
    """Tells the classes of a dataset apart."""

    def classify(self, images: Tensor) -> Tensor:
        """Images to logits.

        Args:
            images: uint8 RGB, N×3×H×W.

        Returns:
            float32 (N, n_classes).
        """


@runtime_checkable
class TextMatcher(Protocol):
    """Brings images and captions into one space, where what belongs together is near."""

    def image_codes(self, images: Tensor) -> Tensor:
        """Images to places.

        Args:
            images: uint8 RGB, N×3×H×W.

        Returns:
            Rows of length 1, float32 (N, D).
        """

    def caption_codes(self, conditions: Tensor) -> Tensor:
        """Captions to places.

        Args:
            conditions: Their embeddings, float32 (M, condition_dim).

        Returns:
            Rows of length 1, float32 (M, D).
        """


def unchanged(x: Tensor) -> Tensor:
    """The augmentation that does nothing.

    Args:
        x: Images.

    Returns:
        The same.
    """
    return x


@dataclass(frozen=True)
class Batch:
    """What a loss sees, on the training device.

    Attributes:
        x: Images, float32 in [-1, 1], N×channels×H×W; for a `Translator` those of domain A.
        labels: int64 (N,), or None.
        step: Counts optimiser steps from 0.
        total_steps: The planned end.
        augment: The differentiable augmentation that was asked for: a model with a discriminator applies it to whatever
            its discriminator sees, real or generated, and nowhere else (Zhao et al. 2020, equations 4 and 5).
        y: For a `Translator` the images of domain B, in the form of `x`. Row i of both shows the same thing if the
            model is `paired`, else they are drawn independently and may differ in number.
        part: Which part of the step's batch this is, from 0, where batches go through in parts
            (`TrainingConfig.accumulate`).
        condition: The embedding of the caption of each image, float32 (N, condition_dim); None where there are none.
    """

    x: Tensor
    labels: Tensor | None
    step: int
    total_steps: int
    augment: Callable[[Tensor], Tensor] = unchanged
    y: Tensor | None = None
    part: int = 0
    condition: Tensor | None = None


@dataclass(frozen=True)
class Phase:
    """One kind of optimiser step: whose parameters move, by which loss, how often, on which images.

    Attributes:
        player: A name among `players()`.
        name: What is minimised, where a player has more than one loss, for example "r1".
        every: In steps 0, every, 2·every, and so on. A phase that comes k times as rarely as the player's most frequent
            ones is a lazy regularisation: its loss is multiplied by k, and Adam is corrected for the steps that it adds
            (Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", appendix B).
        fresh_batch: Whether it sees the player's next batch of the step, or that of the player's phase before.
    """

    player: str
    name: str = "main"
    every: int = 1
    fresh_batch: bool = True


@runtime_checkable
class Trainable(Protocol):
    """Has losses. The loop lives in `training/`; a model only says who plays and what each one minimises.

    One step of the loop walks through its phases (`Phased`); in each of them the parameters of the phase's player get
    one optimiser step on `loss(phase, batch)`. A model that names no phases has one of each player, in the order of
    `players()`. A player's k-th fresh phase of a step sees the step's k-th batch: the five phases of the critic of a
    WGAN see five batches, and the generator the first of them.

    A model from before there were phases says `turns(step)`, the players by name in their order, and its `loss` takes
    that name in place of the phase; it is trained as it was.
    """

    def players(self) -> Mapping[str, nn.Module]:
        """The modules that are optimised, by name: one optimiser each."""

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """What a player minimises in a phase.

        Args:
            phase: One of those that the model names.
            batch: What it sees in this phase.

        Returns:
            The scalar to minimise, a mean over the images of the batch, and detached scalars worth a curve, whose names
            are columns of `curves.csv`.
        """


@runtime_checkable
class Phased(Trainable, Protocol):
    """Has other phases than one of each player: several critic steps, lazy regularisations."""

    def phases(self) -> Sequence[Phase]:
        """The phases of a step, in order; the same one may be named several times. Some have `every=1`."""


@runtime_checkable
class Averaged(Protocol):
    """Says of which of its parts the weights are averaged, where the training averages (`TrainingConfig.ema`)."""

    def averaged(self) -> Sequence[nn.Module]:
        """Modules of the model. The parameters of all others are handed out as they are; so are all buffers."""


@runtime_checkable
class Standing(Protocol):
    """Has batch norms whose running statistics can be taken anew from what the final weights generate, instead
    of from the weights' history ("standing statistics", Brock et al. 2019, appendix D)."""

    def standing_pass(self, n: int) -> None:
        """Generate images in training mode, from torch's global generator; nothing else is wanted of it.

        Args:
            n: How many.
        """


@runtime_checkable
class Observant(Protocol):
    """Reports more than its losses once an epoch, for example the number of active units."""

    def epoch_statistics(self, images: Tensor) -> dict[str, float]:
        """Numbers for `curves.csv`.

        Args:
            images: Held-out ones, uint8 RGB, at most a few hundred.

        Returns:
            Numbers by the name of their column.
        """


@runtime_checkable
class Fittable(Protocol):
    """Learns without gradient steps, for example a control row that hands out training images. One that may know all
    it needs without images says so by a property `ready`, and is not shown any then."""

    def fit(self, train: Tensor, held_out: Tensor) -> None:
        """Look at the images of both splits.

        Args:
            train: uint8 RGB, N×3×H×W.
            held_out: uint8 RGB, M×3×H×W; only a control may use them.
        """
