"""Exponential moving average of a model's weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchbench.core.protocols import Averaged


def ema_decay_at(update: int, decay: float) -> float:
    """The decay of update number `update` (from 0): min(decay, (1 + update) / (10 + update)).

    The ramp lets the average forget the initial weights; it is the rule of TensorFlow's
    `ExponentialMovingAverage(num_updates=...)`.
    """
    return min(decay, (1 + update) / (10 + update))


class EMA:
    """average ← d·average + (1 - d)·weights after every step, d from `ema_decay_at`.

    Averaged are the parameters of the modules that the model names (`Averaged`), of all where it names none. Everything
    else is handed out as it is; buffers (for example batch statistics) too, because an average of running averages lags
    twice.

    state: the averaged parameters alone, by their names in the model's state dict.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        parts = model.averaged() if isinstance(model, Averaged) else [model]
        chosen = {id(parameter) for part in parts for parameter in part.parameters()}
        # A parameter that two layers share has two names in the state dict.
        self._named = [
            (name, parameter)
            for name, parameter in model.named_parameters(remove_duplicate=False)
            if id(parameter) in chosen
        ]
        self.state: dict[str, Tensor] = {name: value.detach().clone() for name, value in self._named}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after one more step."""
        weight = 1 - ema_decay_at(self.updates, self.decay)
        for name, parameter in self._named:
            self.state[name].lerp_(parameter, weight)
        self.updates += 1
