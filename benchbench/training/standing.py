"""Standing statistics: batch norms measured anew on what the final weights generate.

The running averages of training mix the statistics of weights that are gone, and under a weight average they
belong to other weights altogether. Here mean and variance are the plain averages over fresh batches (Brock et
al. 2019, "Large Scale GAN Training", appendix D). PyTorch's running variance is the unbiased one of each batch.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from benchbench.core.protocols import Standing
from benchbench.training.isolation import private_random_state, seed_generators

_SEED = 0  # the same latents at every look, so that looks compare


def batch_norms(model: nn.Module) -> list[_BatchNorm]:
    """Those with running statistics."""
    return [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]


@torch.no_grad()
def measure_batch_norms(model: nn.Module, n_batches: int, batch_size: int, device: torch.device) -> None:
    """Replace the running statistics that `standing_pass` touches by their averages over `n_batches` batches.

    `model` (`Standing`) ends in eval mode. Batch norms that see nothing, those of a discriminator, keep what
    they have. No random state of the caller moves.
    """
    assert isinstance(model, Standing)
    norms = batch_norms(model)
    before = [(m.momentum, {name: value.clone() for name, value in m.named_buffers()}) for m in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # PyTorch's way to ask for the plain average over all batches
        norm.train()
    with private_random_state(device):
        seed_generators(_SEED, device)
        for _ in range(n_batches):
            model.standing_pass(batch_size)
    model.eval()
    for norm, (momentum, buffers) in zip(norms, before, strict=True):
        norm.momentum = momentum
        seen = norm.num_batches_tracked
        if seen is not None and not int(seen):
            for name, value in norm.named_buffers():
                value.copy_(buffers[name])
