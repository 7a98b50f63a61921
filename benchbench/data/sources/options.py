"""How a source is to be read, in one value that goes from the front door to whoever reads."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from benchbench.core.errors import InputError

LARGEST = 4096


@dataclass(frozen=True)
class SourceOptions:
    """kind: what the source is, where its name does not tell (`spec.KINDS`). size: bring all images to size×size: the
    largest centred square, by Pillow's LANCZOS filter. allow_pickle: read arrays of pickled objects and run
    TorchScript, which are programs of their authors. any_size: whether registered photographs are taken as they are, at
    their own sizes, and not as a dataset of one size. Of a generator alone: latent, the length of its latents; samples,
    how many images to make; classes, of a conditional one; seed, of its noise; device, where it runs.
    """

    kind: str | None = None
    size: int | None = None
    allow_pickle: bool = False
    any_size: bool = False
    latent: int | None = None
    samples: int | None = None
    classes: int | None = None
    seed: int = 0
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        if self.size is not None and not 1 <= self.size <= LARGEST:
            raise InputError(f"size {self.size} is not a side in pixels between 1 and {LARGEST}")
