"""What models from image to image share: directions, image conventions, the way there and back, the control row."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import pytest
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import (
    Batch,
    Cyclic,
    Direction,
    ImageSpec,
    Stylizer,
    Trainable,
    Translator,
)
from benchbench.core.seeds import ImageRng
from benchbench.models.translation.translator import (
    BOTH,
    Identity,
    ImageToImage,
    OneWayConfig,
    TwoWay,
    both_domains,
    conv_weights,
    least_squares,
    mirrored,
    opposite,
)

COLOUR = ImageSpec(5, 7, False, 0)
GREY = ImageSpec(5, 7, True, 0)


def pictures(n: int, spec: ImageSpec = COLOUR) -> Tensor:
    g = torch.Generator().manual_seed(3)
    images = torch.randint(256, (n, spec.channels, spec.height, spec.width), generator=g, dtype=torch.uint8)
    return images.expand(-1, 3, -1, -1).contiguous()


class Config(BaseModel, extra="forbid", frozen=True):
    """No hyper-parameters."""


class Shift(TwoWay):
    """A to B adds a quarter, B to A takes it away."""

    reference: ClassVar[str] = "test"
    paired = False

    def turn(self, x: Tensor, direction: Direction, rng: ImageRng) -> Tensor:
        return x + 0.25 if direction == "AtoB" else x - 0.25


class OneWay(ImageToImage):
    """Keeps what it was given, to look at."""

    paired = True

    def turn(self, x: Tensor, direction: Direction, rng: ImageRng) -> Tensor:
        self.seen = x
        return x.float()


def test_identity_gives_back_every_level() -> None:
    """All 256 levels of all channels, both directions, and there and back: the control's cycle error is exactly 0."""
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    images = torch.cat([levels, levels.flip(2), levels.flip(3)], dim=1)
    model, rng = Identity(Identity.Config(), ImageSpec(16, 16, False, 0)), ImageRng(0, range(1))
    for direction in BOTH:
        assert torch.equal(model.translate(images, direction, rng), images)
        assert torch.equal(model.cycle(images, direction, lambda x: x), images)
    assert torch.equal(model.stylize(images, 0, rng), images)


def test_identity_is_a_control_of_both_tasks() -> None:
    """It translates both ways, cycles and stylizes, and has nothing to learn."""
    model = Identity(Identity.Config(), COLOUR)
    assert isinstance(model, Cyclic)
    assert isinstance(model, Stylizer)
    assert not isinstance(model, Trainable)
    assert list(model.directions) == ["AtoB", "BtoA"]
    assert not model.paired
    images = pictures(2)
    made = model.stylize(images, 0, ImageRng(0, range(2)))
    made.zero_()
    assert images.any()  # what was handed out is a copy


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_there_and_back_by_hand(direction: Direction) -> None:
    """+¼ and -¼ cancel, in either order and without rounding in between; a disturbance of 2/255, one level, in the
    middle comes back as one level, and it sees the float translation: x ± ¼."""
    model, images = Shift(Config(), COLOUR), pictures(3).clamp(40, 200)
    assert torch.equal(model.cycle(images, direction, lambda x: x), images)
    seen: list[Tensor] = []

    def disturb(x: Tensor) -> Tensor:
        seen.append(x)
        return x + 2 / 255

    assert torch.equal(model.cycle(images, direction, disturb), images + 1)
    shift = 0.25 if direction == "AtoB" else -0.25
    torch.testing.assert_close(seen[0], images / 127.5 - 1 + shift)
    # ¼ is 31.875 levels; rounding in between would lose an eighth of a level, not a whole one.
    there = model.translate(images, direction, ImageRng(0, range(3))).int() - images.int()
    assert there.unique().tolist() == [32 if shift > 0 else -32]


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_one_way(direction: Direction) -> None:
    """A model of one direction: its source is what that direction starts from, and it refuses the other."""
    model = OneWay(OneWayConfig(direction=direction), COLOUR)
    assert isinstance(model, Translator)
    assert not isinstance(model, Cyclic)
    assert list(model.directions) == [direction]
    a, b = torch.zeros(1), torch.ones(1)
    assert float(model.ordered(a, b)[0]) == (0.0 if direction == "AtoB" else 1.0)
    assert float(model.ordered(a, b)[1]) == (1.0 if direction == "AtoB" else 0.0)
    with pytest.raises(
        InputError, match=f"this OneWay has no direction '{opposite(direction)}'; it has {direction}"
    ):
        model.translate(pictures(1), opposite(direction), ImageRng(0, range(1)))


@pytest.mark.parametrize("call", [lambda m, x: m.translate(x, "sideways", ImageRng(0, range(1))),
                                  lambda m, x: m.cycle(x, "sideways", lambda y: y)])  # fmt: skip
def test_a_direction_that_does_not_exist(call: Callable[[TwoWay, Tensor], Tensor]) -> None:
    """One sentence with those there are."""
    with pytest.raises(InputError, match="no direction 'sideways'; it has AtoB and BtoA"):
        call(Shift(Config(), COLOUR), pictures(1))


def test_images_inside_and_outside() -> None:
    """Inside: float32, 0 is -1 and 255 is 1, one channel for grey data. Outside: RGB again, clamped."""
    grey = OneWay(OneWayConfig(), GREY)
    made = grey.translate(pictures(2, GREY), "AtoB", ImageRng(0, range(2)))
    assert grey.seen.shape == (2, 1, 5, 7)
    assert grey.seen.dtype == torch.float32
    assert torch.equal(made, pictures(2, GREY))
    extremes = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 5, 7)
    assert grey.signed(extremes).flatten(1)[:, 0].tolist() == [-1.0, 1.0]
    assert int(Shift(Config(), COLOUR).translate(extremes, "AtoB", ImageRng(0, range(2))).max()) == 255


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (torch.zeros(1, 3, 7, 5, dtype=torch.uint8), "built for 7×5 images but these are 5×7"),
        (torch.zeros(1, 3, 5, 7), "must be uint8"),
        (torch.zeros(1, 1, 5, 7, dtype=torch.uint8), "shape N×3×H×W"),
    ],
)
def test_wrong_images_are_refused(images: Tensor, sentence: str) -> None:
    """Another size (width×height, as everywhere), floats, one channel."""
    model = Shift(Config(), COLOUR)
    with pytest.raises(InputError, match=sentence):
        model.translate(images, "AtoB", ImageRng(0, range(1)))
    with pytest.raises(InputError, match=sentence):
        model.cycle(images, "BtoA", lambda x: x)


def test_both_domains() -> None:
    """(x, y), and one sentence where y is missing."""
    x, y = torch.zeros(1, 3, 5, 7), torch.ones(2, 3, 5, 7)
    a, b = both_domains(Batch(x, None, 0, 1, y=y))
    assert a is x
    assert b is y
    with pytest.raises(InputError, match="two domains but the batch has one"):
        both_domains(Batch(x, None, 0, 1))


def test_mirrored_rows_are_turned_together() -> None:
    """Each row of all tensors is turned or none is, half of them: of 400 coins 200 ± 4·10 by the binomial's standard
    error. Rows count columns 0, 1, 2: turned ones start with 2."""
    x = torch.arange(3.0).expand(400, 1, 1, 3)
    torch.manual_seed(0)
    first, second = mirrored(x, x + 5)
    assert torch.equal(second, first + 5)
    turned = first[:, 0, 0, 0] == 2
    assert torch.equal(first[turned], x[turned].flip(3))
    assert torch.equal(first[~turned], x[~turned])
    assert int(turned.sum()) == pytest.approx(200, abs=40)


def test_initial_weights() -> None:
    """N(0, 0.02²), biases 0, norms N(1, 0.02²): 9,216 weights have a standard deviation within 4·0.02/√(2n) = 6e-4
    and a mean within 4·0.02/√n = 8e-4; the norm's 64 within 4·0.02/8 = 0.01 of 1. What has no weights is let be."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(16, 64, 3), nn.BatchNorm2d(64), nn.InstanceNorm2d(64), nn.ConvTranspose2d(64, 16, 3)
    )
    conv_weights(network)
    for convolution in (network[0], network[3]):
        assert isinstance(convolution, (nn.Conv2d, nn.ConvTranspose2d))
        assert convolution.bias is not None
        assert float(convolution.weight.detach().std()) == pytest.approx(0.02, abs=6e-4)
        assert abs(float(convolution.weight.detach().mean())) < 8e-4
        assert not convolution.bias.any()
    norm = network[1]
    assert isinstance(norm, nn.BatchNorm2d)
    assert float(norm.weight.detach().mean()) == pytest.approx(1, abs=0.01)
    assert 0 < float(norm.weight.detach().std()) < 0.03
    assert not norm.bias.any()


def test_least_squares_by_hand() -> None:
    """Scores 0, 1, 3 against 1: (1 + 0 + 4) / 3; its derivative is 2 (s - 1) / 3."""
    scores = torch.tensor([0.0, 1.0, 3.0], requires_grad=True)
    loss = least_squares(scores, 1.0)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(5 / 3)
    assert scores.grad is not None
    assert scores.grad.tolist() == pytest.approx([-2 / 3, 0, 4 / 3])
    assert math.isclose(float(least_squares(torch.tensor([1.0]), 1.0)), 0.0)
