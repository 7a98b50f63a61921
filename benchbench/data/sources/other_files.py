"""The files beside images that are not taken for images: none of them is left out in silence.

A number over the images that are left would be a number of another set. So a picture in a format that is not read, or
under a name that hides it, is an error that names it; whatever else lies there is named in a note.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from benchbench.core.errors import InputError, listed
from benchbench.data.pipeline.decode import FORMATS
from benchbench.data.pipeline.signatures import image_format
from benchbench.data.sources.spec import IMAGE_SUFFIXES

PICTURES = frozenset(
    {
        *(
            ".avif",
            ".avifs",
            ".heic",
            ".heif",
            ".hif",
            ".jxl",
            ".jp2",
            ".j2k",
            ".jpf",
            ".jpx",
            ".jps",
            ".mpo",
        ),
        *(
            ".ppm",
            ".pgm",
            ".pbm",
            ".pnm",
            ".pam",
            ".pfm",
            ".tga",
            ".sgi",
            ".rgb",
            ".qoi",
            ".dds",
            ".exr",
            ".hdr",
        ),
        *(".pcx", ".ras", ".xbm", ".xpm", ".dib", ".apng", ".flif", ".bpg"),
        *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
    }
)
"""How files end that hold one picture, in formats that are not read."""

NOT_PHOTOGRAPHS = ("Photoshop", "PostScript", "PDF")
"""Formats of documents: they lie beside images, and are none of them."""


def refuse_pictures(names: Sequence[str], where: str, head: Callable[[str], bytes]) -> None:
    """`InputError` that names the first picture among files that are not taken for images.

    names: relative POSIX ones. where: what errors call the folder or archive. head: the first bytes of a file, b""
    where they cannot be read.
    """
    found = [(name, what) for name in names if (what := _picture(name, head))]
    if found:
        name, what = found[0]
        more = f" and {len(found) - 1} more such files" if len(found) > 1 else ""
        raise InputError(
            f"{where} holds {name}, {what}{more}; images end in {', '.join(sorted(IMAGE_SUFFIXES))}: "
            "convert or rename what belongs to them, and take the rest away"
        )


def _picture(name: str, head: Callable[[str], bytes]) -> str:
    """What a file is, as a part of a sentence, if it is a picture; "" otherwise."""
    what = image_format(head(name))
    if what in NOT_PHOTOGRAPHS:
        return ""
    if what.upper() in FORMATS:
        return f"a {what} file under another name"
    if what or PurePosixPath(name).suffix.lower() in PICTURES:
        return f"a picture in a format that is not read{f' ({what})' if what else ''}"
    return ""


def left_aside(others: Sequence[str], title: str) -> list[str]:
    """The note on files that are no images.

    >>> left_aside(["a.csv", "b.txt"], "cats")
    ['2 files in cats that are not images were left aside: a.csv, b.txt']
    """
    if not others:
        return []
    verb = "files" if len(others) > 1 else "file"
    were = "are not images were" if len(others) > 1 else "is not an image was"
    return [f"{len(others)} {verb} in {title} that {were} left aside: {listed(others)}"]
