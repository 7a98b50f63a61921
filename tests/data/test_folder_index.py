"""A large folder is listed once; whatever changes in it is seen."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.core.folders import cache_folder
from benchbench.data.catalogue import load_dataset
from benchbench.data.sources import folder as sources
from benchbench.data.sources import folder_index
from benchbench.data.sources.folder import Listing, list_images

TICK = 0.02
"""Seconds, several ticks of a file system's clock: where nobody waits for `SETTLED`, no change falls into the tick of
another."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six images in two class folders and a file beside them, listed and kept."""
    monkeypatch.setenv("BENCHBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(folder_index, "LEAST", 1)
    monkeypatch.setattr(folder_index, "SETTLED", 0)
    where = tmp_path / "images"
    for i in range(6):
        (where / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (i, 0, 0)).save(where / "ab"[i % 2] / f"{i}.png")
    (where / "read me.txt").write_text("images")
    time.sleep(TICK)
    list_images(where)
    return where


def kept() -> list[Path]:
    return [*(cache_folder() / "listed").glob("*")]


def fresh(folder: Path) -> Listing:
    """Listed by going through it."""
    shutil.rmtree(cache_folder(), ignore_errors=True)
    return list_images(folder)


def test_listed_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is what was found, and nobody goes through the folder again."""
    anew = fresh(folder)
    monkeypatch.setattr(sources, "walk", lambda *_: pytest.fail("went through the folder again"))
    assert list_images(folder) == anew
    assert anew.names == ["a/0.png", "a/2.png", "a/4.png", "b/1.png", "b/3.png", "b/5.png"]
    assert (anew.others, sorted(anew.folders)) == (["read me.txt"], ["a", "b"])


def added(folder: Path) -> None:
    shutil.copy(folder / "a/0.png", folder / "a/7.png")


def added_and_clock_set_back(folder: Path) -> None:
    before = os.stat(folder / "a")
    added(folder)
    os.utime(folder / "a", ns=(before.st_atime_ns, before.st_mtime_ns))


def removed(folder: Path) -> None:
    (folder / "b/1.png").unlink()


def renamed(folder: Path) -> None:
    (folder / "b/1.png").rename(folder / "b/100.png")


def moved(folder: Path) -> None:
    (folder / "b").rename(folder / "c")


def folder_added(folder: Path) -> None:
    shutil.copytree(folder / "a", folder / "a/deep/er")


def folder_exchanged(folder: Path) -> None:
    """Another folder of the same name, with other files."""
    shutil.copytree(folder / "a", folder.parent / "other")
    (folder.parent / "other/0.png").unlink()
    shutil.rmtree(folder / "b")
    (folder.parent / "other").rename(folder / "b")


@pytest.mark.parametrize(
    "change", [added, added_and_clock_set_back, removed, renamed, moved, folder_added, folder_exchanged]
)
def test_changes_are_seen(folder: Path, change: Callable[[Path], None]) -> None:
    """After a change the listing is that of somebody who knows of no earlier one, and another than before."""
    before = list_images(folder)
    time.sleep(TICK)
    change(folder)
    after = list_images(folder)
    assert after.names != before.names
    assert after == fresh(folder)


def test_a_replaced_file_is_seen(folder: Path) -> None:
    """Over its name or in its place, other content is other data; what is no file any more is refused."""
    before = load_dataset(f"folder:{folder}").fingerprint
    Image.new("RGB", (8, 8), "white").save(folder / "a/0.png")  # the folder does not change
    inside = load_dataset(f"folder:{folder}").fingerprint
    Image.new("RGB", (8, 8), "blue").save(folder.parent / "blue.png")
    os.replace(folder.parent / "blue.png", folder / "a/0.png")
    assert len({before, inside, load_dataset(f"folder:{folder}").fingerprint}) == 3
    time.sleep(TICK)
    (folder / "a/0.png").unlink()
    os.mkfifo(folder / "a/0.png")
    with pytest.raises(InputError, match=r"0\.png is a pipe"):
        list_images(folder)


def test_a_picture_of_another_format_is_seen(folder: Path) -> None:
    """The other files are looked at each time: one of them may become a picture under its name."""
    (folder / "read me.txt").write_bytes(b"\x00\x00\x00\x20ftypheic" + bytes(100))
    with pytest.raises(InputError, match="HEIC"):
        list_images(folder)


def test_what_just_changed_is_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a tick of its clock a folder may change twice and show one time: it must have been left alone for a
    while."""
    monkeypatch.setattr(folder_index, "SETTLED", 3600 * 10**9)
    fresh(folder)
    assert kept() == []
    monkeypatch.setattr(folder_index, "SETTLED", 0)
    fresh(folder)
    assert len(kept()) == 1


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"visited": [], "names": [], "seal": ""}', b"\xff"]
)
def test_a_damaged_index_is_made_anew(folder: Path, content: bytes) -> None:
    """Whatever stands in it, the listing is that of the folder, and the index whole afterwards."""
    (place,) = kept()
    whole = place.read_bytes()
    place.write_bytes(content)
    assert len(list_images(folder).names) == 6
    assert place.read_bytes() == whole


def test_a_cache_that_cannot_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing goes on without it."""
    monkeypatch.setenv("BENCHBENCH_CACHE", str(folder / "read me.txt"))  # a file, in which nothing can lie
    assert len(list_images(folder).names) == 6


def test_small_folders_leave_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six images are listed sooner than an index is read."""
    monkeypatch.setattr(folder_index, "LEAST", 7)
    fresh(folder)
    assert kept() == []
