"""By which addresses browsers reach a server that listens on all that this machine has."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import closing

ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses for documentation (RFC 5737, RFC 3849): asked which way leads there, a machine names its own address on
that way. Nothing is sent."""


def own_addresses(families: tuple[socket.AddressFamily, ...]) -> list[str]:
    """Addresses of this machine that others may reach, those of its loopback and link-local ones apart.

    Args:
        families: AF_INET, AF_INET6 or both.

    Returns:
        Each once, the one on the way to other networks first. Networks that a machine has but neither leads there nor
        is known under its name are not found.
    """
    found: dict[str, None] = {}
    for family in families:
        for address in (*_on_the_way(family), *_by_name(family)):
            number = ipaddress.ip_address(address)
            usable = not (number.is_loopback or number.is_link_local or number.is_unspecified)
            if usable and address not in found and _is_own(address, family):
                found[address] = None
    return list(found)


def _on_the_way(family: socket.AddressFamily) -> Iterator[str]:
    try:
        with closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
            probe.connect((ELSEWHERE[family], 9))
            yield str(probe.getsockname()[0])
    except OSError:
        return  # no way leads there


def _by_name(family: socket.AddressFamily) -> Iterator[str]:
    try:
        found = socket.getaddrinfo(socket.gethostname(), None, family, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return  # nobody knows this machine's name
    yield from (str(where[0]).partition("%")[0] for *_, where in found)


def _is_own(address: str, family: socket.AddressFamily) -> bool:
    """A name service may be wrong about this machine; who can listen on an address has it."""
    try:
        with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
            probe.bind((address, 0))
            return True
    except OSError:
        return False
