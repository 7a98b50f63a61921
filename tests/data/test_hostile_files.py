"""Files that strangers made: formats that are not read, pictures under other names, pipes, bombs, locked folders.

Each table stands for a kind, and each of its rows must end in one sentence that names the file, or in the right pixels.
"""

from __future__ import annotations

import ast
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import benchbench
from benchbench.core.errors import InputError
from benchbench.data.catalogue import load_dataset
from benchbench.data.pipeline import decode
from benchbench.data.pipeline.decode import FORMATS, UnusableError, decode_ahead, decode_image
from benchbench.data.pipeline.signatures import image_format
from benchbench.data.pipeline.streams import open_images
from benchbench.data.sources import archives, array_images
from benchbench.data.sources.spec import IMAGE_SUFFIXES
from benchbench.features.statistics_file import holds_statistics

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (8, 8, 3), np.uint8)
DEEP = RNG.integers(0, 65536, (8, 8, 3)).astype("<u2")
READERS: list[Callable[[str], object]] = [load_dataset, lambda spec: open_images(spec).scan()]


def _encoded(kind: str, mode: str = "RGB") -> bytes:
    stream = BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(stream, kind)
    return stream.getvalue()


def _tiff(samples: np.ndarray, bits: int, *, planar: int = 1, kind: int = 1, photometric: int = 2) -> bytes:
    """A TIFF by its specification (revision 6.0), not compressed; samples as they lie in the file."""
    count = 3 if photometric == 2 else 1
    data = samples.tobytes()
    strips = count if planar == 2 else 1
    tags: list[tuple[int, int, list[int]]] = [
        *((256, 4, [8]), (257, 4, [8]), (258, 3, [bits] * count), (259, 3, [1]), (262, 3, [photometric])),
        *((273, 4, []), (277, 3, [count]), (278, 4, [8]), (279, 4, [len(data) // strips] * strips)),
        *((284, 3, [planar]), (339, 3, [kind] * count)),
    ]
    sizes = {3: (2, "H"), 4: (4, "I")}
    behind = 8 + 2 + 12 * len(tags) + 4
    extra = sum(
        sizes[t][0] * n for i, t, v in tags if sizes[t][0] * (n := strips if i == 273 else len(v)) > 4
    )
    body, more = struct.pack("<H", len(tags)), b""
    for tag, type_, values in tags:
        if tag == 273:
            values = [behind + extra + i * (len(data) // strips) for i in range(strips)]
        _size, letter = sizes[type_]
        raw = struct.pack(f"<{len(values)}{letter}", *values)
        place = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack("<I", behind + len(more))
        more += raw if len(raw) > 4 else b""
        body += struct.pack("<HHI", tag, type_, len(values)) + place
    return b"II*\0" + struct.pack("<I", 8) + body + b"\0\0\0\0" + more + data


def _png(width: int, height: int, depth: int = 8, colour: int = 2, channels: int = 3) -> bytes:
    """A black PNG by its specification."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    rows = bytes((1 + width * channels * depth // 8) * height)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows, 1)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _bmp_565(pixels: bytes) -> bytes:
    """A BMP of 16 bits a pixel, by masks: 5 of red, 6 of green, 5 of blue."""
    info = struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 16, 3, len(pixels), 0, 0, 0, 0)
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    start = 14 + len(info) + len(masks)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + info + masks + pixels


DEEP_FILES = {
    "16-bit PPM": b"P6\n8 8\n65535\n" + DEEP.astype(">u2").tobytes(),
    "10-bit PGM": b"P5\n8 8\n1023\n" + DEEP[..., 0].astype(">u2").tobytes(),
    "16-bit SGI": struct.pack(">hBBHHHHii4x80si404x", 474, 0, 2, 3, 8, 8, 3, 0, 65535, b"", 0)
    + DEEP.astype(">u2").tobytes(),
    "16-bit TIFF": _tiff(DEEP, 16),
    "16-bit TIFF by planes": _tiff(np.ascontiguousarray(DEEP.transpose(2, 0, 1)), 16, planar=2),
    "16-bit grey TIFF": _tiff(DEEP[..., 0].copy(), 16, photometric=1),
    "12-bit grey TIFF": _tiff(DEEP[:6, :, 0].copy(), 12, photometric=1),
    "signed grey TIFF": _tiff(PIXELS[..., 0].copy(), 8, kind=2, photometric=1),
    "signed TIFF": _tiff(PIXELS, 8, kind=2),
    "float TIFF": _tiff(RNG.random((8, 8, 3)).astype("<f4"), 32, kind=3),
    "16-bit grey PNG": _png(8, 8, 16, 0, 1),
    "16-bit PNG": _png(8, 8, 16, 2, 3),
    "16-bit PNG with alpha": _png(8, 8, 16, 6, 4),
    "16-bit grey PNG with alpha": _png(8, 8, 16, 4, 2),
}


@pytest.mark.parametrize("content", DEEP_FILES.values(), ids=DEEP_FILES)
def test_more_than_8_bits_are_never_cut_down(content: bytes) -> None:
    """Samples of more than 8 bits, or signed, have no 8-bit level without a choice: refused, whatever Pillow makes of
    them (of planes and of PPM it keeps the low byte)."""
    with pytest.raises(UnusableError, match=r"8 bits|not an image that can be read"):
        decode_image(content)


def test_few_bits_are_no_many_bits() -> None:
    """TIFF by planes of 8 bits is the same picture; 16 bits a pixel of a BMP are 5 or 6 a channel: all set, white."""
    planes = _tiff(np.ascontiguousarray(PIXELS.transpose(2, 0, 1)), 8, planar=2)
    np.testing.assert_array_equal(decode_image(planes)[0], PIXELS)
    assert (decode_image(_bmp_565(b"\xff" * 128))[0] == 255).all()


OTHERS = ["PPM", "EPS", "TGA", "DDS", "ICO", "JPEG2000", "PCX", "SGI", "SPIDER"]


@pytest.mark.parametrize("kind", [*FORMATS, "MPO", *OTHERS])
def test_only_documented_formats_are_read(kind: str) -> None:
    """By `FORMATS` and nothing else, by content: the file has no name at all. MPO is JPEG with more behind it."""
    content = _encoded(kind)
    if kind in OTHERS:
        with pytest.raises(UnusableError, match="is not an image that can be read"):
            decode_image(content)
    else:
        assert decode_image(content)[0].shape == (8, 8, 3)
        assert image_format(content[:32]).upper() in FORMATS


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tiff"])
def test_no_program_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    """An EPS file is a program. Whoever interprets it would find this `gs` first."""
    started = tmp_path / "started"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gs").write_text(f"#!/bin/sh\ntouch {started}\n")
    (tmp_path / "bin" / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    (tmp_path / "own").mkdir()
    for i in range(4):
        (tmp_path / "own" / f"{i}{suffix}").write_bytes(_encoded("EPS"))
    for read in READERS:
        with pytest.raises(InputError, match="PostScript"):
            read(f"folder:{tmp_path}/own")
    assert not started.exists()


def test_every_decoder_is_named() -> None:
    """`Image.open` tries all formats there are, unless it is told which: so each call in the package tells it."""
    calls = [
        (file.name, call)
        for file in Path(benchbench.__file__).parent.rglob("*.py")
        if "Image.open" in file.read_text()
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "Image.open"
    ]
    assert calls
    assert [name for name, call in calls if "formats" not in [k.arg for k in call.keywords]] == []


def _folder(path: Path, more: dict[str, bytes]) -> str:
    path.mkdir()
    for i in range(4):
        (path / f"{i}.png").write_bytes(_encoded("PNG"))
    for name, content in more.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(content)
    return f"folder:{path}"


def _zip(path: Path, more: dict[str, bytes]) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**{f"{i}.png": _encoded("PNG") for i in range(4)}, **more}.items():
            archive.writestr(name, content)
    return f"zip:{path}"


PICTURES = {
    "a.avif": b"\0\0\0\x1cftypavif\0\0\0\0",
    "a.heic": b"\0\0\0\x18ftypheic\0\0\0\0",
    "a.jxl": b"\xff\x0a\0\0",
    "a.jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
    "a.ppm": b"P6\n8 8\n255\n" + PIXELS.tobytes(),
    "a.pgm": b"P2 1 1 255 7",
    "a.tga": bytes(18),
    "a.dng": b"II*\0",
    "a.PPM": b"",
    "sub.txt": _encoded("PNG"),
    "noname": _encoded("JPEG"),
    "a.png.bak": _encoded("PNG"),
    "a.jpg_large": _encoded("JPEG"),
    "b.bin": _encoded("BMP"),
    "b.data": _encoded("TIFF"),
}


@pytest.mark.parametrize("write", [_folder, _zip])
@pytest.mark.parametrize("name", PICTURES)
def test_pictures_that_are_not_read_are_named(
    write: Callable[[Path, dict[str, bytes]], str], name: str, tmp_path: Path
) -> None:
    """A number of the other images would be of another set: the first picture that would be left out is named."""
    spec = write(tmp_path / "own", {name: PICTURES[name]})
    for read in READERS:
        with pytest.raises(InputError, match=rf"own holds {name}, a ") as refused:
            read(spec)
        assert "convert or rename" in str(refused.value)


@pytest.mark.parametrize("write", [_folder, _zip])
def test_other_files_are_named_in_a_note(
    write: Callable[[Path, dict[str, bytes]], str], tmp_path: Path
) -> None:
    """Labels, documents and drawings lie beside images and are none; nothing is said of hidden files."""
    others = {
        "a.csv": b"BMI,1",
        "b.pdf": b"%PDF-1.4",
        "c.svg": b"<svg/>",
        "d.md": b"P5 is",
        ".e.ppm": b"P6 1 1 255 abc",
    }
    stream = open_images(write(tmp_path / "own", others))
    assert stream.n == 4
    assert stream.notes == (
        "4 files in own that are not images were left aside: a.csv, b.pdf, c.svg and 1 more",
    )


@pytest.mark.parametrize("suffix", [*sorted(IMAGE_SUFFIXES), ".JFIF", ".Png"])
def test_a_name_decides_nothing_but_that_it_is_an_image(suffix: str, tmp_path: Path) -> None:
    """The same PNG under each name that images may have: the same pixels."""
    stream = open_images(_folder(tmp_path / "own", {f"x{suffix}": _encoded("PNG")}))
    stream.scan()
    assert stream.n == 5
    assert len(set(stream.digests)) == 1


def _special(kind: str, path: Path) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        here = Path.cwd()
        os.chdir(path.parent)  # the path of a socket is a short one
        socket.socket(socket.AF_UNIX).bind(path.name)
        os.chdir(here)
    else:
        path.symlink_to("/dev/zero")


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
@pytest.mark.parametrize(
    "name", ["x.npy", "x.npz", "x.zip", "x.parquet", "own/x.png", "own/a/x.jpg", "pq/train.parquet"]
)
def test_what_is_no_regular_file_is_refused(kind: str, name: str, tmp_path: Path) -> None:
    """Were one of them opened, this test would never end."""
    _folder(tmp_path / "own", {"a/y.png": _encoded("PNG")})
    (tmp_path / "pq").mkdir()
    _special(kind, tmp_path / name)
    prefix = {"own": "folder:", "pq": "parquet:"}.get(name.partition("/")[0], "")
    where = tmp_path / (name.partition("/")[0] if "/" in name else name)
    for read in READERS:
        with pytest.raises(InputError, match=f"{name.rpartition('/')[2]} is a {kind}; give a regular file"):
            read(f"{prefix}{where}")
    assert not holds_statistics(where)


def test_a_pipe_among_other_files_is_left_aside(tmp_path: Path) -> None:
    """It is no image, and nobody waits for its first bytes."""
    spec = _folder(tmp_path / "own", {})
    os.mkfifo(tmp_path / "own" / "log")
    assert open_images(spec).notes == ("1 file in own that is not an image was left aside: log",)


def _npz(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def _collapsed(path: Path) -> Path:
    return _npz(path / "x.npz", arr_0=np.zeros((50, 64, 64, 3), np.uint8))


def _many(path: Path) -> Path:
    return _npz(path / "x.npz", arr_0=np.zeros((100_000, 1, 1), np.uint8))


def _sparse(path: Path) -> Path:
    _folder(path / "own", {})
    with open(path / "own" / "x.png", "wb") as file:
        file.truncate(2**40)
    return path / "own"


def _wide(path: Path) -> Path:
    _folder(path / "own", {"x.png": _png(300, 300)})
    return path / "own"


@pytest.mark.parametrize(
    ("made", "limit", "sentence"),
    [
        (
            _collapsed,
            (array_images, "BOMB_FLOOR", 100_000),
            "arr_0 in .*x.npz has .* bytes but claims to unpack to 614,528",
        ),
        (
            _many,
            (array_images, "BOMB_ROWS", 1000),
            "arr_0 in .*x.npz claims 100,000 images in .* bytes, as bombs do",
        ),
        (_sparse, None, "own/x.png has more than 536,870,912 bytes"),
        (
            _wide,
            (Image, "MAX_IMAGE_PIXELS", 1000),
            "x.png has more than 1,000 pixels, as decompression bombs do",
        ),
    ],
)
def test_bombs_are_refused_before_they_are_read(
    made: Callable[[Path], Path],
    limit: tuple[Any, str, int] | None,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By what header, directory or file system say. Limits are lowered, so that the test needs no gigabytes."""
    if limit is not None:
        monkeypatch.setattr(*limit)
    where = made(tmp_path)
    for read in READERS:
        with pytest.raises(InputError, match=sentence):
            read(str(where))


def test_a_member_that_wants_too_much_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An LZMA member states the size of its dictionary, up to 4 GiB; what the system does not give is a sentence."""

    def refuse(*_: object) -> bytes:
        raise MemoryError

    spec = _zip(tmp_path / "own.zip", {})
    monkeypatch.setattr(archives.zipfile.ZipFile, "read", refuse)
    with pytest.raises(InputError, match=r"0\.png in .*own\.zip needs more memory"):
        open_images(spec).scan()


def test_large_images_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread hands over what it has once that is large, and the rest follows one by one: the same images in the same
    order, however little may be held."""
    items = [(str(i), np_png(i)) for i in range(20)]
    expected = [(name, pixels[0]) for chunk in decode_ahead(items) for name, pixels in chunk]
    monkeypatch.setattr(decode, "AT_ONCE", 0)
    monkeypatch.setattr(decode, "LARGE", 0)
    found = [(name, pixels[0]) for chunk in decode_ahead(items) for name, pixels in chunk]
    assert [name for name, _ in found] == [str(i) for i in range(20)]
    for (_, one), (_, other) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def np_png(i: int) -> bytes:
    """A PNG of one level."""
    stream = BytesIO()
    Image.fromarray(np.full((4, 4, 3), i, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """A folder that may not be entered, with images below. Rights do not bind root, who is somebody else meanwhile."""
    _folder(tmp_path / "own", {"a/x.png": _encoded("PNG")})
    for name in ("pairs", "parquet", "zip", "npz"):  # what is imported late, is imported
        with pytest.raises(InputError):
            load_dataset(f"{name}:{tmp_path}/nowhere")
    root = os.geteuid() == 0
    (tmp_path / "own").chmod(0)
    if root:
        os.seteuid(65534)
    yield tmp_path / "own"
    if root:
        os.seteuid(0)
    (tmp_path / "own").chmod(0o755)


@pytest.mark.parametrize(
    "spec",
    [
        "{}",
        "folder:{}",
        "folder:{}/a",
        "{}/a",
        "{}/x.npz",
        "npz:{}/x.npz",
        "zip:{}/x.zip",
        "pairs:{}",
        "parquet:{}/a",
    ],
)
def test_a_folder_above_that_may_not_be_entered(locked: Path, spec: str, tmp_path: Path) -> None:
    """What is there cannot be known, so nobody says that nothing is."""
    for read in READERS:
        with pytest.raises(InputError, match="Permission denied"):
            read(spec.format(locked))


@pytest.mark.costly
def test_folders_nested_3000_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deeper than Python recurses, and longer than a path may be (4,096 bytes on Linux): a sentence of bearable length.
    Half as deep is read."""
    spec = _folder(tmp_path / "own", {})
    monkeypatch.chdir(tmp_path / "own")
    for _ in range(1500):
        os.mkdir("d")
        os.chdir("d")
    Path("x.png").write_bytes(_encoded("PNG"))
    assert open_images(spec).n == 5
    for _ in range(1500):
        os.mkdir("d")
        os.chdir("d")
    for read in READERS:
        with pytest.raises(InputError, match=r"cannot read the folder .*File name too long") as refused:
            read(spec)
        assert len(str(refused.value)) < 500
    for _ in range(3000):  # pytest clears up by recursion
        os.chdir("..")
        if os.path.exists("d/x.png"):
            os.remove("d/x.png")
        os.rmdir("d")


@pytest.mark.parametrize(
    "spec", ["{}/one", "folder:{}/one", "npz:{}/one", "{}/" + "x" * 300, "folder:{}/" + "y/" * 3000]
)
def test_paths_that_lead_nowhere(spec: str, tmp_path: Path) -> None:
    """Links in a circle, names longer than a file system has: a sentence of bearable length."""
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    for read in READERS:
        with pytest.raises(InputError, match=r"cannot reach|is too long") as refused:
            read(spec.format(tmp_path))
        assert len(str(refused.value)) < 500


def test_links_in_a_circle_below_a_folder(tmp_path: Path) -> None:
    """A folder that links to itself is read once; an image that does is named."""
    spec = _folder(tmp_path / "own", {})
    (tmp_path / "own" / "me").symlink_to(".")
    (tmp_path / "own" / "up").symlink_to("..")
    assert open_images(spec).n == 4
    (tmp_path / "own" / "x.png").symlink_to("x.png")
    for read in READERS:
        with pytest.raises(InputError, match=r"x\.png.* Too many levels of symbolic links"):
            read(spec)
