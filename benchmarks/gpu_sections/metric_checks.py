"""Every pure function and every registered metric: what the device says is what the processor says, to 1e-6."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.core.registry import EXTRACTORS, METRICS
from benchbench.features.moments import Moments
from benchbench.metrics.evidence import CaptionEvidence, Evidence, FeatureEvidence, PairEvidence
from benchbench.metrics.metric import Metric
from benchbench.metrics.pairs.hole import HoleMetric
from benchbench.metrics.pairs.paired import PairedMetric
from benchbench.metrics.select import build_metric
from benchbench.tasks.profiling.roofline import computing
from gpu_sections.carried import stood_in
from gpu_sections.child import Bench, SkippedError
from gpu_sections.metric_table import CALLS, CLASSES, Inputs
from gpu_sections.tools import CPU, device_of, pictures

LIMIT = 1e-6
NEEDS = {"ndb": 1000, "kd_subsets": 1000}  # images without which a metric has no value
ON_IMAGES = (
    "cycle",
    "dists",
    "fsim",
    "gmsd",
    "greys",
    "hole",
    "intra_class",
    "lpips",
    "lpips_vgg",
    "niqe",
    "paired",
    "pose",
    "ssim",
    "vif",
)  # modules to which features are nothing
INTERVAL = 1e-3  # of an interval from halves: their distances are float32, so an image may change its side


def metrics(bench: Bench) -> None:
    """The functions on float64 and on float32 features, then the classes, with TF32 allowed outside."""
    device = device_of(bench)
    n, d = (240, 12) if bench.small else (1000, 32)
    with computing("TF32"):
        for dtype in (torch.float64, torch.float32):
            here = Inputs.make(n, d, dtype)
            there = here.to(device)
            kind = str(dtype).removeprefix("torch.")
            for name, call in CALLS.items():
                if dtype == torch.float32 and name.partition(".")[0] in ON_IMAGES:
                    continue
                with bench.item(f"{name}, {kind}"):
                    _possible(name)
                    expected, seen = _called(call, here), _called(call, there)
                    bench.check(f"{name}, {kind}", difference(expected, seen), LIMIT)
        for name in METRICS.names():
            with bench.item(f"metric {name}"):
                compare(bench, name, max(n, NEEDS.get(name, 0)), d, device)


def _possible(name: str) -> None:
    """Skip what this machine cannot compute."""
    if name.startswith("pose") and "skimage" in stood_in():
        raise SkippedError("scikit-image is not on this machine")


def _called(call: Callable[[Any], Any], argument: Any) -> Any:
    try:
        return call(argument)
    except MetricFailed as failure:
        if failure.status == "unavailable":
            raise SkippedError("its weights are not at hand") from failure
        raise


def compare(bench: Bench, name: str, n: int, d: int, device: torch.device) -> None:
    """The rows of one metric: its value and its interval."""
    _possible(name)
    metric = built(name)
    expected, seen = (
        _called(lambda where: metric.compute(evidence_for(metric, n, d, where)), where)
        for where in (CPU, device)
    )
    bench.check(f"metric {name}", difference([expected.value], [seen.value]), LIMIT)
    ends = [[end for end in (e.low, e.high) if end is not None] for e in (expected, seen)]
    if ends[0] or ends[1]:
        bench.check(f"metric {name}: interval", difference(*ends), INTERVAL)


def built(name: str) -> Metric:
    """The metric of that name, on an extractor on which it is defined."""
    family = METRICS.get(name)
    if not family.uses_extractor:
        return build_metric(name)
    if family.part:
        return family.over(["net", "other"])
    able = ["net", *EXTRACTORS.names()]
    return build_metric(name, next(extractor for extractor in able if family.defined_on(extractor)))


def evidence_for(metric: Metric, n: int, d: int, device: torch.device) -> Evidence:
    """Features, logits and pairs as a run would have gathered them, on `device`."""
    inputs = Inputs.make(n, d, torch.float32)
    inputs.x[1::50] = inputs.x[::50] + 1e-3  # near-twins, which some metrics count
    logits = inputs.logits
    i = inputs.to(device)
    judge, *others = metric.readers or ("net",)

    def side(features: Tensor, order: Tensor) -> dict[str, FeatureEvidence]:
        moments = Moments.zeros(d, device)
        moments.update(features)
        seen = FeatureEvidence(moments, features, logits[order].to(device))
        return dict.fromkeys([judge, *others], seen)

    order = torch.arange(n)
    variants = torch.stack([i.x, i.z], 1)
    return Evidence(
        {
            "generated": side(i.x, order),
            "reference": side(i.y, order.flip(0)),
            "held_out": side(i.z, order.roll(7)),
            "sources": side(i.z, order.roll(7)),
            "variants": {judge: FeatureEvidence(Moments.of(variants.flatten(0, 1)), variants)},
        },
        pairs=_pairs(metric, device),
        labels=(torch.arange(n) % CLASSES).to(device),
        reference_labels=(torch.arange(n) % CLASSES).flip(0).to(device),
        captions=CaptionEvidence({judge: inputs.y[:CLASSES]}, torch.arange(n) % CLASSES),
    )


def _pairs(metric: Metric, device: torch.device) -> dict[str, PairEvidence]:
    """What a paired metric says of pairs of pictures; of a metric of several such numbers, what those would be."""
    x, y = (pictures(3, 161, seed=seed).to(device) for seed in (1, 2))
    if isinstance(metric, PairedMetric):
        if isinstance(metric, HoleMetric):
            holes = torch.zeros_like(x[:, :1], dtype=torch.bool)
            holes[:, :, : holes.shape[2] // 2] = True
            return {metric.role: PairEvidence({metric.name: metric.in_holes(x, y, holes)})}
        return {metric.role: PairEvidence({metric.name: metric.of_pairs(x, y)})}
    if "cycle" not in metric.needs:
        return {}
    errors = torch.linspace(0.1, 0.2, 12, dtype=torch.float64, device=device)
    values = {"cycle_mae": errors, "cycle_mae_exact": errors / 3, "cycle_mae_noise": errors * 2}
    return {"cycle": PairEvidence(values)}


def difference(expected: Any, seen: Any) -> float:
    """The largest difference between two answers of one shape, each part relative to the largest number in it.

    Infinity where they have not the same parts, or one has a number where the other has none.
    """
    left, right = list(numbers(expected)), list(numbers(seen))
    if [part.shape for part in left] != [part.shape for part in right]:
        return math.inf
    found = 0.0
    for a, b in zip(left, right, strict=True):
        if not a.numel():
            continue
        same = (a == b) | (a.isnan() & b.isnan())
        gap = torch.where(same, 0.0, (a - b).abs())
        scale = a[a.isfinite()].abs().max() if a.isfinite().any() else torch.tensor(1.0)
        found = max(found, float((gap / scale.clamp_min(1e-12)).nan_to_num(math.inf, math.inf).max()))
    return found


def numbers(answer: Any) -> Iterator[Tensor]:
    """All numbers in an answer, as float64 tensors on the processor, in a fixed order."""
    if isinstance(answer, Tensor):
        yield answer.detach().cpu().double()
    elif isinstance(answer, np.ndarray):
        yield torch.from_numpy(answer).double()
    elif isinstance(answer, bool | int | float):
        yield torch.tensor(float(answer), dtype=torch.float64)
    elif is_dataclass(answer):
        for field in fields(answer):
            yield from numbers(getattr(answer, field.name))
    elif isinstance(answer, Mapping):
        for key in answer:
            yield from numbers(answer[key])
    elif isinstance(answer, list | tuple):
        for part in answer:
            yield from numbers(part)
