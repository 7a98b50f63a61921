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


def with_statistics(network: nn.Module) -> nn.Module:
    """The same network, its batch norms with the statistics of real activations, by one seeded pass in training mode,
    and with random scales and shifts, so that folding them has something to fold."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the statistics of all passes, here of one
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.3)
    blocks = torch.randint(0, 256, (8, 3, 6, 6), dtype=torch.uint8)
    with torch.no_grad():
        network.train()
        network(nn.functional.interpolate(blocks, size=64))
    return network.eval()


class Backbone(nn.Module):
    """What others read of a network of torchvision's: its convolutions, without the half gigabyte behind them."""

    def __init__(self, features: nn.Sequential) -> None:
        super().__init__()
        self.features = features


def random_features(name: str) -> nn.Sequential:
    """Seeded random convolutions of torchvision's `vgg16` or `alexnet`. Biases are drawn too, or nobody would miss
    one."""
    import torchvision

    with torch.device("meta"):
        layers: nn.Sequential = getattr(torchvision.models, name)(weights=None).features
    layers = layers.to_empty(device="cpu").eval()
    rng = torch.Generator().manual_seed(0)
    for own in layers.parameters():
        fan = own[0].numel() if own.ndim == 4 else 400
        own.data = torch.randn(own.shape, generator=rng) * (2 / fan) ** 0.5
    return layers
