"""Progress where a notebook runs the code: one block below the cell, which ends as the lines that a terminal shows.

Whether this is a notebook is asked of IPython where somebody has imported it, and of nobody else: the library imports
it for no one, and needs no widgets.
"""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from benchbench.core.progress import AUTO, SILENT, Counted, Progress

EVERY = 0.25  # seconds between two pictures of one bar
MOST_LINES = 12  # of what ended; a suite has hundreds


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this code: Jupyter, a notebook in an editor or in the cloud, not a terminal."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def watching(progress: Progress) -> Progress:
    """Who is told.

    Args:
        progress: As a verb was given it.

    Returns:
        The same, and in place of `AUTO` a block below the cell of a notebook, or nobody.
    """
    if progress is not AUTO:
        return progress
    return NotebookProgress() if in_notebook() else SILENT


class NotebookProgress:
    """A `core.progress.Progress` for one call in one cell of a notebook."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.left_out = 0
        self._handle: Any = None

    def note(self, text: str) -> None:
        """A line that stays."""
        self.lines.append(text)
        if len(self.lines) > MOST_LINES:
            del self.lines[0]
            self.left_out += 1
        self._show(None)

    @contextmanager
    def stage(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Counted]:
        """A bar while it lasts, a line when it has ended."""
        stage = _Drawn(title, total, unit, done)
        stage.show = self._show
        self._show(stage)
        try:
            yield stage
        finally:
            self.note(stage.ended())

    def _show(self, stage: Counted | None) -> None:
        shown: Any = import_module("IPython.display")  # which is there: a kernel runs this
        content = shown.HTML(self._html(stage))
        if self._handle is None:
            self._handle = shown.display(content, display_id=True)
        else:
            self._handle.update(content)

    def _html(self, stage: Counted | None) -> str:
        lines = [f"{self.left_out} lines before"] if self.left_out else []
        shown = [f"<div>{html.escape(line)}</div>" for line in [*lines, *self.lines]]
        if stage is not None:
            bar = f'<progress value="{stage.done}" max="{stage.total}"></progress> ' if stage.total else ""
            left = _left(stage)
            said = "  ".join(filter(None, [stage.count, stage.rate(), left, stage.numbers]))
            shown.append(f"<div>{html.escape(stage.title)} {bar}{html.escape(said)}</div>")
        return f'<div style="font-size:85%;opacity:.8">{"".join(shown)}</div>'


class _Drawn(Counted):
    """A stage that is drawn now and then."""

    show: Any
    shown = 0.0

    def advance(self, n: int = 1, **numbers: float) -> None:
        super().advance(n, **numbers)
        if (now := time.monotonic()) - self.shown >= EVERY:
            self.shown = now
            self.show(self)


def _left(stage: Counted) -> str:
    """When it will have ended, as it goes now."""
    gone, did = time.monotonic() - stage.start, stage.done - stage.first
    if not stage.total or did <= 0 or gone < 1:
        return ""
    minutes, seconds = divmod(round(gone / did * max(0, stage.total - stage.done)), 60)
    return f"{minutes}:{seconds:02} left"
