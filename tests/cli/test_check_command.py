"""`benchbench check` as a CI job meets it: exit code, two streams and three files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import pytest

from benchbench.cli import main


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Run the console script in this process; returns its exit code. Files go to the temporary folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: Any) -> int:
        monkeypatch.setattr("sys.argv", ["benchbench", "check", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0)

    return run


def outputs(tmp_path: Path) -> list[str]:
    """The arguments that write all three files."""
    return [f"--{kind}={tmp_path / kind}" for kind in ("junit", "summary", "json")]


def test_a_planted_regression_fails_with_a_readable_junit(
    tmp_path: Path,
    records: Callable[..., Path],
    check: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A distance worse by 20 of its standard deviations over three other seeds: exit code 1, the metric and the change
    in the one failed test case, in the summary, in the JSON and in the one sentence on stderr."""
    records(tmp_path / "base")
    records(tmp_path / "branch", range(10, 13), shift=20.0, noise=1)
    assert check("--baseline", "base", "branch", *outputs(tmp_path)) == 1
    out, err = capsys.readouterr()
    assert "1 worse than the gate allows: fd_efficientnet_lite0 of vae on digits (worse by" in err
    assert "Traceback" not in err
    assert "regression" in out
    cases = list(ElementTree.parse(tmp_path / "junit").iter("testcase"))
    failed = [case for case in cases if case.find("failure") is not None]
    assert [(case.get("classname"), case.get("name")) for case in failed] == [
        ("vae.digits", "fd_efficientnet_lite0")
    ]
    failure = failed[0].find("failure")
    assert failure is not None
    message = failure.get("message") or ""
    assert message.startswith("worse by 20.45 (101.86%) and more than relative = 0.15 allows: p = ")
    assert "(t test, 3 against 3 seeds" in message
    assert len(cases) == 3
    assert r"fd\_efficientnet\_lite0 (headline) ↓" in (tmp_path / "summary").read_text(encoding="utf-8")
    found = json.loads((tmp_path / "json").read_text(encoding="utf-8"))
    assert (found["exit_code"], found["counts"]) == (1, {"regression": 1, "ok": 2})


def test_the_same_run_twice_passes(
    tmp_path: Path,
    records: Callable[..., Path],
    check: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing differs, so nothing can be worse; the summary is appended to what stands there already, and an empty
    name, an unset variable of the shell, writes nothing."""
    records(tmp_path / "base")
    records(tmp_path / "branch")
    (tmp_path / "summary").write_text("# another step\n")
    assert check("--baseline", "base", "branch", *outputs(tmp_path)) == 0
    assert check("--baseline", "base", "branch", "--summary", tmp_path / "summary") == 0
    assert check("--baseline", "base", "branch", "--summary", "") == 0
    assert "passed: 3 compared" in capsys.readouterr().out
    text = (tmp_path / "summary").read_text(encoding="utf-8")
    assert text.startswith("# another step\n")
    assert text.count("## benchbench check: passed") == 2
    assert not list(ElementTree.parse(tmp_path / "junit").iter("failure"))


def test_an_improvement_passes(
    tmp_path: Path,
    records: Callable[..., Path],
    check: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The planted regression the other way round, and ten times the rate."""
    records(tmp_path / "base")
    records(tmp_path / "branch", range(10, 13), shift=-15.0, noise=1, rate=1000.0)
    assert check("--baseline", "base", "branch") == 0


@pytest.mark.costly
def test_ten_repeats_with_other_seeds_raise_no_alarm(
    tmp_path: Path,
    records: Callable[..., Path],
    check: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ten single runs of the same model, each with a seed of its own, against five. At 99.5% for each check the
    probability of any alarm in ten is below 5%; the draws are fixed."""
    records(tmp_path / "base", range(5))
    for repeat in range(10):
        records(tmp_path / f"repeat{repeat}", range(100 + repeat, 101 + repeat), noise=100 + repeat)
        assert check("--baseline", "base", "--confidence", "0.995", f"repeat{repeat}") == 0


@pytest.mark.parametrize(("base", "branch"), [(True, False), (False, True), (False, False)])
def test_an_empty_folder_compares_nothing(
    tmp_path: Path,
    records: Callable[..., Path],
    check: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    base: bool,
    branch: bool,
) -> None:
    """Either side, or both: exit code 3, and the JUnit is not green."""
    for name, full in (("base", base), ("branch", branch)):
        records(tmp_path / name, range(3 if full else 0))
    assert check("--baseline", "base", "branch", *outputs(tmp_path)) == 3
    assert "nothing comparable" in capsys.readouterr().err
    assert len(list(ElementTree.parse(tmp_path / "junit").iter("error"))) == 1
    assert json.loads((tmp_path / "json").read_text())["compared"] == 0


def test_another_machine_is_no_regression(
    tmp_path: Path,
    records: Callable[..., Path],
    check: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A tenth of the rate elsewhere is not comparable; on the same machine it is a regression."""
    records(tmp_path / "base")
    records(tmp_path / "elsewhere", rate=10.0, machine="Xeon")
    records(tmp_path / "here", rate=10.0)
    assert check("--baseline", "base", "elsewhere", *outputs(tmp_path)) == 0
    found = {f["metric"]: f for f in json.loads((tmp_path / "json").read_text())["findings"]}
    assert found["sampling_rate"]["verdict"] == "not comparable"
    assert "Xeon" in found["sampling_rate"]["reason"]
    assert check("--baseline", "base", "here") == 1
    assert "sampling_rate of vae on digits (worse by 90 (90.00%)" in capsys.readouterr().err


def test_a_failed_cell_is_exit_code_4(
    tmp_path: Path,
    records: Callable[..., Path],
    check: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Seed 1 has a distance in the baseline and none in the branch, which also got slower: 4 comes before 1."""
    records(tmp_path / "base")
    records(tmp_path / "branch", rate=10.0, failed=1)
    assert check("--baseline", "base", "branch", *outputs(tmp_path)) == 4
    assert "1 failed that the baseline has" in capsys.readouterr().err
    (error,) = ElementTree.parse(tmp_path / "junit").iter("error")
    assert error.get("message") == "failed with seed 1: too few images"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["branch", "--tolerance", "slip.toml"],
            "unknown key in [default] 'relativ'; did you mean 'relative'?",
        ),
        (["branch", "--tolerance", "nowhere.toml"], "cannot read the gate nowhere.toml"),
        (["branch", "--confidence", "95"], "95"),
        (["nowhere"], "there is no folder nowhere"),
        (["branch", "--baseline", "nowhere"], "there is no folder nowhere"),
        (["branch", "--summary", "base"], "base is a folder; name a file to write"),
        ([], "there is no folder runs"),
        (["--baseline", "runs"], "runs would be compared with itself; name the folder of the candidate"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(
    tmp_path: Path,
    records: Callable[..., Path],
    check: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    """On stderr, naming the thing; nothing on stdout."""
    records(tmp_path / "base")
    records(tmp_path / "branch")
    (tmp_path / "slip.toml").write_text("[default]\nrelativ = 0.05\n")
    baseline = [] if "--baseline" in arguments else ["--baseline", "base"]
    assert check(*baseline, *arguments) == 2
    out, err = capsys.readouterr()
    assert sentence in err
    assert "Traceback" not in err
    assert out == ""


def test_a_check_says_what_it_holds_against_what(
    tmp_path: Path,
    records: Callable[..., Path],
    check: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The candidate is what runs left in `runs`, unless it is named. No baseline goes without saying, not even the
    published one: what a verdict hangs on stands in the command."""
    records(tmp_path / "results")
    records(tmp_path / "runs")
    assert check("--baseline", "results") == 0
    capsys.readouterr()
    assert check() == 2
    assert "check needs --baseline, the records to compare runs with, as in --baseline results" in (
        capsys.readouterr().err
    )


def test_markup_in_names_stays_text_everywhere(
    tmp_path: Path,
    records: Callable[..., Path],
    check: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A name that is HTML, a Markdown link, a cell border, a rich style and a terminal sequence at once."""
    evil = "<script>|[x](y)[bold]\x1b[31m"
    records(tmp_path / "base", name=evil)
    records(tmp_path / "branch", name=evil, shift=20.0, noise=1)
    assert check("--baseline", "base", "branch", *outputs(tmp_path)) == 1
    out, err = capsys.readouterr()
    assert "[bold]" in out
    assert "[bold]" in err
    assert "\x1b" not in out + err
    assert "<script>" not in (tmp_path / "junit").read_text(encoding="utf-8")
    names = {case.get("classname") for case in ElementTree.parse(tmp_path / "junit").iter("testcase")}
    assert names == {"<script>|[x](y)[bold]\ufffd[31m.digits"}
    summary = (tmp_path / "summary").read_text(encoding="utf-8")
    assert r"\<script\>\|\[x\](y)\[bold\]" in summary
    assert "<script>" not in summary
    assert "\x1b" not in summary
    assert json.loads((tmp_path / "json").read_text())["findings"][0]["model"] == evil


def test_the_json_is_as_documented(
    tmp_path: Path,
    records: Callable[..., Path],
    check: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every field of the object and of a finding stands in docs/check.md, in backticks."""
    records(tmp_path / "base")
    assert check("--baseline", "base", "base", *outputs(tmp_path)) == 0
    found = json.loads((tmp_path / "json").read_text())
    page = (Path(__file__).parents[2] / "docs" / "check.md").read_text(encoding="utf-8")
    assert not [name for name in (*found, *found["findings"][0]) if f"`{name}`" not in page]


def test_the_workflow_calls_what_there_is() -> None:
    """Every option in docs/github-workflow.yml belongs to the verb that it is given to."""
    from benchbench.cli import cli

    text = (Path(__file__).parents[2] / "docs" / "github-workflow.yml").read_text(encoding="utf-8")
    calls = [
        line.split() for line in text.replace("\\\n", " ").splitlines() if line.split()[:1] == ["benchbench"]
    ]
    assert [call[1] for call in calls] == ["suite", "check"]
    for call in calls:
        verb = cli.commands[call[1]]
        known = {name for parameter in verb.get_params(click.Context(verb)) for name in parameter.opts}
        used = {word for word in call if word.startswith("--")}
        assert used
        assert used <= known


@pytest.mark.costly
def test_a_band_fails_better_and_worse(
    tmp_path: Path,
    records: Callable[..., Path],
    check: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`within` holds the mean to a band around the baseline's, `between` to a stated one, as inference checkers do: a
    distance that is 1 of 20 off is outside ±2% and inside ±10% whichever way it went, and a SSIM of about 0.9 lies
    between 0.8 and 0.95 and not between 0.95 and 1."""
    records(tmp_path / "base")
    for name, shift in (("better", -1.0), ("worse", 1.0)):
        records(tmp_path / name, shift=shift)
    gates = {
        "narrow": '[metric."fd_*"]\nwithin = 0.02\n',
        "wide": '[metric."fd_*"]\nwithin = 0.1\n',
        "inside": '[metric."fd_*"]\nwithin = 0.1\n[metric.ssim]\nbetween = [0.8, 0.95]\n',
        "outside": '[metric."fd_*"]\nwithin = 0.1\n[metric.ssim]\nbetween = [0.95, 1]\n',
    }
    for name, text in gates.items():
        (tmp_path / f"{name}.toml").write_text(text)

    def done(branch: str, gate: str) -> tuple[int, str, str]:
        return check("--baseline", "base", branch, "--tolerance", f"{gate}.toml"), *capsys.readouterr()

    for branch, word in (("better", "better by 1 (4.9"), ("worse", "worse by 1 (4.9")):
        code, out, err = done(branch, "narrow")
        assert code == 1
        assert f"fd_efficientnet_lite0 of vae on digits ({word}" in err
        assert "which is outside ±2.00% of the baseline" in err
        assert done(branch, "wide")[0] == 0
    code, out, _ = done("worse", "inside")
    assert code == 0
    (line,) = [line for line in out.splitlines() if line.startswith("fd_efficientnet")]
    assert line.split()[-2:] == ["10%", "ok"]  # what this rule would have seen
    code, _, err = done("better", "outside")
    assert code == 1
    assert "ssim of vae on digits (" in err
    assert "lies outside 0.95 to 1" in err


def test_every_ok_says_what_it_would_have_seen(
    tmp_path: Path,
    records: Callable[..., Path],
    check: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Three other seeds against three: each tested number has its smallest worsening in the table, in the summary and
    in the JSON, the same one; a rate has its tolerance, a quarter. A share of the baseline, as text."""
    records(tmp_path / "base")
    records(tmp_path / "branch", range(10, 13), noise=1)
    assert check("--baseline", "base", "branch", *outputs(tmp_path)) == 0
    out = capsys.readouterr().out
    found = {f["metric"]: f for f in json.loads((tmp_path / "json").read_text())["findings"]}
    assert {finding["verdict"] for finding in found.values()} == {"ok"}
    assert found["sampling_rate"]["smallest"] == pytest.approx(25.0, rel=1e-6)  # and a millionth for rounding
    summary = (tmp_path / "summary").read_text(encoding="utf-8")
    for finding in found.values():
        share = 100 * finding["smallest"] / finding["baseline"]
        assert share > 0
        text = f"{share:.0f}%" if share >= 10 else f"{share:.2g}%"
        assert any(text in line.split() for line in out.splitlines())
        assert f"| {text} |" in summary
    assert "sees: the smallest worsening that this check would have failed" in " ".join(out.split())


def test_the_check_fits_80_columns(
    tmp_path: Path,
    records: Callable[..., Path],
    check: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Numbers with a sign and an exponent, a change of a million per cent, the longest verdict: all stand whole, on
    lines of at most 80 signs."""
    monkeypatch.setenv("COLUMNS", "80")
    records(tmp_path / "base", rate=1.2347e-6)
    records(tmp_path / "branch", range(10, 13), shift=1.2345e7, noise=1, rate=9.8763e-7)
    assert check("--baseline", "base", "branch", *outputs(tmp_path)) == 1
    out = capsys.readouterr().out
    table = out[: out.index("regression: fd")]
    assert max(map(len, table.splitlines())) <= 80
    words = table.split()
    for number in ("1.235e-06", "9.876e-07", "-2.471e-07", "(-20.0%)", "regression"):
        assert number in words, number
    (fd,) = [
        f for f in json.loads((tmp_path / "json").read_text())["findings"] if f["metric"].startswith("fd")
    ]
    assert f"{fd['candidate']:.0f}" in words
    assert f"+{fd['change']:.0f}" in words
    assert f"(+{100 * fd['change'] / fd['baseline']:.2g}%)" in words
