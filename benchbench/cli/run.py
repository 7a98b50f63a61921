"""`benchbench run`: train or load a model, score it, leave a record."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.options import BATCH_SIZE, DEVICE, METRICS, NAME, OUT, PRECISION


@click.command()
@click.option("--model", required=True, help="A model's name; see `benchbench list models`.")
@click.option("--dataset", required=True, help="A dataset's name, folder:PATH, pairs:PATH or parquet:PATH.")
@click.option(
    "--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="How many seeds to run."
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="The first seed."
)
@click.option(
    "--samples", type=int, help="Images to draw.  [default: as many as the reference, at most 10,000]"
)
@click.option("--size", type=click.IntRange(min=8), help="Side of the images in pixels.")
@click.option("--recipe", type=click.Path(path_type=Path), help="A recipe.toml instead of the shipped one.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one setting; repeatable."
)
@click.option(
    "--monitor-every", type=click.IntRange(min=1), help="Steps between looks at the samples while training."
)
@click.option(
    "--on-collapse",
    type=click.Choice(["warn", "stop"]),
    help="What an alarm for mode collapse does.  [default: warn]",
)
@click.option("--pretrained", is_flag=True, help="Load the published weights of this model on this dataset.")
@click.option("--weights", type=click.Path(path_type=Path), help="Load these weights instead of training.")
@click.option("--allow-pickle", is_flag=True, help="Let --weights run code; only for files you trust.")
@METRICS
@click.option(
    "--extractor",
    help="Networks; comma-separated.  [default: the dataset's own judge, where it names one, and "
    "efficientnet_lite0]",
)
@PRECISION
@NAME
@click.option(
    "--task", help="What to ask of a model that can be asked for several things; see benchbench list tasks."
)
@OUT
@DEVICE
@BATCH_SIZE
def run(
    model: str,
    dataset: str,
    seeds: int,
    seed: int,
    samples: int | None,
    size: int | None,
    recipe: Path | None,
    overrides: tuple[str, ...],
    monitor_every: int | None,
    on_collapse: str | None,
    pretrained: bool,
    weights: Path | None,
    allow_pickle: bool,
    metrics: str,
    extractor: str | None,
    precision: str,
    name: str | None,
    task: str | None,
    out: Path,
    device: str,
    batch_size: int | None,
) -> None:
    """Train (or load) a model, draw images, score them and leave a tidy record.

    \b
      benchbench run --model vae --dataset digits
      benchbench run --model beta-vae --set beta=4 --dataset openmoji --seeds 3 --device cuda
      benchbench run --model dcgan --dataset digits --monitor-every 50 --on-collapse stop

    The same call again answers from the record; a killed one goes on from its last checkpoint.
    """
    from benchbench.cli.progress import RichProgress
    from benchbench.cli.show import show_record
    from benchbench.results.load import load_results
    from benchbench.runner.run import run_cells

    watching = {"monitor_every": monitor_every, "on_collapse": on_collapse}
    outcomes = run_cells(
        model,
        dataset,
        seeds=range(seed, seed + seeds),
        samples=samples,
        size=size,
        recipe=recipe,
        overrides=[*overrides, *(f"training.{name}={value}" for name, value in watching.items() if value)],
        pretrained=pretrained,
        weights=weights,
        allow_pickle=allow_pickle,
        metrics=metrics.split(","),
        extractors=extractor.split(",") if extractor else None,
        precision=precision,
        name=name,
        task=task,
        out=out,
        device=device,
        batch_size=batch_size,
        progress=RichProgress(),
    )
    for path, cached in outcomes:
        show_record(path, load_results(path), cached)
