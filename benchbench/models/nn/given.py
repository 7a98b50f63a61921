"""What a model is given, checked: images of the size that it was built for, and classes that its data have."""

from __future__ import annotations

import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.images import check_images, to_signed
from benchbench.core.protocols import ImageSpec
from benchbench.core.seeds import ImageRng


def check_own_size(images: Tensor, spec: ImageSpec) -> None:
    """`InputError` for what is not uint8 RGB, N×3×H×W, of the height and width of `spec`."""
    check_images(images)
    if images.shape[2:] != (spec.height, spec.width):
        raise InputError(
            f"this model was built for {spec.height}x{spec.width} images but these are "
            f"{images.shape[2]}x{images.shape[3]}; resize them or train a model of that size"
        )


def own_images(images: Tensor, spec: ImageSpec, device: torch.device) -> Tensor:
    """uint8 RGB images of the model's own size as it computes on them: float32 in [-1, 1], N×`spec.channels`×H×W."""
    check_own_size(images, spec)
    return to_signed(images.to(device), spec.channels)


def check_conditional(spec: ImageSpec) -> None:
    """`InputError` for data that give a conditional model nothing to be told."""
    if not spec.n_classes:
        raise InputError(
            "conditional=true learns to make images of a class but this dataset has no labels; use one with labels, or "
            "leave it out"
        )


def classes_asked_for(labels: Tensor | None, n_classes: int, rng: ImageRng, device: torch.device) -> Tensor:
    """`labels` on the device, or uniform ones from `rng` where none are given; int64 (N,). `InputError` for what is
    no class."""
    asked = (rng.integers(n_classes) if labels is None else labels).to(device)
    lowest, highest = int(asked.min()), int(asked.max())
    if not 0 <= lowest <= highest < n_classes:
        raise InputError(
            f"the classes of this model are 0 to {n_classes - 1} but labels run from {lowest} to {highest}"
        )
    return asked
