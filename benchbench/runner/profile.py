"""A profile: how fast, how large and how dear a model is, measured after its cell and recorded as a cell of its own.

Quality comes from a cell as `run` makes it, with the same weights; a profile has no metric of images. Its record is
kept by the machine as well, for nothing in it means anything elsewhere.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchbench.core.bounds import MOST_BATCH
from benchbench.core.busy import Busy
from benchbench.core.device import describe_machine
from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.protocols import Classifier, Generator, Trainable
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng
from benchbench.data.pipeline.image_source import take
from benchbench.features.frozen import full_float32
from benchbench.metrics.metric import Estimate
from benchbench.models.variants.technique import Technique, written
from benchbench.results.claims.conditions import BUSY
from benchbench.results.store import Store
from benchbench.runner.cell import CellOutcome, run_cell
from benchbench.runner.extractors import ExtractorSet
from benchbench.runner.plan import Plan
from benchbench.runner.plan_keys import keys_of, specified
from benchbench.runner.trained import Prepared
from benchbench.tasks.base import Number, TaskResult, one
from benchbench.tasks.profiling.alone import Asked, peak_alone, spec_of
from benchbench.tasks.profiling.clock import repeated
from benchbench.tasks.profiling.curve import Curve, batch_curve
from benchbench.tasks.profiling.energy import energy_per_image
from benchbench.tasks.profiling.roofline import bytes_moved, copy_rate, product_rate
from benchbench.tasks.profiling.stored import stored_bytes
from benchbench.tasks.profiling.to_quality import time_to_quality
from benchbench.tasks.profiling.training_rate import training_rates
from benchbench.tasks.speed import Measurement, busy_row, measure_cost
from benchbench.training.weights import save_weights

TASK = "profile"
VERSION = 2  # raised whenever the same name would come to mean another measurement
LATENCIES = 100
BUDGET = 20.0  # seconds of them, where the fewest allow it
_MACHINE = ("device_name", "processor", "cores", "threads", "memory_gib")


@dataclass(frozen=True)
class ProfileOptions:
    """How a profile is made. most: the largest batch that is tried; None for 256 on a processor and 65,536 elsewhere.
    time_to: the monitored distance that training is to reach; None where nobody asks how long that took."""

    most: int | None = None
    time_to: float | None = None

    def __post_init__(self) -> None:
        if self.most is not None and not 1 <= self.most <= MOST_BATCH:
            raise InputError(f"most_batch={self.most} is not possible; give 1 to {MOST_BATCH:,} images")
        if self.time_to is not None and not 0 < self.time_to < float("inf"):
            raise InputError(f"time_to={self.time_to} is no distance above 0 to be reached")


def profile_cell(plan: Plan, options: ProfileOptions, store: Store, runtime: Runtime) -> CellOutcome:
    """Measure the model of a plan, or answer from the record of this machine.

    Args:
        plan: Of the cell whose weights are used; they are trained where they are not there. `refuse_others` lets it
            pass.
        options: How.
        store: Where the record goes, and where trained weights are looked for.
        runtime: Where, and who is told.

    Returns:
        Where the record is.

    Raises:
        CellFailed: Training cannot go on.
    """

    def work(own: Plan, prepared: Prepared, runtime: Runtime) -> TaskResult:
        return _measured(own, options, prepared, runtime)

    return run_cell(_planned(plan, options, runtime), store, runtime, work)


def refuse_others(plan: Plan) -> None:
    """`InputError` for a model that neither draws images nor names classes, before it is trained."""
    if not isinstance(plan.build(), Generator | Classifier):
        raise InputError(
            f"a profile is of models that draw images or name classes, and {plan.kept_as} does neither; its rates are "
            "among the rows of benchbench run"
        )


def _planned(plan: Plan, options: ProfileOptions, runtime: Runtime) -> Plan:
    """The plan under the key of its profile, without metrics."""
    about = describe_machine(runtime.device)
    asked: dict[str, Any] = {
        "names": [TASK],
        "version": VERSION,
        "machine": {name: about[name] for name in _MACHINE},
        "device": runtime.device.type,
        "most": options.most,
        "time_to": options.time_to,
        "techniques": specified(plan.techniques),
        "name": plan.name,
    }
    sampling = plan.sampling.model_dump(mode="json")
    keys = keys_of(plan.identity, sampling=sampling, task=asked, metrics=(), n_samples=1)
    return replace(plan, key=keys.cell, metrics=(), lacking=(), extractors=ExtractorSet({}, {}), n_samples=1)


def _measured(plan: Plan, options: ProfileOptions, prepared: Prepared, runtime: Runtime) -> TaskResult:
    """All numbers of a profile. The load is that of the time in which clocks were read."""
    device, busy = runtime.device, Busy()
    found = list(_training(plan, device))  # in the precision of the recipe, which is not that of all else
    with full_float32(), runtime.progress.stage("profiling", 4, "part") as stage:
        model = plan.accelerated(prepared.model, device)
        make = maker(plan, model, device)
        found += _latencies(make, device)
        stage.advance()
        curve = batch_curve(make, device, options.most)
        found += _rates(curve)
        stage.advance()
        cost = [own for own in measure_cost(model, device=device, once=lambda: make(1)) if own.metric != _RSS]
        found += [*cost, *_roofline(plan, make, curve, cost, device)]
        stage.advance()
        others, seconds = busy.others()  # not of the child that comes next
        found.append(busy_row(others / seconds))
        found += _memory(plan, prepared.model, model, make, cost, device)
        n = curve.best if curve.rates else 1
        found.append(_tried("energy_per_image", "J", lambda: energy_per_image(make, n, device), n))
        stage.advance()
    if options.time_to is not None:
        found.append(_time_to(options.time_to, prepared))
    cores = describe_machine(device)["cores"] or 1
    if others / seconds / cores > BUSY:
        runtime.progress.note(
            f"other programs kept {others / seconds:.1f} of {cores} cores busy meanwhile: rates are marked, and "
            "nothing is ranked by them; measure again on a quiet machine, with another --out"
        )
    facts = {"batch_curve": {"end": curve.end, "best": curve.best if curve.rates else None}}
    return TaskResult([Number(own, TASK) for own in found], facts=facts)


_RSS = "peak_memory_rss"  # of this process, with extractors and whatever else it holds
_CUDA, _ALONE = "peak_memory_cuda", "peak_memory_alone"


def maker(plan: Plan, model: nn.Module, device: torch.device) -> Callable[[int], object]:
    """What makes so many answers of a model that `refuse_others` lets pass: images from nothing, or the classes of
    training images."""
    if isinstance(model, Generator):
        return lambda n: model.sample(n, ImageRng(plan.seed, range(n), device))
    assert isinstance(model, Classifier)
    train = one(plan.dataset).train

    @lru_cache(maxsize=1)  # read where nothing is timed: the call that does not count
    def images(n: int) -> Tensor:
        with torch.inference_mode(False):  # what is made in inference mode stays bound to it
            return take(train.images, torch.arange(n) % len(train)).to(device)

    return lambda n: model.classify(images(n))


def _latencies(make: Callable[[int], object], device: torch.device) -> Iterator[Measurement]:
    """Of one image: percentiles."""
    with torch.inference_mode():
        times = [1e3 * own for own in repeated(lambda: make(1), LATENCIES, device, budget=BUDGET)]
    told = f"range of {len(times)} repeats"
    for percent in (50, 95, 99):
        value = float(np.percentile(times, percent))
        estimate = Estimate(value, min(times), max(times), told) if percent == 50 else Estimate(value)
        yield Measurement(f"latency_p{percent}", "throughput", "ms", False, estimate, 1)


def _rates(curve: Curve) -> Iterator[Measurement]:
    """The curve, its highest point, and where that is."""
    best = curve.rates[curve.best] if curve.rates else None
    reason = None if best else curve.end
    yield Measurement("best_rate", "throughput", "images/s", True, best, reason=reason)
    at = None if best is None else Estimate(float(curve.best))
    yield Measurement("best_batch", "cost", "images", None, at, reason=reason)
    for n, rate in curve.rates.items():
        yield Measurement(f"rate_at_{n}", "throughput", "images/s", True, rate, n)


def _training(plan: Plan, device: torch.device) -> Iterator[Measurement]:
    """Of a fresh copy by its recipe; a model that was changed after its training is trained like the one it was."""
    changed = [own for own in plan.techniques if not own.before_training and not own.settings()]
    fresh = plan.build().to(device)
    if changed or not isinstance(fresh, Trainable):
        return
    plan.task.introduce(fresh, plan.dataset)
    data, config = plan.task.training_data(fresh, plan.dataset), plan.recipe.training
    steps, images = training_rates(fresh, data, config, seed=plan.seed, device=device)
    yield Measurement("training_rate", "throughput", "images/s", True, images, config.batch_size)
    yield Measurement("training_steps_rate", "throughput", "steps/s", True, steps, config.batch_size)


def _roofline(
    plan: Plan,
    make: Callable[[int], object],
    curve: Curve,
    cost: list[Measurement],
    device: torch.device,
) -> Iterator[Measurement]:
    """What the machine can do, and the share of it that the model reaches at its best batch."""
    precision = precision_of(plan.techniques)
    product, copied = product_rate(device, precision), copy_rate(device)
    yield Measurement(f"matmul_rate_{precision}", "throughput", "FLOP/s", None, Estimate(product))
    yield Measurement("copy_rate", "throughput", "B/s", None, Estimate(copied))
    flops = next(own for own in cost if own.metric == "flops_per_image")
    rate = curve.rates[curve.best].value if curve.rates else None
    if flops.estimate is None or rate is None:
        yield _share("matmul", None, flops.reason or curve.end)
    else:
        yield _share("matmul", flops.estimate.value * rate / product, None)
    if hidden := next((own for own in plan.techniques if own.name == "compile"), None):
        yield _share(
            "copy", None, f"{hidden.name} makes one operation of several, and hides what lies between them"
        )
    elif rate is None:
        yield _share("copy", None, curve.end)
    else:
        make(curve.best)  # what is read once is no part of an answer
        moved = bytes_moved(lambda: make(curve.best)) / curve.best
        yield Measurement("bytes_per_image", "cost", "B", False, Estimate(moved), curve.best)
        yield _share("copy", moved * rate / copied, None)


def _share(of: str, value: float | None, reason: str | None) -> Measurement:
    estimate = None if value is None else Estimate(value)
    return Measurement(f"share_of_{of}", "throughput", "", True, estimate, reason=reason)


def precision_of(techniques: tuple[Technique, ...]) -> str:
    """In which format a matrix product is the measure: the techniques', float32 where torch has no product in it."""
    said = [own.precision for own in techniques if own.precision in ("bfloat16", "float16")]
    return said[0] if said else "float32"


def _memory(
    plan: Plan,
    trained: nn.Module,
    model: nn.Module,
    make: Callable[[int], object],
    cost: list[Measurement],
    device: torch.device,
) -> Iterator[Measurement]:
    """Bytes of the weights that answer, and the peak of one answer with nothing else. trained: the model before
    techniques changed it. cost: `measure_cost` of the model; of CUDA it has the peak with all weights of the model."""
    needed = stored_bytes(model, lambda own: make(1))
    yield Measurement("weights", "cost", "MiB", False, Estimate(needed / 2**20))
    counted = next((own.estimate for own in cost if own.metric == _CUDA), None)
    if counted is None:
        yield _tried(_ALONE, "MiB", lambda: _alone(plan, trained, device), 1)
    else:
        others = sum(own.nbytes for own in (*model.parameters(), *model.buffers())) - needed
        yield Measurement(_ALONE, "cost", "MiB", False, Estimate(counted.value - others / 2**20), 1)


def _alone(plan: Plan, trained: nn.Module, device: torch.device) -> float:
    if device.type != "cpu":
        raise MetricFailed(f"nobody counts the memory of {device.type} here")
    try:
        with tempfile.TemporaryDirectory(prefix="benchbench-") as folder:
            return peak_alone(_asked(plan, trained, Path(folder) / "weights.safetensors"))
    except (InputError, OSError) as error:
        # A full disk costs this number, and not all that was measured before.
        raise MetricFailed(f"its weights cannot be handed to a process of its own: {error}") from error


def _asked(plan: Plan, trained: nn.Module, path: Path) -> Asked:
    """The model for a process of its own, its weights in a file."""
    if trained.state_dict():
        save_weights(trained, path, name=plan.kept_as)
    return Asked(
        plan.recipe.model,
        plan.recipe.hyper,
        plan.sampling.model_dump(mode="json"),
        spec_of(plan.dataset.spec),
        written(plan.techniques),
        str(path) if trained.state_dict() else None,
    )


def _tried(metric: str, unit: str, work: Callable[[], float], n: int) -> Measurement:
    try:
        return Measurement(metric, "cost", unit, False, Estimate(work()), n)
    except MetricFailed as failure:
        return Measurement(metric, "cost", unit, False, None, n, reason=failure.reason)


def _time_to(wanted: float, prepared: Prepared) -> Measurement:
    judge = (prepared.monitor or {}).get("judge", "monitor")
    metric = f"time_to_fd{wanted:g}_{judge}"
    try:
        return Measurement(metric, "throughput", "s", False, time_to_quality(prepared.training, wanted))
    except MetricFailed as failure:
        return Measurement(metric, "throughput", "s", False, None, reason=failure.reason)
