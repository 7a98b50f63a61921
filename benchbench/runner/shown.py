"""What a model is shown before it is scored: to have it answer once, as its task is going to ask it."""

from __future__ import annotations

import torch
from torch import nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import Classifier, Generator
from benchbench.core.seeds import ImageRng, permutation
from benchbench.data.dataset import Dataset
from benchbench.data.pipeline.image_source import take
from benchbench.models.variants.technique import Show
from benchbench.tasks.base import TaskData

SEED = 2**32 + 1  # of noise and of choices; runs have seeds below 2³²
CALIBRATION = 32  # images from which a technique reads ranges
FEW = 2  # of a model that is not trained yet, only to see whether it can be done


def showing(name: str, model: nn.Module, data: TaskData, n: int, device: torch.device) -> Show:
    """How a model is shown `n` images, or random numbers for as many: none that a run scores.

    Args:
        name: The model's registered name.
        model: Built; what is shown is for it or a copy of it.
        data: As its task loaded them; a classifier is shown training images.
        n: How many.
        device: Where the model computes.

    Returns:
        A function of the model.

    Raises:
        InputError: It neither draws images nor names classes.
    """
    if isinstance(model, Generator):
        return lambda own: own.sample(n, ImageRng(SEED, range(n), device))  # type: ignore[operator]
    if isinstance(model, Classifier) and isinstance(data, Dataset):
        images = take(data.train.images, torch.from_numpy(permutation(SEED, len(data.train))[:n].copy()))
        return lambda own: own.classify(images.to(device))  # type: ignore[operator]
    raise InputError(
        f"variants are for models that draw images or name classes, and {name} does neither; leave --variant out"
    )
