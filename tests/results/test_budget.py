"""The budget rule: on curves whose improvement is known, with noise and without."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchbench.results.budget import DISTANCE, LEAST, PSNR, PSNR_HOLE, Ended, ended, ended_by
from benchbench.results.endings import ended_of
from benchbench.results.load import load_results, records
from benchbench.results.manifest import RunFacts
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import write_rows

STEPS = np.arange(100, 3001, 100)  # 30 scans, of which 10 are in the last third


def falling(share: float, steps: Any = STEPS) -> Any:
    """A distance that falls evenly on the logarithm, by `share` over a third of the steps."""
    return np.exp(3 * math.log(1 - share) * np.asarray(steps) / max(steps))


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        (0.5, "stopped by budget"),
        (0.0201, "stopped by budget"),
        (0.0199, "converged"),
        (0.0, "converged"),
        (-0.0199, "converged"),
        (-0.0201, "rising"),
        (-9.0, "rising"),
    ],
)
def test_without_noise_the_line_is_the_curve(share: float, verdict: str) -> None:
    """An exponential has exactly the improvement that it was made with, and no spread: bounds are the value, to
    rounding. Per 1,000 steps, which are the third of 3,000, it is the same."""
    found = ended(STEPS, falling(share))
    assert found.verdict == verdict
    assert found.scans == 10
    for number in (found.improvement, found.low, found.high, found.slope):
        assert number == pytest.approx(share, abs=1e-9)


def test_slope_and_bounds_are_those_of_least_squares() -> None:
    """SciPy's `linregress` on the logarithm of the last third, and Student's quantile at 95%. Residuals turn their sign
    each time, so that no autocorrelation widens them."""
    values = falling(0.1) * np.exp(0.01 * (-1.0) ** np.arange(30))
    line = stats.linregress(STEPS[20:], np.log(values[20:]))
    reach = stats.t.ppf(0.95, 8) * line.stderr
    found = ended(STEPS, values)
    assert found.improvement == pytest.approx(1 - math.exp(1000 * line.slope), rel=1e-9)
    assert found.low == pytest.approx(1 - math.exp(1000 * (line.slope + reach)), rel=1e-9)
    assert found.high == pytest.approx(1 - math.exp(1000 * (line.slope - reach)), rel=1e-9)


def simulated(share: float, spread: float, alike: float = 0.0, n: int = 90) -> dict[str, float]:
    """How often each verdict comes out of 1,000 curves whose scans scatter by `spread`, neighbours alike by `alike`."""
    rng, steps = np.random.default_rng(0), np.arange(1, n + 1)
    noise = rng.normal(size=(1000, n))
    for i in range(1, n):
        noise[:, i] = alike * noise[:, i - 1] + math.sqrt(1 - alike**2) * noise[:, i]
    verdicts = [ended(steps, falling(share, steps) * np.exp(spread * own)).verdict for own in noise]
    return {verdict: verdicts.count(verdict) / 1000 for verdict in set(verdicts)}


@pytest.mark.costly
@pytest.mark.parametrize("spread", [0.005, 0.02])
def test_noise_seldom_makes_a_claim(spread: float) -> None:
    """Each claim is wrong at most as often as its bound says, 5%, where it is hardest: at an improvement of just 2% no
    training has converged, and where nothing improves none was stopped by its budget. Of 1,000 draws at 5% the share
    has a standard error of 0.7%, so 7.5% is more than three of them."""
    assert simulated(LEAST, spread).get("converged", 0) < 0.075
    still = simulated(0.0, spread)
    assert still.get("stopped by budget", 0) < 0.075
    assert still.get("rising", 0) < 0.075


@pytest.mark.costly
def test_little_noise_is_told_from_none() -> None:
    """Power: of 30 scans that scatter by half a per cent the slope of the third has a standard error of
    0.005·√(12/30) = 0.32%, six of which lie between nothing and 2%, and nine between 5% and 2%. Nearly all are told."""
    assert simulated(0.0, 0.005)["converged"] > 0.95
    assert simulated(0.05, 0.005)["stopped by budget"] > 0.99


@pytest.mark.costly
def test_neighbours_that_are_alike_widen_the_bounds() -> None:
    """Scans of averaged weights wander. With an autocorrelation of 0.5 the variance of the slope is three times that of
    independent scans ((1 + r)/(1 − r)); a rule that ignores it calls a fifth of trainings that improve by 2%
    converged. Estimated from 30 residuals it is a little too small; 15% leaves room for that."""
    assert simulated(LEAST, 0.01, alike=0.5).get("converged", 0) < 0.15


def test_what_scatters_by_itself_is_no_improvement() -> None:
    """A monitor whose own spread is 5%, as of a thousand samples: ten scans could show 9% and no less
    (0.05·√(12/10)·1.86 = 10%), so hardly any verdict is given on a flat curve."""
    found = simulated(0.0, 0.05, n=30)
    assert found["undecided"] > 0.85


@pytest.mark.costly
@given(
    st.lists(st.floats(0.01, 100), min_size=9, max_size=40),
    st.floats(1e-6, 1e6),
    st.integers(1, 10**6),
)
def test_units_change_nothing(values: list[float], unit: float, stride: int) -> None:
    """Another unit of the distance, or of the steps, changes neither verdict nor improvement; the slope per 1,000 steps
    changes with the steps alone. Bounds hold the value. To 1e-6 of it: logarithms of large units round."""
    steps = list(range(1, len(values) + 1))
    one = ended(steps, values)
    other = ended([stride * step for step in steps], [unit * value for value in values])
    assert one.improvement is not None
    assert one.low is not None
    assert one.high is not None
    assert one.low <= one.improvement + 1e-9
    assert one.improvement <= one.high + 1e-9
    assert other.improvement == pytest.approx(one.improvement, rel=1e-6, abs=1e-6)
    edges = (one.low, one.high, one.high - LEAST, one.improvement - LEAST, one.improvement + LEAST)
    if min(map(abs, edges)) > 1e-5:
        assert other.verdict == one.verdict


@pytest.mark.parametrize(
    ("steps", "values"),
    [
        ([], []),
        ([0], [1.0]),
        ([100], [3.0]),
        ([100, 200, 300], [3.0, 2.0, 1.0]),
        ([300, 300, 300], [3.0, 2.0, 1.0]),
        (STEPS, [math.nan] * 30),
        (STEPS, [0.0] * 30),
        (STEPS, [-1.0] * 30),
        (STEPS, [*falling(0.1)[:22], *[math.inf] * 8]),
    ],
)
def test_too_few_scans_tell_nothing(steps: Any, values: Any) -> None:
    """Fewer than three usable ones in the last third, or three at one step: a line through them has no spread."""
    assert ended(steps, values).verdict == "unknown"


def test_a_training_that_diverges_is_rising() -> None:
    """A distance that grows beyond any number: told as one that rose, with finite numbers."""
    found = ended(STEPS, 10.0 ** np.linspace(0, 300, 30))
    assert found.verdict == "rising"
    assert all(math.isfinite(x) for x in (found.improvement, found.low, found.high, found.slope) if x)


class TestColumns:
    """Which column of `curves.csv` is looked at."""

    def test_the_monitor_comes_first(self) -> None:
        """It saw the headline itself; rows without a scan are passed over, and the last row says how long it took."""
        rows: list[dict[str, str | None]] = [
            {"step": str(step), DISTANCE: str(value) if step % 200 == 0 else "", PSNR: "30"}
            for step, value in zip(STEPS, falling(0.3), strict=True)
        ]
        found = ended_by(rows)
        assert (found.watched, found.scans, found.verdict) == (DISTANCE, 5, "stopped by budget")

    def test_a_psnr_is_its_mean_squared_error(self) -> None:
        """PSNR = −10·log10(mse): 0.1 dB over the last third are 1 − 10^−0.01 = 2.28% of it, and 0.08 dB 1.83%."""
        for column, gained, verdict in (
            (PSNR, 0.1, "stopped by budget"),
            (PSNR_HOLE, 0.08, "converged"),
        ):
            rows: list[dict[str, str | None]] = [
                {"step": str(s), column: str(30 + gained * s / 1000)} for s in STEPS
            ]
            found = ended_by(rows)
            assert (found.watched, found.verdict) == (column, verdict)
            assert found.improvement == pytest.approx(1 - 10 ** (-gained / 10), rel=1e-9)

    @pytest.mark.parametrize(
        "rows",
        [
            [],
            [{}],
            [{"step": "100", "loss": "1"}],
            [{"step": "x", DISTANCE: "1"}],
            [{"step": "100", DISTANCE: "<b>"}, {"step": None, DISTANCE: None}],
        ],
    )
    def test_nobody_watched(self, rows: list[dict[str, str | None]]) -> None:
        """Losses are no headline; hostile text is no number."""
        assert ended_by(rows).verdict == "unknown"


class TestRecords:
    """Of a record, and in the table of records."""

    @pytest.fixture
    def record(self, tmp_path: Path, make_row: Callable[..., Row]) -> Callable[..., Path]:
        def land(curves: str | None = None, **said: Any) -> Path:
            row = make_row()
            run: dict[str, Any] = {"data": {"fingerprint": "f" * 64}, **said}
            with Store(tmp_path).write(row.dataset, row.model, row.cell, RunFacts(**run)) as folder:
                write_rows(folder / "metrics.csv", [row])
                if curves is not None:
                    (folder / "curves.csv").write_text(curves)
            return tmp_path

        return land

    TRAINED: Any = {  # noqa: RUF012
        "training": {
            "images_per_second": 1.0,
            "n_steps": 3000,
            "seconds": 1.0,
            "stopped_early": False,
            "peak_memory_mib": 1.0,
        }
    }
    CURVES = "\n".join([f"step,{DISTANCE}", *(f"{s},{v}" for s, v in zip(STEPS, falling(0.3), strict=True))])

    def test_the_table_says_it(self, record: Callable[..., Path]) -> None:
        """Columns `budget` and `budget_words`, from curves.csv."""
        frame = load_results(record(self.CURVES, **self.TRAINED))
        assert frame["budget"].tolist() == ["stopped by budget"]
        assert frame["budget_words"].tolist() == [ended(STEPS, falling(0.3)).words]
        assert "30%" in frame["budget_words"][0]

    def test_without_curves_it_is_unknown(self, record: Callable[..., Path]) -> None:
        """A record that was trained and has none."""
        assert load_results(record(**self.TRAINED))["budget"].tolist() == ["unknown"]

    @pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"step,monitor_distance\n1,"])
    def test_damaged_curves_tell_nothing(self, record: Callable[..., Path], content: bytes) -> None:
        """What they say now is not what was written. `benchbench verify` names them."""
        root = record(self.CURVES, **self.TRAINED)
        ((folder, run),) = records(root)
        (folder / "curves.csv").write_bytes(content)
        assert ended_of(folder, run) == Ended("unknown")

    def test_nothing_was_trained(self, record: Callable[..., Path]) -> None:
        """Neither in a control nor where weights were loaded."""
        assert load_results(record())["budget"].isna().all()

    def test_loaded_weights_have_no_training(self, record: Callable[..., Path]) -> None:
        """Whatever else the record says."""
        root = record(self.CURVES, **self.TRAINED, weights_loaded_sha256="a" * 64)
        assert load_results(root)["budget"].isna().all()
