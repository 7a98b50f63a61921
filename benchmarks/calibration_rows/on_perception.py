"""Distances in the features of a VGG16 or AlexNet, on the same seeded random convolutions."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from unittest import mock

import torch
from random_networks import Backbone, random_features
from torch import Tensor, nn

from benchbench.metrics.pairs.dists import VGG, dists
from benchbench.metrics.pairs.lpips import ALEXNET, lpips
from benchbench.metrics.pairs.lpips_vgg import lpips_vgg
from calibration_rows.inputs import pairs
from calibration_rows.row import Other, Row, Section

ON = "two photographs 128×160, noise and more noise"
NEAR = 1e-4


@cache
def layers(name: str) -> nn.Sequential:
    return random_features(name)


@contextmanager
def at_hand(variable: str, name: str) -> Iterator[None]:
    """A file of the random convolutions, which the environment names while the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        torch.save(Backbone(layers(name)).state_dict(), path)
        with mock.patch.dict(os.environ, {variable: str(path)}):
            yield


def ours(of: Callable[[Tensor, Tensor], Tensor], variable: str | None, name: str) -> float:
    assert variable is not None
    with at_hand(variable, name):
        return float(of(*pairs()[ON]).mean())


def signed() -> list[Tensor]:
    """Both sides in [-1, 1], float32."""
    return [images.float() / 127.5 - 1 for images in pairs()[ON]]


def lpips_network_of_torchmetrics(name: str, net: str) -> nn.Module:
    from torchmetrics.functional.image import lpips as module

    with mock.patch.object(module, "_get_tv_model_features", return_value=layers(name)):
        return module._LPIPS(net=net, pnet_rand=True).eval()


def lpips_of_torchmetrics(name: str, net: str) -> float:
    with torch.inference_mode():
        return float(lpips_network_of_torchmetrics(name, net)(*signed()).mean())


def lpips_of_torch_fidelity() -> float:
    """Its learned weights are a download; torchmetrics ships the same."""
    from torch_fidelity import sample_similarity_lpips as module

    shipped = lpips_network_of_torchmetrics("vgg16", "vgg").state_dict()
    learned = {name: shipped[name] for name in (f"lin{i}.model.1.weight" for i in range(5))}
    with (
        mock.patch.object(module, "load_state_dict_from_url", return_value=learned),
        mock.patch.object(
            module, "torchvision_load_pretrained_vgg16", return_value=Backbone(layers("vgg16"))
        ),
        torch.inference_mode(),
    ):
        return float(module.SampleSimilarityLPIPS("lpips-vgg16")(*pairs()[ON]).mean())


def dists_of_torchmetrics() -> float:
    from torchmetrics.functional.image import dists as module

    with (
        mock.patch.object(module, "vgg16", return_value=Backbone(layers("vgg16"))),
        torch.inference_mode(),
    ):
        network = module.DISTSNetwork().eval()
        return float(network(*(images.float() / 255 for images in pairs()[ON])).mean())


SECTION = Section(
    "In the features of a VGG16 or AlexNet",
    "ImageNet's weights are a download, so every side has the same seeded random convolutions, under the "
    "learned weights of the authors that torchmetrics ships: the numbers mean nothing, their differences do.",
    (
        Row(
            "lpips",
            ON,
            lambda: ours(lpips, ALEXNET.env, "alexnet"),
            (
                Other(
                    "torchmetrics",
                    'learned_perceptual_image_patch_similarity(net_type="alex")',
                    lambda: lpips_of_torchmetrics("alexnet", "alex"),
                    "Its network is ours.",
                    1e-5,
                ),
            ),
            NEAR,
        ),
        Row(
            "lpips_vgg",
            ON,
            lambda: ours(lpips_vgg, VGG.env, "vgg16"),
            (
                Other(
                    "torchmetrics",
                    'learned_perceptual_image_patch_similarity(net_type="vgg")',
                    lambda: lpips_of_torchmetrics("vgg16", "vgg"),
                    "Adds 1e-8 under the root of a norm, the authors and we 1e-10 to the norm.",
                    NEAR,
                ),
                Other(
                    "torch-fidelity",
                    'SampleSimilarityLPIPS("lpips-vgg16")',
                    lpips_of_torch_fidelity,
                    "The authors' constant; `ppl` measures with this.",
                    1e-5,
                ),
            ),
            NEAR,
        ),
        Row(
            "dists",
            ON,
            lambda: ours(dists, VGG.env, "vgg16"),
            (
                Other(
                    "torchmetrics",
                    "deep_image_structure_and_texture_similarity",
                    dists_of_torchmetrics,
                    "The authors' network and formula, its variances as differences of float32 means.",
                    NEAR,
                ),
            ),
            NEAR,
        ),
    ),
    slow=True,
)
