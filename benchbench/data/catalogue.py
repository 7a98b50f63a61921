"""Datasets by name: `digits`, `openmoji`, `mnist`, a plugin's, `folder:PATH`, `pairs:PATH`, `parquet:PATH`.

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

`data.assemble` splits what has no split and computes the fingerprints; `data.folder`, `data.paired_folder` and
`data.parquet` read the usual layouts. A source of two domains of images, such as `openmoji-lines`, returns
`Domains`: `load_domains` hands them out, and `load_dataset` pools them, labelled by domain, if neither is styles.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Protocol

from benchbench.core.errors import InputError, unknown_name
from benchbench.core.progress import SILENT, Progress
from benchbench.core.registry import DATASETS
from benchbench.data.dataset import Dataset
from benchbench.data.domains import Domains
from benchbench.data.paired_folder import load_any_folder, load_pairs
from benchbench.data.parquet import load_parquet

Loader = Callable[[Path, str, int | None, Progress], Dataset | Domains]
PATHS: dict[str, Loader] = {"folder": load_any_folder, "pairs": load_pairs, "parquet": load_parquet}
LARGEST = 4096


class Source(Protocol):
    """What stands behind a registered name. The first line of its docstring is what lists show.

    reference: what to cite. licence: under what terms the images are. A source that may need the network says
    `downloads = True`. `load` returns the dataset, or the two domains; `size` is the side in pixels, None for
    the source's own; a source that has no such size raises `InputError`.
    """

    reference: ClassVar[str]
    licence: ClassVar[str]

    def load(self, size: int | None, progress: Progress) -> Dataset | Domains: ...


def load_dataset(spec: str, *, size: int | None = None, progress: Progress = SILENT) -> Dataset:
    """The dataset that `spec` names, two domains pooled; `InputError` if there is none or it cannot be used, as
    contents and styles cannot: the styles are in both splits.

    size: the side in pixels. Sources that can render at any size do; images of a given size are cropped
    to the centred square and resized by Pillow's LANCZOS filter, and the notes say so. None keeps the
    source's own.
    """
    found = _load(spec, size, progress)
    if not isinstance(found, Domains):
        return found
    if found.styles:
        raise InputError(
            f"{spec} holds contents and styles, not one set of images; use it with nst, fast-style or identity"
        )
    return found.pooled()


def load_domains(spec: str, *, size: int | None = None, progress: Progress = SILENT) -> Domains:
    """The two domains that `spec` names, sized as in `load_dataset`; `InputError` also if it has one only."""
    found = _load(spec, size, progress)
    if not isinstance(found, Domains):
        raise InputError(
            f"{spec} has one domain of images, two are needed; openmoji-lines, openmoji-tones and photographs "
            "have two, and so have folder:PATH with trainA/, trainB/, testA/ and testB/, and pairs:PATH with "
            "side-by-side pairs"
        )
    return found


def _load(spec: str, size: int | None, progress: Progress) -> Dataset | Domains:
    if size is not None and not 1 <= size <= LARGEST:
        raise InputError(f"size {size} is not a side in pixels between 1 and {LARGEST}")
    kind, colon, path = spec.partition(":")
    if colon and kind in PATHS:
        if not path:
            raise InputError(f"{spec!r} lacks the path; write {kind}:PATH")
        location = Path(path).expanduser()
        return PATHS[kind](location, folder_name(kind, location), size, progress)
    if spec not in (names := DATASETS.names()):
        raise unknown_name("dataset", spec, [*names, *(f"{kind}:PATH" for kind in PATHS)])
    source: Source = DATASETS.get(spec)()
    return source.load(size, progress)


def folder_name(kind: str, path: Path) -> str:
    """A name fit for a folder: "folder-cats" for folder:/data/cats/."""
    own = re.sub(r"[^A-Za-z0-9_.-]+", "-", path.resolve().name.removesuffix(".parquet")).strip("-.")
    return f"{kind}-{own}" if own else kind
