"""The study on an address, until somebody ends it.

uvicorn speaks HTTP. Nothing about a person is written: it keeps no log of requests, and no address of anybody.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from dataclasses import dataclass

from benchbench.core.errors import InputError
from benchbench.study.folder import Study
from benchbench.study.serving.hosts import Hosts

HOST, PORT = "127.0.0.1", 8000
MOST_PORT = 65_535
_BACKLOG = 2048
_PATIENCE = 5
"""Seconds that answers which are being written have when the server is ended."""


@dataclass(frozen=True)
class Address:
    """Where a study is served.

    Attributes:
        host: As it was asked for.
        port: The one that was taken.
        only_here: Whether nobody but this machine reaches it.
    """

    host: str
    port: int
    only_here: bool

    @property
    def url(self) -> str:
        """What a browser is given."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"


class Server:
    """A study that browsers may come to from now on; `run` answers them.

    Args:
        study: Which.
        host: A name or an address of this machine.
        port: 0 takes one that is free.

    Attributes:
        address: Where it is served.

    Raises:
        InputError: The library is missing, the port is taken or may not be taken, the address is not of this machine,
            or the consent text cannot be read.
    """

    def __init__(self, study: Study, host: str = HOST, port: int = PORT) -> None:
        uvicorn = _library()
        from benchbench.study.serving.app import application
        from benchbench.study.serving.reception import Reception

        _ = study.consent  # before anybody comes
        self._listener = _listening(host, port)
        bound = self._listener.getsockname()
        self.address = Address(host, bound[1], ipaddress.ip_address(bound[0]).is_loopback)
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # what hostile requests say is no news
        config = uvicorn.Config(
            application(Reception(study), Hosts(host)),
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_PATIENCE,
        )
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        """Answer until `end`, or until SIGINT or SIGTERM, which are raised as ever once what came in is kept."""
        with self._listener:
            self._server.run(sockets=[self._listener])

    def end(self) -> None:
        """Let `run` return, from another thread."""
        self._server.should_exit = True


def _library():  # type: ignore[no-untyped-def]
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise InputError(
            f"serving a study needs {error.name or 'a library'}: pip install starlette uvicorn"
        ) from error
    return uvicorn


def _listening(host: str, port: int) -> socket.socket:
    """A socket that browsers may connect to from now on."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{host!r} is no name or address of this machine ({reason}); give --host one"
        ) from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # one that has just ended holds no port
        listener.bind(where)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise InputError(
            f"cannot serve on {host} port {port}: {error.strerror}; give another --port, or --port 0 for a free one"
        ) from error
    return listener
