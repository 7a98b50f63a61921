"""Phases: who moves when, on which batch, with which gain; Adam's correction; settings of single players."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import Batch, Phase, Trainable
from benchbench.training.checkpoint import Checkpoints
from benchbench.training.config import PlayerConfig, TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.recipe import load_recipe
from benchbench.training.state import TrainingResult
from benchbench.training.step.optim import corrected, make_optimizer
from benchbench.training.step.phases import Schedule, allotted, gain, step_ratio
from benchbench.training.step.steps import parts_of
from benchbench.training.trainer import train

CPU = torch.device("cpu")
D, G = Phase("d"), Phase("g")
R1, PATH = Phase("d", "r1", every=16, fresh_batch=False), Phase("g", "path", every=4, fresh_batch=False)


class Two(nn.Module):
    """Two players of one weight each; the loss of a phase is its player's weight, so every gradient is the gain.
    Remembers which phase saw which images."""

    def __init__(self, phases: Sequence[Phase] = ()) -> None:
        super().__init__()
        self.d, self.g = (nn.Linear(1, 1, bias=False) for _ in range(2))
        for player in (self.d, self.g):
            nn.init.ones_(player.weight)
        self.named = phases
        self.seen: list[tuple[int, Phase, Tensor]] = []

    def players(self) -> Mapping[str, nn.Module]:
        return {"d": self.d, "g": self.g}

    def phases(self) -> Sequence[Phase]:
        return self.named

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        self.seen.append((batch.step, phase, batch.x))
        return self.players()[phase.player].weight.sum(), {}  # type: ignore[operator]


def go(model: nn.Module, folder: Path | None = None, **settings: Any) -> TrainingResult:
    """Twelve images in batches of four, plain gradient descent unless asked otherwise."""
    images = torch.arange(12, dtype=torch.uint8).view(12, 1, 1, 1).expand(12, 3, 2, 2).contiguous()
    config = TrainingConfig.model_validate({"batch_size": 4, "optimizer": "sgd", "betas": (0, 0)} | settings)
    return train(
        model,
        TrainingData(images, None, images[:2]),
        config,
        seed=0,
        device=CPU,
        checkpoints=Checkpoints(folder, {}) if folder else None,
    )


def test_which_batch_a_phase_sees() -> None:
    """Each player's fresh phases count on their own; one that wants no fresh batch sees its player's last one, the
    first where there was none."""
    assert allotted([D, D, D, G]) == [0, 1, 2, 0]
    assert allotted([D, R1, G, PATH]) == [0, 0, 0, 0]
    assert allotted([D, D, R1, G, Phase("g", "more")]) == [0, 1, 1, 0, 1]
    assert allotted([R1, D]) == [0, 0]


def test_gains_and_the_share_of_steps_by_hand() -> None:
    """A gain is how much rarer a phase is. 16 main steps and one of R1 are 17, 5·16 critic steps and one are 81; a
    player that as a whole moves every fifth step has nothing lazy."""
    phases = [D, R1, G, PATH]
    assert [gain(phase, phases) for phase in phases] == [1, 16, 1, 4]
    assert step_ratio("d", phases) == pytest.approx(16 / 17)
    assert step_ratio("g", phases) == pytest.approx(4 / 5)
    assert step_ratio("d", [D, D, D, D, D, R1]) == pytest.approx(80 / 81)
    assert step_ratio("d", [D, D]) == step_ratio("e", [D]) == 1
    rare = Phase("g", every=5)
    assert gain(R1, [D, D, D, D, D, R1]) == 80
    assert [gain(phase, [D, Phase("d", "other"), R1]) for phase in (D, R1)] == [1, 16]
    assert gain(rare, [D, rare]) == step_ratio("g", [D, rare]) == 1


def test_the_correction_of_adam_by_hand() -> None:
    """lr·r and beta**r with r = 16/17, as in the code of Karras et al. 2020; sgd and a player without lazy phases stay
    as they are."""
    settings = TrainingConfig(lr=2e-3, betas=(0, 0.99)).of("d")
    found = corrected(settings, 16 / 17)
    assert found.lr == pytest.approx(2e-3 * 16 / 17)
    assert found.betas == pytest.approx((0, 0.99 ** (16 / 17)))
    assert corrected(settings, 1) is settings
    sgd = settings._replace(optimizer="sgd")
    assert corrected(sgd, 0.5) is sgd
    assert make_optimizer([nn.Parameter(torch.ones(1))], found).param_groups[0]["betas"] == found.betas


@given(st.integers(2, 32))
def test_adam_forgets_as_fast_as_without_the_lazy_phase(every: int) -> None:
    """In `every` steps of the game Adam is asked every + 1 times: (beta^r)^(every+1) = beta^every, in float64."""
    phases = [D, Phase("d", "lazy", every=every)]
    found = corrected(TrainingConfig(betas=(0.5, 0.99)).of("d"), step_ratio("d", phases))
    for beta, before in zip(found.betas, (0.5, 0.99), strict=True):
        assert beta ** (every + 1) == pytest.approx(before**every, rel=1e-12)


def test_lazy_phases_move_as_much_as_eager_ones() -> None:
    """Plain gradient descent by 0.01 on a loss of gradient 1: eight steps of g move by 0.08, and its phase every four
    steps, of gain 4, twice by 0.04 more. In float32: 1e-6."""
    model = Two([D, R1, G, PATH])
    go(model, steps=8, lr=0.01)
    assert model.g.weight.item() == pytest.approx(1 - 0.08 - 0.08, abs=1e-6)
    assert model.d.weight.item() == pytest.approx(1 - 0.08 - 0.16, abs=1e-6)
    moved = [(step, phase.name) for step, phase, _ in model.seen if phase.name != "main"]
    assert moved == [(0, "r1"), (0, "path"), (4, "path")]


def test_lazy_phases_see_the_images_of_the_main_one() -> None:
    """And draw none of their own: three batches an epoch, so the epochs end at steps 3 and 6."""
    model = Two([D, R1, G, PATH])
    result = go(model, epochs=2, lr=0.01)
    assert [row["step"] for row in result.curves] == [3, 6]
    for step in range(6):
        seen = [x for at, _, x in model.seen if at == step]
        assert all(torch.equal(x, seen[0]) for x in seen)


def test_fresh_batches_of_a_lazy_phase() -> None:
    """Then a step with it draws two: of twelve images in three batches, steps 0 and 1 draw three."""
    model = Two([D, Phase("d", "more", every=2), G])
    go(model, steps=2, lr=0.01)
    seen = [x for _, phase, x in model.seen if phase.player == "d"]
    assert len(torch.cat(seen).flatten(1).unique(dim=0)) == 12


def test_columns() -> None:
    """Main phases are called as ever, others by their name; the loss stands there without the gain."""
    row = go(Two([D, R1, G, PATH]), steps=1, lr=1e-9).curves[0]
    assert {"loss_d", "loss_g", "loss_d_r1", "loss_g_path", "grad_norm_d_r1", "lr_d"} <= row.keys()
    assert (row["loss_d_r1"], row["grad_norm_d_r1"]) == pytest.approx((1, 16))
    assert (row["loss_g_path"], row["grad_norm_g_path"]) == pytest.approx((1, 4))


def test_without_phases_each_player_moves_once() -> None:
    """In the order of `players`."""

    class Plain(nn.Module):
        players, loss = Two.players, Two.loss

        def __init__(self) -> None:
            super().__init__()
            self.d, self.g, self.seen = nn.Linear(1, 1), nn.Linear(1, 1), []

    model = Plain()
    assert isinstance(model, Trainable)
    assert Schedule(model).due(3) == [D, G]
    go(model, steps=1)
    assert [phase for _, phase, _ in model.seen] == [D, G]


def test_phases_that_cannot_be() -> None:
    """Each in one sentence, before anything is computed."""
    for phases, words in (
        ([], r"phases of Two are of \[\] but must name at least one of its players: d, g"),
        ([D, Phase("critic")], r"phases of Two are of \['d', 'critic'\]"),
        (
            [Phase("d", every=2), Phase("g", every=3)],
            "Two has steps without a phase; give one of them every=1",
        ),
        ([D, Phase("g", every=0)], "the phase 'main' every 0 steps; use 1 or more"),
    ):
        with pytest.raises(InputError, match=words):
            go(Two(phases), steps=1)


def test_lazy_phases_resume_exactly(tmp_path: Path) -> None:
    """Stopped after five of nine steps with Adam and its correction: equal bits."""

    class Stopping(Two):
        def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
            if batch.step == 5:
                raise InterruptedError
            return super().loss(phase, batch)

    phases = [D, R1, G, PATH]
    settings = {"steps": 9, "optimizer": "adam", "betas": (0.5, 0.9), "checkpoint_every": 1}
    whole, resumed = Two(phases), Two(phases)
    expected = go(whole, **settings)
    with pytest.raises(InterruptedError):
        go(Stopping(phases), tmp_path, **settings)
    assert go(resumed, tmp_path, **settings).curves == expected.curves
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key])


# Gradients that are added up.


class Fitted(nn.Module):
    """A game without batch statistics or noise, so that a part of a batch is what it is within the whole."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.d, self.g = (nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.Tanh()) for _ in range(2))
        self.largest = 0

    def players(self) -> Mapping[str, nn.Module]:
        return {"d": self.d, "g": self.g}

    def phases(self) -> Sequence[Phase]:
        return [D, R1, G]

    def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        self.largest = max(self.largest, len(batch.x))
        assert batch.labels is not None
        values = self.players()[phase.player](batch.x)
        error = (values.mean(1) - batch.labels / 10).square()
        return error.mean(), {f"squared_{phase.name}": values.detach().square().mean()}


@pytest.mark.parametrize(("batch", "parts"), [(8, 2), (7, 3), (5, 5)])
def test_parts_make_the_gradient_of_the_whole(batch: int, parts: int) -> None:
    """Also where the parts are not of one size, with clipping, momentum and a lazy phase: the weights of one pass, in
    float32 to 1e-6, and so are loss, gradient norm and logs. No pass sees more than its part."""
    images = torch.randint(
        0, 256, (16, 3, 2, 2), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    data = TrainingData(images, torch.arange(16), images[:2])
    models, rows = [Fitted(), Fitted()], []
    for model, accumulate in zip(models, (1, parts), strict=True):
        config = TrainingConfig(
            batch_size=batch, steps=9, optimizer="sgd", lr=0.05, clip_norm=0.3, accumulate=accumulate
        )
        rows.append(train(model, data, config, seed=0, device=CPU).curves[-1])
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
    assert rows[1] == pytest.approx(rows[0], rel=1e-4)
    assert [model.largest for model in models] == [batch, -(-batch // parts)]


def test_parts_of_a_batch() -> None:
    """Consecutive images with their labels; pairs stay together; the other domain is cut for itself; none is empty."""
    x, labels = torch.arange(5.0).view(5, 1, 1, 1), torch.arange(5)
    first, second = parts_of(Batch(x, labels, 3, 9, y=x + 10), 2)
    assert (first.x.flatten().tolist(), second.x.flatten().tolist()) == ([0, 1, 2], [3, 4])
    assert second.labels is not None
    assert second.y is not None
    assert second.labels.tolist() == [3, 4]
    assert torch.equal(second.y, second.x + 10)
    assert (second.step, second.total_steps, first.part, second.part) == (3, 9, 0, 1)
    assert [len(part.x) for part in parts_of(Batch(x, None, 0, 1, y=x[:2]), 4)] == [3, 2]
    whole = Batch(x, None, 0, 1)
    assert parts_of(whole, 1)[0] is whole
    assert len(parts_of(whole, 8)) == 5
    with pytest.raises(ValueError, match="accumulate=9 asks for more parts than batch_size=8 has images"):
        TrainingConfig(batch_size=8, accumulate=9)


# Settings of single players.


def test_a_player_has_settings_of_its_own() -> None:
    """d by plain descent of 0.5 clipped to a gradient of 0.2, g by Adam at the common rate, whose first step is lr."""
    model = Two([D, G])
    own = {"optimizer": "sgd", "betas": (0, 0), "lr": 0.5, "clip_norm": 0.2}
    go(model, steps=1, optimizer="adam", lr=0.01, player={"d": own})
    assert model.d.weight.item() == pytest.approx(1 - 0.5 * 0.2, abs=1e-5)
    assert model.g.weight.item() == pytest.approx(1 - 0.01, abs=1e-5)


def test_settings_by_player() -> None:
    """What a player does not say is as for all; 0 turns clipping off for it alone."""
    config = TrainingConfig(
        lr=1e-3,
        clip_norm=1.0,
        weight_decay=0.1,
        player_lr={"g": 2e-3},
        player={"d": PlayerConfig(clip_norm=0, weight_decay=0, lr=4e-3), "g": PlayerConfig(betas=(0, 0.9))},
    )
    assert config.of("d") == ("adam", 4e-3, (0.9, 0.999), 0, None)
    assert config.of("g") == ("adam", 2e-3, (0, 0.9), 0.1, 1.0)
    assert config.of("other") == ("adam", 1e-3, (0.9, 0.999), 0.1, 1.0)


def test_an_unused_setting_moves_no_key() -> None:
    """What came later is not written down while nobody sets it: the very mapping of before, written out here."""
    before = {
        "steps": None, "epochs": None, "batch_size": 128, "optimizer": "adam", "lr": 1e-3,
        "player_lr": {"generator": 2e-4}, "betas": [0.9, 0.999], "weight_decay": 0.0, "schedule": "constant",
        "warmup_steps": 0, "clip_norm": None, "ema_decay": 0.99, "diffaugment": "", "class_balanced": False,
        "standing_statistics": 0, "checkpoint": "last", "patience": 0, "precision": "fp32",
    }  # fmt: skip
    config = TrainingConfig(player_lr={"generator": 2e-4}, ema_decay=0.99)
    assert config.hyper() == before
    watching = {"monitor_every": 0, "on_collapse": "warn", "checkpoint_every": 500}
    assert config.model_dump(mode="json") == before | watching


def test_a_rate_has_one_identity() -> None:
    """Said in either way it makes the same weights; a setting that is new is a part of the identity."""
    old = TrainingConfig(player_lr={"generator": 2e-4}).hyper()
    assert TrainingConfig(player={"generator": PlayerConfig(lr=2e-4)}).hyper() == old
    assert TrainingConfig(player={"generator": PlayerConfig()}).hyper() == TrainingConfig().hyper()
    more = TrainingConfig(player={"generator": PlayerConfig(lr=2e-4, betas=(0, 0.9))}).hyper()
    assert more == old | {"player": {"generator": {"betas": [0.0, 0.9]}}}


def test_set_reaches_into_tables(tmp_path: Path) -> None:
    """A dot after a key goes into its table, over what the file says and beside it."""
    file = tmp_path / "recipe.toml"
    file.write_text(
        "[training.player.generator]\nlr = 1e-3\nclip_norm = 2.0\n[training.player_lr]\nd = 3e-4\n"
    )
    asked = ["player.generator.lr=1e-4", "training.player.d.betas=[0, 0.9]", "player_lr.d=2e-4"]
    found = load_recipe("dcgan", None, file, asked).training
    assert found.of("generator")[1:] == (1e-4, (0.9, 0.999), 0, 2.0)
    assert found.of("d")[1:3] == (2e-4, (0, 0.9))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("player.generator.lrr=1", "training setting player.generator.lrr=1: extra inputs are not permitted"),
        ("player.generator.lr=-1", "training setting player.generator.lr=-1: input should be greater than 0"),
        (
            "player.generator.betas=[0, 2]",
            r"training setting player.generator=.*: betas=\[0.0, 2.0\] must both",
        ),
        ("plaier.generator.lr=1", "unknown setting 'plaier.generator.lr'"),
        ("player..lr=1", "must look like key=value"),
        ("lr.fast=1", "training setting lr={'fast': 1}: input should be a valid number"),
    ],
)
def test_mistakes_in_tables(asked: str, words: str) -> None:
    """One sentence each."""
    with pytest.raises(InputError, match=words):
        load_recipe("dcgan", None, None, [asked])


def test_refused_players() -> None:
    """A name that no player has, and a rate that is said twice."""
    with pytest.raises(InputError, match="player names 'critic' but the players of Two are: d, g"):
        go(Two([D, G]), steps=1, player={"critic": {"lr": 0.1}})
    with pytest.raises(ValueError, match=r"player_lr and player\.d\.lr say the same"):
        TrainingConfig(player_lr={"d": 0.1}, player={"d": PlayerConfig(lr=0.1)})
