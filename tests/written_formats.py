"""The same images and labels in every format that is read, written with the library that others write it with."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray
from PIL import Image

Pictures = NDArray[np.uint8]
TITLES = ("train", "test")


@dataclass(frozen=True)
class Split:
    """images: uint8 N×H×W×3. labels: 0 or 1, int64 (N,)."""

    title: str
    images: Pictures
    labels: NDArray[np.int64]


def png(image: Pictures) -> bytes:
    """An image file, without loss."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def written(path: Path, content: bytes | str) -> Path:
    """A file with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def tar_of(path: Path, members: dict[str, bytes], *more: tarfile.TarInfo) -> str:
    """A tar with these files, and what `more` says without content."""
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in more:
            archive.addfile(info)
    return str(path)


def as_webdataset(folder: Path, splits: Sequence[Split]) -> str:
    """Two shards a split, by webdataset's own writer; labels are in .cls."""
    wds = pytest.importorskip("webdataset")
    folder.mkdir()
    for split in splits:
        with wds.ShardWriter(str(folder / f"{split.title}-%04d.tar"), maxcount=3, verbose=0) as sink:
            for i, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
                sink.write({"__key__": f"{i:06d}", "png": png(image), "cls": int(label), "txt": "a caption"})
    return f"webdataset:{folder}"


def as_arrow(folder: Path, splits: Sequence[Split]) -> str:
    """What `DatasetDict.save_to_disk` writes, with the names of the classes."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    held = {
        split.title: datasets.Dataset.from_dict(
            {
                "image": [{"bytes": png(image), "path": None} for image in split.images],
                "label": split.labels.tolist(),
            },
            features=features,
        )
        for split in splits
    }
    datasets.DatasetDict(held).save_to_disk(folder)
    return str(folder)


def as_parquet_of_datasets(folder: Path, splits: Sequence[Split]) -> str:
    """The layout of a snapshot of the Hub: data/train-00000-of-00002.parquet, as the library writes its shards."""
    datasets = pytest.importorskip("datasets")
    (folder / "data").mkdir(parents=True)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    for split in splits:
        rows = [{"bytes": png(image), "path": None} for image in split.images]
        held = datasets.Dataset.from_dict({"image": rows, "label": split.labels.tolist()}, features=features)
        for i in range(2):
            held.shard(2, i, contiguous=True).to_parquet(
                folder / "data" / f"{split.title}-0000{i}-of-00002.parquet"
            )
    return f"parquet:{folder}"


def as_lmdb(folder: Path, splits: Sequence[Split]) -> str:
    """One database a class and split, as LSUN has them, by lmdb."""
    lmdb = pytest.importorskip("lmdb")
    folder.mkdir()
    for split in splits:
        for label, name in enumerate("ab"):
            with (
                lmdb.open(str(folder / f"{name}_{split.title}_lmdb"), map_size=2**26) as held,
                held.begin(write=True) as t,
            ):
                for i in np.flatnonzero(split.labels == label):
                    t.put(f"{i:040x}".encode(), png(split.images[i]))
    return f"lmdb:{folder}"


def as_hdf5(folder: Path, splits: Sequence[Split]) -> str:
    """Channels first and compressed, as BigGAN's, but with both splits in one file."""
    h5py = pytest.importorskip("h5py")
    folder.mkdir()
    with h5py.File(folder / "made.h5", "w") as held:
        for split in splits:
            images = split.images.transpose(0, 3, 1, 2)
            held.create_dataset(
                f"x_{split.title}", data=images, chunks=(2, *images.shape[1:]), compression="lzf"
            )
            held.create_dataset(f"y_{split.title}", data=split.labels)
    return str(folder / "made.h5")


def as_svhn(folder: Path, splits: Sequence[Split]) -> str:
    """`X` H×W×3×N and `y` N×1 from 1 to 10, by SciPy."""
    folder.mkdir()
    for split in splits:
        y = np.where(split.labels == 0, 10, split.labels).astype(np.uint8)[:, None]
        X = split.images.transpose(1, 2, 3, 0)
        scipy.io.savemat(folder / f"{split.title}_32x32.mat", {"X": X, "y": y}, do_compression=True)
    return str(folder)


def as_svhn_7_3(folder: Path, splits: Sequence[Split]) -> str:
    """The same as MATLAB's version 7.3 has it: HDF5, behind 512 bytes of its own, with its axes reversed."""
    h5py = pytest.importorskip("h5py")
    folder.mkdir()
    for split in splits:
        with h5py.File(folder / f"{split.title}_32x32.mat", "w", userblock_size=512) as held:
            held["X"] = split.images.transpose(1, 2, 3, 0).transpose()
            held["y"] = np.where(split.labels == 0, 10, split.labels).astype(np.float64)[None]
        with open(folder / f"{split.title}_32x32.mat", "r+b") as file:
            file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(128))
    return f"mat:{folder}"


def as_cifar10(folder: Path, splits: Sequence[Split]) -> str:
    """Pickles of protocol 2 with texts as bytes, as Python 2 wrote them."""
    for split in splits:
        numbers = np.array_split(np.arange(len(split.images)), 5 if split.title == "train" else 1)
        for i, rows in enumerate(numbers, 1):
            name = f"data_batch_{i}" if split.title == "train" else "test_batch"
            held = {
                b"batch_label": b"training batch",
                b"labels": split.labels[rows].tolist(),
                b"data": split.images[rows].transpose(0, 3, 1, 2).reshape(len(rows), -1),
                b"filenames": [f"{row}.png".encode() for row in rows],
            }
            written(folder / name, of_python_2(held))
    meta = {b"num_cases_per_batch": 2, b"label_names": [b"a", b"b"], b"num_vis": 3072}
    written(folder / "batches.meta", of_python_2(meta))
    return str(folder)


def as_cifar100(folder: Path, splits: Sequence[Split]) -> str:
    for split in splits:
        flat = split.images.transpose(0, 3, 1, 2).reshape(len(split.images), -1)
        fine = split.labels.tolist()
        held = {b"fine_labels": fine, b"coarse_labels": [0] * len(fine), b"data": flat}
        written(folder / split.title, of_python_2(held))
    written(folder / "meta", of_python_2({b"fine_label_names": [b"a", b"b"], b"coarse_label_names": [b"c"]}))
    return str(folder)


def as_cifar_binary(folder: Path, splits: Sequence[Split]) -> str:
    for split in splits:
        flat = split.images.transpose(0, 3, 1, 2).reshape(len(split.images), -1)
        rows = np.concatenate([split.labels.astype(np.uint8)[:, None], flat], axis=1)
        for i, part in enumerate(np.array_split(rows, 5 if split.title == "train" else 1), 1):
            name = f"data_batch_{i}.bin" if split.title == "train" else "test_batch.bin"
            written(folder / name, part.tobytes())
    written(folder / "batches.meta.txt", "a\nb\n\n")
    return f"cifar:{folder}"


def of_python_2(value: Any) -> bytes:
    """A pickle as CIFAR's: protocol 2, in which bytes are strings of Python 2 and arrays name NumPy's old module."""

    class Pickler(pickle._Pickler):
        dispatch: ClassVar = dict(pickle._Pickler.dispatch)

        def save_bytes(self, content: bytes) -> None:
            short = len(content) < 256
            head = (
                pickle.SHORT_BINSTRING + bytes([len(content)])
                if short
                else pickle.BINSTRING + struct.pack("<i", len(content))
            )
            self.write(head + content)
            self.memoize(content)

        dispatch[bytes] = save_bytes

    buffer = io.BytesIO()
    Pickler(buffer, 2).dump(value)
    return buffer.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def as_idx(folder: Path, splits: Sequence[Split]) -> str:
    """Of grey images, one split packed and one not."""
    for split in splits:
        head = "train" if split.title == "train" else "t10k"
        images = split.images[..., 0]
        of_images = struct.pack(">HBB3I", 0, 8, 3, *images.shape) + images.tobytes()
        of_labels = struct.pack(">HBBI", 0, 8, 1, len(images)) + split.labels.astype(np.uint8).tobytes()
        for name, content in (
            (f"{head}-images-idx3-ubyte", of_images),
            (f"{head}-labels-idx1-ubyte", of_labels),
        ):
            packed = head == "train"
            written(
                folder / (name + (".gz" if packed else "")), gzip.compress(content) if packed else content
            )
    return str(folder)


def stylegan_files(split: Split, folder: str = "") -> dict[str, bytes]:
    """What dataset_tool.py writes of a split: numbered shards, and the labels in dataset.json."""
    names = [f"{i // 2:05d}/img{i:08d}.png" for i in range(len(split.images))]
    labels = [[name, int(label)] for name, label in zip(names, split.labels, strict=True)]
    files = {f"{folder}{name}": png(image) for name, image in zip(names, split.images, strict=True)}
    return {**files, f"{folder}dataset.json": json.dumps({"labels": labels}).encode()}


def as_stylegan_folder(folder: Path, splits: Sequence[Split]) -> str:
    for split in splits:
        for name, content in stylegan_files(split, f"{split.title}/").items():
            written(folder / name, content)
    return str(folder)


def as_stylegan_zip(folder: Path, splits: Sequence[Split]) -> str:
    folder.mkdir()
    with zipfile.ZipFile(folder / "made.zip", "w") as archive:
        for split in splits:
            for name, content in stylegan_files(split, f"{split.title}/").items():
                archive.writestr(name, content)
    return str(folder / "made.zip")


WNIDS = ("n01440764", "n02110185")


def imagenet_files(splits: Sequence[Split]) -> dict[str, bytes]:
    """ImageNet as Kaggle has it: training images by class, those for validation together, and files about both."""
    files = {
        "LOC_synset_mapping.txt": b"n01440764 tench, Tinca tinca\nn02110185 Siberian husky\nn02110186 crane\n"
    }
    rows = ["ImageId,PredictionString"]
    for split in splits:
        for i, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
            if split.title == "train":
                files[f"ILSVRC/Data/train/{WNIDS[label]}/{WNIDS[label]}_{i}.png"] = png(image)
            else:
                files[f"ILSVRC/Data/val/ILSVRC2012_val_{i:08d}.png"] = png(image)
                rows.append(f"ILSVRC2012_val_{i:08d},{WNIDS[label]} 1 2 3 4 {WNIDS[label]} 5 6 7 8")
    return {**files, "LOC_val_solution.csv": "\n".join(rows).encode()}


def as_imagenet(folder: Path, splits: Sequence[Split]) -> str:
    for name, content in imagenet_files(splits).items():
        written(folder / name, content)
    return str(folder)


def as_openimages(folder: Path, splits: Sequence[Split]) -> str:
    """A folder a split, one list of labels each, and the names of classes."""
    written(folder / "class-descriptions.csv", 'LabelName,DisplayName\n/m/01,Cat\n/m/02,"Dog, of a kind"\n')
    for split in splits:
        title = "train" if split.title == "train" else "validation"
        rows = ["ImageID,Source,LabelName,Confidence"]
        for i, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
            written(folder / title / f"{split.title}{i:016x}.png", png(image))
            rows += [
                f"{split.title}{i:016x},verification,/m/0{label + 1},1",
                f"{split.title}{i:016x},verification,/m/09,0",
            ]
        written(folder / f"{title}-annotations-human-imagelabels.csv", "\n".join(rows))
    return str(folder)


FORMATS: dict[str, Callable[[Path, Sequence[Split]], str]] = {
    "webdataset": as_webdataset,
    "arrow": as_arrow,
    "parquet of datasets": as_parquet_of_datasets,
    "lmdb": as_lmdb,
    "hdf5": as_hdf5,
    "mat": as_svhn,
    "mat 7.3": as_svhn_7_3,
    "cifar-10": as_cifar10,
    "cifar-100": as_cifar100,
    "cifar-10 binary": as_cifar_binary,
    "idx": as_idx,
    "stylegan folder": as_stylegan_folder,
    "stylegan zip": as_stylegan_zip,
    "imagenet": as_imagenet,
    "openimages": as_openimages,
}
