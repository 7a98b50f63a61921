"""openmoji-captions: every emoji has its own words, on the sides that `openmoji` has; and what a fingerprint says."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from benchbench.data.builtin import openmoji, openmoji_captions
from benchbench.data.builtin.openmoji import emoji_files
from benchbench.data.builtin.openmoji_captions import captions
from benchbench.data.catalogue import load_dataset
from benchbench.data.pipeline.assemble import assemble
from benchbench.data.pipeline.cache import Decoded
from benchbench.data.pipeline.fingerprint import combine, pixel_digests

CODES = [file.stem for file in emoji_files()]


def test_every_emoji_has_a_caption() -> None:
    """OpenMoji 17.0.0 has 4,495, and so does the list; by hand from its openmoji.json: tags of Unicode and then of
    OpenMoji, each once, and none of a skin tone."""
    words = captions()
    assert not set(CODES) - words.keys()
    assert len(words) == 4495
    assert words["1F419"] == "octopus (animal, creature, ocean, swim, water)"
    assert words["1F468-1F3FC-200D-1F33E"] == "man farmer: medium-light skin tone"
    assert words["E001"] == "donkey"
    assert all(caption and caption == caption.strip() for caption in words.values())


@pytest.fixture
def numbered(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    """Every emoji is drawn as a picture of its own number among all."""

    def number(files: Sequence[str], size: int, progress: object) -> np.ndarray:
        images = np.zeros((len(files), 3, 2, 2), np.uint8)
        rows = [NUMBERS[text] for text in files]
        images[:, 0].reshape(len(files), 4).view(np.uint32)[:, 0] = rows
        return images

    monkeypatch.setattr(openmoji, "render", number)
    monkeypatch.setattr(openmoji, "svg_text", lambda file, layer: file.stem)


NUMBERS = {code: row for row, code in enumerate(CODES)}


def numbers_of(images: torch.Tensor) -> list[int]:
    """Those that `numbered` drew."""
    plane = images[:, 0].contiguous().numpy().reshape(len(images), 4)
    return [int(number) for number in plane.view(np.uint32)[:, 0]]


def test_the_sides_of_openmoji(numbered: None) -> None:
    """The same pictures on the same sides in the same order, and beside each the words of its own code points."""
    with_words, without = load_dataset("openmoji-captions", size=2), load_dataset("openmoji", size=2)
    for split, plain in ((with_words.train, without.train), (with_words.held_out, without.held_out)):
        assert torch.equal(split.images, plain.images)
        assert torch.equal(split.labels, plain.labels)
        assert split.captions == [captions()[CODES[number]] for number in numbers_of(split.images)]
        assert split.fingerprint != plain.fingerprint
        assert plain.captions is None


def test_without_words_an_emoji_is_left_out(numbered: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a later OpenMoji; the notes count them."""
    fewer = {code: words for code, words in captions().items() if code not in CODES[:7]}
    monkeypatch.setattr(openmoji_captions, "captions", lambda: fewer)
    dataset = load_dataset("openmoji-captions", size=2)
    assert dataset.notes[0] == "left out: 7 emoji without a caption"
    both = [*numbers_of(dataset.train.images), *numbers_of(dataset.held_out.images)]
    assert sorted(both) == list(range(7, len(CODES)))


def test_captions_are_part_of_the_fingerprint() -> None:
    """By the definition, written out with hashlib; which image has which caption matters, the order of the images does
    not, and without captions it is what it was."""
    images = np.arange(2 * 12, dtype=np.uint8).reshape(2, 3, 2, 2)
    one, two = digests = pixel_digests(images)
    each = sorted(hashlib.sha256(own).digest() for own in (one + b"0\ncat", two + b"1\nna\xc3\xafve"))
    by_hand = hashlib.sha256(b"benchbench-fingerprint-1\n" + b"".join(each)).hexdigest()
    assert combine(digests, [0, 1], ["cat", "naïve"]) == by_hand
    assert combine([two, one], [1, 0], ["naïve", "cat"]) == by_hand
    assert combine(digests, [0, 1], ["naïve", "cat"]) != by_hand
    assert len({combine(digests, [0, 1]), combine(digests, [0, 1], ["", ""]), by_hand}) == 3


def test_assembled_in_two_parts() -> None:
    """Captions go with the images of each part."""
    parts = [np.random.default_rng(seed).integers(0, 256, (3, 3, 8, 8), np.uint8) for seed in range(2)]
    decoded = [Decoded(images, pixel_digests(images), {}) for images in parts]
    said = [["a", "b", "c"], ["d", "e", "f"]]
    dataset = assemble("toy", decoded, [None, None], captions=said, source={})
    assert (dataset.train.captions, dataset.held_out.captions) == (said[0], said[1])
