"""What is damaged or wants more than to be read, in the formats of `written_formats`: a sentence that names it.

Sentences are this project's own; that nothing is run is seen by a file that is not there.
"""

from __future__ import annotations

import gzip
import json
import os
import pickle
import shutil
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from written_formats import FORMATS, Split, as_cifar10, as_idx, as_lmdb, of_python_2, png, tar_of, written

from benchbench.core.errors import InputError
from benchbench.data.catalogue import load_dataset
from benchbench.data.pipeline.streams import open_images
from benchbench.data.sources import array_images
from benchbench.data.sources.lmdb_file import read_entries
from benchbench.data.sources.plain_pickle import unpickled

FILES = [
    name for name in FORMATS if name not in ("stylegan folder", "stylegan zip", "imagenet", "openimages")
]


def splits(n: int = 6) -> list[Split]:
    """Grey ones, so that every format can hold them."""
    made = []
    for seed, title in enumerate(("train", "test")):
        images = np.random.default_rng(seed).integers(0, 256, (n, 32, 32, 1), np.uint8).repeat(3, axis=3)
        made.append(Split(title, images, np.arange(n) % 2))
    return made


def largest(path: str) -> Path:
    """The largest file of what was written."""
    root = Path(path.partition(":")[2] or path)
    files = [root] if root.is_file() else [file for file in root.rglob("*") if file.is_file()]
    return max(files, key=lambda file: (file.name != "lock.mdb") * file.stat().st_size)


def sentence(spec: str) -> str:
    with pytest.raises(InputError) as caught:
        open_images(spec).scan()
    return str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_cut(name: str, tmp_path: Path) -> None:
    """At a half, and of nothing at all: the error names it, whatever library reads it."""
    spec = FORMATS[name](tmp_path / "made", splits())
    file = largest(spec)
    whole = file.read_bytes()
    for length in (len(whole) // 2 + 1, 0):
        file.write_bytes(whole[:length])
        assert file.name.removesuffix("-idx3-ubyte.gz") in sentence(spec)


@pytest.mark.parametrize("name", FILES)
def test_a_pipe_in_place_of_a_file(name: str, tmp_path: Path) -> None:
    """Nothing waits for somebody who writes into it."""
    spec = FORMATS[name](tmp_path / "made", splits())
    file = largest(spec)
    file.unlink()
    os.mkfifo(file)
    said = sentence(spec)
    assert "is a pipe" in said or "no folder of CIFAR" in said or "lacks" in said or "no images in" in said


@pytest.mark.parametrize("kind", ["webdataset", "arrow", "cifar", "idx", "mat", "lmdb", "hdf5"])
def test_nothing_there(kind: str, tmp_path: Path) -> None:
    """An empty folder and an empty file say so."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for path in ("empty", "file"):
        assert path in sentence(f"{kind}:{tmp_path / path}")


class Calls:
    """What pickle calls when it is loaded."""

    def __init__(self, what: Any, *arguments: Any) -> None:
        self.what, self.arguments = what, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.what, self.arguments


class _Pickled:
    """What pickle writes as an array of this shape, without content."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __reduce__(self) -> tuple[Any, ...]:
        make, arguments, state = np.zeros(1, np.uint8).__reduce__()
        return make, arguments, (state[0], self.shape, *state[2:])


class TestPickles:
    """CIFAR's files are pickles; only what CIFAR's hold is read, and nothing is run."""

    @pytest.mark.parametrize("protocol", range(6))
    def test_nothing_is_called(self, protocol: int, tmp_path: Path) -> None:
        """Whatever the protocol, in any of the files: the sentence names what was asked for."""
        spec = as_cifar10(tmp_path / "made", splits())
        bomb = pickle.dumps({b"data": Calls(os.mkdir, str(tmp_path / "was here"))}, protocol)
        for name in ("batches.meta", "data_batch_3", "test_batch"):
            kept = (tmp_path / "made" / name).read_bytes()
            (tmp_path / "made" / name).write_bytes(bomb)
            assert "asks for posix.mkdir" in sentence(spec)
            (tmp_path / "made" / name).write_bytes(kept)
        assert not (tmp_path / "was here").exists()

    @pytest.mark.parametrize(
        ("program", "said"),
        [
            (b"cbuiltins\neval\n(S'1'\ntR.", "builtins.eval"),
            (b"cnumpy\nload\n(S'x'\ntR.", "numpy.load"),
            (b"cnumpy.core.multiarray\nscalar\n.", "numpy.core.multiarray.scalar"),
            (b"(S'ls'\nios\nsystem\n.", "os.system"),
            (b"cnumpy\nndarray\n(I3\ntR.", "in another way than NumPy"),
            (b"c_codecs\nencode\n(S'x'\nS'rot13'\ntR.", "in another way than pickle"),
            (b"\x80\x02cnumpy\ndtype\nN}\x8c\x08__code__N\x86\x86b.", "damaged or another file"),
            (b"cnumpy\ndtype\n}S'x'\nI1\nsb.", "changes what it did not make"),
            (b"Pname\n.", "persistent"),
            (b"\x80\x02\x82\x01.", "unregistered extension code"),
            (b"\x80\x02r\xff\xff\xff\xff.", "damaged or another file"),
            (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "damaged or another file"),
            (b"", "damaged or another file"),
            # (((…),(…)),) as a key, each tuple holding the last one twice: hashing it takes 2⁶⁰ steps
            (b"\x80\x02})q\x00" + b"".join(b"h\0h\0\x86q\0" for _ in range(60)) + b"K\x01s.", "is no text"),
            (b"(I1\nI2\nd.", "is no text"),
            (b"\x80\x02}(K\x01K\x02u.", "is no text"),
            (b"\x80\x04\x8f(K\x01\x90.", "builds a set"),
            (b"\x80\x04(K\x01\x91.", "builds a set"),
        ],
    )
    def test_programs(self, program: bytes, said: str) -> None:
        """Written out in the machine's own words."""
        with pytest.raises(InputError, match="nothing of it was run") as caught:
            unpickled(program, "x")
        assert said in str(caught.value)

    @pytest.mark.parametrize(
        ("array", "said"),
        [
            (np.zeros((2, 3072)), "not of bytes"),
            (np.array([[1, "a"]], object), "not of bytes"),
            (np.zeros((2, 100), np.uint8), "rows of 3,072 bytes"),
        ],
    )
    def test_arrays_of_something_else(self, array: Any, said: str, tmp_path: Path) -> None:
        spec = as_cifar10(tmp_path / "made", splits())
        written(tmp_path / "made" / "test_batch", of_python_2({b"data": array, b"labels": [0, 1]}))
        assert said in sentence(spec)

    def test_a_shape_whose_product_takes_for_ever(self, tmp_path: Path) -> None:
        """20,000 axes, each a number of 20,000 digits: 4·10⁸ digits to multiply, where CIFAR has two axes."""
        spec = as_cifar10(tmp_path / "made", splits())
        array = _Pickled((10**20_000,) * 20_000)
        written(tmp_path / "made" / "test_batch", pickle.dumps({b"data": array, b"labels": []}, 2))
        assert "has not the length its shape says" in sentence(spec)

    def test_a_key_that_is_half_a_character(self, tmp_path: Path) -> None:
        spec = as_cifar10(tmp_path / "made", splits())
        written(tmp_path / "made" / "test_batch", pickle.dumps({"\ud800": 1}, 2))
        assert "holds no array of rows" in sentence(spec)

    def test_labels_beyond_the_names(self, tmp_path: Path) -> None:
        spec = as_cifar10(tmp_path / "made", splits())
        held = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 2]}
        written(tmp_path / "made" / "test_batch", of_python_2(held))
        assert "labels from 0 to 2, but batches.meta names 2 classes" in sentence(spec)

    @settings(max_examples=150, deadline=None)
    @given(place=st.integers(0, 4000), byte=st.integers(0, 255))
    def test_any_byte_may_be_wrong(self, place: int, byte: int) -> None:
        """The outcome is plain data or an `InputError`, never anything else that is raised or built."""
        held = {b"data": np.arange(3072, dtype=np.uint8).reshape(1, -1), b"labels": [0], b"names": [b"a"]}
        content = bytearray(of_python_2(held))
        content[place % len(content)] = byte
        try:
            found = unpickled(bytes(content), "x")
        except InputError:
            return
        values = found.values() if isinstance(found, dict) else [found]
        plain = (np.ndarray, list, bytes, int, str, float, type(None), tuple, dict, bool)
        assert all(
            isinstance(value, plain) or type(value).__name__ in ("_Type", "_Named") for value in values
        )


def special(name: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "0.png"
    return info


PNG = png(np.zeros((8, 8, 3), np.uint8))


class TestTars:
    """An archive from elsewhere."""

    @pytest.mark.parametrize(
        ("members", "more", "said"),
        [
            ({"../0.png": PNG}, (), "leads out of the archive"),
            ({"/etc/0.png": PNG}, (), "leads out of the archive"),
            ({"a\n.png": PNG}, (), "has a member of the name"),
            ({"0.png": PNG}, (special("1.png", tarfile.SYMTYPE),), "is a link, a device"),
            ({"0.png": PNG}, (special("1.png", tarfile.LNKTYPE),), "is a link, a device"),
            ({"0.png": PNG}, (special("1.png", tarfile.FIFOTYPE),), "is a link, a device"),
            ({"0.png": PNG, "./0.png": PNG}, (), "holds 0.png twice"),
            ({"0.png": PNG, "0.mask.png": PNG}, (), "two images of one sample"),
            (
                {"0.png": PNG, "0.cls": b"1", "1.png": PNG},
                (),
                "have a label in a .cls file and some have none",
            ),
            ({"0.png": PNG, "0.cls": b"1", "1.png": PNG, "1.cls": b"cat"}, (), "numbers in some .cls files"),
            ({"0.png": PNG, "0.json": b"{"}, (), "0.json in .*is no JSON"),
            ({"0.png": PNG, "0.json": b"[" * 100_000}, (), "0.json in .*is no JSON"),
            ({"0.png": PNG, "0.cls": b"\0"}, (), "holds no label"),
            ({"0.avif": b"\0\0\0\x20ftypavif" + bytes(20)}, (), "a picture in a format that is not read"),
            ({"0.txt": b"text"}, (), "no images in"),
            ({"0.png": b"no image"}, (), "0.png in .*a.tar"),
        ],
    )
    def test_refused(self, members: dict[str, bytes], more: Any, said: str, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=said):
            open_images(tar_of(tmp_path / "a.tar", members, *more)).scan()

    def test_compressed_or_without_an_end(self, tmp_path: Path) -> None:
        """A tar ends with a block of zeros: one that lost samples behind the last whole one is noticed too."""
        content = Path(tar_of(tmp_path / "a.tar", {"0.png": PNG, "1.png": PNG})).read_bytes()
        written(tmp_path / "b.tar", gzip.compress(content))
        assert "b.tar is compressed" in sentence(str(tmp_path / "b.tar"))
        written(tmp_path / "c.tar", content[:1024])
        assert "c.tar: it has no end" in sentence(str(tmp_path / "c.tar"))

    @pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
    @pytest.mark.parametrize("size", [2**45, -(2**45)])
    def test_a_header_that_claims_memory(self, kind: bytes, size: int, tmp_path: Path) -> None:
        """tarfile reads as many bytes as the header of a long name claims, and all there are for less than none."""
        info = tarfile.TarInfo("././@LongLink")
        info.type, info.size = kind, size
        written(tmp_path / "a.tar", info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
        assert "a.tar: a header in it claims" in sentence(str(tmp_path / "a.tar"))

    def test_a_member_that_leads_back(self, tmp_path: Path) -> None:
        """Hidden files are passed over; one of −512 bytes stands before itself."""
        info = tarfile.TarInfo(".a")
        info.size = -512
        written(tmp_path / "a.tar", info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
        assert "has less than no bytes" in sentence(str(tmp_path / "a.tar"))

    def test_a_shard_that_is_named_twice(self, tmp_path: Path) -> None:
        """1 and 11 are 111, and so are 11 and 1: its images would count twice."""
        assert "stands for a111.tar twice" in sentence(f"webdataset:{tmp_path}/a{{1..11}}{{1..11}}.tar")

    def test_a_member_longer_than_the_tar(self, tmp_path: Path) -> None:
        content = bytearray(Path(tar_of(tmp_path / "a.tar", {"0.png": PNG})).read_bytes())
        content[124:136] = b"77777777777\0"
        content[148:156] = b"        "
        content[148:156] = f"{sum(content[:512]):06o}\0 ".encode()
        written(tmp_path / "a.tar", bytes(content))
        assert "cannot read" in sentence(str(tmp_path / "a.tar"))


class TestArrow:
    """Folders that `save_to_disk` did not write, or somebody changed."""

    def table(self, folder: Path, images: list[Any], options: Any = None) -> str:
        folder.mkdir(exist_ok=True)
        struct_of = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        table = pa.table({"image": pa.array(images, struct_of)})
        file = str(folder / "data.arrow")
        with pa.OSFile(file, "wb") as out, pa.ipc.new_stream(out, table.schema, options=options) as stream:
            stream.write_table(table)
        written(folder / "state.json", json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
        return f"arrow:{folder}"

    def test_paths(self, tmp_path: Path) -> None:
        """An image may be a file below the folder and nowhere else."""
        written(tmp_path / "made" / "x" / "0.png", PNG)
        spec = self.table(
            tmp_path / "made", [{"bytes": None, "path": "x/0.png"}, {"bytes": PNG, "path": "/etc/passwd"}]
        )
        assert open_images(spec).n == 2
        open_images(spec).scan()
        for path in ("/etc/passwd", "../0.png", "x/../../0.png", "http://x/0.png", "C:\\0.png"):
            assert "outside of" in sentence(self.table(tmp_path / "made", [{"bytes": None, "path": path}]))
        assert "has no image" in sentence(self.table(tmp_path / "made", [None]))

    def test_compressed(self, tmp_path: Path) -> None:
        """How large buffers unpack to is known only by unpacking them."""
        for codec in ("lz4", "zstd"):
            options = pa.ipc.IpcWriteOptions(compression=codec)
            assert "is compressed" in sentence(
                self.table(tmp_path / "made", [{"bytes": bytes(10**6), "path": ""}], options)
            )

    @pytest.mark.parametrize(
        ("state", "said"),
        [
            ({"_data_files": [{"filename": "../x.arrow"}]}, "is not beside it"),
            ({"_data_files": [{"filename": "gone.arrow"}]}, "lacks gone.arrow"),
            ({"_data_files": [{"filename": "x"}, {"filename": "x"}]}, "names x twice"),
            ({"_data_files": []}, "cannot read .*state.json"),
            ({}, "cannot read .*state.json"),
            (
                {"_data_files": [{"filename": "x"}], "_indices_data_files": [{"filename": "y"}]},
                "flatten_indices",
            ),
        ],
    )
    def test_states(self, state: Any, said: str, tmp_path: Path) -> None:
        written(tmp_path / "state.json", json.dumps(state))
        with pytest.raises(InputError, match=said):
            open_images(str(tmp_path))


class TestBombs:
    """Refused by what headers say. The limit is lowered, so that the test needs no gigabytes."""

    @pytest.fixture(autouse=True)
    def _low(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(array_images, "BOMB_FLOOR", 100_000)

    def test_idx(self, tmp_path: Path) -> None:
        header = struct.pack(">HBB3I", 0, 8, 3, 100, 64, 64)
        file = written(tmp_path / "train-images-idx3-ubyte.gz", gzip.compress(header + bytes(100 * 64 * 64)))
        assert "claims to unpack to 409,600, as bombs do" in sentence(str(file))
        file = written(
            tmp_path / "train-images-idx3-ubyte", struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 2**31)
        )
        assert "as bombs do" in sentence(str(file))

    def test_mat(self, tmp_path: Path) -> None:
        scipy.io.savemat(tmp_path / "a.mat", {"X": np.zeros((64, 64, 3, 100), np.uint8)}, do_compression=True)
        assert "claims to unpack to 1,228,800, as bombs do" in sentence(str(tmp_path / "a.mat"))

    def test_hdf5(self, tmp_path: Path) -> None:
        h5py = pytest.importorskip("h5py")
        with h5py.File(tmp_path / "a.h5", "w") as held:
            held.create_dataset("imgs", (100, 3, 64, 64), np.uint8, compression="gzip", chunks=(1, 3, 64, 64))
        assert "claims to unpack to 1,228,800, as bombs do" in sentence(str(tmp_path / "a.h5"))


def test_hdf5_that_leads_elsewhere(tmp_path: Path) -> None:
    """Links to other files, and arrays that lie in them, are refused: h5py would follow them."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "other.h5", "w") as held:
        held["x"] = np.zeros((4, 8, 8, 3), np.uint8)

    def linked(held: Any) -> None:
        held["images"] = h5py.ExternalLink("other.h5", "x")

    def virtual(held: Any) -> None:
        layout = h5py.VirtualLayout((4, 8, 8, 3), np.uint8)
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (4, 8, 8, 3))
        held.create_virtual_dataset("images", layout)

    def outside(held: Any) -> None:
        held.create_dataset("images", (4, 8, 8, 3), np.uint8, external=[("/etc/passwd", 0, 768)])

    def behind(held: Any) -> None:
        held.create_group("s")["e"] = h5py.ExternalLink("other.h5", "/")
        held["images"] = h5py.SoftLink("/s/e/x")

    made: list[Callable[[Any], None]] = [linked, virtual, outside, behind]
    for make in made:
        with h5py.File(tmp_path / "a.h5", "w") as held:
            make(held)
        assert "copy its content into this one" in sentence(str(tmp_path / "a.h5"))


@pytest.mark.parametrize("shape", [(0,), (), None])
def test_hdf5_of_nothing(shape: tuple[int, ...] | None, tmp_path: Path) -> None:
    """No images, and labels that are none, one, or not even an empty array."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as held:
        held["imgs"] = np.zeros((0, 3, 32, 32), np.uint8)
        held["labels"] = h5py.Empty("i8") if shape is None else np.zeros(shape, np.int64)
    assert "holds no images (shape 0×3×32×32)" in sentence(str(tmp_path / "a.h5"))


def test_hdf5_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "a.h5", b"\x89HDF\r\n\x1a\n")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    assert sentence(str(tmp_path / "a.h5")).endswith("need h5py: pip install h5py")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 2**20), byte=st.integers(0, 255))
def test_any_byte_of_an_lmdb_may_be_wrong(
    place: int, byte: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The outcome is entries within the file, or a ValueError or struct.error, which become a sentence; the library
    itself would end the process. Pages at the beginning, which say where others are, are hit most often."""
    made = tmp_path_factory.getbasetemp() / "fuzzed lmdb"
    if not made.exists():
        as_lmdb(made, splits(40))
    file = made / "a_train_lmdb" / "data.mdb"
    content = bytearray(file.read_bytes())
    content[place % (len(content) if place % 2 else 8192)] = byte
    other = made / "data.mdb"
    other.write_bytes(content)
    try:
        found = read_entries(other)
    except (ValueError, struct.error):
        return
    assert all(0 <= entry.start <= entry.start + entry.length <= len(content) for entry in found)


def test_lmdb_with_something_else(tmp_path: Path) -> None:
    """Values that are no images are named in a note, images that are not read in an error; several values a key are
    more than images are."""
    lmdb = pytest.importorskip("lmdb")

    def made(name: str, values: dict[bytes, bytes], **options: Any) -> str:
        (tmp_path / name).mkdir()
        with lmdb.open(str(tmp_path / name), **options) as held, held.begin(write=True) as change:
            for key, value in values.items():
                change.put(key, value)
        return str(tmp_path / name)

    some = open_images(made("some", {b"0": PNG, b"1": PNG, b"num-samples": b"2"}))
    assert some.n == 2
    assert any(
        "1 values of some that are no images were left aside: num-samples" in note for note in some.notes
    )
    assert "format that is not read" in sentence(made("ppm", {b"0": b"P6\n8 8\n255\n" + bytes(192)}))
    assert "none of its 1 values" in sentence(made("none", {b"0": b"2"}))
    with lmdb.open(str(tmp_path / "double"), max_dbs=1) as held:
        of_many = held.open_db(b"x", dupsort=True)
        with held.begin(write=True) as change:
            change.put(b"0", b"1", db=of_many)
    assert "has databases within it" in sentence(f"lmdb:{tmp_path / 'double'}")


def test_idx_that_does_not_fit(tmp_path: Path) -> None:
    """Labels of another number, a file that is longer than it says, and another type."""
    as_idx(tmp_path / "made", splits())
    labels = tmp_path / "made" / "t10k-labels-idx1-ubyte"
    labels.write_bytes(struct.pack(">HBBI", 0, 8, 1, 2) + bytes(2))
    assert "is not one label for each of the 6 images" in sentence(str(tmp_path / "made"))
    labels.unlink()
    with pytest.raises(InputError, match="train has labels but test has none"):
        load_dataset(str(tmp_path / "made"))
    images = tmp_path / "made" / "t10k-images-idx3-ubyte"
    whole = images.read_bytes()
    images.write_bytes(whole + b"\0")
    assert "does not have the length its header says" in sentence(str(images))
    images.write_bytes(whole[:2] + b"\x0d" + whole[3:])
    assert "no IDX file of unsigned bytes" in sentence(str(images))
    shutil.copy(
        tmp_path / "made" / "train-images-idx3-ubyte.gz",
        tmp_path / "made" / "other-train-images-idx3-ubyte.gz",
    )
    images.write_bytes(whole)
    assert "holds several sets" in sentence(str(tmp_path / "made"))
