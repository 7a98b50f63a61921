"""`benchbench evaluate`: score images that others made against a reference, leave a record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from benchbench.cli.answers import ANSWERS
from benchbench.cli.options import BATCH_SIZE, DEVICE, OUT, PROFILE
from benchbench.cli.spec_options import SpecCommand
from benchbench.core.errors import CellFailed


@click.command(cls=SpecCommand, spec="EvaluationSpec", short_help="Score images that something else made.")
@click.argument("images", shell_complete=ANSWERS["images"])
@click.option(
    "--baselines",
    metavar="NAME,…",
    default="",
    shell_complete=ANSWERS["models"],
    help="Also draw and score these shipped baselines of the reference's dataset, on as many images; all for every one "
    "and real images.",
)
@OUT
@DEVICE
@BATCH_SIZE
@PROFILE
def evaluate(
    baselines: str, out: Path, device: str, batch_size: int | None, profile: bool, **asked: Any
) -> None:
    """Score IMAGES (a folder, an archive, arrays, shards, a dataset or generator) against a reference.

    A name or path is enough where it tells what it is; KIND:PATH says so (folder:, zip:, npz:, npy:, parquet:, pairs:,
    webdataset:, arrow:, cifar:, idx:, mat:, hdf5:, lmdb:, torchscript:), and :train or :test behind it takes one split.

    \b
      benchbench evaluate samples/ --reference cifar10:train
      benchbench evaluate samples.npz --reference real/ --extractor inception_v3
      benchbench evaluate torchscript:gen.ts --latent 128 --allow-pickle \\
          --reference cifar10
      benchbench evaluate folder:samples --reference parquet:real/:test
      benchbench evaluate restored/ --reference originals/ --metrics ssim,psnr,mse
      benchbench evaluate restored/ --reference set5 --task denoise --sigma 25
      benchbench evaluate images/ --prompts prompts.txt --task text-to-image \\
          --reference openmoji-captions:test
      benchbench evaluate run2/samples/ --reference cifar10 --name MyDDPM --seed 1
      benchbench evaluate samples/ --reference cifar10 --baselines dcgan,sngan

    Metrics on pairs (ssim, psnr, mse, …) are computed if named; partners are files of one name (1_fake_B.png and
    1_real_B.jpg are), or, where a side has no file names, images at the same place, with a note. Pairs may be of any
    size, each is scored at its own. --task scores what something else restored as `run` scores a model's outputs in
    that task. A metric that cannot be computed is marked failed with its reason; the exit code is 4 only if none could.
    The same call again answers from the record.
    """
    from benchbench.cli.console import say
    from benchbench.cli.progress import RichProgress
    from benchbench.cli.show import NONE_COMPUTED, profiled, show_record
    from benchbench.core.processes import ranks, runtime_of_rank
    from benchbench.runner.beside import baselines_of, score_beside
    from benchbench.runner.evaluate import evaluate_images
    from benchbench.runner.spec import EvaluationSpec

    spec = EvaluationSpec.of(**asked)
    beside = baselines_of(baselines, spec)
    with ranks() as comm, profiled(profile, comm.rank):
        runtime = runtime_of_rank(device, batch_size, RichProgress(), comm)
        rows, notes, path, cached = evaluate_images(spec, out, runtime)
        assert path is not None
        for note in notes:
            runtime.progress.note(f"note: {note}")
        if comm.rank == 0:
            show_record(path, rows, cached)
        if not (rows["status"] == "ok").any():
            raise CellFailed(NONE_COMPUTED)
        places = score_beside(beside, path, out, runtime)
        if comm.rank == 0:
            for place in places:
                say(f"beside it: {place}")
