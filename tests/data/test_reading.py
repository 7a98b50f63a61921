"""Datasets whose images stay in their files: the same in everything as those in memory.

What is expected of the one is what the other finds; what the other finds is held to known pixels in the tests of its
source.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.data.catalogue import load_dataset
from benchbench.data.dataset import Dataset
from benchbench.data.pipeline import decode, reading
from benchbench.data.pipeline.fingerprint import pixel_digests
from benchbench.data.pipeline.image_source import Images, digests_of, in_memory, take
from benchbench.data.pipeline.streams import from_dataset
from benchbench.data.sources import parquet


@pytest.fixture
def layout(write_image: Any, tmp_path: Path) -> Callable[..., Path]:
    """layout("classes"): a folder of images, laid out as it is called; every one has a copy somewhere, one is turned
    and one is grey."""

    def make(kind: str) -> Path:
        for i in range(24):
            where = {"classes": f"c{i % 3}/", "train-test": "train/" if i % 3 else "test/"}.get(kind, "")
            where = f"{'test' if i < 9 else 'train'}/c{i % 3}/" if kind == "all" else where
            side = 9 if kind == "sizes" and i == 5 else 8
            write_image(f"own/{where}{i:02d}.png", seed=i % 20, side=side)
        picture = next((tmp_path / "own").rglob("11.png"))
        Image.open(picture).convert("L").save(picture)
        (picture.parent / "notes.txt").write_text("not an image")
        return tmp_path / "own"

    return make


def zipped(folder: Path) -> str:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder.parent))
    return f"zip:{path}"


def in_parquet(folder: Path) -> str:
    """In groups of seven rows, two shards."""
    files = sorted(folder.rglob("*.png"))
    table = pa.table(
        {
            "image": [{"bytes": file.read_bytes()} for file in files],
            "label": [f"c{i % 4}" for i in range(len(files))],
        }
    )
    out = folder.with_name("pq")
    out.mkdir()
    pq.write_table(table.slice(0, 15), out / "train-00000-of-00002.parquet", row_group_size=7)
    pq.write_table(table.slice(15), out / "train-00001-of-00002.parquet", row_group_size=7)
    return f"parquet:{out}"


def by_number(monkeypatch: pytest.MonkeyPatch, spec: str, **options: Any) -> Dataset:
    with monkeypatch.context() as patch:
        patch.setattr(reading, "MOST", 0)
        return load_dataset(spec, **options)


def rows_of(images: Images, rows: list[int]) -> Tensor:
    return take(images, torch.tensor(rows))


def same(one: Dataset, other: Dataset) -> None:
    """`other` is read by number; everything that anybody asks of either is equal."""
    assert one.describe() == other.describe()
    assert (one.fingerprint, one.spec, one.classes) == (other.fingerprint, other.spec, other.classes)
    for a, b in ((one.train, other.train), (one.held_out, other.held_out)):
        assert isinstance(a.images, Tensor)
        assert not isinstance(b.images, Tensor)
        assert a.fingerprint == b.fingerprint
        assert torch.equal(a.images, in_memory(b.images))
        rows = [len(a) - 1, 0, 1, 0]
        assert torch.equal(rows_of(a.images, rows), rows_of(b.images, rows))
        assert pixel_digests(a.images) == list(b.images.digests or ()) == list(digests_of(b.images))
        assert (a.labels is None) == (b.labels is None)
        assert a.labels is None or (b.labels is not None and torch.equal(a.labels, b.labels))


@pytest.mark.parametrize("size", [None, 5])
@pytest.mark.parametrize("kind", ["flat", "classes", "train-test", "all"])
def test_a_folder(
    layout: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, kind: str, size: int | None
) -> None:
    """Class folders and not, with a split and not, resized and not: fingerprints, halves, labels, and the notes on
    conversions, copies and other files."""
    spec = f"folder:{layout(kind)}"
    one = load_dataset(spec, size=size)
    assert any("were grey" in note for note in one.notes)
    assert any("left aside" in note for note in one.notes)
    same(one, by_number(monkeypatch, spec, size=size))


@pytest.mark.parametrize("wrap", [zipped, in_parquet])
@pytest.mark.parametrize("kind", ["flat", "all"])
def test_archives_and_parquet(
    layout: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, kind: str, wrap: Callable[[Path], str]
) -> None:
    """Any rows in any order, over the borders of groups and shards."""
    spec = wrap(layout(kind))
    same(load_dataset(spec, size=6), by_number(monkeypatch, spec, size=6))


def test_grey_is_seen(write_image: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of grey images has one channel, either way; one image in colour is enough for three."""
    for i in range(6):
        Image.open(write_image(f"own/{i}.png", seed=i)).convert("L").save(tmp_path / f"own/{i}.png")
    spec = f"folder:{tmp_path}/own"
    assert by_number(monkeypatch, spec).spec == load_dataset(spec).spec
    assert by_number(monkeypatch, spec).spec.grey
    write_image("own/6.png", seed=6)
    assert not by_number(monkeypatch, spec).spec.grey


def test_the_second_time_nothing_is_decoded(
    layout: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, own_cache: Path, notes: Any
) -> None:
    """What a pass found is kept under the identity of the files: of a changed file it is not taken, and a damaged entry
    is made anew."""
    folder, decoded = layout("classes"), []
    real = decode.decode_image

    def counting(encoded: Any, *args: Any, **options: Any) -> Any:
        decoded.append(encoded)
        return real(encoded, *args, **options)

    monkeypatch.setattr(reading, "MOST", 0)
    monkeypatch.setattr(decode, "decode_image", counting)
    counts = []
    for change in (
        lambda: None,
        lambda: None,
        lambda: shutil.copy(folder / "c1/01.png", folder / "c1/04.png"),
        lambda: [
            file.write_bytes(file.read_bytes()[:-1] + b"?")
            for file in (own_cache / "scanned").glob("*/digests")
        ],
    ):
        change()
        decoded.clear()
        found = load_dataset(f"folder:{folder}", size=8, progress=notes)
        counts.append(len(decoded))
    assert counts == [24, 0, 24, 24]
    assert sum("cannot be used" in note for note in notes.said) == 1
    assert in_memory(found.train.images).shape == (12, 3, 8, 8)


def test_the_rule(layout: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, notes: Any) -> None:
    """24 images of 8×8 are 4,608 bytes, as much as half of 9,216 that are free; with one byte less they stay in their
    files, and whoever runs it is told. The record is not: no number depends on it."""
    spec = f"folder:{layout('flat')}"
    for free, tensor in ((9216, True), (9215, False)):
        monkeypatch.setattr(reading, "free_memory", lambda free=free: free)
        found = load_dataset(spec, progress=notes)
        assert isinstance(found.train.images, Tensor) == tensor
        assert not any("asked for" in note for note in found.notes)
    (note,) = notes.said
    assert note.startswith("images are decoded as they are asked for: 24 of 8×8 would take 0.0 GiB in memory")


def test_ranks_of_one_machine_share_its_memory(
    layout: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, notes: Any
) -> None:
    """Each of four ranks holds a copy: 4,608 bytes are in memory where four times 9,216 are free. Elsewhere the others
    would decide by what one rank has not taken yet, and all of them together have no room."""
    spec = f"folder:{layout('flat')}"
    job = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
    for name, value in {**job, "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    for free, tensor in ((4 * 9216, True), (4 * 9216 - 1, False)):
        monkeypatch.setattr(reading, "free_memory", lambda free=free: free)
        assert isinstance(load_dataset(spec, progress=notes).train.images, Tensor) == tensor
    (note,) = notes.said
    assert "more than half of what is free for each of 4 ranks" in note


def test_images_that_cannot_be_used(
    layout: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The sentence is that of images in memory: the first that is broken, and how many are; without a size images of
    two sizes, with the way out; train and test of two sizes."""
    folder = layout("sizes")
    sentences = []
    for way in (load_dataset, lambda spec, **options: by_number(monkeypatch, spec, **options)):
        with pytest.raises(
            InputError, match=r"00\.png is 8×8 but .*05\.png is 9×9 \(1 of 24 .*--size N"
        ) as caught:
            way(f"folder:{folder}")
        sentences.append(str(caught.value))
    (folder / "00.png").write_bytes(b"no image")
    (folder / "07.png").write_bytes(b"")
    for way in (load_dataset, lambda spec, **options: by_number(monkeypatch, spec, **options)):
        for options in ({}, {"size": 8}):
            with pytest.raises(
                InputError, match=r"00\.png is not an image.* \(2 of 24 images cannot"
            ) as caught:
                way(f"folder:{folder}", **options)
            sentences.append(str(caught.value))
    assert sentences[0] == sentences[1]
    assert len(set(sentences[2:])) == 1
    for title, side in (("train", 8), ("test", 6)):
        (tmp_path / "two" / title).mkdir(parents=True)
        for i in range(2):
            image = np.random.default_rng(i).integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(image).save(tmp_path / "two" / title / f"{i}.png")
    with pytest.raises(InputError, match="train images are 8×8 but held-out images are 6×6; --size N"):
        by_number(monkeypatch, f"folder:{tmp_path}/two")


def test_a_file_that_changes_or_goes(layout: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image that is read is the one that was seen, or it is named: another picture, another size, none."""
    folder = layout("flat")
    found = by_number(monkeypatch, f"folder:{folder}")
    for side, sentence in (
        (8, "is not what it was"),
        (7, "is not what it was"),
        (0, "cannot be read: No such file"),
    ):
        for name in ("03.png", "13.png"):
            picture = folder / name
            picture.unlink()
            if side:
                Image.fromarray(np.zeros((side, side, 3), np.uint8)).save(picture)
        with pytest.raises(InputError, match=rf"[01]3\.png {sentence}"):
            in_memory(found.train.images)
            in_memory(found.held_out.images)


def test_what_cannot_be_read_by_number(
    layout: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Arrays, and parquet files in large groups, are read as a whole where they fit, and refused with the way out where
    they do not; no file is broken, so nothing else is said."""
    large = in_parquet(layout("flat"))
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (8, 4, 4, 3), np.uint8))
    monkeypatch.setattr(reading, "MOST", 0)
    monkeypatch.setattr(parquet, "GROUP_BYTES", 100)
    for spec, way in (
        (large, r"--size; or write train-0000\d.* in groups of 100 rows"),
        (f"npy:{tmp_path}/a.npy", "a zip"),
    ):
        assert isinstance(load_dataset(spec).train.images, Tensor)
        with monkeypatch.context() as patch:
            patch.setattr(decode, "free_memory", lambda: 100)
            with pytest.raises(InputError, match=rf"GiB are free; choose a smaller .*{way}"):
                load_dataset(spec, size=7)


def test_a_stream_of_a_split(layout: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """What `evaluate` holds images against: all of them, in batches of any size, whose digests are known before."""
    spec = f"folder:{layout('classes')}"
    one, other = (
        from_dataset(found, "train") for found in (load_dataset(spec), by_number(monkeypatch, spec))
    )
    assert len(list(other.digests)) == len(other) == len(one)
    assert torch.equal(torch.cat(list(other.batches(5))), torch.cat(list(one.batches(5))))
    one.scan()
    assert (list(one.digests), one.fingerprint, one.notes) == (
        list(other.digests),
        other.fingerprint,
        other.notes,
    )
    assert list(other.first(3).digests) == list(one.digests)[:3]
