"""`benchbench audit metrics`: what is asked, what is written, what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from benchbench.cli import cli
from benchbench.core.errors import InputError
from benchbench.metrics.audit.expectations import COLUMNS
from benchbench.verbs import audit
from benchbench.views.audit import combined, headline, summaries

SHORT = [
    "--metrics",
    "coverage,precision",
    "--experiments",
    "sphere-torus",
    "--points",
    "20",
    "--repeats",
    "1",
]


def asked(*words: str) -> Result:
    return CliRunner().invoke(cli, ["audit", "metrics", *words], catch_exceptions=True)


@pytest.mark.costly
def test_every_format_says_the_same(tmp_path: Path) -> None:
    """JSON, CSV, the file and the function have the same checks; Markdown and the terminal a letter for each pair of a
    desideratum and a metric. Two metrics, two cases, two checks each: eight. Failing changes no exit code."""
    words = [*SHORT, "--values", "5"]
    path = tmp_path / "checks.csv"
    results = {name: asked(*words, "--format", name) for name in ("terminal", "markdown", "csv", "json")}
    assert asked(*words, "--format", "csv", "--output", str(path)).stdout == ""
    assert [own.exit_code for own in results.values()] == [0] * 4
    found = audit.metrics("coverage,precision", experiments=["sphere-torus"], points=20, repeats=1, values=5)
    assert len(found) == 8
    assert json.loads(results["json"].stdout)["checks"] == found.to_dict("records")
    assert path.read_text(encoding="utf-8") == results["csv"].stdout
    assert pd.read_csv(io.StringIO(results["csv"].stdout), keep_default_na=False).equals(found)
    assert results["markdown"].stdout.count("| Ball in a torus | purpose |") == 2  # fidelity and diversity
    assert "Ball in a torus: bounds" in results["terminal"].stdout
    single = asked(*words, "--checks").stdout
    assert " ".join(single.split()).count("passes if it moves by at most 0.05 over the larger half") == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--metrics", "fd"], "fd claims neither fidelity nor diversity"),
        (["--metrics", ""], "no names"),
        (["--metrics", "precisoin"], "precisoin"),
        (["--experiments", "torus"], "sphere-torus"),
        (["--points", "19"], "the points of an audit must be from 20 to 100,000; not 19"),
        (["--repeats", "0"], "repeats"),
        (["--values", "10"], "odd"),
        (["--seed", "-1"], "seed"),
        (["--extractor", "cnn_digits"], "name a dataset as well"),
        (["--dataset", "digits", "--small"], "are of points, not of images"),
        (["--dataset", "digits", "--points", "3"], "the points of an audit must be from 20"),
        (["--dataset", "nowhere"], "nowhere"),
        (["--output", "/"], "/"),
    ],
)
def test_what_is_refused(words: list[str], said: str) -> None:
    """One sentence that names what is wrong, before anything is drawn."""
    error = asked(*words).exception
    assert isinstance(error, InputError)
    assert said in str(error)


def test_several_checks_make_one_letter() -> None:
    """By hand, as the authors have it: a failure decides, and so does being low here and high there; without one a
    number that is missing shows."""
    assert combined(["pass", "pass"]) == "pass"
    assert combined(["pass", "low", "low"]) == "low"
    assert combined(["high", "pass"]) == "high"
    assert combined(["low", "high"]) == "fail"
    assert combined(["high", "fail"]) == "fail"
    assert combined(["fail", "no number"]) == "fail"
    assert combined(["pass", "no number"]) == "no number"


def test_tables_have_a_column_a_metric() -> None:
    """By hand: two metrics of one claim, one of which is not asked one of the checks; hostile names stay names."""
    rows = [
        ("e", "", "Title", "bounds", "a", "x", "one", "fidelity", "pass", ""),
        ("e", "", "Title", "bounds", "b", "x", "one", "fidelity", "fail", ""),
        ("e", "", "Title", "purpose", "c", "x", "one", "fidelity", "pass", ""),
        ("e", "", "Title", "purpose", "c", "x", "[red]two|\n", "fidelity", "high", ""),
    ]
    checks = pd.DataFrame(rows, columns=list(COLUMNS))
    ((claim, table),) = summaries(checks)
    assert claim == "fidelity"
    assert table.to_numpy().tolist() == [["F", ""], ["T", "H"]]
    assert headline(checks) == "[red]two| 1 of 1, one 2 of 3"
