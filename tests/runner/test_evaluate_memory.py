"""`evaluate` from Python: tensors of every kind, the advice it gives, and what a set of metrics leaves out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from noted import Notes
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.runner.evaluate import evaluate

LITE = ["efficientnet_lite0"]


def pictures(seed: int, size: int = 16, n: int = 6) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, 3, size, size), dtype=np.uint8))


A, B = pictures(0), pictures(1)


def values(images: Any, reference: Any = B, metrics: Any = ("mse",), **options: Any) -> pd.Series:
    return evaluate(images, reference, metrics, **options).set_index("metric")["value"]


def test_the_same_images_in_every_kind_of_tensor() -> None:
    """Oracle: the number of the plain tensor."""
    expected = values(A)["mse"]
    for same in (
        A.clone(memory_format=torch.channels_last),
        A.flip(0).flip(0),
        torch.nn.Parameter(A, requires_grad=False),
        [A[:2], A[2:]],
        list(A.split(1)),
        A.transpose(2, 3).contiguous().transpose(2, 3),
    ):
        assert values(same)["mse"] == expected


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (torch.zeros(4, 3, 0, 0, dtype=torch.uint8), "hold no pixels"),
        (torch.zeros(4, 3, 8, 0, dtype=torch.uint8), "hold no pixels"),
        (torch.zeros(0, 3, 8, 8, dtype=torch.uint8), "no images"),
        (torch.zeros(4, 3, 8, 8, dtype=torch.uint8, device="meta"), "device meta"),
        (torch.zeros(4, 3, 8, 8, dtype=torch.uint8).to_sparse(), "sparse"),
        (torch.zeros(4, 3, 8, 8, dtype=torch.complex64).conj(), "must be uint8"),
        (torch.complex(torch.zeros(4, 3, 8, 8), torch.ones(4, 3, 8, 8)).conj().imag, "must be uint8"),
        (torch.zeros(4, 3, 8, 8, requires_grad=True), "must be uint8"),
        (torch.zeros(4, 3, 8, 8, dtype=torch.bfloat16), "must be uint8"),
        (torch.zeros(4, 3, 8, 8, dtype=torch.bool), "must be uint8"),
        (torch.tensor(0.5), "must be uint8"),
        (torch.tensor(5, dtype=torch.uint8), "must have shape"),
        (torch.zeros(4, 8, 8, 3, dtype=torch.uint8), "must have shape"),
        (torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]), "nested"),
        ([A, "text"], "is a str"),
        ([A, None], "is a NoneType"),
    ],
)
def test_what_is_no_image_is_said(images: Any, sentence: str) -> None:
    """One sentence, on either side."""
    with pytest.raises(InputError, match=sentence):
        values(images)
    with pytest.raises(InputError, match=sentence):
        values(A, images)


def test_advice_is_for_python() -> None:
    """In memory nobody has an option to resize: neither in pairs nor among the images of a side."""
    for sides in ((A, pictures(2, 32)), ([A[:3], pictures(2, 32, 3)], B)):
        with pytest.raises(InputError, match="bring all to one size first") as refused:
            values(*sides, metrics=["psnr"])
        assert "--" not in str(refused.value)


def test_a_border_that_these_images_do_not_have() -> None:
    """16 pixels have no border of 8 to be cut off; 7 they have."""
    with pytest.raises(
        InputError, match="psnr_crop8 cuts 8 pixels off each side, and these images are 16×16"
    ):
        values(A, metrics=["psnr_crop8", "mse"])
    assert values(A, metrics=["psnr_crop7"])["psnr_crop7"] > 0


@pytest.mark.costly
def test_a_default_dtype_changes_no_number() -> None:
    """Oracle: the same call under torch's own default, to the last digits; the user's default stays."""
    expected = values(A, metrics=["fd", "mse"], extractors=LITE)
    torch.set_default_dtype(torch.float64)
    try:
        found = values(A, metrics=["fd", "mse"], extractors=LITE)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.to_dict() == pytest.approx(expected.to_dict(), rel=1e-6)


@pytest.mark.costly
def test_a_set_leaves_out_what_cannot_apply() -> None:
    """By definition: no model of translations made these images, so `all` has no row of one and says so in one note; a
    metric that was named has its row and the reason."""
    told = Notes()
    rows = evaluate(A, B, "all", extractors=LITE, progress=told).set_index("metric")
    on_lite = {f"{family}_efficientnet_lite0" for family in ("gram_distance", "artfd", "ct")}
    beyond = {"cycle_mae", "identity_mae", *on_lite}
    assert not beyond & set(rows.index)
    notes = [text for text in told.said if text.startswith("left out: ")]
    assert len(notes) == 1
    assert all(name in notes[0] for name in beyond)
    named = evaluate(A, B, ["cycle_mae", "fd"], extractors=LITE).set_index("metric")
    assert named.loc["cycle_mae", "status"] == "failed"
    assert "turns images into others" in named.loc["cycle_mae", "reason"]


@pytest.mark.costly
def test_copies_at_every_batch_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images that occur on both sides, some more than k times; the reference is cached under the first batch size.
    Every number and both ends of its interval are those of that size, to 1e-6, which features differ by."""
    monkeypatch.setenv("BENCHBENCH_CACHE", str(tmp_path))
    once = pictures(3, n=50)
    reference = torch.cat([once, once[:6].repeat(7, 1, 1, 1)])
    fake = torch.cat([once[:30], once[:6].repeat(5, 1, 1, 1)])
    metrics = ["precision", "recall", "density", "coverage", "authenticity", "duplicate_rate"]
    columns = ["value", "low", "high"]
    whole, *others = (
        evaluate(fake, reference, metrics, extractors=LITE, batch_size=size).set_index("metric")[columns]
        for size in (16, 1, 7)
    )
    for other in others:
        pd.testing.assert_frame_equal(other, whole, rtol=1e-6)
