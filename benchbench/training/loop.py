"""The one training loop: several optimisers, alternating turns, resumable anywhere.

Pattern: everything that changes during training lives in `RunState`, the networks, the optimisers and torch's
generators, and a checkpoint is that written down, also in the middle of an epoch. What could be computed again
is not stored: a batch is a function of (seed, its number), the learning rate of the step. So a resumed run
equals an uninterrupted one bit for bit on one machine's CPU or CUDA device; the tests check it on the CPU.

The loop seeds torch's global generators and asks for deterministic kernels while it runs; the caller's
generators and settings are put back. Images stay on the device as uint8 and become float a batch at a time.
Whatever looks at the model in between (epoch statistics, the monitor, standing statistics) does so on the
weights that would be handed out, with generators of its own: looking moves nothing and costs no counted time.

Scope: one device. On CUDA each turn waits once, for its numbers, to name the step at which one stops being finite.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import ceil, isfinite
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from benchbench.core.busy import Busy
from benchbench.core.device import synchronize
from benchbench.core.errors import CellFailed, InputError
from benchbench.core.images import is_grey
from benchbench.core.progress import SILENT, Progress
from benchbench.core.protocols import Batch, Observant, Trainable
from benchbench.core.seeds import permutation
from benchbench.training.alarm import collapse_at
from benchbench.training.batches import Batches, Other, OtherBatches
from benchbench.training.checkpoint import load_checkpoint, save_checkpoint
from benchbench.training.config import TrainingConfig
from benchbench.training.diffaugment import diffaugment
from benchbench.training.ema import EMA
from benchbench.training.isolation import isolated, private_random_state, seed_generators
from benchbench.training.monitor import COVERAGE, DISTANCE, MODES, Monitor
from benchbench.training.optim import lr_factor, make_optimizer
from benchbench.training.request import check_request
from benchbench.training.standing import measure_batch_norms
from benchbench.training.state import RunState, TrainingResult
from benchbench.training.validation import Validation, set_aside

N_STATISTICS = 256  # held-out images that `epoch_statistics` looks at
_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_SHOWN = {"distance": DISTANCE, "coverage": COVERAGE, "modes": MODES}  # beside the loss, while training


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
    monitor: Monitor | None = None,
    other: Other | None = None,
) -> TrainingResult:
    """Train `model` in place, leaving it in eval mode on `device` with the weights to hand out.

    images, held_out: uint8 RGB N×3×H×W. labels: int64 (N,) or None. workdir: where `checkpoint.pt` lives;
    None for no checkpoints. identity: JSON-able facts that must not change between sittings (model,
    hyper-parameters, data fingerprint); the training config and the seed are added here. monitor: looks at the
    model every `config.monitor_every` steps and at the end; never where that is 0. other: the other domain of a
    translator, whose `images` are then of domain A.

    Where `config.selects` among the weights, it does so by a validation part of the training images and trains on the
    rest (`training.validation`). Nothing is chosen by held-out images: `epoch_statistics` of them are logged.

    Raises `InputError` for an impossible request or a checkpoint of something else, `CellFailed` when a
    loss is not finite.
    """
    check_request(model, images, labels, held_out, config, device, monitor, other)
    with isolated(device):
        seed_generators(seed, device)
        loop = _Loop(model, images, labels, held_out, config, seed, device, monitor, other)
        identity = {**identity, "seed": seed, "n_images": len(images), "training": config.hyper()}
        if other is not None:
            identity["n_other"] = len(other.images)
        return loop.run(workdir, identity, progress)


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
        monitor: Monitor | None,
        other: Other | None,
    ) -> None:
        assert isinstance(model, Trainable)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self.model = model.to(device)
        self.trainable: Trainable = model
        self.config, self.device = config, device
        self.monitor = monitor if config.monitor_every else None
        everything = [images, held_out, *([other.images, other.held_out] if other else [])]
        self.channels = 1 if all(map(is_grey, everything)) else 3
        self.validation: Validation | None = None
        if config.selects:
            images, labels, other, self.validation = set_aside(images, labels, other)
        self.batches = Batches(images, labels, config, channels=self.channels, seed=seed, device=device)
        self.others = OtherBatches(other, self.batches, config) if other else None
        self.held_out = _some(held_out).to(device)
        self.players = dict(model.players())
        self.total = config.total_steps(self.batches.epoch_length, lambda step: batches_in(self.turns(step)))
        self.parameters = {
            name: [p for p in player.parameters() if p.requires_grad] for name, player in self.players.items()
        }
        self.optimizers = {
            name: make_optimizer(self.parameters[name], config, config.player_lr.get(name, config.lr))
            for name in self.players
        }
        self.ema = EMA(model, config.ema_decay) if config.ema_decay else None
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self.policy, self.augmented = diffaugment(config.diffaugment), False
        self.early: dict[str, Tensor] | None = None  # of the epoch with the lowest validation loss
        self.best: dict[str, Tensor] | None = None  # of the look with the lowest distance
        self.shown: dict[str, float] = {}
        self.busy = Busy()
        self.state = RunState()

    def run(self, workdir: Path | None, identity: Mapping[str, Any], progress: Progress) -> TrainingResult:
        if workdir is not None and (saved := load_checkpoint(workdir, identity)) is not None:
            self.restore(saved)
            progress.note(f"training goes on from step {self.state.step} of {self.total} ({workdir})")
        for n in {self.batches.epoch_length, *([len(self.others)] if self.others else [])}:
            if n < self.config.batch_size:
                progress.note(
                    f"the {n} training images are fewer than batch_size={self.config.batch_size}: "
                    "every step sees all of them"
                )
        state = self.state
        trainable_flags = [(p, p.requires_grad) for p in self.model.parameters()]
        try:
            with progress.stage("training", self.total, "step", done=state.step) as stage:
                while state.step < self.total and not state.stopped:
                    epoch = state.drawn // self.batches.per_epoch
                    loss = self.one_step()
                    self.look(state.drawn // self.batches.per_epoch > epoch, progress)
                    done = state.step == self.total or state.stopped
                    if workdir is not None and (done or state.step % self.config.checkpoint_every == 0):
                        save_checkpoint(workdir, identity, self.dump())
                    stage.advance(1, loss=loss, **self.shown)
        finally:
            for parameter, flag in trainable_flags:
                parameter.requires_grad_(flag)
        self.hand_out()
        return TrainingResult(
            curves=state.curves,
            images_per_second=median(state.speeds[1:] or state.speeds),
            n_steps=state.step,
            seconds=state.seconds,
            stopped_early=state.stopped,
            peak_memory_mib=state.memory_mib,
            collapse=state.collapse,
            best_step=state.best_step,
            best_weights=self.best if self.config.checkpoint == "last" else None,
            selected_on=None if self.validation is None else self.validation.words,
            machine_busy=state.others_busy / state.watched if state.watched else None,
        )

    def turns(self, step: int) -> Sequence[str]:
        """Who moves in this step, checked: a model that names nobody would never end."""
        turns = self.trainable.turns(step)
        if not turns or not self.players.keys() >= set(turns):
            raise InputError(
                f"the turns of {type(self.model).__name__} in step {step} are {list(turns)} but must name at "
                f"least one of its players: {', '.join(self.players)}"
            )
        return turns

    def one_step(self) -> float:
        """Every turn of the next step; returns the last turn's loss."""
        state, started = self.state, time.perf_counter()
        self.model.train()
        factor = lr_factor(state.step, self.total, self.config)
        taken: Counter[str] = Counter()
        drawn: list[Batch] = []
        loss = 0.0
        for player in self.turns(state.step):
            if taken[player] == len(drawn):
                drawn.append(self.batch(state.drawn + len(drawn)))
            loss = self.turn(player, drawn[taken[player]], factor)
            taken[player] += 1
        if self.config.diffaugment and not self.augmented:
            raise InputError(
                f"{type(self.model).__name__} augments nothing, it has no discriminator; leave diffaugment empty"
            )
        if self.ema:
            self.ema.update(self.model)
        state.step += 1
        state.drawn += len(drawn)
        elapsed = time.perf_counter() - started
        state.epoch_seconds += elapsed
        state.seconds += elapsed
        state.epoch_images += sum(len(batch.x) for batch in drawn)
        return loss

    def batch(self, number: int) -> Batch:
        x, labels = self.batches[number]
        y = None if self.others is None else self.others[number]
        return Batch(x, labels, self.state.step, self.total, self.augment, y)

    def augment(self, x: Tensor) -> Tensor:
        self.augmented = True
        return self.policy(x)

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
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(optimizer)
        limit = float("inf") if config.clip_norm is None else config.clip_norm
        value, norm, *logged = _read([loss, nn.utils.clip_grad_norm_(parameters, limit), *logs.values()])
        if not isfinite(value):
            raise CellFailed(
                f"the loss of {player} became {value} at step {batch.step}; "
                f"lower lr (now {lr:g}) or set clip_norm"
            )
        # In fp16 the scaler itself skips a step whose gradients overflow, and lowers its scale.
        if not isfinite(norm) and not self.scaler.is_enabled():
            raise CellFailed(
                f"the gradient of {player} became {norm} at step {batch.step}; lower lr (now {lr:g})"
            )
        self.scaler.step(optimizer)
        # PyTorch's manual asks for one `update` an iteration, after every optimiser used in it has stepped, so
        # that gradients summed over an iteration share one scale. A turn is such an iteration: its gradients
        # are its own. And a scaler lets an optimiser step only once between updates, a critic moves five times.
        self.scaler.update()
        own = {"loss": value, "lr": lr} | ({"grad_norm": norm} if isfinite(norm) else {})
        for name, number in own.items():
            self.state.log(name if len(self.players) == 1 else f"{name}_{player}", number)
        for name, number in zip(logs, logged, strict=True):
            self.state.log(name, number)
        return value

    def autocast(self) -> torch.autocast:
        precision = self.config.precision
        return torch.autocast(self.device.type, _PRECISIONS[precision], enabled=precision != "fp32")

    def look(self, epoch_ended: bool, progress: Progress) -> None:
        """A row of curves where an epoch or the training ended or the monitor's turn has come; perhaps stop."""
        state, config, every = self.state, self.config, self.config.monitor_every
        last = state.step == self.total
        epoch_ended |= last
        if not epoch_ended and (self.monitor is None or state.step % every):
            return
        row: dict[str, float] = {"epoch": (state.drawn - 1) // self.batches.per_epoch, "step": state.step}
        row |= state.averages()
        panel: dict[str, float] | None = None
        with self.evaluation():
            if epoch_ended and isinstance(self.model, Observant):
                row |= self.model.epoch_statistics(self.held_out)
            if epoch_ended and config.patience:
                row["validation_loss"] = self.validation_loss()
                self.watch_validation(row["validation_loss"])
            if self.monitor is not None and (last or state.stopped or state.step % every == 0):
                panel = self.monitor.panel(self.model, state.step)
                self.watch_distance(panel)
        state.curves.append(row | (panel or {}))
        if panel is not None:
            self.shown = _in_short(panel)
            planned = 0 if state.stopped else ceil(self.total / every)  # no look comes after a stop
            if state.collapse is None and (found := collapse_at(state.curves, planned)):
                state.collapse = dict(vars(found))
                state.stopped |= config.on_collapse == "stop"
                progress.note(f"mode collapse at step {found.step}: {found.words}")
        if epoch_ended or state.stopped:
            state.speeds.append(state.epoch_images / state.epoch_seconds)
            state.epoch_images, state.epoch_seconds = 0, 0.0
            others, seconds = self.busy.others()
            state.others_busy += others
            state.watched += seconds
            state.memory_mib = max(state.memory_mib, _memory_mib(self.device))

    def watch_validation(self, loss: float) -> None:
        """Early stopping: keep the weights of the best epoch, stop when there was none for long."""
        state = self.state
        if loss < state.best_loss:
            state.best_loss, state.bad_epochs = loss, 0
            self.early = self.copy()
        else:
            state.bad_epochs += 1
            state.stopped = state.bad_epochs >= self.config.patience

    def watch_distance(self, panel: Mapping[str, float]) -> None:
        """Keep the weights of the look with the lowest distance."""
        if self.config.checkpoint == "best" and DISTANCE not in panel:
            raise InputError(
                "checkpoint=best goes by the distance but the monitor reports none; use checkpoint=last"
            )
        if (distance := panel.get(DISTANCE, float("inf"))) < self.state.best_distance:
            self.state.best_distance, self.state.best_step = distance, self.state.step
            self.best = self.copy()

    def validation_loss(self) -> float:
        """The only player's loss on the validation part, a mean over images, with the same noise every epoch."""
        assert self.validation is not None
        seed_generators(0, self.device)
        player, total = next(iter(self.players)), 0.0
        for x, labels, y in self.validation.pieces(self.channels, self.device):
            # As at the end of the training: no warm-up moves the goal posts.
            batch = Batch(x, labels, self.total, self.total, y=y)
            total += len(x) * float(self.trainable.loss(player, batch)[0])
        return total / len(self.validation)

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Eval mode, the weights that would be handed out now, no gradients; no generator moves."""
        training = {key: value.clone() for key, value in self.model.state_dict().items()}
        with private_random_state(self.device), torch.inference_mode():
            self.put_current()
            yield
        self.model.load_state_dict(training)
        synchronize(self.device)  # else what is still under way would count as training time

    def put_current(self) -> None:
        """Put the averaged weights, where there is an average, into the model, and it into eval mode."""
        if self.ema:
            self.model.load_state_dict(self.ema.state)
        self.model.eval()
        if n := self.config.standing_statistics:
            labels = self.batches.labels
            measure_batch_norms(self.model, n, self.config.batch_size, self.device, labels)

    def copy(self) -> dict[str, Tensor]:
        """The weights that are in the model now, on the CPU."""
        with torch.inference_mode(False):  # what is made in inference mode stays bound to it
            return {key: value.to("cpu", copy=True) for key, value in self.model.state_dict().items()}

    def hand_out(self) -> None:
        """Put the weights that training ends with into the model: the best, where best was asked for."""
        kept = self.best if self.config.checkpoint == "best" else self.early
        if self.config.checkpoint == "best" and kept is None:
            raise CellFailed("no look of the monitor found a distance that is a number; use checkpoint=last")
        if kept is None:
            with torch.inference_mode():
                self.put_current()
        else:
            self.model.load_state_dict(kept)
            self.model.eval()

    def dump(self) -> dict[str, Any]:
        cuda = self.device.type == "cuda"
        return {
            "model": self.model.state_dict(),
            "transient": transient_buffers(self.model),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "ema": (self.ema.state, self.ema.updates) if self.ema else None,
            "scaler": self.scaler.state_dict(),
            "early": self.early,
            "best": self.best,
            "rng_cpu": torch.get_rng_state(),
            "rng_cuda": torch.cuda.get_rng_state(self.device) if cuda else None,
            "run": dict(vars(self.state)),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        self.model.load_state_dict(saved["model"])
        for name, buffer in transient_buffers(self.model).items():
            buffer.copy_(saved["transient"][name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(saved["optimizers"][name])
        if self.ema:
            state, self.ema.updates = saved["ema"]
            self.ema.state = {key: value.to(self.device) for key, value in state.items()}
        self.scaler.load_state_dict(saved["scaler"])
        self.early, self.best = saved["early"], saved["best"]
        torch.set_rng_state(saved["rng_cpu"])
        if self.device.type == "cuda" and saved["rng_cuda"] is not None:
            torch.cuda.set_rng_state(saved["rng_cuda"], self.device)
        self.state = RunState(**saved["run"])
        self.shown = _in_short(self.state.curves[-1]) if self.state.curves else {}


def transient_buffers(model: nn.Module) -> dict[str, Tensor]:
    """What changes while training and is no part of the weights, for example a pool of generated images: the buffers
    that the state dict leaves out."""
    kept = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers() if name not in kept}


def _some(images: Tensor) -> Tensor:
    """At most `N_STATISTICS` images. Sources may be sorted by class: a shuffled choice, the same for every seed."""
    return images[torch.from_numpy(permutation(0, len(images))[:N_STATISTICS])]


def batches_in(turns: Sequence[str]) -> int:
    """The batches a step draws: as many as the player that moves most has turns."""
    return max(Counter(turns).values())


def _read(numbers: Sequence[Tensor]) -> list[float]:
    """Scalars as floats. From CUDA in one copy: each one read alone would make the host wait for the device again."""
    if numbers[0].device.type != "cuda":
        return [float(number.detach()) for number in numbers]
    values: list[float] = torch.stack([number.detach().double() for number in numbers]).tolist()
    return values


def _in_short(panel: Mapping[str, float]) -> dict[str, float]:
    return {name: panel[column] for name, column in _SHOWN.items() if column in panel}


def _memory_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return float(psutil.Process().memory_info().rss) / 2**20
