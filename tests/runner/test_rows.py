"""Rows: which of them is the headline, and what they say went into a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from benchbench.core.protocols import Direction
from benchbench.core.registry import TASKS
from benchbench.metrics.metric import Estimate, Metric
from benchbench.metrics.select import Outcome, select_metrics
from benchbench.runner.extractors import ExtractorSet
from benchbench.runner.rows import headline, rows_of
from benchbench.tasks.base import Number
from benchbench.tasks.speed import Measurement

LITE, DIGITS = "efficientnet_lite0", "cnn_digits"


@dataclass
class Cell:
    """What rows ask of a cell."""

    metrics: Sequence[Metric]
    ranked_on: Sequence[str] = (LITE,)
    key: str = "00112233"
    model: str = "vae"
    variant: str = ""
    dataset_name: str = "digits"
    seed: int = 0
    extractors: ExtractorSet = field(default_factory=lambda: ExtractorSet({}, {}))


@pytest.mark.costly
@pytest.mark.parametrize(
    ("task", "names", "extractors", "expected"),
    [
        ("generation", ["standard"], [DIGITS, LITE], "fd_cnn_digits"),
        ("generation", ["standard"], [LITE, DIGITS], "fd_efficientnet_lite0"),
        ("generation", ["fd"], ["inception_v3", LITE], "fid"),
        (
            "generation",
            ["fid", "fd_dinov2_vit_b_14"],
            [DIGITS, LITE],
            "fd_dinov2_vit_b_14",
        ),  # by name, the rest
        ("generation", ["kd", "is"], [LITE], None),
        ("reconstruction", ["standard"], [LITE], "psnr"),
        ("reconstruction", ["mse", "ssim"], [LITE], "ssim"),
        ("translation", ["ssim", "psnr", "fd", "ssim_hints5"], [LITE], "ssim"),
        ("translation", ["fd", "kd", "ssim_hints5"], [LITE], "fd_efficientnet_lite0"),
        (
            "stylization",
            ["artfd", "content_distance", "gram_distance"],
            [LITE],
            "gram_distance_efficientnet_lite0",
        ),
        ("paired", ["mse", "ssim", "psnr"], [LITE], "psnr"),
        ("paired", ["mse", "ssim"], [LITE], "ssim"),
        ("paired", ["psnr_crop4", "psnr", "mse"], [LITE], "psnr"),
        ("paired", ["mae"], [LITE], None),
        ("training", ["fd"], [LITE], None),
    ],
)
def test_headline(task: str, names: list[str], extractors: list[str], expected: str | None) -> None:
    """By the rules of the table: the first family of the task that is there, on the first extractor of the dataset."""
    assert headline(task, select_metrics(names, extractors), extractors) == expected


def test_one_headline_a_task() -> None:
    """Of all rows of a cell, what restates the headline among them, one number is ranked; the accuracy of a classifier
    is one too, and a failed headline stays the headline."""
    metrics = select_metrics(["fd", "fd_infinity", "kd", "psnr", "ssim"], [LITE])
    of_pairs = {"psnr", "ssim"}
    estimate = Estimate(1.0)
    outcomes = [
        Outcome(m, None, "failed", "no luck") if m.name == "psnr" else Outcome(m, estimate) for m in metrics
    ]
    cell = Cell(metrics)
    measured = [
        Measurement(name, "quality", "", True, Estimate(0.5)) for name in ("accuracy", "sampling_rate")
    ]
    numbers = [
        Number(outcome, "reconstruction" if outcome.metric.name in of_pairs else "generation", 4, 9)
        for outcome in outcomes
    ]
    rows = list(rows_of(cell, [*numbers, *(Number(found, "classification") for found in measured)]))
    found = {(row.task, row.metric) for row in rows if row.headline}
    assert found == {
        ("generation", "fd_efficientnet_lite0"),
        ("reconstruction", "psnr"),
        ("classification", "accuracy"),
    }
    assert {row.metric for row in rows if not row.gated} == {"fd_infinity_efficientnet_lite0"}


def test_the_table_names_families_that_there_are() -> None:
    """Every family in it is registered, but for accuracy, bits a dimension and R-precision, which their tasks measure
    themselves."""
    for _, task in TASKS.items():
        for part, families in task.headlines.items():
            for family in families:
                measured = family in ("accuracy", "bits_per_dim", "r_precision")
                assert measured or select_metrics([family], [LITE, "cnn_digits"]), (part, family)


def test_rows_of_a_direction_say_which() -> None:
    """What was scored and what was measured, each with the numbers of its own direction, and each with the headline."""
    metrics = select_metrics(["ssim"], [LITE])
    cell, outcomes = Cell(metrics), [Outcome(metric, Estimate(0.5)) for metric in metrics]
    rate = Measurement("sampling_rate", "throughput", "images/s", True, Estimate(9.0))
    ways: list[tuple[Direction, int]] = [("AtoB", 4), ("BtoA", 6)]
    numbers = [
        number
        for way, n in ways
        for number in (
            *(Number(outcome, "translation", n, 9, way) for outcome in outcomes),
            Number(rate, "translation", direction=way),
        )
    ]
    rows = list(rows_of(cell, numbers))
    assert {(row.task, row.direction, row.metric, row.n_images, row.headline) for row in rows} == {
        ("translation", "AtoB", "ssim", 4, True),
        ("translation", "AtoB", "sampling_rate", None, False),
        ("translation", "BtoA", "ssim", 6, True),
        ("translation", "BtoA", "sampling_rate", None, False),
    }


@pytest.mark.parametrize(("generated", "real"), [(24, 16), (16, 24), (16, 16)])
def test_a_balanced_metric_saw_as_many_of_both_sides(generated: int, real: int) -> None:
    """`balanced`: the smaller of the two numbers on both sides. Others saw all, one without a reference none of it."""
    metrics = select_metrics(["fd", "precision", "vendi"], [LITE])
    numbers = [Number(Outcome(metric, Estimate(0.5)), "generation", generated, real) for metric in metrics]
    rows = rows_of(Cell(metrics), numbers)
    found = {row.metric.removesuffix(f"_{LITE}"): (row.n_images, row.n_reference) for row in rows}
    assert found == {"fd": (generated, real), "precision": (16, 16), "vendi": (generated, None)}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e200])
def test_what_no_record_holds_is_a_failure_with_its_reason(value: float) -> None:
    """By the bounds of `results.record`: a row that no reader would take costs that number, not the record."""
    found = Measurement("odd", "cost", "", None, Estimate(1.0, low=value, high=2.0, interval="95%"))
    (row,) = rows_of(Cell([]), [Number(found, "generation")])
    assert (row.status, row.value, row.low, row.interval) == ("failed", None, None, None)
    assert row.reason == f"it came out as {value:g}, which is no number to compare"
