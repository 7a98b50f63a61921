"""The pretended device refuses what CUDA refuses, so that tests on it can fail."""

from __future__ import annotations

import copy

import pytest
import torch
from pretend_cuda import CUDA, DeviceTensor, Traffic
from torch import nn


def test_knows_where_it_is(cuda: Traffic) -> None:
    """By every way a tensor gets there: made, moved, computed, copied with its module."""
    x = torch.ones(2, 3, device="cuda")
    layer = nn.Linear(3, 2).to(CUDA)
    places = [
        x,
        torch.ones(2).to("cuda"),
        layer(x),
        torch.tensor([1.5], device=CUDA),
        copy.deepcopy(layer).weight,
    ]
    assert {place.device for place in places} == {CUDA}
    assert all(isinstance(place, DeviceTensor) for place in places)
    assert x.cpu().device.type == "cpu"
    assert (2 * x).sum().item() == 12


def test_computes_and_learns(cuda: Traffic) -> None:
    """A step of Adam on a linear layer, against the same on the CPU: the arithmetic is the CPU's, so equal bits."""
    torch.manual_seed(0)
    here = nn.Linear(3, 2)
    there = copy.deepcopy(here).to(CUDA)
    x = torch.randn(5, 3)
    for layer, images in ((here, x), (there, x.to(CUDA))):
        optimizer = torch.optim.Adam(layer.parameters())
        layer(images).square().mean().backward()
        optimizer.step()
    assert torch.equal(here.weight, there.weight.cpu())


def test_writes_through_views(cuda: Traffic) -> None:
    """A slice of a tensor on the device is a view of it, as anywhere."""
    x = torch.zeros(4, device=CUDA)
    x[1:3] = 1
    x[1:].mul_(2)
    assert x.tolist() == [0, 2, 2, 0]


def test_refuses_what_cuda_refuses(cuda: Traffic) -> None:
    """Operands on two devices, and NumPy on the device's memory; a scalar of the CPU is welcome, and so are indices."""
    x = torch.arange(6.0, device=CUDA).view(2, 3)
    with pytest.raises(RuntimeError, match="same device"):
        x + torch.ones(2, 3)
    with pytest.raises(RuntimeError, match="same device"):
        torch.cat([x, torch.ones(1, 3)])
    with pytest.raises(RuntimeError, match="indices should be"):
        torch.ones(2, 3)[torch.tensor([0], device=CUDA)]
    with pytest.raises(TypeError, match="numpy"):
        x.numpy()
    assert (x + torch.tensor(1.0))[torch.tensor([1])].tolist() == [[4, 5, 6]]


def test_counts_copies_and_waits(cuda: Traffic) -> None:
    """24 bytes there, 24 back; reading a number and a mask of unknown size make the host wait, arithmetic does not."""
    x = torch.arange(6.0).to(CUDA)
    assert (cuda.to_device, cuda.to_host) == (24, 0)
    y = (x * 2).sum()
    assert not cuda.waits
    float(y), x[x > 2], x.cpu()
    assert cuda.waits == {"_local_scalar_dense": 1, "index by a mask": 1, "copy to the host": 1}
    assert cuda.to_host == 24
