"""The images of a stream dealt out over ranks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from ranks import on_ranks
from torch import Tensor

from benchbench.core.comm import Comm
from benchbench.core.errors import InputError
from benchbench.data.pipeline.image_stream import ImageStream, MixedSizesError
from benchbench.data.pipeline.streams import from_tensors, open_images
from benchbench.data.sources.spec import parse_spec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven pictures of one colour each, the last one with an alpha channel."""
    for i in range(7):
        mode, colour = ("RGBA", (i, 0, 0, 128)) if i == 6 else ("RGB", (i, 0, 0))
        Image.new(mode, (8, 8), colour).save(tmp_path / f"{i}.png")
    return tmp_path


def opened(folder: Path) -> ImageStream:
    return open_images(parse_spec(f"folder:{folder}"))


def shared(stream: ImageStream, comm: Comm) -> Tensor:
    """What a rank is given, its images one behind the other."""

    def read() -> Tensor:
        return torch.cat([torch.empty(0, 3, 8, 8, dtype=torch.uint8), *stream.share(2, comm)])

    return comm.together(read)


@pytest.mark.parametrize("size", [2, 3, 9])
def test_files_are_dealt_out(folder: Path, size: int) -> None:
    """Every image on one rank, in order; afterwards each rank knows of all images what a pass over all of them tells,
    nine ranks of seven images included."""
    whole = opened(folder)
    images = torch.cat(list(whole.batches(3)))

    def work(comm: Comm) -> tuple[Tensor, object]:
        stream = opened(folder)
        own = shared(stream, comm)
        return own, (stream.digests, stream.sizes, stream.notes, stream.fingerprint)

    found = on_ranks(size, work)
    assert torch.equal(torch.cat([own for own, _ in found]), images)
    assert all(told == (whole.digests, whole.sizes, whole.notes, whole.fingerprint) for _, told in found)


def test_images_in_memory_are_dealt_out() -> None:
    """The same of tensors, which every rank has."""
    images = torch.arange(5 * 3 * 64).remainder(256).to(torch.uint8).view(5, 3, 8, 8)
    found = on_ranks(3, lambda comm: shared(from_tensors([images], "images"), comm))
    assert torch.equal(torch.cat(found), images)


def test_only_own_files_are_opened(folder: Path) -> None:
    """A file that is none stops every rank, though one rank alone opens it; each says the same sentence."""
    (folder / "5.png").write_bytes(b"no picture")

    def work(comm: Comm) -> str:
        with pytest.raises(InputError, match=r"5\.png") as caught:
            shared(opened(folder), comm)
        return str(caught.value)

    assert len(set(on_ranks(2, work))) == 1


def test_sizes_that_differ_between_ranks(folder: Path) -> None:
    """Each rank has images of one size, and they are two: the first of either is named, on both ranks."""
    for i in (3, 4, 5, 6):
        Image.new("RGB", (9, 9), (i, 0, 0)).save(folder / f"{i}.png")

    def work(comm: Comm) -> str:
        with pytest.raises(MixedSizesError, match=r"0\.png is 8×8 but \S*3\.png is 9×9; --size") as caught:
            shared(opened(folder), comm)
        return str(caught.value)

    assert len(set(on_ranks(2, work))) == 1
