"""What a run will do, decided and checked before anything expensive.

A plan holds one cell: a model, a dataset, the metrics and a seed, everything resolved, with the key under
which its record is stored. Runtime knobs (device, batch sizes) are not part of it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from torch import nn

from benchbench.core.baselines import published_weights
from benchbench.core.errors import InputError
from benchbench.core.hashing import digest, file_sha256
from benchbench.core.progress import SILENT, Progress
from benchbench.core.protocols import Classifier, Generator, Trainable, Translator
from benchbench.core.registry import EXTRACTORS, MODELS
from benchbench.data.catalogue import load_dataset, load_domains
from benchbench.data.dataset import Dataset
from benchbench.data.domains import Domains
from benchbench.features.extractor import Extractor
from benchbench.metrics.metric import Metric
from benchbench.metrics.modes import class_judge
from benchbench.metrics.select import STYLIZATION, TRANSLATION, Outcome, select_metrics
from benchbench.models.build import build_model, variant
from benchbench.models.code import code_hash
from benchbench.results.key import cell_key
from benchbench.runner.applies import lacking
from benchbench.runner.judges import Judges, load_judges
from benchbench.runner.monitor import choose_judge, describe_panel
from benchbench.runner.rows import Counts
from benchbench.tasks.translation import task_name
from benchbench.training.recipe import Recipe, load_recipe

DEFAULT_EXTRACTOR = "efficientnet_lite0"
MAX_DEFAULT_SAMPLES = 10_000
TRAINING_VERSION = 1  # raised whenever the loop would make other weights from the same recipe


@dataclass(frozen=True)
class Plan:
    """One cell, resolved. `metrics` have a meaning for this model on this data; `lacking` are those that the user
    named and that have none. `identity` is what the weights come from, `training_key` its digest, `key` names the whole
    cell. `watcher` judges samples while the model trains, None where nobody looks."""

    recipe: Recipe
    config: BaseModel
    variant: str
    dataset: Dataset | Domains
    metrics: Sequence[Metric]
    lacking: Sequence[Outcome]
    judges: Judges
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
        """The model's name."""
        return self.recipe.model

    @property
    def dataset_name(self) -> str:
        """The dataset's name."""
        return self.dataset.name

    @property
    def one_domain(self) -> Dataset:
        """The dataset of a model of one kind of images."""
        assert isinstance(self.dataset, Dataset)
        return self.dataset

    @property
    def two_domains(self) -> Domains:
        """The dataset of a model that turns images into others."""
        assert isinstance(self.dataset, Domains)
        return self.dataset

    def counts(self, metric: Metric) -> Counts:
        """What went into a number: held-out images and their reconstructions, or samples against `train`."""
        if "pairs" in metric.needs:
            return Counts("reconstruction", len(self.one_domain.held_out), None)
        return Counts("generation", self.n_samples, len(self.one_domain.train))

    def build(self) -> nn.Module:
        """The model, freshly initialised from the seed."""
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            return build_model(self.recipe.model, self.recipe.hyper, self.dataset.spec)


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
    device: torch.device,
    progress: Progress = SILENT,
) -> list[Plan]:
    """One plan a seed. Everything that can be refused is refused here, cheapest first.

    extractors: what the metrics read; None is efficientnet_lite0 and, for metrics on classes alone, the judge of
    the dataset's own classes where its weights are at hand. pretrained: load the weights that ship with the
    baseline instead of training.
    """
    if samples is not None and samples < 2:
        raise InputError(f"--samples {samples} is too few: a distribution needs at least 2 images")
    resolved = load_recipe(model, dataset, path=recipe, overrides=overrides)
    if pretrained:
        if weights is not None:
            raise InputError(
                "--pretrained and --weights both say where the weights come from; give one of them"
            )
        weights = published_weights(model, dataset)
    own_judge = None if extractors else class_judge(dataset, EXTRACTORS.names())
    extractors = extractors or [DEFAULT_EXTRACTOR]
    chosen = select_metrics(metrics, extractors, own_judge)
    data = _load(MODELS.get(model), model, dataset, size, progress)
    if isinstance(data, Domains):
        standard = STYLIZATION if data.styles else TRANSLATION
        chosen = select_metrics(metrics, extractors, own_judge, standard)
    named = {metric.name for metric in chosen if not {metric.family, metric.name}.isdisjoint(metrics)}
    probe = build_model(resolved.model, resolved.hyper, data.spec)
    config = probe.config
    if not isinstance(config, BaseModel):
        raise TypeError(f"the model {model!r} must keep its configuration in `config`")
    if weights is not None and not isinstance(probe, Trainable):
        raise InputError(f"the model {model!r} has no weights to load; leave --weights out")
    weights_sha256 = None if weights is None else _sha256_of(weights)
    if isinstance(data, Domains):
        tasks, largest = _tasks(probe, data), max(len(data.a.held_out), len(data.b.held_out))
    else:
        tasks, largest = ["generation", "reconstruction"], len(data.train)
    n_samples = samples or min(largest, MAX_DEFAULT_SAMPLES)
    if isinstance(probe, Classifier) and isinstance(data, Dataset):
        if samples is not None:
            raise InputError(f"the model {model!r} names classes and draws no images; leave --samples out")
        tasks, n_samples = ["classification"], len(data.held_out)
        chosen = [metric for metric in chosen if metric.name in named]
    chosen, judges = _judged(chosen, own_judge, named, device, precision, progress)
    reasons = {metric.name: reason for metric in chosen if (reason := lacking(metric, probe, data))}
    unmet = [
        Outcome(m, None, "failed", reasons[m.name]) for m in chosen if m.name in named and m.name in reasons
    ]
    code = code_hash(type(probe))
    hyper = config.model_dump(mode="json")
    training, watcher = None, None
    if isinstance(probe, Trainable) and weights is None:
        training = {**resolved.training.hyper(), "training_version": TRAINING_VERSION}
        if resolved.training.monitor_every:
            if not isinstance(probe, Generator):
                raise InputError(
                    f"the model {model!r} draws no images from noise, and the monitor looks at those; "
                    "leave monitor_every at 0"
                )
            assert isinstance(data, Dataset)
            watcher = choose_judge(dataset, extractors, judges, device, precision)
            if "monitor_every" in training:  # what is seen decides which weights are handed out
                training["panel"] = describe_panel(watcher, len(data.train))

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
            hyper={"model": resolved.model, **hyper},  # two models may share a module and a config
            training=training,
            weights_sha256=weights_sha256,
            dataset_fingerprint=data.fingerprint,
            task={"names": tasks},
            metrics=[
                *map(judges.specification, chosen),
                # A set such as `standard` has no such row.
                *({"failed": outcome.metric.name} for outcome in unmet),
            ],
            n_samples=n_samples,
            seed=seed,
        )
        plans.append(
            Plan(
                recipe=resolved,
                config=config,
                variant=variant(resolved.model, config),
                dataset=data,
                metrics=[metric for metric in chosen if metric.name not in reasons],
                lacking=unmet,
                judges=judges,
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


def _load(
    model_class: type, model: str, dataset: str, size: int | None, progress: Progress
) -> Dataset | Domains:
    """The dataset as the model takes it: two domains for one that turns images into others."""
    if not (hasattr(model_class, "translate") or hasattr(model_class, "stylize")):
        return load_dataset(dataset, size=size, progress=progress)
    domains = load_domains(dataset, size=size, progress=progress)
    if domains.styles and not hasattr(model_class, "stylize"):
        raise InputError(
            f"{dataset} holds contents and styles, and the model {model!r} turns one domain into another; "
            "use nst or fast-style"
        )
    if not domains.styles and not hasattr(model_class, "translate"):
        raise InputError(
            f"the model {model!r} needs contents and styles, and {dataset} holds two domains; use photographs"
        )
    if getattr(model_class, "paired", False) and not domains.paired_train:
        raise InputError(
            f"the model {model!r} learns from pairs but the training images of {dataset} are not paired "
            f"({len(domains.a.train)} in {domains.a.name}, {len(domains.b.train)} in {domains.b.name}; partners have "
            "the same file name, but for a final _A or _B); use a model for unpaired images, for example cyclegan"
        )
    return domains


def _tasks(probe: nn.Module, data: Domains) -> list[str]:
    """What will be done with a model that turns images into others."""
    if data.styles:
        return ["stylization"]
    assert isinstance(probe, Translator)
    return [task_name(direction) for direction in probe.directions]


def _judged(
    chosen: list[Metric],
    own_judge: str | None,
    named: Collection[str],
    device: torch.device,
    precision: str,
    progress: Progress,
) -> tuple[list[Metric], Judges]:
    """The metrics and their extractors. `own_judge`, which nobody named, computes in float32 whatever the others do;
    where its weights are not at hand, of its metrics only those that the user `named` stay, as unavailable."""
    own = load_judges([metric for metric in chosen if metric.extractor == own_judge], device)
    if own_judge in own.failures:
        kept = [m for m in chosen if m.extractor != own_judge or m.name in named]
        if len(kept) < len(chosen):
            progress.note(f"metrics on classes are left out: {own.failures[own_judge].reason}")
        chosen = kept
        own = load_judges([metric for metric in chosen if metric.extractor == own_judge], device)
    others = load_judges([metric for metric in chosen if metric.extractor != own_judge], device, precision)
    return chosen, Judges(own.extractors | others.extractors, own.failures | others.failures)


def _sha256_of(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise InputError(f"cannot read the weights {path}: {error.strerror}") from error
