"""torch-fidelity's Inception-v3 on random weights, shared by the tests that hold ours against it."""

from __future__ import annotations

import pytest
import torch
from random_networks import random_inception
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3


@pytest.fixture(scope="session")
def oracle() -> FeatureExtractorInceptionV3:
    """Seeded random weights.

    One pass in training mode gives the batch norms the statistics of real activations, and random scales and
    shifts so that folding them has something to fold.
    """
    network = random_inception()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the statistics of all passes, here of one
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.3)
    blocks = torch.randint(0, 256, (8, 3, 6, 6), dtype=torch.uint8)
    with torch.no_grad():
        network.train()
        network(nn.functional.interpolate(blocks, size=64))
        network.eval()
    assert isinstance(network, FeatureExtractorInceptionV3)
    return network
