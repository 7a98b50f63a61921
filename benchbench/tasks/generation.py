"""The generation task: a model makes images from nothing, to be held against the reference split.

A conditional generator is asked for the classes of the training images, in an order of the seed's: the samples
then have the class shares of what they are held against, as the field has it for class-conditional FID. An autoencoder
also gives back held-out images (`tasks.reconstruction`); a model that says how probable images are is asked that of
held-out ones (`tasks.likelihood`), where it takes no more than a few evaluations of its network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from benchbench.core.errors import NotImagesError
from benchbench.core.images import check_images
from benchbench.core.protocols import Autoencoder, Conditional, Generator
from benchbench.core.runtime import HERE, Runtime
from benchbench.core.seeds import image_rngs, permutation
from benchbench.data.dataset import Dataset
from benchbench.data.pipeline.image_source import Images, take
from benchbench.metrics.evidence import Evidence, PairEvidence
from benchbench.metrics.metric import OF_MODELS, Metric
from benchbench.metrics.pairs.captions import NO_CAPTIONS
from benchbench.metrics.pairs.hole import NO_HOLES
from benchbench.metrics.pairs.paired import PairedMetric
from benchbench.metrics.select import STANDARD, Outcome, balanced, score
from benchbench.metrics.sets.mode_collapse import DuplicateRate, twins
from benchbench.metrics.sets.modes import ConditionalAccuracy, class_extractor, class_histogram
from benchbench.tasks.base import (
    MAX_DEFAULT_SAMPLES,
    Number,
    OneDataset,
    Request,
    TaskData,
    TaskResult,
    one,
)
from benchbench.tasks.evidence import gather, placed, reference
from benchbench.tasks.likelihood import TASK as LIKELIHOOD
from benchbench.tasks.likelihood import affordable, likelihood_beside
from benchbench.tasks.paths import lacks_paths, path_lengths
from benchbench.tasks.pictures import (
    Neighbours,
    Picture,
    Reconstructions,
    Samples,
    SingleImages,
    how_many_single,
)
from benchbench.tasks.reconstruction import reconstruct
from benchbench.tasks.speed import measure_cost, measure_sampling

SAMPLING_BATCH = 128
GRID = 64  # samples in a picture
POOL = 256  # images among which those of each class are found
COPIED = 8  # samples whose nearest training images are shown
NEAREST = 5  # of these, beside each
PAIRS = 32  # originals and reconstructions
OF_TRANSLATORS = "this asks a model that turns images into others; see benchbench run --model cyclegan"


class Generation(OneDataset):
    """Images from nothing, held against the training split; an autoencoder also gives held-out images back."""

    name: ClassVar[str] = "generation"
    standard: ClassVar[Sequence[str]] = STANDARD
    headlines: ClassVar[Mapping[str, Sequence[str]]] = {
        "generation": ("fd",),
        # The squared error, which autoencoders are trained on, on the scale on which papers report it. Unlike SSIM it
        # has no window, so that it means the same at 8 pixels and at 256.
        "reconstruction": ("psnr", "ssim", "mse"),
    }

    def takes(self, model: type) -> bool:
        """A model that draws."""
        return hasattr(model, "sample")

    def parts(self, model: nn.Module) -> list[str]:
        """The first two, whether or not the model gives anything back; the third where it has a likelihood."""
        return [
            "generation",
            "reconstruction",
            *([LIKELIHOOD] if affordable(model) else []),
        ]

    def n_samples(self, model: str, data: TaskData, asked: int | None) -> int:
        """As many as there are training images, at most 10,000."""
        return asked or min(len(one(data).train), MAX_DEFAULT_SAMPLES)

    def inapplicable(self, metric: Metric, model: nn.Module, data: TaskData) -> str | None:
        """Metrics of translators; those on pairs where nothing is given back; classes where nobody asks for them."""
        if "hole" in metric.needs:
            return NO_HOLES
        if "captions" in metric.needs:
            return NO_CAPTIONS
        if "path" in metric.needs:
            return lacks_paths(metric, model)
        if metric.needs & OF_MODELS:
            return OF_TRANSLATORS
        if "truth" in metric.needs and not isinstance(model, Autoencoder):
            return (
                "this compares images with what a model gives back of them, and this model gives nothing back"
            )
        asked = isinstance(model, Conditional) and model.conditional and one(data).train.labels is not None
        if (isinstance(metric, ConditionalAccuracy) or "classes" in metric.needs) and not asked:
            return "this needs a model that is asked for classes"
        return None

    def run(self, model: nn.Module, data: TaskData, request: Request, runtime: Runtime) -> TaskResult:
        """Samples and reconstructions, scored; what they cost; the images for its pictures."""
        own = one(data)
        assert isinstance(model, Generator)
        asked = labels_for(model, own.train.labels, request.seed, request.n_samples)
        evidence, samples = _evidence(model, own, request, asked, runtime)
        pairs, shown = {}, None
        if isinstance(model, Autoencoder):
            pairs["truth"], shown = _reconstructions(model, own.held_out.images, request.metrics, runtime)
        if any("path" in metric.needs for metric in request.metrics):
            pairs["path"] = path_lengths(
                model, request.metrics, request.n_samples, request.seed, runtime, asked
            )
        with runtime.progress.stage("computing metrics", len(request.metrics), "metric") as stage:
            evidence = placed(replace(evidence, pairs=pairs), runtime)
            outcomes = score(request.metrics, evidence, runtime.comm)
            real_twins = duplicates_among_real(evidence, outcomes)
            stage.advance(len(request.metrics))
        probable, stated = likelihood_beside(model, own, request.seed, runtime)
        n = min(SAMPLING_BATCH, request.n_samples)
        device = runtime.device
        speed = runtime.comm.first(
            lambda: [
                *measure_sampling(model, device=device, batch_size=n),
                *measure_cost(model, device=device),
            ]
        )
        pictures: list[Picture] = [_samples(samples, asked, own), _single(samples, asked, request.n_samples)]
        if (nearest := nearest_training(evidence)) is not None:
            near = [take(own.train.images, rows) for rows in nearest[0]]
            pictures.append(Neighbours(samples[: len(near)], near, nearest[1]))
        return TaskResult(
            [
                *(_number(outcome, own, request) for outcome in (*outcomes, *request.unmet)),
                *probable,
                *(Number(found, self.name) for found in speed),
            ],
            pictures if shown is None else [*pictures, shown],
            {
                "classes": class_counts(own.name, own.classes, evidence),
                "duplicates_among_real": real_twins,
                "labels": "training distribution" if asked is not None else None,
                **stated,
            },
        )


def _evidence(
    model: Generator, data: Dataset, request: Request, asked: Tensor | None, runtime: Runtime
) -> tuple[Evidence, Tensor]:
    """What extractors say of samples, of the reference and, where a metric needs them, of held-out images; and the
    first samples."""
    metrics, extractors = request.metrics, request.extractors
    indices = runtime.comm.shard(request.n_samples)
    drawn = generate(model, indices, seed=request.seed, labels=asked, runtime=runtime)
    generated, failures, samples = gather(
        _of_size(drawn, data.spec.height, data.spec.width),
        len(indices),
        extractors,
        metrics,
        runtime,
        title="drawing and scoring samples",
        keep=max(_in_picture(asked), how_many_single(data.spec.height, data.spec.width)),
    )
    everything = {**request.failures, **failures}
    real = reference(data.train.images, extractors, metrics, runtime, everything)
    of_held_out = [metric for metric in metrics if metric.needs_held_out]
    readers = {name for metric in of_held_out for name in metric.readers}
    some = {name: extractor for name, extractor in extractors.items() if name in readers}
    fresh = reference(data.held_out.images, some, of_held_out, runtime, everything)
    sets = {"generated": generated, "reference": real, "held_out": fresh}
    evidence = Evidence(sets, labels=asked, failures=everything, reference_labels=data.train.labels)
    return evidence, samples


def _of_size(images: Iterable[Tensor], height: int, width: int) -> Iterator[Tensor]:
    """The same batches, refused where they are of another size than the images they are held against: they would be
    resized and scored all the same."""
    for batch in images:
        if batch.shape[2:] != (height, width):
            raise NotImagesError(
                f"generated images must be {width}×{height} pixels but are {batch.shape[3]}×{batch.shape[2]}"
            )
        yield batch


def _number(outcome: Outcome, data: Dataset, request: Request) -> Number:
    """What went into it: held-out images and their reconstructions, or samples against `train`."""
    if "truth" in outcome.metric.needs:
        return Number(outcome, "reconstruction", len(data.held_out))
    if "path" in outcome.metric.needs:
        return Number(outcome, "generation", request.n_samples)
    return Number(outcome, "generation", request.n_samples, len(data.train))


def _reconstructions(
    model: Autoencoder, held_out: Images, metrics: Iterable[Metric], runtime: Runtime
) -> tuple[PairEvidence, Reconstructions]:
    per_image = {
        metric.name: metric.of_pairs
        for metric in metrics
        if isinstance(metric, PairedMetric) and metric.role == "truth"
    }
    pairs = reconstruct(model, held_out, per_image, runtime)
    originals = take(held_out, torch.from_numpy(permutation(0, len(held_out))[:PAIRS]))
    with torch.inference_mode():
        outputs = model.reconstruct(originals.to(runtime.device)).cpu()
    return pairs, Reconstructions(originals, outputs)


def _in_picture(asked: Tensor | None) -> int:
    """Samples from which the picture is drawn."""
    return GRID if asked is None else POOL


def _single(samples: Tensor, asked: Tensor | None, made: int) -> SingleImages:
    """The first samples, one by one."""
    images = samples[: how_many_single(*samples.shape[2:])]
    words = f"the first {len(images):,} of {made:,} samples, one by one and lossless"
    if asked is None:
        return SingleImages("samples", words, images)
    return SingleImages("samples", f"{words}, with the classes asked for", images, asked[: len(images)])


def _samples(samples: Tensor, asked: Tensor | None, data: Dataset) -> Samples:
    """Beside held-out images; by class where classes were asked for."""
    samples = samples[: _in_picture(asked)]
    beside = torch.from_numpy(permutation(0, len(data.held_out))[:POOL])
    real = take(data.held_out.images, beside)
    if asked is None or data.held_out.labels is None:
        return Samples(samples, real)
    return Samples(samples, real, asked[: len(samples)], data.held_out.labels[beside], data.classes)


def nearest_training(evidence: Evidence) -> tuple[Tensor, str] | None:
    """The training images nearest to the first samples, int64 (samples, nearest), and on which extractor: by Euclidean
    distance in the features of the first one (by name) that kept them on both sides. None where no metric needed
    features.

    A sample that equals its neighbour is a copy, whatever the metrics say.
    """
    generated, reference = (evidence.sets.get(role, {}) for role in ("generated", "reference"))
    for extractor, side in sorted(generated.items()):
        real = reference.get(extractor)
        if side.features is not None and real is not None and real.features is not None:
            distances = torch.cdist(side.features[:COPIED].double(), real.features.double())
            nearest = distances.topk(min(NEAREST, distances.shape[1]), largest=False)
            return nearest.indices.cpu(), extractor
    return None


def class_counts(dataset: str, names: Sequence[str], evidence: Evidence) -> dict[str, Any] | None:
    """How many generated and real images the extractor of the dataset's classes puts into each; None where it did not
    look. Of real images null where no metric asked about them."""
    extractor = class_extractor(dataset, evidence.sets["generated"])
    if extractor is None:
        return None
    counts = {}
    for role in ("generated", "reference"):
        sides = evidence.sets[role]
        logits = sides[extractor].logits if extractor in sides else None
        counts[role] = None if logits is None else class_histogram(logits, extractor).tolist()
    return None if counts["generated"] is None else {"judge": extractor, "names": list(names), **counts}


def duplicates_among_real(evidence: Evidence, outcomes: Iterable[Outcome]) -> dict[str, float]:
    """Beside each duplicate rate, by extractor, the same share among as many real images: on simple pictures those
    have twins too."""
    some = balanced(evidence)
    shares = {}
    for outcome in outcomes:
        name = outcome.metric.extractor
        if isinstance(outcome.metric, DuplicateRate) and outcome.status == "ok" and name is not None:
            features, everything = (side.features("reference", name) for side in (some, evidence))
            shares[name] = float(twins(features, everything).double().mean())
    return shares


def labels_like(train_labels: Tensor, seed: int, n: int) -> Tensor:
    """The class, int64 (n,), that each of `n` images is asked to be: image i that of the training image
    permutation(seed, N)[i mod N].

    train_labels: int64 (N,). Every whole run through the N images has exactly their class shares.
    """
    order = permutation(seed, len(train_labels))
    return train_labels[torch.from_numpy(np.resize(order, n))]


def labels_for(model: Generator, train_labels: Tensor | None, seed: int, n: int) -> Tensor | None:
    """`labels_like` where `model` can be asked and the dataset has classes, else None."""
    if train_labels is None or not (isinstance(model, Conditional) and model.conditional):
        return None
    return labels_like(train_labels, seed, n)


def generate(
    model: Generator,
    indices: Sequence[int],
    *,
    seed: int,
    labels: Tensor | None = None,
    runtime: Runtime = HERE,
) -> Iterator[Tensor]:
    """The images of these numbers in batches, uint8 RGB on the device. Image i depends on (model, seed, i) and its
    label, not on the batch nor on which others are made.

    labels: int64, the class that image i is asked to be in place i; None asks for none.
    """
    device = runtime.device
    for rng in image_rngs(seed, indices, runtime.batch(SAMPLING_BATCH), device):
        asked = None if labels is None else labels[rng.indices].to(device)
        with torch.inference_mode():
            images = check_images(model.sample(len(rng), rng, asked), "generated images", len(rng))
        yield images  # outside: a generator must not leave its consumer in inference mode
