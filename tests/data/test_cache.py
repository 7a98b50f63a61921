"""The decode cache: hit, miss, damage, and a disk that does not play along."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.core.folders import cache_folder
from benchbench.data.catalogue import load_dataset
from benchbench.data.pipeline import assemble, cache, decode
from benchbench.data.pipeline.streams import open_images


@pytest.fixture
def pictures(write_image, tmp_path: Path) -> str:
    for i in range(4):
        write_image(f"own/{i}.png", seed=i)
    return f"folder:{tmp_path}/own"


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The titles of all real decodings that happen."""
    seen: list[str] = []
    real = assemble.decode_images

    def counting(*args, title: str, **options):
        seen.append(title)
        return real(*args, title=title, **options)

    monkeypatch.setattr(assemble, "decode_images", counting)
    return seen


def _entries(own_cache: Path) -> list[Path]:
    return sorted((own_cache / "decoded").glob("*"))


def test_second_run_does_not_decode(pictures: str, decodings: list[str], own_cache: Path) -> None:
    """One decoding for two loads, equal results; torch may write to the images without touching the file."""
    first, second = load_dataset(pictures), load_dataset(pictures)
    assert decodings == ["decode own"]
    assert torch.equal(first.train.images, second.train.images)
    assert first.fingerprint == second.fingerprint
    assert first.notes == second.notes
    (entry,) = _entries(own_cache)
    before = (entry / "images.npy").read_bytes()
    second.train.images.zero_()
    assert (entry / "images.npy").read_bytes() == before


def test_a_mapped_split_is_writable_but_private(write_image, tmp_path: Path, own_cache: Path) -> None:
    """With a split of its own the tensor is the memory map itself: copy-on-write."""
    for i in range(2):
        write_image(f"train/{i}.png", seed=i)
        write_image(f"test/{i}.png", seed=i + 2)
    load_dataset(f"folder:{tmp_path}")
    mapped = load_dataset(f"folder:{tmp_path}")
    mapped.train.images.zero_()
    assert load_dataset(f"folder:{tmp_path}").train.images.any()


def test_a_changed_byte_or_option_misses(
    pictures: str, decodings: list[str], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes after a PNG's end change no pixel, so only the key can tell; another size and another version of
    the decoding rules are other entries as well."""
    load_dataset(pictures)
    load_dataset(pictures, size=4)
    with open(Path(pictures.removeprefix("folder:")) / "0.png", "ab") as file:
        file.write(b"!")
    load_dataset(pictures)
    monkeypatch.setattr(cache, "DECODE_VERSION", -1)
    load_dataset(pictures)
    assert len(decodings) == len(_entries(own_cache)) == 4


@pytest.mark.parametrize("damage", ["flip", "truncate", "no meta", "bad meta"])
def test_a_damaged_entry_is_rebuilt(
    pictures: str, decodings: list[str], own_cache: Path, notes, damage: str
) -> None:
    """Whatever happens to an entry, the images are right, and the entry is good again afterwards."""
    first = load_dataset(pictures)
    (entry,) = _entries(own_cache)
    images = bytearray((entry / "images.npy").read_bytes())
    if damage == "flip":
        images[-1] ^= 1
        (entry / "images.npy").write_bytes(bytes(images))
    elif damage == "truncate":
        (entry / "images.npy").write_bytes(bytes(images[:-10]))
    elif damage == "no meta":
        (entry / "meta.json").unlink()
    else:
        (entry / "meta.json").write_text("{}")
    second = load_dataset(pictures, progress=notes)
    assert second.fingerprint == first.fingerprint
    assert ["cannot be used" in note for note in notes.said] == [True]
    load_dataset(pictures)
    assert len(decodings) == 2


def test_an_unwritable_cache_is_one_note(
    pictures: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes
) -> None:
    """A file where the folder should be fails for every user, root included."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("BENCHBENCH_CACHE", str(tmp_path / "file"))
    dataset = load_dataset(pictures, progress=notes)
    assert len(dataset.train) == 2
    assert len(notes.said) == 1
    assert "going on without the decode cache" in notes.said[0]


def test_a_full_disk_is_one_note(
    pictures: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch, notes
) -> None:
    """NumPy reports a disk that fills up as an OSError; nothing half-written stays."""

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert len(load_dataset(pictures, progress=notes).train) == 2
    assert ["No space left on device" in note for note in notes.said] == [True]
    assert _entries(own_cache) == []


def test_large_sets_are_not_kept(pictures: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """4 images of 8×8 are 768 bytes."""
    monkeypatch.setattr(cache, "MAX_BYTES", 767)
    load_dataset(pictures)
    assert _entries(own_cache) == []
    monkeypatch.setattr(cache, "MAX_BYTES", 768)
    load_dataset(pictures)
    assert len(_entries(own_cache)) == 1


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Our own variable first, then the XDG base directory specification, then its default."""
    monkeypatch.setenv("BENCHBENCH_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("BENCHBENCH_CACHE")
    assert cache_folder() == tmp_path / "xdg" / "benchbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home/.cache/benchbench"


def _swap_rows(entry: Path) -> None:
    images = np.load(entry / "images.npy")
    np.save(entry / "images.npy", images[::-1])


def _retype(entry: Path) -> None:
    np.save(entry / "images.npy", np.load(entry / "images.npy").view(np.int8))


def _edit_meta(entry: Path) -> None:
    text = (entry / "meta.json").read_text()
    (entry / "meta.json").write_text(text.replace('"conversions":{}', '"conversions":{"grey":4}'))


def _replace_meta(text: str) -> Callable[[Path], None]:
    return lambda entry: (entry / "meta.json").write_text(text) and None


def _pipe(entry: Path) -> None:
    (entry / "images.npy").unlink()
    os.mkfifo(entry / "images.npy")


@pytest.mark.parametrize(
    "damage",
    [
        _swap_rows,
        _retype,
        _edit_meta,
        _pipe,
        *map(_replace_meta, ("[]", "7", "{", "[" * 100_000, '{"seal":1}', "", "\xff")),
        lambda entry: (entry / "images.npy").write_bytes(b""),
        lambda entry: np.save(entry / "images.npy", np.array([None], object)),
        lambda entry: np.save(entry / "images.npy", np.zeros(3, np.uint8)),
    ],
)
def test_a_damaged_entry_is_named_and_set_aside(
    pictures: str, own_cache: Path, notes, damage: Callable[[Path], None]
) -> None:
    """Rows that changed places have the same pixels as a set, and are other images: whatever became of an entry, it is
    named, moved away, and made anew from the files."""
    first = load_dataset(pictures)
    (entry,) = _entries(own_cache)
    damage(entry)
    second = load_dataset(pictures, progress=notes)
    assert torch.equal(second.train.images, first.train.images)
    assert second.notes == first.notes
    (note,) = notes.said
    assert str(entry) in note
    assert "set aside" in note
    assert [path.name for path in _entries(own_cache)] == [entry.name, f"{entry.name}.damaged"]
    load_dataset(pictures, progress=notes)
    assert len(notes.said) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace('"grey":false', '"grey":true'),
        lambda text: text.replace("[8,8]", "[4,16]"),
        lambda text: text.replace('"conversions":{}', '"conversions":{"grey":4}'),
    ],
)
def test_what_a_look_found_is_sealed(
    pictures: str, own_cache: Path, notes, damage: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model takes one channel where images are grey: what a pass over the files found is as good as pixels."""
    monkeypatch.setattr("benchbench.data.pipeline.reading.MOST", 0)
    first = load_dataset(pictures)
    (meta,) = (own_cache / "scanned").glob("*/meta.json")
    text = meta.read_text()
    assert damage(text) != text
    meta.write_text(damage(text))
    second = load_dataset(pictures, progress=notes)
    assert (second.train.images.grey, second.notes) == (first.train.images.grey, first.notes)
    assert any("meta.json is not what was written" in note for note in notes.said)


@pytest.mark.parametrize("most", [float("inf"), 0])
@pytest.mark.parametrize("kind", ["folder", "zip", "npz"])
def test_files_that_change_while_they_are_decoded(
    kind: str, most: float, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, write_image
) -> None:
    """Between the sha256 of a file and its pixels somebody replaces it: nothing is kept under the old sha256, and the
    next run sees the new pixels."""
    if kind == "npz" and most == 0:
        return  # arrays are always in memory
    monkeypatch.setattr("benchbench.data.pipeline.reading.MOST", most)
    where = {"folder": tmp_path / "own", "zip": tmp_path / "x.zip", "npz": tmp_path / "x.npz"}[kind]

    def write(seed: int) -> None:
        for i in range(4):
            write_image(f"own/{i}.png", seed=seed + i)
        files = sorted((tmp_path / "own").glob("*.png"))
        if kind == "zip":
            with zipfile.ZipFile(where, "w") as archive:
                for file in files:
                    archive.write(file, file.name)
        elif kind == "npz":
            np.savez(where, np.stack([np.asarray(Image.open(file)) for file in files]))

    write(0)
    real = decode._fit

    def replace(*arguments):
        write(10)
        monkeypatch.setattr(decode, "_fit", real)
        return real(*arguments)

    monkeypatch.setattr(decode, "_fit", replace)
    changed = r"0\.png in own changed" if kind == "folder" else "changed"
    with pytest.raises(
        InputError, match=f"{changed} while it was read; leave the files alone and start again"
    ):
        load_dataset(f"{kind}:{where}", size=4)
    assert not list(own_cache.glob("*/*"))
    again = load_dataset(f"{kind}:{where}", size=4)
    monkeypatch.setenv("BENCHBENCH_CACHE", str(tmp_path / "another"))
    assert load_dataset(f"{kind}:{where}", size=4).fingerprint == again.fingerprint


def test_files_that_change_between_two_passes(tmp_path: Path, write_image) -> None:
    """A reference is read twice, to know its images and to be shown: features of others must not be kept under the
    digests of these."""
    for i in range(4):
        write_image(f"own/{i}.png", seed=i)
    stream = open_images(f"folder:{tmp_path}/own")
    stream.scan()
    list(stream.batches(2))
    write_image("own/2.png", seed=9)
    with pytest.raises(InputError, match=r"2\.png of folder-own is not what it was when it was read before"):
        list(stream.batches(2))
