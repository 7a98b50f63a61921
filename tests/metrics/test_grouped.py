"""Means of values in groups, and their intervals: images of one prompt."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from benchbench.metrics.numerics.grouped import mean_over_groups, share_over_groups


def of_each(counts: list[int]) -> Tensor:
    """The prompt of each image, of so many images of each."""
    return torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))


@pytest.mark.parametrize("hit", [0.0, 1.0])
def test_no_hit_is_no_certainty(hit: float) -> None:
    """Oracle: SciPy's Wilson interval of 0 or 12 hits among 12 prompts, whose four images were all alike. Student's t
    would have no width, and 12 prompts without a hit leave shares up to a quarter possible."""
    found = share_over_groups(torch.full((48,), hit, dtype=torch.float64), of_each([4] * 12), "prompts")
    expected = stats.binomtest(int(12 * hit), 12).proportion_ci(0.95, method="wilson")
    assert (found.value, found.interval) == (hit, "95% Wilson over prompts")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_independent_images_count_each() -> None:
    """Of one image a prompt, and of four whose hits have nothing to do with each other, the interval is Wilson's of all
    images: SciPy's of 30 hits of 100, and within what 200 numbers tell of a variance for 800 images."""
    hits = torch.zeros(100, dtype=torch.float64)
    hits[:30] = 1
    found = share_over_groups(hits, torch.arange(100), "prompts")
    expected = stats.binomtest(30, 100).proportion_ci(0.95, method="wilson")
    # The variance with one degree of freedom less makes 99 of 100, which the bound lifts to 100.
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    drawn = torch.from_numpy(np.random.default_rng(0).random(800) < 0.3)
    found = share_over_groups(drawn.double(), of_each([4] * 200), "prompts")
    expected = stats.binomtest(int(drawn.sum()), 800).proportion_ci(0.95, method="wilson")
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(expected.high - expected.low, rel=0.15)


@pytest.mark.parametrize("alike", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("share", [0.02, 0.25])
def test_the_share_is_covered(share: float, alike: float) -> None:
    """95% of 400 intervals over 40 prompts of four images hold the share, whether the images of a prompt hit together
    or not: 0.91 is three standard errors below (√(0.95·0.05/400) = 0.011, and Wilson's own dips at small shares)."""
    rng, covered = np.random.default_rng(1), 0
    prompts = of_each([4] * 40)
    for _ in range(400):
        together = rng.random(40) < alike
        of_prompt, of_image = rng.random((40, 1)) < share, rng.random((40, 4)) < share
        hits = torch.from_numpy(np.where(together[:, None], of_prompt, of_image)).double().flatten()
        found = share_over_groups(hits, prompts, "prompts")
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= share <= found.high
    assert covered / 400 >= 0.91


def test_prompts_with_more_images_than_others() -> None:
    """The value is the share of images and their mean rank, as the row says, and not that of prompts: three images of
    one prompt hit and one of another does not, 3 of 4. The t interval of the mean, by hand: deviations from 3/4 sum to
    3·1/4 and -3/4, so the standard error is √(2·(9/16 + 9/16)) / 4."""
    values, prompts = torch.tensor([1.0, 1, 1, 0]), torch.tensor([7, 7, 7, 2])
    assert share_over_groups(values, prompts, "prompts").value == 0.75
    found = mean_over_groups(values, prompts, (None, None), "prompts")
    assert found.value == 0.75
    assert found.high == pytest.approx(0.75 + stats.t.ppf(0.975, 1) * math.sqrt(2 * 9 / 8) / 4)


def test_one_prompt_has_no_interval() -> None:
    """Nothing says how another prompt would differ."""
    for found in (
        share_over_groups(torch.ones(5), of_each([5]), "prompts"),
        mean_over_groups(torch.ones(5), of_each([5]), (1, 9), "prompts"),
    ):
        assert (found.value, found.low, found.high) == (1, None, None)
