"""One optimiser step of one player: gradients, clipping, precision, and the numbers that come out of it.

Nobody else's parameters even get a gradient. On CUDA a step waits once, for its numbers, to name the step at which one
stops being finite.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchbench.core.errors import CellFailed
from benchbench.core.protocols import Batch, Phase
from benchbench.training.config import TrainingConfig
from benchbench.training.step.crew import Crew
from benchbench.training.step.optim import corrected, make_optimizer
from benchbench.training.step.phases import Schedule, gain, step_ratio

_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Taken(NamedTuple):
    """A step that was taken: its loss, without the gain of a lazy phase, and what it gives to the curves, by column."""

    loss: float
    columns: dict[str, float]


@dataclass(frozen=True)
class _Player:
    parameters: list[nn.Parameter]
    optimizer: torch.optim.Optimizer
    lr: float
    clip_norm: float


class Stepper:
    """The optimisers of all players, and the scaler of half precision. crew: the ranks, where there are several."""

    def __init__(
        self,
        model: nn.Module,
        schedule: Schedule,
        config: TrainingConfig,
        device: torch.device,
        crew: Crew | None = None,
    ) -> None:
        self._model, self._schedule, self._device = model, schedule, device
        self._precision, self._accumulate, self._crew = config.precision, config.accumulate, crew
        self._players: dict[str, _Player] = {}
        for name, module in schedule.players.items():
            parameters = [p for p in module.parameters() if p.requires_grad]
            settings = corrected(config.of(name), step_ratio(name, schedule.phases))
            limit = float("inf") if settings.clip_norm is None else settings.clip_norm
            self._players[name] = _Player(
                parameters, make_optimizer(parameters, settings), settings.lr, limit
            )
        self._scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")

    def take(self, phase: Phase, batch: Batch, factor: float) -> Taken:
        """One step; `factor`: of the learning rate. `CellFailed` where the loss or its gradient is not finite."""
        player = self._players[phase.player]
        self._model.requires_grad_(False)
        for parameter in player.parameters:
            parameter.requires_grad_(True)
        lr = player.lr * factor
        for group in player.optimizer.param_groups:
            group["lr"] = lr
        player.optimizer.zero_grad(set_to_none=True)
        loss, logs = self._backward(phase, batch)
        if self._crew is not None:
            loss, *sums = self._crew.add_up(player.parameters, [loss, *logs.values()])
            logs = dict(zip(logs, sums, strict=True))
        self._scaler.unscale_(player.optimizer)
        norm = nn.utils.clip_grad_norm_(player.parameters, player.clip_norm)
        value, length, *logged = _read([loss, norm, *logs.values()])
        self._check(phase, batch.step, lr, value, length)
        self._scaler.step(player.optimizer)
        # PyTorch's manual asks for one `update` an iteration, after every optimiser used in it has stepped, so
        # that gradients summed over an iteration share one scale. A phase is such an iteration: its gradients
        # are its own. And a scaler lets an optimiser step only once between updates, a critic moves five times.
        self._scaler.update()
        own = {"loss": value, "lr": lr} | ({"grad_norm": length} if isfinite(length) else {})
        columns = {self._schedule.column(name, phase): number for name, number in own.items()}
        return Taken(value, columns | dict(zip(logs, logged, strict=True)))

    def _backward(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and logs of the batch, means over its parts, the gradients left in the player's parameters."""
        times = gain(phase, self._schedule.phases) if self._schedule.phases else 1.0
        numbers: dict[str, Tensor] = {}
        for part, share, seeing in self._parts(batch):
            with (
                seeing,
                torch.autocast(
                    self._device.type, _HALF.get(self._precision), enabled=self._precision in _HALF
                ),
            ):
                loss, logs = self._schedule.loss(phase, part)
            counted = loss if share * times == 1 else loss * (share * times)
            self._scaler.scale(counted).backward()
            for name, number in {"": loss.detach(), **logs}.items():
                own = number if share == 1 else number * share
                numbers[name] = numbers[name] + own if name in numbers else own
        return numbers.pop(""), numbers

    def _parts(self, batch: Batch) -> Iterator[tuple[Batch, float, AbstractContextManager[object]]]:
        """The parts in which a batch goes through, each with its share of the images and where its loss is computed."""
        if self._crew is not None:
            yield from self._crew.parts(batch)
            return
        for part in parts_of(batch, self._accumulate):
            yield part, len(part.x) / len(batch.x), nullcontext()

    def _check(self, phase: Phase, step: int, lr: float, loss: float, norm: float) -> None:
        who = phase.player if phase.name == "main" else f"{phase.player} ({phase.name})"
        if not isfinite(loss):
            raise CellFailed(
                f"the loss of {who} became {loss} at step {step}; lower lr (now {lr:g}) or set clip_norm"
            )
        # In fp16 the scaler itself skips a step whose gradients overflow, and lowers its scale.
        if not isfinite(norm) and not self._scaler.is_enabled():
            raise CellFailed(f"the gradient of {who} became {norm} at step {step}; lower lr (now {lr:g})")

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        optimizers = {name: player.optimizer.state_dict() for name, player in self._players.items()}
        return {"optimizers": optimizers, "scaler": self._scaler.state_dict()}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """What `state_dict` returned, among other things."""
        for name, player in self._players.items():
            player.optimizer.load_state_dict(saved["optimizers"][name])
        self._scaler.load_state_dict(saved["scaler"])


def parts_of(batch: Batch, n: int) -> list[Batch]:
    """A batch in `n` parts of consecutive images, or in as many as there are images; itself where that is one.

    Of two domains that are no pairs each is cut for itself.
    """
    most = min(n, len(batch.x), len(batch.x if batch.y is None else batch.y))
    if most == 1:
        return [batch]
    x = batch.x.tensor_split(most)
    labels = [None] * most if batch.labels is None else batch.labels.tensor_split(most)
    y = [None] * most if batch.y is None else batch.y.tensor_split(most)
    told = [None] * most if batch.condition is None else batch.condition.tensor_split(most)
    return [
        replace(batch, x=x[part], labels=labels[part], y=y[part], condition=told[part], part=part)
        for part in range(most)
    ]


def _read(numbers: Sequence[Tensor]) -> list[float]:
    """Scalars as floats. From CUDA in one copy: each one read alone would make the host wait for the device again."""
    if numbers[0].device.type != "cuda":
        return [float(number.detach()) for number in numbers]
    values: list[float] = torch.stack([number.detach().double() for number in numbers]).tolist()
    return values
