"""What an extractor looks at, and the note where that is more than the data holds."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchbench.core.registry import EXTRACTORS
from benchbench.features.extractor import enlarged_note, load_extractor
from benchbench.features.networks.points import ModesGrid25

OURS = [
    name for name in EXTRACTORS.names() if EXTRACTORS.get(name).__module__.startswith("benchbench.")
]  # fmt: skip


@pytest.mark.parametrize(
    "name", [name for name in OURS if not name.startswith("inception") and name != "clip_folder"]
)
def test_it_is_what_the_resize_says(name: str) -> None:
    """The protocol's name ends in the side, or says that there is no resize. Inception's names have no number, and the
    side of `clip_folder` is that of the folder (`test_clip_folder`)."""
    kind = EXTRACTORS.get(name)
    side = kind.resize.rpartition("-")[2]
    assert kind.input_side == (None if side == "none" else int(side))


@pytest.mark.parametrize(
    "name", ["inception_v3", "inception_v3_clean", "inception_v3_torch", "inception_v3_spatial"]
)
def test_inception(name: str) -> None:
    """Szegedy et al. 2016: 299×299 in every one of the three protocols."""
    assert EXTRACTORS.get(name).input_side == 299


@pytest.mark.parametrize("name", ["efficientnet_lite0", "cnn_digits", "cnn_mnist", "modes_stacked-digits"])
def test_the_network_sees_just_that(name: str) -> None:
    """By watching the first convolution: images of 20×20 reach it at `input_side`."""
    judge = load_extractor(name)
    first = next(m for m in judge.network.modules() if isinstance(m, torch.nn.Conv2d))
    seen: list[torch.Size] = []
    first.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[2:]))
    judge(torch.zeros(1, 3, 20, 20, dtype=torch.uint8))
    assert [tuple(shape) for shape in seen] == [(judge.input_side, judge.input_side)]


def test_the_note() -> None:
    """The sentence in full; 128/28 is 4.571…, rounded to three figures."""
    assert enlarged_note(8, 128, "net") == (
        "net looks at 128×128 pixels, 16 times as many a side as these 8×8 pictures hold: what it sees above that "
        "resolution is no property of the data"
    )
    note = enlarged_note(28, 128, "net")
    assert note is not None
    assert "4.57 times as many a side as these 28×28" in note


@given(native=st.integers(1, 4096), side=st.integers(1, 4096))
def test_where_there_is_one(native: int, side: int) -> None:
    """More than twice as many pixels a side, by division of whole numbers: 16 is twice 8 and no more."""
    assert (enlarged_note(native, side, "net") is not None) == (side / native > 2)


def test_where_nothing_is_known() -> None:
    """A user's folder has no known resolution; a closed form looks at images as they come."""
    assert enlarged_note(None, 299, "net") is None
    assert enlarged_note(8, ModesGrid25.input_side, "net") is None
