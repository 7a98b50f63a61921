"""Judges trained on the dataset itself: the project's own `cnn` classifiers as extractors.

ImageNet networks have no class for "a seven". Which modes of a dataset a generator covers is asked of a
classifier of that dataset (Srivastava et al. 2017), and this is it: the weights that `benchbench
run --model cnn --dataset NAME` leaves, one extractor a dataset.

The network is read off the weights' names and shapes (`levels.<level>.<layer>`, 3×3 convolutions in turn with
batch norms, averages of 2×2 between levels) with every batch norm folded into the convolution before it. The
class that trains is in the models room, which this room does not know; a test holds the two together.

Scope: images of another size than the classifier was trained on are resized by antialiased bilinear
interpolation in float32. A classifier of grey images looks at the mean of the channels.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from benchbench.core.baselines import baselines_folder
from benchbench.core.errors import MetricFailed
from benchbench.features.extractor import Features
from benchbench.features.frozen import FrozenExtractor, fold_batch_norm
from benchbench.features.weights import check_sha256, wrong_shape

_LAYERS = 3  # convolution, batch norm, ReLU


class FoldedCNN(nn.Module):
    """Float images in [-1, 1], N×C×H×W -> float32 features N×D and logits N×K, as the weights say."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        """`weights`: the state dict of a trained `cnn`. KeyError or RuntimeError for another network's."""
        super().__init__()
        left = dict(weights)

        def take(prefix: str) -> dict[str, Tensor]:
            names = [name for name in left if name.startswith(f"{prefix}.")]
            return {name.removeprefix(f"{prefix}."): left.pop(name) for name in names}

        levels = []
        for number in itertools.count():
            level: list[nn.Module] = []
            for layer in itertools.count(step=_LAYERS):
                conv = take(f"levels.{number}.{layer}")
                if not conv:
                    break
                norm = take(f"levels.{number}.{layer + 1}")
                weight, bias = fold_batch_norm(conv["weight"], norm, eps=1e-5)
                folded = nn.Conv2d(weight.shape[1], weight.shape[0], kernel_size=3, padding=1)
                folded.load_state_dict({"weight": weight, "bias": bias})
                level += [folded, nn.ReLU(inplace=True)]
            if not level:
                break
            levels.append(nn.Sequential(*level))
        head = take("head")
        self.head = nn.Linear(head["weight"].shape[1], head["weight"].shape[0])
        self.head.load_state_dict(head)
        if left or not levels:
            raise KeyError(f"{next(iter(left), 'nothing')} is not what a cnn has")
        self.levels = nn.ModuleList(levels)
        self.channels = weights["levels.0.0.weight"].shape[1]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for number, level in enumerate(self.levels):
            x = level(F.avg_pool2d(x, 2) if number else x)
        features = x.float().mean(dim=(2, 3))
        return features, self.head(features)


class _CNN(FrozenExtractor):
    """A trained `cnn`. sha256: how the digest of the shipped weights begins; "" where none are shipped."""

    dim = 128
    n_logits = 10
    batch_size = 64

    input_side: ClassVar[int]
    sha256: ClassVar[str] = ""

    def __init__(self, device: torch.device | str = "cpu", *, precision: str = "float32") -> None:
        """`MetricFailed(status="unavailable")` says how to train the weights where there are none."""
        path, expected, source = self._locate()
        sha256 = check_sha256(path, self.name, expected)
        try:
            network = FoldedCNN(load_file(path))
        except (SafetensorError, OSError) as error:
            raise MetricFailed(
                f"{path}, the weights of {self.name}, is damaged or no safetensors file; get it again",
                status="unavailable",
            ) from error
        except (KeyError, RuntimeError) as error:
            raise wrong_shape(self.name, error) from error
        found = (network.head.in_features, network.head.out_features)
        if found != (self.dim, self.n_logits):
            raise MetricFailed(
                f"the weights given for {self.name} have {found[0]} features and {found[1]} classes, not "
                f"{self.dim} and {self.n_logits}",
                status="unavailable",
            )
        super().__init__(network.to(memory_format=torch.channels_last), device, sha256, source, precision)

    def _locate(self) -> tuple[Path, str, str]:
        """The file, how its sha256 must begin, and where it comes from in words."""
        dataset = self.name.removeprefix("cnn_")
        env = f"BENCHBENCH_{self.name.upper().replace('-', '_')}_WEIGHTS"  # a shell knows no hyphens
        if given := os.environ.get(env):
            if not Path(given).is_file():
                raise MetricFailed(f"{env} names {given}, which is not a file", status="unavailable")
            return Path(given), "", f"a file named by {env}"
        shipped = baselines_folder() / f"cnn-{dataset}" / "weights.safetensors"
        if not shipped.is_file():
            raise MetricFailed(
                f"{self.name} needs a classifier trained on {dataset}: run benchbench run --model cnn "
                f"--dataset {dataset}, then point {env} to the weights.safetensors in its record",
                status="unavailable",
            )
        return shipped, self.sha256, f"shipped, baselines/cnn-{dataset}"

    def forward(self, images: Tensor) -> Features:
        x = images.to(torch.float32)
        if self.network.channels == 1:
            x = x.mean(dim=1, keepdim=True)  # exact where R = G = B
        if x.shape[2:] != (self.input_side, self.input_side):
            side = (self.input_side, self.input_side)
            x = F.interpolate(x, side, mode="bilinear", antialias=True, align_corners=False)
        x = x.contiguous(memory_format=torch.channels_last)
        return Features(*self.network(x.div_(127.5).sub_(1).to(self.dtype)))


class CNNDigits(_CNN):
    """The project's own classifier of digits; its weights are shipped, its accuracy is in their card."""

    name = "cnn_digits"
    input_side = 32
    resize = "bilinear-antialias-32"
    sha256 = "b0b2d75fc4ebc86452be7ff5e10f464c9f19bff89cdd0f0d530d30fe73b74f0b"


class CNNMNIST(_CNN):
    """The project's own classifier of MNIST; its weights are shipped, its accuracy is in their card."""

    name = "cnn_mnist"
    input_side = 28
    resize = "bilinear-antialias-28"
    sha256 = "6232d65205582994d2974fed7c68dd2938f2289adf0c8505904c2559b688ba8d"


class CNNCIFAR10(_CNN):
    """The project's own classifier of CIFAR-10; train it once with `benchbench run --model cnn`."""

    name = "cnn_cifar10"
    input_side = 32
    resize = "bilinear-antialias-32"


class CNNOpenMojiTones(_CNN):
    """The project's own judge of skin tones, light or dark; its weights are shipped, its accuracy is in their card."""

    name = "cnn_openmoji-tones"
    input_side = 32
    n_logits = 2
    resize = "bilinear-antialias-32"
    sha256 = "6cf6218a235b86e94e3dd8fdc04949c33e15b8e5f6268fb5c4ed0aca287ee4a0"
