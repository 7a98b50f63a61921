"""The discriminator of patches: receptive field by formula and by gradient, layers, sizes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import ImageSpec
from benchbench.models.nn.patchgan import PatchGAN


def build(side: int, layers: int = 3, width: int = 2, norm: str = "instance", inputs: int = 3) -> PatchGAN:
    torch.manual_seed(0)
    return PatchGAN(ImageSpec(side, side, False, 0), inputs, width, layers, norm)  # type: ignore[arg-type]


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_receptive_field(layers: int, field: int) -> None:
    """Isola et al. 2017, appendix 6.1.2: 16×16 for C64-C128 and 70×70 for C64-C128-C256-C512. By hand: the two
    4×4 layers of stride 1 see 4 and 7, each halving layer before them 2(r - 1) + 4: 16, 34, 70, 142."""
    assert build(48, layers).receptive_field() == field


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_receptive_field_by_gradient(layers: int) -> None:
    """The pixels with a gradient of a score in the middle form a full square of the side that the formula says. Norms
    are taken out, since their statistics look at the whole map; the pixels beyond have a gradient of exactly 0."""
    side = 128
    net = build(side, layers).double()
    net.layers = nn.Sequential(*[m for m in net.layers if not isinstance(m, nn.InstanceNorm2d)])
    x = torch.randn(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    scores: Tensor = net.layers(x)
    middle = scores.shape[2] // 2
    (gradient,) = torch.autograd.grad(scores[0, 0, middle, middle], x)
    rows, columns = torch.nonzero(gradient[0].abs().sum(0), as_tuple=True)
    field = net.receptive_field()
    assert int(rows.max() - rows.min()) + 1 == int(columns.max() - columns.min()) + 1 == field
    assert len(rows) == field**2


def test_layers_of_the_paper() -> None:
    """Appendix 6.1.2: C64-C128-C256-C512, then one channel; no norm at the first layer, LeakyReLU of slope 0.2,
    4×4 kernels. The authors' code: strides 2, 2, 2, 1, 1, a 30×30 map of scores for 256×256 pixels, and for a
    condition the channels of both images."""
    net = build(256, width=64, norm="batch", inputs=6)
    convs = [m for m in net.layers if isinstance(m, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.stride[0]) for c in convs] == [
        (6, 64, 2), (64, 128, 2), (128, 256, 2), (256, 512, 1), (512, 1, 1),
    ]  # fmt: skip
    assert {c.kernel_size for c in convs} == {(4, 4)}
    assert [m.num_features for m in net.layers if isinstance(m, nn.BatchNorm2d)] == [128, 256, 512]
    assert {m.negative_slope for m in net.layers if isinstance(m, nn.LeakyReLU)} == {0.2}
    assert build(256)(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 30, 30)


@pytest.mark.parametrize(
    ("side", "layers", "scores"), [(32, 3, 2), (33, 3, 2), (24, 3, 1), (32, 2, 6), (8, 1, 2)]
)
def test_map_of_scores(side: int, layers: int, scores: int) -> None:
    """Each halving layer rounds down, each of the last two takes a pixel: 32/8 - 2 = 2. In training mode too."""
    assert build(side, layers)(torch.rand(2, 3, side, side)).shape == (2, 1, scores, scores)


def test_too_small_is_refused() -> None:
    """One pixel less than leaves a score; the sentence names the way out."""
    with pytest.raises(
        InputError, match="at least 24×24 pixels but these are 40×23; lower disc_layers or resize"
    ):
        PatchGAN(ImageSpec(23, 40, False, 0), 3, 4, 3, "instance")


def test_images_are_judged_alone_under_instance_norm() -> None:
    """Scores in training mode do not depend on who is beside: float32 rounding of another batch shape."""
    net, x = build(32, width=8), torch.rand(4, 3, 32, 32)
    torch.testing.assert_close(net(x)[:1], net(x[:1]), atol=1e-5, rtol=1e-4)
