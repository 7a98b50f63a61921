"""The suites in `results/` make the records beside them again: what anybody would type for the whole board."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import benchbench

RESULTS = Path(__file__).parents[2] / "results"


def planned(name: str) -> pd.DataFrame:
    """The cells of a published suite."""
    return benchbench.suite(RESULTS / f"{name}.toml", out=RESULTS, device="cpu", dry_run=True)


@pytest.mark.costly
@pytest.mark.parametrize(
    ("name", "dataset"), [("super-resolution", "set5"), ("denoising", "bsd68"), ("inpainting", "set12")]
)
def test_restoration(name: str, dataset: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expected: the keys under which the records lie, no more and no fewer."""
    monkeypatch.setenv("BENCHBENCH_DATA", str(shared_data))
    published = {record.parent.name for record in (RESULTS / dataset).glob("*/*/run.json")}
    assert set(planned(name)["key"]) == published


@pytest.mark.costly
@pytest.mark.parametrize("name", ["mnist", pytest.param("cifar10", marks=pytest.mark.slow)])
def test_generation_of(name: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expected: as above; the images are not in the repository."""
    monkeypatch.setenv("BENCHBENCH_DATA", str(shared_data))
    published = {record.parent.name for record in (RESULTS / name).glob("*/*/run.json")}
    assert set(planned(name)["key"]) == published


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dataset"),
    [("translation", "openmoji-lines"), ("tones", "openmoji-tones"), ("styles", "photographs")],
)
def test_translation(name: str, dataset: str) -> None:
    """Expected: as above; the pictures come with packages."""
    published = {record.parent.name for record in (RESULTS / dataset).glob("*/*/run.json")}
    assert set(planned(name)["key"]) == published


@pytest.mark.slow
def test_generation() -> None:
    """Expected: as above, of the datasets that need no download."""
    datasets = ["digits", "grid25", "stacked-digits"]
    published = {record.parent.name for name in datasets for record in (RESULTS / name).glob("*/*/run.json")}
    assert {*planned("generation")["key"], *planned("digits")["key"]} == published
