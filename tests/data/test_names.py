"""The order of files, and which files belong together: by their names alone."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.data.pipeline.names import in_order, partners
from benchbench.data.pipeline.streams import ImageStream, open_images, pairs

N = 12
IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (N, 3, 8, 8), np.uint8))
Name = Callable[[int], str]


def write(folder: Path, name: Name, rows: range = range(N)) -> Path:
    """Image i of `IMAGES` under `name(i)`, the last one first."""
    for i in reversed(rows):
        (folder / name(i)).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(IMAGES[i].permute(1, 2, 0).numpy()).save(folder / name(i))
    return folder


def rows_of(first: ImageStream, second: ImageStream, *, some: bool = False) -> list[tuple[int, int]]:
    """Which images of `IMAGES` came in pairs."""
    number = {image.numpy().tobytes(): i for i, image in enumerate(IMAGES)}
    found = pairs(first, second, some=some).batches(5)
    return [
        (number[a.numpy().tobytes()], number[b.numpy().tobytes()])
        for x, y in found
        for a, b in zip(x, y, strict=True)
    ]


@settings(max_examples=100, deadline=None)
@given(
    numbers=st.lists(st.integers(0, 10**30), min_size=1, unique=True),
    shape=st.sampled_from(
        ["{}.png", "img_{}_x.jpg", "a/{}/1.png", "epoch{}-2.png", "{}_fake_B.png", "x.{}.bmp"]
    ),
)
def test_numbers_in_names_are_numbers(numbers: list[int], shape: str) -> None:
    """Files that differ in one number come in the order of that number, however long it is: as integers sort."""
    names = [shape.format(number) for number in numbers]
    assert in_order(names) == [shape.format(number) for number in sorted(numbers)]


@settings(max_examples=200, deadline=None)
@given(names=st.lists(st.text("01a٣_./-", min_size=1, max_size=8), unique=True))
def test_the_order_is_one_order(names: list[str]) -> None:
    """Whatever the names and in whatever order they are found: every name once, and the same again backwards."""
    assert sorted(in_order(names)) == sorted(names)
    assert in_order(names) == in_order(reversed(names))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["b10", "b9", "B1", "a/2", "a/10"], ["B1", "a/2", "a/10", "b9", "b10"]),
        (["1.png", "01.png", "001.png"], ["001.png", "01.png", "1.png"]),
        (["٣.png", "٢.png", "١٠.png"], ["٢.png", "٣.png", "١٠.png"]),
        (["v1.10.png", "v1.9.png", "v1.png"], ["v1.png", "v1.9.png", "v1.10.png"]),
    ],
)
def test_order(names: list[str], expected: list[str]) -> None:
    """By hand: folder by folder, numbers in any script, equal numbers by their text."""
    assert in_order(names) == expected


FORMS: dict[str, tuple[Name, Name]] = {
    "equal": (lambda i: f"{i}.png", lambda i: f"{i}.png"),
    "suffix": (lambda i: f"{i}.png", lambda i: f"{i}.bmp"),
    "suffix in capitals": (lambda i: f"img_{i}.PNG", lambda i: f"img_{i}.png"),
    "case": (lambda i: f"IMG_{i}.png", lambda i: f"img_{i}.png"),
    "padding": (lambda i: f"{i:05}.png", lambda i: f"{i}.png"),
    "CycleGAN": (lambda i: f"{i}_fake_B.png", lambda i: f"{i}_real_B.png"),
    "CycleGAN against the dataset": (lambda i: f"{i}_fake_B.png", lambda i: f"{i}.bmp"),
    "of two domains": (lambda i: f"{i}_A.png", lambda i: f"{i}_B.png"),
    "before the number": (lambda i: f"fake_{i}.png", lambda i: f"real_{i}.png"),
    "pix2pix in TensorFlow": (lambda i: f"{i}-outputs.png", lambda i: f"{i}-targets.png"),
    "SPADE": (lambda i: f"{i}_synthesized_image.png", lambda i: f"{i}_input_label.png"),
    "super-resolution": (lambda i: f"{i:04}x4.png", lambda i: f"{i:04}.png"),
    "restoration": (lambda i: f"{i}_out.png", lambda i: f"{i}_gt.png"),
    "letters that sort elsewhere": (
        lambda i: f"{'abc'[i % 3] * (i + 1)}_fake.png",
        lambda i: f"{'abc'[i % 3] * (i + 1)}.png",
    ),
    "a folder an image": (lambda i: f"x/{i}/fake_B.png", lambda i: f"{i}/real_B.bmp"),
    "accents as macOS writes them": (lambda i: f"e\u0301t\u00e9{i}.png", lambda i: f"\u00e9te\u0301{i}.png"),
    "folders": (lambda i: f"out/c{i % 3}/{i}_fake.png", lambda i: f"x/y/c{i % 3}/{i}.png"),
}


@pytest.mark.parametrize(("ours", "theirs"), FORMS.values(), ids=FORMS)
def test_partners_are_found_whatever_they_are_called(tmp_path: Path, ours: Name, theirs: Name) -> None:
    """Image i and image i, all of them, whatever the names and their order on disk; also of a split of a dataset (with
    a train/ beside it), and of the first few alone. Where the names are not equal, a note shows one pair."""
    a = open_images(str(write(tmp_path / "a", ours)))
    b = write(tmp_path / "b/test", theirs)
    write(tmp_path / "b/train", theirs)
    expected = [(i, i) for i in range(N)]
    assert sorted(rows_of(a, open_images(str(b)))) == expected
    assert sorted(rows_of(a, open_images(f"folder:{tmp_path / 'b'}:test"))) == expected
    first = rows_of(a.first(3), open_images(str(b)), some=True)
    assert len(first) == 3
    assert all(i == j for i, j in first)
    equal = ours(1) == theirs(1)
    assert bool(pairs(a, open_images(str(b))).notes) != equal


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda i: f"cat_{i}.png", lambda i: f"dog_{i}.png"),
        (lambda i: f"n01_{i}.png", lambda i: f"n02_{i}.png"),
        (lambda i: f"{i}.png", lambda i: f"{i + 1}.png"),
        (lambda i: f"a{i}.png", lambda i: f"b{i}.png"),
        (lambda i: f"x/{i}.png", lambda i: f"{'xy'[i % 2]}/{i}.png"),
        (lambda i: f"{i // 2}_{'fake' if i % 2 else 'real'}.png", lambda i: f"{i}.png"),
        (lambda i: f"{i}.png", lambda i: f"{'0' * (i % 2)}{i // 2}.png"),
    ],
)
def test_what_is_no_partner_is_none(tmp_path: Path, ours: Name, theirs: Name) -> None:
    """As many files on both sides, in the same places, under names that do not belong together, or where two of one
    side would be the partner of one: refused by name, never paired by place."""
    a, b = (open_images(str(write(tmp_path / side, name))) for side, name in (("a", ours), ("b", theirs)))
    with pytest.raises(InputError, match=r"do not pair up: .* lack a partner"):
        pairs(a, b)


@pytest.mark.parametrize("backwards", [False, True])
def test_by_place_where_one_side_has_no_names(tmp_path: Path, backwards: bool) -> None:
    """An array against files that are numbered without zeros: image i and image i, and a note."""
    np.savez(tmp_path / "made.npz", IMAGES.permute(0, 2, 3, 1).numpy())
    sides = [
        open_images(str(tmp_path / "made.npz")),
        open_images(str(write(tmp_path / "real", lambda i: f"{i}.png"))),
    ]
    a, b = reversed(sides) if backwards else sides
    assert rows_of(a, b) == [(i, i) for i in range(N)]
    (note,) = pairs(a, b).notes
    assert note.startswith("pairs were made by place")
    assert "folder-real in the order of their names, 2 before 10" in note


def test_a_split_that_was_cut_by_us_keeps_its_names(tmp_path: Path) -> None:
    """A folder without splits: of either half the partners are found in a copy of the folder."""
    write(tmp_path / "a", lambda i: f"{i}.png")
    write(tmp_path / "b", lambda i: f"{i}_rec.png")
    for split in ("train", "test"):
        half = open_images(f"folder:{tmp_path / 'a'}:{split}")
        assert half.names is not None
        found = partners(half.names, open_images(str(tmp_path / "b")).names or ())
        assert len(found.rows) == N // 2


def test_the_order_of_partners_is_known(tmp_path: Path) -> None:
    """Names that sort otherwise on the other side: which of its images stand where, None where they lie so."""
    a = open_images(str(write(tmp_path / "a", lambda i: f"{'ab'[i % 2]}{i}_fake.png")))
    b = open_images(str(write(tmp_path / "b", lambda i: f"real_{'ab'[i % 2]}{i}.png")))
    assert pairs(a, b).moved is None
    c = open_images(str(write(tmp_path / "c", lambda i: f"{'_-'[i % 2]}_{'ab'[i % 2]}{i}.png")))
    moved = pairs(a, c).moved
    assert moved is not None
    assert sorted(moved) == list(range(N))
    assert rows_of(a, c) == [(i, i) for i in [*range(0, N, 2), *range(1, N, 2)]]


def as_tuples(name: str) -> tuple[object, ...]:
    """The order as it is defined: part by part, text and numbers in turn."""
    *folders, file = name.split("/")
    stem, suffix = posixpath.splitext(file)

    def runs(text: str) -> tuple[object, ...]:
        parts: list[object] = re.split(r"([0-9]+)", text)
        for i in range(1, len(parts), 2):
            digits = str(parts[i]).lstrip("0")
            parts[i] = (len(digits), digits)
        return tuple(parts)

    return tuple(runs(part) for part in (*folders, stem, suffix)), name


@given(st.lists(st.text("aB0129./-\x01\x02\u00e4\U0001f600", min_size=1, max_size=9), max_size=12))
def test_the_order_of_keys_is_that_of_their_parts(names: list[str]) -> None:
    """Keys are one text each; tuples of texts and numbers, compared by Python, say the same of any names."""
    assert in_order(names) == sorted(names, key=as_tuples)
