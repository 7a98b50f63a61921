"""The U-Net of diffusion models: what each part computes, which sizes it takes, and what it is told."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.models.nn.diffusion_unet import (
    Attention,
    DiffusionUNet,
    ResidualBlock,
    UNetConfig,
    norm,
    waves,
)


def small(
    side: tuple[int, int] = (8, 8), channels: int = 1, awake: bool = True, **options: object
) -> DiffusionUNet:
    """A network of a few thousand weights; awake: the layers that start at zero do not."""
    torch.manual_seed(0)
    conditions = {key: options.pop(key) for key in ("n_classes", "vector") if key in options}
    config = UNetConfig.model_validate({"width": 6, "multiples": (1, 2), **options})
    network = DiffusionUNet(config, channels, side, **conditions).eval()  # type: ignore[arg-type]
    if awake:
        for parameter in network.parameters():
            if not parameter.any():
                nn.init.normal_(parameter, std=0.2)
    return network


def noisy(n: int, channels: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    return torch.randn(n, channels, height, width, generator=g), torch.linspace(3, 900, n)


@pytest.mark.parametrize("patch", [1, 2, 4])
@pytest.mark.parametrize("size", [(8, 8), (28, 28), (32, 32), (9, 13)])
def test_any_size(size: tuple[int, int], patch: int) -> None:
    """What comes out has the shape of what goes in, also where neither the patch nor the halvings divide the
    sides."""
    network = small(size, 3, multiples=(1, 1, 1), patch=patch)
    x, time = noisy(2, 3, *size)
    assert network(x, time).shape == x.shape


def test_an_untrained_network_answers_zero() -> None:
    """The last layer starts at zero (Ho et al. 2020), and so do those of the blocks: exactly zero, whatever goes
    in."""
    network = small(awake=False)
    x, time = noisy(3, 1, 8, 8)
    assert not network(x, time).any()
    block = network.middle[0].block
    inside = torch.randn(2, 12, 4, 4)
    assert torch.equal(block(inside, torch.randn(2, 24)), block.skip(inside))


def test_padding_adds_nothing_to_a_cropped_image() -> None:
    """An image of 7×5 is answered as the one of 8×6 with zeros on the right and below, cropped: equal, since that is
    what is computed."""
    network = small((7, 5))
    x, time = noisy(2, 1, 7, 5)
    whole = network(F.pad(x, (0, 1, 0, 1)), time)
    torch.testing.assert_close(network(x, time), whole[..., :7, :5], rtol=0, atol=0)


def test_a_patch_is_turned_back() -> None:
    """Space to depth and back is the identity: with a stem that copies and nothing between, every pixel is where it
    was. The network is that of patch 2 with identities in place of its layers."""
    network = small(channels=1, patch=2, multiples=(1,), width=4)
    network.stem, network.head = nn.Identity(), nn.Identity()  # type: ignore[assignment]
    network.down, network.middle, network.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
    weight = torch.ones(1, dtype=torch.float32)
    network.stem.register_parameter("weight", nn.Parameter(weight))
    x, time = noisy(2, 1, 8, 8)
    assert torch.equal(network(x, time), x)


@given(st.integers(1, 200))
@settings(max_examples=30, deadline=None)
def test_groups_divide(channels: int) -> None:
    """A group norm of any number of channels, with at most 32 groups; 32 of four channels each at 128 (Ho et al. 2020),
    and no fewer channels in a group where there are as many, so that the mean of a channel passes: one that is 1 higher
    everywhere, the others having as much variance as it, is higher behind the norm."""
    layer = norm(channels)
    groups = layer.num_groups
    assert channels % groups == 0
    assert groups <= 32
    assert channels < 4 or channels // groups >= 4
    assert channels % 128 or groups == 32
    if channels > 1:
        x = torch.tensor([-1.0, 1]).repeat(1, channels, 2, 2)
        higher = x.clone()
        higher[:, 0] += 1
        assert (layer(higher) - layer(x))[0, 0].mean() > 0.3


def test_waves_by_hand() -> None:
    """cos and sin of t·10000^(-k/3): of the formula of Vaswani et al. 2017 for a size of 6. The tolerance is
    float32's at angles of some hundreds."""
    times = torch.tensor([0.0, 1.0, 250.0])
    rates = [10_000 ** (-k / 3) for k in range(3)]
    expected = [
        [*(math.cos(t * r) for r in rates), *(math.sin(t * r) for r in rates)] for t in times.tolist()
    ]
    torch.testing.assert_close(waves(times, 6), torch.tensor(expected), atol=5e-5, rtol=0)


@pytest.mark.parametrize("heads", [1, 3])
def test_attention_is_torchs(heads: int) -> None:
    """torch's scaled_dot_product_attention on the same projections; float64, a few products."""
    torch.manual_seed(0)
    layer = Attention(6, heads).double()
    nn.init.normal_(layer.out.weight)
    x = torch.randn(2, 6, 3, 5, dtype=torch.float64)
    parts = layer.asked(layer.norm(x)).reshape(2, 3, heads, 6 // heads, 15).transpose(3, 4)
    seen = F.scaled_dot_product_attention(parts[:, 0], parts[:, 1], parts[:, 2])
    expected = x + layer.out(seen.transpose(2, 3).reshape(2, 6, 3, 5))
    torch.testing.assert_close(layer(x), expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("scale_shift", [True, False])
def test_how_a_block_is_told_the_time(scale_shift: bool) -> None:
    """By hand from its own layers: norm·(1 + scale) + shift (Nichol & Dhariwal 2021), or added before the norm (Ho et
    al. 2020); float64."""
    torch.manual_seed(0)
    block = ResidualBlock(4, 6, 5, 0.0, scale_shift).double()
    nn.init.normal_(block.last[2].weight)
    x, told = torch.randn(2, 4, 3, 3, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    inside, given_ = block.first(x), block.told(told)[..., None, None]
    normed = block.norm(inside if scale_shift else inside + given_)
    if scale_shift:
        normed = normed * (1 + given_[:, :6]) + given_[:, 6:]
    expected = block.skip(x) + block.last(normed)
    torch.testing.assert_close(block(x, told), expected, atol=1e-12, rtol=1e-12)


def test_which_levels_attend() -> None:
    """28×28 with three levels has maps of 28, 14 and 7; attention at 14 is that of the second level, on both ways,
    and the innermost layer attends anyway."""
    network = small((28, 28), multiples=(1, 1, 1), attention=(14,))
    down = [layer.attention is not None for layer in network.down if hasattr(layer, "block")]
    up = [layer.attention is not None for layer in network.up if hasattr(layer, "block")]
    assert down == [False, True, False]
    assert up == [False, False, True, True, False, False]
    assert network.middle[0].attention is not None


def test_the_time_is_heard() -> None:
    """Two times, two answers; images do not see each other: the gradient of one answer is zero at the other image."""
    network = small()
    x, time = noisy(2, 1, 8, 8)
    same = x[:1].repeat(2, 1, 1, 1)
    first, second = network(same, time)
    assert (first - second).abs().max() > 1e-3
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(network(x, time)[0].sum(), x)
    assert gradient[0].any()
    assert not gradient[1].any()


@pytest.mark.parametrize("kind", ["class", "vector"])
def test_conditions(kind: str) -> None:
    """Another condition, another answer; a dropped one answers as none at all, exactly."""
    network = small(n_classes=3) if kind == "class" else small(vector=4)
    x, time = noisy(3, 1, 8, 8)
    conditions = (
        torch.arange(3) if kind == "class" else torch.randn(3, 4, generator=torch.Generator().manual_seed(2))
    )
    told, null = network(x, time, conditions), network(x, time)
    assert (told - network(x, time, conditions.roll(1, 0))).abs().amax((1, 2, 3)).min() > 1e-3
    assert (told - null).abs().amax((1, 2, 3)).min() > 1e-3
    mixed = network(x, time, conditions, torch.tensor([False, True, False]))
    torch.testing.assert_close(mixed, torch.stack([told[0], null[1], told[2]]), atol=1e-6, rtol=1e-5)


def test_what_it_refuses() -> None:
    """Heads that do not divide the channels, and two kinds of conditions."""
    with pytest.raises(ValidationError, match="does not divide into 4 heads"):
        UNetConfig(width=6, multiples=(1, 2), heads=4)
    with pytest.raises(ValueError, match="not both"):
        small(n_classes=2, vector=3)
