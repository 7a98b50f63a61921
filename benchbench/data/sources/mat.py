"""Images in MATLAB files: `mat:PATH`, as SVHN's cropped digits are published (`X` H×W×3×N, `y` N×1).

A folder holds `train_32x32.mat` and `test_32x32.mat` (or other names of splits); a file has none. MATLAB counts from 1:
where ten digits are labelled 1 to 10, 10 is the digit 0, and is taken for it as everywhere in the field (Netzer et al.
2011). Files up to version 7 are read by SciPy, those of version 7.3 are HDF5 with its axes reversed, which needs h5py.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from math import prod
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat, whosmat

from benchbench.core.errors import InputError
from benchbench.core.reading import is_folder, open_regular, plain
from benchbench.data.pipeline.decode import require_room
from benchbench.data.sources import hdf5
from benchbench.data.sources.array_images import ArrayImages, judge, refuse_packed, slices
from benchbench.data.sources.arrays import NpySource, beside_note, image_key
from benchbench.data.sources.folder import visible_files
from benchbench.data.sources.layout import TRAIN, Splits, splits_or_alike

LABELS = ("y", "labels", "label", "Y", "targets")
SVHN = (32, 32, 3)


class MatSource(NpySource):
    """Images in a MATLAB file, or in one for each split."""

    kind: ClassVar[str] = "mat"
    of_training: ClassVar[str] = "train_32x32.mat"

    @cached_property
    def named(self) -> Splits:
        """Which files of a folder are splits."""
        stems = [name[:-4] for name in visible_files(self.path) if name.lower().endswith(".mat")]
        if not stems:
            raise InputError(f"{self.path} holds no .mat files")
        splits = splits_or_alike(stems, str(self.path))
        if (TRAIN, "") not in splits.of:
            raise InputError(f"{self.path} has no train_32x32.mat, only {', '.join(stems)}; name one file")
        return splits

    @cached_property
    def files(self) -> Sequence[Path]:
        """As `NpySource.files`."""
        return (
            [self.path / f"{stem}.mat" for stem in self.named.of.values()]
            if is_folder(self.path)
            else [self.path]
        )

    @cached_property
    def arrays(self) -> dict[str, ArrayImages]:
        """As `NpySource.arrays`."""
        if not is_folder(self.path):
            return {"": open_mat(self.path)}
        found = {kind: open_mat(self.path / f"{stem}.mat") for (kind, _), stem in self.named.of.items()}
        if self.named.others:
            aside = f"{', '.join(f'{stem}.mat' for stem in self.named.others)} beside it was left aside"
            found[TRAIN] = replace(found[TRAIN], notes=[*found[TRAIN].notes, aside])
        return found


class Variable(NamedTuple):
    """What a file says of a variable: its shape as MATLAB has it, and whether it holds uint8."""

    shape: tuple[int, ...]
    of_bytes: bool


def open_mat(path: Path) -> ArrayImages:
    """The images in a file, with their labels; `InputError` where it is damaged or holds none."""
    with open_regular(path) as file:
        beginning = file.read(520)
    if hdf5.SIGNATURE in (beginning[:8], beginning[512:]):
        return _open_7_3(path)
    variables = _variables(path)
    images = [name for name, own in variables.items() if own.of_bytes and len(own.shape) in (3, 4)]
    if not images:
        others = ", ".join(variables) or "nothing"
        raise InputError(f"{path} holds no array of uint8 images (it holds {others}); save H×W×3×N as X")
    key = image_key(path, images, hdf5.KEYS)
    label = next((name for name in LABELS if name in variables and name not in images), None)
    packed, what = path.stat().st_size, f"{key} in {path}"
    shape = variables[key].shape
    refuse_packed(what, sorted(shape, reverse=True), packed)
    if label is not None:
        refuse_packed(f"{label} in {path}", variables[label].shape, packed)
    require_room(what, prod(shape))
    held = _loaded(path, [key, *filter(None, [label])])
    labels = None if label is None else _integers(held[label])
    made = _made(what, held[key], labels, [] if label is None or labels is not None else [_aside(label)])
    beside = beside_note(key, [name for name in images if name != key])
    return replace(made, notes=[*made.notes, *beside])


def _variables(path: Path) -> dict[str, Variable]:
    with _damage(path), open_regular(path) as file:
        found = whosmat(file)
    return {name: Variable(tuple(shape), kind == "uint8") for name, shape, kind in found}


def _loaded(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    with _damage(path), open_regular(path) as file:
        held = loadmat(file, variable_names=names)
        if missing := [name for name in names if not isinstance(held.get(name), np.ndarray)]:
            raise ValueError(f"{missing[0]} is no array")
        return held  # type: ignore[no-any-return]


@contextmanager
def _damage(path: Path) -> Generator[None, None, None]:
    """What is wrong with a file becomes an `InputError` that names it."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # SciPy's reader fails in many ways
        reason = plain(str(error).strip() or type(error).__name__)
        raise InputError(
            f"cannot read {path}: {reason}; it may be truncated or no MATLAB file, make or fetch it again"
        ) from error


def _open_7_3(path: Path) -> ArrayImages:
    """As `open_mat`, of a file that is HDF5: N is its first axis, and every image lies on its side."""
    found = hdf5.tables(path)
    images = [key for key, own in found.items() if own.dtype == np.uint8 and len(own.shape) in (3, 4)]
    if not images:
        raise InputError(f"{path} holds no array of uint8 images; save H×W×3×N as X")
    key = image_key(path, images, hdf5.KEYS)
    table, what = found[key], f"{key} in {path}"
    refuse_packed(what, table.shape, table.packed)
    label = next((name for name in LABELS if name in found and name not in images), None)
    labels = None if label is None else _integers(np.concatenate(list(found[label].rows(2**20))))

    def rows(n: int) -> Generator[NDArray[Any], None, None]:
        yield from (part.swapaxes(-1, -2) for part in table.rows(n))

    shape = (*table.shape[:-2], table.shape[-1], table.shape[-2])
    return _labelled(what, shape, rows, labels, [])


def _made(what: str, array: NDArray[Any], labels: NDArray[np.int64] | None, notes: list[str]) -> ArrayImages:
    """Images whose number is the last axis, as MATLAB has it, unless their shape or that of the labels says that it is
    the first."""
    shape, n = array.shape, None if labels is None else labels.size
    first = n == shape[0] != shape[-1] or (len(shape) == 4 and shape[2] not in (1, 3))
    if not first:
        array = np.moveaxis(array, -1, 0)
    return _labelled(what, array.shape, partial(slices, array), labels, notes)


def _labelled(
    what: str, shape: tuple[int, ...], rows: Any, labels: NDArray[np.int64] | None, notes: list[str]
) -> ArrayImages:
    if labels is not None and labels.shape != shape[:1]:
        raise InputError(f"{what} has {shape[0]:,} images but {labels.size:,} labels")
    classes = None
    if (
        labels is not None
        and {*shape[1:]} == {*SVHN}
        and {*labels.tolist()} <= {*range(1, 11)}
        and 10 in labels
    ):
        labels, classes = labels % 10, [str(digit) for digit in range(10)]
        notes = [*notes, "its label 10 is the digit 0, as SVHN has it"]
    made = judge(what, shape, np.dtype(np.uint8), rows, labels, [])
    return replace(made, notes=notes, classes=classes)  # which axis is which goes without saying


def _integers(values: NDArray[Any]) -> NDArray[np.int64] | None:
    """Labels, int64 (n,); MATLAB's numbers are floats where nobody said otherwise. None for what is no integers."""
    flat = values.reshape(-1)
    if flat.dtype.kind not in "iuf" or max(values.shape, default=0) != flat.size:
        return None
    if (
        not np.isfinite(flat).all()
        or np.abs(flat.astype(np.float64)).max(initial=0) > 2**53
        or (flat % 1).any()
    ):
        return None
    return flat.astype(np.int64)


def _aside(label: str) -> str:
    return f"its array {label} is not one integer an image and was left aside"
