"""What a run will do, decided and checked before anything expensive.

A plan holds one cell: a model, a dataset, the metrics and a seed, everything resolved, with the key under
which its record is stored. Runtime knobs (device, batch sizes) are not part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from pydantic import BaseModel
from torch import nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import Examined, Fittable, Generator, Trainable
from benchbench.core.registry import MODELS
from benchbench.core.runtime import Runtime
from benchbench.features.extractor import Extractor
from benchbench.metrics.metric import Metric
from benchbench.metrics.select import STANDARD, Outcome, is_named, select_metrics
from benchbench.models.build import configure_sampling
from benchbench.models.identity import code_hash
from benchbench.models.variants.technique import Technique, accelerated, written
from benchbench.runner.extractors import (
    DEFAULT_EXTRACTOR,
    Chosen,
    ExtractorLoader,
    ExtractorSet,
    choose_extractors,
    enlarged_notes,
    load_chosen,
    refuse_too_small,
    worth_loading,
)
from benchbench.runner.failures import failing_alone
from benchbench.runner.labels import settings, variant
from benchbench.runner.monitor import choose_watcher, describe_panel
from benchbench.runner.plan_keys import TRAINING_VERSION, keys_of, specified
from benchbench.runner.probe import Probes, built, check_techniques
from benchbench.runner.resolve import Resolved, resolve
from benchbench.runner.shown import CALIBRATION, showing
from benchbench.runner.spec import CellSpec
from benchbench.tasks.base import Request, Task, TaskData
from benchbench.tasks.choose import Shelf, load_for
from benchbench.training.recipe import Recipe
from benchbench.training.state_dicts import tensors_sha256


@dataclass(frozen=True)
class Plan:
    """One cell, resolved.

    Attributes:
        recipe: Hyper-parameters and training settings, with what was set over them.
        config: The hyper-parameters as the model's `Config`.
        sampling: The settings of drawing as the model's `Sampling`.
        name: What its owner calls it; None for the model's own name.
        variant: What was set away from the shipped recipe, "" under a name; and the techniques, under a name too.
        settings: All that tells two recipes apart.
        task: What the model is asked to do with the dataset.
        dataset: The data, loaded.
        metrics: Those that have a meaning for this model on this data.
        lacking: Those that the user named and that have none, with the reason.
        extractors: What the metrics read, loaded.
        ranked_on: The extractors by which models of this dataset are ranked, first one first.
        notes: What a reader should know of these extractors on this data.
        watcher: What reads samples while the model trains; None where there is no monitor.
        n_samples: How many images are made.
        seed: Of weights, batches and samples.
        weights: Where weights are loaded from; None where the model is trained.
        weights_sha256: sha256 (hex) of that file.
        allow_pickle: Whether that file may run code.
        techniques: What makes the model smaller or faster, before it is trained or afterwards.
        identity: What the weights come from, JSON-able.
        training_key: The digest of `identity`.
        key: Names the whole cell; its record is stored under it.
        log: The sinks that are told of it; no part of the key.
    """

    recipe: Recipe
    config: BaseModel
    sampling: BaseModel
    name: str | None
    variant: str
    settings: dict[str, str | None]
    task: Task
    dataset: TaskData
    metrics: Sequence[Metric]
    lacking: Sequence[Outcome]
    extractors: ExtractorSet
    ranked_on: Sequence[str]
    notes: Sequence[str]
    watcher: Extractor | None
    n_samples: int
    seed: int
    weights: Path | None
    weights_sha256: str | None
    allow_pickle: bool
    techniques: tuple[Technique, ...]
    identity: dict[str, Any]
    training_key: str
    key: str
    log: Sequence[str]

    @property
    def model(self) -> str:
        """What rows call it."""
        return self.name or self.kept_as

    @property
    def kept_as(self) -> str:
        """What the model's folder is called."""
        return MODELS.recorded(self.recipe.model)

    @property
    def dataset_name(self) -> str:
        """The dataset's name."""
        return self.dataset.name

    @property
    def made_of(self) -> dict[str, Any]:
        """Whose code carries it out, by what it is called."""
        return _made_of(self.recipe.model) | {f"the task {self.task.name!r}": self.task}

    @property
    def request(self) -> Request:
        """What the task is asked for."""
        extractors = self.extractors
        return Request(
            self.metrics, self.lacking, extractors.loaded, extractors.failures, self.n_samples, self.seed
        )

    def build(self) -> nn.Module:
        """The model, freshly initialised from the seed."""
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            return built(self.recipe, self.dataset, self.techniques)

    def accelerated(self, model: nn.Module, device: torch.device) -> nn.Module:
        """The trained model as it is scored.

        Args:
            model: On `device`.
            device: Where it computes.

        Returns:
            A copy with the techniques; the model itself where there are none.

        Raises:
            InputError: The device or the weights do not allow a technique.
        """
        if not self.techniques:
            return model
        show = showing(self.recipe.model, model, self.dataset, CALIBRATION, device)
        return accelerated(model, self.techniques, show, device)


class Desk:
    """Where cells are planned: what several of them need is fetched once.

    Args:
        runtime: Where extractors compute, and who is told.
        elsewhere: Whether cells are carried out on other machines, which may have other devices: what depends on those
            is left to them.
    """

    def __init__(self, runtime: Runtime, *, elsewhere: bool = False) -> None:
        self.runtime, self.elsewhere = runtime, elsewhere
        self.shelf = Shelf(runtime.progress)
        self.load = ExtractorLoader(runtime.device)


def make_plans(spec: CellSpec, seeds: Sequence[int], desk: Desk, probes: Probes | None = None) -> list[Plan]:
    """What a run will do, decided and checked. Everything that can be refused is refused here, cheapest first.

    The extractors that metrics read are `spec.extractors`; None is the one that the dataset names and
    efficientnet_lite0 (`runner.extractors.choose_extractors`), and for metrics on classes alone the
    classifier of the dataset's own classes where its weights are at hand.

    Args:
        spec: What is asked for; its `seed` is not read.
        seeds: One cell each.
        desk: Where cells are planned, with the data and extractors that other plans needed.
        probes: Whose models a request may share with the one before; None where there is none before. Not of the
            desk, which may live on while a model is trained: memory is measured there.

    Returns:
        One plan a seed, in their order.

    Raises:
        InputError: The request cannot be carried out; the message says why.
        CellFailed: The model is somebody else's and failed before anything was asked of it.
    """
    with failing_alone(_made_of(spec.model)):
        return _planned(spec, seeds, desk, probes or Probes())


@cache  # what was imported stays what it was, and a suite asks for it once a cell
def _code_of(model_class: Any) -> str:
    return code_hash(model_class)


def _made_of(model: str) -> dict[str, Any]:
    """The model, by what it is called."""
    return {f"the model {model!r}": MODELS.get(model)}


def _planned(spec: CellSpec, seeds: Sequence[int], desk: Desk, probes: Probes) -> list[Plan]:
    """As `make_plans`."""
    resolved = resolve(spec)
    spec = resolved.spec
    task, data = load_for(spec.model, spec.dataset, spec.size, desk.shelf, spec.task, spec.task_options)
    probe = probes.of(resolved.recipe, data, resolved.techniques, resolved.weights)
    if not isinstance(config := probe.config, BaseModel):
        raise TypeError(f"the model {spec.model!r} must keep its configuration in `config`")
    trained = isinstance(probe, Trainable) and resolved.weights is None
    if not desk.elsewhere:
        check_techniques(resolved.recipe, probe, data, resolved.techniques, desk.runtime.device)
    for note in resolved.notes:
        desk.runtime.progress.note(note)
    scoring = _scoring(spec, task, probe, data, desk)
    watcher = None
    if trained and resolved.recipe.training.monitor_every:
        watcher = _watcher(spec, data.name, probe, scoring, desk)
    identity = _identity(resolved, task, data, probe, watcher, trained=trained)
    sampling = configure_sampling(spec.model, resolved.recipe.sampling)
    first = Plan(
        recipe=resolved.recipe,
        config=config,
        sampling=sampling,
        name=spec.name,
        variant=_label(resolved, trained),
        settings=settings(
            identity["code"],
            identity["hyper"],
            sampling.model_dump(mode="json"),
            resolved.recipe.training,
            trained=trained,
            weights_sha256=identity["weights_sha256"],
            technique=written(resolved.techniques),
        ),
        task=task,
        dataset=data,
        metrics=scoring.metrics,
        lacking=scoring.lacking,
        extractors=scoring.loaded,
        ranked_on=scoring.extractors.names,
        notes=[*resolved.notes, *scoring.notes],
        watcher=watcher,
        n_samples=task.n_samples(spec.model, data, spec.samples),
        seed=spec.seed,
        weights=resolved.weights,
        weights_sha256=resolved.weights_sha256,
        allow_pickle=spec.allow_pickle,
        techniques=resolved.techniques,
        identity=identity,
        training_key="",
        key="",
        log=spec.log or (),
    )
    return [_of_seed(first, seed, task.parts(probe), scoring.specifications) for seed in seeds]


def _identity(
    resolved: Resolved,
    task: Task,
    data: TaskData,
    probe: nn.Module,
    watcher: Extractor | None,
    *,
    trained: bool,
) -> dict[str, Any]:
    """What the weights come from, but for the seed."""
    training = None
    if trained:
        training = {**resolved.recipe.training.hyper(), "training_version": TRAINING_VERSION}
        if watcher is not None and "monitor_every" in training:
            # What is seen decides which weights are handed out.
            training["panel"] = describe_panel(watcher, len(task.training_data(probe, data).images))
    identity: dict[str, Any] = {
        "code": _code_of(cast(Any, type(probe))),
        "model": MODELS.recorded(resolved.spec.model),
        "hyper": cast(BaseModel, probe.config).model_dump(mode="json"),
        "training": training,
        "weights_sha256": resolved.weights_sha256 or _held(probe),
        "dataset": _trains_on(task, probe, data) if trained or _fits(probe) else data.fingerprint,
    }
    if changed := [own for own in resolved.techniques if own.before_training]:
        identity["techniques"] = specified(changed)
    return identity


def _of_seed(plan: Plan, seed: int, parts: list[str], specifications: list[dict[str, Any]]) -> Plan:
    """The plan under another seed, with the keys that it has then. parts: what of its task the model does."""
    identity = {**plan.identity, "seed": seed}
    asked: dict[str, Any] = {"names": parts}
    if plan.name is not None:
        asked["name"] = plan.name
    if plan.task.version != 1:  # keys from before tasks had one do not say it
        asked["version"] = plan.task.version
    if (scored_on := plan.dataset.fingerprint) != identity["dataset"]:
        asked["scored_on"] = scored_on
    if techniques := specified(plan.techniques):
        asked["techniques"] = techniques
    keys = keys_of(
        identity,
        sampling=plan.sampling.model_dump(mode="json"),
        task=asked,
        metrics=specifications,
        n_samples=plan.n_samples,
    )
    return replace(plan, seed=seed, identity=identity, training_key=keys.training, key=keys.cell)


def _held(probe: nn.Module) -> str | None:
    """Of the weights that a generator of somebody's brought with it out of code of his; None of any other model."""
    if not isinstance(probe, Examined) or getattr(probe, "stored", False) or not probe.state_dict():
        return None
    return tensors_sha256(probe.state_dict())


def _fits(probe: nn.Module) -> bool:
    """Whether it looks at the data before it is asked."""
    return isinstance(probe, Fittable) and not getattr(probe, "ready", False)


def _trains_on(task: Task, probe: nn.Module, data: TaskData) -> str:
    """The identity of what the weights depend on of the data."""
    less = task.trains_on(probe, data) if hasattr(task, "trains_on") else None
    return data.fingerprint if less is None else less


def _label(resolved: Resolved, trained: bool) -> str:
    """The variant of a cell: what was set, where its owner gave it no name, and what was done to the model. One name
    does not make the same of a model and what it became."""
    done = written(resolved.techniques)
    if resolved.spec.name is not None:
        return done
    sha256, published = resolved.weights_sha256, resolved.spec.pretrained
    own = variant(resolved.recipe, trained=trained, weights_sha256=sha256, published=published)
    return ",".join(filter(None, [own, done]))


class _Scoring(NamedTuple):
    """The metrics of a cell, those that have a meaning and those that were named and have none, and who reads for them.
    `specifications`: what the key says of them."""

    metrics: list[Metric]
    lacking: list[Outcome]
    extractors: Chosen
    loaded: ExtractorSet
    specifications: list[dict[str, Any]]
    notes: list[str]


def _scoring(spec: CellSpec, task: Task, probe: nn.Module, data: TaskData, desk: Desk) -> _Scoring:
    """What is asked of `probe` on `data`, the extractors loaded."""
    names, asked, progress = spec.metrics, spec.extractors, desk.runtime.progress
    # Where no extractor sees anything of the model it may be the very one that is missing.
    extractors = choose_extractors(
        asked or (None if task.reads_extractors else [DEFAULT_EXTRACTOR]), data, desk.load
    )
    standard = task.standard if task.standard or task.reads_extractors else STANDARD
    chosen = select_metrics(names, extractors.names, extractors.own, standard)
    named = {metric.name for metric in chosen if is_named(metric, names)}
    if not task.reads_extractors:
        asked_for = {*named, *task.standard}
        chosen = [metric for metric in chosen if is_named(metric, asked_for)]
    reasons = {metric.name: reason for metric in chosen if (reason := task.inapplicable(metric, probe, data))}
    chosen = worth_loading(chosen, named, reasons)
    refuse_too_small([metric for metric in chosen if metric.name in named], data.spec.height, data.spec.width)
    chosen, loaded = load_chosen(chosen, extractors, named, desk.load, spec.precision, progress)
    unmet = [
        Outcome(m, None, "failed", reasons[m.name]) for m in chosen if m.name in named and m.name in reasons
    ]
    for note in extractors.notes:
        progress.note(note)
    return _Scoring(
        metrics=[metric for metric in chosen if metric.name not in reasons],
        lacking=unmet,
        extractors=extractors,
        loaded=loaded,
        specifications=[
            *map(loaded.specification, chosen),
            # A set such as `standard` has no such row.
            *({"failed": outcome.metric.name} for outcome in unmet),
        ],
        notes=[*extractors.notes, *enlarged_notes(data, loaded)],
    )


def _watcher(spec: CellSpec, dataset: str, probe: nn.Module, scoring: _Scoring, desk: Desk) -> Extractor:
    """What reads samples while the model trains on the dataset of that name."""
    if not isinstance(probe, Generator):
        raise InputError(
            f"the model {spec.model!r} draws no images from noise, and the monitor scans those; "
            "leave monitor_every at 0"
        )
    return choose_watcher(dataset, scoring.extractors.names, scoring.loaded, desk.load, spec.precision)
