"""Masks: their share, their kinds, and that they belong to the image."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label

from benchbench.core.errors import InputError
from benchbench.core.seeds import image_generator
from benchbench.data.degrade.masks import KINDS, MASKS, RATIOS, mask, pixels_of

IRREGULAR = KINDS[1:]


def own(i: int, seed: int = 0) -> np.random.Generator:
    return image_generator(seed, i, MASKS)


# Odd and small ones, and very elongated ones.
SIZES = st.one_of(
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.tuples(st.integers(1, 3), st.integers(1, 400)),
    st.tuples(st.integers(1, 400), st.integers(1, 3)),
)


@settings(deadline=None, max_examples=150)
@given(size=SIZES, kind=st.sampled_from(IRREGULAR), ratio=st.integers(1, 6), i=st.integers(0, 10**6))
def test_the_share_lies_in_its_bin(size: tuple[int, int], kind: str, ratio: int, i: int) -> None:
    """Liu et al. 2018: above the lower end of the bin, at most the upper, in exact arithmetic. Where no number of
    pixels is, one sentence says so."""
    total = size[0] * size[1]
    low, high = (Fraction(end, 100) for end in RATIOS[ratio - 1])
    possible = [n for n in range(total + 1) if low < Fraction(n, total) <= high]
    if not possible:
        with pytest.raises(InputError, match=rf"no share of the {total} pixels .* is at most {100 * high}%"):
            mask(*size, kind, ratio, own(i))
        return
    found = mask(*size, kind, ratio, own(i))
    assert (found.dtype, found.shape) == (torch.bool, (1, *size))
    assert int(found.sum()) in possible


def test_every_share_of_the_bin_comes() -> None:
    """The number of missing pixels is uniform over the bin: of 100 pixels 11 to 20, each some 30 times in 300 (none
    below 10 or above 60 by five standard deviations of a binomial)."""
    counts = np.bincount([int(mask(10, 10, "boxes", 2, own(i)).sum()) for i in range(300)], minlength=21)
    assert pixels_of(100, 2) == (11, 20)
    assert counts[11:].sum() == 300
    assert counts[11:].min() > 10
    assert counts[11:].max() < 60


@pytest.mark.parametrize("kind", IRREGULAR)
@pytest.mark.parametrize("ratio", [1, 6])
def test_it_belongs_to_the_image(kind: str, ratio: int) -> None:
    """By what it is for: the same again for the same number and seed, another for another; the global generators
    neither matter nor move."""
    found = mask(40, 31, kind, ratio, own(7))
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    assert torch.equal(mask(40, 31, kind, ratio, own(7)), found)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]
    assert not torch.equal(mask(40, 31, kind, ratio, own(8)), found)
    assert not torch.equal(mask(40, 31, kind, ratio, own(7, seed=1)), found)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (5, 9), (1, 8), (2, 2)])
def test_the_centre(height: int, width: int) -> None:
    """Pathak et al. 2016: half the sides (at least one pixel), as far from either end up to one pixel; by hand."""
    found = mask(height, width, "centre", None, own(0))[0]
    rows, columns = max(1, height // 2), max(1, width // 2)
    top, left = (height - rows) // 2, (width - columns) // 2
    expected = torch.zeros(height, width, dtype=torch.bool)
    expected[top : top + rows, left : left + columns] = True
    assert torch.equal(found, expected)
    assert not found.all()
    for gaps, side in (((top, height - top - rows), height), ((left, width - left - columns), width)):
        assert abs(gaps[0] - gaps[1]) <= 1, side


def test_what_the_kinds_look_like() -> None:
    """Of the lowest bin boxes and strokes are a few regions and text is many; where more is missing boxes are solid,
    strokes less and letters least, by the share of pixels that lie deep within."""
    regions = {
        kind: [label(mask(256, 256, kind, 1, own(i))[0].numpy())[1] for i in range(9)] for kind in IRREGULAR
    }
    assert np.median(regions["text"]) > 5 > np.median(regions["boxes"])
    assert np.median(regions["strokes"]) <= 2
    thick = {
        kind: np.mean([erased(mask(256, 256, kind, 3, own(i))[0]) for i in range(5)]) for kind in IRREGULAR
    }
    assert thick["boxes"] > thick["strokes"] > thick["text"]


def erased(missing: torch.Tensor) -> float:
    """The share of missing pixels whose neighbours, eleven by eleven, are all missing."""
    solid = -torch.nn.functional.max_pool2d(-missing[None].double(), 11, stride=1, padding=5)
    return float(solid.sum() / missing.sum())


@pytest.mark.costly
@pytest.mark.parametrize("kind", IRREGULAR)
def test_every_place_may_be_missing(kind: str) -> None:
    """No pixel of a small image is left out by all of 300 masks (of boxes the corners are the rarest)."""
    ever = torch.stack([mask(12, 12, kind, 6, own(i))[0] for i in range(300)])
    assert ever.any(0).all()
    assert not ever.all(0).any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((8, 8, "boxs", 1), "unknown kind of mask 'boxs'; did you mean 'boxes'"),
        ((8, 8, "boxes", None), "need a hole ratio from 1 to 6.* and not None"),
        ((8, 8, "text", 0), "need a hole ratio from 1 to 6.* and not 0"),
        ((8, 8, "strokes", 7), "need a hole ratio from 1 to 6.* and not 7"),
        ((8, 8, "centre", 3), "takes no hole ratio"),
        ((1, 1, "centre", None), "1×1 pixel has no centre"),
        ((1, 1, "boxes", 1), r"no share of the 1 pixels of a 1×1 image lies above 1% and is at most 10%"),
        ((0, 8, "boxes", 1), "8×0 hold no pixels"),
    ],
)
def test_refused(arguments: tuple[int, int, str, int | None], words: str) -> None:
    """One sentence each, with the way out."""
    with pytest.raises(InputError, match=words):
        mask(*arguments, own(0))


def test_frozen_masks() -> None:
    """Frozen here once, so that no later version gives published rows other masks: how many pixels are missing of
    image 3 under seed 0, and the sum of their places."""
    found = {}
    for kind in IRREGULAR:
        places = mask(33, 47, kind, 4, own(3)).flatten().nonzero().flatten()
        found[kind] = (len(places), int(places.sum()))
    assert found == FROZEN


FROZEN = {"boxes": (474, 294647), "strokes": (474, 208718), "text": (474, 353835)}
