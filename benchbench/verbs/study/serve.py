"""`benchbench.study.serve`: the page of a study, for browsers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchbench.core.notebook import watching
from benchbench.core.progress import AUTO, Progress
from benchbench.study.folder import load
from benchbench.study.serving.server import HOST, PORT, Server


def serve(
    folder: Path | str,
    *,
    host: str = HOST,
    port: int = PORT,
    ready: Callable[[str], None] = print,
    progress: Progress = AUTO,
) -> None:
    """Serve the page on which people answer a study, until Ctrl-C. An answer is on disk before the next is asked for.

    Args:
        folder: The study.
        host: A name or an address of this machine. On any other than the loopback address everybody who reaches this
            machine can answer, and nothing is encrypted.
        port: 0 takes one that is free.
        ready: Called once, with the page's address, when browsers may come.
        progress: Who is told what another host means.

    Raises:
        InputError: There is no study, the libraries of the server are not installed, or the host or port cannot be had.
        KeyboardInterrupt: As it ends.

    >>> benchbench.study.serve("my-study", port=8080)  # doctest: +SKIP
    """
    server = Server(load(folder), host, port)
    if not server.address.only_here:
        watching(progress).note(server.address.warning)
    ready(server.address.url)
    server.run()
