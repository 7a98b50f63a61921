"""`benchbench run`: train or load a model, score it, leave a record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from benchbench.cli.answers import ANSWERS
from benchbench.cli.options import BATCH_SIZE, DEVICE, OUT, PROFILE
from benchbench.cli.spec_options import SpecCommand
from benchbench.core.bounds import MOST_SEED, MOST_SEEDS, MOST_STEPS
from benchbench.core.errors import CellFailed, InputError
from benchbench.core.toml import lists_of, settings_of


@click.command(
    cls=SpecCommand, spec="CellSpec", short_help="Train or load a model, draw samples, score them."
)
@click.option(
    "--model",
    metavar="NAME",
    shell_complete=ANSWERS["model"],
    help="A model's name; see `benchbench list models`.",
)
@click.option(
    "--generator",
    metavar="WHAT",
    help="A generator of your own in place of a model: FILE.py:NAME, a .pt2, .ts or .onnx file, or diffusers:PATH.",
)
@click.option(
    "--seeds", type=click.IntRange(1, MOST_SEEDS), default=1, show_default=True, help="How many seeds to run."
)
@click.option(
    "--seed", type=click.IntRange(0, MOST_SEED), default=0, show_default=True, help="The first seed."
)
@click.option(
    "--sweep",
    multiple=True,
    metavar="KEY=VALUE,VALUE,…",
    help="Several values of one setting, a cell each; repeatable, for every combination.",
)
@click.option(
    "--monitor-every",
    type=click.IntRange(1, MOST_STEPS),
    help="Steps between scans of the samples while training.",
)
@click.option(
    "--on-collapse",
    type=click.Choice(["warn", "stop"]),
    help="What an alarm for mode collapse does.  [default: warn]",
)
@OUT
@DEVICE
@BATCH_SIZE
@PROFILE
def run(
    model: str | None,
    generator: str | None,
    seeds: int,
    seed: int,
    sweep: tuple[str, ...],
    monitor_every: int | None,
    on_collapse: str | None,
    out: Path,
    device: str,
    batch_size: int | None,
    profile: bool,
    **asked: Any,
) -> None:
    """Train (or load) a model, draw images, score them and leave a tidy record.

    \b
      benchbench run --model vae --dataset digits
      benchbench run --model beta-vae --set beta=4 --dataset openmoji --seeds 3
      benchbench run --model dcgan --dataset digits --monitor-every 50
      benchbench run --model beta-vae --dataset digits --sweep beta=1,2,4
      benchbench run --generator gen.py:Net --weights net.pth --dataset cifar10

    The same call again answers from the record; a killed one goes on from its last checkpoint.
    """
    from benchbench.cli.progress import RichProgress
    from benchbench.cli.show import NONE_COMPUTED, profiled, show_record
    from benchbench.core.processes import ranks, runtime_of_rank
    from benchbench.results.load import load_results
    from benchbench.runner.run import carry_out
    from benchbench.runner.spec import CellSpec, seed_list
    from benchbench.runner.sweep import combinations

    if (model is None) == (generator is None):
        raise InputError(
            "give --model NAME, or --generator WHAT for one of your own"
            if model is None
            else "--model and --generator both say what is asked; give one of them"
        )
    if generator is not None and not generator.strip():
        raise InputError("--generator is empty; name a file, or leave it out and give --model NAME")
    asked["model"] = model if generator is None else f"generator:{generator}"
    watching = {"training.monitor_every": monitor_every, "training.on_collapse": on_collapse}
    asked["overrides"] = settings_of(asked["overrides"]) | {k: v for k, v in watching.items() if v}
    without = []
    swept = combinations(CellSpec.of(**asked), lists_of(sweep))
    with ranks() as comm, profiled(profile, comm.rank):
        runtime = runtime_of_rank(device, batch_size, RichProgress(), comm)
        outcomes = carry_out(swept, seed_list(range(seed, seed + seeds)), out, runtime)
        tables = comm.first(lambda: [load_results(path) for path, _ in outcomes])
    for (path, cached), rows in zip(outcomes, tables, strict=True):
        if comm.rank == 0:
            show_record(path, rows, cached)
        scored = rows[~rows["aspect"].isin(["throughput", "cost"])]
        if len(scored) and not (scored["status"] == "ok").any():
            without.append(f"seed {scored['seed'].iloc[0]}")
    if without:
        raise CellFailed(f"{', '.join(without)}: {NONE_COMPUTED}")
