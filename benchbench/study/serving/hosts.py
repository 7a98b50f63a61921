"""The names by which a server may be called.

A page of somebody else's can have its own name point to this machine and then read what a server here says (DNS
rebinding); the browser tells on it by the Host header. So only names are answered that nobody else can give: those of
the loopback address, the one that the server was started with, those that its owner vouches for, and, where it
stands for all addresses of this machine, addresses written as numbers, which no name service changes.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from benchbench.core.errors import InputError
from benchbench.core.validation import shown

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_NAME = re.compile(r"[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*\.?")
_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[0-9A-Za-z._-]+))(?::\d{1,5})?")


class Hosts:
    """Which Host headers are answered.

    Args:
        host: As `--host` has it.
        names: Others, as `--name` has them: by which a proxy or a tunnel passes requests on.

    Raises:
        InputError: One of them is no name of a host.
    """

    def __init__(self, host: str, names: Iterable[str] = ()) -> None:
        own = [*names]
        for name in own:
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise InputError(
                    f"--name {shown(name)} is no name of a host; give it as it stands in the link between :// and the "
                    "next : or /, such as study.example.org (letters beyond a to z as xn--…)"
                )
        self._names = LOOPBACK | {host.lower(), *map(str.lower, own)}
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
