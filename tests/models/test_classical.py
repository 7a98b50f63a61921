"""Classical denoisers and interpolation: what they compute, and on what their one strength is chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pieces import astronaut
from PIL import Image
from scipy import ndimage
from skimage import restoration
from torch import Tensor

from benchbench.core.protocols import ImageSpec
from benchbench.data.degrade.degradations import Blocked, Degrades, Downscaled, Noisy
from benchbench.models.build import build_model
from benchbench.models.restoration.classical import ClassicalDenoiser

NAMES = ("gaussian-filter", "median-filter", "bilateral", "wavelet", "nl-means", "tv")
NOISE = Noisy("gaussian", 25)


def build(name: str, degradation: Degrades = NOISE, **hyper: Any) -> ClassicalDenoiser:
    model = build_model(name, hyper, ImageSpec(24, 24, False, 0, degradation))
    assert isinstance(model, ClassicalDenoiser)
    return model


def grey(image: Tensor) -> Tensor:
    return image[:, :1].expand(-1, 3, -1, -1).contiguous()


@pytest.mark.costly
@pytest.mark.parametrize("name", NAMES)
def test_the_strength_is_the_best_on_what_is_learned_from(name: str) -> None:
    """The highest mean of PSNR = −10 log10 MSE over the pieces, each with noise of its own, among the candidates;
    what is watched has no part in it, and the record says what was found."""
    train = torch.cat([astronaut(24, 24), astronaut(24, 24, 300)])
    model = build(name)
    assert not model.ready
    model.fit(train, torch.zeros_like(train))
    again = build(name)
    again.fit(train, train.flip(0))
    assert again.chosen == model.chosen
    assert model.ready
    means = {}
    for strength in model.candidates:
        fixed = build(name, strength=float(strength))
        errors = [
            ((fixed.restore(NOISE.of_image(image[None], i)) - image.float()) / 255).square().mean()
            for i, image in enumerate(train)
        ]
        means[strength] = float(np.mean([-10 * np.log10(float(error)) for error in errors]))
    best = max(means, key=lambda strength: means[strength])
    assert model.chosen["strength"] == best
    assert list(model.chosen["chosen_among"].values()) == pytest.approx(list(means.values()), abs=2e-3)
    assert means[best] > -10 * np.log10(25**2 / 255**2)  # better than the noise


@pytest.mark.parametrize("name", NAMES)
def test_a_strength_that_is_set_needs_no_images(name: str) -> None:
    """It is ready, and says which strength it has."""
    model = build(name, strength=2.0)
    assert model.ready
    assert model.chosen == {"strength": 2.0}


@pytest.mark.costly
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("degradation", [NOISE, Blocked(10), Noisy("poisson", 30)], ids=lambda own: own.name)
def test_forms_and_sizes(name: str, degradation: Degrades) -> None:
    """Floats for floats and 8 bits for 8 bits, of odd sizes down to one pixel and one line, all finite; grey stays
    grey; what is not grey is not treated as if it were."""
    model = build(name, degradation, strength=1.0)
    for size in ((19, 23), (1, 1), (1, 9), (9, 1), (2, 3)):
        for image in (astronaut(*size), grey(astronaut(*size))):
            given = degradation.of_image(image, 4)
            made = model.restore(given)
            assert (made.dtype, made.shape) == (given.dtype, image.shape)
            assert torch.isfinite(made.float()).all()
            if torch.equal(image, grey(image)):
                assert torch.equal(made, grey(made))
            elif size == (19, 23):
                assert not torch.equal(made, grey(made))


def test_they_are_the_filters_of_their_libraries() -> None:
    """SciPy's Gaussian and median of each channel, scikit-image's total variation of the colour image, on levels in
    [0, 1]."""
    image = NOISE.of_image(astronaut(20, 26), 2)
    levels = image[0].numpy().astype(np.float64) / 255
    expected = {
        "gaussian-filter": np.stack([ndimage.gaussian_filter(channel, 1.2) for channel in levels]),
        "median-filter": np.stack([ndimage.median_filter(channel, 5) for channel in levels]),
        "tv": restoration.denoise_tv_chambolle(levels, weight=0.1, channel_axis=0),
    }
    for (name, own), strength in zip(expected.items(), (1.2, 5, 0.1), strict=True):
        made = build(name, strength=strength).restore(image)[0].numpy() / 255
        assert np.abs(made - own).max() < 1e-6


@pytest.mark.parametrize("name", ["wavelet", "nl-means"])
def test_the_noise_level_is_that_of_the_task(name: str) -> None:
    """25/255 where the noise is Gaussian of sigma 25; of other noise scikit-image's estimate, which is near the
    deviation of the noise on a flat image."""
    flat = np.full((64, 64), 0.5)
    assert build(name).noise(flat, None) == 25 / 255
    noise = np.random.default_rng(0).normal(0, 0.1, flat.shape)
    assert build(name, Noisy("poisson", 30)).noise(flat + noise, None) == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("degradation", [Blocked(10), Noisy("poisson", 30)], ids=lambda own: own.name)
def test_a_flat_image_stays_flat(name: str, degradation: Degrades, recwarn: pytest.WarningsRecorder) -> None:
    """Where nothing varies the estimated noise is no number; whoever filters leaves such an image as it is, and no
    library speaks to the user."""
    flat = torch.full((1, 3, 24, 24), 200, dtype=torch.uint8)
    given = flat if degradation.name.startswith("q") else flat.float()
    made = build(name, degradation, strength=1.0).restore(given)
    assert (made.float() - 200).abs().max() < 1e-3
    build(name, degradation, strength=1.0).restore(given[..., :1])
    assert not [str(own.message) for own in recwarn]


def test_a_median_takes_single_pixels_away() -> None:
    """Tukey 1977: what is less than half of a window is gone."""
    image = torch.full((1, 3, 9, 9), 100, dtype=torch.uint8)
    image[0, :, ::3, ::3] = 255
    assert build("median-filter", strength=3).restore(image).unique().tolist() == [100]


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("lanczos", Image.Resampling.LANCZOS),
        ("bilinear", Image.Resampling.BILINEAR),
        ("nearest", Image.Resampling.NEAREST),
    ],
)
def test_pillow_interpolates(name: str, how: Image.Resampling) -> None:
    """As `Image.resize` of the same image does, on 8 bits; on floats a channel at a time, within two levels of it where
    nothing was clipped, for 8 bits are rounded after each of two passes; a batch is its images."""
    model = build_model(name, {}, ImageSpec(24, 24, False, 0, Downscaled(3)))
    small = astronaut(9, 7)
    picture = Image.fromarray(small[0].permute(1, 2, 0).numpy()).resize((21, 27), how)
    made = model.restore(torch.cat([small, small.flip(3)]))  # type: ignore[operator]
    assert np.array_equal(made[0].permute(1, 2, 0).numpy(), np.asarray(picture))
    levels = model.restore(small.float())  # type: ignore[operator]
    assert levels.dtype == torch.float32
    inside = (levels > 1) & (levels < 254)
    assert ((levels - made[:1].float()).abs()[inside] <= 2).all()


def test_nearest_repeats_each_pixel() -> None:
    """Closed form."""
    model = build_model("nearest", {}, ImageSpec(24, 24, False, 0, Downscaled(2)))
    small = astronaut(5, 4)
    expected = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(model.restore(small), expected)  # type: ignore[operator]
