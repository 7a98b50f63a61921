"""`benchbench compare` as a user meets it: streams, formats and exit codes."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from benchbench.cli import main
from benchbench.results.manifest import RunFacts
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import write_rows

Done = tuple[int | str | None, str, str]


@pytest.fixture
def benchbench(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """The console script in this process: exit code, stdout and stderr."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))

    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["benchbench", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_row: Callable[..., Row]) -> Path:
    """A working folder whose `runs/` has two models with five seeds each, and one made on fewer images."""
    folder = tmp_path_factory.mktemp("compare")
    for number, (model, shift, n_images) in enumerate((("vae", 0, 1000), ("gan", 9, 1000), ("flow", 9, 500))):
        for seed in range(5):
            cell = f"{number}{seed}" * 8
            value = 10 + shift + 0.1 * (seed * (number + 2) % 5)
            row = make_row(
                model=model, seed=seed, cell=cell, value=value, n_images=n_images, low=None, high=None
            )
            with Store(folder / "runs").write(
                "digits", model, cell, RunFacts(data={"fingerprint": "x"})
            ) as place:
                write_rows(place / "metrics.csv", [row])
    for model, value, lr in (("vae", 10.0, "0.001"), ("gan", 20.0, "0.0005")):
        run = {"data": {"fingerprint": "x"}, "settings": {"lr": lr, "width": "8"}}
        for root, name in (("single", model), ("before" if model == "vae" else "after", "vae")):
            row = make_row(
                model=name, cell=f"{lr[-1]}{len(root):x}" * 8, value=value, low=value - 1, high=value + 1
            )
            with Store(folder / root).write("digits", name, row.cell, RunFacts(**run)) as place:
                write_rows(place / "metrics.csv", [row])
    return folder


def test_a_comparison(benchbench: Callable[..., Done]) -> None:
    """The better one by nine in five seeds; nothing but the table on stdout, nothing on stderr, exit code 0."""
    code, out, err = benchbench("compare", "model=vae", "runs/digits/gan")
    assert (code, err) == (0, "")
    assert "1 number, A against B: 1 better" in out
    _, out, _ = benchbench("compare", "model=gan", "model=vae", "--format", "json")
    assert [line["verdict"] for line in json.loads(out)["pairs"][0]["numbers"]] == ["worse"]
    for format_ in ("markdown", "csv"):
        code, out, _ = benchbench("compare", "model=gan", "model=vae", "--format", format_)
        assert code == 0
        assert "worse" in out


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["model=vae", "model=flow"], 3, "n_images is 1000 against 500; run both alike"),
        (["model=vae", "model=gna"], 2, "no record here has model=gna; did you mean 'gan'"),
        (["model=vae", "git:HEAD"], 2, "git repository"),
        (["model=vae", "model=gan", "--results", "nowhere"], 2, "there is no folder nowhere"),
        (["model=vae"], 2, "compare needs A and B; with --plan A alone will do"),
        (["model=vae", "--plan", "--smallest", "much"], 2, "'much' is no share above 0; write 10% or 0.1"),
        (["model=vae", "--plan", "--smallest", "0%"], 2, "'0%' is no share above 0; write 10% or 0.1"),
        (["model=vae", "--plan", "--smallest", "nan"], 2, "'nan' is no share above 0; write 10% or 0.1"),
        (["model=vae", "--plan", "--smallest", "5"], 2, "'5' is no share above 0; write 10% or 0.1"),
        (["model=vae", "model=gan", "--margin", "-10%"], 2, "'-10%' is no share above 0; write 10% or 0.1"),
        (
            ["single/digits/vae", "--results", "single", "--plan"],
            3,
            "nothing here says how far seeds scatter",
        ),
        (["model=vae", "model=gan", "--format", "xml"], 2, "'xml' is not one of"),
    ],
)
def test_what_goes_wrong_is_one_sentence(
    benchbench: Callable[..., Done], arguments: list[str], code: int, sentence: str
) -> None:
    """On stderr, with the exit code of the design, and never a traceback."""
    status, out, err = benchbench("compare", *arguments)
    assert (status, out) == (code, "")
    assert sentence in err
    assert "Traceback" not in err


@pytest.mark.costly
def test_reading_records_needs_no_torch(folder: Path) -> None:
    """A comparison on a laptop without an accelerator's gigabytes: torch is never imported."""
    code = (
        "import sys; from benchbench.cli import cli;"
        "cli.main(['compare', 'model=vae', 'model=gan'], standalone_mode=False); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"


def plan(benchbench: Callable[..., Done], *arguments: str) -> list[dict[str, Any]]:
    """The numbers of a plan, by its JSON."""
    code, out, err = benchbench("compare", "--plan", *arguments, "--format", "json")
    assert (code, err) == (0, "")
    numbers: list[dict[str, Any]] = json.loads(out)["numbers"]
    return numbers


def seeds_by_hand(values: list[float], share: float) -> int:
    """The least number a side for a power of 80%: the noncentral t of a difference of log(1 + share) where a run
    scatters as `values` do on the log scale, which is that of a Fréchet distance."""
    effect = math.log(1 + share) / float(np.std(np.log(values), ddof=1))
    for n in range(2, 10_000):
        df, shift = 2 * n - 2, effect * math.sqrt(n / 2)
        limit = stats.t.ppf(0.975, df)
        if stats.nct.sf(limit, df, shift) + stats.nct.cdf(-limit, df, shift) >= 0.8:
            return n
    raise AssertionError("not within ten thousand")


def test_a_plan_says_how_many_seeds(benchbench: Callable[..., Done]) -> None:
    """Five seeds of its own say how far the model scatters; the records state no interval, so no image would help.
    Planned are the models that are named, with the difference as a share of each value."""
    values = [10 + 0.1 * (seed * 2 % 5) for seed in range(5)]
    (vae,) = plan(benchbench, "model=vae", "--smallest", "1%")
    assert (vae["model"], vae["metric"], vae["headline"]) == ("vae", "fd_efficientnet_lite0", True)
    assert vae["value"] == pytest.approx(10.2, rel=1e-12)
    assert vae["smallest"] == pytest.approx(0.102, rel=1e-9)
    assert (vae["of_images"], vae["source"], vae["n_images"]) == (0.0, "5 seeds of its own", 1000)
    assert vae["seeds"] == seeds_by_hand(values, 0.01) > 20
    assert [line["model"] for line in plan(benchbench, "model=vae", "model=gan")] == ["gan", "vae"]


def test_a_share_may_be_written_either_way(benchbench: Callable[..., Done]) -> None:
    """5% is 0.05, and 10% is what holds without the option."""
    assert plan(benchbench, "model=vae", "--smallest", "5%") == plan(
        benchbench, "model=vae", "--smallest", "0.05"
    )
    assert plan(benchbench, "model=vae") == plan(benchbench, "model=vae", "--smallest", "10%")
    assert plan(benchbench, "model=vae") != plan(benchbench, "model=vae", "--smallest", "5%")


def test_a_plan_in_every_format(benchbench: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same number of seeds in all of them; the terminal's lines have at most 80 signs and break no number."""
    monkeypatch.setenv("COLUMNS", "80")
    asked = ("compare", "model=vae", "runs/digits/gan", "--plan", "--smallest", "1%")
    seeds = {line["model"]: line["seeds"] for line in plan(benchbench, *asked[1:3], "--smallest", "1%")}
    code, out, err = benchbench(*asked)
    assert (code, err) == (0, "")
    assert out.startswith("To find a difference of 1% of the value between two models")
    assert max(map(len, out.splitlines())) <= 80
    for model, value in (("vae", "10.20"), ("gan", "19.20")):
        lines = out[out.index(f"{model} on digits") :].splitlines()
        row = next(line.split() for line in lines if value in line)
        assert row[1:] == [value, *row[2:4], "0%", str(seeds[model]), "1000"]
    _, out, _ = benchbench(*asked, "--format", "markdown")
    assert "### vae on digits" in out
    (line,) = [line for line in out.splitlines() if "| 10.20 |" in line]
    assert f"| {seeds['vae']} | 1000 |" in line
    _, out, _ = benchbench(*asked, "--format", "csv")
    rows = {row["model"]: row for row in csv.DictReader(io.StringIO(out))}
    assert {model: int(row["seeds"]) for model, row in rows.items()} == seeds
    assert {row["share"] for row in rows.values()} == {"0.01"}
    assert float(rows["vae"]["value"]) == pytest.approx(10.2, rel=1e-12)


@pytest.mark.parametrize("format_", ["terminal", "markdown", "json"])
def test_what_a_and_b_differ_in(benchbench: Callable[..., Done], format_: str) -> None:
    """The same model in two folders, with another learning rate and the same width."""
    code, out, err = benchbench("compare", "before", "after", "--format", format_)
    assert (code, err) == (0, "")
    assert "A and B differ in lr: 0.001 against 0.0005" in out
    assert "width" not in out


def test_one_run_a_side(benchbench: Callable[..., Done]) -> None:
    """10 ± 1 and 20 ± 1 of one run each of two models: two different sets of images, nothing about other seeds."""
    asked = ("compare", "model=vae", "model=gan", "--results", "single")
    _, out, _ = benchbench(*asked, "--format", "json")
    (line,) = json.loads(out)["pairs"][0]["numbers"]
    assert (line["verdict"], line["difference"]["kind"]) == ("differ as sets of images", "images")
    _, out, _ = benchbench(*asked)
    assert "1 number, A against B: 1 differ as sets of images" in out


def test_equal_within_a_margin_only(benchbench: Callable[..., Done]) -> None:
    """A model is equal to itself under any margin. vae and gan lie 9 apart, 47% of gan's 19.2: better, although that is
    within a margin of 60%, since a difference that is shown is no equality."""

    def verdict(*arguments: str) -> str:
        _, out, _ = benchbench("compare", *arguments, "--format", "json")
        return str(json.loads(out)["pairs"][0]["numbers"][0]["verdict"])

    assert verdict("model=vae", "model=gan", "--margin", "60%") == "better"
    assert verdict("model=vae", "model=vae", "--margin", "0.1%") == "equal"
