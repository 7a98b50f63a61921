"""The other extractors that torch-fidelity knows, under its names: DINOv2, CLIP, VGG16.

Each resizes to 224×224 with the TF1-compatible bilinear of `inception_v3`, as torch-fidelity does, and not
with the bicubic of the papers it is best known from (Stein et al. 2023 for DINOv2); `resize` says so. None of
them downloads unasked, and torch-fidelity, which takes seconds to import, is imported by whoever makes one. CLIP
and VGG16 run torch-fidelity's own classes. DINOv2 does not, for that class asks the network for code and weights
whenever it is made: here both come from the torch hub cache or not at all.

Most of their arithmetic is in linear layers and attention, and their code converts types as it sees fit. So for
bfloat16 and float16 they run under torch's autocast, which leaves norms and sums in float32; the resize, which
has neither convolutions nor products of matrices, stays float32 by itself.
"""

from __future__ import annotations

import io
import os
from typing import ClassVar

import torch
from torch import Tensor, nn

from benchbench.core.errors import MetricFailed
from benchbench.features import resize
from benchbench.features.extractor import Features
from benchbench.features.frozen import FrozenExtractor
from benchbench.features.hub_code import HubCode
from benchbench.features.weights import WeightsFile, fetching, read_state_dict, wrong_shape


class _At224(FrozenExtractor):
    n_logits = 0
    resize = "tf1-224"
    input_side = 224
    batch_size = 8

    weights: ClassVar[WeightsFile]

    def forward(self, images: Tensor) -> Features:
        with torch.autocast(self.device.type, self.dtype, enabled=self.precision != "float32"):
            return Features(self.features(images).float(), None)

    def features(self, images: Tensor) -> Tensor:
        """uint8 RGB N×3×H×W -> N×D; torch-fidelity's networks resize and normalise by themselves."""
        (features,) = self.network(images)
        return features  # type: ignore[no-any-return]


class VGG16(_At224):
    """VGG16 on ImageNet, second hidden layer after its ReLU; its weights (553 MB) must be fetched once."""

    name = "vgg16"
    dim = 4096
    weights = WeightsFile(
        extractor="vgg16",
        file="vgg16-397923af.pth",
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
        sha256="397923af",
        env="BENCHBENCH_VGG16_WEIGHTS",
        megabytes=553,
        fetched_as="vgg16",
    )

    def __init__(self, device: torch.device | str = "cpu", *, precision: str = "float32") -> None:
        from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16

        weights, sha256, source = self.weights.read()
        buffer = (
            io.BytesIO()
        )  # the constructor unpickles without restraint, so it gets what we have read safely
        torch.save(weights, buffer)
        buffer.seek(0)
        try:
            network = FeatureExtractorVGG16("vgg16", ["fc2_relu"], feature_extractor_weights_path=buffer)
        except RuntimeError as error:
            raise wrong_shape(self.name, error) from error
        super().__init__(network, device, sha256, source, precision)


def _clip_weights(name: str, file: str, sha256: str, megabytes: int) -> WeightsFile:
    url = f"https://openaipublic.azureedge.net/clip/models/{sha256}/{file}"
    env = f"BENCHBENCH_{name.upper()}_WEIGHTS"
    return WeightsFile(name, f"{name.replace('_', '-')}-{sha256}.pt", url, sha256, env, megabytes)


class _Clip(_At224):
    kind = "clip"

    def __init__(self, device: torch.device | str = "cpu", *, precision: str = "float32") -> None:
        from torch_fidelity.feature_extractor_clip import FeatureExtractorCLIP

        path, sha256, source = self.weights.checked()
        if sha256 != self.weights.sha256:  # where the user names the file, nobody looked yet
            raise MetricFailed(
                f"{path} is not the published {self.name}: its sha256 is {sha256[:16]}. Such a file is TorchScript, a "
                f"program, and only the published one is run: unset {self.weights.env} and run {fetching(self.name)}",
                status="unavailable",
            )
        theirs = self.name.replace("_", "-")
        try:
            network = FeatureExtractorCLIP(theirs, ["clip"], feature_extractor_weights_path=str(path))
        except (RuntimeError, KeyError) as error:
            raise wrong_shape(self.name, error) from error
        super().__init__(network, device, sha256, source, precision)


class ClipViTB32(_Clip):
    """CLIP ViT-B/32 image embeddings; its weights (338 MB) must be fetched once."""

    name = "clip_vit_b_32"
    dim = 512
    weights = _clip_weights(
        name, "ViT-B-32.pt", "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af", 354
    )


class ClipViTL14(_Clip):
    """CLIP ViT-L/14 image embeddings; its weights (890 MB) must be fetched once."""

    name = "clip_vit_l_14"
    dim = 768
    weights = _clip_weights(
        name, "ViT-L-14.pt", "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836", 933
    )


DINOV2 = HubCode(
    "facebookresearch/dinov2",
    "12592a9bdfea0a6e4ee4767cd5a8d3195c0e3509",  # of the branch main, June 2025
    "df2677f6eb4cacccfc53f21d6c0d7a805c522b996101ee0e256af6e1fe19834a",
)


def _dino_weights(name: str, theirs: str, megabytes: int) -> WeightsFile:
    file = f"{theirs}_pretrain.pth"
    url = f"https://dl.fbaipublicfiles.com/dinov2/{theirs}/{file}"
    return WeightsFile(name, file, url, "", f"BENCHBENCH_{name.upper()}_WEIGHTS", megabytes)


class _DinoV2(_At224):
    hub_name: ClassVar[str]
    code: ClassVar[HubCode] = DINOV2

    def __init__(self, device: torch.device | str = "cpu", *, precision: str = "float32") -> None:
        if not self.code.is_there:
            raise MetricFailed(
                f"{self.name} needs the code of {self.code.repository} in {self.code.folder}: run "
                f"{fetching(self.name)}, which puts it there",
                status="unavailable",
            )
        path, sha256, source = self.weights.checked()
        # As torch-fidelity: with xFormers the same weights would give other last digits.
        os.environ.setdefault("XFORMERS_DISABLED", "1")
        network: nn.Module = torch.hub.load(
            str(self.code.folder), self.hub_name, source="local", pretrained=False
        )
        try:
            network.load_state_dict(read_state_dict(path, self.name))
        except RuntimeError as error:
            raise wrong_shape(self.name, error) from error
        super().__init__(network, device, sha256, source, precision)

    def features(self, images: Tensor) -> Tensor:
        mean = torch.tensor([0.485, 0.456, 0.406], device=images.device).mul_(255).view(3, 1, 1)
        std = torch.tensor([0.229, 0.224, 0.225], device=images.device).mul_(255).view(3, 1, 1)
        features: Tensor = self.network(resize.tf1(images, 224).sub_(mean).div_(std))
        return features


class DinoV2Small(_DinoV2):
    """DINOv2 ViT-S/14 class token; its code and weights (88 MB) must be fetched once."""

    name = "dinov2_vit_s_14"
    dim = 384
    hub_name = "dinov2_vits14"
    weights = _dino_weights(name, hub_name, 88)


class DinoV2Base(_DinoV2):
    """DINOv2 ViT-B/14 class token; its code and weights (346 MB) must be fetched once."""

    name = "dinov2_vit_b_14"
    dim = 768
    hub_name = "dinov2_vitb14"
    weights = _dino_weights(name, hub_name, 346)


class DinoV2Large(_DinoV2):
    """DINOv2 ViT-L/14 class token; its code and weights (1.2 GB) must be fetched once."""

    name = "dinov2_vit_l_14"
    dim = 1024
    hub_name = "dinov2_vitl14"
    weights = _dino_weights(name, hub_name, 1218)
