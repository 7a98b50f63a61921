"""Artefacts of any task: files whose names are their kinds, and single images that come back as they were."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from benchbench.data.pipeline.streams import open_images
from benchbench.runner.pictures import artefacts_of, write_pictures
from benchbench.tasks.pictures import Columns, Picture, Section, SingleImages, how_many_single

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, 3, 4, 6), dtype=np.uint8))


def test_single_images_come_back_as_they_were(tmp_path: Path) -> None:
    """As `np.load` without pickles and as `evaluate` reads it, pixel for pixel, with the labels. 4×6 pixels: no side
    can be taken for the channels."""
    labels = torch.tensor([3, 1, 4, 1, 5])
    single = SingleImages("made", "five of nine", IMAGES, labels)
    write_pictures(tmp_path, "title", [single])
    (artefact,) = artefacts_of([single])
    assert (artefact.file, artefact.kind, artefact.caption) == ("made.npz", "made", "five of nine")
    with np.load(tmp_path / "made.npz", allow_pickle=False) as kept:
        assert sorted(kept.files) == ["images", "labels"]
        assert np.array_equal(kept["images"], IMAGES.permute(0, 2, 3, 1).numpy())
        assert kept["labels"].tolist() == labels.tolist()
    stream = open_images(str(tmp_path / "made.npz"))
    assert torch.equal(torch.cat(list(stream.batches(2))), IMAGES)


def test_the_same_images_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Years later, and from a tensor that lies otherwise in memory; and they are packed: a plain image of 64×64 pixels
    takes less than a tenth."""
    digests = []
    for folder, images in (("a", IMAGES), ("b", IMAGES.clone(memory_format=torch.channels_last))):
        (tmp_path / folder).mkdir()
        write_pictures(tmp_path / folder, "title", [SingleImages("made", "", images)])
        digests.append(hashlib.sha256((tmp_path / folder / "made.npz").read_bytes()).hexdigest())
        monkeypatch.setattr(time, "time", lambda: 2e9)
    assert digests[0] == digests[1]
    write_pictures(
        tmp_path, "title", [SingleImages("plain", "", torch.zeros(8, 3, 64, 64, dtype=torch.uint8))]
    )
    assert (tmp_path / "plain.npz").stat().st_size < 8 * 3 * 64 * 64 / 10


@pytest.mark.parametrize(
    ("side", "n"), [(8, 256), (256, 256), (295, 256), (296, 255), (512, 85), (1024, 21), (8192, 1)]
)
def test_large_images_are_fewer(side: int, n: int) -> None:
    """64 MiB before packing, by hand: 67,108,864 / (3 · side²), at most 256 and at least 1."""
    assert how_many_single(side, side) == n


@pytest.mark.parametrize("kind", ["", "../up", "a/b", "a b", ".hidden", "a.png"])
def test_a_kind_is_a_word(kind: str) -> None:
    """It becomes a file's name, and packages of others choose it."""
    with pytest.raises(ValueError, match="is a word"):
        artefacts_of([SingleImages(kind, "", IMAGES)])


def test_no_artefact_takes_the_place_of_another_file(tmp_path: Path) -> None:
    """Two of one kind, and a kind that is called as a file which is there already; a picture and single images of one
    kind are two files."""
    columns = Columns("made", [Section("", [("left", IMAGES)])], "one column")
    single = SingleImages("made", "one by one", IMAGES)
    assert [own.file for own in artefacts_of([columns, single])] == ["made.png", "made.npz"]
    with pytest.raises(ValueError, match=r"would both be made\.npz"):
        artefacts_of([single, single])
    (tmp_path / "training.png").write_bytes(b"curves")
    with pytest.raises(ValueError, match=r"has a training\.png already"):
        write_pictures(tmp_path, "title", [Columns("training", columns.sections, "")])
    assert (tmp_path / "training.png").read_bytes() == b"curves"


def test_what_nobody_can_draw_is_named(tmp_path: Path) -> None:
    """A class of a package's own, with the way out."""

    class Sculpture:
        kind, caption = "sculpture", "marble"

    with pytest.raises(
        TypeError, match="how to draw a Sculpture; a task may hand out Columns and SingleImages"
    ):
        write_pictures(tmp_path, "title", [cast("Picture", Sculpture())])
