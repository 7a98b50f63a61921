"""Grids: every image is there, whole, unfiltered and in order."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.views.grid import (
    FRAME,
    image_grid,
    save_neighbours,
    save_reconstructions,
    save_samples,
    save_samples_by_class,
    save_stylizations,
    save_translations,
)

Images = npt.NDArray[np.uint8]


def _numbered(n: int, side: int, offset: int = 0) -> Images:
    """Flat images, each in a colour of its own that neither paper, ink nor frame has."""
    images = np.zeros((n, side, side, 3), np.uint8)
    images[..., 0] = 255
    images[..., 1] = np.arange(n).reshape(-1, 1, 1) + offset
    return images


def _read(path: Path) -> Images:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def _tiles(picture: Images) -> dict[int, tuple[int, int, int, int]]:
    """Green level -> (left, top, width, height) of each flat tile in the picture."""
    found = {}
    red = (picture[..., 0] == 255) & (picture[..., 2] == 0)
    for level in np.unique(picture[..., 1][red]):
        ys, xs = np.nonzero(red & (picture[..., 1] == level))
        found[int(level)] = (xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1)
    return found


def test_samples_stand_beside_real_images_in_order(tmp_path: Path) -> None:
    """64 + 64 flat 32 px images: each is drawn once at 64 × 64 (the whole factor that reaches 64 px), eight a
    line, line by line, generated on the left, and the 65th of a set is not drawn."""
    save_samples(tmp_path / "samples.png", _numbered(65, 32), _numbered(65, 32, 100), "vae on digits")
    tiles = _tiles(_read(tmp_path / "samples.png"))
    assert sorted(tiles) == [*range(64), *range(100, 164)]
    assert {tile[2:] for tile in tiles.values()} == {(64, 64)}
    for first in (0, 100):
        order = sorted(range(first, first + 64), key=lambda level: (tiles[level][1], tiles[level][0]))
        assert order == list(range(first, first + 64))
        assert len({tiles[level][0] for level in order}) == 8
    assert max(tiles[n][0] for n in range(64)) < min(tiles[n][0] for n in range(100, 164))


def test_small_images_are_enlarged_pixel_by_pixel(tmp_path: Path) -> None:
    """Factor 8 for 8 px, without interpolation: every pixel is an 8 × 8 block, as numpy.repeat makes it."""
    image = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3)).astype(np.uint8)
    image_grid([("one", image)], tmp_path / "grid.png", "title")
    picture = _read(tmp_path / "grid.png")
    expected = image[0].repeat(8, axis=0).repeat(8, axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(picture, expected.shape)[:, :, 0]
    assert (windows[..., 0, 0, :] == expected[0, 0]).all(-1).any()
    assert any(
        (windows[y, x] == expected).all()
        for y, x in np.argwhere((windows[..., 0, 0, :] == expected[0, 0]).all(-1))
    )


def test_classes_are_lines_and_both_sides_share_them(tmp_path: Path) -> None:
    """Three classes asked in the order 2 0 1 0 2 0, two columns: a line a class, its images in their order, the
    third of class 0 left out; class 1 has no real image, so its places there stay blank and class 2 is level with
    the generated ones. Names stand to the left, in ink."""
    asked, labels = np.array([2, 0, 1, 0, 2, 0]), np.array([0, 2])
    save_samples_by_class(
        tmp_path / "s.png", _numbered(6, 32), asked, _numbered(2, 32, 100), labels, "abc", "cgan", columns=2
    )
    picture = _read(tmp_path / "s.png")
    tiles = _tiles(picture)
    assert sorted(tiles) == [0, 1, 2, 3, 4, 100, 101]
    tops = {level: tile[1] for level, tile in tiles.items()}
    assert tops[1] == tops[3] == tops[100] < tops[2] < tops[0] == tops[4] == tops[101]
    assert tiles[1][0] == tiles[0][0] == tiles[2][0] < tiles[3][0] < tiles[100][0] == tiles[101][0]
    left = picture[:, : tiles[1][0] - 4]
    assert all((left[tops[n] : tops[n] + 64] < 100).all(-1).any() for n in (1, 2, 0))


def test_many_classes_are_sorted(tmp_path: Path) -> None:
    """Eleven classes are too many to name: the grid is `save_samples` of the images in the order of their class."""
    asked = np.array([10, 3, 7])
    save_samples_by_class(
        tmp_path / "a.png", _numbered(3, 8), asked, _numbered(3, 8), asked[::-1], "abcdefghijk", "cgan"
    )
    save_samples(tmp_path / "b.png", _numbered(3, 8)[[1, 2, 0]], _numbered(3, 8)[[1, 0, 2]], "cgan")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_pairs_stand_one_above_the_other(tmp_path: Path) -> None:
    """Ten pairs: output n is right below original n, and pair 9 starts the second line of pairs."""
    save_reconstructions(tmp_path / "r.png", _numbered(10, 16), _numbered(10, 16, 100), "vae")
    tiles = _tiles(_read(tmp_path / "r.png"))
    assert sorted(tiles) == [*range(10), *range(100, 110)]
    for n in range(10):
        assert tiles[n][0] == tiles[100 + n][0]
        assert 0 < tiles[100 + n][1] - tiles[n][1] <= 64 + 8
    assert tiles[8][1] > tiles[107][1]


def test_a_white_image_has_an_edge(tmp_path: Path) -> None:
    """White on white paper would be invisible: the frame's colour surrounds it, 2 px on each side of 64."""
    image_grid([("white", np.full((1, 64, 64, 3), 255, np.uint8))], tmp_path / "grid.png", "title")
    frame = (_read(tmp_path / "grid.png") == FRAME).all(-1)
    assert frame.sum() == 68 * 68 - 64 * 64


def test_large_images_are_reduced_and_the_label_says_so(tmp_path: Path) -> None:
    """A flat 512 px image reduced to 256 is the flat 256 px image, so the pictures agree to the byte once the
    second label says by hand what the first must say by itself."""
    image_grid([("big", _numbered(2, 512))], tmp_path / "a.png", "title")
    image_grid([("big (shown at 50% of 512×512)", _numbered(2, 256))], tmp_path / "b.png", "title")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_same_images_give_the_same_bytes(tmp_path: Path) -> None:
    """Records are compared by sha256: no time, no path in the file."""
    for name in ("a.png", "b.png"):
        image_grid([("n", _numbered(3, 8))], tmp_path / name, "title with ünïcode and \n a line break")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((0, 8, 8, 3), np.uint8),
        np.zeros((4, 8, 8, 3), np.float32),
        np.zeros((4, 3, 8, 8), np.uint8),
        np.zeros((8, 8, 3), np.uint8),
    ],
)
def test_what_is_no_set_of_images_is_named(tmp_path: Path, images: Any) -> None:
    """Empty, float, channels first, one image without its first axis."""
    with pytest.raises(InputError, match=r"images of 'generated' must be uint8 N×H×W×3 but are"):
        save_samples(tmp_path / "s.png", images, _numbered(4, 8), "vae")
    assert list(tmp_path.iterdir()) == []


def test_pairs_that_do_not_match_are_named(tmp_path: Path) -> None:
    """Another number, and no panel at all."""
    with pytest.raises(InputError, match="do not match"):
        save_reconstructions(tmp_path / "r.png", _numbered(3, 8), _numbered(2, 8), "vae")
    with pytest.raises(InputError, match="at least one panel"):
        image_grid([], tmp_path / "r.png", "title")


def test_real_photographs_survive(shared_data: Path, tmp_path: Path) -> None:
    """CIFAR-10 test images: every second pixel of a tile is the image again (nearest neighbour, factor 2)."""
    table = pq.read_table(shared_data / "cifar10" / "test.parquet").slice(0, 4).column("img").to_pylist()
    photos = np.stack([np.asarray(Image.open(io.BytesIO(cell["bytes"])).convert("RGB")) for cell in table])
    image_grid([("cifar10", photos)], tmp_path / "grid.png", "title", columns=4)
    picture = _read(tmp_path / "grid.png")
    # 16 paper, 2 × 20 title, 2 × 16 label, 2 frame; 16 paper and 2 frame from the left.
    top, left = 16 + 40 + 32 + 2, 16 + 2
    for n, photo in enumerate(photos):
        tile = picture[top : top + 64, left + 66 * n : left + 66 * n + 64]
        np.testing.assert_array_equal(tile[::2, ::2], photo)


def test_neighbours_are_a_line_a_sample(tmp_path: Path) -> None:
    """Flat colours at known places: sample 0 is red and leads its line, its neighbours follow; two samples stand in
    two columns, so the second sample's line begins right of the first one's end."""
    red, green, blue = ((255, 0, 0), (0, 255, 0), (0, 0, 255))

    def flat(*colours: tuple[int, int, int]) -> Any:
        return np.stack([np.full((8, 8, 3), colour, np.uint8) for colour in colours])

    save_neighbours(tmp_path / "n.png", flat(red, blue), [flat(green, green), flat(red, green)], "t")
    picture = np.asarray(Image.open(tmp_path / "n.png"))
    middle = picture[picture.shape[0] - 50]  # through the images, which are the last 64 rows and a margin
    seen = [tuple(map(int, pixel)) for pixel in middle if tuple(map(int, pixel)) in {red, green, blue}]
    order = [colour for i, colour in enumerate(seen) if i == 0 or seen[i - 1] != colour]
    assert order == [red, green, blue, red, green]


def test_translations_are_a_line_an_image(tmp_path: Path) -> None:
    """Two directions of five images, three and two columns: each image of a line is level with its first column and to
    the right of the one before; a panel is below the one above it, and what is beyond `rows` is not drawn. √(4/3 + 4/2)
    is 1.8, so the four lines stand in two blocks of two."""
    panels = [
        (
            "A to B",
            [("input", _numbered(5, 32)), ("out", _numbered(5, 32, 50)), ("truth", _numbered(5, 32, 100))],
        ),
        ("B to A", [("input", _numbered(5, 32, 150)), ("output of twenty hints", _numbered(5, 32, 200))]),
    ]
    save_translations(tmp_path / "t.png", panels, "cyclegan", rows=4)
    tiles = _tiles(_read(tmp_path / "t.png"))
    assert sorted(tiles) == [first + n for first in range(0, 250, 50) for n in range(4)]
    assert {tile[2:] for tile in tiles.values()} == {(64, 64)}
    for line in range(4):
        for columns in ((0, 50, 100), (150, 200)):
            places = [tiles[first + line][:2] for first in columns]
            assert len({top for _, top in places}) == 1
            assert [left for left, _ in places] == sorted({left for left, _ in places})
    for first in (0, 150):
        tops, lefts = ([tiles[first + n][side] for n in range(4)] for side in (1, 0))
        assert tops[0] == tops[2] < tops[1] == tops[3]
        assert lefts[0] == lefts[1] < lefts[2] == lefts[3]
    assert tiles[1][1] + 64 < tiles[150][1]
    assert (
        tiles[200][0] + 150 < tiles[152][0]
    )  # a label wider than its column moves the next block, not under it


def test_translations_are_wider_than_tall(tmp_path: Path) -> None:
    """As a cell leaves them: 24 lines of four columns, both ways. By arithmetic four blocks of 4 · 66 px beside each
    other and twice six lines of 66 px; on a screen that is what fits."""
    columns = [(label, _numbered(24, 32)) for label in ("input", "output", "cycle", "truth")]
    save_translations(tmp_path / "t.png", [("A to B", columns), ("B to A", columns)], "cyclegan")
    height, width = _read(tmp_path / "t.png").shape[:2]
    assert 4 * 4 * 66 < width < 1300
    assert 2 * 6 * 66 < height < width


@pytest.mark.parametrize(
    ("panels", "why"),
    [
        ([], "at least one panel"),
        ([("A to B", [])], "each panel a column"),
        (
            [("A to B", [("input", _numbered(3, 8)), ("output", _numbered(2, 8))])],
            "columns of 'A to B' do not match",
        ),
        ([("A to B", [("input", _numbered(3, 8)), ("output", _numbered(3, 9))])], "3×8×8×3 and 3×9×9×3"),
        ([("A to B", [("input", _numbered(3, 8)[:0])])], "'input' must be uint8 N×H×W×3"),
    ],
)
def test_translations_that_do_not_match_are_named(tmp_path: Path, panels: Any, why: str) -> None:
    """No panel, no column, another number of images, another size, no image: one sentence, and no file."""
    with pytest.raises(InputError, match=why):
        save_translations(tmp_path / "t.png", panels, "cyclegan")
    assert list(tmp_path.iterdir()) == []


def test_stylizations_are_a_matrix(tmp_path: Path) -> None:
    """Flat 64×64 images in colours of their own: read left to right and down, the picture shows two styles, then each
    content with what became of it in either style. Nothing is enlarged or lost: every colour has its 64² pixels."""
    contents, styles = _numbered(3, 64), _numbered(2, 64, offset=50)
    outputs = [_numbered(3, 64, offset=100), _numbered(3, 64, offset=150)]
    save_stylizations(tmp_path / "s.png", contents, styles, outputs, "title")
    picture = _read(tmp_path / "s.png")
    tinted = (picture[..., 0] == 255) & (picture[..., 2] == 0)
    colours, counts = np.unique(picture[tinted][:, 1], return_counts=True)
    assert dict(zip(colours.tolist(), counts.tolist(), strict=True)) == dict.fromkeys(
        [0, 1, 2, 50, 51, 100, 101, 102, 150, 151, 152], 64 * 64
    )
    places = {colour: np.argwhere(tinted & (picture[..., 1] == colour))[0] for colour in colours.tolist()}
    in_order = sorted(places, key=lambda colour: (places[colour][0], places[colour][1]))
    assert in_order == [50, 51, 0, 100, 150, 1, 101, 151, 2, 102, 152]
    assert places[50][1] == places[100][1]


def test_stylizations_that_do_not_match(tmp_path: Path) -> None:
    """One output too few, and styles of another size: one sentence, and no file."""
    contents, styles = _numbered(2, 8), _numbered(2, 8)
    with pytest.raises(InputError, match="one output of each of 2 contents for each of 2 styles"):
        save_stylizations(tmp_path / "s.png", contents, styles, [contents], "title")
    with pytest.raises(InputError, match="all of one size"):
        save_stylizations(tmp_path / "s.png", contents, _numbered(2, 16), [contents] * 2, "title")
    assert not any(tmp_path.iterdir())
