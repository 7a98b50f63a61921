"""`benchbench run`: train or load a model, score it, leave a record."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--model", required=True, help="A model's name; see `benchbench list models`.")
@click.option("--dataset", required=True, help="A dataset's name, folder:PATH or parquet:PATH.")
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
@click.option("--weights", type=click.Path(path_type=Path), help="Load these weights instead of training.")
@click.option("--allow-pickle", is_flag=True, help="Let --weights run code; only for files you trust.")
@click.option(
    "--metrics", default="standard", show_default=True, help="Names, 'standard' or 'all'; comma-separated."
)
@click.option(
    "--extractor", default="efficientnet_lite0", show_default=True, help="Networks; comma-separated."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Where records go.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option(
    "--batch-size", type=click.IntRange(min=1), help="Images at once when scoring; changes no number."
)
def run(
    model: str,
    dataset: str,
    seeds: int,
    seed: int,
    samples: int | None,
    size: int | None,
    recipe: Path | None,
    overrides: tuple[str, ...],
    weights: Path | None,
    allow_pickle: bool,
    metrics: str,
    extractor: str,
    out: Path,
    device: str,
    batch_size: int | None,
) -> None:
    """Train (or load) a model, draw images, score them and leave a tidy record.

    \b
      benchbench run --model vae --dataset digits
      benchbench run --model beta-vae --set beta=4 --dataset openmoji --seeds 3 --device cuda

    The same call again answers from the record; a killed one goes on from its last checkpoint.
    """
    from rich.console import Console

    from benchbench.cli.progress import RichProgress
    from benchbench.results.load import load_results
    from benchbench.runner.run import run_cells
    from benchbench.views.table import metrics_table

    outcomes = run_cells(
        model,
        dataset,
        seeds=range(seed, seed + seeds),
        samples=samples,
        size=size,
        recipe=recipe,
        overrides=overrides,
        weights=weights,
        allow_pickle=allow_pickle,
        metrics=metrics.split(","),
        extractors=extractor.split(","),
        out=out,
        device=device,
        batch_size=batch_size,
        progress=RichProgress(),
    )
    console = Console()
    for path, cached in outcomes:
        console.print(metrics_table(load_results(path)))
        console.print(f"{'already done' if cached else 'record'}: {path}", soft_wrap=True, highlight=False)
