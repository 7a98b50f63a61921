"""Whether a batch of a model can be dealt out over ranks: found by trying, before the first step.

The loss of a few images is computed as one process computes it and as the ranks do, on a copy of the model, and what
comes out is compared: loss, gradients, and the buffers that the loss leaves behind. They differ where a loss looks at
the batch as a whole in a way that nobody adds up over ranks (statistics between images, a pool of old ones, a memory
that is moved by the images seen). Such a model is refused; it would be trained otherwise than in one process.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchbench.core.comm import ALONE, Comm
from benchbench.core.errors import InputError
from benchbench.core.protocols import Batch, Phase
from benchbench.training.isolation import private_random_state, seed_generators
from benchbench.training.step.crew import LEAST, Crew
from benchbench.training.step.phases import Schedule

CLOSE = 1e-3
"""Relative: what float32 leaves between two ways to add up is a hundredth of it, what statistics of other images do is
hundreds of it."""


class _Found(NamedTuple):
    loss: Tensor
    gradient: Tensor
    buffers: Tensor


def check_divisible(
    model: nn.Module, n: int, batch_of: Callable[[Tensor], Batch], comm: Comm, device: torch.device
) -> None:
    """`InputError` where what the ranks would do together is not what one process would.

    model: a `Trainable`, before its first step. n: images of a batch. batch_of: the batch of some rows of the first
    one, by their numbers.
    """
    n = min(n, (LEAST + 1) * comm.size - 1)  # then one rank has fewer rows than the others
    schedule = Schedule(model)  # type: ignore[arg-type]
    for phase in dict.fromkeys([*schedule.phases, *schedule.due(0)]):
        whole = _tried(model, phase, batch_of, Crew(ALONE, n, 1), device)
        shared = _tried(model, phase, batch_of, Crew(comm, n, 1), device)
        far = max(_apart(a, b) for a, b in zip(whole, shared, strict=True))
        if not max(comm.gather(far)) < CLOSE:
            what = phase.player if phase.name == "main" else f"{phase.player} ({phase.name})"
            raise InputError(
                f"{type(model).__name__} cannot be trained over several ranks: its loss of {what} looks at the images "
                "of a batch together, so ranks that have a part of them each would train another model; train it in "
                "one process, without torchrun: the same command under torchrun then scores it over all ranks"
            )


def _tried(
    model: nn.Module, phase: Phase, batch_of: Callable[[Tensor], Batch], crew: Crew, device: torch.device
) -> _Found:
    """One loss and its gradient, with the same random numbers every time."""
    twin = copy.deepcopy(model).train()
    schedule = Schedule(twin)  # type: ignore[arg-type]
    parameters = list(schedule.players[phase.player].parameters())
    moved = [p for p in parameters if p.requires_grad]
    twin.requires_grad_(False)
    for parameter in moved:
        parameter.requires_grad_(True)
    batch = batch_of(crew.own)
    with private_random_state(device):
        seed_generators(1, device)
        for part, share, seeing in crew.parts(batch):
            with seeing:
                loss = schedule.loss(phase, part)[0] * share
            loss.backward()
    (total,) = crew.add_up(moved, [loss])
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in moved]
    buffers = [buffer for _, buffer in twin.named_buffers() if buffer.is_floating_point()]
    return _Found(
        total,
        *(
            torch.cat([t.double().flatten().cpu() for t in (*own, torch.zeros(1))])
            for own in (gradients, buffers)
        ),
    )


def _apart(a: Tensor, b: Tensor) -> float:
    """How far two vectors are apart, as a share of the first one."""
    if not torch.isfinite(b).all():
        return float("inf")
    return float((a - b).norm() / a.norm().clamp(min=1e-9))
