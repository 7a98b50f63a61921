"""What run.json says of a cell beside its rows: what every record states, made by `run` or by `evaluate`, the choices
that change numbers, and what became of the modes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from benchbench.core.device import describe_machine
from benchbench.core.protocols import Generator
from benchbench.core.registry import MODELS
from benchbench.core.seeds import ImageRng
from benchbench.results.provenance import collect_provenance, utc_now
from benchbench.runner.judges import Judges
from benchbench.runner.plan import Plan
from benchbench.tasks.base import TaskData
from benchbench.training.state import TrainingResult

CONTROLS = frozenset({"real", "memorizer", "collapsed", "noise", "identity"})
"""Ours; a plugin's model says `control = True` of itself."""


class Labelled(Protocol):
    """What every record states of its cell, whoever made the images."""

    @property
    def name(self) -> str | None: ...
    @property
    def variant(self) -> str: ...
    @property
    def settings(self) -> Mapping[str, str | None]: ...
    @property
    def seed(self) -> int: ...
    @property
    def n_samples(self) -> int: ...
    @property
    def judges(self) -> Judges: ...


def before(device: torch.device) -> dict[str, Any]:
    """What is known before the work begins: where the code comes from, the machine and its load."""
    return {"provenance": collect_provenance(), "machine": describe_machine(device)}


def facts(
    cell: Labelled, data: Mapping[str, Any], *, control: bool = False, status: str = "finished"
) -> dict[str, Any]:
    """What every run.json states beside `before`. data: as `describe_data` has it. control: whether this is a
    landmark and no contestant."""
    return {
        "name": cell.name,
        "variant": cell.variant,
        "settings": dict(cell.settings),
        "control": control,
        "seed": cell.seed,
        "n_samples": cell.n_samples,
        "data": dict(data),
        "extractors": cell.judges.describe(),
        "status": status,
        "finished": utc_now(),
    }


def is_control(model: str) -> bool:
    """Whether the registered model of that name is a control row, whose place is known before it is measured."""
    return model in CONTROLS or bool(getattr(MODELS.get(model), "control", False))


def describe_data(data: TaskData, notes: Iterable[str] = ()) -> dict[str, Any]:
    """What the images are (`TaskData.describe`), with `notes` beside the data's own."""
    own = data.describe()
    return {**own, "notes": [*own["notes"], *notes]}


def protocol(
    plan: Plan, model: nn.Module, training: TrainingResult | None, *, labels: str | None, device: torch.device
) -> dict[str, Any]:
    """How weights and samples were made; null where it does not apply or, for loaded weights, nobody knows.

    ema: decay, 0 for none. batch_norm: whose statistics samples are normalised by, "running" averages of training or
    "standing" ones taken at the end. labels: which were asked for. checkpoint: "last" or "best" (by the monitor's
    distance, or by the held-out loss under early stopping). precision: of training.
    """
    config = None if training is None else plan.recipe.training
    statistics = None
    if _normalises(model, device):
        statistics = "standing" if config and config.standing_statistics else "running"
    return {
        "ema": config and config.ema_decay,
        "batch_norm": statistics,
        "labels": labels,
        "checkpoint": config and ("best" if config.patience else config.checkpoint),
        "precision": config and config.precision,
    }


def _normalises(model: nn.Module, device: torch.device) -> bool:
    """Whether a batch norm has a part in what is handed out; a discriminator's has none in samples."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not isinstance(model, Generator):
        return bool(norms)
    seen: list[nn.Module] = []
    hooks = [norm.register_forward_hook(lambda norm, *_: seen.append(norm)) for norm in norms]
    with torch.inference_mode():
        model.sample(1, ImageRng(0, [0], device))
    for hook in hooks:
        hook.remove()
    return bool(seen)
