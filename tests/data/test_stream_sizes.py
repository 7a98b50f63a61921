"""Streams of images that differ in size: for whoever takes any size, and nobody else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pieces import write_images
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.data.pipeline import image_stream
from benchbench.data.pipeline.fingerprint import pixel_digests
from benchbench.data.pipeline.image_stream import MixedSizesError
from benchbench.data.pipeline.streams import from_tensors, open_images, pairs


def pictures(n: int, height: int, width: int) -> Tensor:
    """Seeded uint8 n×3×height×width."""
    values = np.random.default_rng(height).integers(0, 256, (n, 3, height, width), np.uint8)
    return torch.from_numpy(values)


def several(*sides: int) -> list[Tensor]:
    """One image a side, 1×3×side×(side + 1), seeded."""
    return [pictures(1, side, side + 1) for side in sides]


class TestAnySize:
    @pytest.mark.parametrize("batch_size", [1, 2, 3, 64])
    def test_batches_end_where_the_size_changes(self, tmp_path: Path, batch_size: int) -> None:
        """Files of 8, 8, 5, 8, 8, 8 pixels: the images as they were written, in their order, and no batch longer than
        asked for; sizes, digests and fingerprint are those of each image alone."""
        images = several(8, 8, 5, 8, 8, 8)
        stream = open_images(str(write_images(tmp_path / "a", images)))
        batches = list(stream.batches(batch_size, one_size=False))
        assert [len(batch) for batch in batches] == {
            1: [1] * 6,
            2: [2, 1, 2, 1],
            3: [2, 1, 3],
            64: [2, 1, 3],
        }[batch_size]
        found = [image for batch in batches for image in batch]
        assert all(torch.equal(one, other[0]) for one, other in zip(found, images, strict=True))
        assert stream.sizes == [(side, side + 1) for side in (8, 8, 5, 8, 8, 8)]
        assert list(stream.digests) == [pixel_digests(image)[0] for image in images]

    def test_one_size_is_demanded_otherwise(self) -> None:
        """By `batches` and by `scan`, as ever; a scan that does not mind knows all that a pass knows."""
        for read_all in (lambda stream: list(stream.batches(4)), lambda stream: stream.scan()):
            with pytest.raises(
                MixedSizesError, match="batch 0 of images is 9×8 but batch 1 of images is 6×5"
            ):
                read_all(from_tensors(several(8, 5)))
        stream = from_tensors(several(8, 5))
        stream.scan(one_size=False)
        assert stream.sizes == [(8, 9), (5, 6)]

    def test_a_part_has_the_sizes_of_its_images(self, tmp_path: Path) -> None:
        """`first` and `chosen` of a stream that was read before."""
        stream = open_images(str(write_images(tmp_path / "a", several(8, 5, 6))))
        stream.scan(one_size=False)
        assert stream.first(2).sizes == [(8, 9), (5, 6)]
        assert stream.chosen([2, 0]).sizes == [(6, 7), (8, 9)]

    def test_pairs_stay_in_step(self) -> None:
        """Sides that are cut at other places, 8, 8, 5 as three tensors and as two: each pair meets its partner."""
        images = several(8, 8, 5)
        ours, theirs = from_tensors(images, "a"), from_tensors([torch.cat(images[:2]), images[2]], "b")
        found = list(pairs(ours, theirs).batches(2, one_size=False))
        assert [tuple(x.shape[:3]) for x, _ in found] == [(2, 3, 8), (1, 3, 5)]
        assert all(torch.equal(x, y) for x, y in found)

    def test_large_pairs_come_in_smaller_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """8×9 pixels are 216 values: of five pairs two at once where 500 values are."""
        monkeypatch.setattr(image_stream, "PAIR_VALUES", 500)
        sides = [from_tensors(pictures(5, 8, 9), name) for name in "ab"]
        assert [len(x) for x, _ in pairs(*sides).batches(64)] == [2, 2, 1]

    def test_a_pair_of_two_sizes_is_named(self, tmp_path: Path) -> None:
        """Both files, both sizes, and the way out; without names by the number of the pair."""
        a, b = (
            open_images(str(write_images(tmp_path / folder, several(*sides))))
            for folder, sides in (("a", (8, 5)), ("b", (8, 6)))
        )
        with pytest.raises(
            InputError,
            match=r"1\.png of folder-a is 6×5 but its partner 1\.png of folder-b is 7×6; --size N brings both",
        ):
            list(pairs(a, b).batches(4, one_size=False))
        held = pairs(from_tensors(several(8, 5), "a"), from_tensors(several(8, 6), "b"))
        with pytest.raises(InputError, match="image 1 of a is 6×5 but its partner image 1 of b is 7×6"):
            list(held.batches(4, one_size=False))
