"""What our extractors share: a frozen network, batch norms folded, its precision and its provenance.

float32 is full float32. In bfloat16 and float16 the convolutions alone have other weights and other inputs;
images are resized and normalised in float32, and what comes after the last convolution (pooling, the linear
layer of the logits) is float32 again. Pooling averages the rounding errors of a map's places out, so that a
feature rounded only after it would be off by more than all that went before. (`torch_fidelity_nets` does it
another way.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from benchbench.core.device import send
from benchbench.core.errors import MetricFailed
from benchbench.core.images import check_images
from benchbench.core.precision import PRECISIONS
from benchbench.features.extractor import Features

BATCH_ON_DEVICE = 128  # images at once; Inception-v3 then takes about 3 GiB
_DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in PRECISIONS}


class FrozenExtractor:
    """Base of our extractors; subclasses set the class fields and write `forward`.

    Attributes:
        name: As in `features.extractor.Extractor`, and so are the next five.
        dim: How many numbers the features of an image are.
        n_logits: How many logits an image has; 0 without a classifier.
        resize: The preprocessing by name.
        input_side: The side in pixels that images are brought to; None where they are taken as they come.
        batch_size: How many images a call are fastest on a CPU; elsewhere it is at least 128.
        reads: The extractor whose forward pass yields these features too (`features.extractor.passes`); "" for none.

    Args:
        network: Any module; it is frozen and moved to `device`, its convolutions to `precision`. A subclass hands it
            images in `self.dtype`, and the network turns to float32 after its last convolution.
        device: Where it computes.
        weights_sha256: sha256 (hex) of the file with its weights.
        weights_source: Where that file came from, in words fit for run.json (no path of this machine).
        precision: One of `core.precision.PRECISIONS`.
    """

    name: ClassVar[str]
    dim: int
    n_logits: int
    resize: str
    input_side: int | None = None
    reads: ClassVar[str] = ""
    batch_size: int

    def __init__(
        self,
        network: nn.Module,
        device: torch.device | str,
        weights_sha256: str,
        weights_source: str,
        precision: str = "float32",
    ) -> None:
        self.device = torch.device(device)
        if self.device.type != "cpu":  # starting a kernel takes longer than a small batch
            self.batch_size = max(self.batch_size, BATCH_ON_DEVICE)
        self.precision = precision
        self.dtype = _DTYPES[precision]
        self.network = network.requires_grad_(False).eval().to(self.device)
        for layer in self.network.modules():
            if isinstance(layer, nn.Conv2d):
                layer.to(self.dtype)
        self.weights_sha256 = weights_sha256
        self.weights_source = weights_source

    def forward(self, images: Tensor) -> Features:
        """Read images that were checked; a subclass writes this.

        Args:
            images: uint8 RGB N×3×H×W, on `self.device`.

        Returns:
            Features and logits, both float32.
        """
        raise NotImplementedError

    def __call__(self, images: Tensor) -> Features:
        """Read images, without gradients and in full float32 where it is float32.

        Args:
            images: uint8 RGB N×3×H×W, any device.

        Returns:
            Features and logits, float32, on the extractor's device.

        Raises:
            InputError: These are no such images.
            MetricFailed: float16, whose largest number is 65,504, was too small for them.
        """
        return self._checked(lambda images: {self.name: self.forward(images)}, images)[self.name]

    def _checked(
        self, forward: Callable[[Tensor], dict[str, Features]], images: Tensor
    ) -> dict[str, Features]:
        """What `forward` says of images that were checked and sent to the device, by the name of the extractor."""
        images = send(check_images(images), self.device)
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=False), full_float32():
            seen = forward(images)
        for name, own in seen.items():
            if self.dtype == torch.float16 and not torch.isfinite(own.features).all():
                raise MetricFailed(f"{name} overflows float16 on these images; use bfloat16 or float32")
        return seen

    def describe(self) -> dict[str, Any]:
        """Provenance for run.json.

        Returns:
            `name`, `weights_sha256`, `weights_source`, `resize` and `precision`.
        """
        return {
            "name": self.name,
            "weights_sha256": self.weights_sha256,
            "weights_source": self.weights_source,
            "resize": self.resize,
            "precision": self.precision,
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
