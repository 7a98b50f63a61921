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
from benchbench.cli.check import Verdict, check
from benchbench.cli.cite import cite
from benchbench.cli.compare import compare
from benchbench.cli.doctor import doctor
from benchbench.cli.evaluate import evaluate
from benchbench.cli.job import job
from benchbench.cli.leaderboard import leaderboard
from benchbench.cli.limits import check_memory_limit
from benchbench.cli.list import list_things
from benchbench.cli.migrate import migrate
from benchbench.cli.notes import notes
from benchbench.cli.report import report
from benchbench.cli.run import run
from benchbench.cli.stats import stats
from benchbench.cli.streams import guarded
from benchbench.cli.suite import suite
from benchbench.core.errors import (
    BenchbenchError,
    CellFailed,
    InputError,
    limit_of_machine,
    unknown_name,
)
from benchbench.core.interrupts import TERMINATED, Terminated, terminable
from benchbench.core.paths import printable

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class Verbs(click.Group):
    """A group that names the nearest verb when it does not know one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise unknown_name("command", args[0], self.commands)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the verb; what the library warns of meanwhile is said as notes."""
        with notes():
            return super().invoke(ctx)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(benchbench.__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Train, score and compare generative image models with numbers that can be trusted."""
    check_memory_limit()


for verb in (
    run,
    suite,
    job,
    evaluate,
    stats,
    compare,
    check,
    leaderboard,
    report,
    cite,
    list_things,
    doctor,
    migrate,
):
    cli.add_command(verb)


def main() -> NoReturn:
    """The console script: runs the verb and turns every error into one sentence and an exit code.

    What becomes of the streams changes no verdict: where standard output could not be written, a check ends with its
    own code all the same, and any other verb that went well with that of wrong usage.
    """
    with guarded() as streams:
        terminable()
        verdict: object = None
        try:
            verdict = cli.main(standalone_mode=False)
            code = verdict if isinstance(verdict, int) else 0
        except BaseException as error:
            code = _ended(error)
        sys.stdout.flush()
        if (lost := streams.lost()) is not None:
            _say(lost)
            if code == 0 and not isinstance(verdict, Verdict):
                code = InputError.exit_code
    sys.exit(code)


def _ended(error: BaseException) -> int:
    """Say what ended a verb. Returns the exit code."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, click.Abort | KeyboardInterrupt):
        # Click's Abort hides what it stands for.
        ended = isinstance(error, Terminated) or isinstance(error.__cause__, Terminated)
        _say("terminated" if ended else "interrupted")
        return TERMINATED if ended else INTERRUPTED
    if isinstance(error, BenchbenchError):
        _say(str(error))
        return error.exit_code
    if not isinstance(error, Exception) or os.environ.get("BENCHBENCH_DEBUG"):
        raise error
    _say(_sentence(error))
    return CellFailed.exit_code


def _sentence(error: Exception) -> str:
    from benchbench.core.registry import plugin_behind

    if said := limit_of_machine(error):
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
    """On stderr, as one line. A name in it, which anybody may have written, must not move the cursor."""
    click.echo(f"benchbench: {printable(text)}", err=True)
