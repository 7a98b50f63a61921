"""`benchbench completion`: what a shell reads to complete the rest of the line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from benchbench.verbs.completion import Shell


@click.command(short_help="Print the script that makes Tab complete names.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: Shell) -> None:
    """Print what makes SHELL complete commands, options and the names of models, datasets and metrics.

    \b
      eval "$(benchbench completion bash)"    # a line of ~/.bashrc
      eval "$(benchbench completion zsh)"     # a line of ~/.zshrc, after compinit
      benchbench completion fish > ~/.config/fish/completions/benchbench.fish
    """
    from benchbench.verbs.completion import completion as script

    click.echo(script(shell), nl=False)
