"""Shipped baselines beside images that somebody else made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import benchbench
from benchbench.cli import cli
from benchbench.core.baselines import shipped_baselines
from benchbench.core.errors import InputError
from benchbench.runner.beside import baselines_of
from benchbench.runner.spec import EvaluationSpec
from benchbench.views.board import boards

N = 20


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """A folder of noise."""
    rng = np.random.default_rng(0)
    (tmp_path / "samples").mkdir()
    for i in range(N):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(
            tmp_path / "samples" / f"{i}.png"
        )
    return tmp_path / "samples"


@pytest.mark.costly
def test_they_share_a_table(samples: Path, tmp_path: Path) -> None:
    """By the definition of a board, on which only numbers of one set of conditions stand: as many images, the same
    reference, the same networks; the baseline's weights are the published ones. Once more, all is answered from the
    records."""
    asked = ["evaluate", str(samples), "--reference", "digits:train", "--metrics", "fd,recall", "--baselines"]
    asked += ["dcgan,real", "--extractor", "cnn_digits", "--out", str(tmp_path / "runs"), "--device", "cpu"]
    done = CliRunner().invoke(cli, asked)
    assert done.exit_code == 0, done.output
    assert done.output.count("beside it: ") == 2
    rows = benchbench.load_results(tmp_path / "runs")
    (quality,) = [board for board in boards(rows) if board.aspect == "quality"]
    assert {run.name for run in quality.runs} == {"folder-samples", "dcgan pretrained", "real"}
    assert set(rows.loc[rows["metric"] == "fd_cnn_digits", "n_images"]) == {N}
    (run,) = (tmp_path / "runs" / "digits" / "dcgan").glob("*/run.json")
    (own,) = (own for own in shipped_baselines() if own.name == "dcgan-digits")
    assert json.loads(run.read_text())["weights_loaded_sha256"] == own.sha256
    before = run.stat().st_mtime_ns
    frame = benchbench.evaluate(
        samples,
        "digits",
        "fd,recall",
        extractors="cnn_digits",
        baselines="dcgan",
        out=tmp_path / "runs",
        device="cpu",
    )
    assert run.stat().st_mtime_ns == before
    assert set(frame["model"]) == {"folder-samples", "dcgan"}


def test_all_are_generators_and_real_images() -> None:
    """Those of the dataset whose weights ship; not its classifier, which ships too."""
    spec = EvaluationSpec.of(images="samples", reference="digits", size=32)
    asked = baselines_of("all", spec)
    shipped = {
        own.name.removesuffix("-digits") for own in shipped_baselines() if own.name.endswith("-digits")
    }
    assert {own.model for own in asked} == {"real", *shipped} - {"cnn"}
    assert len(asked) >= 6
    assert {(own.model == "real", own.pretrained) for own in asked} == {(True, False), (False, True)}
    assert {(own.dataset, own.size) for own in asked} == {("digits", 32)}
    assert baselines_of((), spec) == []


@pytest.mark.parametrize(
    ("reference", "names", "sentence"),
    [
        ("digits:test", "dcgan", "held against their training images"),
        ("samples", "dcgan", "baselines ship for datasets"),
        ("digits", "dcgna", "unknown model 'dcgna'; did you mean 'dcgan'"),
        ("digits", "cyclegan", "no weights of cyclegan on digits are published"),
        ("digits", "dcgan,,vae", "baselines: "),
    ],
)
def test_what_has_none_is_refused_before_anything_is_scored(
    reference: str, names: str, sentence: str, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one sentence, exit code 2, no record."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["evaluate", "samples", "--reference", reference, "--baselines", names])
    assert isinstance(done.exception, InputError), done.output
    assert sentence in str(done.exception)
    assert not (tmp_path / "runs").exists()


def test_without_a_folder_there_is_no_place_for_them(samples: Path) -> None:
    """In Python, where records are optional."""
    with pytest.raises(InputError, match="baselines leave records; say in which folder"):
        benchbench.evaluate(samples, "digits", "fd", baselines="dcgan")
