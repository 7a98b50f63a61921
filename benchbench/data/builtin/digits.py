"""scikit-learn's digits: 1,797 handwritten digits that ship with the library, so they are there offline.

The originals are 8×8 with 17 grey levels 0..16 (counts of dark pixels in 4×4 blocks of a 32×32 bitmap). Level
v becomes round(255 v / 16), and 8×8 becomes 32×32 by Pillow's bicubic filter, clipped to 0..255: strokes come
out smooth as the pen drew them, where nearest-neighbour would show blocks. Light on black, like MNIST.
"""

from __future__ import annotations

from functools import cache
from typing import ClassVar

import numpy as np
import sklearn
from numpy.typing import NDArray
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.core.progress import SILENT, Progress
from benchbench.data.dataset import Dataset
from benchbench.data.pipeline.assemble import assemble
from benchbench.data.pipeline.cache import Decoded
from benchbench.data.pipeline.fingerprint import pixel_digests

SIDE = 32
NATIVE = 8
"""Side of the originals: all that the enlarged pictures show."""


class Digits:
    """1,797 handwritten digits, 32×32 grey, 10 classes; ships with scikit-learn."""

    reference: ClassVar[str] = (
        "Alpaydin & Kaynak, Optical Recognition of Handwritten Digits (1998), "
        "UCI Machine Learning Repository, https://doi.org/10.24432/C50P49"
    )
    licence: ClassVar[str] = "CC BY 4.0"

    def load(self, size: int | None = None, progress: Progress = SILENT) -> Dataset:
        """Two halves of uint8 32×32 images with labels 0..9; `size` may only be 32."""
        if size not in (None, SIDE):
            raise InputError(f"digits are shown at {SIDE}×{SIDE} only; leave --size out")
        images, labels = _rendered()
        return assemble(
            "digits",
            [Decoded(images.copy(), pixel_digests(images), {})],
            [list(labels)],
            classes=[str(i) for i in range(10)],
            notes=[
                f"8×8 originals with 17 grey levels, enlarged to {SIDE}×{SIDE} by Pillow's bicubic filter"
            ],
            source={"kind": "package", "package": f"scikit-learn {sklearn.__version__}", "size": SIDE},
            native=NATIVE,
            extractor="cnn_digits",
        )


@cache
def _rendered() -> tuple[NDArray[np.uint8], list[int]]:
    """All images and their labels; made once a process, where many cells ask for them."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return render(bunch.images), bunch.target.tolist()


def render(levels: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Grey levels 0..16, N×8×8, to uint8 RGB N×3×32×32."""
    grey = np.rint(levels * (255 / 16)).astype(np.uint8)
    large = [Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for image in grey]
    return np.repeat(np.stack([np.asarray(image) for image in large])[:, None], 3, axis=1)
