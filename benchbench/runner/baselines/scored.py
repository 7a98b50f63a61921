"""Numbers of another network for all weights that ship, as records of their own beside the published ones."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchbench.core.arrays import default_float32
from benchbench.core.baselines import LANDMARK, Shipped
from benchbench.core.runtime import Runtime
from benchbench.results.load import Record, records
from benchbench.results.rows import rows_of
from benchbench.runner.again import NotScored, drawn_anew
from benchbench.runner.baselines.publish import publish_record
from benchbench.runner.baselines.records import record_of
from benchbench.runner.extractors import ExtractorLoader


def score_shipped(shipped: Sequence[Shipped], extractor: str, results: Path, runtime: Runtime) -> list[Path]:
    """Score generators that ship with a network, and the real images of their datasets.

    Args:
        shipped: The baselines; those that are no generators, or have no record, are passed over.
        extractor: The network, as records call it.
        results: The published records, where the new ones go.
        runtime: Where.

    Returns:
        The folders of the new records; what is there already is not scored again.

    Raises:
        MetricFailed: The network is not at hand.
        NotScored: A baseline cannot be asked here.
    """
    ExtractorLoader(runtime.device)(extractor)
    found = [*records(results)]
    made: list[Path] = []
    for own in shipped:
        record = record_of(own, found)
        if record is None or all(row.task != "generation" for row in rows_of(*record)):
            continue
        landmark = next(
            (other for other in found if _landmark_of(other, record) and other[1].seed == record[1].seed),
            None,
        )
        if not _scored_already(found, own.sha256, extractor):
            made.append(_scored(record, extractor, results, runtime, pretrained=True))
        if landmark is not None and not any(
            _landmark_of(other, record) and extractor in (other[1].extractors or {}) for other in found
        ):
            made.append(_scored(landmark, extractor, results, runtime, pretrained=False))
        found = [*records(results)]
    return made


def _landmark_of(other: Record, record: Record) -> bool:
    a, b = other[1], record[1]
    return a.model == LANDMARK and (a.dataset, a.n_samples) == (b.dataset, b.n_samples)


def _scored_already(found: Sequence[Record], sha256: str, extractor: str) -> bool:
    return any(
        run.weights_loaded_sha256 == sha256 and extractor in (run.extractors or {}) for _, run in found
    )


def _scored(record: Record, extractor: str, results: Path, runtime: Runtime, *, pretrained: bool) -> Path:
    runtime.progress.note(f"{record[1].model} on {record[1].dataset} with {extractor}")
    with tempfile.TemporaryDirectory() as out, default_float32():
        made = drawn_anew(
            record[1],
            rows_of(*record),
            runtime,
            Path(out),
            weights=None,
            pretrained=pretrained,
            overrides={} if pretrained else None,
            extractors=[extractor],
        )
        if (gone := (made[1].extractors or {}).get(extractor)) is None or gone.unavailable is not None:
            raise NotScored(f"{extractor} gave no numbers of {record[1].model} on {record[1].dataset}")
        return publish_record(made, results, pictures=False)
