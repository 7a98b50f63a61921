"""Images that are read by their number: what a folder gives, and what a part of it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.data.catalogue import load_dataset
from benchbench.data.pipeline.image_source import (
    PIECE,
    all_grey,
    chosen,
    in_memory,
    pieces,
    size_of,
    take,
)
from benchbench.data.sources.folder import FolderImages


def pictures(n: int, height: int = 6, width: int = 8) -> Tensor:
    g = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 3, height, width), dtype=torch.uint8, generator=g)


def written(folder: Path, images: Tensor, classes: int = 0) -> Path:
    """PNG files in the order of their names, in class folders if asked for."""
    for i, image in enumerate(images):
        place = folder / f"c{i % classes}" if classes else folder
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(place / f"{i:05d}.png")
    return folder


def test_any_rows_in_any_order(tmp_path: Path) -> None:
    """Bit for bit the pictures that were written, also twice the same one and none."""
    images = pictures(20)
    source = FolderImages(written(tmp_path, images))
    assert (len(source), size_of(source), source.labels, source.classes) == (20, (6, 8), None, ())
    for rows in ([3, 19, 0, 3, 7], list(range(20)), [5]):
        assert torch.equal(source.batch(torch.tensor(rows)), images[rows])
    assert source.batch(torch.zeros(0, dtype=torch.int64)).shape == (0, 3, 6, 8)


def test_labels_are_class_folders(tmp_path: Path) -> None:
    """As `folder:PATH` numbers them, with the images that belong to them; resized by the same rule."""
    folder = written(tmp_path / "cats", pictures(12), classes=3)
    source = FolderImages(folder, size=5)
    assert source.classes == ("c0", "c1", "c2")
    assert source.labels is not None
    assert source.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    data = load_dataset(f"folder:{folder}", size=5)
    whole = in_memory(source)
    known = {image.numpy().tobytes() for split in (data.train, data.held_out) for image in split.images}
    assert {image.numpy().tobytes() for image in whole} == known


def test_the_identity_is_of_contents_and_size(tmp_path: Path) -> None:
    """Another picture under the same name is another source, and so is another size; the same files elsewhere are
    not."""
    images = pictures(3)
    one, same = (FolderImages(written(tmp_path / name / "x", images)) for name in "ab")
    assert one.identity == same.identity
    assert FolderImages(tmp_path / "a" / "x", size=4).identity != one.identity
    written(tmp_path / "b" / "x", 255 - images)
    assert FolderImages(tmp_path / "b" / "x").identity != one.identity


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    """When it is asked for, not before: nothing else is read."""
    written(tmp_path, pictures(12))
    Image.fromarray(np.zeros((3, 3, 3), np.uint8)).save(tmp_path / "00009.png")
    (tmp_path / "00010.png").write_bytes(b"no image")
    source = FolderImages(tmp_path)
    assert len(source.batch(torch.arange(9))) == 9
    with pytest.raises(InputError, match=r"00000\.png is 8×6 but .*00009\.png is 3×3; give the size"):
        source.batch(torch.arange(8, 10))
    with pytest.raises(InputError, match=r"00000\.png is 8×6 but .*00009\.png is 3×3"):
        source.batch(torch.tensor([9]))
    with pytest.raises(InputError, match=r"00010\.png"):
        source.batch(torch.tensor([0, 10]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no images in"):
        FolderImages(tmp_path / "empty")


def test_a_tensor_and_a_source_are_read_alike(tmp_path: Path) -> None:
    """Rows, parts, parts of parts, and all of it in small pieces."""
    images = pictures(PIECE + 3, 2, 2)
    source = FolderImages(written(tmp_path, images))
    rows, inner = torch.tensor([2, PIECE, 1, 5]), torch.tensor([3, 0])
    for kind in (images, source):
        assert torch.equal(take(kind, rows), images[rows])
        part = chosen(kind, rows)
        assert (len(part), size_of(part)) == (4, (2, 2))
        assert torch.equal(take(chosen(part, inner), torch.tensor([0, 1])), images[[5, 2]])
        assert torch.equal(torch.cat(list(pieces(kind))), images)
        assert torch.equal(in_memory(kind), images)
    assert [len(piece) for piece in pieces(source)] == [PIECE, 3]
    assert not all_grey(source)
    assert all_grey(FolderImages(tmp_path, grey=True))
