"""The published bicubic rows of the super-resolution papers, from the images and the kernel alone."""

from __future__ import annotations

from pathlib import Path

import conventions
import numpy as np
import pytest
from torch import Tensor

from benchbench.core.errors import InputError

PAGE = Path(__file__).parents[2] / "docs" / "protocols.md"


@pytest.fixture(scope="module")
def set5(shared_data: Path) -> list[Tensor]:
    """The five images, uint8 1×3×H×W; skipped where they are not at hand: they are no part of the project."""
    try:
        return conventions.set5(shared_data)
    except InputError:
        pytest.skip("Set5 is not at hand (a folder set5 in BENCHBENCH_DATA)")


@pytest.mark.parametrize(
    ("scale", "decibel", "similarity"), [(2, 33.66, 0.9299), (3, 30.39, 0.8682), (4, 28.42, 0.8104)]
)
def test_set5_bicubic(set5: list[Tensor], scale: int, decibel: float, similarity: float) -> None:
    """Kim et al. 2016 (VDSR), table 2, made as Dong et al. 2014 (SRCNN) do: luma in 8 bits, the small image not
    rounded, the large one rounded, a border of `scale` pixels shaved."""
    published = next(iter(conventions.WAYS.values()))
    found = np.mean([published(image, scale) for image in set5], axis=0)
    assert found[0] == pytest.approx(decibel, abs=0.01)
    assert found[1] == pytest.approx(similarity, abs=0.0005)


@pytest.mark.costly
def test_the_page_has_the_table(set5: list[Tensor]) -> None:
    """docs/protocols.md states what `benchmarks/conventions.py` prints."""
    assert conventions.table(set5) in PAGE.read_text(encoding="utf-8")
