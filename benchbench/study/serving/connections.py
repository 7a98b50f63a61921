"""Connections: how many there may be, and how long one may keep a request back.

A connection costs a file descriptor, and a server without one left takes nobody any more. uvicorn ends a connection
that is idle after a response, and waits without end for a request that was begun: a phone that went out of reach, or
somebody who sends a byte now and then (slow loris).
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

from uvicorn.protocols.http.h11_impl import H11Protocol

if sys.platform != "win32":
    import resource

PATIENCE = 20.0
"""Seconds from the opening of a connection, or from its last response, until a whole request is there."""
DESCRIPTORS = 16_384
"""As many are asked of the system; often it begins with 256 or 1,024 and gives more to whoever asks."""


class Connection(H11Protocol):
    """One that is ended where no whole request comes in time, and at once where there are `most` already."""

    most = DESCRIPTORS // 4
    """The others are for those that are just being accepted, a queue of them at once, and for files."""
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= self.most:
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        self._wait()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = self.loop.call_later(PATIENCE, self._give_up)

    def _give_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body:
            self.transport.abort()


def make_room() -> None:
    """Ask the system for as many descriptors as a study may need, and take no more connections than it gives."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # what it does not give is done without
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    Connection.most = (DESCRIPTORS if soft == resource.RLIM_INFINITY else min(soft, DESCRIPTORS)) // 4
