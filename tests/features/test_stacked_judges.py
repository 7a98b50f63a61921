"""The judges of stacked digits: the classifier of single digits, channel by channel."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from benchbench.core.baselines import TRAITS
from benchbench.core.errors import MetricFailed
from benchbench.core.protocols import ImageSpec
from benchbench.data.builtin.digits import Digits
from benchbench.data.builtin.stacked import StackedDigits
from benchbench.features.extractor import load_extractor
from benchbench.features.networks import cnn
from benchbench.features.networks.cnn import CNN, variable
from benchbench.features.networks.stacked import Stacked
from benchbench.models.build import build_model
from benchbench.training.weights import save_weights


@pytest.fixture(autouse=True)
def _no_weights_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for dataset in ("digits", "mnist"):
        monkeypatch.delenv(variable(dataset), raising=False)


def test_channels_are_judged_as_grey_images() -> None:
    """Oracle: `cnn_digits` on each channel repeated three times, and for some classes the sum of its log-softmaxes
    written out. float32 through another batch size: 1e-4 as for the classifier itself. Probabilities sum to 1."""
    images = StackedDigits().load().held_out.images[:7]
    digit, seen = CNN.of("digits")(), Stacked.of("digits")()(images)
    alone = [digit(images[:, c : c + 1].repeat(1, 3, 1, 1)) for c in range(3)]
    expected = torch.cat([channel.features for channel in alone], dim=1)
    torch.testing.assert_close(seen.features, expected, rtol=1e-4, atol=1e-4)
    assert seen.logits is not None
    assert (seen.features.shape, seen.logits.shape) == ((7, 384), (7, 1000))
    a, b, c = (channel.logits.log_softmax(1) for channel in alone if channel.logits is not None)
    for k in (0, 7, 42, 531, 999):
        by_hand = a[:, k // 100] + b[:, k // 10 % 10] + c[:, k % 10]
        torch.testing.assert_close(seen.logits[:, k], by_hand, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(seen.logits.exp().sum(1), torch.ones(7), rtol=1e-4, atol=0)


@pytest.mark.costly
def test_accuracy_is_that_of_a_digit_cubed() -> None:
    """Three independent draws from the held-out digits, of which the classifier knows a share p (884 of 899): p³ of
    the stacked ones. On 1,500 images that has a standard deviation of 0.6%; four of them."""
    held_out, stacked = Digits().load().held_out, StackedDigits().load().held_out
    logits = CNN.of("digits")()(held_out.images).logits
    assert logits is not None
    expected = float((logits.argmax(1) == held_out.labels).double().mean()) ** 3
    judge = Stacked.of("digits")()
    n = 1500
    said = [
        seen.argmax(1) for part in stacked.images[:n].split(21) if (seen := judge(part).logits) is not None
    ]
    assert stacked.labels is not None
    accuracy = float((torch.cat(said) == stacked.labels[:n]).double().mean())
    assert abs(accuracy - expected) < 4 * math.sqrt(expected * (1 - expected) / n)


def test_provenance() -> None:
    """The weights are the classifier's, and so is what is said of them."""
    described, digit = Stacked.of("digits")().describe(), CNN.of("digits")().describe()
    assert described == {**digit, "name": "modes_stacked-digits"}


def test_without_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The classifier's own sentence: how to train it and which variable to set."""
    (tmp_path / "cnn-mnist").mkdir()
    (tmp_path / "cnn-mnist" / TRAITS).write_text("input_side = 28\nn_classes = 10\n")
    monkeypatch.setattr(cnn, "baselines_folder", lambda: tmp_path)
    reasons = []
    for judge in (CNN.of("mnist"), Stacked.of("mnist")):
        with pytest.raises(MetricFailed, match="benchbench run --model cnn --dataset mnist") as caught:
            judge()
        assert caught.value.status == "unavailable"
        reasons.append(caught.value.reason)
    assert reasons[0] == reasons[1]


def test_of_any_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base of two classes has 2³; the class of (1, 0, 1) is 4 + 1. Oracle: the judge of the base on each channel."""
    torch.manual_seed(0)
    save_weights(build_model("cnn", {}, ImageSpec(32, 32, True, 2)), tmp_path / "weights.safetensors")
    (tmp_path / "run.json").write_text('{"data": {"size": "32×32"}}', encoding="utf-8")
    monkeypatch.setenv(variable("folder-cats"), str(tmp_path / "weights.safetensors"))
    single: Any = load_extractor("cnn:folder-cats")
    stacked: Any = load_extractor("modes:stacked-folder-cats")
    assert (stacked.name, stacked.n_logits, stacked.input_side) == ("modes_stacked-folder-cats", 8, 32)
    images = torch.randint(
        0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    a, b, c = (single(images[:, k : k + 1].repeat(1, 3, 1, 1)).logits.log_softmax(1) for k in range(3))
    torch.testing.assert_close(
        stacked(images).logits[:, 5], a[:, 1] + b[:, 0] + c[:, 1], rtol=1e-4, atol=1e-4
    )
