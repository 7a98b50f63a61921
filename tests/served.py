"""A study that is served while a test asks it: in this process, on a port that is free, and what asks it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from benchbench.study.folder import Study
from benchbench.study.serving.server import Address, Server


@contextmanager
def served(study: Study, host: str = "127.0.0.1", names: Sequence[str] = ()) -> Iterator[Caller]:
    """Whoever asks the study's server, which runs in a thread meanwhile."""
    server = Server(study, host, 0, names)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield Caller(server.address)
    finally:
        server.end()
        thread.join(20)
        assert not thread.is_alive()


class Said(NamedTuple):
    """A response; `json` is None where the body is none."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """Asks a server, each time on a connection of its own, and keeps all that it was told."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.port = port = address.port
        self.url = f"http://127.0.0.1:{port}/"
        self.told: list[Said] = []

    def ask(self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str) -> Said:
        """body: JSON values, or bytes as they are. Headers are named with _ for -."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        own = {} if content is None else {"Content-Type": "application/json"}
        own |= {} if token is None else {"Authorization": f"Bearer {token}"}
        own |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, content, own)
            response = connection.getresponse()
            said = Said(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()
        self.told.append(said)
        return said

    def raw(self, request: bytes, more: bytes = b"", *, hang_up: bool = False) -> bytes:
        """Bytes on a connection, as they are, and what comes back until the other side hangs up.

        more: what is sent although an answer may have come. hang_up: say first that nothing more will be sent.
        """
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(request)
            found = b""
            with suppress(OSError):  # it may have hung up before all was sent
                connection.sendall(more)
                if hang_up:
                    connection.shutdown(socket.SHUT_WR)
                while piece := connection.recv(65536):
                    found += piece
            return found

    def begin(self) -> str:
        """A token."""
        said = self.ask("POST", "/api/start", {"consent": True})
        assert said.status == 200, said
        return str(said.json["token"])

    def next(self, token: str) -> Any:
        """What its owner is shown now."""
        said = self.ask("GET", "/api/next", token=token)
        assert said.status == 200, said
        return said.json

    def answer(self, token: str, item: str, place: Any = 0, ms: Any = 700) -> Said:
        """An answer."""
        return self.ask("POST", "/api/answer", {"item": item, "place": place, "ms": ms}, token)


def lines(study: Study) -> dict[str, list[dict[str, Any]]]:
    """What stands on disk: rater -> the answers, the first line of each file left out."""
    return {
        file.stem: [json.loads(line) for line in file.read_text().splitlines()[1:]]
        for file in sorted(Path(study.folder, "answers").iterdir())
    }
