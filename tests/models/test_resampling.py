"""The kernels of the editing controls against SciPy, which shares nothing with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor

from benchbench.core.protocols import Editor, ImageSpec
from benchbench.core.registry import MODELS
from benchbench.core.seeds import ImageRng
from benchbench.data.edits.edit import EDITS, GEOMETRIC
from benchbench.data.edits.geometry import MATRICES, matrix_of, places
from benchbench.models.build import build_model

SPEC = ImageSpec(20, 27, False, 0)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randint(
        0, 256, (2, 3, 20, 27), dtype=torch.uint8, generator=torch.Generator().manual_seed(3)
    )


@pytest.mark.parametrize(("name", "order"), [("edit-nearest", 0), ("edit-bilinear", 1)])
@pytest.mark.parametrize("edit", MATRICES)
def test_kernels_are_those_of_scipy(name: str, order: int, edit: str, images: Tensor) -> None:
    """Splines of degree 0 and 1 at the same places, mirrored at the edge of the outermost pixels ("reflect"): every
    level but where a place lies half-way between two pixels to the last digits, which nobody rounds alike."""
    model = build_model(name, {}, SPEC)
    for strength in EDITS[edit].strengths:
        matrix = matrix_of(edit, strength, 20, 27)
        at = places(matrix, 20, 27)[::-1]
        theirs = [
            map_coordinates(plane.numpy().astype(float), at, order=order, mode="reflect")
            for plane in images[0]
        ]
        ours = model.edit(images, edit, strength, ImageRng(0, [0, 1]))[0].numpy()
        clear = (np.abs(at % 1 - 0.5) > 1e-6).all(0) if order == 0 else np.ones((20, 27), dtype=bool)
        assert np.abs(ours - np.stack(theirs).round())[:, clear].max(initial=0) <= order


def test_bicubic_is_keys_with_three_quarters() -> None:
    """A bright pixel read a quarter of a pixel away: Keys 1981, equation 4 with a = −3/4, at distances 1/4, 3/4, 5/4
    and 7/4; below black and beyond the second pixel there is nothing."""
    spot = torch.zeros(1, 3, 5, 9, dtype=torch.uint8)
    spot[..., 4] = 200
    model = build_model("edit-bicubic", {}, SPEC)
    a = -0.75

    def near(x: float) -> float:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1

    expected = [0, 0, 0, 0, round(200 * near(0.25)), round(200 * near(0.75)), 0, 0, 0]
    assert model.edit(spot, "translate", 0.25, ImageRng(0, [0]))[0, 0, 2].tolist() == expected


@pytest.mark.parametrize("name", ["edit-nearest", "edit-bilinear", "edit-bicubic"])
def test_an_image_is_edited_by_itself_and_draws_nothing(name: str, images: Tensor) -> None:
    """Alone and among others, under any seed, there and back; they are controls, and know every geometric edit."""
    model = build_model(name, {}, SPEC)
    assert isinstance(model, Editor)
    assert model.edits == GEOMETRIC
    assert MODELS.get(name).control
    for edit in GEOMETRIC:
        for make in (model.edit, model.undo):
            among = make(images, edit, EDITS[edit].middle, ImageRng(0, [0, 1]))
            assert (among.shape, among.dtype) == (images.shape, torch.uint8)
            assert torch.equal(among[1:], make(images[1:], edit, EDITS[edit].middle, ImageRng(9, [5])))
