"""MS-SSIM within classes: equal images, unlike ones, and what cannot be paired."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.metrics.pairs.paired import ms_ssim
from benchbench.metrics.sets.intra_class import intra_class_ms_ssim


def noise(n: int, side: int = 161) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 3, side, side), dtype=torch.uint8, generator=rng)


def test_collapsed_class_and_pairs() -> None:
    """Closed forms: a class of equal images is 1. A class of two images has one pair, whichever is first, so its
    mean is that pair's MS-SSIM exactly (symmetric in its arguments)."""
    images = noise(5)
    images[1] = images[2] = images[0]
    means = intra_class_ms_ssim(images, torch.tensor([7, 7, 7, 2, 2]), pairs=4)
    assert list(means) == [2, 7]
    assert means[7] == pytest.approx(1, abs=1e-12)
    assert means[2] == pytest.approx(float(ms_ssim(images[3:4], images[4:5])), abs=1e-12)
    assert means[2] < 0.5


def test_pairs_are_seeded_by_class_and_never_of_one_image() -> None:
    """Another class beside it moves no pair; another seed draws others. Images that all differ never give 1."""
    images, labels = noise(6), torch.tensor([0, 0, 0, 1, 1, 1])
    both = intra_class_ms_ssim(images, labels, pairs=3)
    assert intra_class_ms_ssim(images[:3], labels[:3], pairs=3) == {0: both[0]}
    assert intra_class_ms_ssim(images, labels, pairs=3, seed=1) != both
    assert max(intra_class_ms_ssim(images[:2], labels[:2], pairs=20).values()) < 0.5


def test_what_has_no_pairs() -> None:
    """Small images, a class of one, no images, labels of another length, no pairs asked for."""
    with pytest.raises(MetricFailed, match="at least 161×161"):
        intra_class_ms_ssim(noise(2, 32), torch.tensor([0, 0]))
    with pytest.raises(MetricFailed, match="class 1 has one image"):
        intra_class_ms_ssim(noise(1), torch.tensor([1]))
    with pytest.raises(MetricFailed, match="no images"):
        intra_class_ms_ssim(noise(0), torch.empty(0, dtype=torch.int64))
    with pytest.raises(InputError, match="one an image"):
        intra_class_ms_ssim(noise(2), torch.tensor([0]))
    with pytest.raises(InputError, match="at least 1, not 0"):
        intra_class_ms_ssim(noise(2), torch.tensor([0, 0]), pairs=0)
