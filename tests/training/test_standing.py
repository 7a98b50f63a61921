"""Standing statistics against their closed form."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from benchbench.training.standing import measure_batch_norms

CPU = torch.device("cpu")


class Tiny(nn.Module):
    """A batch norm on a doubled input that the pass sees, one it does not, and a dropout in between."""

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.unseen = nn.BatchNorm1d(3, momentum=0.3), nn.BatchNorm1d(3)
        self.dropout = nn.Dropout(0.9)
        self.inputs: list[Tensor] = []

    def standing_pass(self, n: int) -> None:
        self.inputs.append(torch.randn(n, 3) * 2 + 1)
        self.seen(self.dropout(self.inputs[-1]))


def test_is_the_mean_over_batches() -> None:
    """running_mean is the mean of the 5 batches' means, running_var that of their unbiased variances, in float32
    to 1e-6; the stale history (filled with 100 here) counts for nothing. Only batch norms train: the dropout
    lets everything through. The batch norm that saw nothing keeps its history, momenta are as before."""
    model = Tiny()
    for norm in (model.seen, model.unseen):
        norm.running_mean.fill_(100.0)
        norm.num_batches_tracked.fill_(9)
    unseen = copy.deepcopy(model.unseen.state_dict())
    state = torch.get_rng_state()
    measure_batch_norms(model, 5, 8, CPU)
    assert [len(x) for x in model.inputs] == [8] * 5
    mean = torch.stack([x.mean(0) for x in model.inputs]).mean(0)
    variance = torch.stack([x.var(0) for x in model.inputs]).mean(0)
    torch.testing.assert_close(model.seen.running_mean, mean, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(model.seen.running_var, variance, atol=1e-6, rtol=1e-6)
    assert all(torch.equal(value, unseen[key]) for key, value in model.unseen.state_dict().items())
    assert (model.seen.momentum, model.unseen.momentum) == (0.3, 0.1)
    assert not any(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("inference", [False, True])
def test_looks_alike(inference: bool) -> None:
    """The same latents each time, whatever the caller's generator holds, also where gradients are off for
    good."""
    first, second = Tiny(), Tiny()
    with torch.inference_mode(inference):
        measure_batch_norms(first, 2, 4, CPU)
        torch.randn(3)
        measure_batch_norms(second, 2, 4, CPU)
    assert torch.equal(first.seen.running_mean, second.seen.running_mean)
