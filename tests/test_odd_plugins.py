"""A metric or an extractor of somebody else's that goes wrong: its own number is missing and says why, all others are
what they are without it.

Oracle of every test: the numbers of the same evaluation without the plug-in, equal to the bit.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

from benchbench.cli import cli
from benchbench.core.errors import InputError, contained
from benchbench.runner.evaluate import evaluate

pytestmark = pytest.mark.costly  # an evaluation each

FIXTURES = Path(__file__).parent / "fixtures"
POINTS = """\
[benchbench.metrics]
odd = odd_plugins:OddMetric
odd_one = odd_plugins:OddFamily
odd_two = odd_plugins:OddFamily
odd_pairs = odd_plugins:OddPairs
[benchbench.extractors]
sound = odd_plugins:Sound
odd_eyes = odd_plugins:OddExtractor
"""


def pictures(seed: int) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (40, 3, 16, 16), dtype=np.uint8))


IMAGES, REFERENCE = pictures(0), pictures(1)


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module, found through entry points as an installer writes them."""
    site = tmp_path / "site"
    (site / "odd-1.dist-info").mkdir(parents=True)
    (site / "odd_plugins.py").write_text(
        (FIXTURES / "odd_plugins.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    (site / "odd-1.dist-info" / "entry_points.txt").write_text(POINTS)
    (site / "odd-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("BENCHBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    import odd_plugins  # type: ignore[import-not-found]

    yield odd_plugins
    sys.modules.pop("odd_plugins", None)


def numbers(metrics: list[str], extractors: list[str]) -> pd.DataFrame:
    return evaluate(IMAGES, REFERENCE, metrics, extractors=extractors, batch_size=16).set_index("metric")


@cache
def undisturbed(*metrics: str) -> pd.DataFrame:
    """What `numbers` are before anything goes wrong; equal in every test, to the bit."""
    return numbers([*metrics], ["sound"])


def check_failed(rows: pd.DataFrame, name: str) -> str:
    row = rows.loc[name]
    assert row["status"] in ("failed", "unavailable")
    assert pd.isna(row["value"])
    assert 5 < len(row["reason"]) < 500
    assert "\n" not in row["reason"]
    return str(row["reason"])


def _ways(kind: str) -> list[str]:
    sys.path.insert(0, str(FIXTURES))
    try:
        import odd_plugins
    finally:
        sys.path.pop(0)
        sys.modules.pop("odd_plugins", None)
    return sorted(getattr(odd_plugins, kind))


@pytest.mark.parametrize("how", [*_ways("RAISED"), *_ways("RETURNED")])
def test_a_metric_fails_alone(odd: ModuleType, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Whatever it raises and whatever it returns in the place of a number."""
    expected = undisturbed("fd", "kd")
    monkeypatch.setattr(odd, "HOW", how)
    found = numbers(["fd", "kd", "odd", "odd_one"], ["sound"])
    check_failed(found, "odd_sound")
    for name in ("fd_sound", "kd_sound"):
        assert found.loc[name, "value"] == expected.loc[name, "value"]
    assert found.loc["odd_one_sound", "value"] == 1


@pytest.mark.parametrize("how", ["another name", "a list"])
def test_numbers_under_other_names(odd: ModuleType, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """A family that returns no number called as it declares: that one is missing, a list is none of its numbers."""
    monkeypatch.setattr(odd, "HOW", how)
    found = numbers(["odd_one", "odd_two", "fd"], ["sound"])
    check_failed(found, "odd_two_sound")
    assert found.loc["odd_one_sound", "status"] == ("ok" if how == "another name" else "failed")
    assert found.loc["fd_sound", "status"] == "ok"


@pytest.mark.parametrize(
    "how", [*_ways("RAISED"), "None", "text", "a tensor", "a complex value", "NaN", "in place"]
)
def test_a_metric_on_pairs_fails_alone(odd: ModuleType, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """The same between pairs; one that changes the images it is shown changes no other's."""
    expected = undisturbed("mse", "psnr", "fd")
    monkeypatch.setattr(odd, "HOW", how)
    found = numbers(["odd_pairs", "mse", "psnr", "fd"], ["sound"])
    for name in expected.index:
        assert found.loc[name, "value"] == expected.loc[name, "value"]
    if how != "in place":
        check_failed(found, "odd_pairs")


@pytest.mark.parametrize(
    "how",
    [
        *_ways("RAISED"),
        *(f"made: {way}" for way in _ways("RAISED")),
        *("another name", "no dimensions", "described as text", "no words", "at the second batch", "None"),
        *(
            "a tensor",
            "too few",
            "too narrow",
            "NaN",
            "whole numbers",
            "features of text",
            "sparse",
            "in place",
        ),
    ],
)
def test_an_extractor_fails_alone(odd: ModuleType, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Where it is made, where it is asked and in what it says; one that changes the images it is shown changes no
    other's."""
    expected = undisturbed("fd", "mse")
    monkeypatch.setattr(odd, "HOW", how)
    for order in (["odd_eyes", "sound"], ["sound", "odd_eyes"]):
        found = numbers(["fd", "mse"], order)
        for name in expected.index:
            assert found.loc[name, "value"] == expected.loc[name, "value"]
        if how not in ("in place", "sparse"):
            check_failed(found, "fd_odd_eyes")


def test_an_interrupt_is_the_users(odd: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while somebody else's code runs ends the evaluation as anywhere."""
    monkeypatch.setitem(odd.RAISED, "Ctrl-C", KeyboardInterrupt())
    monkeypatch.setattr(odd, "HOW", "Ctrl-C")
    with pytest.raises(KeyboardInterrupt):
        numbers(["fd", "odd"], ["sound"])
    with pytest.raises(KeyboardInterrupt), contained("somebody"):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("aspect", "beauty", "declares the aspect 'beauty'"),
        ("unit", 3, "declares the unit 3"),
        ("scale", "cubic", "declares the scale 'cubic'"),
        ("ends", (0, float("nan")), "declares the ends"),
        ("version", "1", "its version as a number"),
        ("higher_is_better", "yes", "declares higher_is_better 'yes'"),
    ],
)
def test_what_it_declares_is_checked_first(
    odd: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str, value: object, said: str
) -> None:
    """What no record takes is refused before anything is computed; a set leaves the metric out with a warning."""
    monkeypatch.setattr(odd.OddMetric, name, value)
    with pytest.raises(InputError, match=said):
        numbers(["fd", "odd"], ["sound"])
    with pytest.warns(UserWarning, match="left out"):
        found = numbers(["all"], ["sound"])
    assert "odd_sound" not in found.index
    assert found.loc["fd_sound", "status"] == "ok"


def test_exit_codes(odd: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """4 where none of the metrics that were asked for has a number, of a run too, which measures speed beside them;
    0 where one of them has."""
    monkeypatch.setattr(odd, "HOW", "SystemExit")
    run = ["run", "--model", "noise", "--dataset", "digits", "--samples", "20", "--extractor", "sound"]
    for metrics, code in (("odd", 4), ("odd,fd", 0)):
        result = CliRunner().invoke(cli, [*run, "--metrics", metrics])
        assert getattr(result.exception, "exit_code", result.exit_code) == code, result.output
        assert "raised SystemExit: 0" in result.output
    np.save("a.npy", IMAGES.permute(0, 2, 3, 1).numpy())
    np.save("b.npy", REFERENCE.permute(0, 2, 3, 1).numpy())
    on_files = ["evaluate", "a.npy", "--reference", "b.npy", "--extractor", "sound"]
    for metrics, code in (("odd", 4), ("odd,fd", 0)):
        result = CliRunner().invoke(cli, [*on_files, "--metrics", metrics])
        assert getattr(result.exception, "exit_code", result.exit_code) == code, result.output
