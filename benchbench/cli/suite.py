"""`benchbench suite`: a matrix of cells from one file."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.options import DEVICE, OUT
from benchbench.core.bounds import MOST_JOBS


@click.command()
@click.argument("suite", type=click.Path(path_type=Path))
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
    from rich.console import Console

    from benchbench.cli.live import LiveSuite, plan_table
    from benchbench.cli.progress import RichProgress
    from benchbench.core.device import resolve_device
    from benchbench.results.store import Store
    from benchbench.runner.executors.local import LocalProcesses
    from benchbench.runner.suite import load_suite, plan_suite, run_suite

    store = Store(out)
    store.check_writable()
    store.tidy()
    cells = plan_suite(load_suite(suite), store, device=resolve_device(device), progress=RichProgress())
    if dry_run:
        Console().print(plan_table(cells, jobs))
        for reason in dict.fromkeys(cell.reason for cell in cells if cell.reason is not None):
            click.echo(f"cannot be run: {reason}", err=True)
        return
    with LiveSuite(cells, Console(stderr=True)) as live:
        run_suite(cells, store, LocalProcesses(jobs), device=device, watch=live)
