"""Standing statistics against their closed form."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchbench.core.seeds import ImageRng
from benchbench.training.config import TrainingConfig
from benchbench.training.step.standing import keeps_old_statistics, measure_batch_norms

CPU = torch.device("cpu")


class Tiny(nn.Module):
    """A batch norm on a doubled input that the pass sees, one it does not, and a dropout in between."""

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.unseen = nn.BatchNorm1d(3, momentum=0.3), nn.BatchNorm1d(3)
        self.dropout = nn.Dropout(0.9)
        self.inputs: list[Tensor] = []

    def standing_pass(self, n: int) -> None:
        self.inputs.append(torch.randn(n, 3) * 2 + 1)
        self.seen(self.dropout(self.inputs[-1]))


def test_is_the_mean_over_batches() -> None:
    """running_mean is the mean of the 5 batches' means, running_var that of their unbiased variances, in float32
    to 1e-6; the stale history (filled with 100 here) counts for nothing. Only batch norms train: the dropout
    lets everything through. The batch norm that saw nothing keeps its history, momenta are as before."""
    model = Tiny()
    for norm in (model.seen, model.unseen):
        norm.running_mean.fill_(100.0)
        norm.num_batches_tracked.fill_(9)
    unseen = copy.deepcopy(model.unseen.state_dict())
    state = torch.get_rng_state()
    measure_batch_norms(model, 5, 8, CPU)
    assert [len(x) for x in model.inputs] == [8] * 5
    mean = torch.stack([x.mean(0) for x in model.inputs]).mean(0)
    variance = torch.stack([x.var(0) for x in model.inputs]).mean(0)
    torch.testing.assert_close(model.seen.running_mean, mean, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(model.seen.running_var, variance, atol=1e-6, rtol=1e-6)
    assert all(torch.equal(value, unseen[key]) for key, value in model.unseen.state_dict().items())
    assert (model.seen.momentum, model.unseen.momentum) == (0.3, 0.1)
    assert not any(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("inference", [False, True])
def test_looks_alike(inference: bool) -> None:
    """The same latents each time, whatever the caller's generator holds, also where gradients are off for
    good."""
    first, second = Tiny(), Tiny()
    with torch.inference_mode(inference):
        measure_batch_norms(first, 2, 4, CPU)
        torch.randn(3)
        measure_batch_norms(second, 2, 4, CPU)
    assert torch.equal(first.seen.running_mean, second.seen.running_mean)


class Asked(Tiny):
    """Its batch norm sees the class it was asked for, in all three features."""

    conditional = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Tensor] = []
        self.latents: list[Tensor] = []

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        self.asked.append(labels)
        self.latents.append(rng.normal(1))
        seen: Tensor = self.seen(labels[:, None].float().expand(-1, 3))
        return seen


def test_conditional_models_are_asked_for_training_shares() -> None:
    """Classes 0, 1 and 3 occur 60, 30 and 10 times of 100: ten batches of 20 hold exactly twice as many of each, so
    the running mean is (30 + 3 · 10)/100 = 0.6, to float32, where uniform labels would give 4/3. Nobody
    calls `standing_pass`; every image has latents of its own, which no run with a seed below 2^32 has."""
    labels = torch.tensor([0] * 60 + [1] * 30 + [3] * 10)
    model = Asked()
    measure_batch_norms(model, 10, 20, CPU, labels)
    asked = torch.cat(model.asked)
    assert asked.bincount().tolist() == [120, 60, 0, 20]
    torch.testing.assert_close(model.seen.running_mean, torch.full((3,), 0.6), atol=1e-6, rtol=1e-6)
    assert not model.inputs
    latents = torch.cat(model.latents)
    assert len(latents.unique()) == 200
    assert not torch.isin(latents, ImageRng(0, range(200)).normal(1)).any()


@pytest.mark.parametrize("labels", [None, torch.zeros(9, dtype=torch.int64)])
def test_nobody_is_asked_who_cannot_be(labels: Tensor | None) -> None:
    """Without labels, and a model that is not conditional as it was configured: `standing_pass` as ever."""
    model = Asked()
    model.conditional = labels is None
    measure_batch_norms(model, 2, 4, CPU, labels)
    assert not model.asked
    assert [len(x) for x in model.inputs] == [4, 4]


@pytest.mark.parametrize(
    ("settings", "old"),
    [
        ({"ema_decay": 0.99}, True),
        ({"ema": {"kind": "power", "width": 0.1}}, True),
        ({"ema_decay": 0.99, "standing_statistics": 4}, False),
        ({}, False),
    ],
)
def test_whose_batch_statistics_are_not_those_of_its_weights(settings: dict[str, Any], old: bool) -> None:
    """An average with running statistics of the last weights; not a model without batch norms, and not one of which
    none can be measured anew."""
    config = TrainingConfig(**settings)
    assert keeps_old_statistics(Tiny(), config) == old
    assert not keeps_old_statistics(nn.Sequential(nn.BatchNorm1d(3)), config)
    without = Tiny()
    without.seen = without.unseen = nn.Identity()  # type: ignore[assignment]
    assert not keeps_old_statistics(without, config)


@pytest.mark.parametrize(
    "recipe", sorted((Path(__file__).parents[2] / "baselines").glob("*gan*/*.toml")), ids=str
)
def test_recipes_of_gans_measure_them(recipe: Path) -> None:
    """No shipped recipe hands out what `keeps_old_statistics` is about, where it can be helped."""
    section = tomllib.loads(recipe.read_text()).get("training", {})
    model = recipe.parent.name.partition("-")[0]
    if ("ema_decay" in section or "ema" in section) and model not in ("srgan", "stylegan2"):
        assert section["standing_statistics"] > 0
