"""Optimisers, and the learning rate as a pure function of the step: resuming needs no state for it."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from benchbench.training.config import PlayerSettings, TrainingConfig


def corrected(settings: PlayerSettings, ratio: float) -> PlayerSettings:
    """Adam's settings for a player of whose steps only the share `ratio` are not lazy (`phases.step_ratio`): lr·ratio
    and beta**ratio. Without momentum of its own kind to correct, sgd stays as it is."""
    if ratio == 1 or settings.optimizer == "sgd":
        return settings
    first, second = settings.betas
    return settings._replace(lr=settings.lr * ratio, betas=(first**ratio, second**ratio))


def make_optimizer(parameters: Iterable[nn.Parameter], settings: PlayerSettings) -> torch.optim.Optimizer:
    """The optimiser of one player."""
    parameters, lr, decay = list(parameters), settings.lr, settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr, momentum=settings.betas[0], weight_decay=decay)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, lr, betas=settings.betas, weight_decay=decay)


def lr_factor(step: int, total_steps: int, config: TrainingConfig) -> float:
    """What the learning rate is multiplied with in step `step` (from 0).

    (step + 1) / warmup_steps during the warm-up; then 1 (constant), or from 1 down to 0 at `total_steps` as
    half a cosine (Loshchilov & Hutter 2017, equation 5, one cycle), a straight line, or 1 for the first half of
    the way and a straight line for the second (Zhu et al. 2017, appendix 7.1).
    """
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return 1.0
    done = (step - config.warmup_steps) / max(1, total_steps - config.warmup_steps)
    if config.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1 - done if config.schedule == "linear" else min(1.0, 2 * (1 - done))
