"""DINOv2, CLIP and VGG16: wired as torch-fidelity wires them, shown on small or seeded random weights."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2

from benchbench.core.errors import MetricFailed
from benchbench.core.hashing import file_sha256
from benchbench.core.registry import EXTRACTORS
from benchbench.features import resize
from benchbench.features.networks import torch_fidelity_nets as nets

CLASSES = [nets.DinoV2Small, nets.DinoV2Base, nets.DinoV2Large, nets.ClipViTB32, nets.ClipViTL14, nets.VGG16]


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty torch hub cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for judge in CLASSES:
        monkeypatch.delenv(judge.weights.env, raising=False)
    return tmp_path / "hub"


@pytest.fixture
def images() -> Tensor:
    return torch.randint(
        0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(5)
    )


@pytest.mark.parametrize("judge", CLASSES)
def test_absent(judge: type[nets.VGG16]) -> None:
    """Registered under its name; one sentence with the thing that is missing, and nothing is downloaded."""
    assert EXTRACTORS.get(judge.name) is judge
    with pytest.raises(MetricFailed, match=judge.name) as caught:
        judge()
    assert caught.value.status == "unavailable"
    assert f"run benchbench fetch {judge.name}" in caught.value.reason
    assert "\n" not in caught.value.reason


def imagenet(images: Tensor) -> Tensor:
    """Their preprocessing, written out: TF1 bilinear to 224, ImageNet mean and deviation on 0..1."""
    x = resize.tf1(images, 224) / 255
    return torchvision.transforms.functional.normalize(x, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize("judge", [nets.ClipViTB32, nets.ClipViTL14])
def test_published_clips(judge: type[nets.ClipViTB32]) -> None:
    """The file and its sha256 are those that torch-fidelity fetches."""
    from torch_fidelity.feature_extractor_clip import MODEL_METADATA, MODEL_URLS

    theirs = judge.name.replace("_", "-")
    assert judge.weights.url == MODEL_URLS[theirs]
    assert judge.weights.sha256 == MODEL_METADATA[theirs]["hash"]
    assert judge.weights.file == f"{theirs}-{judge.weights.sha256}.pt"


def test_names_cost_no_import() -> None:
    """To know what extractors are called nothing of torchvision is imported, which takes seconds."""
    code = (
        "import sys; from benchbench.core.registry import EXTRACTORS; EXTRACTORS.names(); "
        "EXTRACTORS.get('clip_vit_b_32'); print('torchvision' in sys.modules, 'torch_fidelity' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def near_but_rounded(make: type[nets.VGG16], images: Tensor, exact: Tensor) -> None:
    """The same weights under autocast: float32 comes out, off by the rounding of inputs and weights to p bits in
    each of a few layers (16 of VGG16, 7 of the small CLIP), √(2·16)·2⁻ᵖ < 6·2⁻ᵖ with what a layer amplifies; at least
    by a thousandth of one rounding, which float32 (2⁻²⁴) would not be."""
    for precision, unit in (("bfloat16", 2**-8), ("float16", 2**-11)):
        judge = make(precision=precision)
        seen = judge(images).features
        assert judge.describe()["precision"] == precision
        assert seen.dtype == torch.float32
        assert unit / 1000 < (seen - exact).norm() / exact.norm() <= 6 * unit


FAKE_HUBCONF = """
import torch

def dinov2_vits14(pretrained=True):
    assert not pretrained, "would download"
    return torch.nn.Sequential(torch.nn.AvgPool2d(56), torch.nn.Flatten(), torch.nn.Linear(48, 384))
"""


def test_dinov2(hub: Path, images: Tensor) -> None:
    """A small network in the place of the hub's code, its seeded weights in the place of the published ones.

    The oracle is torch-fidelity's own forward pass around the same network; its constructor, which downloads,
    is left out. 1e-5: its normalisation rounds 255 · mean another way.
    """
    code = hub / "facebookresearch_dinov2_main"
    code.mkdir(parents=True)
    (code / "hubconf.py").write_text(FAKE_HUBCONF)
    with pytest.raises(MetricFailed, match="dinov2_vits14_pretrain"):
        nets.DinoV2Small()
    torch.manual_seed(0)
    network = nn.Sequential(nn.AvgPool2d(56), nn.Flatten(), nn.Linear(48, 384))
    (hub / "checkpoints").mkdir()
    torch.save(network.state_dict(), nets.DinoV2Small.weights.cached)

    theirs = FeatureExtractorDinoV2.__new__(FeatureExtractorDinoV2)
    nn.Module.__init__(theirs)
    theirs.model, theirs.features_list = network, ["dinov2"]
    theirs.feature_extractor_internal_dtype = torch.float32
    judge = nets.DinoV2Small()
    with torch.inference_mode():
        (expected,) = theirs(images)
    torch.testing.assert_close(judge(images).features, expected, atol=1e-5, rtol=1e-5)
    assert judge(images).logits is None
    assert judge.describe()["resize"] == "tf1-224"
    near_but_rounded(nets.DinoV2Small, images, expected)

    torch.save({"w": torch.ones(1)}, nets.DinoV2Small.weights.cached)
    with pytest.raises(MetricFailed, match="another network's"):
        nets.DinoV2Small()


def test_clip(tmp_path: Path, images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CLIP of one narrow layer as a TorchScript archive, as OpenAI publishes them, given by the user.

    The oracle is torch-fidelity's own network built from the same tensors. A file with another digest than the
    published one's is a program of nobody, and is not run.
    """
    from torch_fidelity.feature_extractor_clip import FeatureExtractorCLIP, VisionTransformer

    torch.manual_seed(0)
    archive = nn.Module()
    archive.visual = VisionTransformer(224, 32, width=64, layers=1, heads=1, output_dim=512)
    for parameter in archive.parameters():
        parameter.data = parameter.data.half().float()  # CLIP is published in float16
    archive.text_projection = nn.Parameter(torch.zeros(8, 512))

    class Archive(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.visual, self.text_projection = archive.visual, archive.text_projection

        def forward(self, x: Tensor) -> Tensor:
            return self.text_projection + x

    path = tmp_path / "tiny.pt"
    torch.jit.trace(Archive(), torch.zeros(1)).save(str(path))
    monkeypatch.setenv("BENCHBENCH_CLIP_VIT_B_32_WEIGHTS", str(path))
    with pytest.raises(
        MetricFailed, match=r"is not the published clip_vit_b_32: .* only the published one is run"
    ):
        nets.ClipViTB32()
    published = replace(nets.ClipViTB32.weights, sha256=file_sha256(path))
    monkeypatch.setattr(nets.ClipViTB32, "weights", published)
    judge = nets.ClipViTB32()
    theirs = FeatureExtractorCLIP("clip-vit-b-32", ["clip"], feature_extractor_weights_path=str(path))
    seen = judge(images)
    assert seen.features.shape == (2, judge.dim)
    with torch.inference_mode():
        torch.testing.assert_close(seen.features, theirs(images)[0], atol=0, rtol=0)
    near_but_rounded(nets.ClipViTB32, images, seen.features)
    path.write_text("not an archive")
    with pytest.raises(MetricFailed, match="clip_vit_b_32"):
        nets.ClipViTB32()


@pytest.mark.slow
def test_vgg16(tmp_path: Path, images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision's own VGG16 on the same weights, cut after the second hidden layer's ReLU. Slow: half a GB.

    The weights repeat one seeded block, for 138 million random numbers take seconds; scaled by fan-in so that
    activations neither vanish nor explode. 1e-4 of the largest: float32 sums of up to 25,088 products.
    """
    with torch.device("meta"):
        vgg = torchvision.models.vgg16()
    block = torch.randn(10_007, generator=torch.Generator().manual_seed(0))
    weights = {}
    for name, parameter in vgg.state_dict().items():
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 100
        repeats = -(-parameter.numel() // len(block))
        weights[name] = block.repeat(repeats)[: parameter.numel()].view(parameter.shape) * (2 / fan_in) ** 0.5
    torch.save(weights, tmp_path / "vgg.pth")
    monkeypatch.setenv("BENCHBENCH_VGG16_WEIGHTS", str(tmp_path / "vgg.pth"))
    judge = nets.VGG16()
    near_but_rounded(nets.VGG16, images, judge(images).features)
    (tmp_path / "vgg.pth").unlink()
    seen = judge(images)
    vgg.load_state_dict(weights, assign=True)
    with torch.inference_mode():
        hidden = vgg.avgpool(vgg.features(imagenet(images))).flatten(1)
        expected = vgg.eval().classifier[:5](hidden)
    assert seen.features.shape == (2, judge.dim)
    assert expected.std() > 1e-3 * expected.abs().max()
    assert (seen.features - expected).abs().max() <= 1e-4 * expected.abs().max()
