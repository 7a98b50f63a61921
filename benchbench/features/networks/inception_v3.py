"""The Inception-v3 of 2015 that FID, KID and the Inception Score are defined on.

The network class and the conversion of the TensorFlow weights are torch-fidelity's (Obukhov et al. 2020); it
repeats the quirks of the original graph, which torchvision's Inception-v3 does not. Ours runs its modules in
channels-last layout with every batch norm folded into the convolution before it; the parity test holds the
two together on the same weights.

Three protocols share these weights and differ in the resize to 299×299 and, by a hair, in the normalisation.
Each has its own name, for their numbers do not compare:

- `inception_v3`: TF1-compatible bilinear, (x - 128) / 128. The published FID; torch-fidelity.
- `inception_v3_clean`: antialiased bicubic, (x - 128) / 128. Parmar et al. (2022); clean-fid.
- `inception_v3_torch`: PyTorch bilinear, x / 127.5 - 1. pytorch-fid.

Features: the 2048 after global average pooling (`pool_3`). Logits: 1008, the last layer without its bias, as
the Inception Score reads them ("logits_unbiased" in torch-fidelity).

`inception_v3_spatial` reads another layer under the first protocol: the first 7 channels of `mixed_6/conv`, in
their places, for sFID (Nash et al. 2021). Alone it has a pass of its own, which ends at that layer, after 64% of the
arithmetic; asked for together with `inception_v3` it is read off that one's pass.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from benchbench.features import resize
from benchbench.features.extractor import Features
from benchbench.features.frozen import FrozenExtractor, fold_batch_norm
from benchbench.features.weights import WeightsFile, tensors_sha256, wrong_shape

SIZE = 299
WEIGHTS = WeightsFile(
    extractor="inception_v3",
    file="weights-inception-2015-12-05-6726825d.pth",
    url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    sha256="6726825d",
    env="BENCHBENCH_INCEPTION_WEIGHTS",
    megabytes=96,
)


class FoldedInception(nn.Module):
    """Normalised N×3×299×299 -> float32 features N×2048 and unbiased logits N×1008."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        layers = _folded_layers(weights)
        self.fc, self.pool = layers.pop("fc"), layers.pop("AvgPool")
        self.at = list(layers).index("Mixed_6d")
        self.trunk = nn.Sequential(*layers.values()).to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.whole(x)[:2]

    def whole(self, x: Tensor, spatial: bool = False) -> tuple[Tensor, Tensor, Tensor | None]:
        """The same, and where asked the features of `SpatialInception` on the way."""
        maps, places = x.contiguous(memory_format=torch.channels_last), None
        for number, layer in enumerate(self.trunk):
            if spatial and number == self.at:
                places = spatial_features(layer.get_submodule("branch1x1")(maps))
            maps = layer(maps)
        features = self.pool(maps.float()).flatten(1)
        return features, features @ self.fc.weight.T, places


class SpatialInception(nn.Module):
    """Normalised N×3×299×299 -> float32 features N×2023 (17×17 places, 7 channels of each), and no logits.

    `mixed_6/conv` of the TensorFlow graph is the 1×1 branch of torch-fidelity's `Mixed_6d`. Flattened row by
    row, the channels of a place together, as ADM's evaluator does it, so that its statistics fit ours.
    """

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        layers = _folded_layers(weights)
        names = list(layers)
        before = [layers[name] for name in names[: names.index("Mixed_6d")]]
        self.trunk = nn.Sequential(*before, layers["Mixed_6d"].get_submodule("branch1x1")).to(
            memory_format=torch.channels_last
        )

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        maps = self.trunk(x.contiguous(memory_format=torch.channels_last))
        return spatial_features(maps), None


def spatial_features(maps: Tensor) -> Tensor:
    """The first 7 channels of the maps N×C×17×17 of `mixed_6/conv`, place by place: float32 N×2023."""
    return maps[:, :7].permute(0, 2, 3, 1).flatten(1).float()


class InceptionV3(FrozenExtractor):
    """The Inception-v3 of FID, TF1 bilinear resize; its weights (92 MB) must be fetched once."""

    name = "inception_v3"
    dim = 2048
    n_logits = 1008
    resize = "tf1"
    input_side = SIZE
    batch_size = 8
    field_names: ClassVar[Mapping[str, str]] = {
        "fd": "fid",
        "fd_infinity": "fid_infinity",
        "swd": "mind",
        "kd": "kid",
        "kd_subsets": "kid_subsets",
        "is": "inception_score",
        "is_one_split": "inception_score_one_split",
        "intra_fd": "intra_fid",
    }

    weights: ClassVar[WeightsFile] = WEIGHTS
    network_class: ClassVar[type[nn.Module]] = FoldedInception

    def __init__(self, device: torch.device | str = "cpu", *, precision: str = "float32") -> None:
        """`MetricFailed(status="unavailable")` where the weights are not at hand."""
        weights, sha256, source = self.weights.read()
        try:
            network = self.network_class(weights)
        except RuntimeError as error:
            raise wrong_shape(self.name, error) from error
        super().__init__(network, device, sha256, source, precision)

    @classmethod
    def from_state_dict(
        cls, weights: dict[str, Tensor], device: torch.device | str = "cpu", precision: str = "float32"
    ) -> Self:
        """The same network on weights that are in memory, for tests and benchmarks; the record says so."""
        extractor = cls.__new__(cls)
        network = cls.network_class(weights)
        sha256 = tensors_sha256(weights)
        FrozenExtractor.__init__(extractor, network, device, sha256, "given in memory", precision)
        return extractor

    def forward(self, images: Tensor) -> Features:
        return Features(*self.network(self.preprocess(images).to(self.dtype)))

    def layers(self, images: Tensor) -> dict[str, Features]:
        """Its own features and, from the same pass, those of `inception_v3_spatial`; by the name of the extractor."""

        network: Any = self.network

        def forward(images: Tensor) -> dict[str, Features]:
            features, logits, places = network.whole(self.preprocess(images).to(self.dtype), spatial=True)
            return {self.name: Features(features, logits), InceptionV3Spatial.name: Features(places, None)}

        return self._checked(forward, images)

    def preprocess(self, images: Tensor) -> Tensor:
        """uint8 N×3×H×W -> normalised float32 N×3×299×299."""
        return resize.tf1(images, SIZE).sub_(128).div_(128)


class InceptionV3Spatial(InceptionV3):
    """The Inception-v3 of FID before pooling, for sFID: 7 channels of mixed_6/conv; same weights file."""

    name = "inception_v3_spatial"
    dim = 7 * 17 * 17
    n_logits = 0
    reads = "inception_v3"
    field_names: ClassVar[Mapping[str, str]] = {"fd": "sfid", "fd_infinity": "sfid_infinity"}
    network_class = SpatialInception


class InceptionV3Clean(InceptionV3):
    """The Inception-v3 of FID under clean-fid's antialiased bicubic resize; same weights file."""

    name = "inception_v3_clean"
    resize = "clean"

    def preprocess(self, images: Tensor) -> Tensor:
        return resize.clean(images, SIZE).sub_(128).div_(128)


class InceptionV3Torch(InceptionV3):
    """The Inception-v3 of FID under pytorch-fid's resize and normalisation; same weights file."""

    name = "inception_v3_torch"
    resize = "torch"

    def preprocess(self, images: Tensor) -> Tensor:
        return resize.torch_bilinear(images, SIZE).div_(127.5).sub_(1)


def _folded_layers(weights: dict[str, Tensor]) -> dict[str, nn.Module]:
    """The network's layers by name, in the order in which its `forward` calls them, batch norms folded."""
    from torch_fidelity.feature_extractor_inceptionv3 import BasicConv2d, FeatureExtractorInceptionV3

    # Its constructor unpickles a file without restraint; a buffer that we filled ourselves is safe.
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    buffer.seek(0)
    network = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=buffer
    )
    for module in network.modules():
        if isinstance(module, BasicConv2d):
            module.conv, module.bn = _folded(module.conv, module.bn), nn.Identity()
    return dict(network.named_children())


def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """The convolution, changed in place to do what its batch norm did."""
    weight, bias = fold_batch_norm(conv.weight, norm.state_dict(), norm.eps)
    conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(bias)
    return conv
