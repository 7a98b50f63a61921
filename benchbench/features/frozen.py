"""What our extractors share: a frozen network in full float32, batch norms folded, and its provenance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from benchbench.core.images import check_images
from benchbench.features.extractor import Features


class FrozenExtractor:
    """Base of our extractors; subclasses set the class fields and write `forward`.

    network: any module; it is frozen and moved to `device`. weights_sha256: of the file with its weights.
    weights_source: where that file came from, in words fit for run.json (no path of this machine).
    """

    name: ClassVar[str]
    dim: ClassVar[int]
    n_logits: ClassVar[int]
    resize: ClassVar[str]
    batch_size: ClassVar[int]

    def __init__(
        self, network: nn.Module, device: torch.device | str, weights_sha256: str, weights_source: str
    ) -> None:
        self.device = torch.device(device)
        self.network = network.requires_grad_(False).eval().to(self.device)
        self.weights_sha256 = weights_sha256
        self.weights_source = weights_source

    def forward(self, images: Tensor) -> Features:
        """uint8 RGB N×3×H×W on `self.device` -> `Features`."""
        raise NotImplementedError

    def __call__(self, images: Tensor) -> Features:
        """uint8 RGB N×3×H×W, any device -> `Features` on the extractor's device; else `InputError`."""
        images = check_images(images).to(self.device)
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=False), full_float32():
            return self.forward(images)

    def describe(self) -> dict[str, Any]:
        """Provenance for run.json."""
        return {
            "name": self.name,
            "weights_sha256": self.weights_sha256,
            "weights_source": self.weights_source,
            "resize": self.resize,
            "precision": "float32",
        }


@contextmanager
def full_float32() -> Iterator[None]:
    """No TF32 inside: it keeps 10 of 23 bits of each factor, so numbers would depend on the kind of GPU."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def fold_batch_norm(weight: Tensor, norm: Mapping[str, Tensor], eps: float) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that equals `weight` followed by an evaluated batch norm.

    `norm` is the state dict of the batch norm. (w * x − μ) γ / sqrt(σ² + ε) + β is multiplied out in float64
    and rounded once to float32.
    """
    gamma, beta, mean, var = (norm[k].double() for k in ("weight", "bias", "running_mean", "running_var"))
    scale = gamma / (var + eps).sqrt()
    folded = weight.double() * scale.view(-1, 1, 1, 1)
    return folded.float(), (beta - mean * scale).float()
