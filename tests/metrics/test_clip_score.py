"""CLIPScore on embeddings whose angles are known; what it is read from is the extractor's matter."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.protocols import ImageSpec
from benchbench.data.catalogue import load_dataset
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import CaptionEvidence, Evidence, FeatureEvidence
from benchbench.metrics.pairs.captions import NO_CAPTIONS, CLIPScore, clip_score
from benchbench.metrics.select import score, select_metrics
from benchbench.models.build import build_model
from benchbench.tasks.generation import Generation


def at(*degrees: float) -> torch.Tensor:
    """Directions in the plane, by their angles."""
    return torch.tensor([[math.cos(math.radians(angle)), math.sin(math.radians(angle))] for angle in degrees])


def test_by_angles() -> None:
    """100 · max(cos, 0) of 0°, 60°, 90°, 120° and 180°; 1e-4 for cosines of float32."""
    found = clip_score(at(0, 60, 90, 120, 180), at(0, 0, 0, 0, 0))
    assert found.tolist() == pytest.approx([100, 50, 0, 0, 0], abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e3))
def test_only_directions_count(seed: int, scale: float) -> None:
    """Lengths change nothing (1e-9: float64), nor does which side is the image, nor what other rows are."""
    generator = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(5, 7, generator=generator, dtype=torch.float64) for _ in range(2))
    found = clip_score(x, y)
    assert found.tolist() == pytest.approx(clip_score(scale * y, x).tolist(), rel=1e-9, abs=1e-9)
    assert found[2:3].tolist() == pytest.approx(clip_score(x[2:3], y[2:3]).tolist(), rel=1e-12)
    assert ((found >= 0) & (found <= 100)).all()


def test_what_cannot_be_compared() -> None:
    """An embedding of length 0 has no direction; rows that belong to none."""
    with pytest.raises(MetricFailed, match="length 0"):
        clip_score(torch.zeros(2, 3), torch.ones(2, 3))
    with pytest.raises(InputError):
        clip_score(torch.ones(2, 3), torch.ones(3, 3))


def evidence(images: torch.Tensor, prompts: torch.Tensor, own: list[int]) -> Evidence:
    side = FeatureEvidence(Moments.of(images), images)
    told = CaptionEvidence({"clip_folder": prompts}, torch.tensor(own))
    return Evidence({"generated": {"clip_folder": side}}, captions=told)


def test_the_metric() -> None:
    """The mean over images, its interval over the means of the prompts: images at 0° and 60° of one prompt (75) and two
    at 90° and 60° of another (25), Student's t of 75 and 25 by SciPy, cut to the range."""
    found = CLIPScore("clip_folder").compute(evidence(at(0, 90, 60, 60), at(0, 0), [0, 1, 0, 1]))
    low, high = stats.t.interval(0.95, 1, 50, stats.sem([75, 25]))
    assert found.value == pytest.approx(50, abs=1e-4)
    assert (found.low, found.high) == (max(0, low), min(100, high))
    assert found.interval == "95% t over prompts"


def test_which_extractor_it_reads() -> None:
    """Its own whichever were asked for, under the name that the field has for it; in `all` too."""
    for names, extractors in (
        (["clip_score"], ["cnn_digits"]),
        (["all"], ["cnn_digits"]),
        (["clip_score"], []),
    ):
        (metric,) = (one for one in select_metrics(names, extractors) if one.family == "clip_score")
        assert (metric.name, metric.extractor) == ("clip_score", "clip_folder")


def test_without_captions() -> None:
    """A sentence that says who has them, from the metric and from a task without."""
    images = at(0, 90)
    sets = {"generated": {"clip_folder": FeatureEvidence(Moments.of(images), images)}}
    (metric,) = select_metrics(["clip_score"], [])
    (outcome,) = score([metric], Evidence(sets))
    assert (outcome.status, outcome.reason) == ("failed", NO_CAPTIONS)
    noise: nn.Module = build_model("noise", {}, ImageSpec(8, 8, True, 10))
    assert Generation().inapplicable(metric, noise, load_dataset("digits")) == NO_CAPTIONS
