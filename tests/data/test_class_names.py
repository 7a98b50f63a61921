"""What classes are called, whatever file says so: one line that can be seen, and each name once.

The names here hold an escape, a line break or half of a surrogate pair, or stand there twice; what comes out is written
out beside them.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from written_formats import Split, as_cifar10, of_python_2, png, tar_of, written

from benchbench.data.pipeline.class_names import distinct
from benchbench.data.pipeline.streams import open_images

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
LABELS = [0, 0, 0, 1, 1, 1]


@given(
    st.lists(
        st.text(st.characters(exclude_categories=()), max_size=3) | st.sampled_from(["a", "a (0)", "a (1)"])
    )
)
def test_printable_and_distinct(names: list[str]) -> None:
    """And as many as there were; those that already are so stay as they are."""
    found = distinct(names)
    assert len({*found}) == len(found) == len(names)
    assert all(name.isprintable() for name in found)
    assert distinct(found) == found


def in_folders(root: Path) -> str:
    for i, label in enumerate(LABELS):
        folder = os.fsencode(root) + b"/" + (b"a\x1b", b"b\xff")[label]
        os.makedirs(folder, exist_ok=True)
        with open(folder + b"/%d.png" % i, "wb") as file:
            file.write(png(IMAGES[i]))
    return str(root)


def in_json(root: Path) -> str:
    files = {}
    for i, label in enumerate(LABELS):
        said = json.dumps({"label": ("a\x1b", "b\ud800")[label]})
        files |= {f"{i}.png": png(IMAGES[i]), f"{i}.json": said.encode()}
    root.mkdir()
    return tar_of(root / "a.tar", files)


def in_classnames(root: Path) -> str:
    written(root / "classnames.txt", "c\x1b\nc\x1b\n")
    labels = {f"{i}.cls": b"%d" % label for i, label in enumerate(LABELS)}
    return tar_of(root / "a.tar", {f"{i}.png": png(image) for i, image in enumerate(IMAGES)} | labels)


def in_parquet(root: Path) -> str:
    root.mkdir()
    words = [("a\x1b", "b\n")[label] for label in LABELS]
    pa.parquet.write_table(
        pa.table({"image": [png(image) for image in IMAGES], "label": words}), root / "a.parquet"
    )
    return str(root / "a.parquet")


def in_features(root: Path) -> str:
    root.mkdir()
    names = {"info": {"features": {"label": {"names": ["a\x1b", "b\n"], "_type": "ClassLabel"}}}}
    table = pa.table({"image": [png(image) for image in IMAGES], "label": LABELS})
    table = table.replace_schema_metadata({"huggingface": json.dumps(names)})
    with pa.OSFile(str(root / "a.arrow"), "wb") as out, pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    return f"arrow:{root / 'a.arrow'}"


def in_cifar(root: Path) -> str:
    spec = as_cifar10(root, [Split(title, IMAGES, np.array(LABELS)) for title in ("train", "test")])
    written(root / "batches.meta", of_python_2({b"label_names": [b"c\x1b", b"c\x1b"]}))
    return spec


def in_mapping(root: Path) -> str:
    images = IMAGES[..., 0]
    name = "emnist-x-{}-idx{}-ubyte"
    written(
        root / name.format("train-images", 3),
        struct.pack(">HBB3I", 0, 8, 3, *images.shape) + images.tobytes(),
    )
    written(root / name.format("train-labels", 1), struct.pack(">HBBI", 0, 8, 1, 6) + bytes(LABELS))
    written(root / "emnist-x-mapping.txt", "0 97 27\n1 98 55296\n")
    return f"idx:{root}"


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (in_folders, ("a ", "b ")),
        (in_json, ("a ", "b ")),
        (in_classnames, ("c  (0)", "c  (1)")),
        (in_parquet, ("a ", "b ")),
        (in_features, ("a ", "b ")),
        (in_cifar, ("c  (0)", "c  (1)")),
        (in_mapping, ("a/ ", "b/ ")),
    ],
)
def test_whatever_file_says_so(make: Callable[[Path], str], names: tuple[str, ...], tmp_path: Path) -> None:
    """Each image stays of the class that it was given."""
    kinds = open_images(make(tmp_path / "made")).kinds
    assert kinds is not None
    assert kinds.names == names
    assert kinds.labels.tolist()[:6] == LABELS
