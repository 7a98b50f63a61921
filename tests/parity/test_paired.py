"""SSIM, PSNR and MSE against scikit-image, MS-SSIM against SciPy's filter and torchmetrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from benchbench.metrics.pairs.paired import ms_ssim, mse, psnr, ssim


def skimage_ssim(x: Tensor, y: Tensor) -> np.ndarray:
    """scikit-image with the settings its documentation names for Wang et al. 2004."""
    return np.array(
        [
            structural_similarity(
                a.numpy(),
                b.numpy(),
                channel_axis=0,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=255,
            )
            for a, b in zip(x, y, strict=True)
        ]
    )


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def degraded(x: Tensor, seed: int = 1) -> Tensor:
    shift = torch.randint(-30, 31, x.shape, generator=torch.Generator().manual_seed(seed))
    return (x.int() + shift).clamp(0, 255).to(torch.uint8)


def flat(*levels: int) -> Tensor:
    return torch.tensor(levels, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 24, 24).contiguous()


def halves() -> Tensor:
    """Black on the left, white on the right: flat windows far from the image's mean, where float32 fails."""
    x = torch.zeros(1, 3, 40, 40, dtype=torch.uint8)
    x[..., 20:] = 255
    return x


PAIRS = {
    "noise 32": (noise(4, 3, 32, 32), degraded(noise(4, 3, 32, 32))),
    "one window": (noise(2, 3, 11, 11), noise(2, 3, 11, 11, seed=5)),
    "grey, odd, not square": (noise(2, 1, 33, 77), degraded(noise(2, 1, 33, 77))),
    "several blocks": (noise(1, 3, 90, 61), degraded(noise(1, 3, 90, 61))),
    "constants": (flat(0, 0, 255, 100), flat(255, 0, 254, 200)),
    "half flat": (halves(), halves().flip(3)),
    "flat against noise": (flat(255, 3), noise(2, 3, 24, 24)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_ssim_is_scikit_images(name: str) -> None:
    """Oracle: scikit-image in float64. Both sides cancel numbers near 65,025 against C2 = 58.5 in float64,
    which leaves about 1e-13; 1e-11 is a hundred times that."""
    x, y = PAIRS[name]
    np.testing.assert_allclose(ssim(x, y).numpy(), skimage_ssim(x, y), rtol=0, atol=1e-11)


def test_ssim_is_scikit_images_on_a_photograph(shared_data: Path) -> None:
    """Oracle and tolerance as above, on a real photograph against its blurred self."""
    files = sorted((shared_data / "set5").rglob("*.png"))
    image = np.asarray(Image.open(files[0]).convert("RGB"))[:160, :160]
    x = torch.from_numpy(image.copy()).permute(2, 0, 1)[None]
    y = torch.from_numpy(gaussian_filter(image, (1.0, 1.0, 0))).permute(2, 0, 1)[None]
    np.testing.assert_allclose(ssim(x, y).numpy(), skimage_ssim(x, y), rtol=0, atol=1e-11)


def test_psnr_and_mse_are_scikit_images() -> None:
    """Oracle: scikit-image with data_range 255; its MSE is in squared grey levels, ours on [0, 1]. Rounding
    only.
    """
    x, y = PAIRS["noise 32"]
    expected = [
        peak_signal_noise_ratio(a.numpy(), b.numpy(), data_range=255) for a, b in zip(x, y, strict=True)
    ]
    np.testing.assert_allclose(psnr(x, y).numpy(), expected, rtol=1e-12)
    expected = [mean_squared_error(a.numpy(), b.numpy()) / 255**2 for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(mse(x, y).numpy(), expected, rtol=1e-12)


def scipy_ms_ssim(x: np.ndarray, y: np.ndarray) -> float:
    """Wang et al. 2003, eq. 7, for one channel, from SciPy's Gaussian filter and a plain 2×2 mean."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    product = 1.0
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        if scale:
            x, y = (np.pad(z, ((0, z.shape[0] % 2), (0, z.shape[1] % 2)), mode="edge") for z in (x, y))
            x, y = ((z[::2, ::2] + z[1::2, ::2] + z[::2, 1::2] + z[1::2, 1::2]) / 4 for z in (x, y))

        def window(z: np.ndarray) -> np.ndarray:
            return gaussian_filter(z, 1.5, radius=5)[5:-5, 5:-5]

        mx, my = window(x), window(y)
        vx, vy, cov = window(x * x) - mx**2, window(y * y) - my**2, window(x * y) - mx * my
        cs = (2 * cov + 7.65**2) / (vx + vy + 7.65**2)
        luminance = (2 * mx * my + 2.55**2) / (mx**2 + my**2 + 2.55**2)
        product *= max((luminance * cs if scale == 4 else cs).mean(), 0) ** weight
    return product


@pytest.mark.parametrize("size", [(161, 161), (176, 203)])
def test_ms_ssim_is_the_papers_formula(size: tuple[int, int]) -> None:
    """Oracle: the formula written out with SciPy's Gaussian filter. Both in float64: 1e-11 as for SSIM.
    Includes sizes that are odd on the way down."""
    x = noise(1, 3, *size) // 2
    y = degraded(x)
    expected = np.mean([scipy_ms_ssim(a.numpy(), b.numpy()) for a, b in zip(x[0], y[0], strict=True)])
    assert ms_ssim(x, y).item() == pytest.approx(expected, abs=1e-11)


def test_ms_ssim_is_near_torchmetrics_on_grey_images() -> None:
    """torchmetrics follows the protocol but for the last scale, whose SSIM it averages over reflected borders
    too: 12×12 positions against our 2×2 here. The exponent 0.1333 damps that to the 1e-2 allowed."""
    x = noise(2, 1, 192, 192)
    y = degraded(x)
    expected = torch.stack(
        [
            multiscale_structural_similarity_index_measure(
                a[None].double(), b[None].double(), data_range=255.0
            )
            for a, b in zip(x, y, strict=True)
        ]
    )
    torch.testing.assert_close(ms_ssim(x, y), expected.double(), rtol=0, atol=1e-2)
