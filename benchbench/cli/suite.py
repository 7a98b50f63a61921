"""`benchbench suite`: a matrix of cells from one file."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.console import console, say, show
from benchbench.cli.options import DEVICE, OUT, Location
from benchbench.core.bounds import MOST_JOBS


@click.command(short_help="Run models × datasets × seeds from a TOML file.")
@click.argument("suite", type=Location())
@click.option("--dry-run", is_flag=True, help="Say what would be run, and what it would cost; run nothing.")
@click.option(
    "--jobs",
    type=click.IntRange(1, MOST_JOBS),
    default=1,
    show_default=True,
    help="Cells at a time, a process each.",
)
@OUT
@DEVICE
def suite(suite: Path, dry_run: bool, jobs: int, out: Path, device: str) -> None:
    """Run models × datasets × seeds as the TOML file SUITE says.

    \b
      benchbench suite suite.toml --dry-run
      benchbench suite suite.toml --jobs 2

    What is done is skipped, what was killed goes on, what fails is recorded and stops nothing else.
    """
    from benchbench.cli.live import LiveSuite, plan_table
    from benchbench.cli.progress import RichProgress
    from benchbench.results.store import Store
    from benchbench.runner.executors.local import LocalProcesses
    from benchbench.runner.suite import run_suite
    from benchbench.verbs.suite import planned

    store = Store(out)
    cells = planned(suite, store, device, RichProgress())
    if dry_run:
        show(plan_table(cells, jobs))
        for reason in dict.fromkeys(cell.reason for cell in cells if cell.reason is not None):
            say(f"cannot be run: {reason}", stderr=True)
        return
    with LiveSuite(cells, console(stderr=True)) as live:
        run_suite(cells, store, LocalProcesses(jobs), device=device, watch=live)
