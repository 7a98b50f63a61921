"""Content fingerprints: what a set of images is, whatever its files are called and in whichever order.

Definition (version 1; golden tests pin it):

    pixels_i    = sha256( "CxHxW\\n" in ASCII, then the uint8 pixels of image i in C, H, W order )
    image_i     = sha256( pixels_i, then the label in decimal ASCII, or "-" where there are no labels; where
                  there are captions, then "\\n" and the caption in UTF-8 )
    fingerprint = sha256( "benchbench-fingerprint-1\\n", then all image_i sorted )

So a changed pixel, label, caption, shape or number of copies changes it; order, file names, file formats and
compression (as long as it is lossless) do not. Labels enter as indices: renaming a class changes nothing.

What is known about copies. MNIST is passed on as raw bytes or in lossless PNG, so its fingerprint was
computed from a PNG copy of all 70,000 images, whose mean level and class counts are the published ones; a
copy that differs is not MNIST. For CIFAR-10 no fingerprint of the canonical pixels is on file; three facts
stand in for it: an archive whose MD5 torchvision verified is canonical; images out of JPEG files are not
(CIFAR-10 was published as raw bytes, and JPEG is lossy); and one JPEG re-encoding is known by its pixels,
even after somebody saved them losslessly. Of any other copy nobody here can say. What JPEG files decode to
also depends on the decoder; the fingerprint below is what libjpeg-turbo gives, as bundled with Pillow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from benchbench.data.pipeline.digests import BYTES, Digests

CANONICAL = {
    "mnist": (
        "4bf3b5c48fe94cbeb8c64c5b6710e82db978805bcd6361ffdf2208a14a23418d",
        "e7adba139a541491245137df510fd27e4a314ba440e3d8bafe6fe2b9bc4c7151",
    ),
}
"""(train, held-out) fingerprints of the published pixels and labels at native size."""

REENCODED = {
    "cifar10": (
        "af616e3ea0dada716bc12574d73f4868dd84ba830f7ebf4ce70ccbd5f2b1d2f0",
        "20150057650ad919a4fc61c7670e418a2cfe349f5f4fefec98e4af537bc3dc47",
    ),
}
"""(train, held-out) fingerprints of copies known to have gone through lossy compression."""


def pixel_digests(images: NDArray[np.uint8] | Tensor) -> list[bytes]:
    """What each image is, by its shape and pixels.

    Args:
        images: uint8 N×C×H×W; a tensor is on the CPU.

    Returns:
        One sha256 (32 bytes) an image, in their order.
    """
    array = np.ascontiguousarray(images.numpy() if isinstance(images, Tensor) else images)
    header = "x".join(map(str, array.shape[1:])).encode() + b"\n"
    digests = []
    for image in array:
        hasher = hashlib.sha256(header)
        hasher.update(image)
        digests.append(hasher.digest())
    return digests


def combine(
    digests: Sequence[bytes], labels: Iterable[int] | None, captions: Sequence[str] | None = None
) -> str:
    """The fingerprint (hex) of images with these `pixel_digests`, labels (0..n_classes-1, or None) and captions."""
    # No lists of bytes: each of them would take a tenth of a gigabyte of a million images.
    marks: Iterable[bytes] = (
        repeat(b"-", len(digests)) if labels is None else (b"%d" % int(n) for n in labels)
    )
    if captions is not None:
        marks = (mark + b"\n" + caption.encode() for mark, caption in zip(marks, captions, strict=True))
    per_image = bytearray()
    for digest, mark in zip(digests, marks, strict=True):
        per_image += hashlib.sha256(digest + mark).digest()
    np.ndarray(len(per_image) // BYTES, f"V{BYTES}", per_image).sort()  # where they are, as bytes
    hasher = hashlib.sha256(b"benchbench-fingerprint-1\n")
    hasher.update(per_image)
    return hasher.hexdigest()


def combine_in_order(digests: Sequence[bytes]) -> str:
    """Identity (hex) of images with these `pixel_digests`, in this order and without labels."""
    content = digests.content if isinstance(digests, Digests) else b"".join(digests)
    return hashlib.sha256(content).hexdigest()


def fingerprint(images: NDArray[np.uint8] | Tensor, labels: Tensor | None = None) -> str:
    """The fingerprint (hex) of uint8 images N×C×H×W and int64 labels (N,)."""
    return combine(pixel_digests(images), None if labels is None else labels.tolist())


def is_canonical(
    name: str, fingerprints: tuple[str, str], *, lossy: bool, verified: bool
) -> tuple[bool | None, str]:
    """Is this copy of the dataset `name` canonical, and the note for the record ("" if there is none)?

    `fingerprints` are of (train, held-out) at native size; `lossy`: pixels came out of JPEG files;
    `verified`: read from the canonical archive, whose checksum was verified.
    """
    if fingerprints == CANONICAL.get(name) or (verified and name not in CANONICAL):
        return True, ""
    incomparable = "numbers on it do not compare with published ones"
    if lossy or fingerprints == REENCODED.get(name):
        return False, f"this copy of {name} went through JPEG: its pixels are not canonical, {incomparable}"
    if name in CANONICAL:
        return False, f"this copy of {name} has another fingerprint than the canonical one: {incomparable}"
    return None, f"whether this copy of {name} has the canonical pixels is not known"
