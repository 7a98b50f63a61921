"""Images that lie one behind the other in larger files: where each is, and its content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from benchbench.core.reading import open_regular
from benchbench.data.pipeline.file_images import Pick
from benchbench.data.pipeline.signatures import HEAD
from benchbench.data.sources.archives import reading


@dataclass(frozen=True)
class Span:
    """A piece of a file. name: what the piece is called. start, length: where its bytes are."""

    file: Path
    name: str
    start: int
    length: int

    def read(self, opened: IO[bytes]) -> bytes:
        """Its content, from the opened file; EOFError where that ends before it does."""
        opened.seek(self.start)
        content = opened.read(self.length)
        if len(content) != self.length:
            raise EOFError(f"{self.name} ends beyond the file")
        return content

    def head(self, opened: IO[bytes]) -> bytes:
        """As much of its content as says what it is."""
        return replace(self, length=min(HEAD, self.length)).read(opened)


def picker(spans: Sequence[Span]) -> Pick:
    """What reads the pieces of the numbers that it is given, each as (name for errors, content); `InputError` where a
    file is no longer what it was."""

    def pick(rows: Sequence[int]) -> Iterator[tuple[str, bytes]]:
        for row in rows:
            span = spans[row]
            with reading(span.file), open_regular(span.file) as opened:
                content = span.read(opened)
            yield f"{span.name} in {span.file}", content

    return pick
