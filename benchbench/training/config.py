"""How a model is trained: every setting of the loop, with its rule stated where it is defined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, Field, model_validator

from benchbench.training.diffaugment import diffaugment

DEFAULT_EPOCHS = 20
VALIDATION = 1  # raised whenever `training.validation` would set other images aside


class TrainingConfig(BaseModel, extra="forbid", frozen=True):
    """The `[training]` section of a recipe.

    Length is given in `steps` or in `epochs`, not both; with neither it is 20 epochs. An epoch visits every
    image at most once, in a new order; its last short batch is dropped, so that every step sees `batch_size`
    images (batch statistics and gradient noise never jump). A dataset smaller than a batch is one batch. Where
    a player moves several times a step, each time on a fresh batch, an epoch is a pass of the player that
    moves most. `class_balanced` is the one exception from "at most once": see `batches.balanced_order`.
    Of two unpaired domains it is a pass over A; B goes through its own passes meanwhile.
    """

    steps: int | None = Field(default=None, ge=1, description="optimiser steps")
    epochs: int | None = Field(
        default=None, ge=1, description="passes over the training images, of the player that moves most"
    )
    batch_size: int = Field(default=128, ge=1, description="images a step")
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = Field(default=1e-3, gt=0, description="learning rate of every player without its own")
    player_lr: dict[str, float] = Field(
        default_factory=dict, description="learning rates by player, for two time-scale updates"
    )
    betas: tuple[float, float] = Field(
        default=(0.9, 0.999), description="Adam's decay rates; the first is the momentum of sgd"
    )
    weight_decay: float = Field(default=0.0, ge=0)
    schedule: Literal["constant", "cosine", "linear", "constant_then_linear"] = "constant"
    warmup_steps: int = Field(default=0, ge=0, description="steps of linear warm-up before the schedule")
    clip_norm: float | None = Field(default=None, gt=0, description="largest gradient norm; none = off")
    ema_decay: float = Field(
        default=0.0, ge=0, lt=1, description="averaging of the weights that are handed out; 0 = off"
    )
    diffaugment: str = Field(
        default="", description="what discriminators see is augmented by: color, translation, cutout"
    )
    class_balanced: bool = Field(default=False, description="every class equally often in an epoch")
    standing_statistics: int = Field(
        default=0, ge=0, description="batches that batch norms are measured on anew at the end; 0 = off"
    )
    monitor_every: int = Field(
        default=0, ge=0, description="steps between looks at the samples (`Monitor`); 0 = off"
    )
    on_collapse: Literal["warn", "stop"] = Field(
        default="warn", description="what an alarm of `training.alarm` does; stop = end the training there"
    )
    checkpoint: Literal["last", "best"] = Field(
        default="last",
        description="which weights are handed out; best = lowest distance to a validation part of the training "
        "images that the monitor saw",
    )
    patience: int = Field(
        default=0,
        ge=0,
        description="stop after this many epochs without a lower loss on a validation part of the training images "
        "and hand out the weights of the best one; 0 = off; for models with one player",
    )
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    checkpoint_every: int = Field(
        default=500, ge=1, description="steps between checkpoints; changes no number"
    )

    @model_validator(mode="after")
    def _check(self) -> TrainingConfig:
        if self.steps is not None and self.epochs is not None:
            raise ValueError("give steps or epochs, not both")
        if any(not 0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas={list(self.betas)} must both be at least 0 and below 1")
        for player, lr in self.player_lr.items():
            if lr <= 0:
                raise ValueError(f"player_lr of {player!r} is {lr} but must be above 0")
        diffaugment(self.diffaugment)  # an unknown name is told before anything is read
        if not self.monitor_every:
            if self.checkpoint == "best":
                raise ValueError("checkpoint=best chooses by what the monitor sees; set monitor_every too")
            if self.on_collapse == "stop":
                raise ValueError("on_collapse=stop acts on what the monitor sees; set monitor_every too")
        if self.patience and self.checkpoint == "best":
            raise ValueError("patience and checkpoint=best choose different weights; give one of them")
        return self

    @property
    def selects(self) -> bool:
        """Whether other weights than the last may be handed out: then a validation part is set aside."""
        return bool(self.patience) or self.checkpoint == "best"

    def steps_per_epoch(self, n_images: int) -> int:
        """Full batches in `n_images`, at least one."""
        return max(1, n_images // self.batch_size)

    def total_steps(self, n_images: int, batches: Callable[[int], int]) -> int:
        """The planned number of optimiser steps on epochs of `n_images` images.

        batches: how many batches a step takes, by its number; at least one. The last step may reach into an
        epoch that was not asked for.
        """
        if self.steps is not None:
            return self.steps
        left, step = (self.epochs or DEFAULT_EPOCHS) * self.steps_per_epoch(n_images), 0
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
        return hyper
