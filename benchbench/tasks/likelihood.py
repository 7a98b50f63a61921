"""The likelihood task: how probable a model finds held-out images, in bits a dimension.

A model that says so (`core.protocols.Likelihood`) is asked for -log p of each held-out 8-bit image, in nats; the number
is their mean, divided by ln 2 and by the dimensions C·H·W, of which grey data have one a pixel. A model that spreads
itself over all 256 levels alike has 8.

The exact probability of the image is `bits_per_dim`. A bound, or the density of an image with noise on it, is another
quantity and has another name, `bits_per_dim_elbo` or `bits_per_dim_uniform`: whatever pairs, ranks or tests numbers
does so by name, and never holds one against the other. What each is, run.json says under `likelihood`.

Image i draws from a stream of its own, by its number in the split: the same noise whatever the batch, the ranks, and
however many images are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from benchbench.core.errors import CellFailed, InputError
from benchbench.core.protocols import Likelihood, LikelihoodEstimate
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng, permutation
from benchbench.data.dataset import Dataset
from benchbench.data.pipeline.image_source import Images, take
from benchbench.metrics.metric import Metric
from benchbench.metrics.pairs.paired import mean_over_images
from benchbench.tasks.base import Number, OneDataset, Request, TaskData, TaskResult, one
from benchbench.tasks.speed import Measurement, measure_cost

TASK = "likelihood"
EXACT = "bits_per_dim"
LIKELIHOOD_BATCH = 64
SLACK = 1e-4  # bits a dimension by which rounding in float32 may make an image more probable than certain


class LikelihoodTask(OneDataset):
    """How probable a model finds held-out images: bits a dimension, exact values and bounds by names of their own."""

    name: ClassVar[str] = TASK
    standard: ClassVar[Sequence[str]] = ()
    headlines: ClassVar[Mapping[str, Sequence[str]]] = {TASK: (EXACT,)}
    reads_extractors: ClassVar[bool] = False

    def takes(self, model: type) -> bool:
        """A model that says how probable images are."""
        return hasattr(model, "likelihoods")

    def parts(self, model: nn.Module) -> list[str]:
        """The task; `InputError` for a model whose settings leave no probability of 8-bit images."""
        assert isinstance(model, Likelihood)
        if not model.likelihoods():
            raise InputError(
                "with these settings the model gives 8-bit images no probability, so there is nothing to measure; see "
                "docs/likelihood.md for those that do"
            )
        return [TASK]

    def n_samples(self, model: str, data: TaskData, asked: int | None) -> int:
        """All held-out images, or as many of them as were asked for."""
        own = one(data)
        have = len(own.held_out)
        if asked is not None and asked > have:
            raise InputError(f"{own.name} has {have} held-out images; ask for --samples {have} or fewer")
        return asked or have

    def inapplicable(self, metric: Metric, model: nn.Module, data: TaskData) -> str | None:
        """All of them: they are of images that a model makes."""
        return "here the model says how probable images are and draws none"

    def run(self, model: nn.Module, data: TaskData, request: Request, runtime: Runtime) -> TaskResult:
        """Bits a dimension by every estimate that the model has, and what the best one costs."""
        assert isinstance(model, Likelihood)
        own = one(data)
        estimates = model.likelihoods()
        numbers, facts = likelihood(model, estimates, own, request.n_samples, request.seed, runtime)
        device, best = runtime.device, estimates[0].name
        first = take(own.held_out.images, torch.zeros(1, dtype=torch.int64)).to(device)

        def once() -> Tensor:
            return model.nats(first, best, ImageRng(request.seed, [0], device))

        cost = runtime.comm.first(lambda: measure_cost(model, device=device, once=once))
        unmet = [Number(outcome, TASK, request.n_samples) for outcome in request.unmet]
        return TaskResult([*unmet, *numbers, *(Number(found, TASK) for found in cost)], facts=facts)


def affordable(model: nn.Module) -> Sequence[LikelihoodEstimate]:
    """The estimates of `model` that are not costly: those that a cell of generation has."""
    if not isinstance(model, Likelihood):
        return ()
    return [estimate for estimate in model.likelihoods() if not estimate.costly]


def likelihood_beside(
    model: nn.Module, data: Dataset, seed: int, runtime: Runtime
) -> tuple[list[Number], dict[str, Any]]:
    """`likelihood` of all held-out images by what is `affordable`; nothing where nothing is."""
    estimates = affordable(model)
    if not estimates:
        return [], {}
    assert isinstance(model, Likelihood)
    return likelihood(model, estimates, data, len(data.held_out), seed, runtime)


def likelihood(
    model: Likelihood,
    estimates: Sequence[LikelihoodEstimate],
    data: Dataset,
    n: int,
    seed: int,
    runtime: Runtime,
) -> tuple[list[Number], dict[str, Any]]:
    """Bits a dimension of held-out images by each of `estimates`, and the facts of run.json about them.

    n: how many images; fewer than there are are the first in an order that depends on how many there are alone.
    """
    images, dims = data.held_out.images, data.spec.channels * data.spec.height * data.spec.width
    rows = torch.from_numpy(permutation(0, len(images))[:n]).sort().values
    numbers = []
    for estimate in estimates:
        bits = nats_of(model, estimate.name, images, rows, seed, runtime) / (math.log(2) * dims)
        numbers.append(Number(measured(estimate, bits), TASK))
    told = {
        name_of(estimate): {
            "relation": estimate.relation,
            "dequantization": estimate.dequantization,
            **estimate.facts,
        }
        for estimate in estimates
    }
    return numbers, {TASK: {"dims": dims, "images": n, "split": "held out", "estimates": told}}


def name_of(estimate: LikelihoodEstimate) -> str:
    """The name of its number.

    >>> name_of(LikelihoodEstimate("elbo", "upper bound", "none"))
    'bits_per_dim_elbo'
    """
    return f"{EXACT}_{estimate.name}" if estimate.name else EXACT


def measured(estimate: LikelihoodEstimate, bits: Tensor) -> Measurement:
    """The mean of bits a dimension of each image, float64 (N,), with its interval; or why there is none."""
    # A density may be above 1, and so may what one draw says of a probability.
    certain = 0.0 if estimate.relation == "exact" and estimate.dequantization == "none" else None
    reason = _fault(bits, certain)
    return Measurement(
        name_of(estimate),
        "quality",
        "bits",
        False,
        None if reason else mean_over_images(bits, (certain, None)),
        len(bits),
        "linear",
        (certain, None),
        reason=reason,
    )


def _fault(bits: Tensor, least: float | None) -> str | None:
    lost = int((~torch.isfinite(bits)).sum())
    if lost:
        return (
            f"the model gives {lost} of {len(bits)} held-out images no finite likelihood, so they have no mean; "
            "train it with a lower lr, or clip gradients"
        )
    if least is not None and float(bits.min()) < least - SLACK:
        return "the model calls an image more probable than certain, so what it states is no probability"
    return None


def nats_of(
    model: Likelihood, estimate: str, images: Images, rows: Tensor, seed: int, runtime: Runtime
) -> Tensor:
    """-log p in nats, float64 (N,) on the CPU, of the images of these numbers, int64 (N,). Each rank takes its share of
    them. `CellFailed` where the model returns anything but one number an image."""
    shard = runtime.comm.shard(len(rows))
    found = [torch.empty(0, dtype=torch.float64)]

    def read() -> None:
        title = f"asking how probable held-out images are ({estimate or 'exact'})"
        with runtime.progress.stage(title, len(shard), "image") as stage:
            for some in _batches(rows[shard.start : shard.stop], runtime.batch(LIKELIHOOD_BATCH)):
                batch = take(images, some).to(runtime.device)
                rng = ImageRng(seed, some.tolist(), runtime.device)
                with torch.inference_mode():
                    nats = model.nats(batch, estimate, rng)
                found.append(_checked(nats, len(some)))
                stage.advance(len(some))

    runtime.comm.together(read)
    return runtime.comm.rows(torch.cat(found))


def _batches(rows: Tensor, size: int) -> Iterable[Tensor]:
    return rows.split(size) if len(rows) else ()


def _checked(nats: object, n: int) -> Tensor:
    if not isinstance(nats, Tensor) or nats.shape != (n,) or not nats.is_floating_point():
        said = tuple(nats.shape) if isinstance(nats, Tensor) else type(nats).__name__
        raise CellFailed(f"the model's nats must be {n} real numbers, one an image, but are {said}")
    return nats.cpu().double()
