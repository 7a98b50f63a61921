"""Verdicts: what stands against what, what the tests say of it, and what is named instead of compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchbench.core.errors import NothingComparable
from benchbench.results.across import across
from benchbench.results.record import Row
from benchbench.results.statistics import Difference
from benchbench.results.tables import to_frame
from benchbench.results.verdicts import Comparison, Line, compare

MakeRow = Callable[..., Row]
Runs = Callable[..., list[Row]]
A, B = [10.0, 11.0, 12.5, 11.5, 10.5], [20.0, 21.5, 22.0, 21.0, 20.5]


@pytest.fixture(scope="session")
def runs(make_row: MakeRow) -> Runs:
    """One row a seed with these values, each in a cell of its own."""

    def make(values: Mapping[int, float] | list[float], **changes: Any) -> list[Row]:
        by_seed = values if isinstance(values, Mapping) else dict(enumerate(values))
        plain = {"low": None, "high": None, "interval": None}
        who = "-".join(str(changes.get(name, "")) for name in ("model", "variant", "dataset"))
        return [
            make_row(**(plain | changes | {"cell": f"{who}-{seed}", "seed": seed, "value": value}))
            for seed, value in by_seed.items()
        ]

    return make


def only_line(comparison: Comparison) -> Line:
    """The one line of a comparison that has one."""
    (pair,) = comparison.pairs
    (line,) = pair.lines
    return line


def found(line: Line) -> Difference:
    """Its difference, which is there."""
    assert line.difference is not None
    return line.difference


@pytest.mark.parametrize(
    ("higher_is_better", "verdicts"),
    [(False, ("better", "worse")), (True, ("worse", "better")), (None, ("differs", "differs"))],
)
def test_the_direction_is_respected(
    runs: Runs, higher_is_better: bool | None, verdicts: tuple[str, str]
) -> None:
    """Ten lower in every one of five seeds: A is better where lower is, and the other way round for B. p and
    interval are `scipy.stats.ttest_rel`'s; one number is tested, so that Holm changes nothing."""
    a, b = (
        to_frame(runs(x, higher_is_better=higher_is_better, model=m)) for x, m in ((A, "vae"), (B, "gan"))
    )
    lines = only_line(compare(a, b)), only_line(compare(b, a))
    assert (lines[0].verdict, lines[1].verdict) == verdicts
    expected = stats.ttest_rel(A, B)
    assert lines[0].p == pytest.approx(expected.pvalue, rel=1e-9)
    interval = expected.confidence_interval()
    assert (found(lines[0]).low, found(lines[0]).high) == pytest.approx((interval.low, interval.high))
    assert lines[0].note == "paired t over 5 seeds"


def test_other_seeds_are_no_pairs(runs: Runs) -> None:
    """Seeds 0..4 against 5..9, separated: Mann-Whitney's smallest p, 2/252, which the note states."""
    line = only_line(compare(to_frame(runs(A)), to_frame(runs(dict(enumerate(B, start=5)), model="gan"))))
    assert (line.verdict, line.p) == ("better", pytest.approx(2 / 252))
    assert line.note == "Mann-Whitney, 5 against 5 seeds (p is never below 0.0079)"


def test_order_of_seeds_is_no_matter(runs: Runs) -> None:
    """The same runs, read in another order, are the same pairs."""
    a, b = runs(A), runs(B, model="gan")
    assert only_line(compare(to_frame(a), to_frame(b[::-1]))) == only_line(
        compare(to_frame(a[::-1]), to_frame(b))
    )


def test_three_against_three_cannot_say(runs: Runs) -> None:
    """However far apart: p is 0.1 at least. 4 seeds a side reach 2/70 = 0.029, and show this difference."""
    line = only_line(compare(to_frame(runs(A[:3])), to_frame(runs({5: 20, 6: 21, 7: 22}, model="gan"))))
    assert (line.verdict, line.p, line.seeds) == ("cannot say", pytest.approx(0.1), 4)


def test_no_detectable_difference_needs_seeds(runs: Runs) -> None:
    """The same noise around the same mean: with 10 seeds the interval leaves out two standard deviations
    (t(0.975, 9)/√10 = 0.72 of them), with 3 it cannot (2.48)."""
    noise = np.random.default_rng(0).normal(size=(2, 10))
    for n, verdict in ((10, "no detectable difference"), (3, "cannot say")):
        a, b = (noise[:, :n] - noise[:, :n].mean(axis=1, keepdims=True)).tolist()
        line = only_line(compare(to_frame(runs(a)), to_frame(runs(b, model="gan"))))
        assert (line.verdict, line.p) == (verdict, pytest.approx(1))


def test_one_run_each_goes_by_its_intervals(make_row: MakeRow) -> None:
    """12.5 [11, 14] against 20 ± 1.5 and against 13 ± 1.5: z = 7.5/2.12 × 1.96, and 0.5/2.12 × 1.96. The note says
    what that means; no number of seeds follows from one run."""
    for value, verdict in ((20.0, "better"), (13.0, "no detectable difference")):
        b = make_row(model="gan", cell="b" * 16, value=value, low=value - 1.5, high=value + 1.5)
        line = only_line(compare(to_frame([make_row()]), to_frame([b])))
        z = (value - 12.5) / np.hypot(1.5, 1.5) * stats.norm.ppf(0.975)
        assert (line.verdict, line.seeds) == (verdict, None)
        assert line.p == pytest.approx(2 * stats.norm.sf(z))
        assert "within-run uncertainty only" in line.note


@pytest.mark.parametrize("low", [None, 0.0])
def test_a_range_is_no_interval(make_row: MakeRow, low: float | None) -> None:
    """Far apart, but nothing says how sure: no interval, or the range of repeats. 5 paired seeds would show two
    standard deviations (scipy.stats.nct gives 5 a power of 0.91 and 4 one of 0.75)."""
    own = {
        "low": low,
        "high": None if low is None else 200.0,
        "interval": None if low is None else "range of 5 repeats",
    }
    a, b = make_row(**own), make_row(model="gan", cell="b" * 16, value=99.0, **own)
    line = only_line(compare(to_frame([a]), to_frame([b])))
    assert (line.verdict, line.p, line.difference, line.seeds) == ("cannot say", None, None, 5)


def test_counts_are_exact(runs: Runs) -> None:
    """Parameters have no uncertainty and are no test: they leave the others' p alone."""
    rows = [
        [*runs(x, model=m), *runs([n], model=m, metric="parameters", aspect="cost")]
        for x, m, n in ((A, "vae", 100.0), (B, "gan", 120.0))
    ]
    (pair,) = compare(*map(to_frame, rows)).pairs
    fd, parameters = pair.lines
    assert fd.p == pytest.approx(stats.ttest_rel(A, B).pvalue)
    assert (parameters.verdict, parameters.p) == ("better", None)


def test_holm_over_the_numbers_of_a_pair(runs: Runs) -> None:
    """Three metrics: the smallest p times three, the next times two, the last as it is; by SciPy's own t test."""
    rng = np.random.default_rng(2)
    samples = {
        m: (A, (np.array(A) + rng.normal(size=5) + s).tolist()) for m, s in (("x", 60), ("y", 3), ("z", 0))
    }
    sides = [
        [row for m, pair in samples.items() for row in runs(pair[i], metric=m, model=model)]
        for i, model in enumerate(("vae", "gan"))
    ]
    (pair,) = compare(*map(to_frame, sides)).pairs
    raw = [stats.ttest_rel(*samples[line.metric]).pvalue for line in pair.lines]
    assert raw == sorted(raw)
    assert [line.p for line in pair.lines] == pytest.approx([3 * raw[0], 2 * raw[1], raw[2]])


def test_rounding_is_no_difference(runs: Runs) -> None:
    """Every seed moved by 1e-8 of its value, as another library may: the t test alone would find that."""
    moved = [x * (1 + 1e-8) for x in A]
    assert stats.ttest_rel(A, moved).pvalue < 0.01
    line = only_line(compare(to_frame(runs(A)), to_frame(runs(moved))))
    assert (line.verdict, line.note) == ("no detectable difference", "equal in every seed")


def test_failed_numbers_are_lines(runs: Runs, make_row: MakeRow) -> None:
    """A number that failed everywhere is a line with its reason; one that failed once is compared and says so."""
    a = [*runs(A), *runs(A, metric="ssim")]
    lost = make_row(model="gan", cell="f" * 16, metric="ssim", value=None)
    once = make_row(model="gan", cell="e" * 16, seed=4, value=None, reason="not a number")
    b = [*runs(B[:4], model="gan"), once, lost]
    (pair,) = compare(to_frame(a), to_frame(b)).pairs
    fd, ssim = pair.lines
    assert (fd.verdict, fd.a.n_failed, fd.b.n_failed) == ("better", 0, 1)
    assert fd.note.endswith("; 1 of 5 runs of B failed: not a number")
    assert (ssim.verdict, ssim.note, ssim.p) == ("failed", "1 of 1 runs of B failed: too few images", None)


def test_incomparable_numbers_are_named_and_the_others_compared(runs: Runs) -> None:
    """FD on 1,000 and on 5,000 images is refused; SSIM is compared; what one side alone has is listed."""
    a = [*runs(A), *runs(A, metric="ssim"), *runs(A, metric="psnr")]
    b = [*runs(B, model="gan", n_images=5000), *runs(B, model="gan", metric="ssim")]
    (pair,) = compare(to_frame(a), to_frame(b)).pairs
    assert [line.metric for line in pair.lines] == ["ssim"]
    assert pair.refused == ("fd_efficientnet_lite0 of generation on digits: n_images is 1000 against 5000",)
    assert (pair.a_only, pair.b_only) == (("psnr",), ())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"n_images": 5000},
            "not made the same way: fd_efficientnet_lite0 of generation on digits: n_images is 1000 against 5000",
        ),
        ({"dataset": "mnist"}, "A has vae on digits, B has gan on mnist"),
        ({"metric": "psnr"}, "A has fd_efficientnet_lite0, B has psnr"),
    ],
)
def test_nothing_left_to_compare(runs: Runs, change: dict[str, Any], sentence: str) -> None:
    """Exit code 3, and the reason."""
    with pytest.raises(NothingComparable, match=sentence) as caught:
        compare(to_frame(runs(A)), to_frame(runs(B, model="gan", **change)))
    assert caught.value.exit_code == 3


def test_failed_everywhere_is_nothing_comparable(make_row: MakeRow) -> None:
    """A comparison of failures must not pass for one."""
    lost = to_frame([make_row(value=None)])
    with pytest.raises(
        NothingComparable, match="fd_efficientnet_lite0 of vae on digits failed on either side"
    ):
        compare(lost, lost)


def test_speed_on_another_machine_is_refused(runs: Runs) -> None:
    """By the column that `with_fingerprints` adds."""
    frames = [
        to_frame([*runs(x, model=m), *runs(x, model=m, metric="sampling_rate", aspect="throughput")])
        for x, m in ((A, "vae"), (B, "gan"))
    ]
    a, b = (
        frame.assign(machine=frame["metric"].map({"sampling_rate": where}))
        for frame, where in zip(frames, ("cores 2", "cores 4"), strict=True)
    )
    (pair,) = compare(a, b).pairs
    assert [line.metric for line in pair.lines] == ["fd_efficientnet_lite0"]
    assert pair.refused == ("sampling_rate of generation on digits: machine is cores 2 against cores 4",)


def test_one_model_a_side_meets_whatever_its_variant(runs: Runs) -> None:
    """A recipe may name its variant by dataset; two variants on one dataset meet those of the same name."""
    a = [*runs(A, variant="latent=16"), *runs(A, dataset="mnist")]
    b = [
        *runs(B, model="gan"),
        *runs(B, model="gan", dataset="mnist"),
        *runs(B, model="gan", dataset="mnist", variant="x"),
    ]
    comparison = compare(to_frame(a), to_frame(b))
    assert [(str(pair.a), str(pair.b)) for pair in comparison.pairs] == [
        ("vae latent=16 on digits", "gan on digits"),
        ("vae on mnist", "gan on mnist"),
    ]
    assert list(map(str, comparison.b_only)) == ["gan x on mnist"]


def test_several_models_meet_by_name(runs: Runs) -> None:
    """Two revisions of a store: the same models meet, and what came or went is named."""
    a = [*runs(A), *runs(A, model="gan"), *runs(A, model="old")]
    b = [*runs(B), *runs(B, model="gan"), *runs(B, model="new")]
    comparison = compare(to_frame(a), to_frame(b))
    assert [str(pair.a) for pair in comparison.pairs] == ["gan on digits", "vae on digits"]
    assert (list(map(str, comparison.a_only)), list(map(str, comparison.b_only))) == (
        ["old on digits"],
        ["new on digits"],
    )


def frames(runs: Runs, shifts: Mapping[str, float], **changes: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A, and B higher by so much on each dataset."""
    a = [row for dataset in shifts for row in runs(A, dataset=dataset, **changes)]
    b = [
        row for d, s in shifts.items() for row in runs([x + s for x in A], dataset=d, model="gan", **changes)
    ]
    return to_frame(a), to_frame(b)


def test_across_datasets_by_hand(runs: Runs) -> None:
    """Differences of −1, −2, −3 and −40: the middle half has the mean −2.5, and A is always better when lower is:
    in pairs every draw has the same differences. P(improvement): 1/2 + share of A's 25 pairs of seeds, by hand."""
    (line,) = across(compare(*frames(runs, {"a": 1, "b": 2, "c": 3, "d": 40})))
    assert (line.n_units, line.iqm, line.iqm_interval) == (
        4,
        pytest.approx(-2.5),
        pytest.approx((-2.5, -2.5)),
    )
    wins = [stats.mannwhitneyu([x + s for x in A], A).statistic / 25 for s in (1, 2, 3, 40)]
    assert line.improvement == pytest.approx(np.mean(wins))
    assert line.improvement_interval is not None
    assert line.improvement_interval[0] <= line.improvement <= line.improvement_interval[1]


def test_across_respects_direction_and_asks_for_two(runs: Runs) -> None:
    """Where higher is better, B is; without a direction nobody is; one dataset is no aggregate."""
    (up,) = across(compare(*frames(runs, {"a": 50, "b": 60}, higher_is_better=True)))
    assert up.improvement == 0
    (neither,) = across(compare(*frames(runs, {"a": 50, "b": 60}, higher_is_better=None)))
    assert (neither.improvement, neither.improvement_interval) == (None, None)
    assert across(compare(*frames(runs, {"a": 50}))) == []


def test_across_never_mixes_versions(runs: Runs) -> None:
    """The same name in two versions is two metrics; so are other units."""
    old, new = frames(runs, {"a": 1, "b": 2}), frames(runs, {"c": 3, "d": 4}, metric_version=2)
    lines = across(compare(*(pd.concat(side) for side in zip(old, new, strict=True))))
    assert [(line.n_units, line.iqm) for line in lines] == [
        (2, pytest.approx(-1.5)),
        (2, pytest.approx(-3.5)),
    ]


def test_a_single_seed_gives_no_interval(make_row: MakeRow) -> None:
    """The aggregate is there, how sure it is nobody knows."""
    a, b = (
        to_frame([make_row(dataset=d, model=m, value=v, cell=f"{ord(d)}{m}", low=v, high=v) for d in "ab"])
        for m, v in (("vae", 1.0), ("gan", 2.0))
    )
    (line,) = across(compare(a, b))
    assert (line.iqm, line.iqm_interval, line.improvement_interval) == (-1, None, None)
