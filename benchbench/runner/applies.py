"""Which metrics have a meaning for a model on its data, and what is missing where one has none."""

from __future__ import annotations

from torch import nn

from benchbench.core.protocols import Autoencoder, Classifier, Conditional, Cyclic, Hinted
from benchbench.data.dataset import Dataset
from benchbench.data.domains import Domains
from benchbench.metrics.metric import OF_MODELS, Metric, Need
from benchbench.metrics.modes import ConditionalAccuracy, class_judge

OF_TRANSLATORS = "this asks a model that turns images into others; see benchbench run --model cyclegan"

_OF_EXTRACTORS: frozenset[Need] = frozenset({"moments", "features", "logits"})
_STYLIZATION: frozenset[Need] = _OF_EXTRACTORS | {"style", "sources"}
_TRANSLATION: frozenset[Need] = _OF_EXTRACTORS | {"identity", "sources", "variants"}


def lacking(metric: Metric, model: nn.Module, data: Dataset | Domains) -> str | None:
    """Why `metric` has no meaning for `model` on `data`, in words for a record; None where it has one."""
    if isinstance(data, Dataset):
        return _of_generation(metric, model, data)
    if metric.needs_held_out:
        return (
            "this compares with training and held-out images, and here the held-out images are the reference"
        )
    return _of_stylization(metric) if data.styles else _of_translation(metric, model, data)


def _of_generation(metric: Metric, model: nn.Module, data: Dataset) -> str | None:
    if isinstance(model, Classifier):
        return "this model names classes and draws no images"
    if metric.needs & OF_MODELS:
        return OF_TRANSLATORS
    if "pairs" in metric.needs and not isinstance(model, Autoencoder):
        return "this compares images with what a model gives back of them, and this model gives nothing back"
    asked = isinstance(model, Conditional) and model.conditional and data.train.labels is not None
    if isinstance(metric, ConditionalAccuracy) and not asked:
        return "this needs a model that is asked for classes"
    return None


def _of_stylization(metric: Metric) -> str | None:
    if metric.needs <= _STYLIZATION and not isinstance(metric, ConditionalAccuracy):
        return None
    return "a picture in a style has no right answer, no way back and no class that was asked for"


def _of_translation(metric: Metric, model: nn.Module, data: Domains) -> str | None:
    missing = metric.needs - _TRANSLATION
    if missing & {"pairs", "hints"} and not data.paired_held_out:
        return "this needs right answers, and the held-out images of the two domains are not paired"
    if "hints" in missing and not isinstance(model, Hinted):
        return "this model takes no colour hints"
    if "cycle" in missing and not isinstance(model, Cyclic):
        return "this needs a model of both directions"
    if "style" in missing:
        return "this needs a style that was asked for; see benchbench run --model nst"
    # Only a judge of these very domains knows the class that was asked for.
    if isinstance(metric, ConditionalAccuracy) and metric.extractor != class_judge(
        data.name, [metric.extractor or ""]
    ):
        return f"this needs a classifier of the two domains of {data.name}"
    return None
