"""The layers that StyleGAN2 is built from, each against another implementation or a closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import upfirdn
from torch import nn
from torch.nn import functional as F

from benchbench.models.gan.equalized import TAPS, EqualConv2d, EqualLinear, blurred, doubled, rectified
from benchbench.models.gan.style_discriminator import ResidualBlock, with_deviation
from benchbench.models.gan.style_generator import Mapping, ModulatedConv2d, StyledLayer, unit_mean_square


@pytest.mark.parametrize("shape", [(4, 4), (5, 7)])
def test_filters_are_scipys(shape: tuple[int, int]) -> None:
    """Up by 2 is scipy's `upfirdn` with [1, 3, 3, 1] of sum 2 along both sides, its first and last two outputs cut as
    half of the filter before the first pixel; down by 2 is `upfirdn` of sum 1. float64."""
    x = torch.randn(2, 3, *shape, dtype=torch.float64)
    taps = np.array(TAPS) / 8
    expected = x.numpy()
    for axis in (2, 3):
        expected = upfirdn(2 * taps, expected, up=2, axis=axis)
        expected = np.take(expected, np.arange(1, 1 + 2 * x.shape[axis]), axis=axis)
    np.testing.assert_allclose(doubled(x).numpy(), expected, atol=1e-12)
    plain = x.numpy()
    for axis in (2, 3):
        plain = upfirdn(taps, plain, axis=axis)
    np.testing.assert_allclose(blurred(x, (3, 3)).numpy(), plain, atol=1e-12)


def test_a_constant_stays_one() -> None:
    """Both filters keep what is equal everywhere, away from the border: sums 4 of every fourth pixel, and 1."""
    x = torch.ones(1, 1, 6, 6)
    torch.testing.assert_close(doubled(x)[..., 1:-1, 1:-1], torch.ones(1, 1, 10, 10))
    torch.testing.assert_close(blurred(x, (0, 0)), torch.ones(1, 1, 3, 3))


def test_convolutions_that_resample() -> None:
    """Fused or not they are the same away from the border: zeros between pixels, the filter, then the kernel (which a
    transposed convolution applies mirrored); the filter, then the kernel at every other pixel. float32 sums: 1e-4."""
    torch.manual_seed(0)
    x, w = torch.randn(2, 3, 8, 8), torch.randn(2, 4)
    up = ModulatedConv2d(3, 5, 3, 4, demodulate=False, doubles=True)
    scaled = x * up.affine(w)[..., None, None]
    slow = F.conv2d(doubled(scaled), (up.weight * up.scale).flip(2, 3), padding=1)
    assert up(x, w).shape == slow.shape
    torch.testing.assert_close(up(x, w)[..., 2:-2, 2:-2], slow[..., 2:-2, 2:-2], atol=1e-4, rtol=1e-4)
    for side in (1, 3):
        down = EqualConv2d(3, 5, side, down=True)
        whole = F.conv2d(blurred(x, (2, 2)), down.weight * down.scale, down.bias, padding=side // 2)
        slow = whole[..., 1::2, 1::2]
        assert down(x).shape == (2, 5, 4, 4)
        torch.testing.assert_close(down(x)[..., 1:-1, 1:-1], slow[..., 1:3, 1:3], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("multiplier", [1.0, 0.01])
def test_equalised_learning_rate(multiplier: float) -> None:
    """Karras et al. 2018, section 4.1: rows of unit variance come out with unit variance whatever the multiplier λ
    (200 outputs of 1,000 rows: 3%), and a step of 1 of every weight moves the outputs by λ Σx / √inputs. float32."""
    torch.manual_seed(0)
    layer = EqualLinear(64, 200, bias=0.5, multiplier=multiplier)
    x = torch.randn(1000, 64)
    before = layer(x)
    assert before.mean().item() == pytest.approx(0.5, abs=0.05)
    assert before.std().item() == pytest.approx(1, rel=0.03)
    with torch.no_grad():
        layer.weight += 1
    moved = (layer(x) - before)[:, 0]
    torch.testing.assert_close(moved, multiplier * x.sum(1) / 8, atol=1e-4, rtol=1e-3)


def test_mapping_network() -> None:
    """Every layer has the multiplier 0.01; the length of a latent says nothing, as its mean square is brought to 1. A
    class is as loud as the latent. float32."""
    torch.manual_seed(0)
    plain, classes = Mapping(5, 6, 3, 0), Mapping(5, 6, 3, n_classes=4)
    assert [layer.multiplier for layer in plain.layers] == [0.01] * 3
    z = torch.randn(7, 5)
    torch.testing.assert_close(unit_mean_square(z).square().mean(1), torch.ones(7))
    torch.testing.assert_close(plain(3 * z, None), plain(z, None))
    labels = torch.tensor([0, 1, 2, 3, 0, 1, 2])
    before = classes(z, labels)
    assert not torch.equal(before, classes(z, labels.flip(0)))
    with torch.no_grad():
        classes.classes.weight *= 3
    torch.testing.assert_close(classes(z, labels), before)


def test_demodulated_outputs_have_unit_variance() -> None:
    """Section 2.2: inputs that are independent with unit variance come out of equation 3 with variance 1, whatever
    the style, here one of sizes from 0.01 to 100. 16·30·30 outputs of each map, correlated over nine neighbours at
    most, have a standard error of their variance under √(2·9/14,400) = 0.036; 5 of them. Without demodulation it is
    not so."""
    torch.manual_seed(0)
    layer = ModulatedConv2d(8, 6, 3, 4)
    nn.init.zeros_(layer.affine.weight)
    with torch.no_grad():
        layer.affine.bias.copy_(10 ** torch.linspace(-2, 2, 8))
        made = layer(torch.randn(16, 8, 32, 32), torch.randn(16, 4))[..., 1:-1, 1:-1]
        variance = made.transpose(0, 1).flatten(1).var(1)
        torch.testing.assert_close(variance, torch.ones(6), atol=0.18, rtol=0)
        layer.demodulate = False
        raw = layer(torch.randn(16, 8, 32, 32), torch.randn(16, 4)).var().item()
    assert raw > 10


@pytest.mark.parametrize("demodulate", [True, False])
def test_modulation_of_weights(demodulate: bool) -> None:
    """Equations 1 and 3 as they are written, with weights of each image's own: w′ = s w, w″ = w′ / √(Σ w′² + ε). The
    same up to float32 rounding."""
    torch.manual_seed(0)
    layer, x, w = ModulatedConv2d(3, 5, 3, 4, demodulate), torch.randn(2, 3, 6, 6), torch.randn(2, 4)
    style = layer.affine(w)
    expected = []
    for n in range(2):
        weight = layer.weight * layer.scale * style[n][None, :, None, None]
        if demodulate:
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        expected.append(F.conv2d(x[n : n + 1], weight, padding=1))
    torch.testing.assert_close(layer(x, w), torch.cat(expected), atol=1e-5, rtol=1e-4)


def test_noise_of_a_layer() -> None:
    """It is added to all maps of an image alike, times the layer's strength, which starts at 0, before the rectifier
    (figure 2c). With a bias beyond reach of negative numbers the rectifier is √2; float32."""
    torch.manual_seed(0)
    layer, x, w = StyledLayer(3, 4, 5, doubles=False), torch.randn(2, 3, 4, 4), torch.randn(2, 5)
    noise = torch.randn(2, 1, 4, 4)
    assert torch.equal(layer(x, w, noise), layer(x, w, noise * 0))
    with torch.no_grad():
        layer.bias.fill_(50)
        layer.strength.fill_(0.3)
        difference = layer(x, w, noise) - layer(x, w, noise * 0)
    expected = (0.3 * math.sqrt(2) * noise).expand(-1, 4, -1, -1)
    torch.testing.assert_close(difference, expected, atol=1e-4, rtol=0)


def test_rectifier() -> None:
    """√2 above zero and 0.2 √2 below."""
    expected = math.sqrt(2) * torch.tensor([2.0, -0.6])
    torch.testing.assert_close(rectified(torch.tensor([2.0, -3.0])), expected)


def test_residual_block_keeps_its_skip() -> None:
    """With the long way at 0 a block of the discriminator is its 1×1 convolution of filtered images over √2."""
    torch.manual_seed(0)
    block, x = ResidualBlock(3, 5), torch.randn(2, 3, 8, 8)
    nn.init.zeros_(block.second.weight)
    torch.testing.assert_close(block(x), block.skip(x) / math.sqrt(2))


@pytest.mark.parametrize(("n", "group"), [(8, 4), (4, 4), (6, 3), (2, 2), (5, 1)])
def test_deviation_of_groups(n: int, group: int) -> None:
    """NumPy's standard deviation over the images of a group, averaged over channels and positions, on a map of its
    own; groups are as large as divides the batch, up to 4. The 1e-8 under the root of float32: 1e-4."""
    torch.manual_seed(0)
    x = torch.randn(n, 3, 2, 2)
    made = with_deviation(x)
    assert torch.equal(made[:, :3], x)
    stride = n // group
    for image in range(n):
        members = x.numpy()[image % stride :: stride]
        assert len(members) == group
        expected = np.sqrt(members.var(0) + 1e-8).mean()
        np.testing.assert_allclose(made[image, 3].numpy(), np.full((2, 2), expected), atol=1e-4)
