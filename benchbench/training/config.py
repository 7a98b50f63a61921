"""How a model is trained: every setting of the loop, with its rule stated where it is defined."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from benchbench.core.bounds import MOST_BATCH, MOST_EPOCHS, MOST_STEPS
from benchbench.core.errors import InputError
from benchbench.training.step.diffaugment import diffaugment
from benchbench.training.step.ema import Average, HalfLife, Power, Ramp

DEFAULT_EPOCHS = 20
VALIDATION = 1  # raised whenever `training.validation` would set other images aside


_LATER = ("player", "ema", "accumulate")
"""Settings that came later. At their defaults they are left out of what is written down: a recipe that uses none of
them has the identity that it had before."""

Optimizer = Literal["adam", "adamw", "sgd"]


class PlayerSettings(NamedTuple):
    """How one player is optimised, resolved. clip_norm: None for none."""

    optimizer: Optimizer
    lr: float
    betas: tuple[float, float]
    weight_decay: float
    clip_norm: float | None


class PlayerConfig(BaseModel, extra="forbid", frozen=True):
    """A `[training.player.<name>]` section: settings of one player; what is left out is as for all."""

    optimizer: Optimizer | None = None
    lr: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    betas: tuple[float, float] | None = None
    weight_decay: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    clip_norm: float | None = Field(default=None, ge=0, description="largest gradient norm; 0 = off")

    @model_validator(mode="after")
    def _check(self) -> PlayerConfig:
        _check_betas(self.betas or ())
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}


class TrainingConfig(BaseModel, extra="forbid", frozen=True):
    """The `[training]` section of a recipe.

    Length is given in `steps` or in `epochs`, not both; with neither it is 20 epochs. An epoch visits every
    image at most once, in a new order; its last short batch is dropped, so that every step sees `batch_size`
    images (batch statistics and gradient noise never jump). A dataset smaller than a batch is one batch. Where
    a player moves several times a step, each time on a fresh batch, an epoch is a pass of the player that
    moves most. `class_balanced` is the one exception from "at most once": see `batches.balanced_order`.
    Of two unpaired domains it is a pass over A; B goes through its own passes meanwhile.
    """

    steps: int | None = Field(default=None, ge=1, le=MOST_STEPS, description="optimiser steps")
    epochs: int | None = Field(
        default=None,
        ge=1,
        le=MOST_EPOCHS,
        description="passes over the training images, of the player that moves most",
    )
    batch_size: int = Field(default=128, ge=1, le=MOST_BATCH, description="images a step")
    accumulate: int = Field(
        default=1,
        ge=1,
        le=MOST_BATCH,
        description="parts in which a batch goes through the networks; their gradients are added up",
    )
    optimizer: Optimizer = "adam"
    lr: float = Field(
        default=1e-3, gt=0, allow_inf_nan=False, description="learning rate of every player without its own"
    )
    player_lr: dict[str, float] = Field(
        default_factory=dict, description="learning rates by player, for two time-scale updates"
    )
    player: dict[str, PlayerConfig] = Field(
        default_factory=dict, description="lr, betas, optimizer, weight_decay, clip_norm of single players"
    )
    betas: tuple[float, float] = Field(
        default=(0.9, 0.999), description="Adam's decay rates; the first is the momentum of sgd"
    )
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    schedule: Literal["constant", "cosine", "linear", "constant_then_linear"] = "constant"
    warmup_steps: int = Field(
        default=0, ge=0, le=MOST_STEPS, description="steps of linear warm-up before the schedule"
    )
    clip_norm: float | None = Field(default=None, gt=0, description="largest gradient norm; none = off")
    ema_decay: float = Field(
        default=0.0, ge=0, lt=1, description="averaging of the weights that are handed out; 0 = off"
    )
    ema: Average | None = Field(
        default=None,
        description='other kinds of average: {kind="power", width=0.1}, {kind="halflife", images=10000, rampup=0.05}, '
        '{kind="ramp", decay=0.999}, which is ema_decay',
    )
    diffaugment: str = Field(
        default="", description="what discriminators see is augmented by: color, translation, cutout"
    )
    class_balanced: bool = Field(default=False, description="every class equally often in an epoch")
    standing_statistics: int = Field(
        default=0,
        ge=0,
        le=MOST_EPOCHS,
        description="batches that batch norms are measured on anew at the end; 0 = off",
    )
    monitor_every: int = Field(
        default=0, ge=0, le=MOST_STEPS, description="steps between scans of the samples (`Monitor`); 0 = off"
    )
    on_collapse: Literal["warn", "stop"] = Field(
        default="warn",
        description="what an alarm of `training.watch.alarm` does; stop = end the training there",
    )
    checkpoint: Literal["last", "best"] = Field(
        default="last",
        description="which weights are handed out; best = lowest distance to a validation part of the training "
        "images that the monitor saw",
    )
    patience: int = Field(
        default=0,
        ge=0,
        le=MOST_EPOCHS,
        description="stop after this many epochs without a lower loss on a validation part of the training images "
        "and hand out the weights of the best one; 0 = off; for models with one player",
    )
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = Field(
        default="fp32",
        description="of products while training; tf32 and fp16 need CUDA, bf16 pays on processors that compute in it. "
        "tf32 keeps 10 of 23 bits of each factor, bf16 and fp16 are half precision where torch's autocast allows it",
    )
    checkpoint_every: int = Field(
        default=500, ge=1, le=MOST_STEPS, description="steps between checkpoints; changes no number"
    )

    @model_validator(mode="after")
    def _check(self) -> TrainingConfig:
        if self.steps is not None and self.epochs is not None:
            raise ValueError("give steps or epochs, not both")
        _check_betas(self.betas)
        if self.accumulate > self.batch_size:
            raise ValueError(
                f"accumulate={self.accumulate} asks for more parts than batch_size={self.batch_size} has images"
            )
        for player, lr in self.player_lr.items():
            if not 0 < lr < math.inf:
                raise ValueError(f"player_lr of {player!r} is {lr} but must be above 0 and finite")
            if player in self.player and self.player[player].lr is not None:
                raise ValueError(f"player_lr and player.{player}.lr say the same; give one of them")
        if self.ema is not None and self.ema_decay:
            raise ValueError("ema_decay and ema both say how weights are averaged; give one of them")
        diffaugment(self.diffaugment)  # an unknown name is told before anything is read
        if not self.monitor_every:
            if self.checkpoint == "best":
                raise ValueError("checkpoint=best chooses by what the monitor sees; set monitor_every too")
            if self.on_collapse == "stop":
                raise ValueError("on_collapse=stop acts on what the monitor sees; set monitor_every too")
        if self.patience and self.checkpoint == "best":
            raise ValueError("patience and checkpoint=best choose different weights; give one of them")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        unused = {
            name
            for name in _LATER
            if getattr(self, name) == fields[name].get_default(call_default_factory=True)
        }
        return {key: value for key, value in handler(self).items() if key not in unused}

    def of(self, player: str) -> PlayerSettings:
        """The settings of one player: its own, else those of all."""
        own = self.player.get(player, PlayerConfig())
        lr = self.lr if own.lr is None else own.lr
        return PlayerSettings(
            optimizer=own.optimizer or self.optimizer,
            lr=self.player_lr.get(player, lr),
            betas=own.betas or self.betas,
            weight_decay=self.weight_decay if own.weight_decay is None else own.weight_decay,
            clip_norm=self.clip_norm if own.clip_norm is None else own.clip_norm or None,
        )

    @property
    def average(self) -> Ramp | Power | HalfLife | None:
        """How the weights are averaged that are handed out; None for not at all."""
        return Ramp(kind="ramp", decay=self.ema_decay) if self.ema_decay else self.ema

    @property
    def selects(self) -> bool:
        """Whether other weights than the last may be handed out: then a validation part is set aside."""
        return bool(self.patience) or self.checkpoint == "best"

    def steps_per_epoch(self, n_images: int) -> int:
        """Full batches in `n_images`, at least one."""
        return max(1, n_images // self.batch_size)

    def total_steps(self, n_images: int, batches: Callable[[int], int], period: int | None = None) -> int:
        """The planned number of optimiser steps on epochs of `n_images` images.

        batches: how many batches a step takes, by its number; at least one. period: after how many steps that repeats;
        None where nobody knows. The last step may reach into an epoch that was not asked for. `InputError` for more
        than anybody waits for.
        """
        if self.steps is not None:
            return self.steps
        epochs, per_epoch = self.epochs or DEFAULT_EPOCHS, self.steps_per_epoch(n_images)
        left, step = epochs * per_epoch, 0
        if left > MOST_STEPS:
            raise InputError(
                f"{epochs:,} epochs of {per_epoch:,} batches are more than "
                f"{MOST_STEPS:,}; choose fewer epochs or a larger batch_size"
            )
        if period is not None:  # whole periods at once: the rest is soon counted
            whole, left = divmod(left, sum(batches(step) for step in range(period)))
            step = whole * period
        while left > 0:
            left -= batches(step)
            step += 1
        return step

    def hyper(self) -> dict[str, Any]:
        """What determines the trained weights, JSON-able: not how often a checkpoint is written, nor what
        watches where it only watches."""
        only_watched = self.checkpoint == "last" and self.on_collapse == "warn"
        watching = {"monitor_every", "on_collapse"} if only_watched else set()
        hyper = self.model_dump(mode="json", exclude={"checkpoint_every"} | watching)
        if self.selects:
            hyper["validation"] = VALIDATION
        # What could be said before in other words is said in those.
        if isinstance(self.ema, Ramp):
            del hyper["ema"]
            hyper["ema_decay"] = self.ema.decay
        players = {name: dict(own) for name, own in hyper.pop("player", {}).items()}
        hyper["player_lr"] |= {name: own.pop("lr") for name, own in players.items() if "lr" in own}
        if players := {name: own for name, own in players.items() if own}:
            hyper["player"] = players
        return hyper


def _check_betas(betas: Sequence[float]) -> None:
    if any(not 0 <= beta < 1 for beta in betas):
        raise ValueError(f"betas={list(betas)} must both be at least 0 and below 1")
