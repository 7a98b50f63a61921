"""SSIM to the letter of Wang et al. 2004, and multi-scale SSIM of Wang et al. 2003.

Gaussian window of 11 taps, σ = 1.5, weights that sum to 1; population variances; K1 = 0.01, K2 = 0.03, range
255; only positions whose whole window lies within the image; mean over positions, then channels.

Pattern: four filtered maps (x, y, xy, (x − y)²) say all that SSIM needs, instead of five, and equal images give
exactly 1. The window is separable, so each map is two products with a banded matrix, cut into blocks so that
little of the matrix is zero. Float64 throughout: in float32 the variance of a flat patch, a difference of
numbers near 65,025, would come out as rounding noise as large as 1e-4 of the result.

Scope: values, not gradients. Memory is a few maps of a handful of images, whatever the number of pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from benchbench.core.errors import MetricFailed

TAPS = 11
_SIGMA = 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, section 3.2
MS_SMALLEST = (TAPS - 1) * 2 ** (len(_MS_WEIGHTS) - 1) + 1
"""Side of the images for which the window fits into the last of the five scales."""
# Output rows of one banded block, and pixels of one channel worked on at once. Wider blocks multiply more zeros, and
# narrower ones do less with each number that is read; more pixels leave the cache, and fewer are more calls. All blocks
# are one call: on a busy machine each waits for its threads.
_BLOCK = 12
_PIXELS = 4 * 65_536


def ssim_planes(x: Tensor, y: Tensor) -> Tensor:
    """SSIM of each image: x, y real N×C×H×W in 0..255 -> float64 (N,). `MetricFailed` below 11×11 pixels."""
    _check_size(x, TAPS, "SSIM", "an 11×11 window")
    return _per_plane(x, y)[:, :, 0].mean(1)


def ssim_map(x: Tensor, y: Tensor) -> Tensor:
    """SSIM at each position whose whole window lies within the image: x, y real N×C×H×W in 0..255 -> float64
    N×C×(H−10)×(W−10), the first of which is of the window in the upper left corner. `MetricFailed` as `ssim_planes`."""
    _check_size(x, TAPS, "SSIM", "an 11×11 window")
    height, width = x.shape[2] - TAPS + 1, x.shape[3] - TAPS + 1
    maps = torch.cat([_placed(ssim, height, width) for ssim, _ in _ratios(x, y)])
    return maps.view(*x.shape[:2], height, width)


def ms_ssim_planes(x: Tensor, y: Tensor) -> Tensor:
    """Multi-scale SSIM of each image over five scales: as `ssim_planes`; `MetricFailed` below 161×161 pixels.

    Contrast·structure at scales 1-4 and SSIM at scale 5, each to its published exponent, per channel; a
    negative mean counts as 0, since it has no real power. Between scales: the mean of 2×2 pixels, the last
    row or column of an odd size repeated, as in the authors' code.
    """
    _check_size(x, MS_SMALLEST, "MS-SSIM", "an 11×11 window at the last of five scales")
    product = torch.ones(x.shape[:2], dtype=torch.float64, device=x.device)
    for scale, weight in enumerate(_MS_WEIGHTS):
        if scale:
            x, y = _halve(x), _halve(y)
        ssim, contrast_structure = _per_plane(x, y).unbind(-1)
        last = scale == len(_MS_WEIGHTS) - 1
        product = product * (ssim if last else contrast_structure).clamp(min=0).pow(weight)
    return product.mean(1)


def _check_size(x: Tensor, smallest: int, name: str, why: str) -> None:
    height, width = x.shape[-2:]
    if min(height, width) < smallest:
        raise MetricFailed(
            f"{name} needs images of at least {smallest}×{smallest} ({why}) but has {height}×{width}"
        )


def _halve(x: Tensor) -> Tensor:
    height, width = x.shape[-2:]
    return F.avg_pool2d(F.pad(x.double(), (0, width % 2, 0, height % 2), mode="replicate"), 2)


def _per_plane(x: Tensor, y: Tensor) -> Tensor:
    """Means of SSIM and of its contrast·structure factor over each channel, float64 N×C×2."""
    size = x.shape[2] - TAPS + 1, x.shape[3] - TAPS + 1
    parts = [
        torch.stack([_plane_means(of_each, *size) for of_each in ratios], dim=1) for ratios in _ratios(x, y)
    ]
    return torch.cat(parts).view(x.shape[0], x.shape[1], 2)


def _ratios(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """SSIM and contrast·structure at each position of a few planes after the other, those of N×C×H×W in their order:
    flat, as `_across` leaves them. They are overwritten by the next: new memory for each costs more than the sums.

    With e = μx − μy the paper's denominators are its numerators and a term that is 0 for equal images:
    μx² + μy² = 2 μx μy + e² and σx² + σy² = 2 σxy + (E[(x − y)²] − e²).
    """
    height, width = x.shape[-2:]
    planes = max(1, _PIXELS // (height * width))
    xs, ys = (images.flatten(0, 1).movedim(0, 1) for images in (x, y))
    maps = torch.empty(0, dtype=torch.float64, device=x.device)
    for x_part, y_part in zip(xs.split(planes, 1), ys.split(planes, 1), strict=True):
        if maps.shape[1:] != x_part.shape:
            maps = maps.new_empty(4, *x_part.shape)
            tall = maps.new_empty(height - TAPS + 1, maps[0, 0].numel())
            filtered = maps.new_empty(5, tall.shape[0] * x_part.shape[1] * (width - TAPS + 1))
        _products(x_part, y_part, maps)
        for source, target in zip(maps.flatten(2), filtered[:4], strict=True):
            _down(source, tall)
            _across(tall.view(-1, width), target)
        mean_x, mean_y, product, squares, luminance = filtered
        luminance.fill_(_C1).addcmul_(mean_x, mean_y, value=2)
        structure = product.sub_(luminance)  # `product` has 2xy + C1 + C2
        difference = mean_x.sub_(mean_y).square_()
        cs = structure.div_(squares.sub_(difference).add_(structure))
        yield luminance.div_(difference.add_(luminance)).mul_(cs), cs


def _products(x: Tensor, y: Tensor, maps: Tensor) -> None:
    """x, y: real H×B×W, rows first so that both passes of the window are plain matrix products. `maps`, 4×H×B×W, become
    x, y, 2xy + C1 + C2 and (x − y)²."""
    a, b, product, squares = maps
    a.copy_(x)
    b.copy_(y)
    product.fill_(_C1 + _C2).addcmul_(a, b, value=2)
    torch.sub(a, b, out=squares).square_()


def _down(lines: Tensor, out: Tensor) -> None:
    """The window along the first axis: n×m -> (n − 10)×m."""
    n = len(lines) - TAPS + 1
    whole = n // _BLOCK * _BLOCK
    if whole:
        blocks = lines.unfold(0, _BLOCK + TAPS - 1, _BLOCK).transpose(1, 2)
        band = _band(_BLOCK, lines.device).expand(len(blocks), -1, -1)
        torch.bmm(band, blocks, out=out[:whole].view(len(blocks), _BLOCK, -1))
    if n > whole:
        torch.mm(_band(n - whole, lines.device), lines[whole:], out=out[whole:])


def _across(lines: Tensor, out: Tensor) -> None:
    """The window along the second axis: m×n -> m·(n − 10) numbers, block of columns after block of columns, each row
    by row. Nothing that is computed of them asks where they lie, and `_placed` says it."""
    m, n = lines.shape[0], lines.shape[1] - TAPS + 1
    whole = n // _BLOCK * _BLOCK
    if whole:
        blocks = lines.unfold(1, _BLOCK + TAPS - 1, _BLOCK).transpose(0, 1)
        band = _band(_BLOCK, lines.device).T.expand(len(blocks), -1, -1)
        torch.bmm(blocks, band, out=out[: m * whole].view(len(blocks), m, _BLOCK))
    if n > whole:
        torch.mm(lines[:, whole:], _band(n - whole, lines.device).T, out=out[m * whole :].view(m, n - whole))


def _parts(flat: Tensor, height: int, width: int) -> list[Tensor]:
    """What `_across` left of height×count×width positions: height×blocks×count×columns of whole blocks and of what is
    left over, as views."""
    whole = width // _BLOCK * _BLOCK
    count = len(flat) // (height * width)
    first, rest = flat[: height * count * whole], flat[height * count * whole :]
    blocks = first.view(-1, height, count, _BLOCK).transpose(0, 1)
    return [blocks, rest.view(height, 1, count, width - whole)]


def _plane_means(flat: Tensor, height: int, width: int) -> Tensor:
    """Means over positions, one for each of the planes that lie side by side."""
    sums = [part.sum((0, 1, 3)) for part in _parts(flat, height, width) if part.numel()]
    return torch.stack(sums).sum(0) / (height * width)


def _placed(flat: Tensor, height: int, width: int) -> Tensor:
    """Each position where it belongs: planes×height×width."""
    rows = [part.permute(2, 0, 1, 3).flatten(2) for part in _parts(flat, height, width)]
    return torch.cat(rows, dim=2)


@lru_cache(maxsize=64)
def _band(rows: int, device: torch.device) -> Tensor:
    """The banded matrix of the window, rows×(rows + 10)."""
    offset = torch.arange(TAPS, dtype=torch.float64) - TAPS // 2
    window = torch.exp(-offset.square() / (2 * _SIGMA**2))
    window /= window.sum()
    with torch.inference_mode(False):  # it is kept, and may be used where there are gradients
        band = torch.zeros(rows, rows + TAPS - 1, dtype=torch.float64)
        for row in range(rows):
            band[row, row : row + TAPS] = window
        return band.to(device)
