"""Standing statistics: batch norms measured anew on what the final weights generate.

The running averages of training mix the statistics of weights that are gone, and under a weight average they
belong to other weights altogether. Here mean and variance are the plain averages over fresh batches (Brock et
al. 2019, "Large Scale GAN Training", appendix D). PyTorch's running variance is the unbiased one of each batch.

A conditional model generates the classes that its samples are asked for, the training images' in their shares: batch
statistics of classes in other shares would be those of other images.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from benchbench.core.protocols import Conditional, Standing
from benchbench.core.seeds import ImageRng, permutation
from benchbench.training.config import TrainingConfig
from benchbench.training.isolation import private_random_state, seed_generators

_SEED = 0  # the same latents at every scan, so that scans compare
_ASKED_SEED = (
    2**32 + 1
)  # of latents and order of labels; runs have seeds below 2^32: no sample is measured on itself


def batch_norms(model: nn.Module) -> list[_BatchNorm]:
    """Those with running statistics."""
    return [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]


def keeps_old_statistics(model: nn.Module, config: TrainingConfig) -> bool:
    """Whether averaged weights are handed out with the batch statistics of the last ones, though others could be
    measured."""
    could = isinstance(model, Standing) and bool(batch_norms(model))
    return could and config.average is not None and not config.standing_statistics


@torch.no_grad()
def measure_batch_norms(
    model: nn.Module, n_batches: int, batch_size: int, device: torch.device, labels: Tensor | None = None
) -> None:
    """Replace the running statistics that a `standing_pass` touches by their averages over `n_batches` batches.

    labels: of the training images, int64 (N,); a conditional model is asked for them in the shares in which they
    occur. `model` (`Standing`) ends in eval mode. Batch norms that see nothing, those of a discriminator, keep what
    they have. No random state of the caller moves.
    """
    assert isinstance(model, Standing)
    asked = None
    if labels is not None and isinstance(model, Conditional) and model.conditional:
        order = np.resize(permutation(_ASKED_SEED, len(labels)), n_batches * batch_size)
        asked = labels.cpu()[torch.from_numpy(order)].to(device)
    norms = batch_norms(model)
    before = [(m.momentum, {name: value.clone() for name, value in m.named_buffers()}) for m in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # PyTorch's way to ask for the plain average over all batches
        norm.train()
    with private_random_state(device):
        seed_generators(_SEED, device)
        for start in range(0, n_batches * batch_size, batch_size):
            if asked is None:
                model.standing_pass(batch_size)
            else:
                images = range(start, start + batch_size)
                model.sample(batch_size, ImageRng(_ASKED_SEED, images, device), asked[start : images.stop])  # type: ignore[operator]
    model.eval()
    for norm, (momentum, buffers) in zip(norms, before, strict=True):
        norm.momentum = momentum
        seen = norm.num_batches_tracked
        if seen is not None and not int(seen):
            for name, value in norm.named_buffers():
                value.copy_(buffers[name])
