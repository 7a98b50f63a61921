"""`benchbench stats`: keep what a network says of a reference, and export its statistics."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.options import BATCH_SIZE, DEVICE, PRECISION


@click.command()
@click.argument("reference")
@click.option("--extractor", default="efficientnet_lite0", show_default=True, help="The network.")
@PRECISION
@click.option("--out", type=click.Path(path_type=Path), help="Write mean and covariance to this .npz file.")
@click.option("--size", type=click.IntRange(min=8), help="Bring the images to this side in pixels.")
@DEVICE
@BATCH_SIZE
def stats(
    reference: str,
    extractor: str,
    precision: str,
    out: Path | None,
    size: int | None,
    device: str,
    batch_size: int | None,
) -> None:
    """Pass reference images through a network once, for all evaluations to come.

    \b
      benchbench stats cifar10:train --extractor inception_v3
      benchbench stats real_folder/ --out real.npz

    What comes out is kept in the cache. With --out the mean and covariance (mu, sigma) also go into a file, which
    other tools can read and `benchbench evaluate --reference FILE` takes where the images are not at hand.
    """
    from benchbench.cli.progress import RichProgress
    from benchbench.runner.statistics import prepare_reference

    done = prepare_reference(
        reference,
        extractor=extractor,
        precision=precision,
        out=out,
        size=size,
        device=device,
        batch_size=batch_size,
        progress=RichProgress(),
    )
    judge = done.extractor
    click.echo(
        f"cached: {done.n} images of {done.name}, {judge.name} "
        f"(sha256 {judge.weights_sha256[:12]}, {judge.resize}, {precision})"
    )
    if out is not None:
        click.echo(f"statistics: {out}")
