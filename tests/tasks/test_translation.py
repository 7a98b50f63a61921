"""The translation task on toy models whose every answer is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.images import quantize, to_signed
from benchbench.core.protocols import Cyclic, Direction, Hinted, Translator
from benchbench.core.runtime import HERE, Runtime
from benchbench.core.seeds import ImageRng
from benchbench.metrics.pairs.cycle import CYCLE, CYCLE_EXACT, CYCLE_NOISE
from benchbench.metrics.pairs.paired import mae
from benchbench.tasks.translate import Translating, compare, output_rng

CPU = torch.device("cpu")
IMAGES = torch.randint(0, 200, (7, 3, 5, 5), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


class Brighter:
    """A to B: ten levels up; back: ten levels down. With hints, the truth in the first `hints` pixels."""

    directions: Sequence[Direction] = ("AtoB", "BtoA")
    paired = False

    def translate(self, images: Tensor, direction: Direction, rng: ImageRng) -> Tensor:
        return images + 10 if direction == "AtoB" else images - 10

    def cycle(self, images: Tensor, direction: Direction, disturb: Callable[[Tensor], Tensor]) -> Tensor:
        return quantize(disturb(to_signed(images)))

    def translate_hinted(
        self, images: Tensor, direction: Direction, rng: ImageRng, truth: Tensor, hints: int
    ) -> Tensor:
        made = self.translate(images, direction, rng)
        made.flatten(2)[..., :hints] = truth.flatten(2)[..., :hints]
        return made


class Dice(Brighter):
    """Adds a level that each image draws."""

    def translate(self, images: Tensor, direction: Direction, rng: ImageRng) -> Tensor:
        return images + rng.integers(50).to(torch.uint8).view(-1, 1, 1, 1)


EVERY = torch.arange(len(IMAGES))


def working(
    model: Translator, batch_size: int = 3, direction: Direction = "AtoB", seed: int = 4
) -> Translating:
    return Translating(model, direction, seed, Runtime(batch_size=batch_size))


def whole(
    model: Translator, batch_size: int = 3, which: Tensor = EVERY, repeat: int = 0, **options: Any
) -> Tensor:
    return torch.cat(list(working(model, batch_size, **options).outputs(IMAGES, which, repeat)))


def test_toys_satisfy_the_protocols() -> None:
    """The checks that the runner makes."""
    assert isinstance(Brighter(), Translator)
    assert isinstance(Brighter(), Cyclic)
    assert isinstance(Brighter(), Hinted)


def test_every_source_is_translated_once_and_in_order() -> None:
    """Ten levels up, whatever the batch; the last batch is short (7 = 3 + 3 + 1)."""
    for batch_size in (1, 3, 7, 100):
        assert torch.equal(whole(Brighter(), batch_size), IMAGES + 10)
    assert torch.equal(whole(Brighter(), direction="BtoA"), IMAGES - 10)


def test_an_output_depends_on_its_place_and_repeat_and_not_on_the_batch() -> None:
    """Exact: the draws are integers. Another repeat or seed is another draw; the generator of image i is the one of
    (seed, i + repeat·2³²)."""
    first = whole(Dice())
    assert torch.equal(first, whole(Dice(), batch_size=1))
    others = [whole(Dice(), repeat=1), whole(Dice(), repeat=2), whole(Dice(), seed=5)]
    assert all(not torch.equal(first, other) for other in others)
    assert torch.equal(whole(Dice(), which=torch.tensor([5, 2])), first[[5, 2]])
    drawn = ImageRng(4, [2 + 2 * 2**32]).integers(50)
    assert torch.equal(whole(Dice(), repeat=2)[2], IMAGES[2] + drawn.to(torch.uint8))
    assert output_rng(4, [2], CPU).indices == [2]


def test_hints_come_from_the_truth_of_the_same_image() -> None:
    """Truth is all zeros but for the image's number: the first two pixels have it, the third is ten levels up."""
    truth = torch.arange(7, dtype=torch.uint8).view(7, 1, 1, 1).expand(7, 3, 5, 5)
    made = torch.cat(list(working(Brighter()).hinted(IMAGES, EVERY, truth, 2))).flatten(2)
    assert torch.equal(made[..., :2], truth.flatten(2)[..., :2])
    assert torch.equal(made[..., 2], (IMAGES + 10).flatten(2)[..., 2])


def test_pairs_are_of_the_same_place() -> None:
    """Outputs are ten levels above the sources everywhere: each pair's error is 10/255, up to float64 rounding."""
    found = compare(working(Brighter(), 2).outputs(IMAGES, EVERY), IMAGES, {"mae": mae}, "", HERE)
    assert torch.allclose(found.values["mae"], torch.full((7,), 10 / 255, dtype=torch.float64), atol=1e-12)


def test_cycle_errors_of_a_model_that_changes_nothing() -> None:
    """Rounding to levels changes no image of whole levels, so both ways are exactly 0; noise with a standard deviation
    of 2 levels, rounded, leaves E|round(2 Z)| = Σ k P(k - ½ < |2 Z| < k + ½) = 1.58 levels, of which 525 values are
    a sample: standard error 0.055 levels, five of them allowed. Near black, where 2 % of the values are, half of the
    noise is clamped away."""
    found = working(Brighter(), 3, seed=0).cycle_errors(IMAGES, EVERY)
    assert found.values.keys() == {CYCLE, CYCLE_EXACT, CYCLE_NOISE}
    assert float(found.values[CYCLE].abs().max()) == 0
    assert float(found.values[CYCLE_EXACT].abs().max()) == 0
    assert 255 * float(found.values[CYCLE_NOISE].mean()) == pytest.approx(1.58, abs=0.3)
    again = working(Brighter(), 7, seed=0).cycle_errors(IMAGES, EVERY)
    assert torch.equal(found.values[CYCLE_NOISE], again.values[CYCLE_NOISE])


def test_models_must_hand_out_images() -> None:
    """Floats are refused at the border, in one sentence."""

    class Floating(Brighter):
        def translate(self, images: Tensor, direction: Direction, rng: ImageRng) -> Tensor:
            return images.float()

    with pytest.raises(InputError, match="translated images must be uint8"):
        whole(Floating())
