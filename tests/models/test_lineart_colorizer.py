"""The colouriser: hint maps by hand, nesting of hints, how many are given in training."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.protocols import Batch, Hinted, ImageSpec, Phase, Trainable
from benchbench.core.seeds import ImageRng
from benchbench.models.translation.lineart_colorizer import LineartColorizer

SMALL = {"width": 4, "depth": 2, "disc_width": 4, "disc_layers": 1}
COLOUR = ImageSpec(12, 12, False, 0)


def build(spec: ImageSpec = COLOUR, **hyper: Any) -> LineartColorizer:
    torch.manual_seed(0)
    return LineartColorizer(LineartColorizer.Config.model_validate(SMALL | hyper), spec)


def pictures(n: int, spec: ImageSpec = COLOUR, seed: int = 3) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (n, spec.channels, spec.height, spec.width), generator=g, dtype=torch.uint8)
    return images.expand(-1, 3, -1, -1).contiguous()


def hint_map(
    model: LineartColorizer, target: Tensor, points: list[int], shown: list[bool] | None = None
) -> Tensor:
    """Hint colours and mask for one image."""
    chosen = torch.tensor([points])
    counts = torch.ones_like(chosen).bool() if shown is None else torch.tensor([shown])
    return model.with_hints(torch.zeros_like(target), target, chosen, counts)[0, target.shape[1] :]


@pytest.mark.parametrize("radius", [0, 1, 2])
def test_a_hint_by_hand(radius: int) -> None:
    """One point at row 5, column 6: a square of side 2r + 1 around it in the colour of its middle, 0 elsewhere, and a
    mask of exactly that square. Division by the same number: 1e-6."""
    target = torch.rand(1, 3, 12, 12) * 2 - 1
    found = hint_map(build(hint_radius=radius), target, [5 * 12 + 6])
    square = (slice(5 - radius, 6 + radius), slice(6 - radius, 7 + radius))
    expected = torch.zeros(4, 12, 12)
    expected[:3, *square] = target[0, :, 5, 6].view(3, 1, 1)
    expected[3, *square] = 1
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_hints_that_overlap_and_hints_at_the_border() -> None:
    """Points at (0, 0) and (0, 2), radius 1: a square is cut by the border to 2×2, the shared column 1 shows the mean
    of both colours. A point twice is a point once, a point that does not count is none. 1e-6 for the divisions."""
    model, target = build(), torch.rand(1, 3, 12, 12)
    left, right = target[0, :, 0, 0], target[0, :, 0, 2]
    expected = torch.zeros(4, 12, 12)
    for column, colour in ((0, left), (1, (left + right) / 2), (2, right), (3, right)):
        expected[:3, :2, column] = colour[:, None]
        expected[3, :2, column] = 1
    torch.testing.assert_close(hint_map(model, target, [0, 2]), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(hint_map(model, target, [0, 2, 0]), expected, atol=1e-6, rtol=0)
    shown = hint_map(model, target, [0, 2, 77, 0], [True, True, False, False])
    torch.testing.assert_close(shown, expected, atol=1e-6, rtol=0)


def test_without_hints_the_colours_are_not_seen() -> None:
    """No points: colours and mask are 0 whatever the truth, and `translate_hinted` with 0 hints is `translate`."""
    model, images = build().eval(), pictures(3)
    assert not hint_map(model, torch.rand(1, 3, 12, 12), []).any()
    with torch.inference_mode():
        plain = model.translate(images, "AtoB", ImageRng(0, range(3)))
        for seed in (5, 6):
            none = model.translate_hinted(images, "AtoB", ImageRng(0, range(3)), pictures(3, seed=seed), 0)
            assert torch.equal(plain, none)


def test_hints_change_what_is_made() -> None:
    """Two truths, the same points: other images. One image's hints are its own: alone or among others, up to one grey
    level where a sum in another order crosses a rounding border."""
    model, images, truth = build().eval(), pictures(4), pictures(4, seed=9)
    with torch.inference_mode():
        made = model.translate_hinted(images, "AtoB", ImageRng(2, range(4)), truth, 20)
        other = model.translate_hinted(images, "AtoB", ImageRng(2, range(4)), 255 - truth, 20)
        alone = model.translate_hinted(images[3:], "AtoB", ImageRng(2, range(3, 4)), truth[3:], 20)
    assert (made != other).flatten(1).any(1).all()
    assert (made[3:].int() - alone.int()).abs().max() <= 1


@pytest.mark.parametrize("spec", [ImageSpec(32, 32, False, 0), ImageSpec(33, 21, True, 0)], ids=str)
def test_more_hints_are_the_same_and_more(spec: ImageSpec) -> None:
    """What the network is given with 5 hints is there with 20 too: with radius 0 no averages blur it, so equal bit for
    bit wherever the mask of the 5 is set."""
    model, images, truth = build(spec, hint_radius=0).eval(), pictures(6, spec), pictures(6, spec, seed=9)
    inputs: list[Tensor] = []
    model.generator.register_forward_pre_hook(lambda module, arguments: inputs.append(arguments[0]))
    for hints in (5, 20):
        model.translate_hinted(images, "AtoB", ImageRng(2, range(6)), truth, hints)
    few, many = (given[:, -1:] > 0 for given in inputs)
    assert (few & many).equal(few)
    assert few.sum((1, 2, 3)).max() == 5
    assert many.sum((1, 2, 3)).max() > 15
    assert torch.equal(torch.where(few, inputs[0], 0), torch.where(few, inputs[1], 0))


def test_hints_in_training() -> None:
    """With radius 0 the mask counts distinct points. Half of 4,000 images have none, within five standard errors of
    √(¼/4000). The others have k uniform on 1, 2, 3 points; on 144 pixels two of k fall together with probability
    k(k - 1)/288 at most: the mean is 2 within 0.02 for that and five standard errors of √(2/3/2000)."""
    model = build(hint_radius=0, max_hints=3)
    target = torch.rand(4000, 3, 12, 12)
    given = model.condition(torch.zeros_like(target), target)
    count = given[:, -1].sum((1, 2))
    assert (count == 0).double().mean().item() == pytest.approx(0.5, abs=5 * math.sqrt(0.25 / 4000))
    assert set(count.tolist()) == {0, 1, 2, 3}
    assert count[count > 0].mean().item() == pytest.approx(2, abs=0.02 + 5 * math.sqrt(2 / 3 / 2000))
    assert torch.equal(given[:, 3:6], target * given[:, -1:])
    where = given[:, -1].sum(0)  # about 4,000 points on 144 pixels: 28 each, ±5·√28
    assert (where - where.mean()).abs().max() < 5 * where.mean().sqrt()


@pytest.mark.parametrize(("share", "hinted"), [(0.0, 1.0), (1.0, 0.0)])
def test_share_without_hints(share: float, hinted: float) -> None:
    """0 and 1 are what they say."""
    given = build(no_hints=share).condition(*torch.rand(2, 50, 3, 12, 12))
    assert (given[:, -1].flatten(1).any(1)).double().mean().item() == hinted


@pytest.mark.parametrize("grey", [True, False])
def test_trains_and_is_hinted(grey: bool) -> None:
    """The discriminator sees source, hints, mask and image; both losses have gradients for their own player;
    pictures come out of the size they went in, uint8 RGB."""
    spec = ImageSpec(17, 20, grey, 0)
    model = build(spec)
    assert isinstance(model, Hinted)
    assert isinstance(model, Trainable)
    assert model.paired
    assert model.discriminator.layers[0].in_channels == 3 * spec.channels + 1
    x, y = torch.rand(2, 3, spec.channels, 17, 20) * 2 - 1
    for name, player in model.players().items():
        loss, _ = model.loss(Phase(name), Batch(x, None, 0, 1, y=y))
        model.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in player.parameters())
    images = pictures(2, spec)
    with torch.inference_mode():
        made = model.eval().translate_hinted(images, "AtoB", ImageRng(0, range(2)), images, 4)
    assert (made.dtype, made.shape) == (torch.uint8, images.shape)


def test_bad_requests() -> None:
    """One sentence each."""
    model, images = build().eval(), pictures(2)
    cases: list[tuple[Any, Tensor, int, str]] = [
        ("BtoA", images, 1, "no direction 'BtoA'; it has AtoB"),
        ("AtoB", images[:1], 1, "2 images cannot take hints from 1 true ones"),
        ("AtoB", images, -1, "number of hints is -1 but must be at least 0"),
        ("AtoB", pictures(2, ImageSpec(16, 16, False, 0)), 1, "built for 12×12 images"),
    ]
    for direction, truth, hints, words in cases:
        with pytest.raises(InputError, match=words):
            model.translate_hinted(images, direction, ImageRng(0, range(2)), truth, hints)
