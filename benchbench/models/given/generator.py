"""The one object that every generator of somebody's becomes: a `Generator` whose images belong to (seed, i).

How it is called (latents N×z or N×z×1×1, labels as numbers or rows, channels first or last) is found by trying on two
images when it is made; what black and white are, by looking at the first 16 images of a fixed seed once its weights are
there. Both are said. Latents, and whatever else is random, come from each image's own stream. A generator that draws
noise of its own besides gets its images made one at a time, the global generators seeded from that stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchbench.core.arrays import shape_text
from benchbench.core.errors import CellFailed, InputError, because, exhausted
from benchbench.core.randomness import borrowed_randomness
from benchbench.core.seeds import ImageRng
from benchbench.models.given.images import (
    NoImagesError,
    Span,
    batch_of,
    check_finite,
    layout_of,
    levels_of,
    span_of,
    within,
)
from benchbench.models.given.loaded import Loaded
from benchbench.models.given.settings import Layout, Stated

TRIED = 2
"""Images on which a form is tried."""

LOOKED_AT = 16
"""Images from which is told what black and white are."""

_SEED = 2**62
"""Of the images that are looked at; no run has it."""

_MOST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Form:
    """How a generator is called, and what it answers with.

    Attributes:
        latent: The shape of the latents of an image; empty where it takes none.
        one_hot: Whether labels are float32 rows with a one in them; None for no labels.
        layout: Where the channels of its images are.
        size: Height and width of its images.
        alone: Whether images are made one at a time, for it draws noise of its own.
    """

    latent: tuple[int, ...]
    one_hot: bool | None
    layout: Layout = "NCHW"
    size: tuple[int, int] = (0, 0)
    alone: bool = False


class GivenGenerator(nn.Module):
    """A generator of somebody's; a `core.protocols.Conditional` and `Examined`.

    Args:
        loaded: What a loader made of it.
        stated: What its owner said.
        n_classes: How many classes may be asked for; 0 for none.

    Attributes:
        config: What its owner said, with the sha256 of its files and the shape of its latents filled in.
        form: How it is called.

    Raises:
        InputError: It makes no images however it is called, or cannot be what was said.
    """

    def __init__(self, loaded: Loaded, stated: Stated, n_classes: int = 0) -> None:
        super().__init__()
        self.net = loaded.net
        self.stored, self.outside = loaded.stored, loaded.outside
        self.title, self.n_classes = loaded.title, n_classes
        self._loaded, self._stated = loaded, stated
        if stated.sha256 not in ("", loaded.sha256):
            raise InputError(
                f"{self.title} is not what was asked for: its sha256 is {loaded.sha256}, and {stated.sha256} was said"
            )
        self._conditional = self._is_conditional()
        with self._quiet(self.home()):
            self.form = self._found_form()
        latent = self.form.latent[0] if len(self.form.latent) == 1 else self.form.latent or None
        self.config = stated.model_copy(update={"sha256": loaded.sha256, "latent": latent})
        self._said = stated.range or loaded.span
        self._span: Span | None = self._said
        self._look = ""

    @property
    def notes(self) -> list[str]:
        """What a reader should know."""
        return [*self._told(), *self._loaded.notes, *filter(None, [self._look])]

    @property
    def conditional(self) -> bool:
        """Whether it is told classes."""
        return self._conditional

    @property
    def evaluations_per_image(self) -> int | None:
        """Of its network, where that is out of sight; None where whoever counts sees it."""
        return 1 if self.outside else None

    def home(self, otherwise: torch.device | str = "cpu") -> torch.device:
        """Where its weights are, and so where it computes.

        Args:
            otherwise: Where, if it has none that are seen.

        Returns:
            The device.
        """
        return next((weight.device for weight in self.parameters()), torch.device(otherwise))

    def state_dict(self, *arguments: Any, **words: Any) -> Any:
        """As the network has it: files of weights name its parts as its owner does."""
        return {} if self.net is None else self.net.state_dict(*arguments, **words)

    def load_state_dict(self, state_dict: Mapping[str, Any], *arguments: Any, **words: Any) -> Any:
        """Likewise."""
        assert self.net is not None
        return self.net.load_state_dict(state_dict, *arguments, **words)

    def examine(self, device: torch.device) -> Sequence[str]:
        """Look at what it makes, once its weights are there; what a reader should know of it. Of one that is looked at
        again, as weights change, black and white stay what they were as long as its images allow it.

        Args:
            device: Where it computes.

        Returns:
            Sentences.

        Raises:
            InputError: It makes no images, or nobody can tell what black and white are.
        """
        if self._loaded.span is not None and self._stated.range is None:
            return self.notes  # nothing is to be found, and a sampler may take minutes
        rng = ImageRng(_SEED, range(LOOKED_AT), device)
        labels = torch.arange(LOOKED_AT, device=device) % self.n_classes if self.conditional else None
        try:
            with self._quiet(device):
                images = self._images(rng, labels, self.form)
        except NoImagesError as error:
            raise InputError(str(error)) from error
        check_finite(images.float(), self.title, InputError)
        if self._said is None:
            if self._span is None or not within(images, self._span):
                self._span = span_of(images, self.title)
            low, high = images.min().item(), images.max().item()
            kind = "uint8" if images.dtype == torch.uint8 else "floats"
            self._look = (
                f"its images are {kind} in [{self._span[0]:g}, {self._span[1]:g}], {self.form.layout}: the first "
                f"{LOOKED_AT} lie in [{low:.3g}, {high:.3g}]"
            )
        elif self._stated.range is not None:
            low, high = self._stated.range
            self._look = f"what lies beyond [{low:g}, {high:g}] is cut off, as was said"
        return self.notes

    def describe(self) -> dict[str, Any]:
        """What run.json says of it, JSON-able."""
        return {
            "sha256": self._loaded.sha256 or None,
            "takes": self._loaded.takes,
            "latent": list(self.form.latent),
            "distribution": self._stated.distribution if self.form.latent else None,
            "labels": {None: None, True: "one-hot", False: "numbers"}[self.form.one_hot],
            "layout": self.form.layout,
            "range": None if self._span is None else list(self._span),
            "noise_of_its_own": self.form.alone,
            "notes": self.notes,
        }

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        """As `core.protocols.Generator.sample`."""
        if self._span is None:
            self.examine(rng.device)
        assert self._span is not None
        if self.conditional and labels is None:
            labels = rng.integers(self.n_classes)
        try:
            made = self._images(rng, labels if self.conditional else None, self.form)
        except NoImagesError as error:
            raise CellFailed(str(error)) from error
        return levels_of(
            made, self.form.layout, self._span, self.title, stated=self._stated.range is not None
        ).to(rng.device)

    def _is_conditional(self) -> bool:
        takes, said = self._loaded.labels, self._stated.labels
        if takes == "no" and said in ("numbers", "one-hot"):
            raise InputError(f"{self.title} takes no labels; leave labels={said} out")
        if takes == "no" or said == "none":
            return False
        if not self.n_classes and (takes == "required" or said != "auto"):
            raise InputError(
                f"{self.title} is told classes, and there are none here; use a dataset with classes, or say how many "
                "there are (classes=K), or --set labels=none if it may be told None"
            )
        return self.n_classes > 0

    def _found_form(self) -> Form:
        """The first form in which it makes images. `InputError` says of the first why it does not."""
        reasons = []
        for form in self._forms():
            rng = ImageRng(_SEED, range(TRIED), self.home())
            labels = torch.arange(TRIED, device=rng.device) % self.n_classes if self.conditional else None
            try:
                made = self._images(rng, labels, form, seed=0)
                layout = layout_of(made, self._stated.layout, self.title)
                again = self._images(ImageRng(_SEED, range(TRIED), self.home()), labels, form, seed=1)
            except NoImagesError as error:
                reasons.append(str(error))
                continue
            size = made.shape[2:] if layout == "NCHW" else made.shape[1:3]
            alone = self._loaded.takes == "number" or not torch.equal(made, again)
            return Form(form.latent, form.one_hot, layout, (size[0], size[1]), alone)
        tried = "; nor in another form that was tried" if len(reasons) > 1 else ""
        hint = "check --set latent=N" if self._loaded.takes == "latents" else "check what it is called with"
        raise InputError(f"{reasons[0]}{tried}; {hint}")

    def _forms(self) -> Iterator[Form]:
        said = {"one-hot": [True], "numbers": [False]}.get(self._stated.labels, [False, True])
        known = self._loaded.one_hot
        one_hots: list[bool | None] = [None] if not self.conditional else [*said]
        if self.conditional and known is not None:
            one_hots = [known]
        for one_hot in one_hots:
            for latent in self._latents():
                yield Form(latent, one_hot)

    def _latents(self) -> Sequence[tuple[int, ...]]:
        """The shapes that the latents of an image may have."""
        said, known = self._stated.latent, self._loaded.latent
        if self._loaded.takes != "latents":
            if said is not None:
                raise InputError(f"{self.title} takes no latents; leave latent={said} out")
            return [()]
        if known is not None:
            if said is not None and said not in (known, known[0]):
                raise InputError(
                    f"{self.title} takes latents of {'×'.join(map(str, known))} an image, and latent={said} was said"
                )
            return [known]
        if isinstance(said, tuple):
            return [said]
        sizes = self._loaded.sizes if said is None else [said]
        if not sizes:
            raise InputError(
                f"how long the latents of {self.title} are is not seen; say it with --set latent=N, in Python with "
                "benchbench.generator(…, latent=N)"
            )
        if self._loaded.labels != "no" and said is None and self.n_classes:
            sizes = [*sizes, *(size - self.n_classes for size in sizes if size > self.n_classes)]
        return [shape for size in sizes for shape in ((size,), (size, 1, 1))]

    def _images(self, rng: ImageRng, labels: Tensor | None, form: Form, seed: int | None = None) -> Tensor:
        """What it returns for a batch, uint8 or float32; `NoImagesError` where that is no images. seed: of the global
        generators, where what comes out is to show whether they matter."""
        if labels is not None and form.one_hot:
            labels = F.one_hot(labels, self.n_classes).float()
        first: Any = self._drawn(rng, form)
        if not (form.alone or seed is not None or self._loaded.takes == "number"):
            return self._called(first, labels, len(rng))
        if not form.alone and self._loaded.takes != "number":
            with borrowed_randomness(rng.device, seed):
                return self._called(first, labels, len(rng))
        seeds = rng.integers(_MOST_SEED).tolist()
        made = []
        for i, own in enumerate(seeds):
            alone = ImageRng(rng.seed, [rng.indices[i]], rng.device) if first is rng else first[i : i + 1]
            with borrowed_randomness(rng.device, own):
                made.append(self._called(alone, None if labels is None else labels[i : i + 1], 1))
        return torch.cat(made)

    def _drawn(self, rng: ImageRng, form: Form) -> Any:
        """What it is called with, a row an image."""
        if self._loaded.takes == "rng":
            return rng
        if self._loaded.takes == "number":
            return torch.zeros(len(rng))  # counted, and never looked at
        if self._stated.distribution == "uniform":
            return rng.uniform(*form.latent) * 2 - 1
        latents = rng.normal(*form.latent)
        if self._stated.distribution == "sphere":
            flat = latents.flatten(1)
            latents = (F.normalize(flat) * flat.shape[1] ** 0.5).view_as(latents)
        return latents

    def _called(self, first: Any, labels: Tensor | None, n: int) -> Tensor:
        """One call, or as many as it takes of a fixed number of images, the last filled up with copies."""
        size = self._loaded.batch
        if size is None or self._loaded.takes != "latents":
            return self._asked(n if self._loaded.takes == "number" else first, labels, n)
        rows = torch.arange(-(-n // size) * size, device=first.device).clamp_(max=n - 1).split(size)
        parts = [self._asked(first[own], None if labels is None else labels[own], size) for own in rows]
        return torch.cat(parts)[:n]

    def _asked(self, first: Any, labels: Tensor | None, n: int) -> Tensor:
        """One call; whatever it raises is a `NoImagesError`."""
        try:
            made = self._loaded.call(first, labels)
        except (InputError, KeyboardInterrupt):
            raise
        except (Exception, SystemExit) as error:
            if exhausted(error) is not None:
                raise
            given = f"{shape_text(first)} latents" if isinstance(first, Tensor) else f"{n} images"
            told = "" if labels is None else f" and labels of {shape_text(labels)}"
            raise NoImagesError(f"{self.title} failed on {given}{told} ({because(error)})") from error
        return batch_of(made, n, self.title)

    @contextmanager
    def _quiet(self, device: torch.device) -> Iterator[None]:
        """In eval mode, without gradients, every global generator put back."""
        with resting(self.net), borrowed_randomness(device), torch.no_grad():
            yield

    def _told(self) -> Iterator[str]:
        """What was found of how it is called, in words."""
        form, takes = self.form, self._loaded.takes
        if takes == "latents":
            whose = (
                "as was said" if self._stated.latent is not None else "as its file or its first layer has it"
            )
            kind = {
                "normal": "standard normal",
                "uniform": "uniform on [-1, 1]",
                "sphere": "on the sphere of radius √latent",
            }[self._stated.distribution]
            yield f"its latents are {kind}, N×{'×'.join(map(str, form.latent))}, {whose}"
        if form.one_hot is not None:
            yield (
                f"it is told the classes 0 to {self.n_classes - 1} in the order of the dataset, "
                f"{'as one-hot rows' if form.one_hot else 'as numbers'}"
            )
        elif self._loaded.labels != "no":
            yield "it can be told classes and is told none"
        if form.alone:
            yield "it draws noise of its own: images are made one at a time, each under a seed of its own"
        if self._loaded.batch is not None:
            yield f"it makes {self._loaded.batch} images a call, whatever is asked for"


@contextmanager
def resting(net: nn.Module | None) -> Iterator[None]:
    """In eval mode inside; afterwards every module is in the mode in which it was."""
    modes = [] if net is None else [(module, module.training) for module in net.modules()]
    if net is not None:
        net.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
