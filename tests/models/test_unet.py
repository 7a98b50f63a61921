"""The U-Net: its layers against the paper's list, its skips, its sizes."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchbench.models.nn.unet import Norm, UNet


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 5), st.sampled_from(["batch", "instance"]),
    st.integers(1, 4), st.integers(1, 3),
)  # fmt: skip
def test_any_size(height: int, width: int, depth: int, norm: Norm, n_in: int, n_out: int) -> None:
    """The output has the input's sides, whatever 2^depth leaves over, and lies in tanh's range; level k of `encode`
    has the filled-up sides divided by 2^(k+1), in training mode too."""
    net = UNet(n_in, n_out, width=2, depth=depth, norm=norm)
    x = torch.rand(2, n_in, height, width) * 2 - 1
    made = net(x)
    assert made.shape == (2, n_out, height, width)
    assert made.abs().max() <= 1
    filled = [math.ceil(side / 2**depth) * 2**depth for side in (height, width)]
    assert [tuple(m.shape[2:]) for m in net.encode(x)] == [
        (filled[0] // 2 ** (k + 1), filled[1] // 2 ** (k + 1)) for k in range(depth)
    ]


def test_layers_of_the_paper() -> None:
    """Isola et al. 2017, appendix 6.1.1, for 256×256: encoder C64-C128-C256-C512-C512-C512-C512-C512, no norm at its
    first layer (nor at a map of one pixel); decoder CD512-CD512-CD512-C512-C256-C128-C64 with twice the input
    channels where a skip comes in, dropout of 50% in its first three, then the image."""
    net = UNet(3, 3, width=64, depth=8, dropout=0.5)
    down = [layer for layer in net.down.modules() if isinstance(layer, nn.Conv2d)]
    up = [layer for layer in net.up.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert [conv.out_channels for conv in down] == [64, 128, 256, 512, 512, 512, 512, 512]
    assert [(c.in_channels, c.out_channels) for c in up] == [
        (512, 512), (1024, 512), (1024, 512), (1024, 512), (1024, 256), (512, 128), (256, 64), (128, 3),
    ]  # fmt: skip
    assert all((c.kernel_size, c.stride) == ((4, 4), (2, 2)) for c in [*down, *up])
    normed = [any(isinstance(m, nn.BatchNorm2d) for m in level) for level in [*net.down, *net.up]]
    assert normed == [False, *[True] * 6, False, *[True] * 7, False]
    dropped = [[m.p for m in level if isinstance(m, nn.Dropout)] for level in net.up]
    assert dropped == [[0.5]] * 3 + [[]] * 5
    assert {m.negative_slope for m in net.modules() if isinstance(m, nn.LeakyReLU)} == {0.2}


def test_skips_carry_what_the_bottleneck_does_not() -> None:
    """With the innermost level's output cut to zero by its weights, the output still knows the input; with all
    skips cut as well (the second half of each level's input channels), it does not."""
    torch.manual_seed(0)
    net = UNet(1, 1, width=4, depth=3).eval()
    a, b = torch.rand(2, 1, 1, 16, 16)
    with torch.no_grad():
        net.up[0][1].weight.zero_()
        assert not torch.allclose(net(a), net(b))
        for level in net.up[1:]:
            level[1].weight[: level[1].in_channels // 2].zero_()  # skips come first
        assert torch.equal(net(a), net(b))


def test_dropout_is_training_noise() -> None:
    """Two passes differ in training mode and agree in eval mode; without dropout both agree."""
    x = torch.rand(2, 1, 8, 8)
    for share in (0.5, 0.0):
        torch.manual_seed(0)
        net = UNet(1, 1, width=4, depth=3, dropout=share)
        assert torch.equal(net(x), net(x)) == (share == 0)
        net.eval()
        assert torch.equal(net(x), net(x))


def test_tanh_is_the_last_layer() -> None:
    """The same weights without it give what tanh is taken of: equal bit for bit."""
    torch.manual_seed(0)
    bounded, plain = UNet(2, 3, width=2, depth=2), UNet(2, 3, width=2, depth=2, tanh=False)
    plain.load_state_dict(bounded.state_dict())
    x = torch.rand(2, 2, 9, 8)
    assert torch.equal(plain(x).tanh(), bounded(x))


@pytest.mark.parametrize(("norm", "alone"), [("instance", True), ("batch", False)])
def test_instance_norm_looks_at_each_image_alone(norm: Norm, alone: bool) -> None:
    """In training mode an image's output depends on its neighbours under batch norm only. Convolutions of another
    batch shape may sum in another order: 1e-5 in the range of tanh; batch norm moves it by more than 1e-3."""
    torch.manual_seed(0)
    net = UNet(3, 3, width=8, depth=2, norm=norm)
    x = torch.rand(4, 3, 16, 16)
    off = (net(x)[:1] - net(x[:1])).abs().max().item()
    assert off < 1e-5 if alone else off > 1e-3
