"""`benchbench compare`: is A better than B, and how sure is that."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.console import show
from benchbench.cli.options import DEVICE, RESULTS, Share, check_default_folder, format_option
from benchbench.core.bounds import MOST_SEEDS
from benchbench.core.folders import PUBLISHED


@click.command(short_help="Is A better than B, and how sure is that?")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B", required=False)
@RESULTS
@format_option("terminal", "markdown", "csv", "json")
@click.option(
    "--margin",
    type=Share(),
    default="10%",
    show_default=True,
    help="What counts as no difference, as a share of B.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, MOST_SEEDS),
    help="Compare groups under seeds 0 to N - 1, and run first what --results lacks of them.",
)
@DEVICE
@click.option("--plan", is_flag=True, help="Say instead how many seeds and images would show --smallest.")
@click.option(
    "--smallest",
    type=Share(),
    default="10%",
    show_default=True,
    help="With --plan: the difference to be found.",
)
def compare(
    a: str,
    b: str | None,
    results: Path,
    format_: str,
    margin: float,
    seeds: int | None,
    device: str,
    plan: bool,
    smallest: float,
) -> None:
    """Say whether A is better than B: in a sentence by the number that ranks, then number by number.

    \b
      benchbench compare model=vae model=dcgan
      benchbench compare model=beta-vae,dataset=digits,beta=2 \\
          model=beta-vae,dataset=digits,beta=1 --seeds 5
      benchbench compare v1.0:results results/

    A and B are folders of records or cells; groups such as model=vae,dataset=digits or model=beta-vae,beta=4; keys of
    cells; or revisions, as git:REV (the folder of --results as it was) or REV:FOLDER.

    With --seeds, groups are run first where records are lacking, with names as `benchbench run --set` takes them, and
    exactly these cells are compared.

    With --plan: how many seeds a side, and images a run, would show a difference of --smallest, for each number of A
    (and B), by the spreads in the records.
    """
    if b is None and not plan:
        raise click.UsageError("compare needs A and B; with --plan A alone will do")
    import shlex

    from benchbench.cli.progress import RichProgress
    from benchbench.verbs import compare as verbs
    from benchbench.verbs.group_runs import run_groups
    from benchbench.views import comparison as view
    from benchbench.views import planning as planning_view

    texts = [a] if b is None else [a, b]
    again = f"compare {shlex.join(texts)} --results {PUBLISHED}"
    ran = {} if seeds is None else run_groups(texts, seeds, results, device, RichProgress())
    sides = verbs.Sides.of(texts, results, lambda: check_default_folder(results, again), ran)
    if plan:
        planned = verbs.planned(sides, smallest)
        if format_ == "terminal":
            show(planning_view.table(planned, smallest))
            return
        write_plan = {
            "markdown": planning_view.markdown,
            "csv": planning_view.as_csv,
            "json": planning_view.as_json,
        }
        click.echo(write_plan[format_](planned, smallest), nl=False)
        return
    compared = verbs.compared(sides, margin)
    if format_ == "terminal":
        show(view.table(compared))
    else:
        write = {"markdown": view.markdown, "csv": view.as_csv, "json": view.as_json}[format_]
        click.echo(write(compared), nl=False)
