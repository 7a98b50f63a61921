"""Damaged files, made by a seed: what the fuzz tests of all readers have in common.

`mutations` damages bytes (`BINARY`): flipped bits, ends cut off, lengths spliced, headers edited, blocks moved; and
text as such (`TEXT`): numbers, words, brackets, lines. The same seed makes the same files on every machine. Where a
checksum guards the content (a member of a zip), damage the member and wrap it again, or no mutation comes further.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

COUNT = 400
HEADER = 256
"""Bytes at either end in which formats keep what they say of themselves."""

EXTREMES = (0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**64 - 1)
NUMBERS = (
    *("-1", "0", "1e308", "1e400", "-1e309", "NaN", "nan", "inf", "Infinity", "1_0", "0x10", "1.5", "9" * 20),
    *("9" * 5000, "true", "null", '""', "[]", "{}", "-0", "1e-400", "２"),
)
TEXTS = (
    *(
        "",
        "\x00",
        "\ufeff",
        "\u202e",
        "[/x]",
        "%s",
        "{0}",
        "../../x",
        "=1+1",
        "'" * 3,
        "x" * 70_000,
        "é",
        "\ud83d",
    ),
)
BRACKETS = 20_000
"""So many, nested, exceed what any recursive parser holds."""


class Mutation(NamedTuple):
    """A damaged file. what: what was done to it, for the message of a test that fails."""

    what: str
    content: bytes


Mutator = Callable[[bytes, random.Random], Mutation]


def flip(content: bytes, rng: random.Random) -> Mutation:
    """One to eight bits."""
    damaged = bytearray(content)
    at = [rng.randrange(8 * len(content)) for _ in range(rng.randint(1, 8))]
    for bit in at:
        damaged[bit // 8] ^= 1 << bit % 8
    return Mutation(f"bits {at} flipped", bytes(damaged))


def truncate(content: bytes, rng: random.Random) -> Mutation:
    """The end is missing, or the beginning."""
    at = rng.randrange(len(content))
    if rng.random() < 0.2:
        return Mutation(f"the first {at} bytes are missing", content[at:])
    return Mutation(f"cut off at byte {at}", content[:at])


def splice_length(content: bytes, rng: random.Random) -> Mutation:
    """An integer somewhere, most often near an end, becomes one that nobody expects."""
    width = rng.choice((1, 2, 4, 8))
    order = rng.choice(("little", "big"))
    at = min(_near_an_end(content, rng), max(0, len(content) - width))
    was = int.from_bytes(content[at : at + width], order)
    value = rng.choice((*EXTREMES, was + 1, was - 1, was * 2, -was)) % 256**width
    written = value.to_bytes(width, "little" if order == "little" else "big")
    return Mutation(
        f"{width} bytes at {at} say {value} ({order})", content[:at] + written + content[at + width :]
    )


def edit_header(content: bytes, rng: random.Random) -> Mutation:
    """A few bytes near an end are others."""
    at = _near_an_end(content, rng)
    some = bytes(rng.randrange(256) for _ in range(rng.randint(1, 6)))
    return Mutation(f"bytes at {at} are {some!r}", content[:at] + some + content[at + len(some) :])


def insert(content: bytes, rng: random.Random) -> Mutation:
    """Bytes of nobody."""
    at = _near_an_end(content, rng)
    some = rng.choice((b"\0" * 64, b"\xff" * 64, rng.randbytes(32), rng.randbytes(4096)))
    return Mutation(f"{len(some)} bytes more at {at}", content[:at] + some + content[at:])


def delete(content: bytes, rng: random.Random) -> Mutation:
    """A block is missing."""
    at, n = _near_an_end(content, rng), rng.choice((1, 2, 8, 64, 1024))
    return Mutation(f"{n} bytes less at {at}", content[:at] + content[at + n :])


def move(content: bytes, rng: random.Random) -> Mutation:
    """A block stands where another was."""
    n = rng.choice((1, 8, 64, 512))
    source, target = rng.randrange(len(content)), rng.randrange(len(content))
    block = content[source : source + n]
    return Mutation(
        f"{n} bytes of {source} stand at {target}", content[:target] + block + content[target + len(block) :]
    )


def fill(content: bytes, rng: random.Random) -> Mutation:
    """A block of one byte."""
    at, n, byte = rng.randrange(len(content)), rng.choice((4, 32, 256, 4096)), rng.choice((0, 0xFF, 0x20))
    return Mutation(f"{n} bytes at {at} are {byte}", content[:at] + bytes([byte]) * n + content[at + n :])


def number(content: bytes, rng: random.Random) -> Mutation:
    """A number in a text becomes another, or no number."""
    return _another(content, rng, rb"-?\d[\d.eE+-]*", NUMBERS)


def word(content: bytes, rng: random.Random) -> Mutation:
    """A word or what is between quotes becomes another text."""
    return _another(content, rng, rb'(?<=")[^"\n]*(?=")|\b[A-Za-z_]\w*\b', TEXTS)


def _another(content: bytes, rng: random.Random, pattern: bytes, others: Sequence[str]) -> Mutation:
    """One of `others` in place of something that `pattern` finds."""
    found = list(re.finditer(pattern, content))
    if not found:
        return flip(content, rng)
    one, other = rng.choice(found), rng.choice(others)
    what = f"{one[0][:30]!r} at {one.start()} is {other[:30]!r}"
    return Mutation(
        what, content[: one.start()] + other.encode("utf-8", "surrogatepass") + content[one.end() :]
    )


def line(content: bytes, rng: random.Random) -> Mutation:
    """A line is missing, is there twice, ends otherwise or lost a comma."""
    lines = content.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    how, there = rng.choice(
        (
            ("is missing", b""),
            ("is there twice", lines[at] * 2),
            ("ends with \\r", lines[at].rstrip() + b"\r"),
            ("has a comma more", b"," + lines[at]),
            ("has no comma", lines[at].replace(b",", b"", 1)),
            ("is very long", lines[at].rstrip() * 2000 + b"\n"),
        )
    )
    return Mutation(f"line {at} {how}", b"".join([*lines[:at], there, *lines[at + 1 :]]))


def structure(content: bytes, rng: random.Random) -> Mutation:
    """A mark of the syntax is another, or stands there far too often; or the text is in another encoding."""
    if rng.random() < 0.2:
        code = rng.choice(("utf-16", "utf-32", "utf-8-sig", "cp037"))
        return Mutation(f"in {code}", content.decode("utf-8", "replace").encode(code, "replace"))
    found = list(re.finditer(rb"[\[\]{}(),:=\"'#.]", content))
    if not found:
        return insert(content, rng)
    one = rng.choice(found)
    other = rng.choice((b"", b"[", b"]", b"{", b"}", b'"', b"=", b"[" * BRACKETS, b'{"a":' * BRACKETS))
    return Mutation(
        f"{one[0].decode()} at {one.start()} is {other[:5]!r} × {max(1, len(other) // 5)}",
        content[: one.start()] + other + content[one.end() :],
    )


BINARY: tuple[Mutator, ...] = (flip, truncate, splice_length, edit_header, insert, delete, move, fill)
TEXT: tuple[Mutator, ...] = (*BINARY[:2], edit_header, number, number, word, line, structure)


def mutations(
    content: bytes, count: int = COUNT, seed: int = 0, mutators: tuple[Mutator, ...] = BINARY
) -> Iterator[Mutation]:
    """`count` damaged copies of `content`, which has at least one byte: each mutator in turn, and every fifth copy
    damaged twice. The same seed gives the same ones."""
    rng = random.Random(seed)
    for i in range(count):
        what, damaged = mutators[i % len(mutators)](content, rng)
        if i % 5 == 4 and damaged:
            more, damaged = rng.choice(mutators)(damaged, rng)
            what = f"{what}; {more}"
        yield Mutation(f"mutation {i} of seed {seed}: {what}", damaged)


def _near_an_end(content: bytes, rng: random.Random) -> int:
    """A place: in the first or the last `HEADER` bytes, mostly."""
    place = rng.random()
    if place < 0.5:
        return rng.randrange(min(HEADER, len(content)))
    if place < 0.8:
        return len(content) - 1 - rng.randrange(min(HEADER, len(content)))
    return rng.randrange(len(content))
