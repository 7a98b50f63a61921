"""What the library warns of, as a line on stderr."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchbench.cli.console import say
from benchbench.core.errors import BenchbenchWarning, SkippedWarning
from benchbench.core.started import speaks


@contextmanager
def notes() -> Iterator[None]:
    """While a verb runs, a warning of ours is one line, said once, without the place in the code that it came from."""
    said: set[str] = set()
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, BenchbenchWarning | SkippedWarning):
                others(message, category, *where, **more)
            elif (text := str(message)) not in said and speaks():
                said.add(text)
                say(f"note: {text}", stderr=True)

        warnings.showwarning = show
        for category in (BenchbenchWarning, SkippedWarning):
            warnings.simplefilter("always", category)
        yield
