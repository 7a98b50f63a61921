"""The decode cache: hit, miss, damage, and a disk that does not play along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchbench.data.catalogue import load_dataset
from benchbench.data.pipeline import assemble, cache
from benchbench.data.pipeline.cache import cache_folder


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
    assert ["cannot be used" in note for note in notes.notes] == [True]
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
    assert len(notes.notes) == 1
    assert "going on without the decode cache" in notes.notes[0]


def test_a_full_disk_is_one_note(
    pictures: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch, notes
) -> None:
    """NumPy reports a disk that fills up as an OSError; nothing half-written stays."""

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert len(load_dataset(pictures, progress=notes).train) == 2
    assert ["No space left on device" in note for note in notes.notes] == [True]
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
