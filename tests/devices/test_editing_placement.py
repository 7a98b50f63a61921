"""Edits of images and of codes on a device: the same images as on the CPU."""

from __future__ import annotations

import pytest
import torch
from pretend_cuda import CUDA, DeviceTensor, Traffic
from torch import Tensor, nn

from benchbench.core.images import quantize, to_signed
from benchbench.core.protocols import ImageSpec
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng
from benchbench.data.dataset import Dataset, Split
from benchbench.data.edits.edit import EDITS, GEOMETRIC
from benchbench.models.build import build_model
from benchbench.models.inversion.encoder import Encoded
from benchbench.tasks.latent.codes import codes_of, decoded


def pictures(n: int, side: int = 12) -> Tensor:
    """Seeded noise, uint8 RGB."""
    return torch.randint(
        0, 256, (n, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(n)
    )


@pytest.mark.parametrize("edit", GEOMETRIC)
def test_kernels_on_the_device(edit: str, cuda: Traffic) -> None:
    """There and back, where the images are; equal bits, since the arithmetic is the same."""
    model, images = build_model("edit-bicubic", {}, ImageSpec(12, 12, False, 0)), pictures(2)
    for make in (model.edit, model.undo):
        here = make(images, edit, EDITS[edit].middle, ImageRng(0, [0, 1]))
        there = make(images.to(CUDA), edit, EDITS[edit].middle, ImageRng(0, [0, 1], CUDA))
        assert isinstance(there, DeviceTensor)
        assert torch.equal(there.cpu(), here)


class Pixels(nn.Module):
    """An autoencoder whose codes are the images."""

    def encode(self, images: Tensor) -> Tensor:
        return to_signed(images)

    def decode(self, codes: Tensor) -> Tensor:
        return quantize(codes)


def test_codes_on_the_device(cuda: Traffic) -> None:
    """Directions, random ones, and what is made of both: those of the CPU; edited images come back from the device."""
    train, held_out = (Split(pictures(n), torch.arange(n) % 3, "") for n in (9, 5))
    data = Dataset("d", train, held_out, ("a", "b", "c"))
    made = []
    for runtime in (Runtime(), Runtime(CUDA)):
        model = Encoded(Pixels())
        codes = codes_of(model, data, 5, 1, 0, runtime)
        made.append(
            [decoded(model, codes.codes + way, runtime) for way in (codes.directions, codes.random(1))]
        )
    for here, there in zip(*made, strict=True):
        assert not isinstance(there, DeviceTensor)
        assert torch.equal(here, there)
