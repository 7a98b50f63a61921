"""`benchbench evaluate`: score images that others made against a reference, leave a record."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.options import BATCH_SIZE, DEVICE, METRICS, NAME, OUT, PRECISION
from benchbench.core.errors import CellFailed


@click.command()
@click.argument("images")
@click.option(
    "--reference", required=True, help="Images, a dataset (NAME[:train|:test]) or statistics (.npz)."
)
@METRICS
@click.option(
    "--extractor",
    help="Networks; comma-separated.  [default: as `benchbench run` on the reference's dataset, else "
    "efficientnet_lite0, or that of the statistics]",
)
@PRECISION
@NAME
@click.option("--samples", type=int, help="Only the first so many images; for a generator, how many to draw.")
@click.option(
    "--size", type=click.IntRange(min=8), help="Bring the images of both sides to this side in pixels."
)
@click.option("--kind", help="What IMAGES is where its name does not tell: torchscript, folder, zip, npz, …")
@click.option("--latent", type=int, help="A generator's latent size.")
@click.option("--classes", type=int, help="A conditional generator's number of classes.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Of a generator's noise; samples of one --name under several seeds are replicates.",
)
@click.option(
    "--allow-pickle", is_flag=True, help="Let .npz and .npy files run code; only for files you trust."
)
@OUT
@DEVICE
@BATCH_SIZE
def evaluate(
    images: str,
    reference: str,
    metrics: str,
    extractor: str | None,
    precision: str,
    name: str | None,
    samples: int | None,
    size: int | None,
    kind: str | None,
    latent: int | None,
    classes: int | None,
    seed: int,
    allow_pickle: bool,
    out: Path,
    device: str,
    batch_size: int | None,
) -> None:
    """Score IMAGES (a folder, .zip, .npz, .npy, .parquet, dataset or generator) against a reference.

    A name or path is enough where it tells what it is; KIND:PATH says so (folder:, zip:, npz:, npy:, parquet:, pairs:,
    torchscript:), and :train or :test behind it takes one split.

    \b
      benchbench evaluate samples/ --reference cifar10:train
      benchbench evaluate samples.npz --reference real/ --metrics all --extractor inception_v3,dinov2_vit_b_14
      benchbench evaluate gen.ts --kind torchscript --latent 128 --reference cifar10 --samples 50000
      benchbench evaluate folder:samples --reference parquet:real/:test
      benchbench evaluate restored/ --reference originals/ --metrics ssim,psnr,mse
      benchbench evaluate run2/samples/ --reference cifar10 --name MyDDPM --seed 1

    Metrics on pairs (ssim, psnr, mse, …) are computed if named; partners are files of one name, or images at the
    same place. A metric that cannot be computed is marked failed with its reason; the exit code is 4 only if
    none could. The same call again answers from the record.
    """
    from benchbench.cli.progress import RichProgress
    from benchbench.cli.show import show_record
    from benchbench.runner.evaluate import evaluate_images

    progress = RichProgress()
    rows, notes, path, cached = evaluate_images(
        images,
        reference,
        metrics,
        extractors=extractor,
        precision=precision,
        name=name,
        samples=samples,
        size=size,
        kind=kind,
        latent=latent,
        classes=classes,
        seed=seed,
        allow_pickle=allow_pickle,
        out=out,
        device=device,
        batch_size=batch_size,
        progress=progress,
    )
    assert path is not None
    for note in notes:
        progress.note(f"note: {note}")
    show_record(path, rows, cached)
    if not (rows["status"] == "ok").any():
        raise CellFailed("none of the metrics could be computed; the reasons stand below the table")
