"""torch-fidelity's Inception-v3 on random weights, shared by the tests that hold ours against it."""

from __future__ import annotations

from unittest import mock

import pytest
import torch
from torch import nn
from torch_fidelity import feature_extractor_inceptionv3 as module
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3


@pytest.fixture(scope="session")
def oracle() -> FeatureExtractorInceptionV3:
    """Seeded random weights.

    He's initialisation keeps activations from vanishing; one pass in training mode gives the batch norms the
    statistics of real activations, and random scales and shifts so that folding them has something to fold.
    """
    torch.manual_seed(0)
    with (
        mock.patch.object(module, "load_state_dict_from_url", return_value={}),
        mock.patch.object(FeatureExtractorInceptionV3, "load_state_dict", return_value=None),
    ):
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"])
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the statistics of all passes, here of one
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.3)
    blocks = torch.randint(0, 256, (8, 3, 6, 6), dtype=torch.uint8)
    with torch.no_grad():
        network.train()
        network(nn.functional.interpolate(blocks, size=64))
        network.eval()
    return network
