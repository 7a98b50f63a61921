"""Judges of `stacked-digits` and `stacked-mnist`: the base dataset's classifier on each colour channel.

As in Metz et al. 2017, Srivastava et al. 2017 and Lin et al. 2018: each channel is shown to a classifier of single
digits as a grey image, and the three answers make one of 1,000 classes. The channels are judged independently, so the
log-probability of class 100a + 10b + c is the sum of three log-softmaxes. An error in one digit is an error in the
class: a classifier that is right on 98.3% of digits is right on about 95.0% of stacked ones.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from benchbench.features.extractor import Features
from benchbench.features.frozen import FrozenExtractor
from benchbench.features.networks.cnn import CNNMNIST, CNNDigits


class _Stacked(FrozenExtractor):
    dim = 3 * CNNDigits.dim
    n_logits = CNNDigits.n_logits**3
    batch_size = CNNDigits.batch_size // 3

    judge: ClassVar[type[CNNDigits] | type[CNNMNIST]]

    def __init__(self, device: torch.device | str = "cpu", *, precision: str = "float32") -> None:
        """`MetricFailed(status="unavailable")` in the classifier's own words where its weights are missing."""
        digit = self.judge(device, precision=precision)
        super().__init__(digit.network, device, digit.weights_sha256, digit.weights_source, precision)
        self.digit = digit

    def forward(self, images: Tensor) -> Features:
        channels = images.flatten(0, 1)[:, None].expand(-1, 3, -1, -1)
        seen = self.digit.forward(channels)
        assert seen.logits is not None
        a, b, c = seen.logits.log_softmax(dim=1).unflatten(0, (-1, 3)).unbind(1)
        classes = a[:, :, None, None] + b[:, None, :, None] + c[:, None, None, :]
        return Features(seen.features.unflatten(0, (-1, 3)).flatten(1), classes.flatten(1))


class ModesStackedDigits(_Stacked):
    """Which of the 1,000 classes of stacked-digits: `cnn_digits` on each colour channel."""

    name = "modes_stacked-digits"
    judge = CNNDigits
    resize = CNNDigits.resize
    input_side = CNNDigits.input_side


class ModesStackedMNIST(_Stacked):
    """Which of the 1,000 classes of stacked-mnist: `cnn_mnist` on each colour channel."""

    name = "modes_stacked-mnist"
    judge = CNNMNIST
    resize = CNNMNIST.resize
    input_side = CNNMNIST.input_side
