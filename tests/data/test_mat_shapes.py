"""Which axis of a MATLAB file counts its images, and what becomes of its labels, in both versions of the format.

Expected are the arrays that were saved; sentences are this project's own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray

from benchbench.core.errors import InputError
from benchbench.data.pipeline.streams import open_images
from benchbench.data.sources.mat import open_mat

Held = dict[str, Any]


def version_5(path: Path, held: Held) -> Path:
    scipy.io.savemat(path, held)
    return path


def version_7_3(path: Path, held: Held) -> Path:
    """MATLAB writes an array with its axes reversed; what is no array is as it is given."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in held.items():
            file[name] = value.T if isinstance(value, np.ndarray) else value
    with open(path, "r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(128))
    return path


both = pytest.mark.parametrize("save", [version_5, version_7_3])
Save = Callable[[Path, Held], Path]


def pixels(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def read(path: Path) -> NDArray[np.uint8]:
    """N×3×H×W."""
    return np.concatenate(list(open_mat(path).blocks(100)))


def sentence(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        open_images(f"mat:{path}")
    return str(caught.value)


@both
@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((32, 32, 3), "is one image or 3 grey ones"),
        ((32, 32, 4), "is one image or 4 grey ones"),
        ((5, 32, 32), r"looks like 5 of 32×32; save them as H×W×1×N"),
    ],
)
def test_what_nobody_can_tell(save: Save, shape: tuple[int, ...], said: str, tmp_path: Path) -> None:
    """One colour image that lost its last axis, and grey ones in the order of NumPy, would be others in silence."""
    assert said in sentence(save(tmp_path / "a.mat", {"X": pixels(*shape)}))


@both
@pytest.mark.parametrize(
    ("shape", "n_labels", "note"),
    [
        ((8, 8, 5), 0, ""),
        ((8, 6, 5), 0, "was taken for 5 images of 8×6"),
        ((8, 8, 8), 0, "was taken for 8 images of 8×8"),
        ((8, 8, 8), 8, "was taken for 8 images of 8×8"),
        ((8, 8, 3), 3, ""),
        ((5, 8, 8), 8, ""),
    ],
)
def test_grey_images_by_the_last_axis(
    save: Save, shape: tuple[int, ...], n_labels: int, note: str, tmp_path: Path
) -> None:
    """As MATLAB counts them; a note says so where neither the shape nor labels do."""
    images = pixels(*shape)
    labels = {"y": np.arange(n_labels, dtype=np.float64)[:, None]} if n_labels else {}
    path = save(tmp_path / "a.mat", {"X": images, **labels})
    assert np.array_equal(read(path)[:, 0], np.moveaxis(images, -1, 0))
    notes = open_mat(path).notes
    assert (note in notes[0] and len(notes) == 1) if note else not notes


@both
def test_grey_images_with_an_axis_of_channels(save: Save, tmp_path: Path) -> None:
    """H×W×1×N, the way out that sentences name, is read whatever N is."""
    images = pixels(8, 8, 1, 3)
    assert np.array_equal(
        read(save(tmp_path / "a.mat", {"X": images}))[:, 1], images[:, :, 0].transpose(2, 0, 1)
    )


def test_grey_images_by_the_first_axis(tmp_path: Path) -> None:
    """Labels say which axis counts; version 7.3 is read by its last one alone, and says so."""
    held = {"X": pixels(5, 8, 8), "y": np.arange(5.0)[:, None]}
    assert np.array_equal(read(version_5(tmp_path / "a.mat", held))[:, 0], held["X"])
    assert "counts its images by the first axis" in sentence(version_7_3(tmp_path / "b.mat", held))


@both
@pytest.mark.parametrize(
    "y",
    [np.full((4, 1), 1.5), np.zeros((4, 1), complex), np.zeros((2, 2)), np.zeros((0, 0)), np.zeros((4, 0))],
)
def test_labels_that_are_none(save: Save, y: NDArray[Any], tmp_path: Path) -> None:
    """They are named, as a second array of images is."""
    made = open_mat(save(tmp_path / "a.mat", {"X": pixels(8, 8, 3, 4), "y": y, "Z": pixels(8, 8, 3, 4)}))
    assert made.labels is None
    aside, beside = made.notes
    assert aside == "its array y is not one integer an image and was left aside"
    assert "Z beside it, which may be images too" in beside


def test_labels_of_version_7_3_that_are_none(tmp_path: Path) -> None:
    """Texts, records, a scalar, nothing; MATLAB's empty array, which is stored as its shape 0×0; letters as numbers."""
    h5py = pytest.importorskip("h5py")

    def empty(file: Any) -> None:
        file["y"] = np.zeros(2, np.uint64)
        file["y"].attrs["MATLAB_empty"] = np.uint8(1)

    def letters(file: Any) -> None:
        file["y"] = np.full((1, 2), 65, np.uint16)
        file["y"].attrs["MATLAB_class"] = np.bytes_("char")

    def put(value: Any) -> Callable[[Any], None]:
        return lambda file: file.__setitem__("y", value)

    records = np.zeros(2, [("a", "i4")])
    for change in (put(["a", "b"]), put(records), put(1.0), put(h5py.Empty("f8")), empty, letters):
        path = version_7_3(tmp_path / "a.mat", {"X": pixels(8, 8, 3, 2)})
        with h5py.File(path, "r+") as file:
            change(file)
        assert open_mat(path).notes == ["its array y is not one integer an image and was left aside"]


@both
def test_labels_of_another_number(save: Save, tmp_path: Path) -> None:
    held = {"X": pixels(8, 8, 3, 4), "y": np.zeros((3, 1))}
    assert "has 4 images but 3 labels" in sentence(save(tmp_path / "a.mat", held))


@pytest.mark.parametrize(("shape", "dtype"), [((2**37,), "u1"), ((1, 2**37), "f8")])
def test_labels_that_claim_memory(shape: tuple[int, ...], dtype: str, tmp_path: Path) -> None:
    """2³⁷ labels that the file has no byte of are counted before one is read."""
    h5py = pytest.importorskip("h5py")
    path = version_7_3(tmp_path / "a.mat", {"X": pixels(8, 8, 3, 4)})
    with h5py.File(path, "r+") as file:
        file.create_dataset("y", shape=shape, dtype=dtype, chunks=(*shape[:-1], 2**20))
    assert "has 4 images but 137,438,953,472 labels" in sentence(path)
