"""Edits against closed forms, the standard library's colours, and permutations of pixels."""

from __future__ import annotations

import colorsys
import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.data.builtin import openmoji
from benchbench.data.edits import content, geometry, pixels
from benchbench.data.edits.edit import EDITS, EXACT, GEOMETRIC, NEEDS_ALPHA, apply, exact, undo


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Three images of noise, 23 by 31: no side divides by anything."""
    return torch.randint(
        0, 256, (3, 3, 23, 31), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def alpha_like(images: Tensor) -> Tensor:
    return torch.full((len(images), 1, *images.shape[2:]), 128, dtype=torch.uint8)


def test_thirteen_with_five_strengths() -> None:
    """What issue and page promise; strengths grow away from the one that changes nothing, and all are possible."""
    assert len(EDITS) == 13
    for name, edit in EDITS.items():
        distances = [abs(strength - edit.neutral) for strength in edit.strengths]
        assert distances == sorted(set(distances)), name
        assert all(edit.low <= strength <= edit.high for strength in (*edit.strengths, edit.neutral))


def test_the_page_has_every_edit() -> None:
    """The table of docs/editing.md is what `EDITS` says of each; the sheet is there."""
    page = Path(__file__).parents[2] / "docs" / "editing.md"
    text = page.read_text(encoding="utf-8")
    for name, edit in EDITS.items():
        what, _, unit = edit.about.partition("; strength: ")
        strengths = ", ".join(f"{strength:g}" for strength in edit.strengths)
        back = "exact" if name in GEOMETRIC else ""
        assert (
            f"| `{name}` | {what} | {unit}, {edit.low:g} to {edit.high:g} | {strengths} | {back} |\n" in text
        )
    with Image.open(page.with_name("edits.png")) as sheet:
        assert np.asarray(sheet).std() > 0


@pytest.mark.parametrize("name", EDITS)
def test_neutral_strength_changes_nothing(name: str, images: Tensor) -> None:
    """By what neutral means: every pixel of noise stays."""
    clear = content.GROUND * torch.ones_like(images)  # what alpha of zeros belongs to
    before, alpha = (clear, torch.zeros_like(alpha_like(images))) if name in NEEDS_ALPHA else (images, None)
    assert torch.equal(apply(before, name, EDITS[name].neutral, alpha=alpha), before)


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (2, 2)])
def test_tiny_images(name: str, size: tuple[int, int]) -> None:
    """A flat image of a few pixels keeps its shape, and a geometric edit of one level is that level everywhere."""
    flat = torch.full((2, 3, *size), 77, dtype=torch.uint8)
    for strength in EDITS[name].strengths:
        edited = apply(flat, name, strength, alpha=alpha_like(flat))
        assert (edited.shape, edited.dtype) == (flat.shape, torch.uint8)
        if name in GEOMETRIC:
            assert torch.equal(edited, flat)
    assert apply(flat[:0], name, EDITS[name].middle, alpha=alpha_like(flat[:0])).shape == flat[:0].shape


@pytest.mark.parametrize("name", EDITS)
def test_an_image_is_edited_by_itself(name: str, images: Tensor) -> None:
    """Image 2 alone, under its number, is what it is among others."""
    alpha = alpha_like(images)
    for strength in EDITS[name].strengths:
        among = apply(images, name, strength, alpha=alpha)
        alone = apply(images[2:], name, strength, indices=[2], alpha=alpha[2:])
        assert torch.equal(among[2:], alone)


@pytest.mark.parametrize("share", EDITS["flip"].strengths)
def test_flip_is_its_own_inverse(share: float, images: Tensor) -> None:
    """Twice is once not, exactly; the whole width is what torch flips; columns outside the band stay."""
    once = apply(images, "flip", share)
    assert torch.equal(undo(once, "flip", share), images)
    assert torch.equal(apply(images, "flip", 1), images.flip(-1))
    outside = round((1 - share) * 31 / 2)
    assert torch.equal(once[..., :outside], images[..., :outside])


@pytest.mark.parametrize("turns", [-1, 1, 2, 3, 4])
def test_quarter_turns_are_permutations(turns: int) -> None:
    """Of a square, exactly torch's, which also turns counterclockwise; and back."""
    square = torch.randint(
        0, 256, (2, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    turned = apply(square, "rotate", 90 * turns)
    assert torch.equal(turned, torch.rot90(square, turns, (2, 3)))
    assert torch.equal(undo(turned, "rotate", 90 * turns), square)


@pytest.mark.parametrize("by", [-3, 1, 5])
def test_whole_pixels_are_moved_exactly(by: int, images: Tensor) -> None:
    """Columns come from `by` to the left; the edge is mirrored: half-sample symmetric, so that the outermost column is
    seen first (NumPy's "symmetric"). What stayed comes back exactly."""
    edges = ((0, 0), (0, 0), (0, 0), (5, 5))
    around = np.pad(images.numpy(), edges, mode="symmetric")[..., 5 - by : 5 - by + 31]
    moved = apply(images, "translate", by)
    assert np.array_equal(moved, around)
    window = geometry.largest_window(geometry.kept("translate", by, 23, 31, of="back"))
    assert window.pixels == 23 * (31 - abs(by))
    assert torch.equal(window.of(undo(moved, "translate", by)), window.of(images))


@pytest.mark.parametrize("name", geometry.MATRICES)
def test_the_way_back_is_the_inverse(name: str) -> None:
    """The product of both matrices is the unit, at every strength; and a plane of grey levels comes back. Keys' kernel
    with a = −3/4 is off a line by less than 0.05 of its slope, here by 0.25, and 0.5 are rounded away; the second pass
    enlarges what the first was off by its weights without signs, 1.4 each way, and adds as much: 2.2 levels, so 2."""
    x, y = np.meshgrid(np.arange(40), np.arange(30))
    plane = torch.from_numpy(np.clip(40 + 2 * x + 3 * y, 0, 255).astype(np.uint8)).expand(1, 3, -1, -1)
    for strength in EDITS[name].strengths:
        there, back = (geometry.matrix_of(name, strength, 30, 40, back=way) for way in (False, True))
        assert there @ back == pytest.approx(np.eye(3), abs=1e-12)
        window = geometry.largest_window(geometry.kept(name, strength, 30, 40, of="back"), 5)
        returned = undo(apply(plane, name, strength), name, strength)
        if window.pixels:
            worst = (window.of(returned).int() - window.of(plane).int()).abs().max()
            assert worst <= 2


def test_perspective_moves_the_corners() -> None:
    """By definition: the corners of what comes in lie a share of the width inwards at the top, and where they were
    below. The middle of each side stays the middle."""
    matrix = geometry.matrix_of("perspective", 0.2, 30, 40)
    for out, into in {
        (-12, -15): (-20, -15),
        (12, -15): (20, -15),
        (20, 15): (20, 15),
        (0, -15): (0, -15),
    }.items():
        x, y, w = matrix @ (*out, 1)
        assert (x / w, y / w) == pytest.approx(into)


def wave(side: int, k: np.ndarray) -> np.ndarray:
    """cos(k·p) at the pixels of a square, 0 in the middle; `k` in radians a pixel, (x, y)."""
    middle = (side - 1) / 2
    return np.asarray(np.cos(np.tensordot(k, geometry.places(np.eye(3), side, side) - middle, 1)))


def box(k: np.ndarray) -> float:
    """What the mean over a square of one pixel leaves of a wave."""
    return float(np.prod(np.sinc(k / (2 * math.pi))))


@pytest.mark.parametrize(
    ("name", "strength"), [("rotate", 15), ("rotate", 45), ("scale", 0.75), ("crop", 0.25)]
)
def test_the_exact_answer_is_that_of_a_plane_wave(name: str, strength: float) -> None:
    """A wave of amplitude 100 and a period of 8 pixels, seen 2×2 times as finely. Under a linear map M it is the wave
    of Mᵀk. What the task calls exact is the mean of n points a side of it (2, or 4 where it is shrunk), which leaves
    sin(nκ)/n sin(κ) at points 2κ apart: to 0.02 of a level. The mean over the whole area, which no grid of points is,
    is another 0.4 away at the most; the bicubic edit of the coarse image is farther off."""
    size, k = 48, np.array([0.7, 0.4])
    levels = torch.from_numpy(128 + 100 * box(k / 2) * wave(2 * size, k / 2)).expand(1, 3, -1, -1)
    matrix = geometry.matrix_of(name, strength, size, size)
    under = matrix[:2, :2].T @ k
    n = 4 if name == "scale" else 2
    points = np.prod([math.sin(each / 2) / (n * math.sin(each / 2 / n)) for each in under])
    window = geometry.largest_window(geometry.kept(name, strength, size, size, of="edited"), 6)

    def off(found: np.ndarray | Tensor, left: float) -> float:
        difference = torch.as_tensor(found) - torch.from_numpy(128 + 100 * left * wave(size, under))
        return float(window.of(difference).abs().max())

    found = exact(levels, name, strength, finer=2)[0, 0]
    assert off(found, box(k / 2) * points) < 0.02
    assert off(found, box(under)) < 0.4
    coarse = torch.from_numpy(128 + 100 * box(k) * wave(size, k)).expand(1, 3, -1, -1)
    assert off(geometry.warped(coarse, matrix)[0, 0], box(under)) > 0.4


def test_hues_are_those_of_the_standard_library(images: Tensor) -> None:
    """colorsys on 300 colours, at every strength, to 1e-9 of a level; a third of the circle permutes the channels, and
    grey stays."""
    some = images[:1, :, :10, :30]
    for degrees in (*EDITS["colour"].strengths, -100):
        found = pixels.hue(some, degrees)[0].flatten(1).T.tolist()
        for (red, green, blue), ours in zip(some[0].flatten(1).T.tolist(), found, strict=True):
            h, s, v = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
            theirs = [255 * level for level in colorsys.hsv_to_rgb((h + degrees / 360) % 1, s, v)]
            assert ours == pytest.approx(theirs, abs=1e-9)
    assert torch.equal(apply(images, "colour", 120), images[:, [2, 0, 1]])
    grey = images[:, :1].expand(-1, 3, -1, -1)
    assert torch.equal(apply(grey, "colour", 77), grey)


def test_brightness_is_cut_off_at_white(images: Tensor) -> None:
    """The sum, within 0..255."""
    assert torch.equal(apply(images, "brightness", 64).int(), (images.int() + 64).clamp(max=255))


def test_blur_is_a_gaussian() -> None:
    """A bright pixel becomes the sampled Gaussian of that σ, weights exp(−d²/2σ²) that sum to 1 within 4σ."""
    spot = torch.zeros(1, 3, 41, 41, dtype=torch.uint8)
    spot[..., 20, 20] = 255
    weights = np.exp(-(np.arange(-20, 21) ** 2) / (2 * 2.0**2)) * (np.abs(np.arange(-20, 21)) <= 8)
    weights /= weights.sum()
    assert np.abs(exact(spot, "blur", 2)[0, 0].numpy() - 255 * np.outer(weights, weights)).max() < 1e-9
    assert torch.equal(apply(spot, "blur", 2), pixels.blur(spot, 2))


def test_noise_has_its_sigma() -> None:
    """Mid-grey is never cut off at σ = 16: the standard deviation of 3·128² draws lies within five of its own standard
    errors (σ/√2n, rounding adds 1/12 to the variance); numbers of images, not places, decide the draws."""
    grey = torch.full((2, 3, 128, 128), 128, dtype=torch.uint8)
    noisy = apply(grey, "noise", 16)
    n = grey[0].numel()
    assert float(noisy[0].double().std()) == pytest.approx(
        math.sqrt(16**2 + 1 / 12), abs=5 * 16 / math.sqrt(2 * n)
    )
    assert not torch.equal(noisy[0], noisy[1])
    assert torch.equal(apply(grey[:1], "noise", 16, indices=[1]), noisy[1:])


def test_an_object_is_moved_over_its_background() -> None:
    """Half-transparent black in the first two of five columns over white: 127 there. Moved by two columns it is 127
    there and white behind; by four, half of it has left; to the left by one, as much."""
    alpha = torch.zeros(1, 1, 4, 5, dtype=torch.uint8)
    alpha[..., :2] = 128
    image = (255 - alpha.int()).to(torch.uint8).expand(-1, 3, -1, -1)
    rows = {
        share: apply(image, "object", share, alpha=alpha)[0, 0, 0].tolist() for share in (0.4, 0.8, -0.2, 1)
    }
    assert rows == {
        0.4: [255, 255, 127, 127, 255],
        0.8: [255, 255, 255, 255, 127],
        -0.2: [127, 255, 255, 255, 255],
        1: [255] * 5,
    }


def test_a_background_is_replaced_behind_the_object(images: Tensor) -> None:
    """Nothing but object stays; nothing but background is the new one, a line from top to bottom, at full opacity, and
    half of both at half; where the object is half transparent it is half of it."""
    alpha = torch.zeros(2, 1, 9, 3, dtype=torch.uint8)
    alpha[..., 0], alpha[..., 1] = 255, 51  # 51/255 is a fifth
    image = torch.full((2, 3, 9, 3), 255, dtype=torch.uint8)
    new = content.background(image, 1, alpha, [0, 1])
    assert torch.equal(new[..., 0], image[..., 0].double())
    gradient = new[..., 2]
    assert torch.allclose(gradient.diff(dim=2, n=2), torch.zeros(2, 3, 7, dtype=torch.float64), atol=1e-9)
    assert not torch.allclose(gradient[0], gradient[1])
    assert torch.allclose(new[..., 1], 0.2 * 255 + 0.8 * gradient)
    assert torch.allclose(content.background(image, 0.5, alpha, [0, 1])[..., 2], (gradient + 255) / 2)


@pytest.mark.parametrize("share", EDITS["erase"].strengths)
def test_erased_area(share: float) -> None:
    """Black images: as many grey pixels as a rectangle of √share of each side has, all in one rectangle."""
    black = torch.zeros(4, 3, 50, 80, dtype=torch.uint8)
    rows, columns = round(50 * math.sqrt(share)), round(80 * math.sqrt(share))
    for image in apply(black, "erase", share)[:, 0]:
        assert image.unique().tolist() == [0, content.GREY]
        grey = (image == content.GREY).nonzero()
        assert len(grey) == rows * columns
        assert (grey.amax(0) - grey.amin(0) + 1).tolist() == [rows, columns]


def test_emoji_lie_over_white() -> None:
    """What is left of an image without (1 − alpha) of white is never below black by more than rounding: the alpha is
    that of these pictures. Every emoji has background."""
    files = openmoji.emoji_files()[1500:1510]
    drawn = torch.from_numpy(openmoji.render([openmoji.svg_text(file) for file in files], 40))
    alpha = torch.from_numpy(openmoji.alpha(files, 40))
    assert (drawn.double() - 255 + alpha.double()).min() > -1
    assert (alpha.amin((1, 2, 3)) == 0).all()
    assert (alpha.amax((1, 2, 3)) == 255).all()


@pytest.mark.parametrize("seed", range(20))
def test_the_largest_window_is_the_largest(seed: int) -> None:
    """Against all rectangles of a random mask."""
    mask = torch.rand(7, 9, generator=torch.Generator().manual_seed(seed)) > 0.3
    found = geometry.largest_window(mask)
    sizes = [
        (bottom - top) * (right - left)
        for top, left in product(range(7), range(9))
        for bottom, right in product(range(top + 1, 8), range(left + 1, 10))
        if mask[top:bottom, left:right].all()
    ]
    assert found.pixels == max(sizes)
    assert found.of(mask).all()


def test_margins_are_cut_where_the_image_goes_on() -> None:
    """The left half of an image: two columns fewer at the right, none elsewhere; nothing is left of three columns."""
    mask = torch.zeros(10, 10, dtype=torch.bool)
    mask[:, :5] = True
    assert geometry.largest_window(mask, 2) == (0, 10, 0, 3)
    mask[:, :2] = False
    assert geometry.largest_window(mask, 2).pixels == 0


@pytest.mark.parametrize(
    ("name", "strength"),
    [("rotate", 361), ("rotate", math.nan), ("crop", 1), ("crop", -0.1), ("scale", 0), ("blur", -1), ("flip", 1.01),
     ("translate", math.inf), ("erase", 2), ("perspective", 0.5)],
)  # fmt: skip
def test_no_such_strength(name: str, strength: float, images: Tensor) -> None:
    """One sentence with the bounds and the unit."""
    with pytest.raises(InputError, match=f"{name} cannot have the strength .*; give one from"):
        apply(images, name, strength)


def test_what_cannot_be_done_is_refused(images: Tensor) -> None:
    """Unknown names, four channels, an object that nobody knows, an alpha of another size, ways back that are none, and
    right answers that are none."""
    with pytest.raises(InputError, match=r"'rotte'.*rotate"):
        apply(images, "rotte", 1)
    with pytest.raises(InputError, match=r"N×3×H×W \(RGB\) but have 3×4×23×31"):
        apply(images[:, [0, 1, 2, 0]], "rotate", 1)
    for name in NEEDS_ALPHA:
        with pytest.raises(InputError, match="these images have no alpha; use images that have one"):
            apply(images, name, 0.5)
        with pytest.raises(InputError, match=r"must be uint8 3×1×23×31 but is torch\.uint8 3×1×23×30"):
            apply(images, name, 0.5, alpha=alpha_like(images)[..., 1:])
    for name in EDITS.keys() - set(GEOMETRIC):
        with pytest.raises(InputError, match=f"{name} has no way back"):
            undo(images, name, EDITS[name].middle)
    for name in EDITS.keys() - set(EXACT):
        with pytest.raises(InputError, match=f"{name} has no one right answer"):
            exact(images, name, EDITS[name].middle)
