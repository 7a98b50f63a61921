"""The classification task on a toy whose every answer is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchbench.core.errors import CellFailed
from benchbench.core.runtime import Runtime
from benchbench.tasks.classification import classify

CPU = torch.device("cpu")


class ByLevel(nn.Module):
    """Class k for an image of grey level k."""

    def classify(self, images: Tensor) -> Tensor:
        levels = images[:, 0, 0, 0].long()
        return nn.functional.one_hot(levels, 5).float().where(levels[:, None] < 4, torch.nan)


def flat(levels: list[int]) -> Tensor:
    return torch.tensor(levels, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


@pytest.mark.parametrize("batch_size", [1, 2, 10])
def test_each_image_keeps_its_answer(batch_size: int) -> None:
    """By hand: levels against labels, whatever the batch, the short last one included."""
    correct = classify(
        ByLevel(), flat([0, 1, 2, 3, 0]), torch.tensor([0, 1, 1, 3, 2]), Runtime(batch_size=batch_size)
    )
    assert correct.tolist() == [True, True, False, True, False]


def test_logits_that_are_no_numbers() -> None:
    """argmax of NaN is a class; counted, it would be a number that means nothing."""
    with pytest.raises(CellFailed, match="not finite"):
        classify(ByLevel(), flat([0, 4]), torch.tensor([0, 4]))
