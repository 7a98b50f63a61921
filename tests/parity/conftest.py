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
