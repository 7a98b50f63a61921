"""Which precision pays: rates of this machine, and what is said of rates of others."""

from __future__ import annotations

import pytest
import torch

from benchbench.core.precision import PRECISIONS
from benchbench.tasks.profiling import precisions
from benchbench.tasks.profiling.precisions import Rates, in_words, precision_rates


def test_a_processor_has_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each precision that torch computes in there, above nothing; float32 is always among them."""
    monkeypatch.setattr(precisions, "_SIDES", {"cpu": 32, "cuda": 32})
    monkeypatch.setattr(precisions, "_IMAGES", {"cpu": 1, "cuda": 1})
    found = precision_rates(torch.device("cpu"), budget=0.0)
    assert "float32" in found
    assert found.keys() <= set(PRECISIONS)
    assert all(own.product > 0 and own.convolution > 0 for own in found.values())


def test_a_precision_that_torch_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a float16 product was on processors until torch 2.1: its error is no error of ours."""

    def rates(dtype: torch.dtype, *_: object) -> Rates:
        if dtype == torch.float16:
            raise RuntimeError("\"addmm_impl_cpu_\" not implemented for 'Half'")
        return Rates(1e9, 1e9)

    monkeypatch.setattr(precisions, "_rates", rates)
    assert set(precision_rates(torch.device("cpu"))) == {"float32", "bfloat16"}


def test_what_pays_by_the_rates_of_a_processor_with_amx() -> None:
    """The rates that the issue has of one: 1,019, 146 and 154 GFLOP/s of a product; of convolutions 31, 9.3 and 6.8."""
    said = in_words(
        {
            "float32": Rates(146e9, 93e9),
            "bfloat16": Rates(1019e9, 310e9),
            "float16": Rates(154e9, 68e9),
        }
    )
    assert said["bfloat16"].endswith("7 and 3.3 times as fast as float32")
    assert said["float16"].endswith("1.1 and 0.73 times as fast as float32")
    assert said["what pays"].startswith("bfloat16: --precision bfloat16")


def test_nothing_pays_where_both_are_emulated() -> None:
    """A tenth faster is no price for other numbers."""
    said = in_words(
        {"float32": Rates(1e11, 1e11), "bfloat16": Rates(1.1e11, 1.1e11), "float16": Rates(1e9, 1e9)}
    )
    assert said["what pays"] == "float32, which is the default"
