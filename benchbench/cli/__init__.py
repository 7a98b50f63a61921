"""The front door: Click, one file a verb.

A verb reads its arguments, calls the library and prints. Nothing heavy is imported before a verb runs, so
`benchbench --help` answers at once. Data goes to stdout, progress and errors to stderr.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

import benchbench
from benchbench.cli.check import check
from benchbench.cli.compare import compare
from benchbench.cli.doctor import doctor
from benchbench.cli.evaluate import evaluate
from benchbench.cli.leaderboard import leaderboard
from benchbench.cli.list import list_things
from benchbench.cli.migrate import migrate
from benchbench.cli.report import report
from benchbench.cli.run import run
from benchbench.cli.stats import stats
from benchbench.cli.suite import suite
from benchbench.core.errors import BenchbenchError, CellFailed, out_of_memory, unknown_name
from benchbench.core.interrupts import Terminated, terminable

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
TERMINATED = 143  # 128 + SIGTERM


class Verbs(click.Group):
    """A group that names the nearest verb when it does not know one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise unknown_name("command", args[0], self.commands)
        return super().resolve_command(ctx, args)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(benchbench.__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Train, score and compare generative image models with numbers that can be trusted."""


for verb in (run, suite, evaluate, stats, compare, check, leaderboard, report, list_things, doctor, migrate):
    cli.add_command(verb)


def main() -> NoReturn:
    """The console script: runs the verb and turns every error into one sentence and an exit code."""
    terminable()
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt) as stop:
        ended = isinstance(stop, Terminated) or isinstance(
            stop.__cause__, Terminated
        )  # Click's Abort hides it
        _say("terminated" if ended else "interrupted")
        sys.exit(TERMINATED if ended else INTERRUPTED)
    except BrokenPipeError:
        # Somebody closed our stdout (`| head`); Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except BenchbenchError as error:
        _say(str(error))
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("BENCHBENCH_DEBUG"):
            raise
        _say(_sentence(error))
        sys.exit(CellFailed.exit_code)
    sys.exit(0)


def _sentence(error: Exception) -> str:
    from benchbench.core.registry import plugin_behind

    if said := out_of_memory(error):
        return said
    if plugin := plugin_behind(error):
        return (
            f"{plugin} failed: {type(error).__name__}: {error} "
            "(set BENCHBENCH_DEBUG=1 to see where, and please tell its authors)"
        )
    return (
        f"this is a bug in benchbench: {type(error).__name__}: {error} "
        "(set BENCHBENCH_DEBUG=1 to see where, and please report it)"
    )


def _say(text: str) -> None:
    """On stderr. A name in it, which anybody may have written, must not move the cursor."""
    shown = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
    click.echo(f"benchbench: {shown}", err=True)
