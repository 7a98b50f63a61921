"""The latent-edit task: images of one class are made into another by their codes, and everything else should stay.

An autoencoder: the direction from a class to another is the difference of their mean codes over training images (Larsen
et al. 2016, attribute vectors). Held-out images are encoded, moved along it, and decoded. A row's task says by how many
such differences, `latent-edit:x1` by one; `latent-edit:x1-random` is the control, isotropic random directions of the
same lengths, which no class is in. Two codes are also joined by a line: `latent-edit:within` between images of one
class, `latent-edit:between` of two.

A conditional generator: the class is changed under the same latent (`latent-edit:label`); the control asks for the same
classes under other latents (`latent-edit:label-random`), of which nothing should stay.

What became of the class says the classifier of the dataset's own classes; that the rest stays, the distance to what the
model makes of the unedited image. Neither means anything without the other: whoever answers with any image of the class
has all of the first, whoever does nothing all of the second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.images import check_images
from benchbench.core.protocols import Autoencoder, Conditional
from benchbench.core.registry import EXTRACTORS
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng
from benchbench.data.dataset import Dataset
from benchbench.metrics.metric import Estimate, Evidence, Metric, Need
from benchbench.metrics.pairs.paired import PairedMetric, PairReader, mean_over_images
from benchbench.metrics.select import Outcome, score
from benchbench.metrics.sets.modes import ConditionalAccuracy, class_extractor, classes_of
from benchbench.tasks.base import Number, OneDataset, Request, TaskData, TaskResult, one
from benchbench.tasks.evidence import Failures, Sides, gather, paired, placed
from benchbench.tasks.generation import labels_like
from benchbench.tasks.latent.codes import BATCH, Codes, codes_of, decoded, others
from benchbench.tasks.latent.lines import lines
from benchbench.tasks.pictures import Columns, Picture, Section, SingleImages, how_many_single
from benchbench.tasks.speed import Measurement, measure_cost, measure_rates

TASK = "latent-edit"
STRENGTHS = (0.25, 0.5, 1.0, 1.5, 2.0)
STATED = 1.0
"""Of `STRENGTHS`, the one by which models are ranked: as far as the classes are apart."""
LABEL = "label"
RANDOM = "-random"
MAX_IMAGES = 500
SHOWN = 8
_NEEDS: frozenset[Need] = frozenset({"features", "logits", "moments", "sources", "truth"})


class LatentEdit(OneDataset):
    """Images made into another class by their codes or labels: whether they are, and whether the rest stays."""

    name: ClassVar[str] = TASK
    standard: ClassVar[Sequence[str]] = ("conditional_accuracy", "content_distance", "psnr", "ssim")
    headlines: ClassVar[Mapping[str, Sequence[str]]] = {
        f"{TASK}:x{STATED:g}": ("conditional_accuracy",),
        f"{TASK}:{LABEL}": ("conditional_accuracy",),
    }

    def takes(self, model: type) -> bool:
        """One with codes, or one that can be asked for a class."""
        return all(hasattr(model, name) for name in ("encode", "decode")) or (
            hasattr(model, "sample") and not hasattr(model, "fit")
        )

    def refuse(self, model: str, data: TaskData) -> str | None:
        """Images without classes, and classes that no classifier knows."""
        own = one(data)
        labels = own.train.labels
        if labels is None or own.held_out.labels is None or len(labels.unique()) < 2:
            return (
                f"{TASK} changes the class of an image, and {data.name} has no labels of two classes; use a dataset "
                "with labels, digits for example"
            )
        if class_extractor(data.name, EXTRACTORS.names()) is None:
            return (
                f"{TASK} asks a classifier whether the class of an image changed, and there is none of {data.name}; "
                "train one as docs/extending.md shows, or use digits or mnist"
            )
        return None

    def parts(self, model: nn.Module) -> list[str]:
        """By codes or by labels; `InputError` for a model that has neither."""
        if isinstance(model, Autoencoder):
            return [f"{TASK}:codes"]
        if isinstance(model, Conditional) and model.conditional:
            return [f"{TASK}:{LABEL}"]
        raise InputError(
            f"this model has no codes of images and cannot be asked for a class, and {TASK} needs one of both; use vae "
            "or cgan, for example"
        )

    def n_samples(self, model: str, data: TaskData, asked: int | None) -> int:
        """All held-out images, at most 500."""
        have = len(one(data).held_out)
        if asked is not None and asked > have:
            raise InputError(
                f"{data.name} has {have} held-out images to edit; ask for --samples {have} or fewer"
            )
        return asked or min(have, MAX_IMAGES)

    def inapplicable(self, metric: Metric, model: nn.Module, data: TaskData) -> str | None:
        """Whatever compares sets of images, and metrics of translators."""
        if metric.needs_reference or metric.needs_held_out or not metric.needs <= _NEEDS:
            return (
                "an edited image is compared with what it was, and its class with the one that was asked for"
            )
        return None

    def run(self, model: nn.Module, data: TaskData, request: Request, runtime: Runtime) -> TaskResult:
        """Edited images, what of them changed and what stayed."""
        own = one(data)
        if isinstance(model, Autoencoder):
            return _by_codes(model, own, request, runtime)
        assert isinstance(model, Conditional)
        return _by_labels(model, own, request, runtime)


@dataclass(frozen=True)
class Before:
    """What is edited, uint8 RGB N×3×H×W on the CPU, and the class that each is to become, int64 (N,); what extractors
    say of it, and those that cannot."""

    images: Tensor
    targets: Tensor
    sides: Sides
    failures: Failures


# Autoencoders.


def _by_codes(model: Autoencoder, data: Dataset, request: Request, runtime: Runtime) -> TaskResult:
    codes = codes_of(model, data, request.n_samples, runtime)
    unedited = decoded(model, codes.codes, runtime)
    before = before_edits(unedited, codes.targets, request, runtime)
    directions = {"": codes.directions, RANDOM: codes.random(request.seed)}
    numbers: list[Number] = []
    stated: dict[str, Tensor] = {}
    shown: dict[str, list[tuple[str, Tensor]]] = {kind: [] for kind in directions}
    for strength in STRENGTHS:
        hits: dict[str, Tensor | None] = {}
        for kind, direction in directions.items():
            after = decoded(model, codes.codes + strength * direction, runtime)
            name = f"{TASK}:x{strength:g}{kind}"
            outcomes, hits[kind] = scored(after, before, request, runtime)
            numbers += [Number(found, name, len(after)) for found in outcomes]
            shown[kind].append((f"x{strength:g}", after[:SHOWN]))
            if strength == STATED:
                stated[kind] = after
        numbers += gained(hits[""], hits[RANDOM], f"{TASK}:x{strength:g}")
    knows = class_extractor(data.name, request.extractors)
    found, sections = lines(model, codes, request.extractors.get(knows or ""), runtime)
    for kind, measured in found.items():
        numbers += [Number(own, f"{TASK}:{kind}") for own in measured]
    first = [("held out", codes.images[:SHOWN]), ("unedited", unedited[:SHOWN])]
    titles = {"": "towards another class", RANDOM: "control: in random directions of the same lengths"}
    pictures: list[Picture] = [
        Columns(
            "traversals",
            [Section(titles[kind], [*first, *columns]) for kind, columns in shown.items()],
            "held-out images moved along the direction of another class, and of none",
        ),
        # Of few images it may be that none is of the class of another, or of its target.
        *([Columns("interpolations", sections, "lines between the codes of two images")] if sections else []),
        _single(stated[""], codes.targets),
    ]
    one_image = codes.images[:1].to(runtime.device)

    def edit(n: int) -> Tensor:
        return model.decode(model.encode(one_image.expand(n, -1, -1, -1)) + codes.directions[:1])

    return TaskResult(
        [*numbers, *_cost(edit, model, len(codes.codes), runtime)],
        pictures,
        {"latent_edit": _facts(codes)},
    )


# Conditional generators.


def _by_labels(model: Conditional, data: Dataset, request: Request, runtime: Runtime) -> TaskResult:
    assert data.train.labels is not None
    n, device = request.n_samples, runtime.device
    labels = labels_like(data.train.labels, request.seed, n)
    targets = others(labels, data.train.labels.unique())

    def drawn(asked: Tensor, seed_from: int) -> Tensor:
        made = []
        for rows in torch.arange(n).split(runtime.batch(BATCH)):
            rng = ImageRng(request.seed, (rows + seed_from).tolist(), device)
            with torch.inference_mode():
                images = model.sample(len(rows), rng, asked[rows].to(device))
            made.append(check_images(images, "generated images", len(rows)).cpu())
        return torch.cat(made)

    before, after, control = drawn(labels, 0), drawn(targets, 0), drawn(targets, n)
    numbers: list[Number] = []
    unedited = before_edits(before, targets, request, runtime)
    for kind, images in {"": after, RANDOM: control}.items():
        outcomes, _ = scored(images, unedited, request, runtime)
        numbers += [Number(found, f"{TASK}:{LABEL}{kind}", n) for found in outcomes]
    columns = [("one class", before[:SHOWN]), ("another", after[:SHOWN]), ("other latent", control[:SHOWN])]
    first = targets[:1].to(device)

    def edit(k: int) -> Tensor:
        return model.sample(k, ImageRng(request.seed, range(k), device), first.expand(k))

    return TaskResult(
        [*numbers, *_cost(edit, model, n, runtime)],
        [
            Columns(
                "traversals",
                [Section("the class changed under the same latent", columns)],
                "samples of one class, of another under the same latents, and under others",
            ),
            _single(after, targets),
        ],
        {"latent_edit": {"edit": "label", "classes": len(data.classes)}},
    )


# Both.


def before_edits(images: Tensor, targets: Tensor, request: Request, runtime: Runtime) -> Before:
    """Images read once, for however many edits of them."""
    kept = [metric for metric in request.metrics if "sources" in metric.needs]
    readers = {metric.extractor for metric in kept}
    some = {name: extractor for name, extractor in request.extractors.items() if name in readers}
    mine = _mine(images, runtime)
    batches = [mine] if len(mine) else []
    sides, failed, _ = gather(batches, len(mine), some, kept, runtime, title="reading images before edits")
    return Before(images, targets, sides, {**request.failures, **failed})


def scored(
    after: Tensor, before: Before, request: Request, runtime: Runtime
) -> tuple[list[Outcome], Tensor | None]:
    """What metrics say of edited images, uint8 RGB N×3×H×W on the CPU; and which of them a classifier of the dataset
    calls what they were to become, bool (N,), None where a metric asked none."""
    metrics = request.metrics
    reader = PairReader({m.name: m.of_pairs for m in metrics if isinstance(m, PairedMetric)})
    mine, size = _mine(after, runtime), runtime.batch(BATCH)
    for some, was in zip(mine.split(size), _mine(before.images, runtime).split(size), strict=True):
        if len(some):
            reader.update(some.to(runtime.device), was.to(runtime.device))
    batches = [mine] if len(mine) else []
    generated, failed, _ = gather(
        batches, len(mine), request.extractors, metrics, runtime, title="reading edited images"
    )
    evidence = Evidence(
        {"generated": generated, "sources": before.sides},
        {"truth": paired(reader, runtime.comm)},
        labels=before.targets,
        failures={**before.failures, **failed},
    )
    outcomes = [*score(metrics, placed(evidence, runtime)), *request.unmet]
    return outcomes, _hits(before.targets, metrics, evidence)


def _mine(images: Tensor, runtime: Runtime) -> Tensor:
    """This rank's share."""
    shard = runtime.comm.shard(len(images))
    return images[shard.start : shard.stop]


def _hits(targets: Tensor, metrics: Sequence[Metric], evidence: Evidence) -> Tensor | None:
    for metric in metrics:
        side = evidence.sets["generated"].get(metric.extractor or "")
        if isinstance(metric, ConditionalAccuracy) and side is not None and side.logits is not None:
            assert metric.extractor is not None
            return classes_of(side.logits, metric.extractor).cpu() == targets
    return None


def gained(hits: Tensor | None, control: Tensor | None, task: str) -> list[Number]:
    """By how much more often images become their target along the direction than along a random one: the difference of
    the shares, with the interval of its mean over images."""
    if hits is None or control is None:
        return []
    ends = (-1.0, 1.0)
    gain: Estimate = mean_over_images(hits.double() - control.double(), ends)
    return [Number(Measurement("class_gain", "quality", "", True, gain, len(hits), "linear", ends), task)]


def _facts(codes: Codes) -> dict[str, Any]:
    lengths = codes.directions.flatten(1).norm(dim=1)
    return {
        "edit": "codes",
        "strengths": list(STRENGTHS),
        "direction": "difference of the mean codes of two classes over the training images",
        "control": "isotropic random direction of the same length",
        "mean_length": float(lengths.double().mean()),
        "mean_code_length": float(codes.codes.flatten(1).norm(dim=1).double().mean()),
    }


def _single(images: Tensor, targets: Tensor) -> SingleImages:
    kept = images[: how_many_single(*images.shape[2:])]
    words = f"the first {len(kept):,} of {len(images):,} edited images, one by one and lossless, with their new classes"
    return SingleImages("edited", words, kept, targets[: len(kept)])


def _cost(edit: Callable[[int], Tensor], model: object, n: int, runtime: Runtime) -> list[Number]:
    assert isinstance(model, nn.Module)
    device, size = runtime.device, min(n, BATCH)
    found = runtime.comm.first(
        lambda: [
            *measure_rates(edit, device=device, batch_size=size),
            *measure_cost(model, device=device, once=lambda: edit(1)),
        ]
    )
    return [Number(own, TASK) for own in found]
