"""Whether images show what they were asked to: where an image's own caption stands among others, by a matcher.

Both sides are rows of length 1 in the space of a matcher; their product says how well they go together. A caption that
is as near as the own one counts half before it and half behind it, so a matcher that cannot tell captions apart gets
what chance has.
"""

from __future__ import annotations

from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.core.seeds import ImageRng

DISTRACTORS = 99
"""Captions of others beside the own one (Xu et al. 2018, AttnGAN, section 4)."""


def similarities(images: Tensor, captions: Tensor) -> Tensor:
    """Products of all with all, float64 (N, M), of rows of length 1, float (N, D) and (M, D)."""
    return images.double() @ captions.double().T


def retrieval_ranks(similar: Tensor, own: Tensor) -> Tensor:
    """Where the own caption of each image stands among all captions, by how near they are.

    Args:
        similar: float64 (N, M), as `similarities` gives.
        own: The number of each image's caption, int64 (N,).

    Returns:
        Ranks from 1 (nothing is nearer) to M, float64 (N,); of k captions equally near as the own one half are before
        it. Chance has (M + 1) / 2 in the mean.
    """
    mine = similar.gather(1, own[:, None])
    nearer, alike = (similar > mine).sum(1).double(), (similar == mine).sum(1).double() - 1
    return 1 + nearer + alike / 2


def r_precision(similar: Tensor, own: Tensor, seed: int) -> Tensor:
    """Whether the own caption of each image is the nearest of 100, itself and 99 random others (R-precision with R = 1:
    Xu et al. 2018, AttnGAN, section 4).

    Args:
        similar: float64 (N, M), as `similarities` gives, of M different captions.
        own: The number of each image's caption, int64 (N,).
        seed: Of which ones stand beside it; image i draws from a stream of its own.

    Returns:
        1 where it is, 0 where it is not, float64 (N,); where k others are equally near 1 / (k + 1). Chance has 1/100 in
        the mean.

    Raises:
        MetricFailed: There are less than 100 captions.
    """
    n = similar.shape[1]
    if n <= DISTRACTORS:
        raise MetricFailed(
            f"R-precision puts {DISTRACTORS} other captions beside an image's own, and there are {n} different ones in "
            "all"
        )
    order = (
        ImageRng(seed, range(len(own)), similar.device).uniform(n).scatter(1, own[:, None], 2.0).argsort(1)
    )
    near = similar.gather(1, order[:, :DISTRACTORS])
    mine = similar.gather(1, own[:, None])
    return (near <= mine).all(1).double() / (1 + (near == mine).sum(1))
