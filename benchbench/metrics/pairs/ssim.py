"""SSIM to the letter of Wang et al. 2004, and multi-scale SSIM of Wang et al. 2003.

Gaussian window of 11 taps, σ = 1.5, weights that sum to 1; population variances; K1 = 0.01, K2 = 0.03, range
255; only positions whose whole window lies within the image; mean over positions, then channels.

Pattern: with s = x + y and d = x − y, four filtered maps (s, d, s², d²) say all that SSIM needs, instead of
five, and equal images give exactly 1. The window is separable, so each map is two products with a banded
matrix, cut into blocks so that little of the matrix is zero. Float64 throughout: in float32 the variance of a
flat patch, a difference of numbers near 65,025, would come out as rounding noise as large as 1e-4 of the
result.

Scope: values, not gradients. Memory is a few maps of a handful of images, whatever the number of pairs.
"""

from __future__ import annotations

from collections.abc import Iterator

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
# Output rows of one banded block, and pixels of one channel worked on at once. Wider blocks multiply more zeros
# and more pixels leave the cache; narrower and fewer are more calls, and on a busy machine each call waits for
# its threads (12 rows and 65,536 pixels were as fast on an idle one, and took seconds an image on a busy one).
_BLOCK = 24
_PIXELS = 4 * 65_536


def ssim_planes(x: Tensor, y: Tensor) -> Tensor:
    """SSIM of each image: x, y real N×C×H×W in 0..255 -> float64 (N,). `MetricFailed` below 11×11 pixels."""
    _check_size(x, TAPS, "SSIM", "an 11×11 window")
    return _per_plane(x, y)[:, :, 0].mean(1)


def ssim_map(x: Tensor, y: Tensor) -> Tensor:
    """SSIM at each position whose whole window lies within the image: x, y real N×C×H×W in 0..255 -> float64
    N×C×(H−10)×(W−10), the first of which is of the window in the upper left corner. `MetricFailed` as `ssim_planes`."""
    _check_size(x, TAPS, "SSIM", "an 11×11 window")
    parts = [_ssim_and_cs(maps)[0].movedim(1, 0) for maps in _filtered(x, y)]
    maps = torch.cat(parts)
    return maps.view(*x.shape[:2], *maps.shape[1:])


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


def _bands(n: int, device: torch.device) -> Iterator[tuple[slice, slice, Tensor]]:
    """The banded matrix (n−10)×n in blocks: (output rows, input rows, block)."""
    offset = torch.arange(TAPS, dtype=torch.float64, device=device) - TAPS // 2
    window = torch.exp(-offset.square() / (2 * _SIGMA**2))
    window /= window.sum()
    for start in range(0, n - TAPS + 1, _BLOCK):
        rows = min(_BLOCK, n - TAPS + 1 - start)
        block = torch.zeros(rows, rows + TAPS - 1, dtype=torch.float64, device=device)
        for row in range(rows):
            block[row, row : row + TAPS] = window
        yield slice(start, start + rows), slice(start, start + rows + TAPS - 1), block


def _per_plane(x: Tensor, y: Tensor) -> Tensor:
    """Means of SSIM and of its contrast·structure factor over each channel, float64 N×C×2."""
    parts = [
        torch.stack([of_each.mean((0, 2)) for of_each in _ssim_and_cs(maps)], dim=1)
        for maps in _filtered(x, y)
    ]
    return torch.cat(parts).view(x.shape[0], x.shape[1], 2)


def _filtered(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    """What `_filter` gives of a few planes after the other, those of N×C×H×W in their order."""
    height, width = x.shape[-2:]
    down, across = list(_bands(height, x.device)), list(_bands(width, x.device))
    planes = max(1, _PIXELS // (height * width))
    xs, ys = (images.flatten(0, 1).movedim(0, 1) for images in (x, y))
    for start in range(0, xs.shape[1], planes):
        some = slice(start, start + planes)
        yield _filter(xs[:, some].double(), ys[:, some].double(), down, across)


def _filter(
    x: Tensor, y: Tensor, down: list[tuple[slice, slice, Tensor]], across: list[tuple[slice, slice, Tensor]]
) -> Tensor:
    """x, y: float64 H×B×W, rows first so that both passes are plain matrix products -> 4×h×B×w, the filtered
    x + y, x − y and their squares."""
    height, count, width = x.shape
    maps = x.new_empty(4, height, count, width)
    torch.add(x, y, out=maps[0])
    torch.sub(x, y, out=maps[1])
    torch.mul(maps[:2], maps[:2], out=maps[2:])
    tall = x.new_empty(4, height - TAPS + 1, count * width)
    for source, target in zip(maps.flatten(2), tall, strict=True):
        for rows, reads, block in down:
            torch.mm(block, source[reads], out=target[rows])
    lines = tall.view(-1, width)
    out = x.new_empty(len(lines), width - TAPS + 1)
    for columns, reads, block in across:
        torch.mm(lines[:, reads], block.T, out=out[:, columns])
    return out.view(4, height - TAPS + 1, count, width - TAPS + 1)


def _ssim_and_cs(maps: Tensor) -> tuple[Tensor, Tensor]:
    """From the filtered maps to SSIM and contrast·structure at each position, h×B×w. Twice the paper's sums:
    4 μx μy = μs² − μd², and so on.
    """
    squares = maps[:2].square_()
    variances = maps[2:].sub_(squares)
    (s, d), (vs, vd) = squares, variances
    cs = (vs - vd).add_(2 * _C2).div_(vs.add_(vd).add_(2 * _C2))
    luminance = (s - d).add_(2 * _C1).div_(s.add_(d).add_(2 * _C1))
    return luminance.mul_(cs), cs
