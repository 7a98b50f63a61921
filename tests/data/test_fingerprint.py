"""Content fingerprints: pinned, and blind to everything but content."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.data.pipeline.fingerprint import (
    CANONICAL,
    REENCODED,
    combine,
    fingerprint,
    is_canonical,
    pixel_digests,
)

few = settings(max_examples=25, deadline=None)


def _images(n: int, seed: int, side: int = 2) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, 3, side, side), np.uint8))


def test_golden() -> None:
    """Frozen when version 1 was written: a changed value is a changed identity of all data."""
    images = torch.arange(24, dtype=torch.uint8).reshape(2, 3, 2, 2)
    labels = torch.tensor([3, 1])
    assert fingerprint(images, labels) == "78ab9b29d4ba1d6cc0b5a083dd9efba5b083d33114b69b00abe374c78f3b85d2"
    assert fingerprint(images) == "2e3bec0d2029c3e21a569648c24ff13039e721754b1f1489cd9b2e884f818dbf"


def test_is_the_documented_definition() -> None:
    """The module docstring's formula, written out here by hand for two images."""
    images = torch.arange(24, dtype=torch.uint8).reshape(2, 3, 2, 2)
    pixels = [hashlib.sha256(b"3x2x2\n" + bytes(range(12 * i, 12 * i + 12))).digest() for i in (0, 1)]
    marked = sorted(hashlib.sha256(p + m).digest() for p, m in zip(pixels, (b"3", b"1"), strict=True))
    expected = hashlib.sha256(b"benchbench-fingerprint-1\n" + marked[0] + marked[1]).hexdigest()
    assert fingerprint(images, torch.tensor([3, 1])) == expected


@few
@given(n=st.integers(1, 12), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_order_does_not_matter(n: int, seed: int, data: st.DataObject) -> None:
    """By definition: digests are sorted. Images and labels are permuted together."""
    images, labels = _images(n, seed), torch.arange(n) % 3
    order = torch.tensor(data.draw(st.permutations(range(n))))
    assert fingerprint(images[order], labels[order]) == fingerprint(images, labels)


@few
@given(
    n=st.integers(1, 6), seed=st.integers(0, 2**32 - 1), at=st.integers(0, 10**6), step=st.integers(1, 255)
)
def test_one_changed_value_matters(n: int, seed: int, at: int, step: int) -> None:
    """Any of the N·3·H·W values, changed by any amount (sha256 has no known collisions)."""
    images = _images(n, seed)
    changed = images.clone()
    changed.view(-1)[at % images.numel()] += step
    assert fingerprint(changed) != fingerprint(images)


def test_labels_copies_and_shapes_matter() -> None:
    """Swapped labels, a second copy of an image, another shape of the same bytes: each is other data."""
    images = _images(4, 0)
    variants = [
        fingerprint(images),
        fingerprint(images, torch.tensor([0, 0, 1, 1])),
        fingerprint(images, torch.tensor([1, 1, 0, 0])),
        fingerprint(torch.cat([images, images[:1]])),
        fingerprint(torch.cat([images, images[1:2]])),
        fingerprint(images.reshape(4, 3, 1, 4)),
    ]
    assert len(set(variants)) == len(variants)


def test_layout_in_memory_does_not_matter() -> None:
    """A transposed view holds the same values as its contiguous copy."""
    images = _images(3, 1, side=4)
    assert fingerprint(images.transpose(2, 3)) == fingerprint(images.transpose(2, 3).contiguous())


def test_one_label_per_image() -> None:
    """Fewer labels than images is a bug of the caller, not a fingerprint."""
    with pytest.raises(ValueError, match="zip"):
        combine(pixel_digests(_images(3, 0)), [0, 1])


@pytest.mark.parametrize(
    ("name", "fingerprints", "lossy", "verified", "expected"),
    [
        ("mnist", CANONICAL["mnist"], False, False, True),
        ("mnist", ("x", CANONICAL["mnist"][1]), False, False, False),
        ("mnist", ("x", "y"), False, True, False),  # the fingerprint is stronger than an archive's checksum
        ("cifar10", ("x", "y"), False, True, True),
        ("cifar10", ("x", "y"), True, False, False),
        ("cifar10", REENCODED["cifar10"], False, False, False),  # saved as PNG after it was JPEG
        ("cifar10", ("x", "y"), False, False, None),
    ],
)
def test_is_canonical(
    name: str, fingerprints: tuple[str, str], lossy: bool, verified: bool, expected: bool | None
) -> None:
    """The rules of the module docstring, one by one; all but a canonical copy get a note."""
    canonical, note = is_canonical(name, fingerprints, lossy=lossy, verified=verified)
    assert canonical is expected
    assert bool(note) == (expected is not True)
