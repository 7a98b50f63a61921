"""The images of a stream dealt out over ranks."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from ranks import on_ranks
from torch import Tensor
from written_formats import png, tar_of

from benchbench.core.comm import Comm
from benchbench.core.errors import InputError
from benchbench.core.runtime import Runtime
from benchbench.data.pipeline import decode
from benchbench.data.pipeline.image_stream import ImageStream, MixedSizesError
from benchbench.data.pipeline.streams import from_tensors, open_images
from benchbench.data.sources.spec import parse_spec
from benchbench.features.extractor import Features
from benchbench.features.reference_cache import reference_features


class Levels:
    """The mean level of each channel."""

    name: ClassVar[str] = "levels"
    dim, n_logits, resize, batch_size, weights_sha256 = 3, 0, "none", 2, "0" * 64
    input_side: int | None = None

    def __init__(self, device: torch.device | str = "cpu") -> None: ...

    def __call__(self, images: Tensor) -> Features:
        return Features(images.float().mean((2, 3)), None)

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "weights_sha256": self.weights_sha256,
            "resize": self.resize,
            "precision": "float32",
        }


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


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Seven images in three tar files."""
    for shard, rows in enumerate(((0, 1, 2), (3, 4), (5, 6))):
        images = {f"{i}.png": png(np.full((8, 8, 3), 30 * i, np.uint8)) for i in rows}
        tar_of(tmp_path / f"all-{shard}.tar", images)
    return tmp_path


def decoded_by(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Takes the content of every image that is decoded from now on."""
    seen: list[bytes] = []
    real = decode.decode_image

    def noting(encoded: bytes | Path, *more: Any) -> decode.Pixels:
        assert isinstance(encoded, bytes)
        seen.append(encoded)
        return real(encoded, *more)

    monkeypatch.setattr(decode, "decode_image", noting)
    return seen


@pytest.mark.parametrize("size", [2, 3])
def test_each_image_of_a_shard_is_decoded_once(
    shards: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Of images in webdataset's shards ranks decode seven together, those of their own numbers, and each the first of
    the next rank's, in a pass and in a scan alike; each knows of all of them afterwards."""
    whole = open_images(f"webdataset:{shards}")
    whole.scan()
    seen = decoded_by(monkeypatch)

    def passed(comm: Comm) -> tuple[int, object]:
        stream = open_images(f"webdataset:{shards}")
        return len(shared(stream, comm)), stream.digests

    def scanned(comm: Comm) -> tuple[int, object]:
        stream = open_images(f"webdataset:{shards}")
        comm.together(lambda: stream.scan(comm=comm))
        return len(comm.shard(stream.n)), stream.digests

    for work in (passed, scanned):
        seen.clear()
        found = on_ranks(size, work)
        assert (len(seen), len(set(seen))) == (7 + size, 7)
        assert [own for own, _ in found] == [
            len(range(7 * k // size, 7 * (k + 1) // size)) for k in range(size)
        ]
        assert all(told == whole.digests for _, told in found)


def test_a_reference_is_decoded_by_ranks_together(
    shards: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for its digests and once to be shown, whatever the number of ranks, and each rank the first of the other's;
    features are those of one rank."""
    one = reference_features(
        open_images(f"webdataset:{shards}"), Levels(), need_features=True, need_logits=False
    )
    assert one.features is not None
    shutil.rmtree(own_cache)
    seen = decoded_by(monkeypatch)

    def work(comm: Comm) -> Tensor | None:
        runtime = Runtime(torch.device("cpu"), comm=comm)
        stream = open_images(f"webdataset:{shards}")
        return reference_features(
            stream, Levels(), need_features=True, need_logits=False, runtime=runtime
        ).features

    for features in on_ranks(2, work):
        assert features is not None
        assert torch.equal(features, one.features)
    assert sorted(Counter(seen).values()) == [2] * 5 + [3] * 2


def test_ranks_that_see_other_files(tmp_path: Path, folder: Path) -> None:
    """Eight images on one rank and seven on the other would be dealt out with one of them missing, or twice."""
    other = tmp_path.parent / "other"
    shutil.copytree(folder, other)
    shutil.copy(other / "6.png", other / "7.png")

    def work(comm: Comm) -> str:
        with pytest.raises(InputError, match="give all ranks the same files") as caught:
            shared(opened([folder, other][comm.rank]), comm)
        return str(caught.value)

    assert len(set(on_ranks(2, work))) == 1


@pytest.mark.parametrize("scanned", [True, False])
def test_ranks_that_see_other_images_by_the_same_names(tmp_path: Path, folder: Path, scanned: bool) -> None:
    """A copy of another day, say, or what another decoder makes of the same file: numbers would be of a mixture. Each
    rank looks at one image of the next one's, and both say the same sentence."""
    other = tmp_path.parent / f"other-{scanned}"
    shutil.copytree(folder, other)
    for i in range(7):
        Image.new("RGB", (8, 8), (i, 9, 0)).save(other / f"{i}.png")

    def work(comm: Comm) -> str:
        stream = opened([folder, other][comm.rank])
        with pytest.raises(
            InputError, match=r"3\.png .* is another image for rank 0 than for the rank"
        ) as caught:
            comm.together(lambda: stream.scan(comm=comm)) if scanned else shared(stream, comm)
        return str(caught.value).replace(str(other), str(folder))

    assert len(set(on_ranks(2, work))) == 1
