"""The one training loop: several optimisers, alternating turns, resumable anywhere.

Pattern: everything that changes during training lives in `_Run`, and a checkpoint is that state written down,
also in the middle of an epoch. What could be computed again is not stored: the order of the images is a
function of (seed, epoch), the learning rate of the step. So a resumed run equals an uninterrupted one bit for
bit on one machine's CPU or CUDA device; the tests check it on the CPU.

The loop seeds torch's global generators and asks for deterministic kernels while it runs; the caller's
generators and settings are put back. Images stay on the device as uint8 and become float a batch at a time.

Scope: one device. On CUDA each turn waits for its loss, to name the step at which it stops being a number.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor, nn

from benchbench.core.errors import CellFailed, InputError
from benchbench.core.images import check_images, is_grey, to_signed
from benchbench.core.progress import SILENT, Progress
from benchbench.core.protocols import Batch, Observant, Trainable
from benchbench.core.seeds import permutation
from benchbench.training.checkpoint import load_checkpoint, save_checkpoint
from benchbench.training.config import TrainingConfig
from benchbench.training.ema import EMA
from benchbench.training.isolation import isolated, private_random_state, seed_generators
from benchbench.training.optim import lr_factor, make_optimizer

N_STATISTICS = 256  # held-out images that `epoch_statistics` and the held-out loss look at
_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class TrainingResult:
    """What training left behind beside the weights.

    curves: a row an epoch: `epoch`, `step` (steps done); `loss`, `lr` and `grad_norm` (before clipping), each
    with `_<player>` appended where there are several players, and the model's own logs, all averaged over the
    epoch's turns; then the model's `epoch_statistics` and, with early stopping, `held_out_loss`.
    images_per_second: median over epochs, of the optimiser steps alone, without the first epoch where there
    are more. seconds: of the optimiser steps, over all sittings. peak_memory_mib: allocated on the device for
    CUDA, else the largest resident set of this process at the end of an epoch.
    """

    curves: list[dict[str, float]]
    images_per_second: float
    n_steps: int
    seconds: float
    stopped_early: bool
    peak_memory_mib: float


@dataclass
class _Run:
    """Plain values that change while training; all of them go into a checkpoint."""

    step: int = 0
    curves: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)  # over the current epoch, by column
    counts: dict[str, int] = field(default_factory=dict)
    epoch_seconds: float = 0.0
    epoch_images: int = 0
    speeds: list[float] = field(default_factory=list)  # images a second, by epoch
    seconds: float = 0.0
    memory_mib: float = 0.0
    best_loss: float = float("inf")
    bad_epochs: int = 0
    stopped: bool = False

    def log(self, column: str, value: float) -> None:
        self.sums[column] = self.sums.get(column, 0.0) + value
        self.counts[column] = self.counts.get(column, 0) + 1


def train(
    model: nn.Module,
    images: Tensor,
    labels: Tensor | None,
    held_out: Tensor,
    config: TrainingConfig,
    *,
    seed: int,
    device: torch.device,
    workdir: Path | None,
    identity: Mapping[str, Any],
    progress: Progress = SILENT,
) -> TrainingResult:
    """Train `model` in place, leaving it in eval mode on `device` with the weights to hand out.

    images, held_out: uint8 RGB N×3×H×W. labels: int64 (N,) or None. workdir: where `checkpoint.pt` lives;
    None for no checkpoints. identity: JSON-able facts that must not change between sittings (model,
    hyper-parameters, data fingerprint); the training config and the seed are added here.

    Raises `InputError` for an impossible request or a checkpoint of something else, `CellFailed` when a
    loss is not finite.
    """
    _check_request(model, images, held_out, config, device)
    with isolated(device):
        seed_generators(seed, device)
        loop = _Loop(model, images, labels, held_out, config, seed, device)
        identity = {**identity, "seed": seed, "n_images": len(images), "training": config.hyper()}
        return loop.run(workdir, identity, progress)


def epoch_order(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order of the `n` images in an epoch, a function of (seed, epoch, n)."""
    # Counter values from 2^63 up are never an image's index; 2^63 itself is `core.seeds.permutation`'s.
    key = np.array([seed, 2**63 + 1 + epoch], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(n)


class _Loop:
    """The objects that train: networks, optimisers, average, scaler, data on the device."""

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor | None,
        held_out: Tensor,
        config: TrainingConfig,
        seed: int,
        device: torch.device,
    ) -> None:
        assert isinstance(model, Trainable)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self.model = model.to(device)
        self.trainable: Trainable = model
        self.config, self.seed, self.device = config, seed, device
        self.channels = 1 if is_grey(images) and is_grey(held_out) else 3
        self.images = images.to(device)
        self.labels = None if labels is None else labels.to(device)
        # Sources may be sorted by class: a shuffled choice, the same for every seed.
        self.held_out = held_out[torch.from_numpy(permutation(0, len(held_out))[:N_STATISTICS])].to(device)
        self.total = config.total_steps(len(images))
        self.per_epoch = config.steps_per_epoch(len(images))
        self.players = dict(model.players())
        self.parameters = {
            name: [p for p in player.parameters() if p.requires_grad] for name, player in self.players.items()
        }
        self.optimizers = {
            name: make_optimizer(self.parameters[name], config, config.player_lr.get(name, config.lr))
            for name in self.players
        }
        self.ema = EMA(model, config.ema_decay) if config.ema_decay else None
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self.best: dict[str, Tensor] | None = None
        self.order, self.ordered_epoch = torch.empty(0, dtype=torch.int64), -1
        self.state = _Run()

    def run(self, workdir: Path | None, identity: Mapping[str, Any], progress: Progress) -> TrainingResult:
        if workdir is not None and (saved := load_checkpoint(workdir, identity)) is not None:
            self.restore(saved)
            progress.note(f"training goes on from step {self.state.step} of {self.total} ({workdir})")
        if len(self.images) < self.config.batch_size:
            progress.note(
                f"the {len(self.images)} training images are fewer than batch_size={self.config.batch_size}: "
                "every step sees all of them"
            )
        state = self.state
        trainable_flags = [(p, p.requires_grad) for p in self.model.parameters()]
        try:
            with progress.stage("training", self.total, "step", done=state.step) as stage:
                while state.step < self.total and not state.stopped:
                    loss = self.one_step()
                    if state.step % self.per_epoch == 0 or state.step == self.total:
                        self.end_epoch()
                    done = state.step == self.total or state.stopped
                    if workdir is not None and (done or state.step % self.config.checkpoint_every == 0):
                        save_checkpoint(workdir, identity, self.dump())
                    stage.advance(1, loss=loss)
        finally:
            for parameter, flag in trainable_flags:
                parameter.requires_grad_(flag)
        self.model.load_state_dict(self.handed_out())
        self.model.eval()
        return TrainingResult(
            curves=state.curves,
            images_per_second=median(state.speeds[1:] or state.speeds),
            n_steps=state.step,
            seconds=state.seconds,
            stopped_early=state.stopped,
            peak_memory_mib=state.memory_mib,
        )

    def one_step(self) -> float:
        """Every turn of the next step; returns the last turn's loss."""
        state, started = self.state, time.perf_counter()
        self.model.train()
        batch = self.batch(state.step)
        factor = lr_factor(state.step, self.total, self.config)
        loss = 0.0
        for player in self.trainable.turns(state.step):
            loss = self.turn(player, batch, factor)
        if self.ema:
            self.ema.update(self.model)
        state.step += 1
        elapsed = time.perf_counter() - started
        state.epoch_seconds += elapsed
        state.seconds += elapsed
        state.epoch_images += len(batch.x)
        return loss

    def batch(self, step: int) -> Batch:
        epoch, position = divmod(step, self.per_epoch)
        size = self.config.batch_size
        if self.ordered_epoch != epoch:
            self.order = torch.from_numpy(epoch_order(self.seed, epoch, len(self.images))).to(self.device)
            self.ordered_epoch = epoch
        rows = self.order[position * size : (position + 1) * size]
        labels = None if self.labels is None else self.labels[rows]
        return Batch(to_signed(self.images[rows], self.channels), labels, step, self.total)

    def turn(self, player: str, batch: Batch, factor: float) -> float:
        """One optimiser step of one player; nobody else's parameters even get a gradient."""
        config, parameters, optimizer = self.config, self.parameters[player], self.optimizers[player]
        self.model.requires_grad_(False)
        for parameter in parameters:
            parameter.requires_grad_(True)
        lr = config.player_lr.get(player, config.lr) * factor
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            loss, logs = self.trainable.loss(player, batch)
        value = float(loss.detach())
        if not isfinite(value):
            raise CellFailed(
                f"the loss of {player} became {value} at step {batch.step}; "
                f"lower lr (now {lr:g}) or set clip_norm"
            )
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(optimizer)
        limit = float("inf") if config.clip_norm is None else config.clip_norm
        norm = float(nn.utils.clip_grad_norm_(parameters, limit))
        # In fp16 the scaler itself skips a step whose gradients overflow, and lowers its scale.
        if not isfinite(norm) and not self.scaler.is_enabled():
            raise CellFailed(
                f"the gradient of {player} became {norm} at step {batch.step}; lower lr (now {lr:g})"
            )
        self.scaler.step(optimizer)
        self.scaler.update()
        own = {"loss": value, "lr": lr} | ({"grad_norm": norm} if isfinite(norm) else {})
        for name, number in own.items():
            self.state.log(name if len(self.players) == 1 else f"{name}_{player}", number)
        for name, tensor in logs.items():
            self.state.log(name, float(tensor))
        return value

    def autocast(self) -> torch.autocast:
        precision = self.config.precision
        return torch.autocast(self.device.type, _PRECISIONS[precision], enabled=precision != "fp32")

    def end_epoch(self) -> None:
        """One row of curves from the epoch's averages and the model's own statistics; perhaps stop."""
        state = self.state
        row: dict[str, float] = {"epoch": (state.step - 1) // self.per_epoch, "step": state.step}
        row |= {column: total / state.counts[column] for column, total in state.sums.items()}
        with self.evaluation():
            if isinstance(self.model, Observant):
                row |= self.model.epoch_statistics(self.held_out)
            if self.config.patience:
                row["held_out_loss"] = self.held_out_loss()
        state.curves.append(row)
        state.speeds.append(state.epoch_images / state.epoch_seconds)
        state.memory_mib = max(state.memory_mib, _memory_mib(self.device))
        state.sums, state.counts, state.epoch_images, state.epoch_seconds = {}, {}, 0, 0.0
        if self.config.patience:
            if row["held_out_loss"] < state.best_loss:
                state.best_loss, state.bad_epochs = row["held_out_loss"], 0
                self.best = {key: value.clone() for key, value in self.current().items()}
            else:
                state.bad_epochs += 1
                state.stopped = state.bad_epochs >= self.config.patience

    def held_out_loss(self) -> float:
        """The only player's loss on the held-out images, with the same noise every epoch."""
        seed_generators(0, self.device)
        x = to_signed(self.held_out, self.channels)
        batch = Batch(x, None, self.total, self.total)  # as at the end: no warm-up moves the goal posts
        return float(self.trainable.loss(next(iter(self.players)), batch)[0])

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Eval mode, the weights that would be handed out now, no gradients; no generator moves."""
        training = {key: value.clone() for key, value in self.model.state_dict().items()}
        self.model.eval()
        with private_random_state(self.device), torch.inference_mode():
            self.model.load_state_dict(self.current())
            yield
        self.model.load_state_dict(training)

    def current(self) -> dict[str, Tensor]:
        """The averaged weights where there is an average, else the weights."""
        return self.ema.state if self.ema else self.model.state_dict()

    def handed_out(self) -> dict[str, Tensor]:
        """The weights training ends with: of the best epoch under early stopping, else the current ones."""
        return self.best if self.best is not None else self.current()

    def dump(self) -> dict[str, Any]:
        cuda = self.device.type == "cuda"
        return {
            "model": self.model.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "ema": (self.ema.state, self.ema.updates) if self.ema else None,
            "scaler": self.scaler.state_dict(),
            "best": self.best,
            "rng_cpu": torch.get_rng_state(),
            "rng_cuda": torch.cuda.get_rng_state(self.device) if cuda else None,
            "run": dict(vars(self.state)),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        self.model.load_state_dict(saved["model"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(saved["optimizers"][name])
        if self.ema:
            state, self.ema.updates = saved["ema"]
            self.ema.state = {key: value.to(self.device) for key, value in state.items()}
        self.scaler.load_state_dict(saved["scaler"])
        self.best = saved["best"]
        torch.set_rng_state(saved["rng_cpu"])
        if self.device.type == "cuda" and saved["rng_cuda"] is not None:
            torch.cuda.set_rng_state(saved["rng_cuda"], self.device)
        self.state = _Run(**saved["run"])


def _check_request(
    model: nn.Module, images: Tensor, held_out: Tensor, config: TrainingConfig, device: torch.device
) -> None:
    name = type(model).__name__
    if not isinstance(model, Trainable):
        raise InputError(f"{name} has nothing to train: it defines no players, turns and loss")
    check_images(images, "training images")
    check_images(held_out, "held-out images")
    if not len(images) or not len(held_out):
        raise InputError("training needs at least one training image and one held-out image")
    if config.precision != "fp32" and device.type != "cuda":
        raise InputError(
            f"precision {config.precision} needs a CUDA device but training runs on {device.type}; use fp32"
        )
    players = model.players()
    for player in config.player_lr:
        if player not in players:
            raise InputError(
                f"player_lr names {player!r} but the players of {name} are: {', '.join(players)}"
            )
    if config.patience and len(players) > 1:
        raise InputError(
            f"{name} has several players ({', '.join(players)}), whose losses do not say which epoch is "
            "best; leave patience at 0"
        )


def _memory_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return float(psutil.Process().memory_info().rss) / 2**20
