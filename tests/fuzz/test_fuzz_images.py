"""Damaged arrays, archives, tables and pictures: each is read rightly or refused in one sentence."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from harness import faults
from mutations import COUNT, Mutation, mutations
from PIL import Image

from benchbench.data.catalogue import load_dataset
from benchbench.data.pipeline.streams import open_images
from benchbench.data.sources.options import SourceOptions
from benchbench.features.statistics_file import holds_statistics, load_statistics

pytestmark = [pytest.mark.costly, pytest.mark.usefixtures("every")]

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
LABELS = np.arange(12) % 3


def read(path: Path) -> None:
    """As `evaluate` reads it, and as `run` does."""
    where = str(path if path.suffix in (".npy", ".npz", ".zip", ".parquet") else path.parent)
    try:
        open_images(where, SourceOptions()).scan()
    finally:
        load_dataset(where)


def read_statistics(path: Path) -> None:
    """As `evaluate --reference` reads it."""
    if holds_statistics(path):
        load_statistics(path)


def npy(array: np.ndarray) -> bytes:
    """The content of a .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def archive(members: dict[str, bytes], how: int) -> bytes:
    """The content of a zip file. how: a compression of `zipfile`."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as writer:
        for name, content in members.items():
            writer.writestr(name, content)
    return file.getvalue()


def picture(kind: str, i: int = 0, **options: object) -> bytes:
    """The content of an image file of a format that Pillow writes."""
    file = io.BytesIO()
    Image.fromarray(IMAGES[i]).save(file, kind, **options)
    return file.getvalue()


def table(**options: object) -> bytes:
    """The content of a parquet file as Hugging Face's `datasets` writes it."""
    file = io.BytesIO()
    images = [{"bytes": picture("PNG", i), "path": f"{i}.png"} for i in range(12)]
    about = b'{"info": {"features": {"label": {"names": ["a", "b", "c"], "_type": "ClassLabel"}}}}'
    content = pa.table({"image": images, "label": LABELS}).replace_schema_metadata({"huggingface": about})
    pq.write_table(content, file, **options)
    return file.getvalue()


def wrapped(members: dict[str, bytes], damaged: str, how: int, count: int) -> Iterator[Mutation]:
    """Archives in which one member is damaged, under a checksum that fits."""
    for what, content in mutations(members[damaged], count, seed=1):
        yield Mutation(f"member {damaged}, {what}", archive({**members, damaged: content}, how))


def shared(kinds: list[bytes]) -> Iterator[Mutation]:
    """`COUNT` mutations, of these in equal parts."""
    for seed, content in enumerate(kinds):
        yield from mutations(content, COUNT // len(kinds), seed)


ARRAYS = {"x_train.npy": npy(IMAGES), "y_train.npy": npy(LABELS), "x_test.npy": npy(IMAGES)}
ONE = {"arr_0.npy": npy(IMAGES), "labels.npy": npy(LABELS)}
PICTURES = {f"{'abc'[i % 3]}/{i}.png": picture("PNG", i) for i in range(12)}
STATISTICS = {"mu.npy": npy(np.zeros(4)), "sigma.npy": npy(np.eye(4))}
HOWS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


def test_npy(tmp_path: Path) -> None:
    """`read` refuses or reads; arrays in either order of memory."""
    kinds = [npy(IMAGES), npy(np.asfortranarray(IMAGES))]
    assert faults(read, tmp_path / "x.npy", shared(kinds)) == []


def test_npz(tmp_path: Path) -> None:
    """The archive is damaged, under each compression."""
    assert faults(read, tmp_path / "x.npz", shared([archive(ARRAYS, how) for how in HOWS])) == []


@pytest.mark.parametrize("member", ["arr_0.npy", "labels.npy"])
def test_npz_members(member: str, tmp_path: Path) -> None:
    """An array in the archive is damaged."""
    assert faults(read, tmp_path / "x.npz", wrapped(ONE, member, zipfile.ZIP_DEFLATED, COUNT // 2)) == []


def test_zip(tmp_path: Path) -> None:
    """The archive is damaged, under each compression."""
    assert faults(read, tmp_path / "x.zip", shared([archive(PICTURES, how) for how in HOWS])) == []


def test_parquet(tmp_path: Path) -> None:
    """The table is damaged, with and without a compression, with and without checksums of its pages."""
    kinds = [
        table(),
        table(compression="zstd"),
        table(compression="none", use_dictionary=False),
        table(write_page_checksum=True),
    ]
    assert faults(read, tmp_path / "x.parquet", shared(kinds)) == []


def test_statistics(tmp_path: Path) -> None:
    """The archive is damaged, and each of its arrays is."""
    damaged = [
        *mutations(archive(STATISTICS, zipfile.ZIP_DEFLATED), COUNT // 2),
        *wrapped(STATISTICS, "mu.npy", zipfile.ZIP_STORED, COUNT // 4),
        *wrapped(STATISTICS, "sigma.npy", zipfile.ZIP_STORED, COUNT // 4),
    ]
    assert faults(read_statistics, tmp_path / "x.npz", damaged) == []


def test_pictures(tmp_path: Path) -> None:
    """One image of a folder is damaged, in each format and by some of its options."""
    for i in range(2):
        (tmp_path / f"{i}.png").write_bytes(picture("PNG", i))
    kinds = [
        picture("PNG"),
        picture("JPEG", quality=95),
        picture("JPEG", progressive=True),
        picture("BMP"),
        picture("WEBP", lossless=True),
        picture("GIF"),
        picture("TIFF"),
        picture("TIFF", compression="tiff_lzw"),
    ]
    assert faults(read, tmp_path / "x.png", shared(kinds)) == []
