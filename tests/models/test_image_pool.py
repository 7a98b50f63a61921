"""The pool of generated images: its replacement statistics in closed form, and that no image is lost."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchbench.models.nn.image_pool import ImagePool


def numbered(start: int, stop: int) -> Tensor:
    """Images of one pixel that carry their number."""
    return torch.arange(start, stop, dtype=torch.float32).view(-1, 1, 1, 1)


def test_fills_up_first() -> None:
    """Zhu et al. 2017's pool hands out what comes in, in order, until it is full: 3 + 2 images fill 5 places."""
    pool = ImagePool(5, (1, 1, 1))
    assert torch.equal(pool(numbered(0, 3)), numbered(0, 3))
    assert int(pool.count) == 3
    assert torch.equal(pool(numbered(3, 5)), numbered(3, 5))
    assert torch.equal(pool.images, numbered(0, 5))


def test_replacement_statistics() -> None:
    """A full pool of 50 and n = 20,000 images one after the other. Each comes out itself with p = ½. A stored image
    is replaced in a draw with probability 1/(2·50), so it is still there after m draws with (1 - 1/100)^m, and its
    age when it comes out is geometric with mean 100. Five standard errors: √(p(1 - p)/n) each, with n ≈ 10,000 ages
    of standard deviation 100 for the mean. The first 1,000 are left out: at the fill all ages start at once."""
    torch.manual_seed(0)
    pool, n = ImagePool(50, (1, 1, 1)), 20_000
    out = pool(numbered(0, n)).flatten()
    age = (torch.arange(n) - out)[1000:]
    fresh = (age == 0).double().mean().item()
    assert fresh == pytest.approx(0.5, abs=5 * math.sqrt(0.25 / len(age)))
    ages = age[age > 0]
    for m in (20, 100, 250):
        survival = 0.99**m
        error = math.sqrt(survival * (1 - survival) / len(ages))
        assert (ages > m).double().mean().item() == pytest.approx(survival, abs=5 * error)
    assert ages.mean().item() == pytest.approx(100, abs=5 * 100 / math.sqrt(len(ages)))


def test_places_are_drawn_uniformly() -> None:
    """What number comes out of a fresh full pool of 4 in one draw: itself ½, each of the others ⅛. Five standard
    errors of 2,000 draws."""
    torch.manual_seed(0)
    counts = torch.zeros(5)
    for _ in range(2000):
        pool = ImagePool(4, (1, 1, 1))
        pool(numbered(0, 4))
        counts[int(pool(numbered(4, 5)))] += 1
    assert counts[4].item() / 2000 == pytest.approx(0.5, abs=5 * math.sqrt(0.25 / 2000))
    for count in counts[:4].tolist():
        assert count / 2000 == pytest.approx(0.125, abs=5 * math.sqrt(0.125 * 0.875 / 2000))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 6), st.lists(st.integers(1, 7), min_size=1, max_size=6), st.integers(0, 1000))
def test_no_image_is_lost(size: int, batches: list[int], seed: int) -> None:
    """What came out and what is left in the pool are together what went in, plus the images that filled the pool
    and came out at once as well: exact copies."""
    torch.manual_seed(seed)
    pool, out, start = ImagePool(size, (1, 1, 1)), [], 0
    for n in batches:
        out.append(pool(numbered(start, start + n)))
        start += n
    filled = min(size, start)
    assert [len(part) for part in out] == batches
    there = torch.cat([*out, pool.images[:filled]]).flatten().sort().values
    expected = torch.cat([numbered(0, start), numbered(0, filled)]).flatten().sort().values
    assert torch.equal(there, expected)
    assert int(pool.count) == filled


def test_stores_copies_without_a_graph() -> None:
    """What comes out and what is stored carry no gradient, and do not change when the images do."""
    pool, images = ImagePool(2, (1, 1, 1)), numbered(1, 3).requires_grad_()
    out = pool(images)
    images.data.zero_()
    assert not out.requires_grad
    assert not pool.images.requires_grad
    assert torch.equal(out, numbered(1, 3))
    assert torch.equal(pool.images, numbered(1, 3))


def test_buffers_are_no_weights() -> None:
    """A weights file holds nothing of it; what a checkpoint has to keep are two buffers."""
    pool = ImagePool(3, (2, 4, 5))
    assert pool.state_dict() == {}
    assert {name: tuple(b.shape) for name, b in pool.named_buffers()} == {"images": (3, 2, 4, 5), "count": ()}


def test_draws_from_the_global_generator() -> None:
    """Same seed, same images; another seed, others (20 images through 4 places: equal by chance 2^-16)."""

    def run(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return ImagePool(4, (1, 1, 1))(numbered(0, 20))

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))
