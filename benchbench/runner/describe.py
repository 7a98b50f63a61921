"""What run.json says of a cell beside its rows: what every record states, made by `run` or by `evaluate`, the choices
that change numbers, and what became of the modes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from benchbench.core.device import describe_machine
from benchbench.core.protocols import Examined, Generator
from benchbench.core.registry import MODELS
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng
from benchbench.data.pipeline.decode import decoder
from benchbench.metrics.metric import full_name
from benchbench.results.chosen import VALIDATION_LOSS
from benchbench.results.manifest import (
    Artefact,
    Collapse,
    Data,
    Machine,
    Made,
    ModelRun,
    Provenance,
    RecipeFacts,
    Seconds,
    Stated,
    with_facts,
)
from benchbench.results.provenance import collect_provenance, utc_now
from benchbench.runner.extractors import ExtractorSet
from benchbench.runner.pictures import artefacts_of
from benchbench.runner.plan import Plan
from benchbench.runner.trained import Prepared, summary
from benchbench.tasks.base import TaskData, TaskResult
from benchbench.training.config import TrainingConfig
from benchbench.training.state import TrainingResult

CONTROLS = frozenset({"real", "memorizer", "collapsed", "noise", "identity", "degraded"})
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
    def extractors(self) -> ExtractorSet: ...


class Before(NamedTuple):
    """What is known before the work begins: where the code comes from, the machine and its load."""

    provenance: Provenance
    machine: Machine


def before(runtime: Runtime) -> Before:
    """Of this process, now, and of how many ranks it is one."""
    machine = describe_machine(runtime.device)
    if runtime.comm.size > 1:
        machine["ranks"] = runtime.comm.size
    return Before(Provenance(**collect_provenance(), decoder=decoder()), Machine(**machine))


def stated(
    cell: Labelled,
    known: Before,
    data: Mapping[str, Any],
    *,
    seconds: Seconds,
    artefacts: Sequence[Artefact],
    control: bool = False,
    status: Literal["finished", "collapsed"] = "finished",
) -> Stated:
    """What every run.json states. data: as `describe_data` has it. control: whether this is a landmark and no
    contestant."""
    return Stated(
        provenance=known.provenance,
        machine=known.machine,
        name=cell.name,
        variant=cell.variant,
        settings=dict(cell.settings),
        control=control,
        seed=cell.seed,
        n_samples=cell.n_samples,
        data=Data(**data),
        extractors=cell.extractors.describe(),
        status=status,
        finished=utc_now(),
        seconds=seconds,
        artefacts=list(artefacts),
    )


def facts_of_run(
    plan: Plan, known: Before, prepared: Prepared, found: TaskResult, seconds: Seconds, device: torch.device
) -> ModelRun:
    """What the run.json of a cell says. The labels that a task says it asked for are a choice that changes numbers."""
    model, training, monitor = prepared
    of_task = {name: fact for name, fact in found.facts.items() if name != "labels"}
    common = stated(
        plan,
        known,
        describe_data(plan.dataset, plan.notes),
        seconds=seconds,
        artefacts=artefacts_of(found.pictures),
        control=is_control(plan.recipe.model),
        status="collapsed" if _ended_by_collapse(plan, training) else "finished",
    )
    run = ModelRun(
        **common.stated(),
        recipe=RecipeFacts(**{**plan.recipe.model_dump(mode="json"), "model": plan.kept_as}),
        config=plan.config.model_dump(mode="json"),
        sampling=plan.sampling.model_dump(mode="json"),
        code_hash=plan.identity["code"],
        training_key=plan.training_key,
        weights_loaded_sha256=plan.weights_sha256,
        selected_on=None if training is None else training.selected_on,
        protocol=protocol(plan, prepared, labels=found.facts.get("labels"), device=device),
        monitor=monitor,
        collapse=None if training is None or training.collapse is None else Collapse(**training.collapse),
        training=None if training is None else summary(training),
    )
    asked = {"generator": model.describe()} if isinstance(model, Examined) else {}
    return with_facts(run, {**of_task, **asked})


def _ended_by_collapse(plan: Plan, training: TrainingResult | None) -> bool:
    """Whether the alarm stopped the training; one that is only seen when the curves are judged again stopped
    nothing."""
    stops = plan.recipe.training.on_collapse == "stop"
    return training is not None and training.collapse is not None and training.stopped_early and stops


def is_control(model: str) -> bool:
    """Whether the registered model of that name is a control row, whose place is known before it is measured."""
    return model in CONTROLS or bool(getattr(MODELS.get(model), "control", False))


def describe_data(data: TaskData, notes: Iterable[str] = ()) -> dict[str, Any]:
    """What the images are (`TaskData.describe`), with `notes` beside the data's own."""
    own = data.describe()
    return {**own, "notes": [*own["notes"], *notes]}


def protocol(plan: Plan, prepared: Prepared, *, labels: str | None, device: torch.device) -> Made:
    """How weights and samples were made; null where it does not apply or, for loaded weights, nobody knows.

    ema: decay of a ramp, 0 for none; the setting, of another kind of average. batch_norm: whose statistics samples are
    normalised by, "running" averages of training or "standing" ones taken at the end. labels: which were asked for.
    checkpoint: "last" or "best". chosen_by: the monitor's distance, or the validation loss under early stopping.
    precision: of training.
    """
    model, training, monitor = prepared
    config = None if training is None else plan.recipe.training
    statistics = None
    if _normalises(model, device):
        statistics = "standing" if config and config.standing_statistics else "running"
    return Made(
        ema=None if config is None else _average(config),
        batch_norm=statistics,
        labels=labels,
        checkpoint=None if config is None else "best" if config.patience else config.checkpoint,
        chosen_by=None if config is None else _chosen_by(config, monitor),
        precision=None if config is None else config.precision,
    )


def _chosen_by(config: TrainingConfig, monitor: Mapping[str, Any] | None) -> str | None:
    if config.patience:
        return VALIDATION_LOSS
    return full_name("fd", monitor["judge"]) if config.checkpoint == "best" and monitor is not None else None


def _average(config: TrainingConfig) -> float | dict[str, Any]:
    kind = config.average
    return config.ema_decay if kind is None or config.ema_decay else kind.model_dump(mode="json")


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
