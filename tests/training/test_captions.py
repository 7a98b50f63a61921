"""Captions while training: each goes with its image, whatever becomes of the batch, and what cannot be is refused."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import Batch, Phase
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.step.steps import parts_of
from benchbench.training.trainer import train

CPU = torch.device("cpu")
LEVELS = torch.arange(40)
IMAGES = LEVELS[:, None, None, None].expand(-1, 3, 2, 2).to(torch.uint8)
TOLD = torch.stack([LEVELS, -LEVELS], 1).float()


class Listener(nn.Module):
    """Writes down what it is shown and told."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.heard: list[tuple[Tensor, Tensor | None]] = []

    def players(self) -> Mapping[str, nn.Module]:
        return {"listener": self}

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        self.heard.append((((batch.x[:, 0, 0, 0] + 1) * 127.5).round(), batch.condition))
        return self.weight.square().sum(), {}


@pytest.mark.parametrize("accumulate", [1, 3])
def test_captions_stay_with_their_images(accumulate: int) -> None:
    """The caption of an image is its level and minus it; over two epochs in batches of 16, and in parts of them."""
    model = Listener()
    config = TrainingConfig(epochs=2, batch_size=16, accumulate=accumulate)
    train(model, TrainingData(IMAGES, None, IMAGES[:2], conditions=TOLD), config, seed=0, device=CPU)
    assert len(model.heard) >= 4 * accumulate
    for levels, told in model.heard:
        assert told is not None
        assert torch.equal(told, torch.stack([levels, -levels], 1))


def test_without_captions_nothing_is_told() -> None:
    """None, as it was before there were any."""
    model = Listener()
    train(model, TrainingData(IMAGES, None, IMAGES[:2]), TrainingConfig(steps=1), seed=0, device=CPU)
    assert [told for _, told in model.heard] == [None]


def test_parts_of_a_batch() -> None:
    """Consecutive images with their own captions."""
    batch = Batch(IMAGES.float(), None, 0, 1, condition=TOLD)
    parts = parts_of(batch, 3)
    assert torch.equal(torch.cat([part.condition for part in parts if part.condition is not None]), TOLD)
    assert [len(part.x) for part in parts] == [14, 13, 13]


def test_what_cannot_be() -> None:
    """Each image has one caption, and weights are not chosen by images that are told none."""
    with pytest.raises(InputError, match="39 captions of 40 training images"):
        data = TrainingData(IMAGES, None, IMAGES[:2], conditions=TOLD[:-1])
        train(Listener(), data, TrainingConfig(steps=1), seed=0, device=CPU)
    with pytest.raises(InputError, match="leave patience at 0"):
        data = TrainingData(IMAGES, None, IMAGES[:2], conditions=TOLD)
        train(Listener(), data, TrainingConfig(steps=1, patience=1), seed=0, device=CPU)
