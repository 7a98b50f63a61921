"""The matching task: which caption belongs to an image, asked of held-out pairs.

It audits a matcher: the same numbers as `text-to-image` has of generated images, here of real ones, are the best that a
generator can be expected to have under it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import TextMatcher
from benchbench.core.runtime import Runtime
from benchbench.data.pipeline.image_source import take
from benchbench.metrics.metric import Metric
from benchbench.tasks.alignment import R_PRECISION, alignment
from benchbench.tasks.base import Number, Request, TaskData, TaskResult
from benchbench.tasks.captioned import OfCaptions, captioned, held_out_codes, pool_of
from benchbench.tasks.speed import measure_cost

TASK = "matching"
MATCHING_BATCH = 256


class Matching(OfCaptions):
    """A matcher says which caption each held-out image has: how often it is right, and what it costs."""

    name: ClassVar[str] = TASK
    standard: ClassVar[Sequence[str]] = ()
    headlines: ClassVar[Mapping[str, Sequence[str]]] = {TASK: (R_PRECISION,)}
    reads_extractors: ClassVar[bool] = False

    def takes(self, model: type) -> bool:
        """A model that brings images and captions into one space."""
        return all(hasattr(model, name) for name in ("image_codes", "caption_codes"))

    def n_samples(self, model: str, data: TaskData, asked: int | None) -> int:
        """All held-out images."""
        if asked is not None:
            raise InputError(f"the model {model!r} reads images and draws none; leave --samples out")
        return len(captioned(data).held_out)

    def inapplicable(self, metric: Metric, model: nn.Module, data: TaskData) -> str | None:
        """All of them: they are of images that a model makes."""
        return "this model reads images and draws none"

    def run(self, model: nn.Module, data: TaskData, request: Request, runtime: Runtime) -> TaskResult:
        """R-precision and ranks on the held-out split."""
        assert isinstance(model, TextMatcher)
        own, device = captioned(data), runtime.device
        images = own.dataset.held_out.images
        captions, numbers = pool_of(own)
        seen = held_out_codes(model.image_codes, own, MATCHING_BATCH, runtime)
        with torch.inference_mode():
            texts = model.caption_codes(captions.to(device)).cpu()
        found = alignment(seen, texts, numbers, torch.arange(len(seen)))
        first = take(images, torch.zeros(1, dtype=torch.int64)).to(device)

        def once() -> Tensor:
            return model.image_codes(first)

        cost = runtime.comm.first(lambda: measure_cost(model, device=device, once=once))
        unmet = [Number(outcome, TASK, len(images)) for outcome in request.unmet]
        return TaskResult(
            [*unmet, *(Number(own, TASK) for own in (*found, *cost))],
            facts={TASK: {"captions": len(captions), "images": len(images), "split": "held out"}},
        )
