"""What the command line prints: the one place where text of ours or of anybody becomes characters on a terminal.

Names, paths and reasons may hold anything. A console that knows no markup takes nothing in them for a style, a link or
an emoji, so nobody has to escape them; what is ours is styled by `style=` or `rich.text.Text`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from benchbench.core.paths import printable

if TYPE_CHECKING:
    from rich.console import Console


def console(*, stderr: bool = False) -> Console:
    """A console that prints text as it is."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def show(content: Any, *, stderr: bool = False) -> None:
    """A table or another thing that rich can draw; an address longer than a line stays whole."""
    console(stderr=stderr).print(content, crop=False)


def say(text: object, *, stderr: bool = False) -> None:
    """One line, whatever is in it and however long it is."""
    click.echo(printable(text), err=stderr)
