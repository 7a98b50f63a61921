"""Exponential moving average of a model's weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def ema_decay_at(update: int, decay: float) -> float:
    """The decay of update number `update` (from 0): min(decay, (1 + update) / (10 + update)).

    The ramp lets the average forget the initial weights; it is the rule of TensorFlow's
    `ExponentialMovingAverage(num_updates=...)`.
    """
    return min(decay, (1 + update) / (10 + update))


class EMA:
    """average ← d·average + (1 - d)·weights after every step, d from `ema_decay_at`.

    Parameters are averaged; buffers (for example batch statistics) are copied, because an average of running
    averages lags twice.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.state: dict[str, Tensor] = {
            key: value.detach().clone() for key, value in model.state_dict().items()
        }
        self._averaged = {name for name, _ in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights after one more step."""
        weight = 1 - ema_decay_at(self.updates, self.decay)
        for key, value in model.state_dict().items():
            if key in self._averaged:
                self.state[key].lerp_(value, weight)
            else:
                self.state[key].copy_(value)
        self.updates += 1
