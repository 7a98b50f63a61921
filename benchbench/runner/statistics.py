"""`benchbench stats`: what a network says of reference images, kept for the next evaluation, and as a file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.machine import settle_in
from benchbench.core.outlets import is_outlet, landing
from benchbench.core.runtime import Runtime
from benchbench.data.sources.options import SourceOptions
from benchbench.features.extractor import Extractor, load_extractor
from benchbench.features.reference_cache import reference_features
from benchbench.features.statistics_file import save_statistics
from benchbench.runner.sources import open_reference
from benchbench.runner.spec import StatisticsSpec


class Prepared(NamedTuple):
    """What was prepared.

    Attributes:
        name: Of the images.
        n: How many they are.
        extractor: The network.
    """

    name: str
    n: int
    extractor: Extractor


def prepare_reference(spec: StatisticsSpec, out: Path | None, runtime: Runtime) -> Prepared:
    """Pass the reference images that `spec` names through its extractor and keep the features and moments in the
    cache, from where `evaluate` and `run` of the same precision take them.

    out: an .npz for the mean and covariance (`features.statistics_file`). `InputError` for images that cannot be used,
    fewer than 2 of them, or weights that are not at hand.
    """
    if out is not None and out.suffix.lower() != ".npz" and not is_outlet(landing(out)):
        raise InputError(f"{out} must end in .npz, which is what statistics are")
    settle_in(runtime.progress)
    reference = open_reference(spec.reference, SourceOptions(size=spec.size), runtime.progress)
    if reference.images is None or reference.statistics is not None:
        raise InputError(f"{spec.reference} holds statistics already; name the images to make them from")
    if reference.images.n < 2:
        raise InputError(f"{reference.name} holds 1 image; statistics need at least 2")
    try:
        extractor = load_extractor(spec.extractor, runtime.device, spec.precision)
        found = reference_features(
            reference.images,
            extractor,
            need_features=True,
            need_logits=False,
            runtime=runtime,
            title=f"{spec.extractor} on {reference.name}",
        )
    except MetricFailed as failure:
        raise InputError(failure.reason) from failure
    if out is not None:
        fingerprint, name = reference.fingerprint, reference.name
        save_statistics(out, found.moments, extractor, fingerprint=fingerprint, name=name)
    return Prepared(reference.name, reference.images.n, extractor)
