"""Resize protocols by name. The same images under another resize give another Fréchet distance.

Parmar et al. (2022), "On Aliased Resizing and Surprising Subtleties in GAN Evaluation", measure how far apart
they are. Each function takes uint8 RGB N×3×H×W and gives float32 N×3×size×size in 0..255, on the same device.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor


def tf1(images: Tensor, size: int) -> Tensor:
    """Bilinear as TensorFlow 1 does it (no antialiasing, no half-pixel centres): what FID was published with.

    torch-fidelity's function, which its authors hold bit-exact to TensorFlow on the CPU.
    """
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    x = images.to(torch.float32)
    resized: Tensor = interpolate_bilinear_2d_like_tensorflow1x(x, size=(size, size), align_corners=False)
    return resized


def clean(images: Tensor, size: int) -> Tensor:
    """Pillow's antialiased bicubic on each channel as float32, clipped, never rounded: "clean" of clean-fid.

    Runs on the CPU, one channel at a time.
    """
    channels = images.cpu().flatten(0, 1).to(torch.float32).numpy()
    resized = [Image.fromarray(c).resize((size, size), Image.Resampling.BICUBIC) for c in channels]
    stacked = torch.from_numpy(np.stack([np.asarray(c).clip(0, 255) for c in resized]))
    return stacked.view(-1, 3, size, size).to(images.device)


def torch_bilinear(images: Tensor, size: int) -> Tensor:
    """PyTorch's bilinear without antialiasing, half-pixel centres: what pytorch-fid does."""
    x = images.to(torch.float32)
    return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
