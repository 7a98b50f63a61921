"""OpenMoji: every emoji has one class, and no emoji is on both sides of the split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchbench.core.errors import InputError
from benchbench.data.builtin import openmoji
from benchbench.data.builtin.openmoji import CLASSES, emoji_class, emoji_files, family, render, svg_text
from benchbench.data.catalogue import load_dataset
from benchbench.data.pipeline import decode

CODES = [file.stem for file in emoji_files()]


@pytest.mark.slow
def test_all_of_them_load() -> None:
    """All emoji of the package are on one side or the other, held-out is not smaller, and the sides differ by
    less than 1 %; every class is in both."""
    dataset = load_dataset("openmoji", size=16)
    n, m = len(dataset.train), len(dataset.held_out)
    assert n + m == len(CODES) >= 4495
    assert 0 <= m - n < 0.01 * (n + m)
    assert dataset.train.images.shape[1:] == (3, 16, 16)
    assert not dataset.spec.grey
    for split in (dataset.train, dataset.held_out):
        assert split.labels is not None
        assert set(split.labels.tolist()) == set(range(len(CLASSES)))
    assert dataset.source["licence"] == "https://creativecommons.org/licenses/by-sa/4.0/"


def test_more_than_fits_into_memory(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    """4,495 emoji of 512×512 in three colours are 3.3 GiB, by hand; here 2 GiB are free."""
    monkeypatch.setattr(decode, "free_memory", lambda: 2 * 2**30)
    with pytest.raises(
        InputError, match=r"512×512 need 3\.3 GiB .* 2\.0 GiB are free; choose a smaller --size"
    ):
        load_dataset("openmoji", size=512)


def test_no_family_is_on_both_sides(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    """The leak test: every emoji is drawn as a picture of its own code points, so that the images of a split
    tell which emoji they are; then no family may be found on both sides."""

    def number(files: list[str], size: int, progress: object) -> np.ndarray:
        images = np.zeros((len(files), 3, 2, 2), np.uint8)
        images[:, 0].reshape(len(files), 4).view(np.uint32)[:, 0] = np.arange(len(files))
        return images

    monkeypatch.setattr(openmoji, "render", number)
    dataset = load_dataset("openmoji", size=2)
    assert (dataset.native, dataset.extractor) == (
        2,
        None,
    )  # drawn at the size that is asked for, by the default judge
    sides = []
    for split in (dataset.train, dataset.held_out):
        numbers = split.images[:, 0].contiguous().numpy().reshape(len(split), 4).view(np.uint32)[:, 0]
        sides.append({family(CODES[i]) for i in numbers})
    assert len(sides[0]) + len(sides[1]) == len({family(code) for code in CODES})
    assert not sides[0] & sides[1]


@pytest.mark.parametrize(
    "variants",
    [
        "1F44D 1F44D-1F3FB 1F44D-1F3FF",  # thumbs up
        "1F468 1F469 1F9D1 1F469-1F3FD",  # a person
        "1F469-1F3FD-200D-1F33E 1F468-200D-1F33E 1F9D1-200D-1F33E",  # farmers
        "1F3C3 1F3C3-200D-2640-FE0F-200D-27A1-FE0F 1F3C3-1F3FE-200D-2642-FE0F",  # runners
        "1F46D 1F46C-1F3FB 1F469-1F3FB-200D-1F91D-200D-1F469-1F3FC 1F9D1-200D-1F91D-200D-1F9D1",
        "1F91D 1F91D-1F3FB 1FAF1-1F3FB-200D-1FAF2-1F3FC",
        "1F46A 1F468-200D-1F469-200D-1F466 1F9D1-200D-1F9D1-200D-1F9D2-200D-1F9D2",  # families
        "1F48F 1F468-1F3FB-200D-2764-FE0F-200D-1F48B-200D-1F468-1F3FC",  # kisses
        "1F385 1F936-1F3FB 1F9D1-1F3FC-200D-1F384",  # Christmas
    ],
)
def test_variants_are_one_family(variants: str) -> None:
    """Emoji that Unicode's emoji-zwj-sequences list as one thing in several skin tones and genders."""
    assert len({family(code) for code in variants.split()}) == 1


def test_different_emoji_are_different_families() -> None:
    """Signs that are modifiers elsewhere, flags with the same letter twice (Guernsey, GG) or once, and
    whoever merely shares a component."""
    codes = (
        "2640 2642 1F3FB 1F3FC 27A1 1F1EC-1F1EC 1F1EC 1F373 1F9D1-200D-1F373 1F91D "
        "1F9D1-200D-1F91D-200D-1F9D1"
    )
    assert len({family(code) for code in codes.split()}) == len(codes.split())
    assert len({family(code) for code in CODES}) > 2000


def test_every_emoji_has_one_class() -> None:
    """The private use area, E000 to F8FF, is exactly the extras; two regional indicators or a tag sequence on
    the black flag make a flag, as Unicode Technical Standard 51 says."""
    counts = Counter(map(emoji_class, CODES))
    assert set(counts) == set(CLASSES)
    assert min(counts.values()) >= 100
    private = [code for code in CODES if 0xE000 <= int(code.split("-")[0], 16) <= 0xF8FF]
    assert counts["extras"] == len(private)
    for code, expected in {
        "1F600": "faces",
        "1F469-200D-1F52C": "people",
        "1F44D-1F3FB": "hands",
        "1F408-200D-2B1B": "nature",
        "1F355": "food",
        "1F682": "travel",
        "26BD": "activities",
        "1F528": "objects",
        "267B": "symbols",
        "1F1E9-1F1EA": "flags",
        "1F3F4-E0067-E0062-E0073-E0063-E0074-E007F": "flags",
        "1F1E9": "symbols",
    }.items():
        assert emoji_class(code) == expected, code
    with pytest.raises(ValueError, match="no class"):
        emoji_class("10FFFF")


def test_rendering() -> None:
    """The corners show the white background; the middle of the red square U+1F7E5 is the fill its SVG names,
    #d22f27, at every size. Exact: no edge is near."""
    square = [svg_text(file) for file in emoji_files() if file.stem == "1F7E5"]
    for size in (16, 48):
        (image,) = render(square, size)
        assert image.shape == (3, size, size)
        assert image[:, 0, 0].tolist() == [255, 255, 255]
        assert image[:, size // 2, size // 2].tolist() == [0xD2, 0x2F, 0x27]
