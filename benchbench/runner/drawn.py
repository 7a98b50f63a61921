"""Images that a generator in memory draws, as a stream to be scored: `benchbench.evaluate(my_model, …)`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.randomness import borrowed_randomness
from benchbench.core.seeds import ImageRng, image_rngs
from benchbench.data.pipeline.blocks import Block
from benchbench.data.pipeline.image_stream import ImageStream
from benchbench.data.pipeline.kinds import by_number
from benchbench.data.sources.options import SourceOptions
from benchbench.models.given.family import generator
from benchbench.models.given.generator import GivenGenerator, resting
from benchbench.models.given.where import plain

BATCH = 64
"""Images a forward pass, whatever is scored at once."""

Drawing = nn.Module | Callable[..., Any]


def draws(thing: object) -> bool:
    """Whether this is something that makes images, and no images."""
    return isinstance(thing, nn.Module) or (callable(thing) and not hasattr(thing, "__iter__"))


def stream_of(thing: Drawing, options: SourceOptions) -> ImageStream:
    """The images of a generator. `InputError` where their number is not said, or it makes none.

    options: `samples`, `seed`, `latent`, `classes`, and the `device` of one whose weights nobody sees.
    """
    if options.samples is None:
        raise InputError("a generator makes any number of images: say how many with samples=N")
    if options.kind is not None:
        raise InputError(
            "kind is for images that a text names; a generator in memory is none, so leave it out"
        )
    if isinstance(thing, GivenGenerator) and (options.latent, options.classes) != (None, None):
        raise InputError("latent and classes are said to benchbench.generator; leave them out here")
    own = generator(thing, latent=options.latent, classes=options.classes or 0)
    device, samples, seed = own.home(options.device), options.samples, options.seed
    notes = own.examine(device)
    name = "generator-" + (plain(own.title) or "images")

    def blocks() -> Generator[Block, None, None]:
        for images in drawn(own, range(samples), seed=seed, device=device):
            yield Block(images.cpu().numpy(), name).resized(options.size)

    labels = ImageRng(seed, range(samples)).integers(own.n_classes) if own.conditional else None
    return ImageStream(
        name,
        samples,
        blocks,
        labels=labels,
        kinds=lambda: by_number(labels, own.n_classes),
        notes=notes,
        varies=True,
    )


def drawn(
    own: GivenGenerator,
    indices: range,
    *,
    seed: int,
    device: torch.device,
    labels: Tensor | None = None,
    batch_size: int = BATCH,
) -> Iterator[Tensor]:
    """The images of these numbers, uint8 N×3×H×W on `device`; afterwards the generator is in the mode in which it was,
    and whatever draws random numbers is where it was.

    labels: int64, the class of image i in place i; None leaves them to the images' own streams.
    """
    # Not in inference mode: what a module keeps of a pass could not be trained with afterwards.
    cast = torch.autocast(device.type, enabled=False) if device.type in ("cuda", "cpu") else nullcontext()
    for rng in image_rngs(seed, indices, batch_size, device):
        asked = None if labels is None else labels[rng.indices].to(device)
        with resting(own.net), borrowed_randomness(device), torch.no_grad(), cast:
            images = own.sample(len(rng), rng, asked)
        yield images
