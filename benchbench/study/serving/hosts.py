"""The names by which a server may be called.

A page of somebody else's can have its own name point to this machine and then read what a server here says (DNS
rebinding); the browser tells on it by the Host header. So only names are answered that nobody else can give: those of
the loopback address, the one that the server was started with, and, where that stands for all of this machine's,
addresses written as numbers, which no name service changes.
"""

from __future__ import annotations

import ipaddress
import re

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[0-9A-Za-z._-]+))(?::\d{1,5})?")


class Hosts:
    """Which Host headers are answered.

    Args:
        host: As `--host` has it.
    """

    def __init__(self, host: str) -> None:
        self._names = LOOPBACK | {host.lower()}
        self._any_number = (number := _number(host)) is not None and number.is_unspecified

    def allow(self, header: str) -> bool:
        """Whether a request with this Host header is answered, whatever its port: it may have come through a tunnel."""
        said = _HOST.fullmatch(header)
        if said is None:
            return False
        name = (said["six"] or said["name"]).lower()
        return name in self._names or (self._any_number and _number(name) is not None)


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
