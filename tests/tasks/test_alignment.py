"""Numbers of images that a matcher read."""

from __future__ import annotations

import math

import pytest
import torch

from benchbench.tasks.alignment import alignment


@pytest.mark.parametrize("which", ["images", "captions"])
def test_codes_that_are_no_numbers_fail(which: str) -> None:
    """A matcher whose weights are no numbers would otherwise find nothing nearer than the own caption: the best rank of
    all."""
    images, captions = torch.eye(120)[:6], torch.eye(120)
    own = torch.arange(6)
    assert all(found.reason is None for found in alignment(images, captions, own, own))
    (images if which == "images" else captions)[2, 3] = math.nan
    for found in alignment(images, captions, own, own):
        assert found.estimate is None
        assert found.reason is not None
        assert "no finite codes" in found.reason
