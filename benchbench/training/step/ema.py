"""Exponential moving average of a model's weights: of what, and by which decay.

Pattern: a kind of average is a frozen setting with one pure function, the decay of an update by its number, so a
resumed training needs to remember nothing but how many updates there were.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from benchbench.core.protocols import Averaged


class Ramp(BaseModel, extra="forbid", frozen=True):
    """The decay min(decay, (1 + t) / (10 + t)) at update t from 0; `ema_decay` says the same.

    The ramp lets the average forget the initial weights; it is the rule of TensorFlow's
    `ExponentialMovingAverage(num_updates=...)`.
    """

    kind: Literal["ramp"]
    decay: float = Field(gt=0, lt=1)

    def decay_at(self, update: int, images: int) -> float:
        """See the class."""
        return min(self.decay, (1 + update) / (10 + update))


class Power(BaseModel, extra="forbid", frozen=True):
    """The decay (1 - 1/t)^(γ + 1) at update t from 1: the average of a power function t^γ over all of the training,
    which needs no length of its own (Karras et al. 2024, "Analyzing and Improving the Training Dynamics of Diffusion
    Models", section 3.1). The initial weights have no part in it.

    width: σ_rel of their section 3.1, the standard deviation of that function as a share of the training; below
    1/√12, which is the plain mean (γ = 0).
    """

    kind: Literal["power"]
    width: float = Field(default=0.1, gt=0, lt=12**-0.5)

    def decay_at(self, update: int, images: int) -> float:
        """See the class."""
        return float((1 - 1 / (update + 1)) ** (gamma_of(self.width) + 1))


class HalfLife(BaseModel, extra="forbid", frozen=True):
    """The decay ½^(images a step / half-life): weights count half after so many images, as in the code of Karras et al.
    2020, "Analyzing and Improving the Image Quality of StyleGAN" (10,000 there).

    images: the half-life. rampup: where it is above 0 the half-life is at most this part of the images seen so far, so
    that the initial weights are forgotten (0.05 in the code of Karras et al. 2020, "Training Generative Adversarial
    Networks with Limited Data"); 0 = off.
    """

    kind: Literal["halflife"]
    images: float = Field(default=10_000, gt=0)
    rampup: float = Field(default=0.0, ge=0)

    def decay_at(self, update: int, images: int) -> float:
        """See the class. images: of a step."""
        halflife = min(self.images, update * images * self.rampup) if self.rampup else self.images
        return float(0.5 ** (images / halflife)) if halflife else 0.0


Average = Annotated[Ramp | Power | HalfLife, Field(discriminator="kind")]


@cache
def gamma_of(width: float) -> float:
    """The γ of a power function whose standard deviation is `width`: the largest root of σ² (γ + 2)² (γ + 3) = γ + 1
    (Karras et al. 2024, section 3.1).

    >>> round(gamma_of(0.05), 2), round(gamma_of(0.10), 2)
    (16.97, 6.94)
    """
    inverse = width**-2
    return float(np.roots([1, 7, 16 - inverse, 12 - inverse]).real.max())


class EMA:
    """average ← d·average + (1 - d)·weights after every step, d from the kind of average.

    Averaged are the parameters of the modules that the model names (`Averaged`), of all where it names none. Everything
    else is handed out as it is; buffers (for example batch statistics) too, because an average of running averages lags
    twice. Only those that a module names in `averaged_buffers` go along: what the weights behind them were fitted to,
    and nothing measures anew.

    state: what is averaged alone, by its names in the model's state dict.
    """

    def __init__(self, model: nn.Module, kind: Ramp | Power | HalfLife) -> None:
        self.kind = kind
        self.updates = 0
        parts = model.averaged() if isinstance(model, Averaged) else [model]
        chosen = {id(parameter) for part in parts for parameter in part.parameters()}
        for module in (module for part in parts for module in part.modules()):
            chosen |= {id(module.get_buffer(name)) for name in getattr(module, "averaged_buffers", ())}
        # A tensor that two layers share has two names in the state dict.
        named = (
            *model.named_parameters(remove_duplicate=False),
            *model.named_buffers(remove_duplicate=False),
        )
        self._named = [(name, tensor) for name, tensor in named if id(tensor) in chosen]
        self.state: dict[str, Tensor] = {name: value.detach().clone() for name, value in self._named}

    @torch.no_grad()
    def update(self, images: int) -> None:
        """Take in the weights after one more step on batches of so many images."""
        weight = 1 - self.kind.decay_at(self.updates, images)
        for name, tensor in self._named:
            self.state[name].lerp_(tensor, weight)
        self.updates += 1
