"""Gathering evidence: what extractors say of generated and of real images, each image seen once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from benchbench.core.comm import Comm
from benchbench.core.device import free_bytes
from benchbench.core.errors import MetricFailed
from benchbench.core.runtime import Runtime
from benchbench.core.shares import waited_for
from benchbench.data.pipeline.image_source import Images
from benchbench.data.pipeline.image_stream import ImageStream
from benchbench.features.extract import Extracted, Reader, extract, rebatch, update
from benchbench.features.extractor import Extractor, passes
from benchbench.features.moments import Moments
from benchbench.features.reference_cache import reference_features, reference_features_of
from benchbench.features.shift import shift_notes
from benchbench.metrics.evidence import CaptionEvidence, Evidence, FeatureEvidence, PairEvidence
from benchbench.metrics.metric import Metric, Need
from benchbench.metrics.pairs.paired import PairReader, PerImage
from benchbench.metrics.select import needs_of

_TIMES = 4  # the features, those of equally many images a side, and copies in float64 of some

Sides = dict[str, FeatureEvidence]
Failures = dict[str, MetricFailed]


def gather(
    images: Iterable[Tensor],
    total: int,
    extractors: Mapping[str, Extractor],
    metrics: Sequence[Metric],
    runtime: Runtime,
    *,
    title: str,
    keep: int = 0,
) -> tuple[Sides, Failures, Tensor]:
    """One pass over images, each through every extractor once. Of several ranks each brings its own images; what comes
    out is of those of all, in the order of ranks.

    Args:
        images: Batches of any size, uint8 RGB N×3×H×W, on any device.
        total: How many images this rank brings.
        extractors: What reads them, by name.
        metrics: For which they are read: of an extractor features and logits are kept where one of them needs them.
        runtime: How many images at once, and who is told; changes no number.
        title: What is done, for whoever is told.
        keep: How many images are handed out, for a picture. By them is said what a lower precision than float32
            changes, where an extractor computes in one.

    Returns:
        The evidence by extractor name; the failures of extractors that could not read the images, by name; and the
        first `keep` images, uint8 RGB on the CPU, an empty tensor where there are none.

    Raises:
        Exception: What making the images raised on some rank, on all of them.
    """
    comm = runtime.comm
    readers = {
        name: Reader(extractor, need_features="features" in needs, need_logits="logits" in needs)
        for name, extractor in extractors.items()
        for needs in [needs_of(metrics, name)]
    }
    failures: Failures = {}
    kept: list[Tensor] = []
    chunk = runtime.batch(max((extractor.batch_size for extractor in extractors.values()), default=64))

    def read() -> None:
        with runtime.progress.stage(title, total, "image") as stage:
            for batch in waited_for(rebatch(images, chunk)):
                if sum(map(len, kept)) < keep:
                    kept.append(batch.cpu())
                for names in passes({name: extractors[name] for name in readers if name not in failures}):
                    with failing(names, failures):
                        update([readers[name] for name in names], batch, runtime.batch_size)
                stage.advance(len(batch))
            for name in readers.keys() - failures.keys():
                with failing([name], failures):
                    readers[name].finish()

    comm.together(read)
    everywhere = {name: failure for own in reversed(comm.gather(failures)) for name, failure in own.items()}
    sides = {
        name: _evidence(reader.compute(comm)) for name, reader in readers.items() if name not in everywhere
    }
    # A rank without images knows no size.
    rows = [rows for own in comm.gather(kept) for rows in own] if keep else []
    first = torch.cat(rows)[:keep] if rows else torch.empty(0)
    lowered = {name: own for name, own in extractors.items() if name in sides and len(first)}
    for note in comm.first(lambda: shift_notes(lowered, first)):
        runtime.progress.note(note)
    return sides, everywhere, first


def read_pairs(
    pairs: Iterable[tuple[Tensor, ...]], n: int, per_image: PerImage, title: str, runtime: Runtime
) -> PairEvidence:
    """What paired metrics say of `pairs`, batches of uint8 RGB on one device, `n` images of either side; behind
    the two of a pair, whatever else the metrics read. Of several ranks each brings its own pairs; what comes out is of
    those of all."""
    reader = PairReader(per_image)

    def read() -> None:
        with runtime.progress.stage(title, n, "image") as stage:
            for x, y, *beside in pairs:
                with torch.inference_mode():
                    reader.update(x, y, *beside)
                stage.advance(len(x))

    runtime.comm.together(read)
    return paired(reader, runtime.comm)


def paired(reader: PairReader, comm: Comm) -> PairEvidence:
    """What the readers of all ranks found, pairs in the order of ranks."""
    first, *others = comm.gather(reader.compute())
    return first.merge(*others) if others else first


def reference(
    images: Images | ImageStream,
    extractors: Mapping[str, Extractor],
    metrics: Sequence[Metric],
    runtime: Runtime,
    failures: Failures | None = None,
) -> Sides:
    """The same of real images (uint8 RGB N×3×H×W, a source, or a stream), from the cache where it has them; of
    each extractor what the metrics need that read the reference.

    failures: of extractors that failed on other images, which are not asked, and where those of one that fails on these
    are put; where there are none, such a failure is raised.
    """
    readers = [metric for metric in metrics if metric.needs_reference]
    needs = {name: needs_of(readers, name) for name in extractors if name not in (failures or {})}
    sides: Sides = {}
    for names in passes({name: extractors[name] for name in needs if needs[name]}):
        asked = [(extractors[name], "features" in needs[name], "logits" in needs[name]) for name in names]
        title = f"{' and '.join(names)} on reference images"
        with failing(names, failures):
            found = reference_features_of(images, asked, runtime, title)
            sides |= {name: _evidence(own) for name, own in zip(names, found, strict=True)}
    return sides


def sources(
    images: Tensor,
    extractors: Mapping[str, Extractor],
    metrics: Sequence[Metric],
    runtime: Runtime,
    failures: Failures,
) -> Sides:
    """The features of what outputs were made from (uint8 RGB N×3×H×W), for the metrics that compare with them; row i
    belongs to image i. failures: as in `reference`."""
    readers = {name for metric in metrics if "sources" in metric.needs for name in metric.readers}
    sides: Sides = {}
    for name, extractor in extractors.items():
        if name in readers and name not in failures:
            with failing([name], failures):
                sides[name] = _known(images, extractor, {"features"}, runtime, f"{name} on sources")
    return sides


def readers_of(
    extractors: Mapping[str, Extractor], metrics: Sequence[Metric], need: Need, failures: Failures
) -> dict[str, Extractor]:
    """The extractors that a metric with this need reads, but for those that failed."""
    readers = {name for metric in metrics if need in metric.needs for name in metric.readers}
    return {name: own for name, own in extractors.items() if name in readers and name not in failures}


def variants(
    outputs: Tensor, extractors: Mapping[str, Extractor], failures: Failures, runtime: Runtime
) -> Sides:
    """Features, N×k×D, of k outputs of each of some sources, uint8 RGB N×k×3×H×W; an extractor that fails on them
    joins `failures`."""
    n, k = outputs.shape[:2]
    # Equal outputs are looked at once: features of an image differ in the last digits by its place in a batch.
    images, place = torch.unique(outputs.flatten(0, 1), dim=0, return_inverse=True)
    found = {}
    for name, extractor in extractors.items():
        with failing([name], failures):
            seen = extract(
                images,
                extractor,
                need_features=True,
                need_logits=False,
                runtime=runtime,
                title=f"{name} on several outputs of one source",
            )
            assert seen.features is not None
            features = seen.features[place]
            found[name] = FeatureEvidence(Moments.of(features), features.reshape(n, k, -1))
    return found


@runtime_checkable
class ReadsCaptions(Protocol):
    """An extractor that brings texts into the space of its features."""

    def captions(self, texts: Sequence[str]) -> Tensor: ...


def captions_told(
    prompts: Sequence[str],
    own: Tensor,
    extractors: Mapping[str, Extractor],
    metrics: Sequence[Metric],
    failures: Failures,
) -> CaptionEvidence:
    """What extractors say of what images were to show, for the metrics that ask.

    own: the number of each image's prompt, int64 (N,). failures: of extractors, which are not asked, and where those of
    one that fails on these are put.
    """
    found = {}
    for name, extractor in readers_of(extractors, metrics, "captions", failures).items():
        with failing([name], failures):
            if not isinstance(extractor, ReadsCaptions):
                raise MetricFailed(f"{name} reads images and no captions")
            found[name] = extractor.captions(prompts)
    return CaptionEvidence(found, own)


@contextmanager
def failing(names: Sequence[str], failures: Failures | None) -> Iterator[None]:
    """What extractors of these `names` fail with joins `failures`, where there are any to join."""
    try:
        yield
    except MetricFailed as failure:
        if failures is None:
            raise
        failures.update(dict.fromkeys(names, failure))


def placed(evidence: Evidence, runtime: Runtime) -> Evidence:
    """The evidence where its metrics are to be computed: on the device, if it is CUDA (MPS has no float64) and has room
    for it; else on the CPU. The numbers are the same but for their last digits."""
    device = runtime.device
    if device.type != "cuda":
        return evidence
    needed, free = _TIMES * evidence.nbytes, free_bytes(device)
    if needed <= free:
        return evidence.to(device)
    runtime.progress.note(
        f"metrics are computed on the CPU: on these features they may take {needed / 2**30:.1f} GiB, and {device} has "
        f"{free / 2**30:.1f} GiB left"
    )
    return evidence


def _known(
    images: Tensor | ImageStream,
    extractor: Extractor,
    needs: set[Need],
    runtime: Runtime,
    title: str,
) -> FeatureEvidence:
    """What an extractor says of images that the cache may have seen before."""
    return _evidence(
        reference_features(
            images,
            extractor,
            need_features="features" in needs,
            need_logits="logits" in needs,
            runtime=runtime,
            title=title,
        )
    )


def _evidence(found: Extracted) -> FeatureEvidence:
    return FeatureEvidence(found.moments, found.features, found.logits)
