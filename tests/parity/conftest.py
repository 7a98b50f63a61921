"""torch-fidelity's Inception-v3 on random weights, shared by the tests that hold ours against it."""

from __future__ import annotations

import pytest
from random_networks import random_inception, with_statistics
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3


@pytest.fixture(scope="session")
def oracle() -> FeatureExtractorInceptionV3:
    """Seeded random weights, batch norms with the statistics of real activations."""
    network = with_statistics(random_inception())
    assert isinstance(network, FeatureExtractorInceptionV3)
    return network
