"""`benchbench study serve`: the page of a study, for browsers."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.console import say
from benchbench.cli.options import Location


@click.command(short_help="Serve the page on which people answer.")
@click.argument("folder", type=Location())
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="An address of this machine; others reach it by it.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes any that is free."
)
@click.option(
    "--name",
    "names",
    metavar="HOST",
    multiple=True,
    help="A public name, by which a proxy or a tunnel passes requests on; may be given again.",
)
def serve(folder: Path, host: str, port: int, names: tuple[str, ...]) -> None:
    """Serve the study in FOLDER until Ctrl-C.

    \b
      benchbench study serve my-study
      benchbench study serve my-study --host 0.0.0.0 --port 8080
      benchbench study serve my-study --name study.example.org

    Open the address that is printed; as many people answer at once as like to. An answer is on disk before the next
    question is shown, and whoever closes the page goes on later in the same browser. No name, address or other datum
    of a person is kept.
    """
    from benchbench.cli.progress import RichProgress
    from benchbench.verbs.study.serve import serve as run

    ended = iter(["Ctrl-C ends it; the same command goes on"])

    def ready(url: str) -> None:
        say(f"study: {url}")
        for words in ended:  # once
            say(words, stderr=True)

    run(folder, host=host, port=port, names=names, ready=ready, progress=RichProgress())
