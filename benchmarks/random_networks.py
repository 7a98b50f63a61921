"""Published networks on seeded random weights, for checks and timings that need nothing that was learned."""

from __future__ import annotations

from unittest import mock

import torch
from torch import nn


def random_inception(*, classes_differ: bool = False) -> nn.Module:
    """torch-fidelity's Inception-v3 on seeded random weights that let activations through, with no download.

    classes_differ: draw the last layer blind to what all rectified features share, so that images differ in class; else
    it is as its constructor draws it.
    """
    from torch_fidelity import feature_extractor_inceptionv3 as module

    torch.manual_seed(0)
    with (
        mock.patch.object(module, "load_state_dict_from_url", return_value={}),
        mock.patch.object(module.FeatureExtractorInceptionV3, "load_state_dict", return_value=None),
    ):
        network: nn.Module = module.FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"]
        )
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)  # keeps activations from vanishing
    if classes_differ:
        weight = nn.init.normal_(network.get_submodule("fc").weight.data)
        weight -= weight.mean(1, keepdim=True)
    return network
