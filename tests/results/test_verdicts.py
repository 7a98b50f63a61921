"""Verdicts: what stands against what, what the tests say of it, and what is named instead of compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchbench.core.errors import NothingComparable
from benchbench.results.across import across
from benchbench.results.claims.testing import Difference
from benchbench.results.claims.verdicts import Comparison, Line, compare
from benchbench.results.record import Row
from benchbench.results.tables import to_frame

MakeRow = Callable[..., Row]
Runs = Callable[..., list[Row]]
A, B = [10.0, 11.0, 12.5, 11.5, 10.5], [20.0, 21.5, 22.0, 21.0, 20.5]


@pytest.fixture(scope="session")
def runs(make_row: MakeRow) -> Runs:
    """One row a seed with these values of a distance, each in a cell of its own."""

    def make(values: Mapping[int, float] | list[float], **changes: Any) -> list[Row]:
        by_seed = values if isinstance(values, Mapping) else dict(enumerate(values))
        plain = {"low": None, "high": None, "interval": None, "scale": "log", "minimum": 0.0}
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
    [(False, ("better", "worse")), (True, ("worse", "better")), (None, ("not tested", "not tested"))],
)
def test_the_direction_is_respected(
    runs: Runs, higher_is_better: bool | None, verdicts: tuple[str, str]
) -> None:
    """Ten lower over five seeds: A is better where lower is, and the other way round for B; what has no better
    direction is no claim. p is Welch's of the logarithms (`scipy.stats.ttest_ind`): equal seeds of two models are
    no pairs; one number is tested, so that Holm changes nothing."""
    a, b = (
        to_frame(runs(x, higher_is_better=higher_is_better, model=m)) for x, m in ((A, "vae"), (B, "gan"))
    )
    lines = only_line(compare(a, b)), only_line(compare(b, a))
    assert (lines[0].verdict, lines[1].verdict) == verdicts
    expected = stats.ttest_ind(np.log(A), np.log(B), equal_var=False)
    assert found(lines[0]).p == pytest.approx(expected.pvalue, rel=1e-9)
    if higher_is_better is not None:
        assert lines[0].p == pytest.approx(expected.pvalue, rel=1e-9)
        assert lines[0].note == "t test, 5 against 5 seeds"


def test_one_model_before_and_after_may_be_paired(runs: Runs) -> None:
    """The same unit on both sides, and the seed decides nearly all: `scipy.stats.ttest_rel` of the logarithms. Under
    another name it is another model, and nothing is paired."""
    after = (np.array(B) * [1.05, 1.06, 1.05, 1.04, 1.06]).tolist()
    line = only_line(compare(to_frame(runs(after)), to_frame(runs(B))))
    assert (line.verdict, line.p) == (
        "worse",
        pytest.approx(stats.ttest_rel(np.log(after), np.log(B)).pvalue, rel=1e-9),
    )
    assert line.note.startswith("paired t over 5 seeds")
    other = only_line(compare(to_frame(runs(after, model="gan")), to_frame(runs(B))))
    assert (other.verdict, other.note) == ("cannot say", "t test, 5 against 5 seeds")


def test_order_of_seeds_is_no_matter(runs: Runs) -> None:
    """The same runs, read in another order, are the same lines."""
    a, b = runs(A), runs(B, model="gan")
    assert only_line(compare(to_frame(a), to_frame(b[::-1]))) == only_line(
        compare(to_frame(a[::-1]), to_frame(b))
    )


def test_three_against_three_are_told_apart(runs: Runs) -> None:
    """FD of 113 and 478, three seeds each, spreads of 5%: 40 standard errors, which a test of ranks can't see with
    three (p is 0.1 at best). Welch's, by SciPy; with what other models at hand say of the spread it is surer
    still."""
    a, b = [107.0, 113.0, 118.0], [455.0, 478.0, 510.0]
    sides = to_frame(runs(a)), to_frame(runs(b, model="gan"))
    line = only_line(compare(*sides))
    assert (line.verdict, line.p) == (
        "better",
        pytest.approx(stats.ttest_ind(np.log(a), np.log(b), equal_var=False).pvalue, rel=1e-9),
    )
    others = [row for k in range(4) for row in runs([x * (k + 2) for x in a], model=f"m{k}")]
    pooled = only_line(compare(*sides, known=to_frame(others)))
    assert pooled.p is not None
    assert line.p is not None
    assert pooled.p < line.p
    assert "pooled with 4 models" in pooled.note


def test_no_difference_needs_an_equivalence_bound(runs: Runs) -> None:
    """The same noise of 5% around the same mean: with 10 seeds the two one-sided tests show less than 10% (t(0.95,
    18) √(2/10) 0.05 = 0.039 < log 1.1), with 3 they do not (t(0.95, 4) √(2/3) 0.05 = 0.087 is inside, but log 0.9
    and the margin of 5% are not). Beside "cannot say" stands what would have been seen, the noncentral t's 80% at
    2.5%."""
    noise = np.random.default_rng(0).normal(size=(2, 10))
    for n, margin, verdict in ((10, 0.1, "equal"), (3, 0.05, "cannot say")):
        some = noise[:, :n] - noise[:, :n].mean(axis=1, keepdims=True)
        a, b = (100 * np.exp(0.05 * some / some.std(axis=1, ddof=1, keepdims=True))).tolist()
        line = only_line(compare(to_frame(runs(a)), to_frame(runs(b, model="gan")), margin=margin))
        assert (line.verdict, line.p) == (verdict, pytest.approx(1, abs=1e-6))
        degrees, error = 2 * n - 2, 0.05 * math.sqrt(2 / n)
        assert (stats.t.ppf(0.95, degrees) * error < math.log1p(margin)) == (verdict == "equal")
        power = stats.nct.sf(
            stats.t.isf(0.025, degrees), degrees, math.log1p((line.smallest or 0) / 100) / error
        )
        assert power == pytest.approx(0.8, abs=1e-3)


def test_the_margin_of_a_share_is_of_its_range_at_least(runs: Runs) -> None:
    """Precision 0.001 and 0.002 over five seeds each, without much spread: 10% of 0.001 is nothing that anybody
    means; a hundredth of the range of 1 is the margin, by the definition of MARGIN."""
    share = {
        "scale": "arcsine",
        "minimum": 0.0,
        "maximum": 1.0,
        "higher_is_better": True,
        "metric": "precision",
    }
    spread = np.array([-1, 1, 0, -1, 1]) * 1e-3
    a, b = (np.sin(math.asin(math.sqrt(x)) + spread * 10) ** 2 for x in (0.0011, 0.001))
    line = only_line(
        compare(to_frame(runs(a.tolist(), **share)), to_frame(runs(b.tolist(), model="gan", **share)))
    )
    assert line.verdict == "equal"


def test_one_run_each_differs_as_a_set_of_images(make_row: MakeRow) -> None:
    """12.5 [11, 14] against 20 ± 1.5 and against 13 ± 1.5, on the log scale: z by hand. Whichever, nothing is
    better, and nothing would have been seen: another seed of either is another model."""
    for value, verdict in ((20.0, "differ as sets of images"), (13.0, "cannot say")):
        log = {"scale": "log", "minimum": 0.0}
        b = make_row(model="gan", cell="b" * 16, value=value, low=value - 1.5, high=value + 1.5, **log)
        line = only_line(compare(to_frame([make_row(**log)]), to_frame([b])))
        halves = [math.log(high / low) / 2 for low, high in ((11.0, 14.0), (value - 1.5, value + 1.5))]
        z = math.log(value / 12.5) / math.hypot(*halves) * stats.norm.ppf(0.975)
        assert (line.verdict, line.smallest) == (verdict, None)
        assert line.p == pytest.approx(2 * stats.norm.sf(z))
        assert line.note == "intervals of one run each: these images, not other seeds"


@pytest.mark.parametrize("low", [None, 0.0])
@pytest.mark.parametrize("model", ["vae", "gan"])
def test_a_range_is_no_interval(make_row: MakeRow, low: float | None, model: str) -> None:
    """Far apart, but nothing says how sure: no interval, or the range of repeats. Of two models and of one alike."""
    own = {
        "low": low,
        "high": None if low is None else 200.0,
        "interval": None if low is None else "range of 5 repeats",
    }
    a, b = make_row(**own), make_row(model=model, cell="b" * 16, value=99.0, **own)
    line = only_line(compare(to_frame([a]), to_frame([b])))
    assert (line.verdict, line.p, line.difference, line.smallest) == ("cannot say", None, None, None)
    assert line.note == "nothing says how far its runs scatter"


def test_counts_are_exact(runs: Runs) -> None:
    """Parameters have no uncertainty and are no test: they leave the others' p alone."""
    rows = [
        [*runs(x, model=m), *runs([n], model=m, metric="parameters", aspect="cost")]
        for x, m, n in ((A, "vae", 100.0), (B, "gan", 120.0))
    ]
    (pair,) = compare(*map(to_frame, rows)).pairs
    fd, parameters = pair.lines
    assert fd.p == pytest.approx(stats.ttest_ind(np.log(A), np.log(B), equal_var=False).pvalue)
    assert (parameters.verdict, parameters.p) == ("better", None)


def test_holm_runs_over_what_one_decision_hangs_on(runs: Runs) -> None:
    """Three quality metrics: the smallest p times three, the next times two, the last as it is; by SciPy's own Welch
    test. The headline is a family of its own, so are the two that cost; a doublet, the load and what is counted
    are in none, however many there are."""
    rng = np.random.default_rng(2)
    samples = {
        m: (A, (np.array(A) * s + rng.normal(size=5)).tolist())
        for m, s in (("x", 4), ("y", 1.2), ("z", 1.02))
    }
    samples |= dict.fromkeys(
        ("fd", "fd_infinity_q", "machine_load", "parameters", "sampling_rate", "latency_p50"), (A, B)
    )
    special = {
        "fd": {"headline": True},
        "fd_infinity_q": {"gated": False},
        "machine_load": {"aspect": "cost", "higher_is_better": None},
        "parameters": {"aspect": "cost"},
        "sampling_rate": {"aspect": "throughput", "higher_is_better": True},
        "latency_p50": {"aspect": "throughput"},
    }
    sides = [
        [
            row
            for m, pair in samples.items()
            for row in runs(pair[i], metric=m, model=model, **special.get(m, {}))
        ]
        for i, model in enumerate(("vae", "gan"))
    ]
    (pair,) = compare(*map(to_frame, sides)).pairs
    lines = {line.metric: line for line in pair.lines}
    raw = {m: stats.ttest_ind(*map(np.log, two), equal_var=False).pvalue for m, two in samples.items()}
    assert raw["x"] < raw["y"] < raw["z"]
    expected = {"x": 3 * raw["x"], "y": 2 * raw["y"], "z": raw["z"], "fd": raw["fd"]}
    expected |= {m: 2 * raw[m] for m in ("sampling_rate", "latency_p50")}
    assert {m: lines[m].p for m in expected} == {m: pytest.approx(p, rel=1e-9) for m, p in expected.items()}
    for metric, verdict in (
        ("fd_infinity_q", "not tested"),
        ("machine_load", "not tested"),
        ("parameters", "better"),
    ):
        assert (lines[metric].verdict, lines[metric].p) == (verdict, None)
    assert [lines[m].family for m in ("fd", "x", "latency_p50", "machine_load")] == [
        "headline",
        "quality",
        "cost",
        None,
    ]


def test_rounding_is_no_difference(runs: Runs) -> None:
    """Every seed moved by 1e-8 of its value, as another library may: the t test alone would find that."""
    moved = [x * (1 + 1e-8) for x in A]
    assert stats.ttest_rel(A, moved).pvalue < 0.01
    line = only_line(compare(to_frame(runs(A)), to_frame(runs(moved))))
    assert (line.verdict, line.note, line.smallest) == ("equal", "equal in every seed", 0)


@pytest.mark.parametrize("better", ["real", "noise"])
def test_real_and_noise_are_decided(runs: Runs, better: str) -> None:
    """Two controls, a precision of 0.902 in every seed against 0 in every seed: the most different two models there
    are. Wilson's intervals of 500 images each; in either order."""
    share = {
        "scale": "arcsine",
        "minimum": 0.0,
        "maximum": 1.0,
        "higher_is_better": True,
        "metric": "precision",
    }
    facts = {
        "real": {"low": 0.873, "high": 0.925, "interval": "95% Wilson"},
        "noise": {"low": 0.0, "high": 0.0076, "interval": "95% Wilson"},
    }
    frames = {
        model: to_frame(runs([value] * 3, model=model, **share, **facts[model])).assign(control=True)
        for model, value in (("real", 0.902), ("noise", 0.0))
    }
    other = {"real": "noise", "noise": "real"}[better]
    line = only_line(compare(frames[better], frames[other]))
    assert line.verdict == ("better" if better == "real" else "worse")


def test_failed_numbers_are_lines(runs: Runs, make_row: MakeRow) -> None:
    """A number that failed everywhere is a line with its reason; one that failed once is compared and says so."""
    a = [*runs(A), *runs(A, metric="ssim")]
    lost = make_row(model="gan", cell="f" * 16, metric="ssim", value=None)
    once = make_row(model="gan", cell="e" * 16, seed=4, value=None, reason="not a number")
    b = [*runs(B[:4], model="gan"), once, lost]
    (pair,) = compare(to_frame(a), to_frame(b)).pairs
    fd, ssim = pair.lines
    assert (fd.verdict, dict(fd.a.failed), dict(fd.b.failed)) == ("better", {}, {4: "not a number"})
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


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("data", "the reference data is aaaaaaaa against bbbbbbbb"),
        ("size", "the size is aaaaaaaaa against bbbbbbbbb"),
        ("extractor_weights", "the weights of the extractor is aaaaaaaa against bbbbbbbb"),
        ("decoder", "decoder is aaaaaaaaa against bbbbbbbbb"),
    ],
)
def test_what_only_run_json_knows_is_refused_by_name(runs: Runs, column: str, said: str) -> None:
    """Two data sets of one name, two sizes, two weights files of one extractor: the field is named, exit code 3; what
    was made alike is compared all the same."""
    sides = [
        to_frame([*runs(x, model=m), *runs(x, model=m, metric="ssim")]) for x, m in ((A, "vae"), (B, "gan"))
    ]
    a, b = (
        frame.assign(**{column: frame["metric"].map({"ssim": None}).astype("string").fillna(letter * 9)})
        for frame, letter in zip(sides, "ab", strict=True)
    )
    with pytest.raises(NothingComparable, match=f"not made the same way: fd_efficientnet_lite0 .*: {said}"):
        compare(a, b)
    part = [
        frame.assign(**{column: frame["metric"].map({"ssim": "alike"}).fillna(letter * 9)})
        for frame, letter in zip(sides, "ab", strict=True)
    ]
    (pair,) = compare(*part).pairs
    assert [line.metric for line in pair.lines] == ["ssim"]
    assert pair.refused == (f"fd_efficientnet_lite0 of generation on digits: {said}",)


def test_speed_on_another_machine_is_refused(runs: Runs) -> None:
    """By the column that loading adds."""
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
    """Differences of −1, −2, −3 and −40: the middle half has the mean −2.5. Two models share nothing that a seed
    decides, so that seeds are drawn apart and the interval has a width. P(improvement): 1/2 + share of A's 25 pairs
    of seeds, by hand."""
    (line,) = across(compare(*frames(runs, {"a": 1, "b": 2, "c": 3, "d": 40})))
    assert (line.n_units, line.middle) == (4, pytest.approx(-2.5))
    assert line.middle_interval is not None
    assert line.middle_interval[0] < -2.5 < line.middle_interval[1]
    wins = [stats.mannwhitneyu([x + s for x in A], A).statistic / 25 for s in (1, 2, 3, 40)]
    assert line.improvement == pytest.approx(np.mean(wins))
    assert line.improvement_interval is not None
    assert line.improvement_interval[0] <= line.improvement <= line.improvement_interval[1]


def test_across_draws_pairs_where_the_engine_found_some(runs: Runs) -> None:
    """One model before and after, each seed moved by 1, 2, 3 and 40: in pairs every draw has the same differences."""
    shifts = {"a": 1, "b": 2, "c": 3, "d": 40}
    plain = {"scale": "linear", "minimum": None}
    sides = [
        to_frame(
            [row for d, s in shifts.items() for row in runs([x + sign * s for x in A], dataset=d, **plain)]
        )
        for sign in (0, 1)
    ]
    comparison = compare(*sides)
    assert all("paired" in line.note for pair in comparison.pairs for line in pair.lines)
    (line,) = across(comparison)
    assert line.middle_interval == (pytest.approx(-2.5), pytest.approx(-2.5))


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
    assert [(line.n_units, line.middle) for line in lines] == [
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
    assert (line.middle, line.middle_interval, line.improvement_interval) == (-1, None, None)
