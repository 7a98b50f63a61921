"""Parquet files: layouts, columns, shards, labels, and what is refused."""

from __future__ import annotations

import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.data.catalogue import load_dataset


def _encoded(level: int) -> bytes:
    stream = BytesIO()
    Image.fromarray(np.full((4, 4, 3), level, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def _write(path: Path, levels: list[int], labels: list[Any] | None = None, image: str = "image") -> None:
    """Images of one level each, in Hugging Face's layout."""
    columns: dict[str, Any] = {image: [{"bytes": _encoded(level), "path": "x.png"} for level in levels]}
    if labels is not None:
        columns["label"] = labels
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), path)


def test_a_folder_with_two_files(tmp_path: Path) -> None:
    """Rows in order, labels by value."""
    _write(tmp_path / "train.parquet", [10, 20, 30], [1, 0, 1])
    _write(tmp_path / "test.parquet", [40, 50], [2, 0])
    dataset = load_dataset(f"parquet:{tmp_path}")
    assert dataset.train.images[:, 0, 0, 0].tolist() == [10, 20, 30]
    assert dataset.held_out.images[:, 0, 0, 0].tolist() == [40, 50]
    assert dataset.train.labels is not None
    assert dataset.train.labels.tolist() == [1, 0, 1]
    assert dataset.classes == ("0", "1", "2")


def test_shards_in_data(tmp_path: Path) -> None:
    """Hugging Face keeps shards in data/, read in the order of their numbers; without a held-out part the
    whole is split."""
    _write(tmp_path / "data/train-00001-of-00002.parquet", [30, 40], ["b", "a"], image="img")
    _write(tmp_path / "data/train-00000-of-00002.parquet", [10, 20], ["a", "b"], image="img")
    dataset = load_dataset(f"parquet:{tmp_path}")
    assert dataset.classes == ("a", "b")
    levels = [*dataset.train.images[:, 0, 0, 0].tolist(), *dataset.held_out.images[:, 0, 0, 0].tolist()]
    assert sorted(levels) == [10, 20, 30, 40]


def test_one_file_with_plain_binary(tmp_path: Path) -> None:
    """The only binary column is the images, whatever its name."""
    table = pa.table({"png": [_encoded(i) for i in range(4)], "id": [1, 2, 3, 4]})
    pq.write_table(table, tmp_path / "a b.parquet")
    dataset = load_dataset(f"parquet:{tmp_path}/a b.parquet")
    assert (len(dataset.train), len(dataset.held_out)) == (2, 2)
    assert dataset.train.labels is None
    assert re.fullmatch("parquet-a-b-[0-9a-f]{8}", dataset.name)  # a-b.parquet has the short name


def test_class_names_of_hugging_face(tmp_path: Path) -> None:
    """`datasets` keeps ClassLabel names in the schema's metadata; a class without images keeps its place."""
    table = pa.table({"image": [{"bytes": _encoded(i)} for i in range(2)], "label": [0, 2]})
    features = {"info": {"features": {"label": {"names": ["cat", "dog", "owl"], "_type": "ClassLabel"}}}}
    for title in ("train", "test"):
        pq.write_table(
            table.replace_schema_metadata({"huggingface": json.dumps(features)}),
            tmp_path / f"{title}.parquet",
        )
    dataset = load_dataset(f"parquet:{tmp_path}")
    assert dataset.classes == ("cat", "dog", "owl")
    assert dataset.train.labels is not None
    assert dataset.train.labels.tolist() == [0, 2]


def test_a_missing_shard(tmp_path: Path) -> None:
    """The name says how many there should be."""
    _write(tmp_path / "train-00000-of-00003.parquet", [1, 2])
    with pytest.raises(InputError, match=r"lacks train-00001-of-00003.parquet \(2 of 3 shards are missing\)"):
        load_dataset(f"parquet:{tmp_path}")


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"a": [1, 2]}, r"no column of image bytes; it has a \(int64\)"),
        ({"a": [b"x", b"y"], "b": [b"x", b"y"]}, "more than one column of image bytes"),
        ({"image": [_encoded(1), None]}, "row 1 has no image bytes"),
        ({"image": [_encoded(1), b"junk"]}, "a.parquet row 1 is not an image"),
        ({"image": [_encoded(1), _encoded(2)], "label": [0.5, 1.0]}, "labels are integers or strings"),
        ({"image": [_encoded(1), _encoded(2)], "label": [0, None]}, "is empty in 1 of 2 rows"),
        ({"image": pa.array([], pa.binary())}, "has no rows"),
    ],
)
def test_refused(tmp_path: Path, columns: dict[str, Any], sentence: str) -> None:
    """One sentence that names the file and what is there instead."""
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=sentence):
        load_dataset(f"parquet:{tmp_path}/a.parquet")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Text, half a file, nothing, a folder without train.parquet."""
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(InputError, match=r"cannot read .*text\.parquet"):
        load_dataset(f"parquet:{tmp_path}/text.parquet")
    _write(tmp_path / "half.parquet", [1, 2, 3])
    whole = (tmp_path / "half.parquet").read_bytes()
    (tmp_path / "half.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cannot read .*half\.parquet"):
        load_dataset(f"parquet:{tmp_path}/half.parquet")
    with pytest.raises(InputError, match="is not there"):
        load_dataset(f"parquet:{tmp_path}/gone.parquet")
    with pytest.raises(InputError, match=r"no train\.parquet, only half\.parquet, text\.parquet; name one"):
        load_dataset(f"parquet:{tmp_path}")


def test_damage_inside_a_file(tmp_path: Path) -> None:
    """Garbage in the middle of a data page: the footer reads well, the rows do not."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": [_encoded(i) for i in range(50)]}), path, use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[4:60] = b"\xff" * 56
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="cannot read"):
        load_dataset(f"parquet:{path}")


def _hf(path: Path, about: Any, labels: list[Any] | None = None) -> str:
    """Four images with what Hugging Face's metadata is made to say."""
    columns: dict[str, Any] = {"image": [{"bytes": _encoded(i), "path": None} for i in range(4)]}
    columns["label"] = [0, 1, 0, 1] if labels is None else labels
    raw = about if isinstance(about, bytes) else json.dumps(about).encode()
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata({"huggingface": raw}), path)
    return f"parquet:{path}"


def _says(label: Any) -> dict[str, Any]:
    return {"info": {"features": {"label": label}}}


@pytest.mark.parametrize(
    "about",
    [
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b"",
        [],
        7,
        "x",
        None,
        {"info": []},
        {"info": "x"},
        {"info": {"features": []}},
        {"info": {"features": "label"}},
        _says("ClassLabel"),
        _says([1]),
        _says({"names": "ab"}),
        _says({"names": 2}),
        _says({"names": [0, 1]}),
        _says({"names": ["a", None]}),
        _says({"names": {"0": "a"}}),
        _says({"names": ["a", "a"]}),
        _says({"names": ["a", ""]}),
    ],
)
def test_metadata_that_is_something_else_is_named(about: Any, tmp_path: Path) -> None:
    """Class names decide what labels mean: what cannot be read is no reason to go on without them."""
    with pytest.raises(
        InputError, match=r"x\.parquet says of its classes in Hugging Face's metadata cannot be read"
    ):
        load_dataset(_hf(tmp_path / "x.parquet", about))


@pytest.mark.parametrize(
    "about",
    [{}, {"info": None}, {"info": {"features": None}}, _says(None), _says({"dtype": "int64"}), {"x": 1}],
)
def test_metadata_without_class_names(about: Any, tmp_path: Path) -> None:
    """A column of plain integers has none: the classes are the values."""
    assert load_dataset(_hf(tmp_path / "x.parquet", about)).classes == ("0", "1")


@pytest.mark.parametrize("labels", [[0, 1, 2, 0], [0, -1, 0, 1]])
def test_labels_without_a_name_are_named(labels: list[int], tmp_path: Path) -> None:
    """Of two classes the numbers are 0 and 1."""
    with pytest.raises(InputError, match=r"unknown label (2|-1); the 2 classes are a, b"):
        load_dataset(_hf(tmp_path / "x.parquet", _says({"names": ["a", "b"]}), labels))


SHARDS = ("train-00000-of-00002.parquet", "train-00001-of-00002.parquet")


@pytest.mark.parametrize("without", [0, 1])
def test_a_shard_that_lacks_labels(without: int, tmp_path: Path) -> None:
    """Its images would take the labels of the next one."""
    for i, name in enumerate(SHARDS):
        _write(tmp_path / name, [1, 2, 3], None if i == without else [0, 1, 2])
    sentence = f"{SHARDS[1 - without]} has labels but {SHARDS[without]} beside it has none"
    with pytest.raises(InputError, match=sentence):
        load_dataset(f"parquet:{tmp_path}")


def test_shards_of_two_kinds_of_labels(tmp_path: Path) -> None:
    """Integers in one, texts in the other: nobody knows whether "1" is 1."""
    _write(tmp_path / SHARDS[0], [1, 2], [0, 1])
    _write(tmp_path / SHARDS[1], [3, 4], ["0", "1"])
    with pytest.raises(InputError, match="integers in some files and texts in others"):
        load_dataset(f"parquet:{tmp_path}")


@pytest.mark.parametrize("names", [SHARDS, ("train.parquet", "test.parquet")])
def test_files_that_name_their_classes_otherwise(names: tuple[str, str], tmp_path: Path) -> None:
    """0 is "a" in one and "b" in the other: half of the labels would be wrong."""
    for name, classes in zip(names, (["a", "b"], ["b", "a"]), strict=True):
        _hf(tmp_path / name, _says({"names": classes}))
    with pytest.raises(InputError, match="name their classes otherwise"):
        load_dataset(f"parquet:{tmp_path}")


def test_shards_that_call_their_images_otherwise(tmp_path: Path) -> None:
    """Each file has its own column: image in one, img in the other."""
    _write(tmp_path / SHARDS[0], [10, 20], image="img")
    _write(tmp_path / SHARDS[1], [30, 40])
    dataset = load_dataset(f"parquet:{tmp_path}")
    levels = [*dataset.train.images[:, 0, 0, 0].tolist(), *dataset.held_out.images[:, 0, 0, 0].tolist()]
    assert sorted(levels) == [10, 20, 30, 40]


def test_a_table_that_claims_too_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One picture, 5,000 times: by its dictionary the file has fewer bytes than rows. The limit is lowered."""
    _write(tmp_path / "x.parquet", [1] * 5000)
    assert (tmp_path / "x.parquet").stat().st_size < 5000
    monkeypatch.setattr("benchbench.data.sources.parquet.BOMB_ROWS", 1000)
    with pytest.raises(InputError, match=r"claims 5,000 images in .* bytes, as bombs do"):
        load_dataset(f"parquet:{tmp_path}/x.parquet")


def test_a_column_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros under a strong compression, by what the footer says of the column. The limit is lowered."""
    table = pa.table({"image": [bytes(100_000 + i) for i in range(4)]})
    pq.write_table(table, tmp_path / "x.parquet", compression="zstd", use_dictionary=False)
    monkeypatch.setattr("benchbench.data.sources.parquet.BOMB_FLOOR", 1000)
    with pytest.raises(InputError, match="claim to unpack to 400,"):
        load_dataset(f"parquet:{tmp_path}/x.parquet")
