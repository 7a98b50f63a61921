"""Extraction: each image once and in order, whatever the chunks, the batches and where features are kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.runtime import Runtime
from benchbench.features import extract as module
from benchbench.features import rows
from benchbench.features.extract import extract, rebatch
from benchbench.features.extractor import Features
from benchbench.features.moments import Moments


def test_equal_to_one_call(judge: Any, pictures: Tensor) -> None:
    """The judge itself on all images at once is the oracle; float32 products in other batches: 1e-5."""
    moments, features, logits = extract(pictures, judge, need_features=True, need_logits=True)
    assert judge.batches == [4, 4, 3], "no padding, and the short batch is kept"
    direct = judge(pictures)
    torch.testing.assert_close(features, direct.features, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logits, direct.logits, atol=1e-5, rtol=1e-5)
    exact = Moments.of(direct.features)
    assert moments.n == 11
    torch.testing.assert_close(moments.covariance, exact.covariance, atol=1e-5, rtol=1e-5)


def test_only_what_was_asked(judge: Any, pictures: Tensor) -> None:
    """50,000 features nobody reads would be 400 MB."""
    moments, features, logits = extract(pictures, judge, need_features=False, need_logits=False)
    assert (moments.n, features, logits) == (11, None, None)
    judge.n_logits = 0
    assert extract(pictures, judge, need_features=False, need_logits=True).logits is None


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 11), max_size=6), batch_size=st.integers(1, 12))
def test_chunks_change_nothing(judge: Any, pictures: Tensor, cuts: list[int], batch_size: int) -> None:
    """Any partition of the stream, empty chunks too, gives the batches of the whole: equal to the bit."""
    edges = [0, *sorted(cuts), 11]
    chunks = [pictures[a:b] for a, b in pairwise(edges)]
    batches = list(rebatch(iter(chunks), batch_size))
    assert [len(b) for b in batches] == [len(b) for b in pictures.split(batch_size)]
    assert torch.equal(torch.cat(batches), pictures)

    def run(images: Tensor | Iterator[Tensor]) -> module.Extracted:
        return extract(
            images, judge, need_features=True, need_logits=False, runtime=Runtime(batch_size=batch_size)
        )

    whole, pieces = run(pictures), run(iter(chunks))
    assert torch.equal(whole.features, pieces.features)
    assert torch.equal(whole.moments.m2, pieces.moments.m2)


def test_spilled_features_are_the_same(
    judge: Any, pictures: Tensor, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """In memory and in a file: equal to the last bit; the file has no name, so the folder stays empty."""
    inside = extract(pictures, judge, need_features=True, need_logits=True)
    monkeypatch.setattr(rows, "SPILL_BYTES", 100)  # 4 rows of 5 float32 are 80 bytes
    monkeypatch.setattr(rows.tempfile, "tempdir", str(tmp_path))
    spilled = extract(pictures, judge, need_features=True, need_logits=True)
    assert torch.equal(spilled.features, inside.features)
    assert torch.equal(spilled.logits, inside.logits)
    assert list(tmp_path.iterdir()) == []


def test_many_small_batches_update_moments_in_blocks(
    judge: Any, pictures: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moments of blocks of ≥ 5 rows (here 8 and 3) are those of one block, up to float64 rounding."""
    one = extract(pictures, judge, need_features=False, need_logits=False).moments
    monkeypatch.setattr(module, "_UPDATE_ROWS", 5)
    blocks = extract(pictures, judge, need_features=False, need_logits=False).moments
    assert blocks.n == one.n == 11
    torch.testing.assert_close(blocks.m2, one.m2, atol=1e-10, rtol=1e-12)


def test_reader_in_pieces(judge: Any, pictures: Tensor) -> None:
    """Images shown piece by piece, batches of at most 4: what one call of `extract` says. Pieces cut the batches
    elsewhere, so float32 products of other shapes: 1e-5."""
    reader = module.Reader(judge, need_features=True, need_logits=True)
    for piece in (pictures[:5], pictures[5:6], pictures[6:]):
        reader.update(piece)
    assert judge.batches == [4, 1, 1, 4, 1]
    moments, features, logits = reader.compute()
    whole = extract(pictures, judge, need_features=True, need_logits=True)
    torch.testing.assert_close(features, whole.features, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logits, whole.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(moments.covariance, whole.moments.covariance, atol=1e-5, rtol=1e-5)


def test_progress_counts_images(judge: Any, pictures: Tensor) -> None:
    """11 images in batches of 4 advance by 4, 4, 3 towards 11."""
    seen: list[Any] = []

    class Watcher:
        @contextmanager
        def stage(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Any]:
            seen.append((title, total, unit))
            yield self

        def advance(self, n: int = 1, **numbers: float) -> None:
            seen.append(n)

        def note(self, text: str) -> None:
            raise AssertionError(text)

    extract(
        pictures,
        judge,
        need_features=False,
        need_logits=False,
        runtime=Runtime(progress=Watcher()),
        title="looking",
    )
    assert seen == [("looking", 11, "image"), 4, 4, 3]


def test_bad_images_are_named(judge: Any, pictures: Tensor) -> None:
    """Nothing at all, floats in a later chunk, and two sizes: one sentence each."""

    def run(images: Any) -> None:
        extract(images, judge, need_features=False, need_logits=False)

    with pytest.raises(InputError, match="no images for linear"):
        run([])
    with pytest.raises(InputError, match="no images for linear"):
        run(pictures[:0])
    with pytest.raises(InputError, match="must be uint8"):
        run([pictures, pictures.float()])
    with pytest.raises(InputError, match="some are 8×8 and some 4×8"):
        run([pictures, pictures[:, :, :4]])


def test_nan_features_fail_the_metric(judge: Any, pictures: Tensor) -> None:
    """A judge that says NaN makes a failed number, not a NaN in a table."""

    class Broken(type(judge)):  # type: ignore[misc]
        def __call__(self, images: Tensor) -> Features:
            return Features(super().__call__(images).features * float("nan"), None)

    with pytest.raises(MetricFailed, match="11 of 11 feature vectors hold NaN"):
        extract(pictures, Broken(), need_features=False, need_logits=False)
