"""A small convolutional classifier: the judge of class shares on datasets that have labels.

Mode collapse is measured by letting a classifier of the dataset say which class each generated image shows
(Srivastava et al. 2017). That judge is trained here, like any other model, with its accuracy on the
held-out split in its record; `features.networks.cnn` loads the weights and looks at images with them.

Pattern: levels of 3×3 convolutions at 32, 64 and 128 channels (Simonyan & Zisserman 2015), each convolution
followed by batch normalisation (Ioffe & Szegedy 2015) and ReLU, the sides halved by averaging between the
levels, the mean over positions (Lin et al. 2014) as the 128 features, and one linear layer.

Trade-offs: small enough to ship (94,186 weights on ten grey classes with one convolution a level) and to train on
a CPU; a judge needs to tell classes apart and not to win a contest.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.errors import InputError
from benchbench.core.images import check_images, to_signed
from benchbench.core.protocols import Batch, ImageSpec, Phase

WIDTHS = (32, 64, 128)
MIN_SIDE = 2 ** (len(WIDTHS) - 1)


class CNN(nn.Module):
    """Small convolutional classifier for datasets with labels; judges generators as `cnn_<dataset>`."""

    reference: ClassVar[str] = "Simonyan & Zisserman 2015, Very Deep Convolutional Networks, arXiv:1409.1556"

    class Config(BaseModel, extra="forbid", frozen=True):
        """The one choice: how deep."""

        convs: int = Field(default=1, ge=1, le=4, description="convolutions a level, three levels")

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        if spec.n_classes < 2:
            raise InputError(
                "cnn learns to tell classes apart, and this dataset has "
                f"{'one class only' if spec.n_classes else 'no labels'}; "
                "use one with labels, for example a folder with one subfolder a class"
            )
        if min(spec.height, spec.width) < MIN_SIDE:
            raise InputError(
                f"cnn needs images of at least {MIN_SIDE}×{MIN_SIDE} pixels but these are "
                f"{spec.height}×{spec.width}; resize the dataset"
            )
        self.config = config
        self.spec = spec
        self.levels = nn.ModuleList(
            nn.Sequential(*_convs(before, after, config.convs))
            for before, after in itertools.pairwise((spec.channels, *WIDTHS))
        )
        self.head = nn.Linear(WIDTHS[-1], spec.n_classes)

    def pooled(self, x: Tensor) -> Tensor:
        """Float images in [-1, 1], N×C×H×W, to features N×128: non-negative means over positions."""
        for number, level in enumerate(self.levels):
            x = level(F.avg_pool2d(x, 2) if number else x)
        return x.mean(dim=(2, 3))

    # Trainable

    def players(self) -> Mapping[str, nn.Module]:
        """One player: the whole network."""
        return {"cnn": self}

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy in nats, mean over the batch; the share classified correctly goes into the curves."""
        if batch.labels is None:
            raise InputError("cnn has no loss on images without labels; leave patience at 0")
        logits = self.head(self.pooled(batch.x))
        correct = (logits.detach().argmax(1) == batch.labels).float().mean()
        return F.cross_entropy(logits, batch.labels), {"accuracy": correct}

    # Classifier

    def features(self, images: Tensor) -> Tensor:
        """uint8 RGB N×3×H×W to what the last layer reads, float32 N×128."""
        device = self.head.weight.device
        return self.pooled(to_signed(check_images(images).to(device), self.spec.channels))

    def classify(self, images: Tensor) -> Tensor:
        """uint8 RGB N×3×H×W to logits, float32 (N, n_classes)."""
        logits: Tensor = self.head(self.features(images))
        return logits


def _convs(before: int, after: int, count: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for channels in (before, *[after] * (count - 1)):
        # No bias: the batch norm that follows takes any constant away.
        layers += [
            nn.Conv2d(channels, after, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        ]
    return layers
