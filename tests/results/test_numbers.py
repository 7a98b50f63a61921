"""Numbers over seeds: grouped by conditions, failures beside them, and which of them stand against each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchbench.core.errors import InputError
from benchbench.results.claims.numbers import Asked, Number, Unit, failures, family, numbers, pair
from benchbench.results.load import load_results
from benchbench.results.record import Row
from benchbench.results.tables import to_frame

MakeRow = Callable[..., Row]
Land = Callable[..., Path]
VAE, FD = Unit("digits", "vae", ""), Asked("generation", "", "fd_efficientnet_lite0")


def of(rows: list[Row], asked: Asked = FD, unit: Unit = VAE) -> list[Number]:
    """The numbers of one question."""
    return numbers(to_frame(rows))[unit][asked]


def test_seeds_of_one_set_of_conditions_are_one_number(make_row: MakeRow) -> None:
    """Values and intervals by seed, in order; the labels are those of the rows."""
    labels = {"scale": "log", "minimum": 0.0, "headline": True, "unit": "nats"}
    rows = [
        make_row(seed=s, cell=f"{s:016x}", value=v, low=v - 1, high=v + 1, **labels)
        for s, v in ((2, 14.0), (0, 12.0))
    ]
    (one,) = of(rows)
    assert (one.by_seed, one.values) == ({0: 12.0, 2: 14.0}, [12.0, 14.0])
    assert one.intervals == {0: (11.0, 13.0), 2: (13.0, 15.0)}
    assert (one.mean, one.median, one.interval) == (13.0, 13.0, None)
    assert (one.scale, one.ends, one.headline, one.unit) == ("log", (0.0, None), True, "nats")
    assert (one.aspect, one.higher_is_better, one.control, one.busy) == ("quality", False, False, None)
    assert one.protocol["n_images"] == 1000
    assert one.protocol["extractor_weights"] is None


def test_the_median_is_not_moved_by_a_dead_run(make_row: MakeRow) -> None:
    """10, 11 and 500: by hand 11, where the mean is 173.7."""
    values = (10.0, 500.0, 11.0)
    rows = [
        make_row(seed=s, cell=f"{s:016x}", value=v, low=None, high=None, interval=None)
        for s, v in enumerate(values)
    ]
    (one,) = of(rows)
    assert (one.median, one.mean) == (11.0, pytest.approx(521 / 3))


def test_other_conditions_are_other_numbers(make_row: MakeRow) -> None:
    """1,000 and 5,000 images, and another version, are never one number; nulls are conditions as well."""
    rows = [
        make_row(),
        make_row(seed=1, cell="b" * 16),
        make_row(seed=2, cell="c" * 16, n_images=5000),
        make_row(seed=3, cell="d" * 16, metric_version=2),
        make_row(seed=4, cell="e" * 16, n_images=None),
    ]
    assert sorted(len(one.by_seed) for one in of(rows)) == [1, 1, 1, 2]


@pytest.mark.parametrize(
    "facts",
    [
        {"data": {"fingerprint": "b" * 64}},
        {"data": {"size": "64×64"}},
        {"data": {"decoder": "pillow 11"}},
        {"extractors": {"efficientnet_lite0": {"weights_sha256": "d" * 64}}},
    ],
)
def test_what_run_json_knows_keeps_seeds_apart(
    tmp_path: Path, make_row: MakeRow, land: Land, facts: dict[str, Any]
) -> None:
    """710 and 310 on other pixels, at another size, through another weights file are not "2 seeds, 510"."""
    run = {
        "data": {"fingerprint": "a" * 64},
        "extractors": {"efficientnet_lite0": {"weights_sha256": "c" * 64}},
    }
    rows = [
        make_row(value=v, cell=c * 16, seed=s, low=None, high=None, interval=None)
        for s, (c, v) in enumerate({"a": 710.0, "b": 310.0}.items())
    ]
    for row, own in zip(rows, (run, run | facts), strict=True):
        land(tmp_path, [row], dict(own))
    found = numbers(load_results(tmp_path))[VAE][FD]
    assert sorted(one.values for one in found) == [[310.0], [710.0]]
    assert found[0].conditions != found[1].conditions


def test_a_run_done_again_with_more_metrics_counts_once(make_row: MakeRow) -> None:
    """Two cells of seed 0 with one value; where they differ by more than rounding, both are named."""
    (one,) = of([make_row(), make_row(cell="b" * 16, value=12.5 * (1 + 1e-9), low=12.0)])
    assert one.values == [pytest.approx(12.5)]
    with pytest.raises(
        InputError, match=r"vae on digits has several values of fd_.* for seed 0 \(cells 0011.*, bbbb"
    ):
        of([make_row(), make_row(cell="b" * 16, value=13.0)])


def test_a_clock_may_say_two_things(make_row: MakeRow) -> None:
    """Rates of one seed differ from run to run: their mean."""
    rate = {"metric": "sampling_rate", "aspect": "throughput", "interval": "range of 5 repeats"}
    rows = [make_row(value=v, low=v, high=v, cell=c * 16, **rate) for c, v in (("a", 10.0), ("b", 20.0))]
    (one,) = of(rows, Asked("generation", "", "sampling_rate"))
    assert (one.values, one.intervals) == ([15.0], {})


@pytest.mark.parametrize(
    "own",
    [
        {"low": 13.0, "high": 14.0},  # leaves out its own value
        {"interval": "range of 5 repeats"},
        {"interval": "90% bootstrap"},
        {"low": None},
        {"low": None, "high": None, "interval": None},
    ],
)
def test_what_is_no_interval_of_95_percent_is_none(make_row: MakeRow, own: dict[str, Any]) -> None:
    """It must hold its value and say that it is one of 95%, or nothing is tested with it."""
    (one,) = of([make_row(**own)])
    assert (one.intervals, one.interval) == ({}, None)
    (plain,) = of([make_row()])
    assert plain.interval == (11.0, 14.0)


def test_failures_stand_beside_the_numbers(make_row: MakeRow) -> None:
    """One failed seed of two; a question that no run could answer has no number, and its reasons are kept; a run that
    lacks what it needs is told from one that failed."""
    rows = [
        make_row(),
        make_row(seed=1, cell="b" * 16, value=None),
        make_row(metric="ssim", value=None, seed=0),
        make_row(metric="ssim", value=None, seed=1, cell="b" * 16, status="unavailable", reason="no weights"),
    ]
    table, ssim = to_frame(rows), Asked("generation", "", "ssim")
    (one,) = numbers(table)[VAE][FD]
    assert one.failed == {1: "too few images"}
    assert numbers(table)[VAE][ssim] == []
    lost = failures(table)[VAE]
    assert lost[ssim].failed == {0: "too few images", 1: "no weights"}
    assert lost[ssim].unavailable == {1}
    assert (lost[FD].failed, lost[FD].by_seed) == ({1: "too few images"}, {})


def test_a_seed_that_failed_once_and_then_did_not(make_row: MakeRow) -> None:
    """Done again with success: it has a value, and no failure."""
    (one,) = of([make_row(), make_row(cell="b" * 16, value=None)])
    assert (one.by_seed, one.failed) == ({0: 12.5}, {})


def test_alarms_controls_and_load_are_known(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """From run.json: whose alarm fired, the most that others took in any run (2 runnable processes a core, less
    one), whether the model is a landmark."""
    for seed, words in enumerate((None, "few classes", None)):
        run = {
            "collapse": words and {"step": 9, "words": words},
            "machine": {"cores": 2, "load_1min": 2.0 * seed},
        }
        land(tmp_path, [make_row(seed=seed, cell=f"{seed:016x}")], run)
        land(tmp_path, [make_row(seed=seed, cell=f"{seed + 9:016x}", model="noise")], {"control": True})
    found = numbers(load_results(tmp_path))
    (vae,), (noise,) = found[VAE][FD], found[Unit("digits", "noise", "")][FD]
    assert (vae.collapsed, vae.busy, vae.control) == ((1,), 1.0, False)
    assert (noise.collapsed, noise.busy, noise.control) == ((), None, True)


@pytest.mark.parametrize(
    ("metric", "facts", "expected"),
    [
        ("fd_x", {"headline": True}, "headline"),
        ("precision_x", {}, "quality"),
        ("duplicate_rate_x", {"aspect": "collapse"}, "quality"),
        ("sampling_rate", {"aspect": "throughput"}, "cost"),
        ("peak_memory_rss", {"aspect": "cost"}, "cost"),
        ("fd_infinity_x", {"gated": False}, None),
        ("fd_infinity_x", {"gated": False, "headline": True}, None),
        ("acme_infinity_x", {}, "quality"),
        ("parameters", {"aspect": "cost"}, None),
        ("flops_per_image", {"aspect": "cost"}, None),
        ("machine_load", {"aspect": "cost", "higher_is_better": None}, None),
        ("human_strength_study_1a2b3c4d", {"aspect": "human", "higher_is_better": True}, None),
    ],
)
def test_families(metric: str, facts: dict[str, Any], expected: str | None) -> None:
    """What one decision hangs on; doublets count once, what is counted or has no better direction in none, nor
    what people said, whose study tells systems apart."""
    one = Number({0: 1.0}, **({"aspect": "quality", "higher_is_better": False} | facts))
    assert family(Asked("generation", "", metric), one) == expected


def test_pairs_have_equal_conditions(make_row: MakeRow) -> None:
    """Both have 1,000 images; A has 5,000 and B 2,000 as well, which is said; what one side alone has is left out."""
    a = [make_row(), make_row(n_images=5000, seed=1), make_row(metric="ssim")]
    b = [make_row(value=9.0), make_row(n_images=2000, seed=1), make_row(metric="psnr")]
    (one,) = pair(*(numbers(to_frame(rows))[VAE] for rows in (a, b)))
    assert one.asked == FD
    ((x, y),) = one.pairs
    assert (x.values, y.values) == ([12.5], [9.0])
    assert one.apart == "n_images is 5000 against 2000"


def test_what_only_one_side_has_under_other_conditions_is_not_apart(make_row: MakeRow) -> None:
    """A's number at 5,000 images has nothing on the other side that it differs from."""
    a = numbers(to_frame([make_row(), make_row(n_images=5000, seed=1)]))[VAE]
    b = numbers(to_frame([make_row()]))[VAE]
    (one,) = pair(a, b)
    assert (len(one.pairs), one.apart) == (1, None)


def test_rows_in_another_order_are_the_same_numbers(make_row: MakeRow) -> None:
    """Files come in the order of their folders."""
    rows = [
        make_row(seed=s, cell=f"{s:016x}", value=float(s + 1), model=m)
        for s in range(3)
        for m in ("vae", "gan")
    ]
    forth, back = to_frame(rows), to_frame(rows[::-1])
    assert numbers(forth) == numbers(back)
    assert list(numbers(forth)) == sorted(numbers(back))
    assert numbers(pd.concat([forth.iloc[:0]])) == {}
    assert str(VAE) == "vae on digits"
    assert str(Unit("digits", "vae", "lr=0.1")) == "vae lr=0.1 on digits"
