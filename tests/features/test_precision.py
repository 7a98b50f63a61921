"""Half precision: near float32 by a bound that says how near, named, and never taken by whoever did not ask.

The bound. A float with p significant bits rounds with a relative error of at most u = 2⁻ᵖ: 2⁻⁸ in bfloat16, 2⁻¹¹
in float16. A convolution rounds its inputs and its weights, two errors of that size that have nothing to do with
each other, and so do the L convolutions on the longest way through a network; independent errors add in squares, so
features are off by about √(2L)·u of their norm where a layer passes a relative error on as it is. Layers amplify it
a little (ReLUs take away signal and leave error); 4 times as much is let pass. On 128 digits it is 1.9 times in
bfloat16 and 1.7 times in float16 for EfficientNet-Lite0. tests/parity has Inception-v3.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.registry import EXTRACTORS
from benchbench.features.extractor import Features, load_extractor
from benchbench.features.frozen import FrozenExtractor
from benchbench.features.networks.cnn import CNN
from benchbench.features.networks.efficientnet_lite0 import EfficientNetLite0
from benchbench.features.networks.stacked import Stacked
from benchbench.features.reference_cache import reference_features

UNIT = {"bfloat16": 2**-8, "float16": 2**-11}


def blocks(n: int, side: int = 32) -> Tensor:
    """Seeded blocks of colour with grain."""
    rng = torch.Generator().manual_seed(0)
    smooth = nn.functional.interpolate(torch.rand(n, 3, 4, 4, generator=rng), size=side)
    return (smooth * 200 + torch.rand(n, 3, side, side, generator=rng) * 55).to(torch.uint8)


def relative(ours: Tensor, exact: Tensor) -> float:
    return float((ours - exact).norm() / exact.norm())


@pytest.mark.costly
@pytest.mark.parametrize("precision", UNIT)
@pytest.mark.parametrize(
    ("judge", "depth"), [(EfficientNetLite0, 49), (CNN.of("digits"), 3), (Stacked.of("digits"), 3)]
)
def test_near_float32_and_not_the_same(judge: Any, depth: int, precision: str) -> None:
    """Within the module's bound, on features and logits; and further off than float32's own rounding, √(2L)·2⁻²⁴,
    would explain, so it was not float32 that ran. Features and logits are float32 all the same.

    Depths: 1 + (16·3 − 1) + 1 convolutions of Lite0; 3 of the shipped `cnn`."""
    images = blocks(4)
    exact, half = judge()(images), judge(precision=precision)(images)
    bound = 4 * (2 * depth) ** 0.5 * UNIT[precision]
    for ours, theirs in ((half.features, exact.features), (half.logits, exact.logits)):
        assert ours.dtype == torch.float32
        assert 100 * (2 * depth) ** 0.5 * 2**-24 < relative(ours, theirs) <= bound


@pytest.mark.parametrize("precision", UNIT)
def test_only_convolutions_are_lowered(precision: str) -> None:
    """The layer of the logits keeps its float32 weights, and its product is one of float32: equal, bit by bit, to
    that of the features that came out. The features are means of 8×8 rounded values and no values of the half
    format themselves."""
    judge = CNN.of("digits")(precision=precision)
    seen = judge(blocks(4))
    assert judge.network.head.weight.dtype == torch.float32
    assert torch.equal(seen.logits, judge.network.head(seen.features))
    assert not torch.equal(seen.features, seen.features.to(judge.dtype).float())


def test_the_choice_is_named_and_float32_unless_made() -> None:
    """`describe` says what was asked for; whoever asks for nothing gets float32."""
    assert EfficientNetLite0().describe()["precision"] == "float32"
    for precision in ("float32", *UNIT):
        judge = load_extractor("cnn_digits", "cpu", precision)
        assert judge.describe()["precision"] == precision
    with pytest.raises(InputError, match=r"unknown precision 'bf16'.* Known: bfloat16, float16, float32"):
        load_extractor("cnn_digits", "cpu", "bf16")


def test_each_precision_has_its_own_reference_features() -> None:
    """The cache never hands out features of another precision: what it returns is what a call gives, each its
    own, and the second time round too."""
    images = blocks(6)
    for _ in range(2):
        for precision in ("float32", *UNIT):
            judge = CNN.of("digits")(precision=precision)
            found = reference_features(images, judge, need_features=True, need_logits=False)
            assert found.features is not None
            assert torch.equal(found.features, judge(images).features)


class Plain:
    """Somebody's extractor, as docs/extending.md has one: its constructor takes the device alone."""

    def __init__(self, device: Any = "cpu") -> None:
        self.device = device


def test_an_extractor_that_knows_only_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Built as ever for float32; for anything else one sentence that names it and the way out."""
    monkeypatch.setattr(EXTRACTORS, "get", lambda name: Plain)
    assert isinstance(load_extractor("plain", "cpu"), Plain)
    with pytest.raises(InputError, match=r"^plain computes in float32 only; leave --precision bfloat16 out$"):
        load_extractor("plain", "cpu", "bfloat16")


class Loud(FrozenExtractor):
    """One 1×1 convolution that multiplies by 300: 255·3·300 = 229,500, beyond the 65,504 of float16."""

    name = "loud"
    dim = 1
    n_logits = 0
    resize = "none"
    batch_size = 4

    def __init__(self, precision: str) -> None:
        convolution = nn.Conv2d(3, 1, 1, bias=False)
        nn.init.constant_(convolution.weight, 300)
        super().__init__(convolution, "cpu", "", "made up", precision)

    def forward(self, images: Tensor) -> Features:
        return Features(self.network(images.to(self.dtype)).float().mean((2, 3)), None)


def test_float16_that_overflows_says_so() -> None:
    """By construction: white images overflow float16 and fit bfloat16, whose exponent is float32's. 255 has eight
    bits and 300 = 75·4 seven, so both are exact there; only the sum is rounded, to 2⁻⁸."""
    white = torch.full((2, 3, 4, 4), 255, dtype=torch.uint8)
    with pytest.raises(MetricFailed, match="loud overflows float16 on these images; use bfloat16 or float32"):
        Loud("float16")(white)
    assert Loud("float16")(white // 255).features.tolist() == [[900.0]] * 2
    assert Loud("bfloat16")(white).features[0].item() == pytest.approx(229_500, rel=2**-8)
