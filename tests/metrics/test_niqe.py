"""NIQE: against the method step by step in NumPy and SciPy, the fit of distributions with known parameters, and what is
said of images and of models that cannot be used."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat
from scipy.ndimage import correlate, gaussian_filter
from scipy.special import gamma
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.data.degrade.resize import imresize
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.pairs import niqe as module
from benchbench.metrics.pairs.niqe import (
    ENV,
    NIQE,
    NUMBERS,
    Pristine,
    fit_pristine,
    load_pristine,
    niqe,
    save_pristine,
)
from benchbench.metrics.pairs.paired import PairReader

PHOTOGRAPHS = (
    "camera.png",
    "coffee.png",
    "chelsea.png",
    "rocket.jpg",
    "grass.png",
    "brick.png",
    "motorcycle_left.png",
)

UNIT = Pristine(torch.zeros(NUMBERS).double(), torch.eye(NUMBERS).double())


def photograph(name: str) -> Tensor:
    """One of scikit-image's, uint8 1×3×H×W."""
    import skimage.data

    with Image.open(Path(skimage.data.__file__).parent / name) as file:
        return torch.from_numpy(np.array(file.convert("RGB"))).permute(2, 0, 1)[None].contiguous()


@pytest.fixture(scope="module")
def pristine() -> Pristine:
    """Of photographs that scikit-image ships: enough for tests, not for a number of anybody's."""
    return fit_pristine(photograph(name) for name in PHOTOGRAPHS)


def aggd(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """The asymmetric generalised Gaussian whose moments these are: every shape from 0.2 to 10 in thousandths is
    tried."""
    shapes = np.arange(0.2, 10.0005, 0.001)
    left, right = np.sqrt((values[values < 0] ** 2).mean()), np.sqrt((values[values > 0] ** 2).mean())
    ratio = left / right
    moment = np.abs(values).mean() ** 2 / (values**2).mean()
    moment *= (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    tried = gamma(2 / shapes) ** 2 / (gamma(1 / shapes) * gamma(3 / shapes))
    shape = shapes[np.argmin((tried - moment) ** 2)]
    width = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * width, right * width


def normalised(image: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    line = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
    window = np.outer(line, line) / line.sum() ** 2
    mean = correlate(image, window, mode="nearest")
    deviation = np.sqrt(np.abs(correlate(image**2, window, mode="nearest") - mean**2))
    return (image - mean) / (deviation + 1), deviation


def numbers(patch: NDArray[np.float64]) -> list[float]:
    shape, left, right = aggd(patch)
    found = [shape, (left + right) / 2]
    for shift in ((0, 1), (1, 0), (1, 1), (-1, 1)):
        shape, left, right = aggd(patch * np.roll(patch, shift, (0, 1)))
        found += [shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right]
    return found


def step_by_step(image: NDArray[np.float64], pristine: Pristine) -> float:
    """computequality.m of the authors, of a grey image H×W."""
    rows, columns = (side // 96 for side in image.shape)
    image = image[: rows * 96, : columns * 96]
    half = imresize(torch.from_numpy(image)[None, None], rows * 48, columns * 48)[0, 0].numpy()
    scales = [(normalised(image)[0], 96), (normalised(half)[0], 48)]
    patches = np.array(
        [
            [n for plane, s in scales for n in numbers(plane[r * s : (r + 1) * s, c * s : (c + 1) * s])]
            for r in range(rows)
            for c in range(columns)
        ]
    )
    away = patches.mean(0) - pristine.mean.numpy()
    pooled = (np.cov(patches, rowvar=False) + pristine.covariance.numpy()) / 2
    return float(np.sqrt(away @ np.linalg.pinv(pooled) @ away))


@pytest.mark.costly
@pytest.mark.parametrize("name", ["astronaut.png", "ihc.png"])
def test_is_the_method_step_by_step(name: str, pristine: Pristine) -> None:
    """Oracle: another arrangement of the same steps, patch by patch. 1e-7: the fitted shapes come from one grid of
    thousandths, so they are equal, and what is left is float64 through the inverse of a matrix."""
    image = photograph(name)[:, :, :300, :410]
    grey = (image[0].double() * torch.tensor([0.299, 0.587, 0.114]).double()[:, None, None]).sum(0)
    assert niqe(image, pristine).item() == pytest.approx(step_by_step(grey.numpy(), pristine), rel=1e-7)


@pytest.mark.costly
def test_what_was_done_to_a_photograph_is_seen(pristine: Pristine) -> None:
    """A photograph that is no part of the model: blur and noise each move it away, more of them further (the paper's
    claim), and its own statistics are nearer than those of either."""
    image = photograph("astronaut.png")
    smooth = [
        torch.from_numpy(gaussian_filter(image.double().numpy(), (0, 0, s, s))).round().to(torch.uint8)
        for s in (1.5, 4.0)
    ]
    rng = torch.Generator().manual_seed(0)
    grain = torch.randn(image.shape, generator=rng)
    noisy = [(image + s * grain).clamp(0, 255).to(torch.uint8) for s in (15, 45)]
    whole, *rest = (niqe(made, pristine).item() for made in (image, *smooth, *noisy))
    assert 0 < whole < min(rest)
    assert rest[0] < rest[1]
    assert rest[2] < rest[3]


@pytest.mark.parametrize(("shape", "draw"), [(1.0, "laplace"), (2.0, "normal")])
def test_the_fit_finds_what_was_drawn(shape: float, draw: str) -> None:
    """A Laplace distribution has shape 1 and width its scale, a normal one shape 2 and width σ√2. Twice as wide above
    0, where two of three draws lie, it is the asymmetric one. 4% is three standard errors of 40,000 draws."""
    rng = np.random.default_rng(0)
    sizes = np.abs(getattr(rng, draw)(size=(2, 200, 200)))
    above = rng.random(sizes.shape) < 2 / 3
    found = module._fit(torch.from_numpy(np.where(above, 2 * sizes, -sizes)))
    width = 1 if draw == "laplace" else 2**0.5
    for own, expected in zip(found, (shape, width, 2 * width), strict=True):
        torch.testing.assert_close(own, torch.full((2,), expected, dtype=torch.float64), rtol=0.04, atol=0)


@pytest.mark.costly
def test_each_image_alone_in_grey_and_in_levels() -> None:
    """An image's number does not depend on its batch; one channel is R = G = B; whole levels are the image."""
    x = torch.cat([photograph("astronaut.png")[..., a : a + 96, :200] for a in (0, 96)])
    together = niqe(x, UNIT)
    assert niqe(x[1:], UNIT).tolist() == together[1:].tolist()
    assert niqe(x.double(), UNIT, levels=True).tolist() == together.tolist()
    grey = x[:, :1]
    torch.testing.assert_close(niqe(grey, UNIT), niqe(grey.expand(-1, 3, -1, -1), UNIT), rtol=1e-6, atol=0)


def test_images_of_which_nothing_can_be_said() -> None:
    """One patch has no covariance, and a flat image no distribution."""
    with pytest.raises(MetricFailed, match=r"two whole patches, 96×192 pixels, but has 191×191"):
        niqe(torch.zeros(1, 3, 191, 191, dtype=torch.uint8), UNIT)
    assert niqe(torch.full((1, 3, 96, 192), 7, dtype=torch.uint8), UNIT).isnan().all()
    with pytest.raises(InputError, match="must be uint8"):
        niqe(torch.zeros(1, 3, 192, 192), UNIT)


def test_photographs_that_make_no_model() -> None:
    """Too few sharp patches for a covariance of 36 numbers, and none at all."""
    with pytest.raises(InputError, match=r"have \d+ sharp patches .* needs 37"):
        fit_pristine([photograph("chelsea.png")])
    with pytest.raises(InputError, match="have 0 sharp patches"):
        fit_pristine([])


def test_models_in_files(tmp_path: Path) -> None:
    """Ours, the authors' .mat and BasicSR's .npz hold the same two arrays by three pairs of names."""
    mean, covariance = UNIT.mean.numpy(), UNIT.covariance.numpy()
    save_pristine(tmp_path / "own.npz", UNIT)
    savemat(tmp_path / "modelparameters.mat", {"mu_prisparam": mean[None], "cov_prisparam": covariance})
    np.savez(tmp_path / "basicsr.npz", mu_pris_param=mean[None], cov_pris_param=covariance)
    for name in ("own.npz", "modelparameters.mat", "basicsr.npz"):
        found = load_pristine(tmp_path / name)
        assert torch.equal(found.mean, UNIT.mean)
        assert torch.equal(found.covariance, UNIT.covariance)


def test_files_that_hold_none(tmp_path: Path) -> None:
    """A missing one, a pipe, a truncated one, one of others, other shapes and what is not finite: one sentence each."""
    save_pristine(tmp_path / "whole.npz", UNIT)
    content = (tmp_path / "whole.npz").read_bytes()
    savemat(tmp_path / "whole.mat", {"mu_prisparam": np.zeros((1, 36)), "cov_prisparam": np.eye(36)})
    (tmp_path / "half.npz").write_bytes(content[: len(content) // 2])
    (tmp_path / "half.mat").write_bytes((tmp_path / "whole.mat").read_bytes()[:300])
    (tmp_path / "text.mat").write_text("no model")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    np.savez(tmp_path / "small.npz", mu=np.zeros(3), sigma=np.eye(3))
    np.savez(tmp_path / "broken.npz", mu=np.full(36, np.nan), sigma=np.eye(36))
    np.savez(tmp_path / "text.npz", mu=np.array("a"), sigma=np.array("b"))
    large = {"mu_prisparam": np.zeros((1, 36)), "cov_prisparam": np.zeros((2000, 2000))}
    savemat(tmp_path / "large.mat", large, do_compression=True)  # 32 MB in 31 kB; never unpacked
    os.mkfifo(tmp_path / "pipe.npz")
    names = (
        "half.npz",
        "half.mat",
        "text.mat",
        "large.mat",
        "other.npz",
        "small.npz",
        "broken.npz",
        "text.npz",
        "pipe.npz",
    )
    for name in (*names, "nowhere.npz", "nowhere.mat"):
        with pytest.raises(InputError) as caught:
            load_pristine(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert 20 < len(str(caught.value)) < 400


def test_as_a_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of outputs alone, whatever the right answers are; without a model it is unavailable with the way to get one,
    and a model that cannot be read says so."""
    x = photograph("astronaut.png")[..., :96, :192]

    def scored(truth: Tensor) -> float:
        reader = PairReader({"niqe": NIQE().of_pairs})
        reader.update(x, truth)
        return NIQE().compute(Evidence(pairs={"truth": reader.compute()})).value

    monkeypatch.delenv(ENV, raising=False)
    with pytest.raises(MetricFailed, match=rf"point {ENV} to .*fit one with") as caught:
        scored(x)
    assert caught.value.status == "unavailable"
    save_pristine(tmp_path / "own.npz", UNIT)
    monkeypatch.setenv(ENV, str(tmp_path / "own.npz"))
    assert scored(x) == scored(255 - x) == niqe(x, UNIT).item()
    monkeypatch.setenv(ENV, str(tmp_path / "nowhere.npz"))
    with pytest.raises(MetricFailed, match=f"{ENV}: ") as caught:
        scored(x)
    assert caught.value.status == "unavailable"


def test_a_model_has_36_numbers() -> None:
    """Whoever makes one of something else is told."""
    with pytest.raises(InputError, match="36 numbers and a covariance of 36×36, not 3 and 3×3"):
        Pristine(torch.zeros(3), torch.eye(3))
    with pytest.raises(InputError, match="not finite"):
        Pristine(torch.zeros(NUMBERS), torch.eye(NUMBERS) / 0)


@pytest.mark.parametrize(
    ("covariance", "sentence"),
    [
        (-np.eye(NUMBERS), "negative eigenvalue -1"),
        (np.tri(NUMBERS), "not symmetric, so it is no covariance"),
    ],
)
def test_a_model_has_a_covariance(covariance: NDArray[np.float64], sentence: str) -> None:
    """By definition a covariance is symmetric and has no negative eigenvalue. Under one that has, the square of a
    distance falls below 0, and every image would score 0, the best there is."""
    with pytest.raises(InputError, match=f"{sentence}.*; give the right file, or fit it anew"):
        Pristine(torch.zeros(NUMBERS), torch.from_numpy(covariance))


def test_a_model_of_any_array() -> None:
    """The same numbers in float32, from NumPy or in lists make the same model: equal to the bit."""
    x = photograph("astronaut.png")[..., :96, :192]
    for made in (np.asarray, torch.Tensor.float, torch.Tensor.tolist):
        model = Pristine(made(UNIT.mean), made(UNIT.covariance))
        assert torch.equal(niqe(x, model), niqe(x, UNIT))
