"""Resizing as MATLAB does it: closed forms, the steps of MATLAB's documentation one by one, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.data.degrade.resize import (
    KERNELS,
    imresize,
    imresize_by,
    mod_crop,
    scaled_size,
    to_uint8,
    weight_matrix,
)


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, 3, height, width, generator=generator, dtype=torch.float64) * 255


def kernel_at(kernel: str, x: float) -> float:
    """The kernels as MATLAB's imresize.m writes them, for one number."""
    absx = abs(x)
    if kernel == "box":
        return float(-0.5 <= x < 0.5)
    if kernel == "linear":
        return (x + 1) * (-1 <= x < 0) + (1 - x) * (0 <= x <= 1)
    if kernel == "cubic":
        return (1.5 * absx**3 - 2.5 * absx**2 + 1) * (absx <= 1) + (
            -0.5 * absx**3 + 2.5 * absx**2 - 4 * absx + 2
        ) * (1 < absx <= 2)
    lobes, eps = int(kernel[-1]), np.finfo(float).eps
    above = math.sin(math.pi * x) * math.sin(math.pi * x / lobes) + eps
    return above / (math.pi**2 * x**2 / lobes + eps) * (absx < lobes)


def slow_line(line: np.ndarray, out: int, scale: float, kernel: str, antialias: bool) -> np.ndarray:
    """One line, pixel by pixel: `contributions` of imresize.m, with its numbers from 1."""
    width = {"box": 1.0, "linear": 2.0, "cubic": 4.0, "lanczos2": 4.0, "lanczos3": 6.0}[kernel]
    shrinks = scale < 1 and antialias
    width = width / scale if shrinks else width
    mirrored = list(range(1, len(line) + 1)) + list(range(len(line), 0, -1))
    result = []
    for x in range(1, out + 1):
        u = x / scale + 0.5 * (1 - 1 / scale)
        left = math.floor(u - width / 2)
        places = [left + k for k in range(math.ceil(width) + 2)]
        weights = [
            scale * kernel_at(kernel, scale * (u - p)) if shrinks else kernel_at(kernel, u - p)
            for p in places
        ]
        values = [line[mirrored[(p - 1) % len(mirrored)] - 1] for p in places]
        result.append(sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights))
    return np.array(result)


def slow(plane: np.ndarray, size: tuple[int, int], scale: tuple[float, float], *how: object) -> np.ndarray:
    tall = np.stack([slow_line(column, size[0], scale[0], *how) for column in plane.T], axis=1)  # type: ignore[arg-type]
    return np.stack([slow_line(row, size[1], scale[1], *how) for row in tall])  # type: ignore[arg-type]


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("have", "want"), [((9, 12), (4, 6)), ((7, 5), (14, 17)), ((3, 11), (1, 12))])
def test_as_matlab_documents_it(
    kernel: str, antialias: bool, have: tuple[int, int], want: tuple[int, int]
) -> None:
    """Against the algorithm as MATLAB documents it, written here without a matrix: odd sizes, both directions at once,
    kernels wider than the image."""
    images = noise(*have)
    scale = want[0] / have[0], want[1] / have[1]
    expected = slow(images[1, 2].numpy(), want, scale, kernel, antialias)
    found = imresize(images, *want, kernel, antialias)
    assert found.shape == (2, 3, *want)
    np.testing.assert_allclose(found[1, 2].numpy(), expected, rtol=0, atol=1e-9)


def test_by_a_scale_that_does_not_divide() -> None:
    """MATLAB: pixels are 1/scale apart, so 3 of 5 by one half are other pixels than 3 of 5 by size."""
    images = noise(5, 5)
    expected = slow(images[0, 0].numpy(), (3, 3), (0.5, 0.5), "cubic", True)
    np.testing.assert_allclose(imresize_by(images, 0.5)[0, 0].numpy(), expected, rtol=0, atol=1e-9)
    assert not torch.allclose(imresize_by(images, 0.5), imresize(images, 3, 3))
    assert torch.equal(imresize_by(noise(6, 8), 0.5), imresize(noise(6, 8), 3, 4))


@pytest.mark.parametrize(
    ("size", "scale", "expected"), [(5, 0.5, 3), (6, 1 / 3, 2), (1, 0.25, 1), (10, 1.1, 11), (7, 3, 21)]
)
def test_sizes_of_a_scale(size: int, scale: float, expected: int) -> None:
    """ceil(scale · size) by hand; 1.1 · 10 is 11.000000000000002 in floats."""
    assert scaled_size(size, scale) == expected


@pytest.mark.parametrize("kernel", KERNELS)
def test_closed_forms(kernel: str) -> None:
    """Weights sum to 1, so a constant stays; at a scale of 1 nothing changes."""
    for have, want in ((40, 13), (13, 40), (1, 7), (7, 1)):
        np.testing.assert_allclose(
            weight_matrix(have, want, want / have, kernel, True).sum(1), 1, rtol=0, atol=1e-13
        )
    same = noise(6, 9)
    assert torch.allclose(imresize(same, 6, 9, kernel), same, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kernel", ["linear", "cubic"])
@pytest.mark.parametrize("scale", [1 / 4, 1 / 3, 1 / 2, 2, 3, 4])
def test_a_ramp_stays_a_ramp(kernel: str, scale: float) -> None:
    """Both kernels reproduce what is linear (Keys 1981, section II), away from the mirror at the border: pixel x of
    the result has the value of the place u(x)."""
    ramp = torch.arange(1, 97, dtype=torch.float64).expand(1, 1, 4, 96)
    found = imresize_by(ramp, scale, kernel)[0, 0, 0]
    centres = torch.arange(1, len(found) + 1, dtype=torch.float64) / scale + 0.5 * (1 - 1 / scale)
    inner = (centres > 10) & (centres < 87)
    assert inner.sum() > 10
    assert torch.allclose(found[inner], centres[inner], rtol=0, atol=1e-10)


def test_float32_gradients_and_autocast() -> None:
    """float32 is float64 up to its rounding; the gradient of the sum is the matrix transposed, whose entries sum to
    the number of output pixels; weights that inference made serve a training; autocast does not make it bfloat16."""
    images = noise(17, 18).float()
    with torch.inference_mode():
        first = imresize(images, 6, 9)
    images.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        found = imresize(images, 6, 9)
    assert found.dtype == torch.float32
    assert torch.equal(found.detach(), first)
    assert torch.allclose(found.double(), imresize(images.double(), 6, 9), rtol=0, atol=1e-3)
    found.sum().backward()
    assert images.grad is not None
    assert float(images.grad[0, 0].sum()) == pytest.approx(6 * 9, rel=1e-5)


def test_rounding_as_matlab() -> None:
    """MATLAB: uint8([-1 0.5 1.5 2.5 254.5 300 0.49999999999999994]) is 0 1 2 3 255 255 0."""
    levels = torch.tensor([-1, 0.5, 1.5, 2.5, 254.5, 300, 0.49999999999999994], dtype=torch.float64)
    assert to_uint8(levels).tolist() == [0, 1, 2, 3, 255, 255, 0]
    assert to_uint8(torch.tensor([math.inf, -math.inf])).tolist() == [255, 0]
    with pytest.raises(InputError, match="not a number"):
        to_uint8(torch.tensor([1.0, math.nan]))


def test_mod_crop() -> None:
    """By hand: 7×10 at 3 is 6×9, from the upper left corner."""
    image = torch.arange(70).view(1, 7, 10)
    assert torch.equal(mod_crop(image, 3), image[:, :6, :9])
    assert torch.equal(mod_crop(image, 1), image)
    with pytest.raises(InputError, match="10×7 cannot be cut to a multiple of 8"):
        mod_crop(image, 8)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: imresize(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), 2, 2), "float32 or float64 .* uint8"),
        (lambda: imresize(torch.zeros(3, 4, 4), 2, 2), "N×C×H×W but are float32 3×4×4"),
        (lambda: imresize(torch.zeros(1, 3, 0, 4), 2, 2), "hold no pixels"),
        (lambda: imresize(torch.zeros(1, 3, 4, 4), 0, 2), "2×0 is not possible"),
        (lambda: imresize(torch.zeros(1, 3, 4, 4), 2, 2, "cubik"), "did you mean 'cubic'"),
        (lambda: imresize_by(torch.zeros(1, 3, 4, 4), -1), "scale of -1 is not possible"),
        (lambda: imresize_by(torch.zeros(1, 3, 4, 4), math.nan), "scale of nan is not possible"),
    ],
)
def test_refused(call: object, words: str) -> None:
    """One sentence each."""
    with pytest.raises(InputError, match=words):
        call()  # type: ignore[operator]
