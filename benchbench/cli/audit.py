"""`benchbench audit`: metrics put to tests of their own."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.answers import ANSWERS
from benchbench.cli.console import show
from benchbench.cli.options import OutputFile, format_option


@click.group(short_help="Put the metrics themselves to the test.")
def audit() -> None:
    """Ask metrics about sets of which the answer is known. An audit is a report: what fails changes no exit code.

    \b
      benchbench audit metrics --small
      benchbench audit metrics --dataset digits
    """


@audit.command(short_help="Fidelity and diversity metrics against a sanity suite.")
@click.option(
    "--metrics",
    metavar="NAME,…",
    multiple=True,
    shell_complete=ANSWERS["metrics"],
    help="Only these.  [default: all that claim fidelity or diversity]",
)
@click.option(
    "--experiments", metavar="NAME,…", multiple=True, help="Only these of the 15; names as in --format csv."
)
@click.option("--dataset", help="Instead of experiments: real images, disturbed visibly and invisibly.")
@click.option(
    "--extractor",
    metavar="NAME,…",
    multiple=True,
    help="Networks that look at the dataset.  [default: the one that ranks it]",
)
@click.option("--points", type=int, help="Points or images a side.  [default: 1,000 points, 2,000 images]")
@click.option("--repeats", type=int, help="Draws of every set.  [default: 10]")
@click.option("--values", type=int, help="The most that a parameter takes, odd.  [default: 51]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of all draws.")
@click.option("--small", is_flag=True, help="A minute: 200 points, 2 repeats, 11 values.")
@click.option("--unscaled", is_flag=True, help="Features as they are, not standardised by the real ones.")
@click.option("--checks", is_flag=True, help="Every single check and what was seen, too.")
@format_option("terminal", "markdown", "csv", "json", more="; csv and json have every check")
@click.option("--output", type=OutputFile(), help="A file instead of standard output.")
def metrics(
    metrics: tuple[str, ...],
    experiments: tuple[str, ...],
    dataset: str | None,
    extractor: tuple[str, ...],
    points: int | None,
    repeats: int | None,
    values: int | None,
    seed: int,
    small: bool,
    unscaled: bool,
    checks: bool,
    format_: str,
    output: Path | None,
) -> None:
    """Hold fidelity and diversity metrics to the sanity suite of Räisä et al. 2025: Gaussians, modes, spheres, cubes.

    \b
      benchbench audit metrics --small --metrics precision,recall
      benchbench audit metrics --checks --format csv --output audit.csv
      benchbench audit metrics --dataset digits --extractor cnn_digits

    As in the paper it takes three quarters of an hour of one core; --small takes a minute.
    """
    from typing import cast

    from benchbench.cli.progress import RichProgress
    from benchbench.verbs import audit as verbs
    from benchbench.views.audit import terminal, written

    text = cast(verbs.Format, "markdown" if format_ == "terminal" else format_)
    found = verbs.metrics(
        metrics,
        experiments=experiments,
        dataset=dataset,
        extractor=extractor,
        points=points,
        repeats=repeats,
        values=values,
        seed=seed,
        small=small,
        unscaled=unscaled,
        checks=checks,
        format=text,
        output=output,
        progress=RichProgress(),
    )
    if output is not None:
        return
    if format_ == "terminal":
        show(terminal(found, checks))
    else:
        click.echo(written(found, text, checks), nl=False)
