"""Two domains: their identity, what they are pooled to, and what cannot be two domains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.core.errors import InputError
from benchbench.data.catalogue import load_dataset, load_domains
from benchbench.data.dataset import Dataset, Split
from benchbench.data.domains import Domains
from benchbench.data.pipeline.fingerprint import fingerprint

N = 5


def split(seeds: Sequence[int], side: int = 4) -> Split:
    """Random images by seed."""
    images = torch.from_numpy(
        np.stack([np.random.default_rng(s).integers(0, 256, (3, side, side), np.uint8) for s in seeds])
    )
    return Split(images, None, fingerprint(images))


def domains(
    a: Sequence[int], b: Sequence[int], *, paired: bool = True, side_b: int = 4, held_out_b: int = 3
) -> Domains:
    """Training rows by seed; the held-out rows are always the same."""
    return Domains(
        name="two",
        a=Dataset("line", split(a), split([90, 91, 92])),
        b=Dataset("colour", split(b, side_b), split(range(95, 95 + held_out_b), side_b)),
        paired_train=paired,
        paired_held_out=paired,
    )


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(N)))
def test_identity_does_not_depend_on_the_order_of_pairs(order: list[int]) -> None:
    """Both domains in one other order: the same pairs, so the same fingerprint."""
    base = domains(range(N), range(10, 10 + N))
    assert domains(order, [10 + i for i in order]).fingerprint == base.fingerprint


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(N)))
def test_identity_is_that_of_the_pairing(order: list[int]) -> None:
    """The same images, other pairs: another fingerprint, unless nobody calls them pairs."""
    base, other = (domains(range(N), [10 + i for i in rows]) for rows in (range(N), order))
    assert (base.fingerprint == other.fingerprint) == (order == sorted(order))
    loose, shuffled = (replace(d, paired_train=False, paired_held_out=False) for d in (base, other))
    assert loose.fingerprint == shuffled.fingerprint != base.fingerprint


def test_identity_knows_which_domain_is_a() -> None:
    """Line art to colour is another question than colour to line art."""
    base = domains(range(N), range(10, 10 + N))
    assert replace(base, a=base.b, b=base.a).fingerprint != base.fingerprint


def test_pooled_is_labelled_by_domain() -> None:
    """A's images with label 0, then B's with label 1, in both splits; the fingerprint is that of these tensors."""
    base = domains(range(N), range(10, 10 + N))
    pooled = base.pooled()
    assert pooled.classes == ("line", "colour")
    assert pooled.train.labels is not None
    assert pooled.train.labels.tolist() == [0] * N + [1] * N
    assert torch.equal(pooled.train.images, torch.cat([base.a.train.images, base.b.train.images]))
    assert len(pooled.held_out) == 6
    assert pooled.train.fingerprint == fingerprint(pooled.train.images, pooled.train.labels)
    assert pooled.spec.n_classes == 2


def test_sizes_must_agree() -> None:
    """Both sizes and the way out are named."""
    with pytest.raises(
        InputError, match=r"images of line are 4×4 but train images of colour are 6×6; --size N"
    ):
        domains(range(N), range(N), side_b=6)


def test_pairs_must_be_as_many() -> None:
    """Promised pairs of unequal number are refused; without the promise they are two domains."""
    with pytest.raises(InputError, match="5 train images of line and 4 of colour are no pairs"):
        domains(range(N), range(N - 1))
    with pytest.raises(InputError, match="3 held-out images of line and 2 of colour are no pairs"):
        domains(range(N), range(N), held_out_b=2)
    assert len(domains(range(N), range(N - 1), paired=False).b.train) == N - 1


def test_a_dataset_is_no_two_domains() -> None:
    """The one that was asked for, and what has two."""
    with pytest.raises(
        InputError, match=r"digits has one domain.*openmoji-lines.*openmoji-tones.*trainA/.*pairs:PATH"
    ):
        load_domains("digits")
    with pytest.raises(InputError, match=r"unknown dataset 'digit'; did you mean 'digits'\?.*pairs:PATH"):
        load_domains("digit")


@pytest.mark.costly
def test_contents_and_styles_are_not_pooled() -> None:
    """The styles of `photographs` are in both splits, so pooled they would be held out and in training."""
    with pytest.raises(
        InputError, match=r"photographs holds contents and styles.*use it with nst, fast-style or"
    ):
        load_dataset("photographs", size=32)


def test_load_dataset_pools(write_image, tmp_path) -> None:
    """The same images by either way in."""
    for i, name in enumerate(
        f"{part}{side}/{k}.png" for part in ("train", "test") for side in "AB" for k in "12"
    ):
        write_image(name, seed=i)
    spec = f"folder:{tmp_path}"
    pooled = load_dataset(spec)
    assert pooled.fingerprint == load_domains(spec).pooled().fingerprint
    assert pooled.classes == ("A", "B")
