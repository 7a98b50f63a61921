"""Variants on a front: who stands on it, what a busy machine takes away, and names that anybody may have written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from benchbench.core.errors import InputError
from benchbench.results.record import Row
from benchbench.results.tables import to_frame
from benchbench.views.pareto import pareto, pareto_notes, pareto_plot, pareto_table

RATE = {
    "task": "profile",
    "metric": "best_rate",
    "aspect": "throughput",
    "unit": "images/s",
    "higher_is_better": True,
    "extractor": None,
}


def table(
    make_row: Callable[..., Row], numbers: dict[str, tuple[float | None, float]], busy: float = 0.0
) -> pd.DataFrame:
    """Of each variant its distance and its rate."""
    rows = []
    for variant, (fd, rate) in numbers.items():
        words: dict[str, Any] = {} if fd is not None else {"reason": "the network is gone"}
        rows.append(make_row(variant=variant, value=fd, headline=True, scale="log", **words))
        rows.append(make_row(variant=variant, value=rate, low=rate / 2, high=rate * 2, **RATE))
        rows.append(
            make_row(variant=variant, value=rate / 10, **{**RATE, "metric": "weights", "unit": "MiB"})
        )
    return to_frame(rows).assign(busy=busy)


def test_the_front_is_those_that_none_beats(make_row: Callable[..., Row]) -> None:
    """int8 is faster and worse, fused as good and faster than the model as it is, which falls behind, as does pruned,
    the worst in both; fastest first."""
    numbers = {"": (20.0, 100.0), "fused": (20.0, 110.0), "int8": (25.0, 300.0), "pruned=0.9": (90.0, 100.0)}
    found = pareto(table(make_row, numbers))
    assert [(own.name, own.front) for own in found.standings] == [
        ("vae int8", True),
        ("vae fused", True),
        ("vae", False),
        ("vae pruned=0.9", False),
    ]
    assert (found.metric, found.higher, found.log) == ("fd_efficientnet_lite0", False, True)
    assert found.standings[0].beside == {"weights": 30.0}
    shown = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    shown.print(pareto_table(found))
    text = shown.export_text()
    assert "300.0 [150.0, 600.0]" in text
    assert text.count("yes") == 2


def test_a_busy_machine_has_no_front(make_row: Callable[..., Row]) -> None:
    """Rates are marked and nobody is said to be beaten."""
    found = pareto(table(make_row, {"": (20.0, 100.0), "int8": (25.0, 300.0)}, busy=0.9))
    assert {own.front for own in found.standings} == {None}
    assert any("there is no front" in note for note in pareto_notes(found))
    assert "stroke-dasharray" not in pareto_plot(found).split("</g>")[-1]


def test_a_variant_without_its_quality_is_lost_with_the_reason(make_row: Callable[..., Row]) -> None:
    """It has no place on the plane, and the note says why; where none has one there is no table."""
    found = pareto(table(make_row, {"": (20.0, 100.0), "int8": (None, 300.0)}))
    assert [own.name for own in found.standings] == ["vae"]
    assert pareto_notes(found) == ["vae int8: the network is gone"]
    with pytest.raises(InputError, match="nothing to set against each other"):
        pareto(table(make_row, {"int8": (None, 300.0)}))


def test_names_are_text(make_row: Callable[..., Row]) -> None:
    """Whatever stands in a record is no markup of a picture."""
    svg = pareto_plot(pareto(table(make_row, {"<script>alert(1)</script>$x$": (20.0, 100.0)})))
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
