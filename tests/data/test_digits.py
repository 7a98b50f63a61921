"""The digits: counts, pixels, and a split that never moves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from benchbench.core.errors import InputError
from benchbench.core.registry import EXTRACTORS
from benchbench.data.builtin.digits import render
from benchbench.data.catalogue import load_dataset


def test_counts() -> None:
    """1,797 images in 10 classes (UCI's test part, as scikit-learn documents it), cut in halves by class."""
    dataset = load_dataset("digits")
    assert (len(dataset.train), len(dataset.held_out)) == (898, 899)
    assert dataset.classes == tuple("0123456789")
    assert (dataset.spec.height, dataset.spec.width, dataset.spec.grey) == (32, 32, True)
    train, held_out = (torch.bincount(s.labels, minlength=10) for s in (dataset.train, dataset.held_out))
    assert (train + held_out).tolist() == np.bincount(load_digits().target).tolist()
    assert (train - held_out).abs().max() <= 1


def test_what_they_show() -> None:
    """All there is comes from scikit-learn's own images, whatever the size; the judge is one there is."""
    dataset = load_dataset("digits")
    assert (dataset.native, dataset.native) == load_digits().images.shape[1:]
    assert dataset.extractor == "cnn_digits"
    assert dataset.extractor in EXTRACTORS.names()


def test_golden_halves() -> None:
    """Frozen when the split was written: results on record refer to these very halves."""
    dataset = load_dataset("digits")
    assert dataset.train.fingerprint == "c20877801cc37a3baaad24d625e9c71e6205a5c5784cb420155fc8183e1f4abc"
    assert dataset.held_out.fingerprint == "ab7367c104eb0090f076ff8fcb91f4b052e34ac0a00bda519ed327fa505d8af6"


def test_levels() -> None:
    """Interpolation keeps a constant image: levels 0, 8, 16 are 0, 127.5 (half to even: 128) and 255."""
    levels = np.stack([np.full((8, 8), level) for level in (0.0, 8.0, 16.0)])
    images = render(levels)
    assert images.shape == (3, 3, 32, 32)
    assert [np.unique(image).tolist() for image in images] == [[0], [128], [255]]


def test_enlarging_keeps_the_picture() -> None:
    """The mean over each 4×4 block of the large images, held against scikit-learn's levels: bicubic smoothing
    leaves a correlation of 0.99; 0.9 is far from it and from what a shift by one pixel of the original (0.50)
    or a transposed image (0.08) gives."""
    originals = load_digits().images[:50]
    back = render(originals)[:, 0].reshape(50, 8, 4, 8, 4).mean((2, 4))
    assert np.corrcoef(back.ravel(), originals.ravel())[0, 1] > 0.9


def test_other_sizes_are_refused() -> None:
    """They are shown at 32×32 only."""
    assert load_dataset("digits", size=32).fingerprint == load_dataset("digits").fingerprint
    with pytest.raises(InputError, match="32×32 only"):
        load_dataset("digits", size=64)
