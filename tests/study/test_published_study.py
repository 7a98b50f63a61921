"""A study of published systems: the shipped weights draw, simulated people answer, rows join those of the models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from studies_answered import answer, careful, careless
from study_simulated import STRENGTHS

import benchbench
from benchbench.results.load import load_results
from benchbench.runner.run import run_cells
from benchbench.study.folder import load
from benchbench.study.scoring import score

MODELS = ("vae", "gan", "dcgan", "cgan", "wgan-gp", "sngan")


@pytest.mark.slow
@pytest.mark.usefixtures("small_speeds")
def test_six_published_rows(tmp_path: Path) -> None:
    """Published weights of digits, sixty images each, and twenty raters whose preferences are known, of whom three
    press whatever: they are named and nobody else is, the strengths of the others lie within their intervals, and each
    number stands on the board beside the distance of its own model.

    Who is asked what follows from the images, so each training of the weights draws all of it anew. By 20 check items
    one who presses whatever is found with a chance of 99.4%, so two or more of three with one of 99.99%; one of 17 who
    are careful is left out with 0.5% (`test_scored_study`); of six intervals at 95% four or more hold with 99.8%."""
    for model in MODELS:
        run_cells(
            model, "digits", pretrained=True, samples=60, metrics=["fd"], out=tmp_path / "runs", device="cpu"
        )
    folder = benchbench.study.create(
        [f"model={model}" for model in MODELS],
        out=tmp_path / "study",
        n=60,
        checks=0.34,
        results=tmp_path / "runs",
    )
    study, rng = load(folder), np.random.default_rng(21)
    assert [own.name.partition(" ")[0] for own in study.manifest.systems] == list(MODELS)
    pressed = {answer(study, who, careless, rng) for who in range(3)}
    for who in range(3, 20):
        answer(study, who, careful, rng)
    found = score(study)
    left_out = {own.rater for own in found.left_out}
    assert left_out <= pressed
    assert len(left_out) >= 2
    assert found.strengths is not None
    systems = found.strengths.systems
    assert all(own.low is not None and own.high is not None for own in systems)
    held = [own.low <= true <= own.high for own, true in zip(systems, STRENGTHS, strict=True)]  # type: ignore[operator]
    assert sum(held) >= 4
    benchbench.study.score(folder, results=tmp_path / "runs")
    rows = load_results(tmp_path / "runs")
    said = rows[rows["metric"].str.startswith("human_strength")].set_index("model")["value"]
    assert {model: said[model] for model in MODELS} == {
        model: own.value for model, own in zip(MODELS, systems, strict=True)
    }
    assert set(rows.loc[rows["metric"] == "fd_cnn_digits", "model"]) == set(MODELS)
