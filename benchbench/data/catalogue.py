"""Datasets by name: `digits`, `openmoji`, `mnist`, `cifar10`, a plugin's, `folder:PATH`, `parquet:PATH`.

What stands behind a registered name (entry-point group `benchbench.datasets`) is a source: a class without
arguments that satisfies `Source`. A plugin author writes one like this:

    class Blobs:
        \"\"\"Coloured blobs on white, 1,000 images.\"\"\"        # what `benchbench list datasets` shows

        reference = "Doe, Blobs (2024), https://example.org/blobs"
        licence = "CC0"

        def load(self, size: int | None, progress: Progress) -> Dataset:
            images = draw_blobs(size or 32)                   # uint8 N×3×H×W
            decoded = Decoded(images, pixel_digests(images), {})
            return assemble("blobs", [decoded], [None], source={"kind": "generated", "size": size or 32})

`data.assemble` splits what has no split and computes the fingerprints; `data.folder` and `data.parquet` read
the usual layouts.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, Protocol

from benchbench.core.errors import InputError, unknown_name
from benchbench.core.progress import SILENT, Progress
from benchbench.core.registry import DATASETS
from benchbench.data.dataset import Dataset
from benchbench.data.folder import load_folder
from benchbench.data.parquet import load_parquet

PATHS = {"folder": load_folder, "parquet": load_parquet}
LARGEST = 4096


class Source(Protocol):
    """What stands behind a registered name. The first line of its docstring is what lists show.

    reference: what to cite. licence: under what terms the images are. A source that may need the network says
    `downloads = True`. `load` returns the dataset; `size` is
    the side in pixels, None for the source's own; a source that has no such size raises `InputError`.
    """

    reference: ClassVar[str]
    licence: ClassVar[str]

    def load(self, size: int | None, progress: Progress) -> Dataset: ...


def load_dataset(spec: str, *, size: int | None = None, progress: Progress = SILENT) -> Dataset:
    """The dataset that `spec` names; `InputError` if there is none or it cannot be used.

    size: the side in pixels. Sources that can render at any size do; images of a given size are cropped
    to the centred square and resized by Pillow's LANCZOS filter, and the notes say so. None keeps the
    source's own.
    """
    if size is not None and not 1 <= size <= LARGEST:
        raise InputError(f"size {size} is not a side in pixels between 1 and {LARGEST}")
    kind, colon, path = spec.partition(":")
    if colon and kind in PATHS:
        if not path:
            raise InputError(f"{spec!r} lacks the path; write {kind}:PATH")
        location = Path(path).expanduser()
        return PATHS[kind](location, folder_name(kind, location), size, progress)
    if spec not in (names := DATASETS.names()):
        raise unknown_name("dataset", spec, [*names, "folder:PATH", "parquet:PATH"])
    source: Source = DATASETS.get(spec)()
    return source.load(size, progress)


def folder_name(kind: str, path: Path) -> str:
    """A name fit for a folder: "folder-cats" for folder:/data/cats/."""
    own = re.sub(r"[^A-Za-z0-9_.-]+", "-", path.resolve().name.removesuffix(".parquet")).strip("-.")
    return f"{kind}-{own}" if own else kind
