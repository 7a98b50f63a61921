"""`benchbench.doctor`: what this machine has, and what is missing for which number."""

from __future__ import annotations

import os
from collections.abc import Iterator

import torch

from benchbench.core.device import describe_machine, resolve_device
from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.folders import cache_folder
from benchbench.core.registry import DATASETS, EXTRACTORS
from benchbench.data.builtin.photo_sets import PhotoSet
from benchbench.data.builtin.torchvision_sets import archive_folder, holds_jpeg, local_folder
from benchbench.metrics.pairs.dists import VGG as DISTS_VGG
from benchbench.metrics.pairs.lpips import ALEXNET
from benchbench.metrics.pairs.niqe import ENV as NIQE_MODEL
from benchbench.metrics.pairs.niqe import given_pristine
from benchbench.metrics.pairs.path_length import VGG as PPL_VGG
from benchbench.results.provenance import collect_provenance
from benchbench.tasks.profiling.precisions import in_words, precision_rates

JPEG = "as JPEG: its pixels are not canonical, numbers on it do not compare with published ones"


def doctor() -> dict[str, dict[str, str]]:
    """Find the device, the versions, and which weights and data are there.

    Returns:
        By section ("machine", "precision", "versions", "feature networks", "data"), what is said of each name. Of the
        precisions how fast the machine is in each, measured for a second.

    >>> data = benchbench.doctor()["data"]  # doctest: +SKIP
    """
    device = resolve_device("auto")
    machine = describe_machine(device)
    return {
        "machine": {name: str(value) for name, value in machine.items()},
        "precision": _precisions(device),
        "versions": _versions(),
        "feature networks": dict(_networks()),
        "data": dict(_data()),
    }


def _precisions(device: torch.device) -> dict[str, str]:
    return in_words(precision_rates(device))


def _versions() -> dict[str, str]:
    provenance = collect_provenance()
    packages = {name: found or "not installed" for name, found in provenance["packages"].items()}
    own = f"{provenance['benchbench']} ({provenance['code_revision'] or 'installed'})"
    return {"benchbench": own, "python": provenance["python"], **packages}


def _networks() -> Iterator[tuple[str, str]]:
    for name, extractor in EXTRACTORS.items():
        try:
            yield name, f"there, sha256 {extractor('cpu').weights_sha256[:12]}"
        except MetricFailed as failure:
            yield name, failure.reason
    for weights in (ALEXNET, DISTS_VGG, PPL_VGG):
        try:
            yield weights.extractor, f"there, in {weights.locate()[0]}"
        except MetricFailed as failure:
            yield weights.extractor, failure.reason
    try:
        given_pristine()
        yield "niqe", f"there, named by {NIQE_MODEL}"
    except MetricFailed as failure:
        yield "niqe", failure.reason


def _data() -> Iterator[tuple[str, str]]:
    yield "BENCHBENCH_DATA", os.environ.get("BENCHBENCH_DATA") or "not set"
    yield "cache", str(cache_folder())
    for name, source in DATASETS.items():
        if isinstance(source, type) and issubclass(source, PhotoSet):
            yield name, _photographs(source())
            continue
        if not getattr(source, "downloads", False):
            yield name, "there, comes with the packages"
            continue
        try:
            yield name, _place(getattr(source, "base", source).name)  # stacked-mnist is made of mnist
        except InputError as error:
            yield name, str(error)


def _photographs(photos: PhotoSet) -> str:
    """Where a set of photographs is, which nobody here downloads."""
    try:
        return f"there, in {photos.folder()}"
    except InputError:
        return (
            f"not there: its images belong into a folder {photos.name} below that which BENCHBENCH_DATA names"
        )


def _place(dataset: str) -> str:
    """Where the files of a dataset are, and what is to be said of them."""
    if (local := local_folder(dataset)) is not None:
        return f"there, in {local}{f'; {JPEG}' if holds_jpeg(local) else ''}"
    if (archive := archive_folder(dataset)).is_dir():
        return f"there, in {archive}"
    return "not there: set BENCHBENCH_DATA, or it is downloaded when first used"
