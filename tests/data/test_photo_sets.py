"""The test sets of restoration, found under BENCHBENCH_DATA however their folders are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.core.registry import DATASETS
from benchbench.data.builtin.photo_sets import PhotoSet
from benchbench.data.catalogue import load_dataset
from benchbench.data.photos import Photos


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that BENCHBENCH_DATA names."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("BENCHBENCH_DATA", str(folder))
    return folder


def put(file: Path, level: int = 0, height: int = 12, width: int = 10) -> None:
    """A flat image."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), level, np.uint8)).save(file)


def photos(name: str) -> Photos:
    source: PhotoSet = DATASETS.make(name)
    return source.photos()[1]


def levels(found: Photos) -> list[int]:
    return [int(found.image(row)[0, 0, 0, 0]) for row in range(len(found))]


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("set5", "set5"),
        ("set5", "Set5"),
        ("set5", "SET-5"),
        ("set14", "Set_14"),
        ("bsd100", "B100"),
        ("bsd100", "BSDS100"),
        ("bsd68", "CBSD68"),
        ("train400", "BSD 400"),
        ("urban100", "Urban100/HR"),
        ("set5", "Set5/original"),
        ("set5", "Set5/GTmod12"),
        ("set5", "Set5/image_SRF_2"),
        ("classic5", "Classic5/refimgs"),
        ("live1", "LIVE1/gt"),
    ],
)
def test_spellings(root: Path, name: str, folder: str) -> None:
    """As the papers' archives call them, in any capitals; the copy with one image says how many were published."""
    put(root / folder / "a.png", 7)
    found = photos(name)
    assert levels(found) == [7]
    published = DATASETS.get(name).published
    assert f"this copy of {name} has 1 images, and {published} were published" in found.notes


def test_the_own_name_comes_first(root: Path) -> None:
    """Where a set's grey and its colour copy are both there, a name means the folder that is called so."""
    put(root / "CBSD68" / "a.png", 1)
    put(root / "bsd68" / "a.png", 2)
    assert levels(photos("bsd68")) == [2]


def test_a_copy_in_colour_says_so(root: Path) -> None:
    """CBSD68 under the name of the grey set: other numbers than the papers', as a note tells; the grey one has none."""
    put(root / "CBSD68" / "a.png", 1)
    assert not any("colour" in note for note in photos("bsd68").notes)
    Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).save(root / "CBSD68" / "b.png")
    assert (
        "1 images of this copy of bsd68 are in colour, and papers have them in grey" in photos("bsd68").notes
    )


def test_originals_are_not_mixed_with_small_ones(root: Path) -> None:
    """EDSR's archive: HR beside LR_bicubic, and a text file; BasicSR's: what was cut to a multiple of 12 comes after
    what was not."""
    put(root / "Set5" / "HR" / "a.png", 1)
    put(root / "Set5" / "LR_bicubic" / "X2" / "a.png", 2)
    (root / "Set5" / "README.txt").write_text("Five photographs.")
    assert levels(photos("set5")) == [1]
    put(root / "Set14" / "GTmod12" / "a.png", 3)
    put(root / "Set14" / "original" / "a.png", 4)
    put(root / "Set14" / "LRbicx2" / "a.png", 5)
    assert levels(photos("set14")) == [4]


def test_small_images_beside_originals_are_left_aside(root: Path) -> None:
    """Huang's archive has img_001_SRF_2_HR.png and img_001_SRF_2_LR.png in one folder: only the former are restored
    to, and a note says so."""
    for i in (1, 2):
        put(root / "Set5" / "image_SRF_2" / f"img_00{i}_SRF_2_HR.png", i)
        put(root / "Set5" / "image_SRF_2" / f"img_00{i}_SRF_2_LR.png", 10 + i)
    found = photos("set5")
    assert levels(found) == [1, 2]
    assert list(found.names) == ["img_001_SRF_2_HR.png", "img_002_SRF_2_HR.png"]
    assert "2 small images beside the originals (_LR) were left aside" in found.notes


def test_nobody_guesses_which_are_the_originals(root: Path) -> None:
    """Two folders of images, neither called as originals are: both are named, and the way out."""
    put(root / "set5" / "X2" / "a.png")
    put(root / "set5" / "X4" / "a.png")
    with pytest.raises(InputError, match=r"several folders \(X2, X4\).*put them into a folder HR"):
        photos("set5")


def test_what_is_missing_is_said_in_one_sentence(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not set, set to nothing, set to a file, without the set, and with an empty folder of its name."""
    found: list[str] = []
    for value in (None, str(tmp_path / "nowhere"), str(root), str(root)):
        if value is None:
            monkeypatch.delenv("BENCHBENCH_DATA")
        else:
            monkeypatch.setenv("BENCHBENCH_DATA", value)
        if len(found) == 3:
            (root / "set5").mkdir()
        with pytest.raises(InputError) as error:
            photos("set5")
        found.append(str(error.value))
    assert found[0].startswith(
        "set5 is not at hand: BENCHBENCH_DATA is not set; get it from where its paper says"
    )
    assert found[0].endswith("put its images into a folder set5, and set BENCHBENCH_DATA to the folder above")
    assert (
        found[1]
        == f"BENCHBENCH_DATA is {tmp_path / 'nowhere'}, which is not a folder; correct it or unset it"
    )
    assert "BENCHBENCH_DATA has no folder set5;" in found[2]
    assert found[3].startswith(f"no images in {root / 'set5'}")
    assert not any("\n" in one for one in found)


def test_what_generates_asks_for_one_size(root: Path) -> None:
    """`--dataset set5` where models generate: the photographs differ in size, which is said with the way out; at one
    size they are a dataset, cut in halves."""
    for i in range(4):
        put(root / "set5" / f"{i}.png", i, 12 + i, 10)
    with pytest.raises(InputError, match=r"images differ in size: .*--size N resizes and crops all to N×N"):
        load_dataset("set5")
    found = load_dataset("set5", size=8)
    assert (found.name, len(found.train), len(found.held_out)) == ("set5", 2, 2)


def test_div2k_has_a_part_to_learn_from(root: Path) -> None:
    """DIV2K_train_HR and DIV2K_valid_HR, as its archives unpack."""
    put(root / "DIV2K" / "DIV2K_train_HR" / "0001.png", 1)
    put(root / "DIV2K" / "DIV2K_train_HR" / "0002.png", 2)
    put(root / "DIV2K" / "DIV2K_valid_HR" / "0801.png", 3)
    train, test = DATASETS.make("div2k").photos()
    assert (levels(train), levels(test)) == ([1, 2], [3])
