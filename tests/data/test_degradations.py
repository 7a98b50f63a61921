"""What restorers are to undo: the same for the same pixels, and learned as it is scored."""

from __future__ import annotations

import json
import math
from typing import Any, cast

import pytest
import torch
from pieces import astronaut, photos_of
from torch import Tensor

from benchbench.core.colour import luma
from benchbench.core.runtime import Runtime
from benchbench.data.degrade.degradations import Blocked, Degrades, Downscaled, Noisy
from benchbench.data.degrade.jpeg import jpeg
from benchbench.data.degrade.resize import imresize, mod_crop, to_uint8
from benchbench.tasks.restoration.restoration import Restoration

GAUSSIAN = Noisy("gaussian", 25)
ALL: list[Degrades] = [
    Downscaled(2),
    Downscaled(3),
    Downscaled(4, luma=True),
    Blocked(10),
    GAUSSIAN,
    Noisy("gaussian", 15, clipped=True),
    Noisy("saltpepper", 0.1),
    Noisy("poisson", 30),
]
NOISES = [own for own in ALL if isinstance(own, Noisy)]


PIECES = [astronaut(40, 36, 0, 180), astronaut(36, 48, 100, 200), astronaut(37, 41, 200, 0)]


def restoration(images: list[Tensor], degradation: Degrades, runtime: Runtime | None = None) -> Restoration:
    """Test images of that content in that order, with no model."""
    return Restoration(cast(Any, None), photos_of(images), degradation, runtime or Runtime())


@pytest.mark.parametrize("degradation", ALL, ids=lambda own: own.name)
def test_the_pixels_alone_say_how_an_image_is_degraded(degradation: Degrades) -> None:
    """In another order, among other images, after other random numbers were drawn and with other batches: the same
    degraded image, to the bit."""
    first = restoration(PIECES, degradation)
    found = [first.degraded(row) for row in range(3)]
    torch.manual_seed(99)
    torch.rand(10)
    other = restoration([PIECES[2], PIECES[0]], degradation, Runtime(batch_size=7))
    assert torch.equal(other.degraded(1), found[0])
    assert torch.equal(other.degraded(0), found[2])
    assert torch.equal(first.degraded(1), found[1])


@pytest.mark.parametrize("degradation", NOISES, ids=lambda own: own.name)
def test_different_images_have_different_noise(degradation: Noisy) -> None:
    """Two images of one size, one pixel apart: where they are equal the noise of them is not."""
    one, other = PIECES[0], PIECES[0].clone()
    other[0, 0, 0, 0] ^= 1
    noisy = [restoration([one, other], degradation).degraded(row) for row in range(2)]
    assert (noisy[0] != noisy[1])[..., 1:, 1:].float().mean() > 0.05
    errors = torch.stack([(x.float() - one)[..., 1:, 1:].flatten() for x in noisy])
    assert abs(float(torch.corrcoef(errors)[0, 1])) < 5 / math.sqrt(errors.shape[1])


@pytest.mark.parametrize("degradation", ALL, ids=lambda own: own.name)
def test_what_comes_out(degradation: Degrades) -> None:
    """Of an image of odd sides: 1×3×(H/scale)×(W/scale) of what the scale divides, uint8 where a file would hold it
    and float32 where the papers neither round nor clip."""
    rounded = (
        not (isinstance(degradation, Noisy) and not degradation.clipped) and "luma" not in degradation.name
    )
    given = restoration(PIECES, degradation).degraded(2)
    scale = degradation.scale
    assert given.shape == (1, 3, 37 // scale, 41 // scale)
    assert given.dtype == (torch.uint8 if rounded else torch.float32)
    assert restoration(PIECES, degradation).original(2).shape == (
        1,
        3,
        37 // scale * scale,
        41 // scale * scale,
    )


@pytest.mark.parametrize("degradation", ALL, ids=lambda own: own.name)
def test_settings_say_it_in_json(degradation: Degrades) -> None:
    """They go to run.json and into keys: plain values, and two degradations never have the same ones."""
    assert json.loads(json.dumps(degradation.settings())) == degradation.settings()
    assert [own for own in ALL if own.settings() == degradation.settings()] == [degradation]
    assert len({own.name for own in ALL}) == len(ALL)


def test_what_is_learned_does_not_depend_on_what_is_compared() -> None:
    """A network for x2 learns the same whether the papers' tables on the luma or today's are made with it."""
    assert Downscaled(2, luma=True).taught() == Downscaled(2).taught() != Downscaled(3).taught()
    assert GAUSSIAN.taught() != Noisy("gaussian", 15).taught() != Noisy("gaussian", 15, clipped=True).taught()


@pytest.mark.parametrize("scale", [2, 3])
def test_smaller_is_the_bicubic_of_what_was_cut(scale: int) -> None:
    """mod-crop, MATLAB's imresize in float64, 8 bits: written out."""
    cut = mod_crop(PIECES[2], scale)
    expected = to_uint8(imresize(cut.double(), cut.shape[2] // scale, cut.shape[3] // scale))
    assert torch.equal(restoration(PIECES, Downscaled(scale)).degraded(2), expected)


def test_the_older_tables_are_of_the_luma() -> None:
    """Dong et al. 2014: the luma in 8 bits, made smaller and not rounded; a grey image of that luma is given, whose
    own luma is what was made smaller (235 of white)."""
    degradation = Downscaled(2, luma=True)
    small = imresize(to_uint8(luma(PIECES[0])).double(), 20, 18)
    given = restoration(PIECES, degradation).degraded(0)
    assert (luma(given) - small).abs().max() < 1e-4
    original = restoration(PIECES, degradation).original(0)
    assert torch.equal(original, to_uint8(luma(PIECES[0])).expand_as(original))
    white = torch.full((1, 3, 4, 4), 255, dtype=torch.uint8)
    assert degradation.compared(white).unique().tolist() == [235]


def test_clipped_noise_is_what_a_file_would_hold() -> None:
    """The same noise, rounded and clipped: half of that on black is lost (Phi(0) = 1/2)."""
    black = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    plain, clipped = (Noisy("gaussian", 25, clipped=own).of_image(black, 5) for own in (False, True))
    assert torch.equal(clipped, to_uint8(plain))
    assert (plain < -0.5).any()
    n = 64 * 64  # one plane: black is grey
    assert abs(float((clipped == 0).float().mean()) - 0.5) < 5 * 0.5 / math.sqrt(n) + 0.02
    assert Noisy("gaussian", 25, clipped=True).name == "sigma25-clipped"


@pytest.mark.parametrize("degradation", NOISES, ids=lambda own: own.name)
def test_noise_is_learned_as_it_is_scored(degradation: Noisy) -> None:
    """Of one level: mean and standard deviation of what patches get are those of what images get, within five
    standard errors of each (of the deviation: kurtosis below 10)."""
    level, n = 100, 40_000
    image = torch.full((1, 3, 200, 200), level, dtype=torch.uint8)
    image[0, 0, 0, 0] += 1  # in colour: each channel has noise of its own
    scored = degradation.of_image(image, 3).float().flatten()
    torch.manual_seed(0)
    learned = degradation.of_patches(image[:, :1].float()).flatten()
    error = float(scored.std()) / math.sqrt(n)
    assert abs(float(scored.mean() - learned.mean())) < 5 * 1.2 * error
    assert abs(float(scored.std() / learned.std()) - 1) < 5 * math.sqrt(10 / n)
    assert torch.equal(learned, learned.round()) == (degradation.clipped or degradation.kind == "saltpepper")


def test_strengths_are_in_their_units() -> None:
    """Gaussian: sigma in levels. Salt and pepper: a tenth of the values, half of them white. Poisson: of level v
    variance 255 v / peak. Each within five standard errors."""
    n = 40_000
    levels = torch.full((1, 1, 200, 200), 100.0)
    torch.manual_seed(1)
    assert abs(float(GAUSSIAN.of_patches(levels).std()) - 25) < 5 * 25 / math.sqrt(2 * n)
    lost = Noisy("saltpepper", 0.1).of_patches(levels)
    for extreme in (0, 255):
        assert abs(float((lost == extreme).float().mean()) - 0.05) < 5 * math.sqrt(0.05 * 0.95 / n)
    variance = float(Noisy("poisson", 30).of_patches(levels).var())
    assert abs(variance / (255 * 100 / 30) - 1) < 5 * math.sqrt(3 / n)
    many = Noisy("poisson", 1e6).of_patches(levels)  # with so many photons the mean is sharp
    assert abs(float(many.double().mean()) - 100) < 5 * math.sqrt(255 * 100 / 1e6 / n) + 1e-3


def test_sizes_and_jpeg_are_learned_as_they_are_scored() -> None:
    """Downscaling in float32 rounds to the level that float64 rounds to, but where a value lies on the edge; JPEG of
    three channels is that of images, of one channel that of grey ones."""
    image = PIECES[0]
    scored = Downscaled(2).of_image(image, 0).float()
    learned = Downscaled(2).of_patches(image.float())
    assert (scored - learned).abs().max() <= 1
    assert (scored != learned).float().mean() < 0.01
    assert torch.equal(Blocked(10).of_patches(image.float()), jpeg(image, 10).float())
    grey = image[:, :1]
    expected = jpeg(grey.expand(-1, 3, -1, -1), 10)[:, :1].float()
    assert torch.equal(Blocked(10).of_patches(grey.float()), expected)


@pytest.mark.parametrize("degradation", NOISES, ids=lambda own: own.name)
def test_noise_on_grey_images_is_grey(degradation: Noisy) -> None:
    """R = G = B stays so: papers add one plane of noise to their grey images."""
    grey = PIECES[0][:, :1].expand(-1, 3, -1, -1).contiguous()
    noisy = restoration([grey], degradation).degraded(0)
    assert torch.equal(noisy[:, :1].expand_as(noisy), noisy)
    assert not torch.equal(noisy.float(), grey.float())


def test_one_pixel() -> None:
    """The smallest image there is has noise and goes through a JPEG file."""
    pixel = torch.full((1, 3, 1, 1), 100, dtype=torch.uint8)
    for degradation in (own for own in ALL if own.scale == 1):
        assert restoration([pixel], degradation).degraded(0).shape == (1, 3, 1, 1)
