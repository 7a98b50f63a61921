"""Nearest training images: the planted copy is found, by the distance that NumPy computes."""

from __future__ import annotations

import numpy as np
import torch

from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.tasks.generation import COPIED, NEAREST, nearest_training


def side(features: torch.Tensor | None) -> FeatureEvidence:
    """Evidence of one judge; only the features are read here."""
    return FeatureEvidence(Moments.zeros(1), features)


def test_a_copied_training_image_is_its_nearest() -> None:
    """Sample i equals training row 3i: the first neighbour. The others follow NumPy's full sort of distances."""
    rng = np.random.default_rng(0)
    real = torch.from_numpy(rng.normal(size=(40, 5)).astype(np.float32))
    made = real[torch.arange(0, 30, 3)].clone()
    found = nearest_training(Evidence({"generated": {"net": side(made)}, "reference": {"net": side(real)}}))
    assert found is not None
    indices, judge = found
    assert judge == "net"
    assert indices.shape == (COPIED, NEAREST)
    assert indices[:, 0].tolist() == list(range(0, 3 * COPIED, 3))
    distances = np.linalg.norm(made.numpy()[:COPIED, None] - real.numpy()[None], axis=2)
    assert indices.tolist() == distances.argsort(axis=1)[:, :NEAREST].tolist()


def test_few_training_images_are_all_shown_and_none_without_features() -> None:
    """Three reference rows give three neighbours; a judge that kept moments alone gives no picture."""
    features = torch.eye(3)
    found = nearest_training(
        Evidence({"generated": {"net": side(features)}, "reference": {"net": side(features)}})
    )
    assert found is not None
    assert found[0].shape == (3, 3)
    assert (
        nearest_training(Evidence({"generated": {"net": side(None)}, "reference": {"net": side(features)}}))
        is None
    )
    assert nearest_training(Evidence({"generated": {"net": side(features)}, "reference": {}})) is None
