"""The store: finished cells in folders, `ROOT/<dataset>/<model>/<key>/`.

Pattern: a cell is filled in a temporary folder beside its place, sealed by `run.json`, which lists every
other file with its sha256, and renamed into place. Several processes may write the same store, on one
machine or over a shared file system: the first to land a cell keeps it. A process killed at any point leaves
a whole cell or none; what it was doing lies in `ROOT/.work/<key>/`, from where the next call goes on. A cell
that could not be carried out has a folder too, with nothing but `failed.json` in it, until it succeeds. Whoever
carries a cell out holds its lease (`results.lease`), so that nobody does the same meanwhile.

Scope: readers skip every name that starts with a dot. There is no index beside the files, so nothing can
fall out of step with them; finding a cell is one look at one path.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchbench.core.errors import InputError
from benchbench.core.files import (
    atomic_folder,
    atomic_write,
    cannot_write,
    last_change,
    sweep,
    temporary_name,
)
from benchbench.core.hashing import canonical_json, digest, file_sha256
from benchbench.core.paths import as_path
from benchbench.core.reading import open_regular
from benchbench.results import touched
from benchbench.results.key import is_key
from benchbench.results.lease import Leases
from benchbench.results.manifest import RunFacts, RunManifest
from benchbench.results.provenance import read_manifest, sealed, write_run_json
from benchbench.results.touched import altered, as_written, damaged, foreign, read

RUN, METRICS = touched.RUN, touched.METRICS
FAILED = "failed.json"
WEIGHTS = "weights.safetensors"
DETACHABLE = (".safetensors", ".png", ".npz", ".zip")
"""What may be taken out of a cell, to publish numbers without weights, pictures and single images."""


class Store:
    """The finished cells below `root`, which is made when the first one is written."""

    def __init__(self, root: Path | str) -> None:
        self.root = as_path(root)
        self.leases = Leases(self.root)

    def cell_dir(self, dataset: str, model: str, key: str) -> Path:
        """Where the cell is or would be."""
        return self.root / folder_name(dataset) / folder_name(model) / _checked(key)

    def find(self, dataset: str, model: str, key: str) -> Path | None:
        """The folder of a finished cell, every file of which is as it was written; None where there is none.

        Weights, pictures and single images may have been taken away; what is there must be what was written. Raises
        `InputError` for a damaged one: it is neither served nor silently replaced.
        """
        folder = self.cell_dir(dataset, model, key)
        if not _is_cell(folder):
            return None
        run = read_manifest(folder / RUN)
        if run.cell != key:
            raise damaged(folder / RUN, f"belongs to the cell {run.cell}")
        if METRICS not in run.files:
            raise damaged(folder / RUN, f"does not list {METRICS}")
        for name, sha256 in run.files.items():
            if name.endswith(DETACHABLE) and not (folder / name).exists():
                continue
            check_file(folder / name, sha256)
        return folder

    def datasets(self, first: str) -> list[str]:
        """The names of the folders of all datasets, that of `first` before others."""
        names = sorted(own.name for own in self.root.glob("[!.]*/") if own.is_dir())
        return sorted(names, key=lambda name: name != folder_name(first))

    def cells(self, dataset: str, model: str) -> Iterator[Path]:
        """The folders of all finished cells of a model on a dataset, in the order of their keys."""
        model_dir = self.root / folder_name(dataset) / folder_name(model)
        found = sorted(run.parent for run in model_dir.glob(f"[!.]*/{RUN}"))
        yield from (folder for folder in found if foreign(folder, (RUN,)) is None)

    @contextmanager
    def write(self, dataset: str, model: str, key: str, run: RunFacts) -> Iterator[Path]:
        """Yield a folder to fill with `metrics.csv` and whatever else; on success it becomes the cell.

        `run` is what `run.json` will say; the store seals it (`RunManifest.seal`). On any error nothing becomes
        visible. If the cell is there already, it stays. Raises `InputError` when the folder cannot be written (no
        space, no right).
        """
        place = self.cell_dir(dataset, model, key)
        with atomic_folder(place) as folder:
            yield folder
            if not (folder / METRICS).is_file():
                raise ValueError(f"a cell without {METRICS} is no cell")
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            digests = {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}
            manifest = RunManifest.seal(run, cell=key, dataset=dataset, model=model, files=digests)
            write_run_json(folder / RUN, sealed(manifest.as_json()))
            _make_way(place, folder)
        if not (place / RUN).exists():
            raise InputError(f"{place} was written by somebody else meanwhile; run the same command again")

    def adopt(
        self,
        folder: Path,
        run: RunManifest,
        *,
        without: tuple[str, ...] = (),
        instead: Mapping[str, bytes] | None = None,
    ) -> Path:
        """Copy a finished cell from elsewhere, as it was written; what was taken away from it stays away.

        Args:
            folder: Where it lies, verified.
            run: What its run.json says.
            without: Endings of files that are taken away on the way, of `DETACHABLE`.
            instead: What files are to be here that are otherwise there, by name.

        Returns:
            Its folder here.

        Raises:
            InputError: A file changed meanwhile, another record of the cell is there, or the folder cannot be written.
        """
        place = self.cell_dir(run.dataset, run.model, run.cell)
        instead = instead or {}
        sealed_as = instead[RUN] if RUN in instead else read(folder / RUN)
        with atomic_folder(place) as fresh:
            for name, sha256 in run.files.items():
                if name.endswith(DETACHABLE) and (name.endswith(without) or not (folder / name).exists()):
                    continue
                (fresh / name).parent.mkdir(parents=True, exist_ok=True)
                if name in instead:
                    (fresh / name).write_bytes(instead[name])
                else:
                    _copy(folder / name, fresh / name, sha256)
            (fresh / RUN).write_bytes(sealed_as)
            _make_way(place, fresh)
        if not (place / RUN).exists() or read(place / RUN) != sealed_as:
            raise InputError(f"{place} was written by somebody else meanwhile; run the same command again")
        return place

    def record_failure(self, dataset: str, model: str, key: str, facts: Mapping[str, Any]) -> Path:
        """Say in the cell's folder why there is no cell: `facts` (JSON-able, at least `reason`).

        A finished cell is never touched. Returns the folder.
        """
        folder = self.cell_dir(dataset, model, key)
        if not (folder / RUN).exists():
            content = {"cell": key, "dataset": dataset, "model": model, **facts}
            atomic_write(folder / FAILED, canonical_json(content) + "\n")
        return folder

    def work_path(self, key: str) -> Path:
        """Where what an unfinished cell needs to go on is or would be."""
        return self.root / ".work" / _checked(key)

    def workdir(self, key: str) -> Path:
        """A folder for what an unfinished cell needs to go on, made if it is not there."""
        folder = self.work_path(key)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(folder, error) from error
        return folder

    def clear_work(self, key: str) -> None:
        """Drop the work folder of a cell, whole and at once; nothing happens where there is none."""
        folder = self.work_path(key)
        doomed = temporary_name(folder)
        try:
            folder.rename(doomed)  # first out of sight: nobody goes on from half a folder
        except FileNotFoundError:
            return
        except OSError as error:
            raise cannot_write(folder, error) from error
        shutil.rmtree(
            doomed, ignore_errors=True
        )  # somebody may be writing into it; the next run sweeps the rest

    def prepare(self) -> None:
        """`check_writable`, and `tidy`."""
        self.check_writable()
        self.tidy()

    def tidy(self) -> None:
        """Take away what killed processes left: temporary files and folders that no living process owns
        (`core.files.sweep`), their leases, and the work folders of trainings that a finished cell came from.

        Work that is newer than the cell is kept: somebody trains the same anew, with a monitor for instance.
        """
        models = [folder for folder in self.root.glob("[!.]*/[!.]*/") if folder.is_dir()]
        unfinished = [
            folder for model in models for folder in model.glob("*/") if not (folder / RUN).exists()
        ]
        self.leases.tidy()
        hidden = [self.root / ".work", self.leases.folder]
        for folder in [self.root, *hidden, *self.root.glob("[!.]*/"), *models, *unfinished]:
            sweep(folder)
        works = {work.name: work for work in (self.root / ".work").glob("[!.]*/")}
        for work in works.values():
            sweep(work)
        oldest = min(map(last_change, works.values()), default=0.0)
        for run in self.root.glob(f"[!.]*/[!.]*/[!.]*/{RUN}") if works else ():
            try:
                if run.stat().st_mtime <= oldest:
                    continue  # no cell is newer than any of them, so that nobody reads all records for nothing
                work = works[str(read_manifest(run).training_key)]
                if last_change(work) < run.stat().st_mtime:
                    self.clear_work(work.name)
            except (KeyError, OSError, InputError):
                # Not the cell of any of them; or a damaged one, which whoever asks for it will hear of.
                continue

    def check_writable(self) -> None:
        """`InputError` unless folders and files can be made below `root`; call it before expensive work."""
        probe = temporary_name(self.root / "probe")
        try:
            probe.mkdir(parents=True)
            (probe / "file").write_bytes(b"benchbench")
        except OSError as error:
            raise cannot_write(self.root, error) from error
        finally:
            shutil.rmtree(probe, ignore_errors=True)


def _is_cell(folder: Path) -> bool:
    """Whether there is a cell, whole or damaged: what a failure or a kill leaves, and what file managers put into
    folders, is none."""
    return (folder / RUN).exists() or (folder / METRICS).exists()


def _make_way(place: Path, cell: Path) -> None:
    """Clear the place of a cell that is about to land there from `cell`: why it failed before is forgotten, what a kill
    left goes, and whatever else somebody put there moves along. A cell that is there stays."""
    if not place.is_dir() or _is_cell(place):
        return
    for file in place.iterdir():
        if file.name == FAILED or _is_temporary(file):
            file.unlink(missing_ok=True)
        elif not (cell / file.name).exists():
            file.rename(cell / file.name)
    with suppress(OSError):  # somebody else removed it, or put the cell there meanwhile
        place.rmdir()


def _is_temporary(file: Path) -> bool:
    """Whether a kill left it: see `core.files.temporary_name`."""
    return file.name.startswith(".") and file.name.endswith(".tmp") and file.is_file()


def check_file(file: Path, sha256: str) -> None:
    """`InputError` where a file is gone or another one than was written; line ends and their like aside."""
    try:
        if file_sha256(file) == sha256:
            return
    except OSError as error:
        raise damaged(file, f"cannot be read ({error.strerror})") from error
    content = read(file)
    if as_written(file.name, content, sha256) is None:
        raise damaged(file, altered(content))


def _copy(file: Path, to: Path, sha256: str) -> None:
    """Copy a file of a record; line ends and their like become again what they were."""
    with open_regular(file) as source, to.open("wb") as target:
        shutil.copyfileobj(source, target)
    if file_sha256(to) != sha256:
        content = read(to)
        if (written := as_written(file.name, content, sha256)) is None:
            raise damaged(file, altered(content))
        to.write_bytes(written)


def folder_name(name: str) -> str:
    """`name` as one portable folder name. A name that has to change keeps its identity by a short digest.

    >>> folder_name("cifar10"), folder_name("../etc")
    ('cifar10', 'etc-7881f391')
    """
    if not name:
        raise InputError("a dataset or model needs a name that is not empty")
    clean = re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip(".-")[:80]
    return name if clean == name else "-".join(filter(None, [clean, digest(name)[:8]]))


def _checked(key: str) -> str:
    if not is_key(key):
        raise InputError(f"{key!r} is not the key of a cell, which is 8 to 64 hexadecimal digits")
    return key
