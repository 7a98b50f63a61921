"""Inpainters: what each is by its paper, that none sees what is missing, and what all refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from benchbench.core.errors import InputError
from benchbench.core.protocols import Batch, ImageSpec, Inpainter, Phase
from benchbench.data.degrade.holes import Holed
from benchbench.models.build import build_model
from benchbench.models.restoration.context_encoder import ChannelwiseLinear, ContextEncoder
from benchbench.models.restoration.inpainter import LearnedInpainter, halved, psnr_in
from benchbench.models.restoration.partial_conv import PartialConv2d, total_variation

SPEC = ImageSpec(64, 64, False, 0, Holed("strokes", (3,)))
SMALL = {"partial-conv": {"width": 4}, "context-encoder": {"width": 4}, "nearest-fill": {}, "biharmonic": {}}
LEARNED = ("partial-conv", "context-encoder")


def built(name: str, **hyper: object) -> Inpainter:
    torch.manual_seed(0)
    model = build_model(name, {**SMALL[name], **hyper}, SPEC).eval()
    assert isinstance(model, Inpainter)
    return model


def learned(name: str, **hyper: object) -> LearnedInpainter:
    model = built(name, **hyper)
    assert isinstance(model, LearnedInpainter)
    return model


def photo(height: int, width: int) -> Tensor:
    """A smooth image in three colours, uint8 1×3×height×width."""
    down, across = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 3, width), indexing="ij")
    planes = [128 + 100 * (down * a + across).sin() for a in (0.5, 1.0, 2.0)]
    return torch.stack(planes)[None].round().to(torch.uint8)


def box(height: int, width: int, rows: slice, columns: slice) -> Tensor:
    hole = torch.zeros(1, 1, height, width, dtype=torch.bool)
    hole[..., rows, columns] = True
    return hole


# Partial convolutions


def test_a_partial_convolution_by_hand() -> None:
    """Liu et al. 2018, equation 1, on 1×3 known values 2, ·, 4 under a window of three ones and bias 10: at the left
    (·, 2, missing) one of nine known, 2·9/1 + 10; in the middle 6·9/2 + 10; at the right 4·9/1 + 10. All masks are 1
    afterwards (equation 2)."""
    layer = PartialConv2d([1], 1, 3)
    torch.nn.init.ones_(layer.conv.weight)
    torch.nn.init.constant_(layer.conv.bias, 10.0)  # type: ignore[arg-type]
    values, mask = torch.tensor([[[[2.0, 99.0, 4.0]]]]), torch.tensor([[[[1.0, 0.0, 1.0]]]])
    made, seen = layer((values, mask))
    assert made.flatten().tolist() == [28.0, 37.0, 46.0]
    assert seen.flatten().tolist() == [1.0, 1.0, 1.0]


def test_masks_grow_by_the_reach_of_a_window() -> None:
    """Equation 2: a place is known where its window held anything known. One known pixel of 7×7 under a 3×3 window
    makes 3×3 known, with stride 2 those of them that lie on even places; elsewhere the output is 0, without its bias.
    """
    known = torch.zeros(1, 1, 7, 7)
    known[..., 3, 3] = 1
    layer = PartialConv2d([1], 2, 3)
    torch.nn.init.constant_(layer.conv.bias, 5.0)  # type: ignore[arg-type]
    made, seen = layer((torch.ones(1, 1, 7, 7), known))
    assert torch.equal(seen, F.max_pool2d(known, 3, 1, 1))
    assert made[:, :, seen[0, 0] == 0].unique().tolist() == [0.0]
    _, strided = PartialConv2d([1], 2, 3, stride=2)((torch.ones(1, 1, 7, 7), known))
    assert strided[0, 0].tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


def test_where_all_is_known_it_is_a_convolution() -> None:
    """Nothing missing: inside, the ordinary convolution; along the border the same scaled by nine over how many pixels
    of the window lie within the image, for what lies beyond is unknown (six at an edge, four in a corner)."""
    torch.manual_seed(1)
    layer = PartialConv2d([2, 1], 4, 3)
    torch.nn.init.normal_(layer.conv.bias)  # type: ignore[arg-type]
    a, b, ones = torch.randn(2, 2, 6, 5), torch.randn(2, 1, 6, 5), torch.ones(2, 1, 6, 5)
    made, seen = layer((a, ones), (b, ones))
    plain = F.conv2d(torch.cat([a, b], 1), layer.conv.weight, None, padding=1)
    within = F.conv2d(torch.ones(1, 1, 6, 5), torch.ones(1, 1, 3, 3), padding=1)
    assert torch.allclose(made, plain * 9 / within + layer.conv.bias[:, None, None], atol=1e-5)  # type: ignore[index]
    assert torch.allclose(made[..., 1:-1, 1:-1], layer.conv(torch.cat([a, b], 1))[..., 1:-1, 1:-1], atol=1e-5)
    assert seen.all()


def test_inputs_are_weighted_by_their_own_masks() -> None:
    """Two inputs of which one is unknown: the output is that of a layer on the other alone, scaled by all channels over
    the known ones (sum(1)/sum(M) of equation 1 over the channels of a window)."""
    torch.manual_seed(2)
    layer = PartialConv2d([2, 3], 4, 1)
    a, b = torch.randn(1, 2, 4, 4), torch.randn(1, 3, 4, 4)
    made, _ = layer((a, torch.ones(1, 1, 4, 4)), (b, torch.zeros(1, 1, 4, 4)))
    assert torch.allclose(made, F.conv2d(a, layer.conv.weight[:, :2]) * 5 / 2, atol=1e-5)


def test_total_variation_of_a_step() -> None:
    """Equation 6 by hand: a step of 3 between two columns, a hole of one pixel beside it. Within the hole and one pixel
    around it (3×3) three pairs of neighbours lie across the step: 3·3 over 25 values."""
    image = torch.zeros(1, 1, 5, 5)
    image[..., 3:] = 3
    assert float(total_variation(image, box(5, 5, slice(2, 3), slice(2, 3)))) == pytest.approx(9 / 25)
    assert float(total_variation(image, box(5, 5, slice(2, 3), slice(0, 1)))) == 0


def test_the_loss_of_partial_conv() -> None:
    """A network that gives 0 everywhere, on pieces of ½: L1 of ½ counts once where known, six times in the hole
    (equation 7). The filled hole has a border of 0 against ½, whose variation comes at a tenth."""
    model = learned("partial-conv")
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    torch.manual_seed(4)
    loss, logs = model.loss(Phase("inpainter"), Batch(torch.full((3, 1, 64, 64), 0.5), None, 0, 1))
    torch.manual_seed(4)
    planes, holes = model.with_holes(Batch(torch.full((3, 1, 64, 64), 0.5), None, 0, 1))
    share = float(holes.double().mean())
    variation = float(total_variation(torch.where(holes, torch.tensor(0.0), planes), holes))
    assert variation > 0
    assert float(loss.detach()) == pytest.approx(
        0.5 * (1 - share) + 6 * 0.5 * share + 0.1 * variation, rel=1e-5
    )
    assert float(logs["psnr_hole"]) == pytest.approx(
        10 * np.log10(16), rel=1e-5
    )  # an error of ¼ of the range


# Context encoder


def test_channelwise_layer() -> None:
    """Pathak et al. 2016, section 3.1: m maps of n×n take m·n⁴ weights, no map sees another, and each place of a map
    sees all of it."""
    torch.manual_seed(0)
    layer = ChannelwiseLinear(6, 4)
    assert layer.weight.numel() == 6 * 4**4
    maps = torch.randn(2, 6, 4, 4)
    before = layer(maps)
    assert before.shape == maps.shape
    maps[:, 2, 0, 0] += 1
    moved = (layer(maps) - before).abs() > 1e-7
    assert moved[:, 2].all()
    assert not moved[:, [0, 1, 3, 4, 5]].any()


def test_one_side_reaches_the_other() -> None:
    """By that layer a pixel depends on the far corner of its piece. Without it, every place of a map handed on alone,
    it does not: convolutions with four halvings see 46 pixels, and the piece has 64."""
    model = learned("context-encoder")
    assert isinstance(model, ContextEncoder)
    (layer,) = (own for own in model.filler if isinstance(own, ChannelwiseLinear))

    def far_corner() -> float:
        piece = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
        made = model(piece, torch.zeros(1, 1, 64, 64, dtype=torch.bool))
        return float(
            torch.autograd.grad(made[..., 48:, 48:].square().sum(), piece)[0][..., :8, :8].abs().sum()
        )

    assert far_corner() > 0
    with torch.no_grad():
        layer.weight.copy_(torch.eye(16).expand_as(layer.weight))
    assert far_corner() == 0


def test_the_losses_of_the_context_encoder() -> None:
    """Equation 3: 0.999 of the squared error in the hole and 0.001 of −log D of the whole output, with the same
    holes computed here; what the discriminator minimises is −log D(x) − log(1 − D(F(x)))."""
    model = learned("context-encoder").train(False)
    assert isinstance(model, ContextEncoder)
    batch = Batch(torch.rand(4, 1, 64, 64) * 2 - 1, None, 0, 1)

    def again() -> tuple[Tensor, Tensor, Tensor]:
        torch.manual_seed(9)
        planes, holes = model.with_holes(batch)
        return planes, holes, model(planes, holes)

    planes, holes, made = again()
    torch.manual_seed(9)
    loss, _ = model.loss(Phase("inpainter"), batch)
    error = (made - planes)[holes].square().mean()
    fooled = -model.discriminator(made).sigmoid().log().mean()
    assert float(loss.detach()) == pytest.approx(float((0.999 * error + 0.001 * fooled).detach()), rel=1e-5)
    torch.manual_seed(9)
    loss, _ = model.loss(Phase("discriminator"), batch)
    on_real, on_made = model.discriminator(planes).sigmoid(), model.discriminator(made).sigmoid()
    expected = -on_real.log().mean() - (1 - on_made).log().mean()
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert set(model.players()) == {"discriminator", "inpainter"}


# Images of any size


def test_half_the_sides_by_hand() -> None:
    """Each pixel is the mean of the known ones among its four and missing where none is; a side of three is filled up
    by what is unknown."""
    planes = torch.tensor([[[[1.0, 2.0, 5.0], [3.0, 4.0, 7.0], [8.0, 6.0, 9.0]]]])
    hole = torch.tensor([[[[0, 1, 0], [1, 1, 0], [0, 0, 1]]]]).bool()
    small, missing = halved(planes, hole)
    assert small[0, 0].tolist() == [[1.0, 6.0], [7.0, 0.0]]
    assert missing[0, 0].tolist() == [[False, False], [False, True]]


@pytest.mark.parametrize("name", LEARNED)
def test_wide_holes_are_filled_from_a_smaller_image(name: str) -> None:
    """A hole of 152×152 in 192×192 is wider than either sees at once, partial convolutions of two levels at least.
    `once` says that it did not reach its middle, and there the result is that of the image at half its sides, enlarged:
    the same as that filled on its own."""
    model = learned(name, **({"depth": 2} if name == "partial-conv" else {}))
    planes = photo(192, 192)[:, :1].float() / 127.5 - 1
    hole = box(192, 192, slice(20, 172), slice(20, 172))
    with torch.inference_mode():
        _, reached = model.once(planes.masked_fill(hole, 0), hole)
        whole = model.fill(planes, hole)
        coarse = F.interpolate(model.fill(*halved(planes, hole)), scale_factor=2.0, mode="bilinear")
    unreached = (reached == 0) & hole
    assert unreached[..., 96, 96].all()
    assert torch.allclose(whole[unreached], coarse[unreached], atol=1e-6)
    assert not torch.allclose(whole[hole & (reached == 1)], coarse[hole & (reached == 1)], atol=1e-3)


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("size", [(1, 2), (3, 130), (64, 64), (65, 97)])
def test_any_size(name: str, size: tuple[int, int]) -> None:
    """Sides below, at and above a piece, odd ones too: an image of the same size, whose known pixels are untouched."""
    image = photo(*size)
    hole = box(*size, slice(0, max(1, size[0] // 2)), slice(0, size[1] // 2))
    with torch.inference_mode():
        made = built(name).inpaint(image, hole)
    assert made.shape == image.shape
    assert torch.equal(made[~hole.expand_as(made)], image[~hole.expand_as(made)])


# All of them


@pytest.mark.parametrize("name", SMALL)
def test_what_is_missing_is_not_looked_at(name: str) -> None:
    """Whatever lies in the hole, the filling is the same; and each of two images is filled as if it were alone."""
    model, image = built(name), photo(70, 40)
    hole = box(70, 40, slice(20, 45), slice(10, 40))
    noise = torch.randint(0, 256, image.shape, generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    with torch.inference_mode():
        made = model.inpaint(image, hole)
        assert torch.equal(made, model.inpaint(torch.where(hole, noise, image), hole))
        both = model.inpaint(torch.cat([image.flip(3), image]), torch.cat([hole.flip(2), hole]))
    assert torch.equal(both[1:], made)
    assert not torch.equal(both[0], made[0])


@pytest.mark.parametrize("name", SMALL)
def test_grey_stays_grey_and_colours_are_filled_alike(name: str) -> None:
    """R = G = B in, R = G = B out; and a network of one channel makes of a channel what it makes of it as grey."""
    model, image = built(name), photo(40, 40)
    hole = box(40, 40, slice(5, 20), slice(5, 20))
    with torch.inference_mode():
        grey = model.inpaint(image[:, :1].expand(-1, 3, -1, -1).contiguous(), hole)
        colour = model.inpaint(image, hole)
    assert torch.equal(grey[:, 0], grey[:, 1])
    assert torch.equal(grey[:, 0], grey[:, 2])
    if name != "biharmonic":  # one system for all channels rounds otherwise
        assert torch.equal(colour[:, 0], grey[:, 0])
    assert (colour[:, 0].int() - grey[:, 0].int()).abs().max() <= 1


@pytest.mark.parametrize("name", SMALL)
def test_holes_that_are_none_of_these_images(name: str) -> None:
    """A mask of another size, of another number, of another type, and one that leaves nothing: a sentence each. An
    image without a hole is given back."""
    model, images = built(name), photo(20, 30).expand(2, -1, -1, -1)
    whole = torch.ones(2, 1, 20, 30, dtype=torch.bool)
    for bad, words in [
        (whole[..., :29], "holes must be bool 2×1×20×30, one plane an image .* but are bool 2×1×20×29"),
        (whole[:1], "but are bool 1×1×20×30"),
        (whole.float(), "but are float32"),
        (whole, "of 2 of 2 images all pixels are missing"),
    ]:
        with pytest.raises(InputError, match=words):
            model.inpaint(images, bad)
    with torch.inference_mode():
        assert torch.equal(model.inpaint(images, ~whole), images)
    one = torch.zeros(1, 3, 1, 1, dtype=torch.uint8)
    with pytest.raises(InputError, match="all pixels are missing"):
        model.inpaint(one, torch.ones(1, 1, 1, 1, dtype=torch.bool))
    with torch.inference_mode():
        assert torch.equal(model.inpaint(one, torch.zeros(1, 1, 1, 1, dtype=torch.bool)), one)
    with pytest.raises(InputError, match="images with holes"):
        model.inpaint(torch.zeros(2, 4, 20, 30, dtype=torch.uint8), ~whole)  # an alpha channel


def test_nearest_fill_by_hand() -> None:
    """A row 10, ·, ·, 40: each missing pixel takes the value beside it."""
    row = torch.tensor([10, 0, 0, 40], dtype=torch.uint8).expand(1, 3, 1, 4).contiguous()
    made = built("nearest-fill").inpaint(row, box(1, 4, slice(0, 1), slice(1, 3)))
    assert made[0, 0, 0].tolist() == [10, 10, 40, 40]


def test_biharmonic_continues_a_plane() -> None:
    """A plane is biharmonic, so a hole within it is filled without an error: 2·row + 3·column, to the last level."""
    down, across = torch.meshgrid(torch.arange(20), torch.arange(30), indexing="ij")
    image = (2 * down + 3 * across).to(torch.uint8).expand(1, 3, -1, -1).contiguous()
    made = built("biharmonic").inpaint(image, box(20, 30, slice(5, 14), slice(8, 21)))
    assert torch.equal(made, image)


def test_biharmonic_refuses_what_takes_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """More missing pixels than the limit, here one of 50: the number, the limit and what to do instead."""
    monkeypatch.setattr("benchbench.models.restoration.filling.LARGEST", 50)
    with pytest.raises(InputError, match=r"51 missing pixels at once.*take nearest-fill"):
        built("biharmonic").inpaint(photo(10, 60), box(10, 60, slice(4, 5), slice(0, 51)))


def test_psnr_in_holes() -> None:
    """Two images with errors of a tenth and a hundredth of the range in their holes and any outside: 20 and 40 dB."""
    planes, holes = torch.zeros(2, 1, 4, 4), box(4, 4, slice(0, 2), slice(0, 2)).expand(2, -1, -1, -1)
    made = torch.full((2, 1, 4, 4), 0.9)
    made[0, :, :2, :2], made[1, :, :2, :2] = 0.2, 0.02
    assert float(psnr_in(made, planes, holes)) == pytest.approx(30)


@pytest.mark.costly
@pytest.mark.parametrize("name", LEARNED)
def test_learning(name: str) -> None:
    """Sixty steps on pieces of one gradient: the error in the hole falls by 6 dB at least against that of an untrained
    network, and the statistics of an epoch say it of the same holes each time."""
    model = learned(name)
    pieces = photo(160, 160)[:, :, :64, :64].expand(4, -1, -1, -1).contiguous()
    x = pieces[:, :1].float() / 127.5 - 1
    with torch.inference_mode():
        before = model.epoch_statistics(pieces)["held_out_psnr_hole"]
        assert before == model.epoch_statistics(pieces)["held_out_psnr_hole"]
    optimisers = {key: torch.optim.Adam(own.parameters(), 2e-3) for key, own in model.players().items()}
    model.train()
    for step in range(60):
        for player, optimiser in optimisers.items():
            optimiser.zero_grad()
            loss, _ = model.loss(Phase(player), Batch(x, None, step, 60))
            loss.backward()
            optimiser.step()
    model.eval()
    with torch.inference_mode():
        assert model.epoch_statistics(pieces)["held_out_psnr_hole"] > before + 6


def test_colour() -> None:
    """A network of three channels fills colour images, and says so of grey pieces to learn from."""
    for name in LEARNED:
        model = learned(name, colour=True)
        with torch.inference_mode():
            made = model.inpaint(photo(40, 40), box(40, 40, slice(5, 20), slice(5, 20)))
        assert made.shape == (1, 3, 40, 40)
        with pytest.raises(InputError, match="learns from colour images, and these are grey"):
            model.planes(torch.zeros(2, 1, 64, 64))
