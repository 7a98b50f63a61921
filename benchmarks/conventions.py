"""What each convention of super-resolution papers costs, measured on the bicubic row of Set5.

    BENCHBENCH_DATA=FOLDER python benchmarks/conventions.py

Prints the table of docs/protocols.md, "Restoration: what each convention costs". FOLDER holds a folder `set5` with the
five images. Some seconds of one core.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from benchbench.core.colour import luma
from benchbench.core.errors import InputError
from benchbench.data.degrade.resize import imresize, mod_crop, to_uint8
from benchbench.metrics.pairs.paired import psnr, ssim

SCALES = (2, 3, 4)
Resize = Callable[[Tensor, int, int], Tensor]
Score = tuple[float, float]


def set5(folder: Path) -> list[Tensor]:
    """The five images, uint8 1×3×H×W."""
    files = sorted((folder / "set5").glob("*.png"))
    if len(files) != 5:
        raise InputError(
            f"{folder} holds no folder set5 with five PNG files; point BENCHBENCH_DATA to one that does"
        )
    return [
        torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1)[None] for file in files
    ]


def rounded(levels: Tensor) -> Tensor:
    return to_uint8(levels).double()


def same(levels: Tensor) -> Tensor:
    return levels


def pillow(kernel: Image.Resampling) -> Resize:
    """By Pillow, each channel as float32, so that nothing is rounded."""

    def resize(levels: Tensor, height: int, width: int) -> Tensor:
        planes = [Image.fromarray(plane.float().numpy()) for plane in levels[0]]
        made = [np.array(plane.resize((width, height), kernel)) for plane in planes]
        return torch.from_numpy(np.stack(made))[None].double()

    return resize


def subsampled(levels: Tensor, height: int, width: int) -> Tensor:
    return imresize(levels, height, width, antialias=False)


def of_torch(levels: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(levels, (height, width), mode="bicubic", align_corners=False)


def way(
    channels: Callable[[Tensor], Tensor] = lambda rgb: rounded(luma(rgb)),
    shrink: Resize = imresize,
    small: Callable[[Tensor], Tensor] = same,
    enlarge: Resize = imresize,
    large: Callable[[Tensor], Tensor] = rounded,
    compared: Callable[[Tensor], Tensor] = same,
    border: Callable[[int], int] = lambda scale: scale,
) -> Callable[[Tensor, int], Score]:
    """One convention: which `channels` are resized, how, what is rounded, in which channels the two are `compared`, and
    what is shaved. As it comes it is the published one."""

    def score(image: Tensor, scale: int) -> Score:
        truth = channels(mod_crop(image, scale))
        height, width = truth.shape[2:]
        low = small(shrink(truth, height // scale, width // scale))
        pair = [compared(levels) for levels in (large(enlarge(low, height, width)), truth)]
        decibel, similarity = (
            float(metric(*pair, crop_border=border(scale), levels=True)) for metric in (psnr, ssim)
        )
        return decibel, similarity

    return score


def rgb(levels: Tensor) -> Tensor:
    return levels.double()


def luma8(levels: Tensor) -> Tensor:
    return rounded(luma(levels))


LANCZOS, BICUBIC = pillow(Image.Resampling.LANCZOS), pillow(Image.Resampling.BICUBIC)
WAYS: dict[str, Callable[[Tensor, int], Score]] = {
    "**as published**: luma in 8 bits, small image not rounded, large one rounded": way(),
    "small image rounded too": way(small=rounded),
    "large image not rounded": way(large=same),
    "luma not rounded": way(channels=luma),
    "nothing rounded": way(channels=luma, large=same),
    "border not shaved": way(border=lambda scale: 0),
    "shrunk without antialiasing": way(shrink=subsampled),
    "shrunk and enlarged by torch's `interpolate` (a = −0.75, no antialiasing)": way(
        shrink=of_torch, enlarge=of_torch
    ),
    "shrunk and enlarged by Pillow's bicubic": way(shrink=BICUBIC, enlarge=BICUBIC),
    "enlarged by Pillow's Lanczos": way(enlarge=LANCZOS),
    "shrunk and enlarged by Pillow's Lanczos": way(shrink=LANCZOS, enlarge=LANCZOS),
    "**RGB**, both images in 8 bits, compared in luma of 8 bits": way(rgb, small=rounded, compared=luma8),
    "the same, luma not rounded (`psnr_y`, `ssim_y`)": way(rgb, small=rounded, compared=luma),
    "the same, large image not rounded either": way(rgb, small=rounded, large=same, compared=luma),
    "RGB, both in 8 bits, all channels compared (`psnr`, `ssim`)": way(rgb, small=rounded),
    "the same, border of scale + 2 (EDSR on DIV2K)": way(rgb, small=rounded, border=lambda scale: scale + 2),
}


def table(images: Sequence[Tensor]) -> str:
    """The rows of the page: PSNR and SSIM at each scale, and how much more the PSNR is than the published way's."""
    head = " | ".join(f"x{scale}: dB (more) | SSIM" for scale in SCALES)
    lines = [f"| convention | {head} |", "|---|" + "---|" * (2 * len(SCALES))]
    base: list[float] = []
    for name, score in WAYS.items():
        found = [np.mean([score(image, scale) for image in images], axis=0) for scale in SCALES]
        base = base or [decibel for decibel, _ in found]
        cells = [
            f"{decibel:.2f} ({signed(decibel - published)}) | {similarity:.4f}"
            for (decibel, similarity), published in zip(found, base, strict=True)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def signed(difference: float) -> str:
    text = f"{difference:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text.replace("-", "−")


if __name__ == "__main__":
    print(table(set5(Path(os.environ.get("BENCHBENCH_DATA", "")))))
