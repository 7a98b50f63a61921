"""What `run.json` says, as types."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of a manifest: frozen, and of the types that it states. What it has no name for is kept as it is: tasks
    of other packages add facts, and so will later versions."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)


class Artefact(Part):
    """A file that a run leaves for people and for other programs. kind: a word; files of one kind belong together.
    sha256: of the file, once the record is sealed."""

    file: str
    kind: str
    caption: str
    sha256: str | None = None
