"""`benchbench compare A B --seeds N`: one command from two settings to a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import benchbench
from benchbench.cli import cli
from benchbench.core.errors import InputError
from benchbench.results.load import load_results

SHORT = "model=vae-mlp,dataset=digits,samples=16,metrics=fd,extractors=cnn_digits"


@pytest.mark.costly
def test_two_settings_are_run_and_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence comes first and names both settings and the seeds; asked again, everything is answered from the
    records, and cells of other settings or seeds that lie beside them are not taken in."""
    monkeypatch.chdir(tmp_path)
    sides = [f"{SHORT},steps={steps}" for steps in (1, 2)]
    words = ["compare", *sides, "--seeds", "1", "--device", "cpu"]
    first = CliRunner().invoke(cli, words)
    assert first.exit_code == 0, first.output
    sentence = " ".join(first.stdout.split())
    assert "vae-mlp steps=1" in sentence
    assert "vae-mlp steps=2" in sentence
    assert " on digits by fd_cnn_digits" in sentence
    assert "1 seed each" in sentence
    assert set(load_results("runs")["seed"]) == {0}
    records = sorted(Path("runs").rglob("metrics.csv"))
    assert len(records) == 2
    benchbench.run("vae-mlp", "digits", seeds=[1], samples=16, metrics=["fd"], extractors=["cnn_digits"],
                   overrides={"steps": 1}, device="cpu")  # fmt: skip
    again = benchbench.compare(*sides, seeds=1, device="cpu")
    (pair,) = again.comparison.pairs
    line = next(line for line in pair.lines if line.labels.headline)
    assert (set(line.a.by_seed), set(line.b.by_seed)) == ({0}, {0})
    assert len(sorted(Path("runs").rglob("metrics.csv"))) == 3


@pytest.mark.parametrize(
    ("a", "sentence"),
    [
        ("model=vae-mlp", "must say a model and a dataset"),
        ("model=vae-mlp,dataset=", "must say a model and a dataset"),
        ("model=vae,dataset=digits,lr=1,lr=2", "must give each name one value"),
        ("model=vae,dataset=digits,variant=lr=2", "variant is no setting"),
        ("model=vae,dataset=digits,seed=2", "seed is no setting"),
        ("model=vae,dataset=digits,samples=1", "samples 1 is too few"),
    ],
)
def test_what_cannot_be_run_is_one_sentence(
    a: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On either side, before the other one is trained."""
    monkeypatch.chdir(tmp_path)
    for sides in ((a, SHORT), (SHORT, a)):
        with pytest.raises(InputError, match=sentence):
            benchbench.compare(*sides, seeds=1)
    assert not list(Path().rglob("*.csv"))


def test_seeds_are_for_groups(tmp_path: Path) -> None:
    """What is there already has its own."""
    with pytest.raises(InputError, match="seeds are for groups"):
        benchbench.compare(tmp_path, tmp_path, seeds=3)
