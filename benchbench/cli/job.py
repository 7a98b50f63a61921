"""`benchbench job`: one cell of a suite, as an executor starts it."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.options import Location


@click.command()
@click.argument("spec", type=Location())
@click.option(
    "--with-parent",
    is_flag=True,
    help="End as soon as standard input closes; leave a cell alone that failed since SPEC was written.",
)
def job(spec: Path, with_parent: bool) -> None:
    """Carry out the one cell that the file SPEC asks for.

    \b
      benchbench job runs/.logs/0f3a55c2d1e4b687.json

    A suite writes such files, and every executor starts this command: on this machine, as a job of Slurm, as a task of
    Ray. The cell is answered from its record, goes on from its last checkpoint, or leaves why it failed in its folder.
    Exit code 75: another process carries it out already.
    """
    from benchbench.runner.executors.job import carry_out, end_with_parent, read_job, settle

    asked, since = read_job(spec), spec.stat().st_mtime_ns  # before the job's folder becomes the working one
    settle(asked)
    if with_parent:
        end_with_parent()
    if code := carry_out(asked, asked=since if with_parent else None):
        raise click.exceptions.Exit(code)
