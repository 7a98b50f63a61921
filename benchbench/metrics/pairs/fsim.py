"""The feature similarity of Zhang et al. 2011: where lines and edges are, and how strong.

A pixel counts as much as the larger of the two phase congruencies there, PCₘ; what is compared is the phase congruency
PC and the length G of the gradient:

    FSIM = Σ S_PC S_G PCₘ / Σ PCₘ,    S = (2ab + T) / (a² + b² + T),    T = 0.85 for PC, 160 for G (levels 0..255)

Phase congruency is Kovesi's, in the form of the paper's section II-A and of the authors' script, which says what the
paper leaves open: log-Gabor wavelets at 4 orientations and 4 scales, wavelengths 6 to 48 pixels, σ_f = 0.55, angular
spread π/4/1.2; a threshold for noise of k = 2 deviations above its mean, estimated at the smallest scale from the
median and divided by 1.7. The gradient is Scharr's, over 16. An image is first averaged over blocks of F×F pixels, F
the shorter side over 256, rounded: below 384 pixels it is taken as it is.

Scope: FSIM on the luma. The paper's FSIMc for colour is another number.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from benchbench.core.arrays import ArrayLike
from benchbench.metrics.numerics.own_balls import middle
from benchbench.metrics.pairs.gmsd import gradient_length, similarity
from benchbench.metrics.pairs.greys import grey_pair, of_some
from benchbench.metrics.pairs.paired import PairedMetric

_T_PC, _T_G = 0.85, 160.0
_SCHARR = ((3.0, 0.0, -3.0), (10.0, 0.0, -10.0), (3.0, 0.0, -3.0))
_WAVELENGTHS = (6, 12, 24, 48)
_ORIENTATIONS = 4
_SIGMA_F = 0.55  # of a log-Gabor, over its centre
_SPREAD = math.pi / _ORIENTATIONS / 1.2
_CUTOFF, _ORDER = 0.45, 15  # of the low-pass that keeps wavelets out of the corners of the spectrum
_DEVIATIONS, _EMPIRICAL = 2.0, 1.7
_EPS = 1e-4  # in levels, so that nothing is divided by 0 where nothing is
_SIDE = 256
SMALLEST = 12
"""Side of the images that hold two periods of the shortest wavelet."""


def fsim(x: ArrayLike, y: ArrayLike, *, levels: bool = False) -> Tensor:
    """Feature similarity of pairs of images (Zhang et al. 2011, eq. 9).

    Args:
        x: One side, a tensor or any array, uint8 N×3×H×W or N×1×H×W, at least 12×12 pixels; of RGB the luma counts.
        y: The other side, of the same shape; row i belongs to row i of `x`.
        levels: As in `paired.ssim`.

    Returns:
        One value a pair, float64 (N,) in [0, 1]; 1 for equal images. NaN where neither image has a line or an edge
        above its noise, for then no pixel counts.

    Raises:
        InputError: The images cannot be paired.
        MetricFailed: They are smaller than 12×12 pixels.
    """
    x, y = grey_pair(x, y, levels=levels, smallest=SMALLEST, name="FSIM")
    block = max(1, math.floor(min(x.shape[2:]) / _SIDE + 0.5))
    x, y = (F.avg_pool2d(images, block) for images in (x, y))
    bank = _bank(x.shape[2], x.shape[3], x.device)
    return of_some(partial(_fsim, bank=bank), x, y)


def _fsim(x: Tensor, y: Tensor, bank: tuple[Orientation, ...]) -> Tensor:
    congruent_x, congruent_y = (_phase_congruency(images[:, 0], bank) for images in (x, y))
    length_x, length_y = (gradient_length(images, _SCHARR, 16)[:, 0] for images in (x, y))
    alike = similarity(congruent_x, congruent_y, _T_PC) * similarity(length_x, length_y, _T_G)
    weight = torch.maximum(congruent_x, congruent_y)
    return (alike * weight).sum((1, 2)) / weight.sum((1, 2))


class Orientation(NamedTuple):
    """The wavelets of one orientation. filters: their spectra, float64 4×H×W, each on one half of the plane. power:
    Σ of the first one's squares. spread: Σ over pixels of (Σ over scales of the even wavelets)², times H·W."""

    filters: Tensor
    power: float
    spread: float


def _phase_congruency(planes: Tensor, bank: tuple[Orientation, ...]) -> Tensor:
    """Kovesi's phase congruency of grey images, float64 N×H×W -> the same shape, in [0, 1]: the energy of all wavelets
    in phase, less what noise has, over their amplitudes."""
    spectrum = torch.fft.fft2(planes)[:, None]
    energy, amplitude = torch.zeros_like(planes), torch.full_like(planes, _EPS)
    for own in bank:
        responses = torch.fft.ifft2(
            spectrum * own.filters
        )  # even and odd wavelets as real and imaginary parts
        together = responses.sum(1, keepdim=True)
        turned = responses * (together / (together.abs() + _EPS)).conj_physical()  # against the mean phase
        in_phase = (turned.real - turned.imag.abs()).sum(1)
        energy += (in_phase - _noise(responses[:, 0], own)).clamp(min=0)
        amplitude += responses.abs().sum(1)
    return energy / amplitude


def _noise(finest: Tensor, own: Orientation) -> Tensor:
    """The energy that noise is taken to have, N×1×1, from the responses at the smallest scale, complex N×H×W.

    Their squared length is exponential where they are Gaussian noise, so its mean is the median over ln 2; and the
    energy's length has a Rayleigh distribution.
    """
    median = middle(finest.abs().square().flatten(1))
    tau = (median / math.log(2) / own.power * own.spread).sqrt()
    threshold = tau * (math.sqrt(math.pi / 2) + _DEVIATIONS * math.sqrt(2 - math.pi / 2)) / _EMPIRICAL
    return threshold[:, None, None]


@lru_cache(maxsize=4)
def _bank(height: int, width: int, device: torch.device) -> tuple[Orientation, ...]:
    """The wavelets for images of this size."""
    with torch.inference_mode(False):  # they are kept
        down, across = torch.meshgrid(_frequencies(height), _frequencies(width), indexing="ij")
        radius = (down.square() + across.square()).sqrt()
        low = 1 / (1 + (radius / _CUTOFF) ** (2 * _ORDER))
        radius[0, 0] = 1  # whose logarithm is there; no wavelet sees the mean
        radial = torch.stack(
            [
                torch.exp(-(radius * length).log().square() / (2 * math.log(_SIGMA_F) ** 2))
                for length in _WAVELENGTHS
            ]
        )
        radial *= low
        radial[:, 0, 0] = 0
        theta = torch.atan2(-down, across)
        bank = []
        for number in range(_ORIENTATIONS):
            away = theta - number * math.pi / _ORIENTATIONS
            away = torch.atan2(away.sin(), away.cos())
            filters = radial * torch.exp(-away.square() / (2 * _SPREAD**2))
            even = torch.fft.ifft2(filters.sum(0)).real
            spread = float(even.square().sum()) * height * width
            bank.append(Orientation(filters.to(device), float(filters[0].square().sum()), spread))
        return tuple(bank)


def _frequencies(n: int) -> Tensor:
    """Cycles a pixel along n pixels, in the order of an FFT; of an odd n over n − 1, as in the authors' script."""
    frequencies: Tensor = torch.fft.fftfreq(n, dtype=torch.float64)
    return frequencies * n / (n - 1) if n % 2 else frequencies


class FSIM(PairedMetric):
    """Feature similarity (Zhang et al. 2011) of the luma: phase congruency and gradients."""

    family = "fsim"
    smallest = SMALLEST
    higher_is_better = True
    scale = "arcsine"  # has two ends
    ends = (0.0, 1.0)
    source = "Zhang et al. 2011, eq. 9"
    per_image = staticmethod(fsim)
    why_infinite = ": neither image has a line or an edge, so their FSIM is undefined; leave these out"
    reads_levels = True
