"""A progress that tests read."""

from __future__ import annotations

from benchbench.core.progress import SILENT


class Notes:
    """A `Progress` that keeps what it is told. said: the notes, in order."""

    def __init__(self) -> None:
        self.said: list[str] = []

    stage = staticmethod(SILENT.stage)

    def note(self, text: str) -> None:
        self.said.append(text)
