"""What a run will do, decided and checked before anything expensive.

A plan holds one cell: a model, a dataset, the metrics and a seed, everything resolved, with the key under
which its record is stored. Runtime knobs (device, batch sizes) are not part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import BaseModel
from torch import nn

from benchbench.core.baselines import published_weights
from benchbench.core.errors import InputError
from benchbench.core.hashing import digest, file_sha256
from benchbench.core.progress import SILENT, Progress
from benchbench.core.protocols import Generator, Trainable
from benchbench.core.registry import EXTRACTORS
from benchbench.features.extractor import Extractor
from benchbench.metrics.metric import Metric
from benchbench.metrics.select import STANDARD, Outcome, select_metrics
from benchbench.models.build import build_model, configure_sampling
from benchbench.models.code import code_hash
from benchbench.results.key import cell_key
from benchbench.runner.judges import (
    DEFAULT_EXTRACTOR,
    Chosen,
    Judges,
    choose_extractors,
    enlarged_notes,
    load_chosen,
)
from benchbench.runner.labels import checked_name, settings, variant
from benchbench.runner.monitor import choose_judge, describe_panel
from benchbench.tasks.base import Request, Task, TaskData, load_for
from benchbench.training.recipe import Recipe, load_recipe

TRAINING_VERSION = 1  # raised whenever the loop would make other weights from the same recipe
SAMPLING_VERSION = 1  # raised whenever the same weights would be asked with other random numbers


@dataclass(frozen=True)
class Plan:
    """One cell, resolved. `metrics` have a meaning for this model on this data; `lacking` are those that the user
    named and that have none. `name` is what its owner calls it, None for the model's own; `variant` what was set away
    from the shipped recipe, "" under a name; `settings` all that tells two recipes apart. `ranked_on` are the
    extractors by which models of this dataset are ranked, first one first. `identity` is what the weights come from,
    `training_key` its digest, `key` names the whole cell. `watcher` judges samples while the model trains, None where
    nobody looks. `notes`: what a reader should know of these extractors on this data. `task`: what the
    model is asked to do with the dataset."""

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
    judges: Judges
    ranked_on: Sequence[str]
    notes: Sequence[str]
    watcher: Extractor | None
    n_samples: int
    seed: int
    weights: Path | None
    weights_sha256: str | None
    allow_pickle: bool
    identity: dict[str, Any]
    training_key: str
    key: str

    @property
    def model(self) -> str:
        """What rows call it."""
        return self.name or self.recipe.model

    @property
    def dataset_name(self) -> str:
        """The dataset's name."""
        return self.dataset.name

    @property
    def request(self) -> Request:
        """What the task is asked for."""
        judges = self.judges
        return Request(
            self.metrics, self.lacking, judges.extractors, judges.failures, self.n_samples, self.seed
        )

    def build(self) -> nn.Module:
        """The model, freshly initialised from the seed."""
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            return build_model(self.recipe.model, self.recipe.hyper, self.dataset.spec, self.recipe.sampling)


def make_plans(
    model: str,
    dataset: str,
    *,
    seeds: Sequence[int],
    samples: int | None = None,
    size: int | None = None,
    recipe: Path | None = None,
    overrides: Sequence[str] = (),
    weights: Path | None = None,
    allow_pickle: bool = False,
    pretrained: bool = False,
    metrics: Sequence[str] = ("standard",),
    extractors: Sequence[str] | None = None,
    precision: str = "float32",
    name: str | None = None,
    task: str | None = None,
    device: torch.device,
    progress: Progress = SILENT,
) -> list[Plan]:
    """One plan a seed. Everything that can be refused is refused here, cheapest first.

    extractors: what the metrics read; None is the judge that the dataset names and efficientnet_lite0
    (`runner.judges.choose_extractors`), and for metrics on classes alone the judge of the dataset's own classes where
    its weights are at hand. pretrained: load the weights that ship with the baseline instead of training. name: what
    rows call the model, instead of its own name and variant. task: which of several that the model can be asked for.
    """
    name = checked_name(name)
    if samples is not None and samples < 2:
        raise InputError(f"--samples {samples} is too few: a distribution needs at least 2 images")
    resolved = load_recipe(model, dataset, path=recipe, overrides=overrides)
    if pretrained:
        if weights is not None:
            raise InputError(
                "--pretrained and --weights both say where the weights come from; give one of them"
            )
        weights = published_weights(model, dataset)
    select_metrics(
        metrics, extractors or EXTRACTORS.names()
    )  # a typing error is told before any image is read
    chosen, data = load_for(model, dataset, size, progress, task)
    probe = build_model(resolved.model, resolved.hyper, data.spec)
    config = probe.config
    if not isinstance(config, BaseModel):
        raise TypeError(f"the model {model!r} must keep its configuration in `config`")
    if weights is not None and not isinstance(probe, Trainable):
        raise InputError(f"the model {model!r} has no weights to load; leave --weights out")
    weights_sha256 = None if weights is None else _sha256_of(weights)
    trained = isinstance(probe, Trainable) and weights is None
    code, hyper = code_hash(type(probe)), config.model_dump(mode="json")
    sampling = configure_sampling(resolved.model, resolved.sampling)
    drawing = sampling.model_dump(mode="json")
    label = variant(resolved, trained=trained, weights_sha256=weights_sha256, published=pretrained)
    parts, n_samples = chosen.parts(probe), chosen.n_samples(model, data, samples)
    scoring = _scoring(chosen, probe, data, metrics, extractors, device, precision, progress)
    training, watcher = None, None
    if trained:
        training = {**resolved.training.hyper(), "training_version": TRAINING_VERSION}
        watcher = _watcher(probe, resolved, dataset, scoring, device, precision)
        if watcher is not None and "monitor_every" in training:
            # What is seen decides which weights are handed out.
            training["panel"] = describe_panel(watcher, len(chosen.training_data(probe, data).images))

    plans = []
    for seed in seeds:
        identity = {
            "code": code,
            "model": resolved.model,
            "hyper": hyper,
            "training": training,
            "weights_sha256": weights_sha256,
            "dataset": data.fingerprint,
            "seed": seed,
        }
        key = cell_key(
            model_code=code,
            hyper={"model": resolved.model, **hyper},  # two models may share a class and a config
            sampling={**drawing, "sampling_version": SAMPLING_VERSION},
            training=training,
            weights_sha256=weights_sha256,
            dataset_fingerprint=data.fingerprint,
            task={"names": parts} if name is None else {"names": parts, "name": name},
            metrics=scoring.specifications,
            n_samples=n_samples,
            seed=seed,
        )
        plans.append(
            Plan(
                recipe=resolved,
                config=config,
                sampling=sampling,
                name=name,
                variant=label if name is None else "",
                settings=settings(
                    code, hyper, drawing, resolved.training, trained=trained, weights_sha256=weights_sha256
                ),
                task=chosen,
                dataset=data,
                metrics=scoring.metrics,
                lacking=scoring.lacking,
                judges=scoring.judges,
                ranked_on=scoring.extractors.names,
                notes=scoring.notes,
                watcher=watcher,
                n_samples=n_samples,
                seed=seed,
                weights=weights,
                weights_sha256=weights_sha256,
                allow_pickle=allow_pickle,
                identity=identity,
                training_key=digest(identity),
                key=key,
            )
        )
    return plans


class _Scoring(NamedTuple):
    """The metrics of a cell, those that have a meaning and those that were named and have none, and who reads for them.
    `specifications`: what the key says of them."""

    metrics: list[Metric]
    lacking: list[Outcome]
    extractors: Chosen
    judges: Judges
    specifications: list[dict[str, Any]]
    notes: list[str]


def _scoring(
    task: Task,
    probe: nn.Module,
    data: TaskData,
    names: Sequence[str],
    asked: Sequence[str] | None,
    device: torch.device,
    precision: str,
    progress: Progress,
) -> _Scoring:
    """What is asked of `probe` on `data`, the extractors loaded."""
    # Where no extractor sees anything of the model it may be the very one that is missing.
    extractors = choose_extractors(
        asked or (None if task.reads_extractors else [DEFAULT_EXTRACTOR]), data, device
    )
    standard = task.standard if task.reads_extractors else STANDARD
    chosen = select_metrics(names, extractors.names, extractors.own, standard)
    named = {metric.name for metric in chosen if not {metric.family, metric.name}.isdisjoint(names)}
    if not task.reads_extractors:
        chosen = [metric for metric in chosen if metric.name in named]
    chosen, judges = load_chosen(chosen, extractors, named, device, precision, progress)
    reasons = {metric.name: reason for metric in chosen if (reason := task.inapplicable(metric, probe, data))}
    unmet = [
        Outcome(m, None, "failed", reasons[m.name]) for m in chosen if m.name in named and m.name in reasons
    ]
    for note in extractors.notes:
        progress.note(note)
    return _Scoring(
        metrics=[metric for metric in chosen if metric.name not in reasons],
        lacking=unmet,
        extractors=extractors,
        judges=judges,
        specifications=[
            *map(judges.specification, chosen),
            # A set such as `standard` has no such row.
            *({"failed": outcome.metric.name} for outcome in unmet),
        ],
        notes=[*extractors.notes, *enlarged_notes(data, judges)],
    )


def _watcher(
    probe: nn.Module,
    recipe: Recipe,
    dataset: str,
    scoring: _Scoring,
    device: torch.device,
    precision: str,
) -> Extractor | None:
    """Who judges samples while the model trains; None where nobody was asked to look."""
    if not recipe.training.monitor_every:
        return None
    if not isinstance(probe, Generator):
        raise InputError(
            f"the model {recipe.model!r} draws no images from noise, and the monitor looks at those; "
            "leave monitor_every at 0"
        )
    return choose_judge(dataset, scoring.extractors.names, scoring.judges, device, precision)


def _sha256_of(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise InputError(f"cannot read the weights {path}: {error.strerror}") from error
