"""`benchbench.completion`: what makes a shell complete commands, options and names."""

from __future__ import annotations

from typing import Literal, get_args

from benchbench.core.errors import unknown_name

Shell = Literal["bash", "zsh", "fish"]
PROGRAM = "benchbench"


def completion(shell: Shell) -> str:
    """The script that a shell reads at its start, so that Tab completes what follows `benchbench`.

    Args:
        shell: "bash" (4.4 or newer), "zsh" or "fish".

    Returns:
        The script, Click's own.

    Raises:
        InputError: It is no such shell.

    >>> "complete" in benchbench.completion("fish")  # doctest: +SKIP
    True
    """
    if shell not in get_args(Shell):
        raise unknown_name("shell", str(shell), get_args(Shell))
    import click
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    return made(click.Group(), {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE").source()
