"""Holes as a degradation: of images that are scored, and of pieces that are learned from."""

from __future__ import annotations

import pytest
import torch

from benchbench.core.errors import InputError
from benchbench.core.seeds import image_generator
from benchbench.data.degrade.holes import BINS, HOLE, MOST_MISSING, Holed, drawn
from benchbench.data.degrade.masks import KINDS, MASKS, RATIOS, mask


def image_of(height: int = 40, width: int = 56) -> torch.Tensor:
    """Noise without the level that stands for a hole."""
    levels = torch.randint(0, 256, (1, 3, height, width), generator=torch.Generator().manual_seed(3))
    return levels.where(levels != HOLE, 0).to(torch.uint8)


def test_names_say_the_kind_and_a_single_bin() -> None:
    """As rows have them: the issue's `inpaint:centre`, and a bin by its ends in percent."""
    assert Holed("centre").name == "centre"
    assert Holed("strokes", (1, 2, 3, 4, 5, 6)).name == "strokes"
    assert [own.name for own in Holed("text", (3, 6)).each()] == ["text-20-30", "text-50-60"]
    assert Holed("centre").each() == [Holed("centre")]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "centre"])
def test_an_image_is_masked_by_its_number(kind: str) -> None:
    """The hole is `masks.mask` from the stream of masks; missing pixels have level 128, all others are what they were.
    The share lies in the bin, and the hole of a bin contains that of the bin before: they draw from one stream."""
    image, before = image_of(), torch.zeros(1, 1, 40, 56, dtype=torch.bool)
    for ratio, (low, high) in enumerate(RATIOS, start=1):
        holed = Holed(kind, (ratio,))  # type: ignore[arg-type]
        hole = holed.hole(40, 56, 77)
        assert torch.equal(hole[0], mask(40, 56, kind, ratio, image_generator(0, 77, MASKS)))
        given = holed.of_image(image, 77)
        assert torch.equal(given == HOLE, hole.expand_as(given))
        assert torch.equal(given[~hole.expand_as(given)], image[~hole.expand_as(given)])
        assert low < 100 * hole.double().mean() <= high
        assert not (before & ~hole).any()
        before = hole
    assert not torch.equal(Holed(kind, (1,)).hole(40, 56, 78), Holed(kind, (1,)).hole(40, 56, 77))  # type: ignore[arg-type]


def test_settings_say_everything() -> None:
    """What run.json says of the masks: their kind, their bins, what stands in the hole, and where they come from."""
    settings = Holed("boxes", (1, 6)).settings()
    assert (settings["holes"], settings["ratios"], settings["level"]) == ("boxes", ["1-10", "50-60"], 128)
    assert len(BINS) == 6
    assert Holed("boxes", (1,)).taught() == Holed("boxes", (1, 6)).taught() != Holed("text", (1,)).taught()


@pytest.mark.parametrize(
    ("size", "why"),
    [((1, 1), "has a single pixel"), ((2, 3), "is 3×2: no number of its 6 pixels is 1-10 percent")],
)
def test_too_small(size: tuple[int, int], why: str) -> None:
    """One pixel leaves nothing to fill it from; of six pixels one is 17 percent, so the first bin has no number."""
    assert (Holed("strokes", (1,)).too_small(*size) or "").startswith(why)
    assert Holed("strokes", (2,)).too_small(2, 3) is None
    assert Holed("centre").too_small(2, 3) is None


def test_pieces_that_are_learned_from() -> None:
    """Of each piece some pixels are missing and three quarters at most; torch's generator decides alone, and several
    pieces share a plane but not a window."""
    torch.manual_seed(5)
    holes = drawn(37, 32, 32)
    torch.manual_seed(5)
    assert torch.equal(holes, drawn(37, 32, 32))
    assert holes.shape == (37, 1, 32, 32)
    shares = holes.double().mean((1, 2, 3))
    assert float(shares.min()) > 0
    assert float(shares.max()) <= MOST_MISSING
    assert len(shares.unique()) > 25
    assert len(drawn(0, 32, 32)) == 0


def test_patches_of_one_kind() -> None:
    """`Degradation.of_patches` on levels that have no 128: what is 128 afterwards was missing, the rest is rounded."""
    torch.manual_seed(0)
    levels = torch.full((5, 1, 32, 32), 10.4)
    given = Holed("text", (2,)).of_patches(levels)
    assert set(given.unique().tolist()) == {10.0, 128.0}
    assert (given == 128).flatten(1).any(1).all()


def test_pieces_too_small_for_a_bin() -> None:
    """Of four pixels none is a share in the first bin: a sentence, and no endless search."""
    torch.manual_seed(0)
    with pytest.raises(InputError, match="give larger images or another hole ratio"):
        drawn(100, 2, 2)
