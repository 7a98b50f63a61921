"""From a plan to a model that can be asked: shown the data, loaded, trained, or trained before.

What training has reached lies in the store's work folder until the cell is stored, under the key of the training
alone: a killed run goes on from its last checkpoint, and another set of metrics on the same weights does not train
them again.
"""

from __future__ import annotations

import copy
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn

from benchbench.core.comm import Comm
from benchbench.core.errors import InputError
from benchbench.core.progress import Progress
from benchbench.core.protocols import Examined, Fittable, Sampled, Trainable
from benchbench.core.runtime import Runtime
from benchbench.core.weights_file import read_weights
from benchbench.data.pipeline.decode import NoRoomError
from benchbench.data.pipeline.image_source import Images, in_memory
from benchbench.results.claims.conditions import beyond_one_a_core
from benchbench.results.manifest import Machine, RunManifest, Training, demand
from benchbench.results.provenance import read_manifest
from benchbench.results.store import RUN, WEIGHTS, Store
from benchbench.runner.labels import variant
from benchbench.runner.logged import tell_samples
from benchbench.runner.monitor import Panel
from benchbench.runner.plan import Plan
from benchbench.sinks.feed import Feed
from benchbench.training.checkpoint import Checkpoints
from benchbench.training.recipe import Recipe, other_recipes
from benchbench.training.state import TrainingResult
from benchbench.training.step.standing import keeps_old_statistics
from benchbench.training.trainer import train
from benchbench.training.watch.alarm import first_collapse
from benchbench.training.watch.curves import FILE as CURVES
from benchbench.training.watch.curves import write_curves
from benchbench.training.weights import load_weights, save_weights

PICTURE = "training.png"
BEST = "best.safetensors"
_IN_FILES = ("curves", "best_weights")  # of a `TrainingResult`: what is no part of run.json


class Prepared(NamedTuple):
    """A model in eval mode, what its training left where it was trained, and which monitor watched, as run.json has
    it."""

    model: nn.Module
    training: TrainingResult | None
    monitor: dict[str, Any] | None


def prepare(plan: Plan, store: Store, runtime: Runtime, feed: Feed) -> Prepared:
    """The model of the plan on the runtime's device, ready to be asked; the same one on all ranks. feed: who is told
    how its training goes."""
    device, progress, comm = runtime.device, runtime.progress, runtime.comm
    model = plan.build().to(device)
    if isinstance(model, Examined) and getattr(model, "config", None) != plan.config:
        raise InputError(
            f"the files of {plan.kept_as} were changed while they were in use; run the same command again"
        )
    training, monitor = None, None
    plan.task.introduce(model, plan.dataset)
    if isinstance(model, Fittable) and not getattr(model, "ready", False):
        data = plan.task.training_data(model, plan.dataset)
        model.fit(*(_all(images, plan.recipe.model) for images in (data.images, data.held_out)))
    elif plan.weights is not None:
        _load_unchanged(model, plan, plan.weights, progress)
    elif (
        isinstance(model, Trainable)
        and (before := comm.first(lambda: trained_before(plan, store))) is not None
    ):
        training, monitor = comm.first(lambda: _taken_over(model, before))
        _spread(model, comm)
        progress.note(f"the weights are there already, from {before}")
    elif isinstance(model, Trainable):
        if device.type == "cuda" and has_larger(plan.recipe):
            progress.note("this recipe is for two cores; --recipe gpu is the one for a GPU")
        if keeps_old_statistics(model, plan.recipe.training):
            progress.note(
                "averaged weights are handed out with batch statistics of the last ones; --set standing_statistics=16 "
                "measures them anew, and images are mostly better"
            )
        # Weights that the training chooses or measures by samples serve every sampling.
        if isinstance(model, Sampled):
            model.sampling = type(model).Sampling()
        panel, data = None, plan.task.training_data(model, plan.dataset)
        if plan.watcher is not None:
            made = partial(
                Panel,
                plan.watcher,
                data.images,
                data.labels,
                device=device,
                selects=plan.recipe.training.checkpoint == "best",
                progress=progress,
                shown=partial(tell_samples, feed) if feed else None,
            )
            # One rank reads the real images; what they say is in the cache then.
            panel = comm.first_alone(made)
            monitor = {"every": plan.recipe.training.monitor_every, **panel.describe()}
        training = train(
            model,
            data,
            plan.recipe.training,
            seed=plan.seed,
            device=device,
            comm=comm,
            checkpoints=Checkpoints(comm.first(lambda: store.workdir(plan.training_key)), plan.identity),
            progress=progress,
            monitor=panel,
            listener=feed.curves if feed else None,
        )
        if isinstance(model, Sampled):
            model.sampling = plan.sampling
    model.eval()
    if isinstance(model, Examined):
        for note in model.examine(device):
            progress.note(f"note: {note}")
    return Prepared(model, training, monitor)


def _taken_over(model: nn.Module, cell: Path) -> tuple[TrainingResult, dict[str, Any] | None]:
    """Load the weights of another cell's training; with what that one left, and which monitor watched it."""
    load_weights(model, cell / WEIGHTS)
    return read_training(cell), read_manifest(cell / RUN).monitor


def _spread(model: nn.Module, comm: Comm) -> None:
    """Give the model the weights that it has on rank 0."""
    if comm.size > 1:
        weights = comm.first(lambda: {name: value.cpu() for name, value in model.state_dict().items()})
        model.load_state_dict(weights)


def has_larger(recipe: Recipe) -> bool:
    """Whether one for a GPU ships beside this recipe, which trains the weights that a baseline's own does."""
    return not variant(recipe, trained=True) and "gpu" in other_recipes(recipe.model, recipe.dataset)


def _load_unchanged(model: nn.Module, plan: Plan, path: Path, progress: Progress) -> None:
    """Load the weights that were asked for. `InputError` unless what was read is, to the last bit, what the plan was
    made of: the record names its sha256, and is served again under it."""
    before = os.stat(path) if path.exists() else None
    sha256 = load_weights(model, path, plan.allow_pickle, progress)
    after = os.stat(path)
    # The digest is of the file after it was read; that it was no other one meanwhile its identity and times tell.
    same = before is not None and all(
        getattr(before, name) == getattr(after, name)
        for name in ("st_dev", "st_ino", "st_size", "st_mtime_ns")
    )
    if sha256 != plan.weights_sha256 or not same:
        raise InputError(
            f"the weights {path} were changed while they were in use; run the same command again"
        )


def _all(images: Images, model: str) -> Tensor:
    """The images in memory, for a model that is shown them at once; `InputError` where they do not fit."""
    try:
        return in_memory(images)
    except NoRoomError as error:
        raise InputError(f"the model {model!r} is shown all images at once, and {error}") from error


def trained_before(plan: Plan, store: Store) -> Path | None:
    """A finished cell whose weights came from the same training, asked for other numbers then. One that nobody
    watched while it trained will not do for a plan that watches, nor one whose weights were taken away."""
    model = plan.kept_as
    for dataset in store.datasets(first=plan.dataset.name):
        for folder in store.cells(dataset, model):
            run = read_manifest(folder / RUN)
            same = run.training_key == plan.training_key and (folder / WEIGHTS).exists()
            if same and (plan.watcher is None or run.monitor):
                return store.find(dataset, model, folder.name)
    return None


def write_training(folder: Path, name: str, model: nn.Module, training: TrainingResult | None) -> None:
    """The curves and their picture, the weights that are handed out, and the best ones where those are others."""
    if training is not None:
        from benchbench.views.curves import Alarm, plot_curves  # matplotlib takes half a second to import

        write_curves(folder, training.curves)
        seen = training.collapse
        alarm = None if seen is None else Alarm(seen["step"], seen["words"])
        plot_curves(folder / CURVES, folder / PICTURE, alarm)
    if any(True for _ in model.parameters()):
        save_weights(model, folder / WEIGHTS, name=name)
    if training is not None and training.best_weights is not None:
        best = copy.deepcopy(model)
        best.load_state_dict(training.best_weights)
        handed_out = model.state_dict()
        if any(not torch.equal(handed_out[key], value) for key, value in best.state_dict().items()):
            save_weights(best, folder / BEST, name=name)


def summary(training: TrainingResult) -> Training:
    """What run.json says of a training."""
    return Training(**{name: value for name, value in vars(training).items() if name not in _IN_FILES})


def read_training(cell: Path) -> TrainingResult:
    """What `write_training` and `summary` put down, the curves judged again: a record says what the present alarm
    says. Where an alarm of its time ended the training, that one stays."""
    # pyarrow rounds correctly, so what was written is what is read.
    curves: Any = pd.read_csv(cell / CURVES, engine="pyarrow").to_dict("records")
    best = read_weights(cell / BEST).content if (cell / BEST).is_file() else None
    run = demand(cell / RUN, _Trained, read_manifest(cell / RUN).as_json())
    found = TrainingResult(curves=curves, best_weights=best, **_result(run.training))
    if found.machine_busy is None:
        found = replace(found, machine_busy=_busy_by_load(run.machine))
    if run.status == "collapsed":
        return found
    collapse = first_collapse(curves)
    return replace(found, collapse=None if collapse is None else dict(vars(collapse)))


def _result(training: Training) -> dict[str, Any]:
    """As `TrainingResult` takes it."""
    return training.model_dump(include=set(Training.model_fields), exclude_unset=True)


class _Trained(RunManifest):
    """What is read of a training that another cell goes on from."""

    training: Training
    machine: Machine


def _busy_by_load(machine: Machine) -> float | None:
    """Cores that others kept busy, of a training from before anybody measured it: what the load says beyond one process
    a core. Programs that wait for one are in the load, and no more than all cores can be busy."""
    beyond = beyond_one_a_core(machine.load_1min, machine.cores)
    return None if beyond is None else min(beyond, 1.0) * float(machine.cores or 0)
