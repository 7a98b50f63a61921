"""Images in MATLAB files: `mat:PATH`, as SVHN's cropped digits are published (`X` H×W×3×N, `y` N×1).

A folder holds `train_32x32.mat` and `test_32x32.mat` (or other names of splits); a file has none. MATLAB counts from 1:
where ten digits are labelled 1 to 10, 10 is the digit 0, and is taken for it as everywhere in the field (Netzer et al.
2011). MATLAB drops a last axis of length 1, so that one colour image looks like three grey ones: neither is guessed,
and nor is which axis of H×W×N counts the images where the shape says otherwise. Files up to version 7 are read by
SciPy, those of version 7.3 are HDF5 with its axes reversed, which needs h5py.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
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
from benchbench.data.sources.array_images import ArrayImages, Rows, judge, refuse_packed, slices
from benchbench.data.sources.arrays import NpySource, beside_note, image_key
from benchbench.data.sources.folder import visible_files
from benchbench.data.sources.layout import TRAIN, Splits, splits_or_alike

LABELS = ("y", "labels", "label", "Y", "targets")
SVHN = (32, 32, 3)
NUMBERS = (
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("single", "double", "logical"),
)
"""What MATLAB calls types of numbers."""


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
    """What a file says of a variable: its shape as MATLAB has it, what it holds, and the bytes that it has at most in
    the file."""

    shape: tuple[int, ...]
    of_bytes: bool
    of_numbers: bool
    packed: int

    @property
    def length(self) -> int | None:
        """How many numbers it holds in a row or a column, None where it is anything else."""
        n = prod(self.shape)
        return n if self.of_numbers and self.shape and n == max(self.shape) > 0 else None


class File(NamedTuple):
    """A file of either version. numbers: all of a variable that has a length. images: the number of the images is their
    first axis after this, whether it was (`True`) or was the last one."""

    variables: dict[str, Variable]
    numbers: Callable[[str], NDArray[Any]]
    images: Callable[[str, bool], tuple[tuple[int, ...], Rows]]


def open_mat(path: Path) -> ArrayImages:
    """The images in a file, with their labels; `InputError` where it is damaged or holds none, or where nobody can tell
    which axis counts them."""
    with open_regular(path) as opened:
        beginning = opened.read(520)
    file = (_version_7_3 if hdf5.SIGNATURE in (beginning[:8], beginning[512:]) else _version_5)(path)
    variables = file.variables
    images = [name for name, own in variables.items() if own.of_bytes and len(own.shape) in (3, 4)]
    if not images:
        others = ", ".join(variables) or "nothing"
        raise InputError(f"{path} holds no array of uint8 images (it holds {others}); save H×W×3×N as X")
    key = image_key(path, images, hdf5.KEYS)
    what, shape, packed = f"{key} in {path}", variables[key].shape, variables[key].packed
    refuse_packed(what, sorted(shape, reverse=True), packed)
    label = next((name for name in LABELS if name in variables and name not in images), None)
    n_labels = None if label is None else variables[label].length
    first, notes = _first(what, shape, n_labels)
    n = shape[0 if first else -1]
    if n_labels not in (
        None,
        n,
    ):  # before they are read: no claim is believed that the images do not make too
        raise InputError(f"{what} has {n:,} images but {n_labels:,} labels")
    labels = None if label is None or n_labels is None else _integers(file.numbers(label))
    if label is not None and labels is None:
        notes.append(f"its array {label} is not one integer an image and was left aside")
    made = _labelled(what, *file.images(key, first), labels, notes)
    beside = beside_note(key, [name for name in images if name != key])
    return replace(made, notes=[*made.notes, *beside])


def _first(what: str, shape: tuple[int, ...], n: int | None) -> tuple[bool, list[str]]:
    """Whether images are counted by their first axis and not by the last, as MATLAB does, and what a reader should know
    of that; `InputError` where nobody can tell. n: how many labels there are, None for none."""
    if len(shape) == 4:
        return n == shape[0] != shape[-1] or shape[2] not in (1, 3), []
    height, width, last = shape
    lies = "×".join(map(str, shape))
    if last in (3, 4) and n != last:
        raise InputError(
            f"{what} ({lies}) is one image or {last} grey ones, for MATLAB drops a last axis of length 1; save two or "
            "more images as H×W×3×N, grey ones as H×W×1×N"
        )
    if n is not None and height != last:
        return n == height, []
    if width == last != height:
        raise InputError(
            f"{what} ({lies}) is {last} grey images of {height}×{width} as MATLAB counts them, by the last axis, but "
            f"looks like {height} of {width}×{last}; save them as H×W×1×N"
        )
    square = height == width != last
    return False, [] if square else [f"{what} ({lies}) was taken for {last} images of {height}×{width}"]


def _version_5(path: Path) -> File:
    """A file up to version 7."""
    packed = path.stat().st_size
    with _damage(path), open_regular(path) as file:
        found = whosmat(file)
    variables = {
        name: Variable(tuple(shape), kind == "uint8", kind in NUMBERS, packed) for name, shape, kind in found
    }

    def images(key: str, first: bool) -> tuple[tuple[int, ...], Rows]:
        require_room(f"{key} in {path}", prod(variables[key].shape))
        array = _loaded(path, key, variables[key].shape)
        array = array if first else np.moveaxis(array, -1, 0)
        return array.shape, partial(slices, array)

    return File(variables, lambda key: _loaded(path, key, variables[key].shape), images)


def _loaded(path: Path, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    with _damage(path), open_regular(path) as file:
        held = loadmat(file, variable_names=[name]).get(name)
        if not isinstance(held, np.ndarray) or held.shape != shape:
            raise ValueError(f"{name} is not the array it is said to be")
        return held


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


def _version_7_3(path: Path) -> File:
    """A file that is HDF5: its axes are reversed, so that N is the first one and every image lies on its side."""
    found = hdf5.tables(path)
    variables = {
        key: Variable(
            own.shape[::-1],
            own.dtype == np.uint8,
            own.dtype.kind in "iuf" and not own.matlab & {"empty", "char"},
            own.packed,
        )
        for key, own in found.items()
    }

    def images(key: str, first: bool) -> tuple[tuple[int, ...], Rows]:
        table = found[key]
        if first:
            raise InputError(
                f"{key} in {path} counts its images by the first axis; save it as H×W×3×N or H×W×1×N"
            )

        def rows(n: int) -> Generator[NDArray[Any], None, None]:
            yield from (part.swapaxes(-1, -2) for part in table.rows(n))

        return (*table.shape[:-2], table.shape[-1], table.shape[-2]), rows

    return File(variables, lambda key: found[key].whole(), images)


def _labelled(
    what: str, shape: tuple[int, ...], rows: Rows, labels: NDArray[np.int64] | None, notes: list[str]
) -> ArrayImages:
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
    return replace(made, notes=notes, classes=classes)  # where the channels are goes without saying


def _integers(values: NDArray[Any]) -> NDArray[np.int64] | None:
    """Labels, int64 (n,); MATLAB's numbers are floats where nobody said otherwise. None for what is no integers."""
    flat = values.reshape(-1)
    if flat.dtype.kind not in "iuf":  # complex ones
        return None
    if (
        not np.isfinite(flat).all()
        or np.abs(flat.astype(np.float64)).max(initial=0) > 2**53
        or (flat % 1).any()
    ):
        return None
    return flat.astype(np.int64)
