"""Randomness belongs to an image: it does not depend on how images are batched."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.core.seeds import ImageRng, image_rngs, permutation


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12))
def test_draws_do_not_depend_on_the_batch(seed: int, n: int, batch_size: int) -> None:
    """Any split into batches gives the same rows, exactly: each image has its own generator."""
    whole = ImageRng(seed, range(n))
    parts = list(image_rngs(seed, range(n), batch_size))
    assert [i for part in parts for i in part.indices] == list(range(n))
    for draw in (lambda r: r.normal(2, 3), lambda r: r.uniform(4), lambda r: r.integers(7)):
        assert torch.equal(draw(whole), torch.cat([draw(part) for part in parts]))


def test_stream_is_philox_keyed_by_seed_and_index() -> None:
    """The documented generator, straight from NumPy: published numbers depend on this staying so."""
    expected = np.random.Generator(np.random.Philox(key=[3, 11])).standard_normal((2,), dtype=np.float32)
    assert torch.equal(ImageRng(3, [11]).normal(2)[0], torch.from_numpy(expected))


def test_frozen_draws() -> None:
    """Frozen identity, made once with NumPy 2.4: whoever changes the stream changes every sampled number."""
    rng = ImageRng(0, [0, 1])
    np.testing.assert_allclose(
        rng.normal(2).numpy(), [[0.05991104, 0.01555963], [-1.431463, 1.670717]], rtol=1e-6
    )  # float32 print precision
    assert rng.integers(1000).tolist() == [611, 297]
    assert permutation(0, 8).tolist() == [4, 1, 6, 2, 5, 7, 3, 0]


def test_images_and_seeds_differ() -> None:
    """Neighbouring images and neighbouring seeds share no value: 8 float32 normals never collide by chance."""
    draws = torch.cat([ImageRng(seed, range(3)).normal(8) for seed in (0, 1)])
    assert len(torch.unique(draws)) == draws.numel()


def test_permutation_is_one() -> None:
    """Every index once, and another seed another order."""
    assert sorted(permutation(5, 100)) == list(range(100))
    assert not np.array_equal(permutation(5, 100), permutation(6, 100))
