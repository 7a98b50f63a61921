"""Pieces of restored images and of their originals: what distances between distributions are of, whatever the sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.core.runtime import Runtime
from benchbench.features.extractor import Extractor
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Metric
from benchbench.tasks.evidence import gather, reference

PIECE = 64
"""The side of a piece, in pixels."""

LEAST = 2
"""So many pieces make a distribution."""


def pieces_of(image: Tensor) -> Tensor:
    """Square pieces of an image side by side, uint8 N×3×64×64; those that do not fit at the right and below are left
    out."""
    rows, columns = (side // PIECE for side in image.shape[2:])
    cut = image[..., : rows * PIECE, : columns * PIECE]
    grid = cut.reshape(3, rows, PIECE, columns, PIECE)
    return grid.permute(1, 3, 0, 2, 4).reshape(-1, 3, PIECE, PIECE)


def pieces_in(size: tuple[int, int]) -> int:
    """How many pieces an image of this size, (H, W), has."""
    return (size[0] // PIECE) * (size[1] // PIECE)


def on_pieces(metric: Metric) -> bool:
    """Whether a metric can say something of pieces: it compares features of both sides."""
    of_features = bool(metric.readers) and not metric.needs - {"features", "moments", "logits"}
    return of_features and metric.needs_reference


def evidence_of_pieces(
    made: Tensor,
    originals: Tensor,
    extractors: Mapping[str, Extractor],
    metrics: Sequence[Metric],
    failures: Mapping[str, MetricFailed],
    runtime: Runtime,
) -> Evidence:
    """What extractors say of pieces of the outputs, those of this rank, and of all pieces of the originals, uint8
    N×3×64×64 each. failures: of extractors that are not at hand."""
    generated, failed, _ = gather(
        [made], len(made), extractors, metrics, runtime, title="pieces of restored images"
    )
    failed = {**failures, **failed}
    real = reference(originals, extractors, metrics, runtime, failed)
    return Evidence({"generated": generated, "reference": real}, failures=failed)
