"""`benchbench stats`: keep what a network says of a reference, and export its statistics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from benchbench.cli.answers import ANSWERS
from benchbench.cli.console import say
from benchbench.cli.options import BATCH_SIZE, DEVICE, OutputFile
from benchbench.cli.spec_options import SpecCommand


@click.command(cls=SpecCommand, spec="StatisticsSpec", short_help="Compute and keep reference statistics.")
@click.argument("reference", shell_complete=ANSWERS["reference"])
@click.option("--out", type=OutputFile(), help="Write mean and covariance to this .npz file.")
@DEVICE
@BATCH_SIZE
def stats(out: Path | None, device: str, batch_size: int | None, **asked: Any) -> None:
    """Compute what a network says of reference images once, for all evaluations to come: features, mean and covariance.

    \b
      benchbench stats cifar10:train --extractor inception_v3
      benchbench stats real_folder/ --out real.npz

    What comes out is kept in the cache. With --out the mean and covariance (mu, sigma) also go into a file, which
    other tools can read and `benchbench evaluate --reference FILE` takes where the images are not at hand.
    """
    from benchbench.cli.progress import RichProgress
    from benchbench.core.device import resolve_device
    from benchbench.core.runtime import Runtime
    from benchbench.runner.spec import StatisticsSpec
    from benchbench.verbs.outputs import to_stdout
    from benchbench.verbs.stats import prepared

    spec = StatisticsSpec.of(**asked)
    done = prepared(spec, out, Runtime(resolve_device(device), batch_size, RichProgress()))
    extractor, aside = done.extractor, to_stdout({"--out": out})
    say(
        f"cached: {done.n} images of {done.name}, {extractor.name} "
        f"(sha256 {extractor.weights_sha256[:12]}, {extractor.resize}, {spec.precision})",
        stderr=aside,
    )
    if out is not None:
        say(f"statistics: {out}", stderr=aside)
