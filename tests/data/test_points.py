"""Gaussians as dots: the point can be read off the picture, and the mixture is the one that is stated."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.core.errors import InputError
from benchbench.data.builtin.points import GRID25, RING8, Grid25, Layout, Ring8, draw_dots
from benchbench.data.pipeline.fingerprint import pixel_digests

BOTH = pytest.mark.parametrize("source", [Ring8, Grid25])


@settings(max_examples=40, deadline=None)
@given(
    layout=st.sampled_from([RING8, GRID25]),
    size=st.sampled_from([24, 32, 64]),
    x=st.floats(-1.1, 1.1),
    y=st.floats(-1.1, 1.1),
)
def test_the_point_is_the_centroid(layout: Layout, size: int, x: float, y: float) -> None:
    """Oracle: the plain intensity centroid in NumPy. Rounding to a level errs by 0.29 of one (standard deviation)
    in each of some 60 pixels that lie about 2.1 pixels away along an axis: 0.29 · √60 · 2.1 / 2307 = 0.002 pixels
    at 32×32, twice that at 24×24 with half the sum. 0.015 is three to seven of them. x grows to the right, y upwards.
    """
    edge = 10 / layout.unit  # the outermost modes: 10 pixels from the middle
    point = torch.tensor([[x * edge, y * edge]], dtype=torch.float64)
    image = draw_dots(layout.to_pixels(point, size), size)
    assert (image.dtype, image.shape) == (torch.uint8, (1, 3, size, size))
    assert torch.equal(image[:, 0], image[:, 1])
    assert torch.equal(image[:, 0], image[:, 2])
    grey = image[0, 0].numpy().astype(np.float64)
    rows, columns = np.indices(grey.shape)
    unit = layout.unit * size / 32
    found = (columns * grey).sum() / grey.sum(), (rows * grey).sum() / grey.sum()
    middle = (size - 1) / 2
    assert (found[0] - middle) / unit == pytest.approx(float(point[0, 0]), abs=0.015 / unit)
    assert (middle - found[1]) / unit == pytest.approx(float(point[0, 1]), abs=0.015 / unit)


@pytest.mark.parametrize("size", [24, 33])
def test_to_plane_undoes_to_pixels(size: int) -> None:
    """By hand: (0, 0) is the middle of the image and (1, 0) lies 10·size/32 pixels to the right of it on the ring;
    and there and back is where one was, to rounding in float64."""
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    middle, unit = (size - 1) / 2, 10 * size / 32
    expected = torch.tensor([[middle, middle], [middle, middle + unit], [middle - unit, middle]])
    torch.testing.assert_close(RING8.to_pixels(points, size), expected.double())
    torch.testing.assert_close(RING8.to_plane(RING8.to_pixels(points, size), size), points)


@pytest.mark.parametrize(("layout", "nearest"), [(RING8, 2 * math.sin(math.pi / 8)), (GRID25, 2.0)])
def test_layouts(layout: Layout, nearest: float) -> None:
    """The centres of Lin et al. 2018, section 4.1 (radius 1; −4 + 2i, −4 + 2j), so that the nearest are a chord of
    2 sin(π/8) or a step of 2 apart (the ring's are rounded to 12 digits). What the docstring promises:
    three standard deviations are at least 0.7 pixels at 32×32, neighbours more than 5 standard deviations apart."""
    centres = torch.tensor(layout.centres, dtype=torch.float64)
    apart = torch.pdist(centres).min()
    assert float(apart) == pytest.approx(nearest, rel=1e-11)
    assert 3 * layout.sigma * layout.unit >= 0.7
    assert float(apart) > 5 * layout.sigma
    assert float(apart) * layout.unit >= 5 - 1e-9
    torch.testing.assert_close(centres.sum(0), torch.zeros(2, dtype=torch.float64), rtol=0, atol=1e-11)


@BOTH
def test_dataset(source: type[Ring8 | Grid25]) -> None:
    """5,000 + 5,000 grey images of different pictures; every dot wholly inside, so the rim of the image is black;
    counts of the modes within 5 binomial standard deviations of their mean, 1e-6 for chance a mode."""
    dataset = source().load()
    k = len(source.layout.centres)
    assert dataset.name == source.name
    assert (dataset.native, dataset.extractor) == (32, f"modes_{source.name}")
    assert dataset.classes == tuple(f"mode {i}" for i in range(k))
    assert dataset.spec.grey
    for split in (dataset.train, dataset.held_out):
        assert split.images.shape == (5000, 3, 32, 32)
        assert split.labels is not None
        counts = torch.bincount(split.labels, minlength=k).double()
        assert (counts - 5000 / k).abs().max() < 5 * math.sqrt(5000 / k * (1 - 1 / k))
        rim = split.images.clone()
        rim[:, :, 1:-1, 1:-1] = 0
        assert rim.max() == 0
    assert not set(pixel_digests(dataset.train.images)) & set(pixel_digests(dataset.held_out.images))


@BOTH
def test_spread_of_the_modes(source: type[Ring8 | Grid25]) -> None:
    """Oracle: mean and standard deviation of the plain centroids around the modes' centres. Of 10,000 coordinates
    the mean errs by σ/100 and the standard deviation by σ/141; five of each. Rounding adds 0.002 px to σ = 0.25 px in
    quadrature: nothing."""
    train = source().load().train
    assert train.labels is not None
    grey = train.images[:, 0].double().numpy()
    ramp, total = np.arange(32), grey.sum((1, 2))
    columns, rows = (grey.sum(1) @ ramp) / total, (grey.sum(2) @ ramp) / total
    layout = source.layout
    points = np.stack([columns - 15.5, 15.5 - rows], axis=1) / layout.unit
    off = (points - np.asarray(layout.centres)[train.labels.numpy()]) / layout.sigma
    assert abs(off.mean()) < 5 / 100
    assert off.std() == pytest.approx(1, abs=5 / 141)


GOLDEN = {
    "ring8": (
        "5b3fa36eecb853008d41e1944a63e0107966b88914a001e93ebe07ac4bc5ca2d",
        "bb2f05cda97ac23699a5edc6ae0449078da93848230e848ce9744e2987f547a8",
    ),
    "grid25": (
        "f263da2383ff72fc1f3dc892415bb928f12a2caacfc182ec21ad7356ae74276f",
        "e8c54759febf9c22e727361bf5721bad56d472c100085083e50296d1d42c4578",
    ),
}


@BOTH
def test_golden(source: type[Ring8 | Grid25]) -> None:
    """Frozen when the datasets were written: results on record refer to these very images."""
    dataset = source().load()
    assert (dataset.train.fingerprint, dataset.held_out.fingerprint) == GOLDEN[source.name]
    assert source().load(32).fingerprint == dataset.fingerprint


def test_sizes() -> None:
    """Any side from 24 to 128 is drawn, the same points in the same order of labels; others are refused."""
    small = Ring8().load(24)
    assert small.native == 24
    assert small.train.images.shape == (5000, 3, 24, 24)
    assert torch.equal(small.train.labels, Ring8().load().train.labels)
    assert "0.9 pixels" in small.notes[0]
    for size in (1, 23, 129):
        with pytest.raises(InputError, match=rf"ring8 is drawn at 24 to 128 pixels, not {size}; .*--size"):
            Ring8().load(size)
