"""`benchbench.stats`: keep what a network says of a reference, and export its statistics."""

from __future__ import annotations

from pathlib import Path

from benchbench.core.device import resolve_device
from benchbench.core.notebook import watching
from benchbench.core.precision import Precision
from benchbench.core.progress import AUTO, Progress
from benchbench.core.runtime import Runtime
from benchbench.data.sources.spec import parse_spec
from benchbench.runner.spec import StatisticsSpec
from benchbench.runner.statistics import Prepared, prepare_reference
from benchbench.verbs.outputs import checked_outputs


def stats(
    reference: str,
    *,
    extractor: str = "efficientnet_lite0",
    precision: Precision = "float32",
    size: int | None = None,
    out: Path | str | None = None,
    device: str = "auto",
    batch_size: int | None = None,
    progress: Progress = AUTO,
) -> Prepared:
    """Pass reference images through a network once, for all evaluations to come.

    Args:
        reference: Images or a dataset, as on the command line: "cifar10:train", "real_folder/".
        extractor: The network.
        precision: What it computes in.
        size: Bring the images to size×size pixels; None for their own.
        out: Write mean and covariance to this .npz file as well.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        batch_size: Images at once; changes no number.
        progress: Who is told how far it is.

    Returns:
        What was prepared, of how many images of which name and by which network. It is kept in the cache.

    Raises:
        InputError: The images or the network cannot be used, or the file cannot be written.

    >>> benchbench.stats("cifar10:train", out="cifar10.npz").n  # doctest: +SKIP
    50000
    """
    spec = StatisticsSpec.of(reference=reference, extractor=extractor, precision=precision, size=size)
    return prepared(spec, out, Runtime(resolve_device(device), batch_size, watching(progress)))


def prepared(spec: StatisticsSpec, out: Path | str | None, runtime: Runtime) -> Prepared:
    """What `stats` and the command do."""
    asked = parse_spec(spec.reference)
    path = checked_outputs(
        {"--out": out}, {"the reference": None if asked.kind == "dataset" else asked.path}
    )["--out"]
    return prepare_reference(spec, path, runtime)
