"""What a lower precision does to the features of a run's own images."""

from __future__ import annotations

import pytest
import torch
from noted import Notes

from benchbench.core.errors import MetricFailed
from benchbench.core.runtime import Runtime
from benchbench.features.extractor import load_extractor
from benchbench.features.shift import shift_notes, shift_of
from benchbench.tasks.evidence import gather

LITE = "efficientnet_lite0"


def test_a_shift_by_hand() -> None:
    """Images at ±1 have a spread of 1; one moved by 0.1, one by 0.3: the lower of two is torch's median."""
    plain = torch.tensor([[1.0], [-1.0]])
    found = shift_of(plain, plain + torch.tensor([[0.1], [0.3]]))
    assert found.n == 2
    assert found.median == pytest.approx(0.1, abs=1e-6)  # float32 features
    assert found.worst == pytest.approx(0.3, abs=1e-6)


def test_images_that_are_all_alike_have_no_spread() -> None:
    """One of two sentences: no quotient by 0."""
    with pytest.raises(MetricFailed, match="same features"):
        shift_of(torch.ones(3, 2), torch.ones(3, 2))


@pytest.mark.costly
def test_a_pass_in_bfloat16_says_how_far_features_moved() -> None:
    """bfloat16 keeps 8 bits: features move, by less than the spread of images; in float32 nothing is said."""
    images = torch.randint(
        0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    lowered = load_extractor(LITE, precision="bfloat16")
    (note,) = shift_notes({LITE: lowered}, images)
    assert note.startswith(f"{LITE} in bfloat16: features of the first 6 images are ")
    share = float(note.split(" images are ")[1].split("%")[0]) / 100
    assert 0 < share < 1
    assert shift_notes({LITE: load_extractor(LITE)}, images) == []
    (alike,) = shift_notes({LITE: lowered}, images[:1].repeat(3, 1, 1, 1))
    assert "is not known: all images have the same features" in alike
    told = Notes()
    sides, failures, shown = gather(
        [images], 6, {LITE: lowered}, [], Runtime(progress=told), title="scoring", keep=4
    )
    assert (len(sides), len(failures), len(shown)) == (1, 0, 4)
    assert [said for said in told.said if "features of the first 4 images are" in said] == told.said
    assert len(told.said) == 1
