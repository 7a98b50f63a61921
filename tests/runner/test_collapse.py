"""The alarm on real trainings: a recipe that collapses raises it, a healthy one does not, over five seeds each.

Both recipes look at the samples every 25 steps with the harness's own classifier of digits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from benchbench.data.catalogue import load_dataset
from benchbench.features.networks.cnn import CNN
from benchbench.models.build import build_model
from benchbench.runner.monitor import Panel
from benchbench.training.data import TrainingData
from benchbench.training.recipe import load_recipe
from benchbench.training.state import TrainingResult
from benchbench.training.trainer import train
from benchbench.training.watch.monitor import MODES

COLLAPSING = Path(__file__).parents[1] / "fixtures" / "collapsing-gan.toml"
SEEDS = range(5)
FIRST_CHANCE = 200  # the alarm's rules on a level speak from the eighth look on, which is at 8 · 25 steps
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def watch() -> Any:
    data = load_dataset("digits")
    panel = Panel(CNN.of("digits")(), data.train.images, data.train.labels, device=CPU)

    def run(model: str, seed: int, recipe: Path | None, overrides: list[str]) -> TrainingResult:
        resolved = load_recipe(model, "digits", path=recipe, overrides=overrides)
        torch.manual_seed(seed)
        network = build_model(model, resolved.hyper, data.spec)
        return train(
            network,
            TrainingData(data.train.images, data.train.labels, data.held_out.images),
            resolved.training,
            seed=seed,
            device=CPU,
            monitor=panel,
        )

    return run


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_collapsing_recipe_raises_the_alarm(watch: Any, seed: int) -> None:
    """Within 250 steps, two looks after the rules may first speak, and training ends there as asked. What it made
    by then: at most 5 of 10 classes."""
    result = watch("gan", seed, COLLAPSING, [])
    assert result.collapse is not None
    assert FIRST_CHANCE <= result.collapse["step"] <= FIRST_CHANCE + 50
    assert result.n_steps == result.collapse["step"]
    assert result.curves[-1][MODES] <= 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_healthy_recipe_does_not(watch: Any, seed: int) -> None:
    """The shipped DCGAN recipe, narrower and shorter: twelve looks, no alarm, all 10 classes at the end."""
    result = watch("dcgan", seed, None, ["width=12", "training.steps=300", "monitor_every=25"])
    assert result.collapse is None
    assert result.n_steps == 300
    assert result.curves[-1][MODES] == 10
