"""What is set aside to select by: a tenth or what can be spared, by class, copies together, whatever the order."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.training.batches import Other
from benchbench.training.validation import FEWEST, set_aside, validation_parts


def distinct(n: int) -> Tensor:
    """Image i holds the number i in its first two bytes."""
    images = torch.zeros(n, 3, 2, 2, dtype=torch.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = torch.arange(n) % 256, torch.arange(n) // 256
    return images


@pytest.mark.parametrize(
    ("n", "held"), [(2, 1), (4, 1), (22, 5), (898, 224), (1024, 256), (2560, 256), (5000, 500)]
)
def test_how_many(n: int, held: int) -> None:
    """A tenth, at least 256 where a quarter is as many, else a quarter, at least one: by hand. Both parts together are
    all images, each once."""
    parts = validation_parts(distinct(n))
    assert len(parts.validation) == held == max(1, n // 10, min(FEWEST, n // 4))
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(n))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(0, 99))
def test_every_class_in_its_share(counts: list[int], seed: int) -> None:
    """Of a class with n of N images H·n/N are held where H of all are, rounded up or down by less than one: the places
    (i + ½)/n of a class up to a bound t are n·t of them, to within a half, and so is the sum over C classes to C/2."""
    labels = torch.tensor([label for label, count in enumerate(counts) for _ in range(count)])
    if len(labels) < 2:
        return
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    parts = validation_parts(distinct(len(labels))[order], labels[order])
    held = labels[order][parts.validation].bincount(minlength=len(counts))
    share = len(parts.validation) / len(labels)
    assert ((held - torch.tensor(counts) * share).abs() <= 1 + len(counts) / 2).all()
    assert len(parts.validation) == max(1, len(labels) // 10, min(FEWEST, len(labels) // 4))


def test_the_order_of_files_means_nothing() -> None:
    """The same images in another order: the same images on each side. By construction of the digests."""
    images, labels = distinct(300), torch.arange(300) % 7
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    sets = []
    for rows in (torch.arange(300), order):
        parts = validation_parts(images[rows], labels[rows])
        sets.append(set(rows[parts.validation].tolist()))
    assert sets[0] == sets[1]


def test_copies_stay_on_one_side() -> None:
    """Every image is there three times, once with another label: none of those set aside is trained on."""
    images = distinct(40).repeat(3, 1, 1, 1)
    labels = torch.cat([torch.arange(40) % 4, torch.arange(40) % 4, torch.ones(40, dtype=torch.int64)])
    parts = validation_parts(images, labels)
    sides = [{(int(image[0, 0, 0]), int(image[0, 0, 1])) for image in images[rows]} for rows in parts]
    assert sides[0]
    assert sides[1]
    assert not sides[0] & sides[1]


def test_labels_go_with_their_images() -> None:
    """Label i is the number in image i; also of what is left to train on. The pieces are all of it in order, at most
    256 at once, of pixels 2x/255 - 1."""
    images, labels = distinct(3000), torch.arange(3000)
    rest, rest_labels, _, validation = set_aside(images, labels, None)
    for side, own in ((rest, rest_labels), (validation.images, validation.labels)):
        assert own is not None
        assert torch.equal(side[:, 0, 0, 0].long() + 256 * side[:, 0, 0, 1].long(), own)
    assert validation.words == "validation, 300 of 3000 training images"
    pieces = list(validation.pieces(3, torch.device("cpu")))
    assert [len(x) for x, _, _ in pieces] == [256, 44]
    joined = torch.cat([x for x, _, _ in pieces])
    torch.testing.assert_close(joined, validation.images.float() * 2 / 255 - 1)
    assert all(y is None for _, _, y in pieces)


def test_partners_go_together() -> None:
    """Of pairs the same rows are set aside on both sides: B holds A's number plus one, in the third byte."""
    a = distinct(100)
    b = a.clone()
    b[:, 0, 0, 0] += 1
    rest, _, other, validation = set_aside(a, None, Other(b, b[:5], aligned=True))
    assert other is not None
    assert torch.equal(other.images[:, 0, 0, 0], rest[:, 0, 0, 0] + 1)
    assert validation.other is not None
    assert torch.equal(validation.other[:, 0, 0, 0], validation.images[:, 0, 0, 0] + 1)
    assert torch.equal(other.held_out, b[:5])


@pytest.mark.parametrize("images", [distinct(1), distinct(1).repeat(50, 1, 1, 1)])
def test_too_few_different_images(images: Tensor) -> None:
    """One image, or fifty times the same: nothing to train on that was not set aside."""
    with pytest.raises(InputError, match="too few or all alike; leave patience at 0 and checkpoint at last"):
        validation_parts(images)
