"""VIF, GMSD and FSIM beside piq and torchmetrics, in float64 where they take it, and GMSD beside the authors'
script."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from calibration_rows.inputs import blurred, noisy, part
from numpy.typing import NDArray
from scipy.signal import convolve2d
from torch import Tensor

from benchbench.core.colour import grey
from benchbench.metrics.pairs.fsim import fsim
from benchbench.metrics.pairs.gmsd import gmsd
from benchbench.metrics.pairs.vif import vif

pytestmark = pytest.mark.costly
pytest.importorskip("piq")


def cases() -> dict[str, tuple[Tensor, Tensor]]:
    whole, odd, large = (
        part("astronaut.png", 128, 160),
        part("coffee.png", 65, 91),
        part("astronaut.png", 384, 400),
    )
    return {
        "noise": (noisy(whole, 12), whole),
        "blur": (blurred(whole), whole),
        "odd sides": (noisy(odd, 25), odd),
        "averaged first": (blurred(large), large),
    }


NAMES = ["noise", "blur", "odd sides", "averaged first"]


def doubles(name: str) -> list[Tensor]:
    """Both sides as others take them: float64 in [0, 1]."""
    return [images.double() / 255 for images in cases()[name]]


@pytest.mark.parametrize("name", NAMES[1:3])
def test_vif_is_that_of_piq_and_torchmetrics(name: str) -> None:
    """Both have the authors' script. torchmetrics' on the luma, with the script's constant of 1e-10: 1e-9. piq has 1e-8
    there and 0.299 R + 0.587 G + 0.114 B as well: 1e-7."""
    from piq import vif_p
    from torchmetrics.functional.image import visual_information_fidelity

    x, y = cases()[name]
    ours = vif(x, y)
    theirs = visual_information_fidelity(grey(x), grey(y), reduction="none")
    torch.testing.assert_close(ours, theirs.double(), rtol=1e-9, atol=0)
    torch.testing.assert_close(ours, vif_p(*doubles(name), reduction="none"), rtol=1e-7, atol=0)
    assert 0.05 < ours.item() < 0.95


@pytest.mark.parametrize("name", NAMES)
def test_gmsd_is_that_of_piq(name: str) -> None:
    """piq has the same conventions and takes the root of a variance as we do; its luma has YIQ's 0.299, 0.587, 0.114.
    1e-9 is float64."""
    from piq import gmsd as theirs

    torch.testing.assert_close(
        gmsd(*cases()[name]), theirs(*doubles(name), reduction="none"), rtol=1e-9, atol=0
    )


def script(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """GMSD.m of Xue et al. step by step: `conv2(…, 'same')` of MATLAB is the middle of the full convolution, from the
    second row and column on for a kernel of two as of three. Its `std2` divides by N − 1, the paper's by N."""

    def same(image: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(convolve2d(image, kernel)[1 : 1 + image.shape[0], 1 : 1 + image.shape[1]])

    dx = np.array([[1, 0, -1]] * 3) / 3
    lengths = []
    for image in (x, y):
        small = same(image, np.full((2, 2), 0.25))[::2, ::2]
        lengths.append(np.hypot(same(small, dx), same(small, dx.T)))
    a, b = lengths
    quality = (2 * a * b + 170) / (a**2 + b**2 + 170)
    return float(quality.std(ddof=1))


@pytest.mark.parametrize("name", NAMES)
def test_gmsd_is_the_authors_script(name: str) -> None:
    """But for N − 1 under the root. 1e-10 is float64."""
    x, y = (grey(images)[0, 0].numpy() for images in cases()[name])
    n = ((x.shape[0] + 1) // 2) * ((x.shape[1] + 1) // 2)
    assert gmsd(*cases()[name]).item() == pytest.approx(script(x, y) * ((n - 1) / n) ** 0.5, rel=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_fsim_is_that_of_piq(name: str) -> None:
    """piq has the authors' script without two of its details: the constant 1e-4 that keeps it from dividing by 0 is
    float64's smallest step there, and the median of an even number of pixels is the lower of the middle two.
    Together they move these by less than 2e-5."""
    from piq import fsim as theirs

    x, y = cases()[name]
    expected = theirs(grey(x) / 255, grey(y) / 255, chromatic=False, reduction="none")
    torch.testing.assert_close(fsim(x, y), expected, rtol=2e-5, atol=0)
