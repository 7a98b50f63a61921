"""The examples in docs/extending.md are a package: write it, install its entry points, run its command."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchbench.cli import cli
from benchbench.core.registry import DATASETS, EXTRACTORS, METRICS, MODELS
from benchbench.results.load import load_results

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"


def blocks(language: str) -> list[str]:
    """The fenced blocks of the page in one language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page's package on the path, with its entry points as an installer would write them."""
    site = tmp_path / "site"
    (site / "acme").mkdir(parents=True)
    (site / "acme" / "__init__.py").touch()
    for block in blocks("python"):
        name = re.match(r"# (acme/\w+\.py)\n", block)
        assert name, "every example begins with the name of its file"
        (site / name[1]).write_text(block, encoding="utf-8")
    (points,) = blocks("toml")
    installed = re.sub(r'\[project\.entry-points\."(.+)"\]', r"[\1]", points).replace('"', "")
    (site / "acme-1.dist-info").mkdir()
    (site / "acme-1.dist-info" / "entry_points.txt").write_text(installed)
    (site / "acme-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    monkeypatch.syspath_prepend(site)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme"]:
        del sys.modules[name]


@pytest.mark.costly
@pytest.mark.usefixtures("acme")
def test_the_examples_work_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's own command trains the model on the dataset and scores it by the metric on the extractor.

    Of the numbers only this is asked, which holds whatever was learned: FD is at least the square of the metric,
    which is the first term of the sum that FD is.
    """
    monkeypatch.chdir(tmp_path)
    (command,) = blocks("sh")
    program, *arguments = shlex.split(command)
    assert program == "benchbench"
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    rows = load_results(tmp_path / "runs").set_index("metric")
    gap, distance = rows.loc["mean_gap_thumbnail"], rows.loc["fd_thumbnail"]
    assert (gap.status, distance.status) == ("ok", "ok")
    assert (gap.model, gap.dataset, gap.n_images) == ("pixel-gaussian", "stripes", 150)
    assert 0 < gap.value**2 <= distance.value
    assert rows.loc["mean_gap_grid_8", ["status", "extractor"]].tolist() == ["ok", "grid_8"]
    assert "nll" in (next((tmp_path / "runs").rglob("curves.csv"))).read_text()
    (told,) = [json.loads(line) for line in next((tmp_path / "runs" / ".lines").iterdir()).open()][-1:]
    assert told["generation/mean_gap_thumbnail"] == gap.value


@pytest.mark.costly
@pytest.mark.usefixtures("acme")
def test_the_examples_are_listed() -> None:
    """Their names come through the registries, beside ours."""
    for registry, name in (
        (MODELS, "pixel-gaussian"),
        (DATASETS, "stripes"),
        (EXTRACTORS, "thumbnail"),
        (METRICS, "mean_gap"),
    ):
        assert name in registry.names()
        listed = CliRunner().invoke(cli, ["list", f"{registry.kind}s"])
        assert name in listed.output
        assert registry.get(name).__module__.startswith("acme.")
    for name in ("grid:SIDE", "grid_8", "cnn:DATASET", "cnn_digits"):
        assert name in CliRunner().invoke(cli, ["list", "extractors"]).output
