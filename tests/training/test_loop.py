"""The loop: who learns in a turn, exact repetition, what is refused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchbench.core.errors import CellFailed, InputError
from benchbench.core.protocols import Batch, ImageSpec
from benchbench.models.build import build_model
from benchbench.models.controls import Noise
from benchbench.training.checkpoint import Checkpoints
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.state import TrainingResult
from benchbench.training.trainer import train

CPU = torch.device("cpu")


def pictures(n: int, seed: int = 0, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, channels, 8, 8), generator=generator, dtype=torch.uint8)
    return images.expand(-1, 3, -1, -1).contiguous()


def go(model: nn.Module, workdir: Path | None = None, **settings: Any) -> TrainingResult:
    """Train on 22 images, 5 steps of 4 an epoch."""
    outside = ("progress", "identity", "seed", "images", "labels", "monitor")
    loop = {key: settings.pop(key) for key in outside if key in settings}
    config = TrainingConfig.model_validate({"batch_size": 4, "epochs": 2, "lr": 0.01} | settings)
    images, labels = loop.pop("images", pictures(22)), loop.pop("labels", None)
    return train(
        model,
        TrainingData(images, labels, pictures(6, 1)),
        config,
        device=CPU,
        checkpoints=Checkpoints(workdir, loop.pop("identity", {"model": "toy"})) if workdir else None,
        **{"seed": 0} | loop,
    )


def seeded(make: Any, *arguments: Any) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = make(*arguments)
    return model


def vae(name: str = "vae-mlp", **hyper: Any) -> nn.Module:
    return seeded(build_model, name, {"latent": 2, "width": 4} | hyper, ImageSpec(8, 8, False, 0))


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in module.state_dict().items()}


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("mover", ["discriminator", "generator"])
def test_only_the_mover_learns(toys: Any, mover: str) -> None:
    """Parameters of the player whose turn it never is end bit for bit as they began, and get no gradient."""
    model = seeded(toys.GAN)
    model.turns = lambda step: (mover,)
    before = {name: [p.clone() for p in player.parameters()] for name, player in model.players().items()}
    go(model)
    for name, player in model.players().items():
        moved = [not torch.equal(p, old) for p, old in zip(player.parameters(), before[name], strict=True)]
        assert all(moved) if name == mover else not any(moved)
        assert all((p.grad is not None) == (name == mover) for p in player.parameters())
    assert all(p.requires_grad for p in model.parameters())


def test_two_time_scales(toys: Any) -> None:
    """Each optimiser has its own rate: Adam's first step is lr·sign(gradient) but for its epsilon (1e-8 against
    gradients of 1e-5 and more), so with one turn each the largest change is the rate. The curves show it, and the
    loss columns carry the players' names."""
    model = seeded(toys.GAN, 1)
    before = {name: [p.clone() for p in player.parameters()] for name, player in model.players().items()}
    row = go(model, player_lr={"discriminator": 0.04}, steps=1, epochs=None).curves[0]
    for name, lr in (("discriminator", 0.04), ("generator", 0.01)):
        pairs = zip(model.players()[name].parameters(), before[name], strict=True)
        assert max(float((p - old).detach().abs().max()) for p, old in pairs) == pytest.approx(lr, rel=0.01)
        assert row[f"lr_{name}"] == pytest.approx(lr)
    assert {"loss_discriminator", "loss_generator", "grad_norm_generator", "real"} <= row.keys()


def test_curves_by_hand() -> None:
    """A model whose loss in step k is w + k with w = 1 and lr so small that w stays: epoch means of 5 steps
    are 1 + 2 and 1 + 7; the gradient is 1. Logs are averaged likewise."""
    result = go(seeded(_Ramp), lr=1e-30)
    first, second = result.curves
    assert (first["epoch"], first["step"], second["epoch"], second["step"]) == (0, 5, 1, 10)
    assert [first["loss"], second["loss"]] == pytest.approx([3.0, 8.0])
    assert first["grad_norm"] == pytest.approx(1.0)
    assert [first["number"], second["number"]] == pytest.approx([2.0, 7.0])
    assert result.n_steps == 10
    assert result.images_per_second > 0
    assert result.peak_memory_mib > 0


def test_clipping_by_hand() -> None:
    """SGD without momentum, gradient 1, lr 0.5, one step: w = 1 - 0.5·min(1, clip). The logged norm is the
    one before clipping."""
    for clip, expected in ((None, 0.5), (0.2, 0.9), (3.0, 0.5)):
        model = seeded(_Ramp)
        row = go(model, steps=1, epochs=None, optimizer="sgd", betas=(0, 0), lr=0.5, clip_norm=clip).curves[0]
        # clip_grad_norm_ divides by norm + 1e-6
        assert model.w.item() == pytest.approx(expected, abs=1e-5)
        assert row["grad_norm"] == pytest.approx(1.0)


def test_clipping_is_for_each_player(toys: Any) -> None:
    """With SGD without momentum the change of a player is lr times its own clipped gradient: at most lr·clip =
    0.01·1e-3 in norm, and that much (1e-3 of it is float32) where its own gradient was longer than the limit, as
    both are. Clipping all of them together would leave each with less."""
    model = seeded(toys.GAN, 1)
    before = {name: [p.clone() for p in player.parameters()] for name, player in model.players().items()}
    sgd = {"optimizer": "sgd", "betas": (0, 0), "clip_norm": 1e-3, "lr": 0.01}
    row = go(model, steps=1, epochs=None, **sgd).curves[0]
    for name, player in model.players().items():
        assert row[f"grad_norm_{name}"] > 2e-3
        parts = [
            (p - old).detach().double().norm()
            for p, old in zip(player.parameters(), before[name], strict=True)
        ]
        assert float(torch.stack(parts).norm()) == pytest.approx(1e-5, rel=0.01)


def test_steps_end_within_an_epoch() -> None:
    """7 steps of 5 an epoch: two rows, the last of the two steps that were left (losses 1 + 5 and 1 + 6)."""
    result = go(seeded(_Ramp), steps=7, epochs=None, lr=1e-30)
    assert [row["step"] for row in result.curves] == [5, 7]
    assert result.curves[1]["loss"] == pytest.approx(6.5)


def test_an_epoch_sees_each_image_once() -> None:
    """20 of the 22 images, none twice."""
    model = seeded(_Ramp)
    go(model, epochs=1)
    seen = torch.cat(model.seen).flatten(1)
    assert len(seen) == len(seen.unique(dim=0)) == 20


def test_fewer_images_than_a_batch(toys: Any) -> None:
    """All 3 of them in every step, and a note that says so."""
    model, watcher = seeded(_Ramp), toys.KillAt()
    go(model, images=pictures(3), progress=watcher)
    assert [len(x) for x in model.seen] == [3, 3]
    assert "the 3 training images are fewer than batch_size=4" in watcher.notes[0]


def test_grey_data_has_one_channel() -> None:
    """R = G = B everywhere in both splits: the batch is N×1×H×W; otherwise three channels."""
    model = seeded(_Ramp)
    grey = pictures(8, channels=1)
    train(
        model,
        TrainingData(grey, None, grey[:2]),
        TrainingConfig(batch_size=4, epochs=1),
        seed=0,
        device=CPU,
    )
    assert model.seen[0].shape == (4, 1, 8, 8)
    assert model.seen[0].abs().max() <= 1


def test_a_seed_repeats_and_leaks_nothing() -> None:
    """Same seed, same weights to the bit, whatever the caller's generator holds; which is as it was
    afterwards, as are torch's determinism settings."""
    first, second, other = vae(), vae(), vae()
    go(first)
    torch.manual_seed(99)
    random_state, flag = torch.get_rng_state(), torch.are_deterministic_algorithms_enabled()
    go(second)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.are_deterministic_algorithms_enabled() == flag
    go(other, seed=1)
    assert same(snapshot(first), snapshot(second))
    assert not same(snapshot(first), snapshot(other))


EVERYTHING = {"ema_decay": 0.9, "schedule": "cosine", "warmup_steps": 3, "clip_norm": 1.0}


@pytest.mark.costly
@pytest.mark.parametrize("kill", [1, 3, 5, 8, 10])
@pytest.mark.parametrize("kind", ["gan", "gan-sgd", "vae-mlp", "vae-patience"])
def test_resumed_equals_uninterrupted(toys: Any, tmp_path: Path, kind: str, kill: int) -> None:
    """Killed before the first checkpoint, on one, between two, in the second epoch, and at the end: the
    weights, the curves and the number of steps are those of a run nobody touched, bit for bit."""
    settings: dict[str, Any] = {"checkpoint_every": 3, "steps": 10, "epochs": None}
    if kind != "vae-mlp":
        settings |= EVERYTHING
    settings |= {"gan-sgd": {"optimizer": "sgd"}, "vae-patience": {"patience": 5}}.get(kind, {})

    def make() -> nn.Module:
        return seeded(toys.GAN) if kind.startswith("gan") else vae()

    whole, resumed = make(), make()
    expected = go(whole, **settings)
    with pytest.raises(toys.Killed):
        go(make(), tmp_path, progress=toys.KillAt(kill), **settings)
    watcher = toys.KillAt()
    result = go(resumed, tmp_path, progress=watcher, **settings)
    assert same(snapshot(whole), snapshot(resumed))
    assert result.curves == expected.curves
    assert result.n_steps == expected.n_steps == 10
    step = 10 if kill == 10 else kill // 3 * 3
    assert [note.split(" (")[0] for note in watcher.notes] == (
        [f"training goes on from step {step} of 10"] if step else []
    )


@pytest.mark.parametrize("checkpoint", ["last", "best"])
def test_a_watched_game_resumes_exactly(toys: Any, tmp_path: Path, checkpoint: str) -> None:
    """Everything at once: two players with spectral and batch norms, Adam for both, a weight average,
    augmentation, balanced classes, standing statistics and a monitor that looks every second step. 2 turns a
    step and 5 batches an epoch: the kill at step 4, after 8 batches, is no end of an epoch, and the first sitting
    saw the looks at 2 and 4. Weights, the best weights, all rows and the step of the best look agree bit for
    bit. With checkpoint=best 7 of 28 images are set aside, so that an epoch has as many batches."""
    n = 28 if checkpoint == "best" else 22
    settings = EVERYTHING | {
        "steps": 9, "epochs": None, "checkpoint_every": 1, "monitor_every": 2, "checkpoint": checkpoint,
        "diffaugment": "color,translation,cutout", "class_balanced": True, "standing_statistics": 3,
        "images": pictures(n), "labels": torch.arange(n) % 2,
    }  # fmt: skip

    def make() -> nn.Module:
        return seeded(toys.GAN, 2, True)

    whole, resumed = make(), make()
    expected = go(whole, monitor=toys.Watcher(), **settings)
    with pytest.raises(toys.Killed):
        go(make(), tmp_path, progress=toys.KillAt(4), monitor=toys.Watcher(), **settings)
    second = toys.Watcher()
    progress = toys.KillAt()
    result = go(resumed, tmp_path, monitor=second, progress=progress, **settings)
    assert second.steps == [6, 8, 9]
    assert [row["step"] for row in expected.curves] == [2, 3, 4, 5, 6, 8, 9]
    assert any(key.endswith("_u") for key in snapshot(whole))  # the vectors of the power iteration
    assert same(snapshot(whole), snapshot(resumed))
    assert result.curves == expected.curves
    assert result.best_step == expected.best_step
    if checkpoint == "last":
        assert same(result.best_weights or {}, expected.best_weights or {})
        assert result.best_weights
    else:
        assert result.best_weights is expected.best_weights is None
    seen = {row["step"]: row["monitor_distance"] for row in expected.curves if "monitor_distance" in row}
    assert (
        progress.numbers[0]["distance"] == seen[4]
    )  # step 5 still shows the last look, from before the kill


def test_ema_weights_are_handed_out() -> None:
    """With one SGD step of 0.5 from w = 1 and the ramp's first decay 1/10: 0.1·1 + 0.9·0.5 = 0.55."""
    model = seeded(_Ramp)
    go(model, steps=1, epochs=None, optimizer="sgd", betas=(0, 0), lr=0.5, ema_decay=0.999)
    assert model.w.item() == pytest.approx(0.55)


def test_early_stopping_hands_out_the_best_epoch() -> None:
    """The validation loss is (w - 0.8)², the training loss w. SGD of 0.02 a step, 5 an epoch (of the 21 images of 28
    that are left), takes w from 1 to 0.9, 0.8, 0.7, 0.6: epoch 1 is best, patience 2 stops after epoch 3, and
    w = 0.8 comes back."""
    model = seeded(_Overfitting)
    result = go(model, images=pictures(28), epochs=50, optimizer="sgd", betas=(0, 0), lr=0.02, patience=2)
    assert result.stopped_early
    assert [row["epoch"] for row in result.curves] == [0, 1, 2, 3]
    losses = [(w - 0.8) ** 2 for w in (0.9, 0.8, 0.7, 0.6)]
    assert [row["validation_loss"] for row in result.curves] == pytest.approx(losses, abs=1e-6)
    assert model.w.item() == pytest.approx(0.8, abs=1e-5)
    assert result.selected_on == "validation, 7 of 28 training images"
    assert not go(seeded(_Overfitting), epochs=2, patience=2).stopped_early


def test_steps_per_second() -> None:
    """Steps by their seconds, and nothing was selected; the cores of others are a number of cores."""
    result = go(seeded(_Ramp))
    assert result.steps_per_second == 10 / result.seconds
    assert result.selected_on is None
    assert result.machine_busy is not None
    ticks = (
        0.03 / result.seconds
    )  # the kernel counts in hundredths of a second, each kind of work and core alone
    assert 0 <= result.machine_busy <= (os.cpu_count() or 1) * (1 + ticks)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops(value: float) -> None:
    """Named with its step and player, and what to do."""
    model = seeded(_Ramp)
    model.break_at, model.broken = 6, value
    with pytest.raises(CellFailed, match=r"loss of ramp became (nan|inf) at step 6; lower lr .*clip_norm"):
        go(model)


def test_refused_requests(toys: Any) -> None:
    """Each before anything is computed, each in one sentence."""
    cases: list[tuple[nn.Module, dict[str, Any], str]] = [
        (
            vae(),
            {"precision": "tf32"},
            "precision tf32 needs a CUDA device but training runs on cpu; use fp32 or bf16",
        ),
        (vae(), {"precision": "fp16"}, "precision fp16 needs a CUDA device"),
        (
            vae(),
            {"player_lr": {"critic": 1e-3}},
            "player_lr names 'critic' but the players of MLPVAE are: vae",
        ),
        (vae(), {"images": pictures(0)}, "at least one training image"),
        (vae(), {"images": pictures(4).float()}, "training images must be uint8"),
        (toys.GAN(), {"patience": 1}, "has several players"),
        (Noise(Noise.Config(), ImageSpec(8, 8, False, 0)), {}, "Noise has nothing to train"),
    ]
    for model, settings, message in cases:
        with pytest.raises(InputError, match=message):
            go(model, **settings)


class _Ramp(nn.Module):
    """loss = w + step, so its gradient is 1; remembers what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(1.0))
        self.seen: list[Tensor] = []
        self.break_at, self.broken = -1, 0.0

    def players(self) -> Mapping[str, nn.Module]:
        return {"ramp": self}

    def turns(self, step: int) -> tuple[str, ...]:
        return ("ramp",)

    def loss(self, player: str, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        self.seen.append(batch.x)
        extra = self.broken if batch.step == self.break_at else float(batch.step)
        return self.w + extra, {"number": torch.tensor(float(batch.step))}


class _Overfitting(_Ramp):
    def loss(self, player: str, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        return (self.w if self.training else (self.w - 0.8).square()), {}
