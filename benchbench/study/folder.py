"""A study on disk: `study.json`, `consent.txt`, `images/<id>.png`, `answers/<rater>.jsonl`.

Nothing about a file of an image tells who made it: its name is a digest keyed with the study's secret, all are encoded
alike, written in the order of their names and have one time of change.
"""

from __future__ import annotations

import calendar
import hashlib
import io
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_folder
from benchbench.core.paths import as_path, printable
from benchbench.core.reading import is_folder, kind_of, read_bytes, read_text
from benchbench.core.text_files import TextFault, parse_json
from benchbench.core.validation import first_fault
from benchbench.study.consent import blanks, template, unfinished
from benchbench.study.manifest import SCHEMA, Item, Picture, StudyFacts, StudyManifest

STUDY, CONSENT, IMAGES, ANSWERS = "study.json", "consent.txt", "images", "answers"
MOST_CONSENT = 2**16
"""Bytes of a text that a person is to read."""
MOST_IMAGE = 2**29
"""Bytes of a PNG file of an image as large as any may be."""


@dataclass(frozen=True, eq=False)
class Study:
    """A study as it was read.

    Attributes:
        folder: Where it lies.
        manifest: What its study.json says.
    """

    folder: Path
    manifest: StudyManifest

    @cached_property
    def _items(self) -> dict[str, Item]:
        return {item.id: item for item in self.manifest.items}

    def item(self, own: str) -> Item:
        """An item by its id; `KeyError` where the study has none of that id."""
        return self._items[own]

    def image(self, own: str) -> Path:
        """Where the file of an image lies; `KeyError` where the study has none of that id."""
        if own not in self.manifest.images:
            raise KeyError(own)
        return self.folder / IMAGES / f"{own}.png"

    def png(self, own: str) -> bytes:
        """The PNG file of an image.

        Args:
            own: The id of the image.

        Returns:
            Its bytes, which are those that were written when the study was made.

        Raises:
            KeyError: The study has no such image.
            InputError: The file is not there, or is another one.
        """
        path = self.image(own)
        content = read_bytes(path, "the image", MOST_IMAGE)
        if hashlib.sha256(content).hexdigest() != self.manifest.images[own].sha256:
            raise InputError(
                f"the image {printable(path)} is not the one that the study was made with; restore it, or make a new "
                "study"
            )
        return content

    @property
    def consent(self) -> str:
        """What a rater reads before the first item, as consent.txt says it now; `InputError` where that is nothing."""
        text = read_text(self.folder / CONSENT, "the consent text", MOST_CONSENT)
        if not text.strip():
            raise InputError(
                f"{printable(self.folder / CONSENT)} is empty; write what raters are to know before they begin"
            )
        return text

    @property
    def consent_warning(self) -> str | None:
        """That brackets of the template are left in it; None where none is."""
        left = blanks(self.consent)
        return unfinished(self.folder / CONSENT, left) if left else None

    @property
    def consent_sha256(self) -> str:
        """Of that text."""
        return hashlib.sha256(self.consent.encode()).hexdigest()


def load(folder: Path | str) -> Study:
    """Read a study.

    Args:
        folder: As `create_folder` made it.

    Returns:
        The study; its images are looked at when they are asked for.

    Raises:
        InputError: There is none, it is damaged or was edited, or is of another version.
    """
    folder = as_path(folder)
    path = folder / STUDY
    if kind_of(path) == "":
        what = "holds no study" if is_folder(folder) else "is not there"
        raise InputError(
            f"{printable(folder)} {what} ({STUDY}); benchbench study create makes one, or name its folder"
        )
    try:
        said = parse_json(read_bytes(path, "the study"))
    except TextFault as fault:
        raise _damaged(path, str(fault)) from fault
    version = said.get("schema_version") if isinstance(said, dict) else None
    if type(version) is int and version != SCHEMA:
        raise InputError(
            f"{printable(path)} is of version {version}, and this benchbench reads version {SCHEMA}; use the "
            "benchbench that made it"
        )
    try:
        manifest = StudyManifest.model_validate_json(json.dumps(said))  # JSON has no tuples
    except ValidationError as error:
        first = first_fault(error)
        raise _damaged(path, f"says of {first.where or 'itself'}: {first.reason}") from error
    if not manifest.is_sealed:
        raise _damaged(path, "was edited after it was written")
    return Study(folder, manifest)


def create_folder(
    folder: Path | str,
    facts: StudyFacts,
    images: Iterable[tuple[str, NDArray[np.uint8]]],
    consent: str | None = None,
) -> Study:
    """Write a study, all of it or nothing.

    Args:
        folder: Where; what is there is never added to.
        facts: What it is.
        images: Of each image its id and its pixels, uint8 RGB H×W×3; asked for one by one, sorted by id so that not
            even the order in which files lie on a disk says who made them.
        consent: The text of consent.txt; None for the template of the kind.

    Returns:
        The study.

    Raises:
        InputError: The folder is there, or cannot be written.
        ValueError: The images are not those that the items show, or are not sorted.
    """
    folder = as_path(folder)
    refuse_taken(folder)
    with atomic_folder(folder) as temporary:
        (temporary / IMAGES).mkdir()
        (temporary / ANSWERS).mkdir()
        pictures = _written(temporary / IMAGES, images, facts.created)
        (temporary / CONSENT).write_text(
            template(facts.kind) if consent is None else consent, encoding="utf-8"
        )
        manifest = StudyManifest.seal(facts, pictures)
        said = json.dumps(manifest.model_dump(mode="json"), indent=1, allow_nan=False)
        (temporary / STUDY).write_text(said + "\n", encoding="utf-8")
    study = load(folder)
    if study.manifest.id != facts.id:  # somebody was faster
        raise _taken(folder)
    return study


def refuse_taken(folder: Path) -> None:
    """`InputError` where something of that name is there."""
    if os.path.lexists(folder):
        raise _taken(folder)


def encoded(pixels: NDArray[np.uint8]) -> bytes:
    """An image as a PNG file without metadata; all images go through here, grey ones as RGB too.

    Args:
        pixels: uint8 RGB, H×W×3.

    Returns:
        The file.
    """
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels), "RGB").save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def _written(
    folder: Path, images: Iterable[tuple[str, NDArray[np.uint8]]], created: str
) -> dict[str, Picture]:
    """The images as files."""
    moment = calendar.timegm(time.strptime(created, "%Y-%m-%dT%H:%M:%SZ"))
    found: dict[str, Picture] = {}
    last = ""
    for own, pixels in images:
        if own <= last:
            raise ValueError("images must come sorted by their ids")
        last, content = own, encoded(pixels)
        path = folder / f"{own}.png"
        path.write_bytes(content)
        os.utime(path, (moment, moment))
        found[own] = Picture(
            sha256=hashlib.sha256(content).hexdigest(), width=pixels.shape[1], height=pixels.shape[0]
        )
    return found


def _taken(folder: Path) -> InputError:
    return InputError(
        f"{printable(folder)} is there already, and nothing is added to it; name another folder"
    )


def _damaged(path: Path, what: Any) -> InputError:
    return InputError(f"{printable(path)} {what}; restore it as it was written, or make a new study")
