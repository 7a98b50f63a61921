"""`benchbench profile`: how fast a model is, and what it loses where it is made faster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from benchbench.cli.options import DEVICE, OUT, OutputFile
from benchbench.cli.spec_options import SpecCommand
from benchbench.core.bounds import MOST_BATCH
from benchbench.core.errors import InputError


@click.command(
    cls=SpecCommand, spec="CellSpec", short_help="How fast a model is, and what its variants lose."
)
@click.option("--dataset", default="digits", show_default=True, help="As for `benchbench run`.")
@click.option(
    "--variant",
    multiple=True,
    metavar="NAME,…",
    help="Techniques to measure beside the model as it is, such as int8,fused+bf16; all for every one that it can "
    "have; see `benchbench list variants`.",
)
@click.option(
    "--time-to",
    type=float,
    metavar="DISTANCE",
    help="Also tell how many seconds of training reach this monitored distance.",
)
@click.option(
    "--most-batch",
    type=click.IntRange(1, MOST_BATCH),
    help="The largest batch that is tried.  [default: 256 on a processor, 65,536 elsewhere]",
)
@click.option("--plot", type=OutputFile(), help="Write images/s against quality to this SVG file.")
@OUT
@DEVICE
def profile(
    dataset: str,
    variant: tuple[str, ...],
    time_to: float | None,
    most_batch: int | None,
    plot: Path | None,
    out: Path,
    device: str,
    **asked: Any,
) -> None:
    """Measure how fast, how large and how dear a model is, and what its variants lose.

    \b
      benchbench profile --model dcgan --dataset digits
      benchbench profile --model dcgan --variant int8,fused+bf16 --plot v.svg
      benchbench profile --model vae --variant all --most-batch 64

    Each variant is scored as `benchbench run --variant` does and measured afterwards: two records. The same call again
    on the same machine answers from them; another --out measures anew.
    """
    from benchbench.cli.progress import RichProgress
    from benchbench.cli.show import show_record
    from benchbench.core.device import resolve_device
    from benchbench.core.runtime import Runtime
    from benchbench.results.load import load_results
    from benchbench.runner.profile import ProfileOptions
    from benchbench.runner.spec import CellSpec
    from benchbench.verbs.outputs import checked_outputs, to_stdout
    from benchbench.verbs.profile import profiled

    path = checked_outputs({"--plot": plot})["--plot"]
    spec = CellSpec.of(dataset=dataset, **asked)
    runtime = Runtime(resolve_device(device), None, RichProgress())
    ended = profiled(spec, variant, ProfileOptions(most_batch, time_to), out, runtime)
    if ended.done and not to_stdout({"--plot": path}):
        for own in ended.done:
            show_record(own.profile.path, load_results(own.profile.path), own.profile.cached)
        _show_table(ended.rows)
    ended.write_plot(path)
    ended.tell_failures()


def _show_table(rows: Any) -> None:
    """Speed beside quality, where there are both."""
    from benchbench.cli.console import console, say, show
    from benchbench.views.pareto import pareto, pareto_notes, pareto_table

    try:
        table = pareto(rows)
    except InputError as error:
        say(f"note: {error}")
        return
    console().print()
    show(pareto_table(table))
    for note in pareto_notes(table):
        say(note)
