"""What pairs look like: each slip, made on purpose on scikit-image's photographs, is named, and what interpolation,
noise and JPEG do to them is not."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from benchbench.runner.advice import SENTENCES, Signs, shift, signs, why_unlike

PHOTOS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "camera.png",
    "coins.png",
    "gravel.png",
    "ihc.png",
    "retina.jpg",
)
"""Colour and grey, textures, a face, and one whose corners are black; all in scikit-image's wheel."""

Resampling = Image.Resampling


@cache
def photo(name: str) -> Any:
    """The upper left 240 pixels, uint8 240×240×3: a multiple of 2, 3, 4 and 8."""
    with Image.open(Path(str(files("skimage") / "data" / name))) as image:
        return np.asarray(image.convert("RGB"))[:240, :240]


def tensor(image: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def resized(image: Any, scale: int, down: Resampling, up: Resampling) -> Any:
    own = Image.fromarray(image)
    return np.asarray(own.resize((own.width // scale, own.height // scale), down).resize(own.size, up))


def noisy(image: Any, sigma: float) -> Any:
    """Grey noise on grey photographs, as a model of one channel leaves it."""
    channels = 1 if np.ptp(image, axis=2).max() == 0 else 3
    noise = np.random.default_rng(0).normal(0, sigma, (*image.shape[:2], channels))
    return (image + noise).round().clip(0, 255).astype(np.uint8)


def jpeg(image: Any, quality: int) -> Any:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


RIGHT: dict[str, Callable[[Any], Any]] = {
    "bicubic": lambda image: resized(image, 2, Resampling.BICUBIC, Resampling.BICUBIC),
    "bicubic x4": lambda image: resized(image, 4, Resampling.BICUBIC, Resampling.BICUBIC),
    "bicubic x8": lambda image: resized(image, 8, Resampling.BICUBIC, Resampling.BICUBIC),
    "Lanczos": lambda image: resized(image, 3, Resampling.LANCZOS, Resampling.LANCZOS),
    "bilinear of boxes": lambda image: resized(image, 3, Resampling.BOX, Resampling.BILINEAR),
    "nearest": lambda image: resized(image, 4, Resampling.BICUBIC, Resampling.NEAREST),
    "noise 5": lambda image: noisy(image, 5),
    "noise 50": lambda image: noisy(image, 50),
    "JPEG 10": lambda image: jpeg(image, 10),
    "JPEG 90": lambda image: jpeg(image, 90),
    "darker": lambda image: image // 2,
}


@pytest.mark.costly
@pytest.mark.parametrize("made", RIGHT)
@pytest.mark.parametrize("border", [1, 4])
def test_right_outputs_are_passed_over(made: str, border: int) -> None:
    """Of each photograph alone, so that none hides among the others."""
    for name in PHOTOS:
        found = Signs(border)
        found.update(tensor(RIGHT[made](photo(name)))[None], tensor(photo(name))[None])
        assert found.sentences() == [], name


def blurred(image: Any) -> Any:
    """What stands for a right output."""
    return resized(image, 2, Resampling.BICUBIC, Resampling.BICUBIC)


def framed(image: Any, pixels: int) -> Any:
    out = np.zeros_like(image)
    out[pixels:-pixels, pixels:-pixels] = blurred(image)[pixels:-pixels, pixels:-pixels]
    return out


def with_border_of(image: Any, other: Any, pixels: int) -> Any:
    """The right output, with another border."""
    out = other.copy()
    out[pixels:-pixels, pixels:-pixels] = blurred(image)[pixels:-pixels, pixels:-pixels]
    return out


def grey(image: Any) -> Any:
    return np.asarray(Image.fromarray(image).convert("L").convert("RGB"))


WRONG: dict[str, tuple[str, Callable[[Any], tuple[Any, Any]]]] = {
    "the reference itself": ("equal", lambda image: (image, image)),
    "converted to grey": ("grey", lambda image: (grey(blurred(image)), image)),
    "held against grey": ("coloured", lambda image: (blurred(image), grey(image))),
    "nearly grey": ("faded", lambda image: ((grey(image) * 0.97 + image * 0.03).astype(np.uint8), image)),
    "BGR": ("swapped", lambda image: (blurred(image)[..., ::-1], image)),
    "0 to 1 as whole numbers": ("dark", lambda image: (image // 200, image)),
    "copied border": ("copied", lambda image: (with_border_of(image, image, 4), image)),
    "black frame": ("frame", lambda image: (framed(image, 4), image)),
    "border wrapped around": ("worse", lambda image: (with_border_of(image, 255 - image, 4), image)),
}


@pytest.mark.parametrize("slip", WRONG)
def test_each_slip_is_named_and_nothing_else(slip: str) -> None:
    """On the astronaut and the cat: one sentence, the one of the slip."""
    sign, make = WRONG[slip]
    found = Signs(4)
    for name in ("astronaut.png", "chelsea.png"):
        output, reference = make(photo(name))
        assert signs(tensor(output), tensor(reference), 4) == {sign}, name
        found.update(tensor(output)[None], tensor(reference)[None])
    assert found.sentences() == [SENTENCES[sign].format(n=2, of=2, border=4)]


def test_one_odd_pair_of_many_is_passed_over_but_for_colours() -> None:
    """A frame around one of three outputs is chance; one grey output among colour is not comparable."""
    image = photo("astronaut.png")
    right = tensor(blurred(image))
    for odd, said in ((framed(image, 4), 0), (grey(blurred(image)), 1)):
        found = Signs(4)
        found.update(torch.stack([right, tensor(odd), right]), tensor(image)[None].expand(3, -1, -1, -1))
        assert len(found.sentences()) == said


def test_a_border_may_be_left_out() -> None:
    """Of filled holes: the copied border is the known pixels."""
    image = photo("astronaut.png")
    output = tensor(with_border_of(image, image, 4))
    assert signs(output, tensor(image), 4) == {"copied"}
    assert signs(output, tensor(image), 0) == set()


class TestShift:
    @pytest.mark.parametrize("scale", [2, 3, 4])
    def test_every_second_pixel(self, scale: int) -> None:
        """Inputs that are image[::s, ::s] hold the pixels at the upper left of each block of s, whose middle is
        (s − 1) / 2 pixels to the right and below: enlarged, they show everything that much further there. To a tenth of
        it, for what aliasing adds has no direction."""
        for name in ("astronaut.png", "chelsea.png", "coins.png"):
            image = photo(name)
            small = Image.fromarray(image[::scale, ::scale])
            output = np.asarray(small.resize((240, 240), Resampling.BICUBIC))
            found = shift(tensor(output), tensor(image), 2 * scale + 3)
            assert found == pytest.approx(((scale - 1) / 2,) * 2, rel=0.15), name

    def test_a_pixel_to_the_left_and_two_up(self) -> None:
        """Another part of the photograph, known by its making; and the sentence says which way."""
        image = photo("astronaut.png")
        output, reference = tensor(blurred(image)[12:232, 11:231]), tensor(image[10:230, 10:230])
        assert shift(output, reference, 7) == pytest.approx((-1, -2), rel=0.1)
        found = Signs(2)
        found.update(output[None], reference[None])
        (said,) = found.sentences()
        words = re.match(
            r"outputs lie about (\S+) pixels to the left of their references and (\S+) above them", said
        )
        assert words is not None
        assert [float(word) for word in words.groups()] == pytest.approx([1, 2], rel=0.15)

    @pytest.mark.parametrize("side", [1, 2, 9, 14])
    def test_small_and_flat_images_tell_nothing(self, side: int) -> None:
        """Too small for the window, or without gradients: no shift, and no sign but equality."""
        flat = torch.full((3, side, side), 90, dtype=torch.uint8)
        assert shift(flat + 1, flat) is None
        found = Signs(4)
        found.update((flat + 1)[None], flat[None])
        assert found.sentences() == []

    def test_stripes_tell_no_direction(self) -> None:
        """Along its stripes a pattern can be moved freely: nobody knows how far it was."""
        stripes = torch.arange(60).remainder(12).mul(20).to(torch.uint8).expand(3, 60, 60).contiguous()
        assert shift(stripes.roll(1, 2), stripes) is None


@pytest.mark.parametrize(
    ("output", "reference", "scale", "sentence"),
    [
        ((64, 64), (256, 256), 4, "as large as the low-resolution input"),
        ((63, 64), (255, 257), 4, "as large as the low-resolution input"),
        ((128, 128), (256, 256), 4, "the input made 2 times larger: the outputs are not of --scale 4"),
        ((85, 85), (256, 256), 4, "3 times smaller, as inputs of --scale 3 are"),
        ((255, 255), (256, 256), 4, "the size of outputs of --scale 3"),
        ((512, 512), (256, 256), 2, "2 times larger: the reference looks like its input"),
        ((1024, 1024), (256, 256), 1, "4 times larger"),
        ((64, 64), (256, 256), 1, "4 times smaller"),
        ((256, 321), (321, 256), 1, "turned by 90 degrees"),
        ((252, 252), (256, 256), 4, "larger by exactly the scale, 4 pixels"),
        (
            (248, 248),
            (256, 256),
            4,
            "a border of 4 pixels is missing on each side: the outputs are shaved already",
        ),
        ((244, 244), (256, 256), 2, "a border of 6 pixels"),
        ((254, 254), (256, 256), 1, "a border of 1 pixel is missing"),
    ],
)
def test_sizes_that_a_slip_explains(
    output: tuple[int, int], reference: tuple[int, int], scale: int, sentence: str
) -> None:
    """By arithmetic: references are cut to multiples of the scale, inputs are that divided by it."""
    found = why_unlike(output, reference, scale)
    assert found is not None
    assert sentence in found


@pytest.mark.parametrize(
    ("output", "reference", "scale"),
    [
        ((250, 251), (256, 256), 4),
        ((1, 1), (256, 256), 4),
        ((300, 300), (256, 256), 4),
        ((256, 200), (256, 256), 1),
    ],
)
def test_other_sizes_are_not_explained(
    output: tuple[int, int], reference: tuple[int, int], scale: int
) -> None:
    """Nobody guesses."""
    assert why_unlike(output, reference, scale) is None
