"""`benchbench migrate`: records of an older schema, carried over."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from benchbench.cli.console import say
from benchbench.cli.options import Location


@click.command(short_help="Bring older records to the present schema.")
@click.argument("folder", type=Location())
def migrate(folder: Path) -> None:
    """Carry the records in FOLDER over to the schema that this benchbench reads. No number changes.

    Every record is named with the key it had and the one it has; a record that no run would find again, because what it
    was made from is not all in it, keeps its numbers under a key of its own.
    """
    from benchbench.runner.rekey.migration import migrate as carry_over

    states: Counter[str] = Counter()
    for moved in carry_over(folder):
        states[moved.state] += 1
        if moved.before != moved.after:
            say(f"{moved.before.relative_to(folder)} -> {moved.after.name}  {moved.state}")
    total = ", ".join(f"{n} {state}" for state, n in sorted(states.items()))
    say(f"{sum(states.values())} records: {total}" if states else f"no records in {folder}", stderr=True)
