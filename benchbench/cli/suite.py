"""`benchbench suite`: a matrix of cells from one file."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.console import console, say, show
from benchbench.cli.options import DEVICE, OUT, Location
from benchbench.core.bounds import MOST_JOBS
from benchbench.core.toml import settings_of


@click.command(short_help="Run models × datasets × seeds from a TOML file.")
@click.argument("suite", type=Location())
@click.option("--dry-run", is_flag=True, help="Say what would be run, and what it would cost; run nothing.")
@click.option(
    "--jobs",
    type=click.IntRange(1, MOST_JOBS),
    help="Cells at a time, a process each.  [default: 1 here, all on a cluster]",
)
@click.option(
    "--executor",
    default="local",
    show_default=True,
    help="Who carries cells out: local (this machine), slurm or ray.",
)
@click.option(
    "--executor-option",
    "executor_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="What is asked of a cluster for each cell, such as partition=gpu, time=120, gpus=1; repeatable.",
)
@OUT
@DEVICE
def suite(
    suite: Path,
    dry_run: bool,
    jobs: int | None,
    executor: str,
    executor_options: tuple[str, ...],
    out: Path,
    device: str,
) -> None:
    """Run models × datasets × seeds as the TOML file SUITE says.

    \b
      benchbench suite suite.toml --dry-run
      benchbench suite suite.toml --jobs 2
      benchbench suite suite.toml --executor slurm --executor-option gpus=1

    What is done is skipped, what was killed goes on, what fails is recorded and stops nothing else. Several suites may
    run on one folder at once, from several machines; no cell is done twice.
    """
    from benchbench.cli.live import LiveSuite, plan_table
    from benchbench.cli.progress import RichProgress
    from benchbench.results.store import Store
    from benchbench.runner.suite_run import run_suite
    from benchbench.verbs.suite import executor_for, planned

    store = Store(out)
    options = settings_of(executor_options, "--executor-option", "partition=gpu")
    runner = executor_for(store, executor, options, jobs, device)
    cells = planned(suite, store, executor, device, RichProgress())
    if dry_run:
        show(plan_table(cells, jobs or 1))
        for reason in dict.fromkeys(cell.reason for cell in cells if cell.reason is not None):
            say(f"cannot be run: {reason}", stderr=True)
        return
    with LiveSuite(cells, console(stderr=True)) as live:
        run_suite(cells, store, runner(), device=device, watch=live)
