"""`benchbench.study.serve`: the page of a study, for browsers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    names: Sequence[str] = (),
    ready: Callable[[str], None] = print,
    progress: Progress = AUTO,
) -> None:
    """Serve the page on which people answer a study, until Ctrl-C. An answer is on disk before the next is asked for.

    Args:
        folder: The study.
        host: A name or an address of this machine. On any other than the loopback address everybody who reaches this
            machine can answer, and nothing is encrypted.
        port: 0 takes one that is free.
        names: Public names of the host, by which a reverse proxy or a tunnel passes requests on.
        ready: Called with each address of the page, when browsers may come; the one for this machine first.
        progress: Who is told what another host means, and where the consent text is unfinished.

    Raises:
        InputError: There is no study, the libraries of the server are not installed, the host or port cannot be had,
            or a name is none.
        KeyboardInterrupt: As it ends.

    >>> benchbench.study.serve("my-study", port=8080)  # doctest: +SKIP
    """
    study, watched = load(folder), watching(progress)
    server = Server(study, host, port, names)
    if (warning := study.consent_warning) is not None:
        watched.note(warning)
    if not server.address.only_here:
        watched.note(server.address.warning)
    for url in server.address.urls:
        ready(url)
    server.run()
