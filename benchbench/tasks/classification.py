"""The classification task: a classifier names the class of every held-out image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from benchbench.core.errors import CellFailed, InputError
from benchbench.core.protocols import Classifier
from benchbench.core.runtime import HERE, Runtime
from benchbench.data.pipeline.image_source import Images, batches_of, take
from benchbench.metrics.metric import Metric
from benchbench.metrics.sets.prdc import share_estimate
from benchbench.tasks.base import Number, OneDataset, Request, TaskData, TaskResult, one
from benchbench.tasks.speed import Measurement, measure_cost

CLASSIFICATION_BATCH = 256


class Classification(OneDataset):
    """A classifier names the classes of held-out images: its accuracy, and what it costs."""

    name: ClassVar[str] = "classification"
    standard: ClassVar[Sequence[str]] = ()
    headlines: ClassVar[Mapping[str, Sequence[str]]] = {"classification": ("accuracy",)}
    reads_extractors: ClassVar[bool] = False

    def takes(self, model: type) -> bool:
        """A model that classifies."""
        return hasattr(model, "classify")

    def n_samples(self, model: str, data: TaskData, asked: int | None) -> int:
        """All held-out images."""
        if asked is not None:
            raise InputError(f"the model {model!r} names classes and draws no images; leave --samples out")
        return len(one(data).held_out)

    def inapplicable(self, metric: Metric, model: nn.Module, data: TaskData) -> str | None:
        """All of them: they are of images that a model makes."""
        return "this model names classes and draws no images"

    def run(self, model: nn.Module, data: TaskData, request: Request, runtime: Runtime) -> TaskResult:
        """Accuracy on the held-out split, and what the classifier costs."""
        assert isinstance(model, Classifier)
        held_out = one(data).held_out
        assert held_out.labels is not None  # a classifier is not built for a dataset without labels
        correct = classify(model, held_out.images, held_out.labels, runtime)
        accuracy = share_estimate(correct, "held-out images")
        first, device = take(held_out.images, torch.zeros(1, dtype=torch.int64)), runtime.device
        cost = runtime.comm.first(
            lambda: measure_cost(model, device=device, once=lambda: model.classify(first.to(device)))
        )
        found = Measurement("accuracy", "quality", "", True, accuracy, len(held_out))
        numbers = [Number(outcome, self.name, len(held_out)) for outcome in request.unmet]
        return TaskResult([*numbers, *(Number(own, self.name) for own in (found, *cost))])


def classify(model: Classifier, images: Images, labels: Tensor, runtime: Runtime = HERE) -> Tensor:
    """Which of `images` (uint8 RGB N×3×H×W) get their own label (int64 (N,)) as the largest logit: bool (N,). Each rank
    takes its share of them.

    `CellFailed` for logits that are not finite: their largest entry would be a class all the same.
    """
    found = [torch.empty(0, dtype=torch.int64)]
    shard = runtime.comm.shard(len(images))

    def read() -> None:
        with runtime.progress.stage("classifying held-out images", len(shard), "image") as stage:
            for some in batches_of(images, runtime.batch(CLASSIFICATION_BATCH), shard):
                with torch.inference_mode():
                    logits = model.classify(some.to(runtime.device)).cpu()
                if not torch.isfinite(logits).all():
                    raise CellFailed("the classifier's logits are not finite; train it with a lower lr")
                found.append(logits.argmax(1))
                stage.advance(len(logits))

    runtime.comm.together(read)
    return runtime.comm.rows(torch.cat(found)) == labels
