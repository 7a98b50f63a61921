"""The dataset's own classifiers as judges: the network that was trained, from weights that are what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.core.hashing import file_sha256
from benchbench.core.protocols import ImageSpec
from benchbench.core.registry import EXTRACTORS
from benchbench.data.catalogue import load_dataset
from benchbench.features.networks import cnn as module
from benchbench.features.networks.cnn import CNNCIFAR10, CNNMNIST, CNNDigits, CNNOpenMojiTones, FoldedCNN
from benchbench.models.build import build_model
from benchbench.training.weights import save_weights

ENV = "BENCHBENCH_CNN_CIFAR10_WEIGHTS"


@pytest.fixture(autouse=True)
def _no_weights_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for judge in (CNNDigits, CNNOpenMojiTones, CNNMNIST, CNNCIFAR10):
        monkeypatch.delenv(
            f"BENCHBENCH_{judge.name.upper().replace(chr(45), chr(95))}_WEIGHTS", raising=False
        )


def trained(spec: ImageSpec, convs: int = 1) -> Any:
    """A `cnn` whose batch norms have something to say."""
    torch.manual_seed(0)
    model = build_model("cnn", {"convs": convs}, spec)
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.weight, 0.5, 2)
            torch.nn.init.normal_(part.bias)
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    return model.eval()


def pictures(n: int, side: int, grey: bool = False) -> Tensor:
    rng = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (n, 1 if grey else 3, side, side), dtype=torch.uint8, generator=rng)
    return images.expand(-1, 3, -1, -1).contiguous()


@pytest.mark.parametrize(("grey", "convs"), [(True, 1), (False, 2), (False, 3)])
def test_it_is_the_network_that_was_trained(
    grey: bool, convs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: the model itself on the same images. Folding reorders float32 products of up to 9·128 terms:
    1e-4 relative, of the largest."""
    model = trained(ImageSpec(32, 32, grey, 10), convs)
    save_weights(model, tmp_path / "w.safetensors", name="cnn")
    monkeypatch.setenv(ENV, str(tmp_path / "w.safetensors"))
    images = pictures(5, 32, grey)
    seen = CNNCIFAR10()(images)
    with torch.inference_mode():
        features, logits = model.features(images), model.classify(images)
    torch.testing.assert_close(seen.features, features, rtol=1e-4, atol=1e-4 * float(features.max()))
    assert seen.logits is not None
    torch.testing.assert_close(seen.logits, logits, rtol=1e-4, atol=1e-4 * float(logits.abs().max()))


@pytest.mark.costly
@pytest.mark.parametrize(
    ("judge_class", "dataset", "right"),
    [(CNNDigits, "digits", 884), (CNNOpenMojiTones, "openmoji-tones", 323)],
)
def test_shipped_weights_are_as_good_as_their_card_says(
    judge_class: type[CNNDigits | CNNOpenMojiTones], dataset: str, right: int
) -> None:
    """884 of the 899 held-out digits and 323 of 330 tones, as the cards have it; another processor may round a tie
    the other way, so two images either way are let pass."""
    judge = judge_class()
    held_out = load_dataset(dataset).held_out
    logits = judge(held_out.images).logits
    assert logits is not None
    assert held_out.labels is not None
    assert abs(int((logits.argmax(1) == held_out.labels).sum()) - right) <= 2
    described = judge.describe()
    assert described["weights_sha256"] == judge_class.sha256
    assert described["weights_source"] == f"shipped, baselines/cnn-{dataset}"
    assert described["resize"] == "bilinear-antialias-32"


def test_preprocessing() -> None:
    """Closed form: an image of one level is the same image at any size, up to the rounding of interpolation
    weights; a grey judge sees the mean of the channels, so (0, 30, 60) is the level 30."""
    judge = CNNDigits()

    def flat(size: int, levels: tuple[int, int, int]) -> Tensor:
        return torch.tensor(levels, dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, size, size)

    whole = judge(flat(32, (30, 30, 30))).features
    torch.testing.assert_close(judge(flat(64, (30, 30, 30))).features, whole, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(judge(flat(20, (0, 30, 60))).features, whole, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(judge(flat(32, (90, 90, 90))).features, whole, rtol=1e-2)


@pytest.mark.parametrize("judge", [CNNMNIST, CNNCIFAR10])
def test_absent(judge: type[CNNMNIST], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Registered, and one sentence with the command that makes the weights and the variable to set."""
    monkeypatch.setattr(module, "baselines_folder", lambda: tmp_path)
    assert EXTRACTORS.get(judge.name) is judge
    with pytest.raises(MetricFailed) as caught:
        judge()
    assert caught.value.status == "unavailable"
    dataset = judge.name.removeprefix("cnn_")
    assert f"benchbench run --model cnn --dataset {dataset}, then" in caught.value.reason
    assert f"BENCHBENCH_CNN_{dataset.upper()}_WEIGHTS" in caught.value.reason


def test_weights_that_are_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file, a damaged one, another model's, another number of classes, and a shipped file that changed:
    each is "unavailable" with its reason, none is a traceback."""
    file = tmp_path / "w.safetensors"
    monkeypatch.setenv(ENV, str(file))

    def reason() -> str:
        with pytest.raises(MetricFailed) as caught:
            CNNCIFAR10()
        assert caught.value.status == "unavailable"
        assert "\n" not in caught.value.reason
        return caught.value.reason

    assert "which is not a file" in reason()
    file.write_bytes(b"not tensors")
    assert "damaged or no safetensors file" in reason()
    for name in ("vae", "vae-mlp"):
        save_weights(build_model(name, {}, ImageSpec(16, 16, False, 0)), file, name=name)
        assert "another network's" in reason()
    save_weights(trained(ImageSpec(32, 32, False, 7)), file)
    assert "128 features and 7 classes, not 128 and 10" in reason()

    monkeypatch.setattr(module, "baselines_folder", lambda: tmp_path)
    (tmp_path / "cnn-digits").mkdir()
    save_weights(trained(ImageSpec(32, 32, True, 10)), tmp_path / "cnn-digits" / "weights.safetensors")
    with pytest.raises(MetricFailed, match="damaged or another file"):
        CNNDigits()


def test_given_weights_go_before_shipped_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file the user names is taken as it is, and the record says which it was."""
    file = tmp_path / "mine.safetensors"
    save_weights(trained(ImageSpec(32, 32, True, 10)), file)
    monkeypatch.setenv("BENCHBENCH_CNN_DIGITS_WEIGHTS", str(file))
    described = CNNDigits().describe()
    assert described["weights_sha256"] == file_sha256(file)
    assert described["weights_source"] == "a file named by BENCHBENCH_CNN_DIGITS_WEIGHTS"


def test_a_tensor_too_many_is_another_network() -> None:
    """Every tensor must have its place: one left over means that another computation was trained."""
    weights = trained(ImageSpec(32, 32, True, 10)).state_dict()
    with pytest.raises(KeyError, match=r"gate\.weight is not what a cnn has"):
        FoldedCNN({**weights, "gate.weight": torch.ones(1)})
