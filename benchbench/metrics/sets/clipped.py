"""Clipped density and clipped coverage: how large a share of generated images is as good as real ones.

Salvy, Talbot & Thirion 2026, "Enhanced Generative Model Evaluation with Clipped Density and Coverage" (ICLR 2026,
arXiv:2507.01761). Balls B(xᵢ, NNDₖ(xᵢ)) lie around the N real images, as wide as the distance to the k-th nearest other
one; M generated images are counted in them.

Clipped density. Radii are cut at the median of all, and no image counts for more than 1:

    Rₖ(xᵢ) = min(NNDₖ(xᵢ), median_l NNDₖ(x_l)),    unnormalised = 1/M Σ_j min(1/k Σᵢ 1[y_j ∈ B(xᵢ, Rₖ(xᵢ))], 1),
    clipped density = min(unnormalised / real, 1)    (their eq. 7),

where `real` is the same mean over the real images, each left out of its own turn.

Clipped coverage. No ball counts for more than 1, and the mean is calibrated by its expectation:

    unnormalised = 1/N Σᵢ min(1/k Σ_j 1[y_j ∈ B(xᵢ, NNDₖ(xᵢ))], 1),    clipped coverage = g(unnormalised),

with g(f(x)) = 1 − x, f(x) being what is expected where ⌊M(1 − x)⌋ of the generated images come from the real
distribution and the others lie in no ball. Of m such images the number in a ball is beta-binomial: the ball has the
mass of the k-th of N − 1 order statistics, Beta(k, N − k), whatever the distribution. So

    f = 1 − 1/k Σ_{c<k} (k − c) P(C = c),    C ~ BetaBinomial(m, k, N − k)    (their lemma 1).

Both are means over images, so that a share of bad images takes that share away. Boundaries count as inside here: with
them a real image's own turn is leaving it out (`numerics.own_balls`), and identical sets give exactly 1.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from benchbench.metrics.numerics.arguments import check_number, check_whole


def expected_clipped_coverage(n_real: int, n_good: int, k: int = 5) -> float:
    """The unnormalised clipped coverage that is expected where both sides have one distribution (lemma 1).

    Args:
        n_real: N real images, more than k.
        n_good: m generated images, of the distribution of the real ones; 0 and more.
        k: The neighbour that sets the radius of a ball.

    Returns:
        Between 0 and 1, rising with m.

    Raises:
        InputError: A number is not whole or too small.
    """
    k = check_whole(k, "k", 1)
    n_real = check_whole(n_real, "the number of real images", k + 1)
    n_good = check_whole(n_good, "the number of generated images", 0)
    return float(_expected(n_real, np.array([n_good]), k)[0])


def good_share(unnormalised: float, n_real: int, n_fake: int, k: int = 5) -> float:
    """g: the share of good images among `n_fake` of which such a coverage is expected, by a line between whole numbers
    of images.

    Above what is expected of as many good images as there are it goes on along the last piece, to more than 1: halves
    of the images are compared there (`prdc`); clipped coverage itself is cut at 1. `InputError` as in
    `expected_clipped_coverage`.
    """
    k = check_whole(k, "k", 1)
    n_real = check_whole(n_real, "the number of real images", k + 1)
    n_fake = check_whole(n_fake, "the number of generated images", 1)
    unnormalised = check_number(unnormalised, "a coverage", 0)
    expected = _calibration(n_real, n_fake, k)
    if unnormalised > expected[-1]:
        step = expected[-1] - expected[-2]
        return float(1 + (unnormalised - expected[-1]) / step / n_fake)
    return float(np.interp(unnormalised, expected, np.arange(n_fake + 1) / n_fake))


@lru_cache(maxsize=8)  # of all images and of halves of them, for each cut
def _calibration(n_real: int, n_fake: int, k: int) -> np.ndarray:
    """What is expected of 0, 1, …, `n_fake` good images."""
    return _expected(n_real, np.arange(n_fake + 1), k)


def _expected(n_real: int, n_good: np.ndarray, k: int) -> np.ndarray:
    """`expected_clipped_coverage` of each number of good images."""
    from scipy.stats import betabinom  # takes half a second to import

    missing = sum((k - c) * betabinom.pmf(c, n_good, k, n_real - k) for c in range(k))
    return np.asarray(1 - missing / k)
