"""`benchbench.fetch`: weights of networks, downloaded once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from benchbench.core.errors import InputError, unknown_name
from benchbench.core.names import spelled, split_names
from benchbench.core.notebook import watching
from benchbench.core.paths import as_path, printable
from benchbench.core.progress import AUTO, Progress
from benchbench.core.reading import kind_of
from benchbench.core.registry import EXTRACTORS
from benchbench.features.fetch import Fetched, Origin, Published
from benchbench.features.fetch import fetch as fetch_one
from benchbench.features.hub_code import HubCode
from benchbench.features.networks.perceptual import VGG19
from benchbench.features.weights import WeightsFile
from benchbench.metrics.pairs.lpips import ALEXNET

THERE, NEW, ABSENT = "there", "fetched", "not there"


def fetch(
    names: str | Iterable[str] = (),
    *,
    source: Path | str | None = None,
    to: Path | str | None = None,
    progress: Progress = AUTO,
) -> pd.DataFrame:
    """Download the weights of networks, once, or say which there are.

    Each file is checked by its sha256, as far as that was published, and is in its place only once it is whole. A
    download that broke off goes on where it stopped when it is asked for again.

    Args:
        names: Extractors, "lpips" and "vgg19"; "inception_v3,lpips" or a list. None: nothing is fetched.
        source: A folder that holds the files, in place of their addresses and of `BENCHBENCH_MIRROR`.
        to: A folder to put the files into, as a mirror has them, in place of where networks look for them.
        progress: Who is told how far it is.

    Returns:
        One line a file, with its name, file, megabytes (about; 0 where nobody knows), url (where it is published),
        state ("there", "fetched" or "not there"), sha256 (of what was asked for) and path.

    Raises:
        InputError: A name is unknown, or a file cannot be had, is not the right one, or cannot be written.

    >>> benchbench.fetch("inception_v3", source="/media/usb/weights")  # doctest: +SKIP
    """
    known = published()
    if not isinstance(names, str):
        names = list(names)
    if not names:
        return pd.DataFrame([_listed(name, what) for name, files in once(known).items() for what in files])
    asked = _asked(names, known)
    folder = None if to is None else as_path(to)
    if folder is not None and kind_of(folder) not in ("", "a folder"):
        raise InputError(f"--to names {printable(folder)}, which is {kind_of(folder)}; name a folder")
    origin, watcher = Origin.of(source), watching(progress)
    done: dict[Published, dict[str, object]] = {}
    for name in asked:
        for what in known[name]:
            if what not in done:
                done[what] = _line(name, what, fetch_one(what, origin, folder, watcher))
                _note_another(what, watcher)
    return pd.DataFrame(done.values())


def published() -> dict[str, list[Published]]:
    """What is fetched for a name: extractors that say so, and networks that are none."""
    found: dict[str, list[Published]] = {}
    for name, extractor in EXTRACTORS.items():
        own = (getattr(extractor, attribute, None) for attribute in ("code", "weights"))
        if files := [what for what in own if isinstance(what, WeightsFile | HubCode)]:
            found[name] = files
    return found | {"lpips": [ALEXNET], "vgg19": [VGG19]}


def once(known: dict[str, list[Published]]) -> dict[str, list[Published]]:
    """Without names whose files all are another's, as those of the three protocols of Inception are."""
    found: dict[str, list[Published]] = {}
    for name, files in known.items():
        if not any(files == others for others in found.values()):
            found[name] = files
    return found


def _asked(names: str | Iterable[str], known: dict[str, list[Published]]) -> list[str]:
    try:
        asked = [spelled(EXTRACTORS.recorded(name), known) for name in split_names(names)]
    except ValueError as error:
        raise InputError(str(error)) from error
    for name in asked:
        if name in known:
            continue
        if name in EXTRACTORS.names():
            raise InputError(
                f"{name} has nothing to fetch: its weights come with the installation or are named by a variable, and "
                f"benchbench doctor says which; known: {', '.join(once(known))}"
            )
        raise unknown_name("network", name, known)
    return list(dict.fromkeys(asked))


def _listed(name: str, what: Published) -> dict[str, object]:
    """The line of a file that nobody asked for."""
    if isinstance(what, HubCode):
        path, there = what.folder, what.is_there
    else:
        path, there = what.cached, what.cached.is_file()
        if given := os.environ.get(what.env):
            path, there = Path(given), Path(given).is_file()
    return _described(name, what) | {"state": THERE if there else ABSENT, "sha256": "", "path": str(path)}


def _line(name: str, what: Published, got: Fetched) -> dict[str, object]:
    state = NEW if got.new else THERE
    return _described(name, what) | {"state": state, "sha256": got.sha256, "path": str(got.path)}


def _described(name: str, what: Published) -> dict[str, object]:
    megabytes = what.megabytes if isinstance(what, WeightsFile) else 0
    return {"name": name, "file": what.file, "megabytes": megabytes, "url": what.url}


def _note_another(what: Published, progress: Progress) -> None:
    """Where a variable names a file, that one is read and not what was fetched."""
    if isinstance(what, WeightsFile) and (given := os.environ.get(what.env)):
        progress.note(
            f"{what.env} names {printable(given)}: {what.extractor} reads that one until it is unset"
        )
