"""Which image goes into which batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.training.batches import Batches, balanced_order, epoch_order
from benchbench.training.config import TrainingConfig


def test_epochs_are_permutations() -> None:
    """Of all images, another one each epoch and seed; the same for the same."""
    orders = [epoch_order(seed, epoch, 22).tolist() for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4
    assert all(sorted(order) == list(range(22)) for order in orders)
    assert np.array_equal(epoch_order(1, 1, 22), orders[3])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 9), st.integers(0, 9))
def test_balanced_epochs(labels: list[int], seed: int, epoch: int) -> None:
    """By definition: each class that occurs fills n // C places; a class with at least as many images repeats
    none, a rarer one shows all of them, each as often as any other give or take one."""
    array = np.array(labels)
    order = balanced_order(seed, epoch, array)
    assert np.array_equal(order, balanced_order(seed, epoch, array))
    counts = {label: labels.count(label) for label in set(labels)}
    places = max(1, len(labels) // len(counts))
    for label, count in counts.items():
        own = order[array[order] == label]
        assert len(own) == places
        times = np.bincount(own, minlength=len(labels))[array == label]
        assert times.max() - times.min() <= 1
        assert times.min() >= places // count
    assert len(order) == places * len(counts)


def test_balanced_epochs_differ_and_reach_every_image() -> None:
    """90 of one class and 10 of another, 50 places each: over 20 epochs every image of the frequent class has
    come but for odds of 90·(4/9)^20 < 1e-5 (the seed is fixed), and the classes come mixed, not one by one."""
    labels = np.array([0] * 90 + [1] * 10)
    epochs = [balanced_order(0, epoch, labels) for epoch in range(20)]
    assert len({tuple(order) for order in epochs}) == 20
    assert set(np.concatenate(epochs)) == set(range(100))
    assert 30 < np.abs(np.diff(labels[epochs[0]])).sum() < 70  # 49.5 changes expected, s.d. 5


@pytest.mark.parametrize("balanced", [False, True])
def test_batches_cut_the_order(balanced: bool) -> None:
    """Batch k of the training is piece k mod m of epoch k // m; images and labels stay together."""
    images = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1).expand(10, 3, 2, 2).contiguous()
    labels = torch.tensor([0] * 8 + [1] * 2)
    config = TrainingConfig(batch_size=3, class_balanced=balanced)
    batches = Batches(images, labels, config, channels=1, seed=5, device=torch.device("cpu"))
    assert (batches.epoch_length, batches.per_epoch) == (10, 3)
    for number in (4, 0, 2, 3):
        epoch, piece = divmod(number, 3)
        order = balanced_order(5, epoch, labels.numpy()) if balanced else epoch_order(5, epoch, 10)
        rows = order[piece * 3 : piece * 3 + 3]
        x, y = batches[number]
        assert ((x[:, 0, 0, 0] + 1) * 127.5).round().tolist() == rows.tolist()
        assert y is not None
        assert y.tolist() == labels[torch.from_numpy(rows)].tolist()
