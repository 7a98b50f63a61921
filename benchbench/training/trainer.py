"""The one training loop: phases of several players, resumable anywhere.

Pattern: everything that changes during training lives in `RunState`, the networks, the optimisers and torch's
generators, and a checkpoint is that written down, also in the middle of an epoch. What could be computed again
is not stored: a batch is a function of (seed, its number), the learning rate of the step. So a resumed run
equals an uninterrupted one bit for bit on one machine's CPU or CUDA device; the tests check it on the CPU.

The loop seeds torch's global generators and asks for deterministic kernels while it runs; the caller's
generators and settings are put back. Which phases a step has is `training.step.phases`, what one does
`training.step.steps`, which weights come out `training.step.handout`, and whoever scans meanwhile
`training.watch.scans`.

Scope: one device a process. Several ranks train one model (`training.step.crew`).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from math import inf
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from benchbench.core.comm import ALONE, Comm
from benchbench.core.errors import CellFailed, InputError
from benchbench.core.interrupts import deferred_interrupts
from benchbench.core.progress import SILENT, Progress
from benchbench.core.protocols import Batch, Trainable
from benchbench.data.pipeline.image_source import all_grey
from benchbench.training.batches import Batches, OtherBatches
from benchbench.training.checkpoint import (
    Checkpoints,
    DamagedCheckpointError,
    resume,
    save_checkpoint,
    written_again,
)
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.isolation import isolated, private_random_state, seed_generators
from benchbench.training.request import check_request
from benchbench.training.state import RunState, TrainingResult
from benchbench.training.state_dicts import tensors_sha256
from benchbench.training.step.crew import Crew
from benchbench.training.step.diffaugment import diffaugment
from benchbench.training.step.divisible import check_divisible
from benchbench.training.step.handout import Handout
from benchbench.training.step.optim import lr_factor
from benchbench.training.step.phases import Schedule, allotted
from benchbench.training.step.steps import Stepper
from benchbench.training.validation import set_aside
from benchbench.training.watch.curves import Listener, write_curves
from benchbench.training.watch.monitor import Monitor
from benchbench.training.watch.scans import Eyes, Scans, some

CURVES_SECONDS = 5.0  # between two writings of the curves so far


def train(
    model: nn.Module,
    data: TrainingData,
    config: TrainingConfig,
    *,
    seed: int,
    device: torch.device,
    checkpoints: Checkpoints | None = None,
    progress: Progress = SILENT,
    monitor: Monitor | None = None,
    listener: Listener | None = None,
    comm: Comm = ALONE,
) -> TrainingResult:
    """Train `model` in place, leaving it in eval mode on `device` with the weights to hand out.

    checkpoints: where the training is kept, None for nowhere; the training config and the seed are added to what it
    must be a training of. monitor: scans the model every `config.monitor_every` steps and at the end; never where
    that is 0. listener: is told the rows of the curves now and then and at the end.
    comm: the ranks that train together, all of which call this. The weights are those of one process but for rounding,
    and the same on all ranks; rank 0 keeps the training and looks at it.

    Where `config.selects` among the weights, it does so by a validation part of the training images and trains on the
    rest (`training.validation`). Nothing is chosen by held-out images: `epoch_statistics` of them are logged.

    Raises `InputError` for an impossible request or a checkpoint of something else, `CellFailed` when a
    loss is not finite.
    """
    check_request(model, data, config, device, monitor)
    if checkpoints is not None:
        facts = {"seed": seed, "n_images": len(data.images), "training": config.hyper()}
        if data.second is not None:
            facts["n_other"] = len(data.second.images)
        checkpoints = checkpoints.of(facts)
    with isolated(device, tf32=config.precision == "tf32"):
        seed_generators(seed, device)
        trainer = _Trainer(model, data, config, seed, device, monitor, comm)
        return trainer.run(checkpoints, progress, listener)


class _Trainer:
    """The objects that train, and the data on the device."""

    def __init__(
        self,
        model: nn.Module,
        data: TrainingData,
        config: TrainingConfig,
        seed: int,
        device: torch.device,
        monitor: Monitor | None,
        comm: Comm,
    ) -> None:
        assert isinstance(model, Trainable)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self.model = model.to(device)
        self.config, self.device, self.comm = config, device, comm
        self.channels = 1 if all(map(all_grey, data.parts())) else 3
        images, labels, other, self.validation = data.images, data.labels, data.second, None
        if config.selects:
            images, labels, other, self.validation = set_aside(images, labels, other)
        self.batches = Batches(images, labels, config, channels=self.channels, seed=seed, device=device)
        self.conditions = None if data.conditions is None else data.conditions.to(device)
        self.others = OtherBatches(other, self.batches, config) if other else None
        self.schedule = Schedule(model)
        self.total = config.total_steps(
            self.batches.epoch_length, self.schedule.batches, self.schedule.period
        )
        self.policy, self.augmented = diffaugment(config.diffaugment), False
        self.state = RunState()
        self.stepper = Stepper(self.model, self.schedule, config, device, self.crew())
        self.handout = Handout(self.model, config, self.batches.labels, device)
        watching = monitor if config.monitor_every else None
        eyes = Eyes(watching, some(data.held_out).to(device), self.validation, self.channels)
        self.scans = Scans(self.model, self.schedule, config, eyes, self.handout, self.total, device, comm)
        self.unseen = False  # rows of the curves that no file shows yet
        self.shown_at = -inf  # when the last were shown

    def crew(self) -> Crew | None:
        """What this rank does of each batch, once it is known that batches can be dealt out; None for one process."""
        if self.comm.size == 1:
            return None

        def some(rows: Tensor) -> Batch:
            self.deal(rows)
            return self.batch(0)

        crew = Crew(self.comm, self.batches.n, self.config.accumulate)
        check_divisible(self.model, self.batches.n, some, self.comm, self.device)
        self.augmented = False
        self.deal(crew.own)
        return crew

    def deal(self, rows: Tensor) -> None:
        """Hand out only these rows of each batch."""
        for dealt in (self.batches, self.others):
            if dealt is not None:
                dealt.deal(rows)

    def resumed(self, checkpoints: Checkpoints, progress: Progress) -> bool:
        """Go on from a checkpoint, where there is one. Of several ranks the first one reads it, for all."""
        found = self.comm.first(lambda: resume(checkpoints, self.restore, progress) is not None)
        if found and self.comm.size > 1:
            kept = self.comm.first(lambda: on_cpu(self.dump()))
            self._take(kept)
        return found

    def run(
        self, checkpoints: Checkpoints | None, progress: Progress, listener: Listener | None
    ) -> TrainingResult:
        """From where a checkpoint left it, or the start, to the end."""
        if checkpoints is not None and self.resumed(checkpoints, progress):
            progress.note(
                f"training goes on from step {self.state.step} of {self.total} ({checkpoints.folder})"
            )
        for n in {self.batches.epoch_length, *([len(self.others)] if self.others else [])}:
            if n < self.config.batch_size:
                progress.note(
                    f"the {n} training images are fewer than batch_size={self.config.batch_size}: "
                    "every step sees all of them"
                )
        trainable_flags = [(p, p.requires_grad) for p in self.model.parameters()]
        try:
            self.all_steps(checkpoints, progress, listener)
        finally:
            for dealt in (self.batches, self.others):
                if dealt is not None:
                    dealt.close()
            for parameter, flag in trainable_flags:
                parameter.requires_grad_(flag)
        self.handout.hand_out()
        return self.result()

    def all_steps(
        self, checkpoints: Checkpoints | None, progress: Progress, listener: Listener | None
    ) -> None:
        """The loop. Whoever interrupts it (SIGINT, SIGTERM) finds a checkpoint of the step that was under way."""
        state, per_epoch = self.state, self.batches.per_epoch
        with (
            progress.stage("training", self.total, "step", done=state.step) as stage,
            deferred_interrupts(enabled=checkpoints is not None) as interrupts,
        ):
            while state.step < self.total and not state.stopped:
                epoch, rows = state.drawn // per_epoch, len(state.curves)
                loss = self.one_step()
                ended = state.drawn // per_epoch > epoch
                self.scans.scan(state, (state.drawn - 1) // per_epoch, ended, progress)
                done = state.step == self.total or state.stopped
                stop = self.anywhere(interrupts.pending)
                due = done or stop or state.step % self.config.checkpoint_every == 0
                self.unseen |= len(state.curves) > rows
                self.keep(checkpoints, due, listener)
                stage.advance(1, loss=loss, **self.scans.shown)
                if stop and checkpoints is not None:
                    progress.note(
                        f"interrupted: step {state.step} of {self.total} is kept ({checkpoints.folder}); the same "
                        "command goes on from there"
                    )
                    asked = interrupts.pending
                    interrupts.deliver()
                    if not asked:  # another rank was, and this one ends with it
                        raise KeyboardInterrupt

    def anywhere(self, pending: bool) -> bool:
        """Whether any rank is asked to stop: all do so after the same step."""
        if self.comm.size == 1:
            return pending
        return bool(self.comm.summed(torch.tensor([float(pending)])) > 0)

    def keep(self, checkpoints: Checkpoints | None, due: bool, listener: Listener | None) -> None:
        """Write down how far it is: a checkpoint where one is due, and the curves where they have a new row, but not
        more often than every few seconds: as a file, and to whoever listens. Of several ranks the first one does."""
        if due:
            self.check_alike()
        if self.comm.rank:
            return
        if due and checkpoints is not None:
            save_checkpoint(*checkpoints, self.dump())
        if self.unseen and (due or time.monotonic() - self.shown_at > CURVES_SECONDS):
            self.show(checkpoints, listener)

    def show(self, checkpoints: Checkpoints | None, listener: Listener | None) -> None:
        """The curves, as a file and to whoever listens."""
        if checkpoints is not None:
            written_again(lambda: write_curves(checkpoints.folder, self.state.curves))
        if listener is not None:
            with private_random_state(self.device):
                listener(self.state.curves)
        self.unseen, self.shown_at = False, time.monotonic()

    def check_alike(self) -> None:
        """`CellFailed` unless all ranks have the same weights, to the last bit, and the same random numbers to come."""
        if self.comm.size == 1:
            return
        content = {name: value.detach().cpu() for name, value in self.model.named_parameters()}
        if len(set(self.comm.gather(tensors_sha256({**content, "": torch.get_rng_state()})))) > 1:
            raise CellFailed(
                f"the ranks have different weights or random numbers after step {self.state.step}, so they do not "
                "train one model any more; train it in one process"
            )

    def one_step(self) -> float:
        """Every phase of the next step; returns the loss of the last one that is in every step."""
        state, started = self.state, time.perf_counter()
        self.model.train()
        factor = lr_factor(state.step, self.total, self.config)
        due = self.schedule.due(state.step)
        drawn: list[Batch] = []
        loss = 0.0
        for phase, number in zip(due, allotted(due), strict=True):
            if number == len(drawn):
                drawn.append(self.batch(state.drawn + number))
            taken = self.stepper.take(phase, drawn[number], factor)
            for column, value in taken.columns.items():
                state.log(column, value)
            loss = taken.loss if phase.every == 1 else loss
        if self.config.diffaugment and not self.augmented:
            raise InputError(
                f"{type(self.model).__name__} augments nothing, it has no discriminator; leave diffaugment empty"
            )
        self.handout.update(self.batches.n)
        state.step += 1
        state.drawn += len(drawn)
        elapsed = time.perf_counter() - started
        state.epoch_seconds += elapsed
        state.seconds += elapsed
        state.epoch_images += self.batches.n * len(drawn)
        return loss

    def batch(self, number: int) -> Batch:
        """Batch `number` of the training, as a loss sees it."""
        x, labels = self.batches[number]
        y = None if self.others is None else self.others[number]
        told = None if self.conditions is None else self.conditions[self.batches.rows(number).there]
        return Batch(x, labels, self.state.step, self.total, self.augment, y, condition=told)

    def augment(self, x: Tensor) -> Tensor:
        """The augmentation that was asked for; remembers that somebody used it."""
        self.augmented = True
        return self.policy(x)

    def result(self) -> TrainingResult:
        """What is left behind, after the last step."""
        state = self.state
        return TrainingResult(
            curves=state.curves,
            images_per_second=median(state.speeds[1:] or state.speeds),
            n_steps=state.step,
            seconds=state.seconds,
            stopped_early=state.stopped,
            peak_memory_mib=state.memory_mib,
            collapse=state.collapse,
            best_step=state.best_step,
            best_weights=self.handout.best if self.config.checkpoint == "last" else None,
            selected_on=None if self.validation is None else self.validation.words,
            machine_busy=state.others_busy / state.watched if state.watched else None,
        )

    def dump(self) -> dict[str, Any]:
        """All that changes, for a checkpoint."""
        cuda = self.device.type == "cuda"
        return {
            "model": self.model.state_dict(),
            "transient": transient_buffers(self.model),
            **self.stepper.state_dict(),
            **self.handout.state_dict(),
            "rng_cpu": torch.get_rng_state(),
            "rng_cuda": torch.cuda.get_rng_state(self.device) if cuda else None,
            "run": dict(vars(self.state)),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take over what `dump` returned. `DamagedCheckpointError` where its parts are not those of this training, and
        then all is as before."""
        now = copy.deepcopy(self.dump())
        try:
            if differ := _other_parts(saved, now):
                raise DamagedCheckpointError(f"has parts that are missing or unknown ({', '.join(differ)})")
            self._take(saved)
        except DamagedCheckpointError:
            raise
        except Exception as error:  # whatever a part of another shape or type meets first
            self._take(now)
            raise DamagedCheckpointError(f"holds what does not fit this training ({error})") from error

    def _take(self, saved: Mapping[str, Any]) -> None:
        """Every part of `saved`."""
        state = RunState(**saved["run"])
        if not 0 <= state.step <= self.total:
            raise ValueError(f"step {state.step} of {self.total}")
        self.model.load_state_dict(saved["model"])
        for name, buffer in transient_buffers(self.model).items():
            buffer.copy_(saved["transient"][name])
        self.stepper.load_state_dict(saved)
        self.handout.load_state_dict(saved)
        torch.set_rng_state(saved["rng_cpu"])
        if self.device.type == "cuda" and saved["rng_cuda"] is not None:
            torch.cuda.set_rng_state(saved["rng_cuda"], self.device)
        self.state = state
        self.scans.resume(self.state)


def on_cpu(thing: Any) -> Any:
    """The same with its tensors on the CPU, in dicts, lists and tuples."""
    if isinstance(thing, Tensor):
        return thing.detach().cpu()
    if isinstance(thing, dict):
        return {key: on_cpu(value) for key, value in thing.items()}
    return type(thing)(map(on_cpu, thing)) if isinstance(thing, list | tuple) else thing


def _other_parts(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is in one of them only, of the parts of a training and of those that have names inside."""
    differ = saved.keys() ^ now.keys()
    if not differ:
        for part in ("run", "transient", "optimizers"):
            differ |= {f"{part}.{name}" for name in saved[part].keys() ^ now[part].keys()}
    return sorted(map(str, differ))


def transient_buffers(model: nn.Module) -> dict[str, Tensor]:
    """What changes while training and is no part of the weights, for example a pool of generated images: the buffers
    that the state dict leaves out."""
    kept = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers() if name not in kept}
