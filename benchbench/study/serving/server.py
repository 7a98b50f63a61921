"""The study on an address, until somebody ends it.

uvicorn speaks HTTP. Nothing about a person is written: it keeps no log of requests, and no address of anybody.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchbench.core.bounds import whole
from benchbench.core.errors import InputError
from benchbench.core.paths import printable
from benchbench.core.validation import shown
from benchbench.study.folder import Study
from benchbench.study.serving.addresses import own_addresses
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
        others: Where the host stands for all addresses of this machine, those by which others reach it.
    """

    host: str
    port: int
    only_here: bool
    others: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """What a browser on this machine is given."""
        return self._url({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host))

    @property
    def urls(self) -> list[str]:
        """All that lead to the study, `url` first."""
        return [self.url, *map(self._url, self.others)]

    def _url(self, host: str) -> str:
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    @property
    def warning(self) -> str:
        """What it means where others than this machine reach it."""
        return (
            f"the host {printable(self.host)} lets everybody who reaches this machine open the study on port "
            f"{self.port} and answer it; nothing that is sent is encrypted (no TLS)"
        )


class Server:
    """A study that browsers may come to from now on; `run` answers them.

    Args:
        study: Which.
        host: A name or an address of this machine.
        port: 0 takes one that is free.
        names: Other names by which it may be called, as by a proxy that passes requests on.

    Attributes:
        address: Where it is served.

    Raises:
        InputError: The library is missing, the port is taken or may not be taken, the address is not of this machine,
            one of the names is none, or the consent text cannot be read.
    """

    def __init__(self, study: Study, host: str = HOST, port: int = PORT, names: Sequence[str] = ()) -> None:
        uvicorn = _library()
        from benchbench.study.serving.app import application
        from benchbench.study.serving.connections import Connection, make_room
        from benchbench.study.serving.reception import Reception

        _ = study.consent  # before anybody comes
        if not isinstance(host, str) or not host:
            raise InputError(f"host={shown(host)} must be a name or an address of this machine")
        hosts = Hosts(host, names)
        self._listener = _listening(host, port)
        bound = self._listener.getsockname()
        number = ipaddress.ip_address(bound[0])
        others = own_addresses(_families(self._listener)) if number.is_unspecified else []
        self.address = Address(host, bound[1], number.is_loopback, tuple(others))
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # what hostile requests say is no news
        config = uvicorn.Config(
            application(Reception(study), hosts),
            http=Connection,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_PATIENCE,
        )
        make_room()
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        """Answer until `end`, or until SIGINT or SIGTERM, which are raised as ever once what came in is kept."""
        with self._listener:
            self._server.run(sockets=[self._listener])

    def close(self) -> None:
        """Give the address back; `run` has done so when it returns."""
        self._listener.close()

    def end(self) -> None:
        """Let `run` return, from another thread."""
        self._server.should_exit = True


def _library() -> Any:
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise InputError(
            f"serving a study needs {error.name or 'a library'}: pip install starlette uvicorn"
        ) from error
    return uvicorn


def _families(listener: socket.socket) -> tuple[socket.AddressFamily, ...]:
    """Of addresses that reach it: one of IPv6 takes IPv4, too, where the system has it so."""
    if listener.family == socket.AF_INET:
        return (socket.AF_INET,)
    only = listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    return (socket.AF_INET6,) if only else (socket.AF_INET, socket.AF_INET6)


def _listening(host: str, port: int) -> socket.socket:
    """A socket that browsers may connect to from now on."""
    try:
        if (number := whole(port)) is None or not 0 <= number <= MOST_PORT:
            raise ValueError
    except ValueError:
        raise InputError(f"port={shown(port)} must be a whole number from 0 to {MOST_PORT:,}") from None
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{shown(host)} is no name or address of this machine ({reason}); give --host one"
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
        if error.errno == errno.EADDRNOTAVAIL:
            raise InputError(
                f"{printable(host)} is the address of another machine; give --host one of this machine, or 0.0.0.0"
            ) from error
        raise InputError(
            f"cannot serve on {printable(host)} port {number}: {error.strerror}; give another --port, or --port 0 for "
            "a free one"
        ) from error
    return listener
