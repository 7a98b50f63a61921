"""The in-domain matcher as a judge: images and captions to one space, by the weights that `--model matcher` leaves.

The weights are those that `BENCHBENCH_MATCHER_<DATASET>_WEIGHTS` names, else those in `baselines/matcher-<dataset>/`.
The network is read off their names and shapes: `levels` and `head` are a folded `cnn` (`features.networks.cnn`), `text`
is one linear layer, `side` the size that it was trained at. The class that trains is in the models room, which this
room does not know; a test holds the two together.

Scope: images of another size are resized by antialiased bilinear interpolation in float32.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.baselines import CHECKSUM, baselines_folder, published_weights
from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.hashing import file_sha256
from benchbench.core.images import check_images
from benchbench.features.frozen import full_float32
from benchbench.features.networks.cnn import FoldedCNN, variable
from benchbench.features.weights import read_state_dict, wrong_shape

BATCH = 256


class MatcherJudge:
    """The matcher of a dataset.

    Attributes:
        weights_sha256: sha256 (hex) of its weights.

    Args:
        dataset: The dataset's name.
        device: Where it computes.

    Raises:
        MetricFailed: With the status "unavailable", where there are no weights; it says how to make them.
    """

    def __init__(self, dataset: str, device: torch.device | str = "cpu") -> None:
        name, path = f"matcher of {dataset}", weights_of(dataset)
        self.dataset, self.device = dataset, torch.device(device)
        self.weights_sha256 = file_sha256(path)
        weights = read_state_dict(path, name)
        try:
            text = {part: weights.pop(f"text.{part}") for part in ("weight", "bias")}
            height, width = weights.pop("side").tolist()
            self.side = int(height), int(width)
            weights.pop("sharpness")
            self.image = FoldedCNN(weights)
            self.text = nn.Linear(text["weight"].shape[1], text["weight"].shape[0])
            self.text.load_state_dict(text)
            if min(self.side) < 1 or self.text.out_features != self.image.head.out_features:
                raise ValueError("both towers must end in one space, and images have a size")
        except (KeyError, RuntimeError, IndexError, TypeError, ValueError) as error:
            raise wrong_shape(name, error) from error
        for tower in (self.image, self.text):
            tower.requires_grad_(False).eval().to(self.device)

    def images(self, images: Tensor) -> Tensor:
        """Read images.

        Args:
            images: uint8 RGB N×3×H×W, any device.

        Returns:
            Rows of length 1, float32 (N, D), on the CPU.
        """
        x = check_images(images).to(self.device, torch.float32)
        if self.image.channels == 1:
            x = x.mean(dim=1, keepdim=True)
        if x.shape[2:] != self.side:
            x = F.interpolate(x, self.side, mode="bilinear", antialias=True, align_corners=False)
        with torch.inference_mode(), full_float32():
            _, codes = self.image(x / 127.5 - 1)
        return F.normalize(codes, dim=1).cpu()

    def captions(self, conditions: Tensor) -> Tensor:
        """Read the embeddings of captions.

        Args:
            conditions: float32 (M, condition_dim), as the matcher was trained on.

        Returns:
            Rows of length 1, float32 (M, D), on the CPU.

        Raises:
            InputError: It was trained on embeddings of another encoder, with more or fewer numbers.
        """
        if conditions.shape[1] != self.text.in_features:
            raise InputError(
                f"the matcher of {self.dataset} reads captions of {self.text.in_features} numbers, and these have "
                f"{conditions.shape[1]}; point {_variable(self.dataset)} to the weights that benchbench run --model "
                f"matcher --dataset {self.dataset} left"
            )
        with torch.inference_mode(), full_float32():
            return F.normalize(self.text(conditions.to(self.device)), dim=1).cpu()

    def describe(self) -> dict[str, Any]:
        """What a record says of it.

        Returns:
            The dataset, the weights' sha256, and the size of images that it was trained on, width first.
        """
        height, width = self.side
        return {"dataset": self.dataset, "weights_sha256": self.weights_sha256, "size": f"{width}×{height}"}


def weights_of(dataset: str) -> Path:
    """The file with the weights of the matcher of a dataset; `MetricFailed` says how to make them where there is
    none."""
    env = _variable(dataset)
    if given := os.environ.get(env):
        if not Path(given).is_file():
            raise MetricFailed(f"{env} names {given}, which is not a file", status="unavailable")
        return Path(given)
    try:
        return published_weights("matcher", dataset)
    except InputError as error:
        if (
            baselines_folder() / f"matcher-{dataset}" / CHECKSUM
        ).is_file():  # damaged, or half of it is missing
            raise MetricFailed(str(error), status="unavailable") from error
        raise MetricFailed(
            f"no matcher of {dataset} is at hand to say whether an image shows its caption: run benchbench run --model "
            f"matcher --dataset {dataset}, then point {env} to the weights.safetensors in its record",
            status="unavailable",
        ) from error


def _variable(dataset: str) -> str:
    """What names a file of weights in the environment."""
    return variable(dataset).replace("_CNN_", "_MATCHER_", 1)
