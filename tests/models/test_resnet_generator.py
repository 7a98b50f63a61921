"""The residual generator: layers against the paper's list, reflection against torch's, sizes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchbench.models.nn.resnet_generator import Reflection, ResidualBlock, ResnetGenerator


def test_layers_of_the_paper() -> None:
    """Zhu et al. 2017, appendix 7.2: c7s1-64, d128, d256, R256 six times, u128, u64, c7s1-3; an instance norm after
    every convolution but the last, reflection padding of 3 at both ends and of 1 in the blocks."""
    net = ResnetGenerator(3, 3, width=64, blocks=6)
    convs = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert [(c.kernel_size[0], c.stride[0], c.out_channels) for c in convs] == [
        (7, 1, 64), (3, 2, 128), (3, 2, 256), *[(3, 1, 256)] * 12, (3, 2, 128), (3, 2, 64), (7, 1, 3),
    ]  # fmt: skip
    assert [isinstance(c, nn.ConvTranspose2d) for c in convs] == [False] * 15 + [True] * 2 + [False]
    assert sum(isinstance(m, nn.InstanceNorm2d) for m in net.modules()) == len(convs) - 1
    assert [m.by for m in net.modules() if isinstance(m, Reflection)] == [3, *[1] * 12, 3]
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(4, 9), st.integers(4, 9))
def test_reflection_is_torchs(by: int, height: int, width: int) -> None:
    """torch's own layer is the oracle, for values and gradients: copies of the same pixels, so equal bit for bit; the
    gradients are sums of up to four integers, exact in float32."""
    x = torch.arange(2 * height * width, dtype=torch.float32).view(1, 2, height, width).requires_grad_()
    ours, theirs = Reflection(by)(x), nn.ReflectionPad2d(by)(x)
    assert torch.equal(ours, theirs)
    weights = torch.randint(-5, 6, ours.shape).float()
    (mine,) = torch.autograd.grad((ours * weights).sum(), x)
    (oracle,) = torch.autograd.grad((theirs * weights).sum(), x)
    assert torch.equal(mine, oracle)


def test_a_block_adds_to_its_input() -> None:
    """With zero weights in the second convolution its instance norm gives 0/√ε = 0, and the block is the identity."""
    block = ResidualBlock(4)
    nn.init.zeros_(block.layers[-2].weight)
    x = torch.randn(2, 4, 5, 6)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 11), (32, 33), (64, 30)])
def test_any_size(height: int, width: int) -> None:
    """The input's sides and channels as asked, in tanh's range."""
    torch.manual_seed(0)
    made = ResnetGenerator(1, 3, width=4, blocks=1)(torch.rand(2, 1, height, width))
    assert made.shape == (2, 3, height, width)
    assert made.abs().max() <= 1


def test_images_are_made_alone() -> None:
    """Instance norm: also in training mode an image does not depend on its neighbours. Another batch shape may sum in
    another order: 1e-5 in the range of tanh."""
    torch.manual_seed(0)
    net, x = ResnetGenerator(3, 3, width=8, blocks=2), torch.rand(4, 3, 16, 16)
    torch.testing.assert_close(net(x)[:1], net(x[:1]), atol=1e-5, rtol=0)
