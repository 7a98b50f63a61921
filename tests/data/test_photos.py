"""Photographs of any sizes by number, and the pieces that are learned from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from noted import Notes
from pieces import photos_of
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.data.photos import Patches, Photos, learned_and_left, photos_of_images, photos_of_part
from benchbench.data.pipeline import reading
from benchbench.data.pipeline.fingerprint import combine, pixel_digests
from benchbench.data.pipeline.image_source import in_memory
from benchbench.data.sources.folder import read_part

SIZES = ((9, 7), (24, 31), (1, 1), (40, 12))
"""(H, W)"""


def pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Seeded colours, uint8 H×W×3."""
    return np.random.default_rng([seed, height, width]).integers(0, 256, (height, width, 3), np.uint8)


def write(folder: Path, images: dict[str, np.ndarray | Image.Image]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(folder / name)
    return folder


def read(folder: Path, size: int | None = None) -> Photos:
    return photos_of_part(read_part(folder, folder.name), size, {})


def in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """No image is kept in memory any more."""
    monkeypatch.setattr(reading, "free_memory", lambda: 1)


@pytest.fixture(params=["memory", "files"])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the images are: nothing that is asked of them depends on it."""
    if request.param == "files":
        in_files(monkeypatch)
    return str(request.param)


def test_what_is_known_of_each(tmp_path: Path, held: str) -> None:
    """Sizes, digests and pixels are those of the arrays that were written; the order is that of the names, the
    fingerprint that of the digests, whatever their names."""
    images = {f"{i}.png": pixels(*size) for i, size in enumerate(SIZES)}
    found = read(write(tmp_path / "a", dict(images)))
    tensors = [torch.from_numpy(image).permute(2, 0, 1)[None] for image in images.values()]
    assert (found._held is None) == (held == "files")
    assert len(found) == 4
    assert list(found.names) == list(images)
    assert list(found.sizes) == list(SIZES)
    assert list(found.digests) == [pixel_digests(image)[0] for image in tensors]
    assert all(torch.equal(found.image(row), image) for row, image in enumerate(tensors))
    assert found.fingerprint == combine(found.digests, None)
    again = read(write(tmp_path / "b", {f"{9 - i}.png": image for i, image in enumerate(images.values())}))
    assert again.fingerprint == found.fingerprint
    assert list(again.names) == ["6.png", "7.png", "8.png", "9.png"]


def test_what_files_are_made_of(tmp_path: Path, held: str) -> None:
    """Grey is R = G = B, also out of a colour file; alpha is composited over white, palettes are expanded: the rules
    of `data.pipeline.decode`, each said once in a note."""
    level = pixels(6, 5)[..., 0]
    clear = np.dstack([pixels(6, 5), np.zeros((6, 5), np.uint8)])
    palette = Image.fromarray(level).convert("P")
    palette.putpalette([value for i in range(256) for value in (i, 255 - i, 7)])
    found = read(
        write(
            tmp_path / "kinds",
            {
                "a-grey.png": level,
                "b-equal.png": np.repeat(level[..., None], 3, 2),
                "c-clear.png": clear,
                "d-palette.png": palette,
                "e-colour.png": pixels(6, 5),
            },
        )
    )
    assert list(found.grey) == [True, True, True, False, False]
    assert torch.equal(found.image(0), found.image(1))
    assert found.digests[0] == found.digests[1]
    assert found.image(2).unique().tolist() == [255]
    assert found.image(3)[0, :, 0, 0].tolist() == [int(level[0, 0]), 255 - int(level[0, 0]), 7]
    assert list(found.notes) == [
        "1 of 5 images were grey and were copied to three channels",
        "1 of 5 images used a palette and were expanded to RGB",
        "1 of 5 images had an alpha channel and were composited over white",
    ]


def test_one_size_where_it_is_asked_for(tmp_path: Path, held: str) -> None:
    """`--size 8`: the centred square, 8×8, of all."""
    found = read(write(tmp_path / "a", {"0.png": pixels(24, 31), "1.png": pixels(40, 12)}), size=8)
    assert list(found.sizes) == [(8, 8), (8, 8)]
    assert found.image(1).shape == (1, 3, 8, 8)


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-30])


def sixteen_bits(file: Path) -> None:
    Image.fromarray(np.full((5, 5), 4000, np.uint16)).save(file)


def text(file: Path) -> None:
    file.write_text("no image")


BROKEN: dict[str, tuple[Any, str]] = {
    "truncated": (truncated, "bad.png cannot be decoded"),
    "sixteen bits": (sixteen_bits, "bad.png has more than 8 bits a channel"),
    "no image": (text, "bad.png is not an image that can be read"),
    "empty": (lambda file: file.write_bytes(b""), "bad.png is empty"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_used_is_named(tmp_path: Path, kind: str, held: str) -> None:
    """One file among good ones: its name and what is wrong with it, in one sentence, before anything is restored."""
    folder = write(tmp_path / "a", {"good.png": pixels(20, 20), "bad.png": pixels(20, 20, 1)})
    damage, sentence = BROKEN[kind]
    damage(folder / "bad.png")
    with pytest.raises(InputError, match=sentence) as error:
        read(folder)
    assert "\n" not in str(error.value)


def test_several_are_counted(tmp_path: Path) -> None:
    """The first is named and the others are counted."""
    folder = write(tmp_path / "a", {f"{i}.png": pixels(20, 20, i) for i in range(3)})
    for name in ("0.png", "2.png"):
        truncated(folder / name)
    with pytest.raises(InputError, match=r"0\.png cannot be decoded.*\(2 of 3 images cannot be used\)"):
        read(folder)


def test_a_folder_without_images_and_a_pipe(tmp_path: Path) -> None:
    """Neither is waited for: both are a sentence that names them."""
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"no images in .*none"):
        read(tmp_path / "none")
    folder = write(tmp_path / "pipe", {"0.png": pixels(4, 4)})
    os.mkfifo(folder / "1.png")
    with pytest.raises(InputError, match=r"1\.png is a (named )?pipe"):
        read(folder)


@pytest.mark.parametrize("change", ["other pixels", "other size", "gone", "truncated"])
def test_a_file_that_changes_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Where images stay in their files each is held against what was there at the first look: it never becomes a
    number under another fingerprint."""
    in_files(monkeypatch)
    folder = write(tmp_path / "a", {"0.png": pixels(20, 20), "1.png": pixels(20, 20, 1)})
    found = read(folder)
    file = folder / "1.png"
    if change == "gone":
        file.unlink()
    elif change == "truncated":
        truncated(file)
    else:
        Image.fromarray(pixels(20, 20, 5) if change == "other pixels" else pixels(21, 20, 1)).save(file)
    assert found.image(0).shape == (1, 3, 20, 20)
    with pytest.raises(InputError, match=r"1\.png is not what it was when the run began"):
        found.image(1)


def test_what_does_not_fit_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings on such images are slow, and this is why."""
    folder = write(tmp_path / "a", {f"{i}.png": pixels(20, 20, i) for i in range(3)})
    notes = Notes()
    photos_of_part(read_part(folder, "a"), None, {}, notes)
    assert notes.said == []
    in_files(monkeypatch)
    photos_of_part(read_part(folder, "a"), None, {}, notes)
    assert [note.partition(":")[0] for note in notes.said] == [
        "the images take more than half of the memory that is free"
    ]


def test_in_memory_a_change_changes_nothing(tmp_path: Path) -> None:
    """They were read once."""
    folder = write(tmp_path / "a", {"0.png": pixels(20, 20)})
    found = read(folder)
    (folder / "0.png").unlink()
    assert found.image(0).shape == (1, 3, 20, 20)


def test_images_of_one_size() -> None:
    """A tensor, as a dataset of one size has it: numbered names, and each of them grey or not for itself."""
    images = torch.from_numpy(np.stack([pixels(8, 8, i) for i in range(3)])).permute(0, 3, 1, 2).contiguous()
    images[1] = images[1, :1]
    found = photos_of_images(images, pixel_digests(images), [], {})
    assert list(found.names) == ["000000.png", "000001.png", "000002.png"]
    assert list(found.grey) == [False, True, False]
    assert torch.equal(found.image(2), images[2:])


def numbered(*sizes: tuple[int, int]) -> Photos:
    """Photographs in memory whose pixels say which they are: red is the number, green the row, blue the column."""
    images = []
    for number, (height, width) in enumerate(sizes):
        image = torch.zeros(1, 3, height, width, dtype=torch.uint8)
        image[0, 0] = number
        image[0, 1] = torch.arange(height, dtype=torch.uint8)[:, None]
        image[0, 2] = torch.arange(width, dtype=torch.uint8)
        images.append(image)
    return photos_of(images)


@pytest.mark.parametrize("side", [8, 9, 15])
def test_pieces_cover_every_pixel(side: int) -> None:
    """A lattice of half a side whose last pieces end at the border: each pixel of each photograph that is large enough
    is in a piece, and every piece is what the photograph has there."""
    photos = numbered((15, 33), (side, side), (side - 1, 40), (17, 16))
    pieces = in_memory(Patches(photos, range(4), side))
    assert pieces.shape[1:] == (3, side, side)
    for number, (height, width) in enumerate(photos.sizes):
        own = pieces[pieces[:, 0, 0, 0] == number]
        covered = {tuple(place) for piece in own for place in piece[1:].flatten(1).T.tolist()}
        everywhere = {(row, column) for row in range(height) for column in range(width)}
        assert covered == (everywhere if min(height, width) >= side else set())
        for piece in own:
            top, left = piece[1:, 0, 0].tolist()
            assert torch.equal(piece[None], photos.image(number)[..., top : top + side, left : left + side])
    assert len({tuple(piece.flatten().tolist()) for piece in pieces}) == len(pieces)


def test_pieces_from_files_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training on images that do not fit into memory sees the same pieces, in the same order."""
    folder = write(tmp_path / "a", {f"{i}.png": pixels(20 + i, 30) for i in range(3)})
    first = in_memory(Patches(read(folder), range(3), 12))
    in_files(monkeypatch)
    assert torch.equal(in_memory(Patches(read(folder), range(3), 12)), first)


@pytest.mark.parametrize(("have", "asked"), [(40, 24), (47, 24), (48, 24), (24, 24), (5, 24), (1000, 7)])
def test_some_pieces_are_spread_over_all(have: int, asked: int) -> None:
    """At most as many as asked for, and nowhere, at the end either, are more left out in a row than an even spread
    leaves, rounded up."""
    patches = Patches(numbered((4, 4)), [0], 4)
    patches._places = [(i, 0, 0) for i in range(have)]
    rows = [row for row, _, _ in patches.spread(asked)._places]
    assert len(rows) == min(have, asked)
    gaps = np.diff([*rows, have])
    assert gaps.max() <= np.ceil(have / min(have, asked))
    assert len(patches) == have


def test_what_is_watched_is_not_learned_from() -> None:
    """One photograph in fifty, and one at least: no photograph is on both sides, and all are on one; but of a single
    photograph both sides are the same."""
    photos = numbered(*[(8, 8)] * 103)
    learned, left = ({int(piece[0, 0, 0]) for piece in in_memory(own)} for own in learned_and_left(photos, 8))
    assert left == {0, 50, 100}
    assert learned == set(range(103)) - left
    one = learned_and_left(numbered((8, 12)), 8)
    assert torch.equal(*map(in_memory, one))


def test_small_photographs_are_left_out_of_both() -> None:
    """A first photograph that holds no piece is neither learned from nor watched, and stops nobody."""
    learned, left = learned_and_left(numbered((4, 4), (8, 8), (7, 9), (9, 9)), 8)
    assert {int(piece[0, 0, 0]) for piece in in_memory(learned)} == {3}
    assert {int(piece[0, 0, 0]) for piece in in_memory(left)} == {1}
    with pytest.raises(
        InputError, match=r"as large as the pieces of 8×8 pixels .* the largest is 20×7; give larger"
    ):
        learned_and_left(numbered((4, 4), (7, 20)), 8)


def test_grey_pieces_are_those_of_grey_photographs() -> None:
    """What a network sees, one channel or three, is said by the photographs that are used, and by no other."""
    images = [torch.zeros(1, 3, 8, 8, dtype=torch.uint8) for _ in range(2)]
    photos = Photos(["0", "1"], [(8, 8)] * 2, [b"", b""], [True, False], _held=images)
    assert [Patches(photos, rows, 8).grey for rows in ([0], [1], [0, 1])] == [True, False, False]
