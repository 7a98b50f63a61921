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
from benchbench.cli.audit import audit
from benchbench.cli.check import Verdict, check
from benchbench.cli.cite import cite
from benchbench.cli.compare import compare
from benchbench.cli.completion import completion
from benchbench.cli.diff import diff
from benchbench.cli.doctor import doctor
from benchbench.cli.evaluate import evaluate
from benchbench.cli.export import export
from benchbench.cli.fetch import fetch
from benchbench.cli.init import init
from benchbench.cli.job import job
from benchbench.cli.leaderboard import leaderboard
from benchbench.cli.limits import check_memory_limit
from benchbench.cli.list import list_things
from benchbench.cli.merge import merge
from benchbench.cli.migrate import migrate
from benchbench.cli.notes import notes
from benchbench.cli.plot import plot
from benchbench.cli.profile import profile
from benchbench.cli.report import report
from benchbench.cli.run import run
from benchbench.cli.stats import stats
from benchbench.cli.streams import guarded
from benchbench.cli.study import study
from benchbench.cli.suite import suite
from benchbench.cli.verify import verify
from benchbench.core.errors import (
    BenchbenchError,
    CellFailed,
    InputError,
    limit_of_machine,
    unknown_name,
)
from benchbench.core.interrupts import TERMINATED, Terminated, terminable
from benchbench.core.paths import printable
from benchbench.core.started import speaks, started

WIDEST = 120  # columns of a help page; less where the terminal has less
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
OVER_RANKS = ("run", "evaluate")
"""The verbs that several processes carry out together (docs/several-devices.md)."""


class Verbs(click.Group):
    """A group that names the nearest verb when it does not know one, and lists them in the order of the work."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As they were added."""
        return [*self.commands]  # the module `list` has taken Python's own name

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise unknown_name("command", args[0], self.commands)
        found = super().resolve_command(ctx, args)
        if found[0] not in OVER_RANKS and (here := started()) is not None:
            raise InputError(
                f"benchbench {found[0]} is work of one process, and torchrun started {here.size}; start it without "
                f"torchrun, which is for {' and '.join(OVER_RANKS)}"
            )
        return found

    def invoke(self, ctx: click.Context) -> object:
        """Run the verb; what the library warns of meanwhile is said as notes."""
        with notes():
            return super().invoke(ctx)


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDEST},
    epilog="Begin with: benchbench run --model vae --dataset digits",
)
@click.version_option(benchbench.__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Train, score and compare generative image models with numbers that can be trusted."""
    check_memory_limit()


for verb in (
    run,
    init,
    suite,
    profile,
    job,
    evaluate,
    stats,
    leaderboard,
    compare,
    report,
    plot,
    check,
    export,
    cite,
    merge,
    diff,
    verify,
    audit,
    study,
    list_things,
    fetch,
    doctor,
    completion,
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
    """Say what ended a verb, once for all ranks of a job. Returns the exit code."""
    # Click's Abort hides what it stands for.
    cause = error.__cause__ if isinstance(error, click.Abort) and error.__cause__ is not None else error
    aloud = getattr(cause, "speaks", speaks())
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.ClickException):
        if aloud:
            error.show()
        return error.exit_code
    if isinstance(error, click.Abort | KeyboardInterrupt):
        ended = isinstance(cause, Terminated)
        _say("terminated" if ended else "interrupted", aloud)
        return TERMINATED if ended else INTERRUPTED
    if isinstance(error, BenchbenchError):
        _say(str(error), aloud)
        return error.exit_code
    if not isinstance(error, Exception) or os.environ.get("BENCHBENCH_DEBUG"):
        raise error
    _say(_sentence(error), aloud)
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


def _say(text: str, aloud: bool = True) -> None:
    """On stderr, as one line. A name in it, which anybody may have written, must not move the cursor."""
    if not aloud:
        return
    click.echo(f"benchbench: {printable(text)}", err=True)
