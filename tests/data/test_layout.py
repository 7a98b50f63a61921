"""Which folders, files and arrays are splits: every spelling, in every kind of files; what is refused beside them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.data.catalogue import load_dataset, load_domains, load_split
from benchbench.data.pipeline.fingerprint import fingerprint
from benchbench.data.pipeline.image_source import in_memory
from benchbench.data.pipeline.streams import open_images
from benchbench.data.sources.layout import SPELLINGS, split_name
from benchbench.data.sources.options import SourceOptions
from benchbench.data.sources.spec import parse_spec

Pictures = NDArray[np.uint8]
TRAINS = SPELLINGS["train"]
HELD_OUTS = [word for kind in ("test", "eval", "val") for word in SPELLINGS[kind]] + ["held_out", "hold-out"]


def pictures(seed: int, n: int = 3) -> Pictures:
    """Seeded uint8 n×8×8×3."""
    return np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 3), np.uint8)


def png(image: Pictures) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def as_folder(path: Path, names: Sequence[str]) -> str:
    """Three images of its own below each name; one image where the name is that of a file; a note where it is none."""
    for seed, name in enumerate(names):
        if name.endswith(".json"):
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text("{}")
            continue
        images = pictures(seed, 1 if name.endswith(".png") else 3)
        for i, image in enumerate(images):
            file = path / name if name.endswith(".png") else path / name / f"{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(png(image))
    return f"folder:{path}"


def as_zip(path: Path, names: Sequence[str]) -> str:
    as_folder(path / "files", names)
    with zipfile.ZipFile(path / "made.zip", "w") as archive:
        for file in (path / "files").rglob("*"):
            archive.write(file, Path("around") / file.relative_to(path / "files"))
    return f"zip:{path / 'made.zip'}"


def as_parquet(path: Path, names: Sequence[str]) -> str:
    for seed, name in enumerate(names):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        rows = [{"bytes": png(image), "path": None} for image in pictures(seed)]
        pd.DataFrame({"image": rows}).to_parquet(path / f"{name}.parquet")
    return f"parquet:{path}"


def as_npz(path: Path, names: Sequence[str]) -> str:
    path.mkdir(parents=True, exist_ok=True)
    np.savez(path / "made.npz", **{f"x_{name}": pictures(seed) for seed, name in enumerate(names)})  # type: ignore[arg-type]
    return f"npz:{path / 'made.npz'}"


KINDS: dict[str, Callable[[Path, Sequence[str]], str]] = {
    "folder": as_folder,
    "zip": as_zip,
    "parquet": as_parquet,
    "npz": as_npz,
}


def prints(spec: str) -> list[str]:
    dataset = load_dataset(spec)
    return [dataset.train.fingerprint, dataset.held_out.fingerprint]


def of(*seeds: int) -> list[str]:
    return [fingerprint(pictures(seed).transpose(0, 3, 1, 2)) for seed in seeds]


@pytest.mark.costly
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_spelling_in_every_kind_of_files(
    tmp_path: Path, kind: Callable[[Path, Sequence[str]], str]
) -> None:
    """Train and held-out are the images of these two, by their fingerprints, in small letters, capitals and a capital
    at the beginning; and no note says that there is no split."""
    turns = (str.lower, str.capitalize, str.upper)
    spelt = [("train", word) for word in HELD_OUTS] + [(word, "test") for word in TRAINS]
    for i, (train, held_out) in enumerate(spelt):
        spell = turns[i % 3]
        spec = kind(tmp_path / str(i), [spell(train), spell(held_out)])
        assert prints(spec) == of(0, 1), (train, held_out)
        assert not load_dataset(spec).notes


@pytest.mark.parametrize(
    "names",
    [
        ["train2017", "val2017", "annotations/a.json"],
        ["training_set", "test_set"],
        ["train-images", "validation-images"],
        ["seg_train/seg_train", "seg_test/seg_test"],
        ["data/train", "data/test", "README/a.json"],
        ["images/train", "images/val", "labels/train/a.json"],
    ],
)
def test_layouts_that_are_published(tmp_path: Path, names: list[str]) -> None:
    """COCO, Kaggle's, Hugging Face's ImageFolder, YOLO's: the first two are train and held-out."""
    assert prints(as_folder(tmp_path / "a", names)) == of(0, 1)
    assert prints(as_zip(tmp_path / "b", names)) == of(0, 1)


@pytest.mark.parametrize(
    "names",
    [
        ["DIV2K_train_HR", "DIV2K_valid_HR"],
        ["church_outdoor_train", "church_outdoor_val"],
        ["train_v2", "test_v2"],
        ["train (1)", "test (1)"],
        ["MyTraining", "MyTesting"],
        ["facades.train", "facades.dev"],
        ["BSDS500/photos_train", "BSDS500/photos_eval", "BSDS500/labels_train/a.json"],
        ["flowers_train", "flowers_test", "flowers_validation"],
    ],
)
@pytest.mark.parametrize("kind", [as_folder, as_zip, as_parquet])
def test_names_that_differ_in_the_word_for_a_split(
    tmp_path: Path, kind: Callable[[Path, Sequence[str]], str], names: list[str]
) -> None:
    """As sets are published and unpacked side by side: the first two are train and held-out, and a note says by what;
    behind a colon each is found, and a held-out part that does not count is not."""
    if kind is as_parquet and "/" in names[0]:
        names = [name.rpartition("/")[2] for name in names if not name.endswith(".json")]
    spec = kind(tmp_path, names)
    assert prints(spec) == of(0, 1)
    assert any("differ in this word alone" in note for note in load_dataset(spec).notes)
    assert open_images(f"{spec}:test").fingerprint == of(1)[0]
    if "flowers_validation" in names:
        with pytest.raises(InputError, match=r"the held-out part of .* is flowers_test"):
            open_images(f"{spec}:val")


@pytest.mark.parametrize(
    "names",
    [
        ["train_station", "test_pattern"],
        ["rain", "strain"],
        ["car_train", "bus_test"],
        ["contest", "train_set_of_cars"],
        ["val", "trainer"],
    ],
)
def test_classes_that_are_called_like_splits_stay_classes(tmp_path: Path, names: list[str]) -> None:
    """Names that differ in more than the word are classes, or refused where one of them is a split by itself."""
    spec = as_folder(tmp_path, names)
    if split_name(names[0]):
        with pytest.raises(InputError, match="no train/"):
            load_dataset(spec)
    else:
        assert load_dataset(spec).classes == tuple(sorted(names))


def test_the_held_out_part_of_a_folder_in_itself(tmp_path: Path) -> None:
    """seg_test/seg_test counts, so what is called seg_val is not had by `:val`."""
    spec = as_folder(tmp_path, [f"seg_{part}/seg_{part}" for part in ("train", "test", "val")])
    assert open_images(f"{spec}:test").fingerprint == of(1)[0]
    with pytest.raises(InputError, match=r"the held-out part of .* is seg_test"):
        open_images(f"{spec}:val")


def test_parquet_in_capitals(tmp_path: Path) -> None:
    """The suffix in either case, as that of images."""
    spec = as_parquet(tmp_path, ["TRAIN", "TEST"])
    for file in list(tmp_path.glob("*.parquet")):
        file.rename(file.with_suffix(".PARQUET"))
    assert prints(spec) == of(0, 1)


@pytest.mark.parametrize(
    "names",
    [
        ["train-00000-of-00001-a09b74b3ef9c3b56", "validation-00000-of-00001-b09b74b3ef9c3b56"],
        ["data/train-0-of-1", "data/dev-0-of-1"],
        ["default/train/0000", "default/test/0000"],
        ["train_0", "eval_0"],
    ],
)
def test_parquet_files_that_are_published(tmp_path: Path, names: list[str]) -> None:
    """With the hash of older versions, in `data/`, as the hub converts them, and numbered."""
    assert prints(as_parquet(tmp_path, names)) == of(0, 1)


def test_shards_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """Eleven shards numbered without zeros: the tenth is the last but one."""
    spec = as_parquet(tmp_path, [f"train-{i}-of-11" for i in range(11)] + ["test"])
    images = load_dataset(spec).train.images
    whole = np.concatenate([pictures(i) for i in range(11)]).transpose(0, 3, 1, 2)
    assert np.array_equal(in_memory(images).numpy(), whole)


@pytest.mark.parametrize(
    ("kind", "names", "odd"),
    [
        ("folder", ["train", "foo"], "foo/"),
        ("folder", ["train", "test", "unlabelled"], "unlabelled/"),
        ("folder", ["train", "loose.png"], "loose.png"),
        ("folder", ["train", "trial"], "trial/"),
        ("folder", ["train", "car", "bus"], "bus/, car/"),
        ("folder", ["train", "tset"], "tset/"),
        ("zip", ["train", "foo"], "foo/"),
        ("zip", ["Train", "val", "loose.png"], "loose.png"),
        ("parquet", ["train", "foo"], r"foo\.parquet"),
        ("parquet", ["train", "test", "extra-0-of-1"], r"extra-0-of-1\.parquet"),
        ("npz", ["train", "foo"], "x_foo"),
        ("npz", ["train", "valid", "extra"], "x_extra"),
        ("folder", ["trainA", "trainB", "testA", "testB", "trainC"], "trainC/"),
    ],
)
def test_what_is_beside_train_is_named(tmp_path: Path, kind: str, names: list[str], odd: str) -> None:
    """Images under a name that says no split are in nobody's numbers in silence: a run refuses them by that name."""
    spec = KINDS[kind](tmp_path, names)
    with pytest.raises(InputError, match=f"beside that (images in )?{odd}, which names no split"):
        load_dataset(spec)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["train", "val", "validation"], "has val and validation, which name the same part"),
        (["train", "Train", "test"], "has Train and train, which name the same part"),
        (["train2014", "train2017", "val"], "has train2014 and train2017"),
        (["valid", "invalid"], r"has valid/ but no train/ \(but images in invalid/\)"),
        (["test", "val"], "has test/, val/ but no train/"),
        (["train", "trainA"], "parts of one set of images and of two domains"),
        (["cat/train", "cat/test", "dog/train", "dog/test"], r"splits inside other folders \(cat/train/\)"),
        (["A/train", "A/val", "B/train", "B/val"], r"splits inside other folders \(A/train/\)"),
        (
            ["cat_train", "cat_test", "dog_train", "dog_test"],
            "has cat_test and dog_test, which name the same",
        ),
        (["train", "test/a.json"], "no images in .*test"),
    ],
)
def test_splits_that_contradict_each_other(tmp_path: Path, names: list[str], sentence: str) -> None:
    """One sentence for each; an evaluation, which reads all images, does not mind."""
    spec = as_folder(tmp_path, names)
    with pytest.raises(InputError, match=sentence):
        load_dataset(spec)
    assert open_images(spec).n == sum(3 for name in names if not name.endswith(".json"))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_second_held_out_part_is_noted(tmp_path: Path, kind: Callable[[Path, Sequence[str]], str]) -> None:
    """test/ counts before val/, as before; what was left aside is said, and cannot be named for the other."""
    spec = kind(tmp_path, ["train", "val", "test"])
    assert prints(spec) == of(0, 2)
    assert any(
        note.startswith("val was left aside: the held-out part is") for note in load_dataset(spec).notes
    )
    assert open_images(f"{spec}:test").fingerprint == of(2)[0]
    with pytest.raises(InputError, match=r":valid: the held-out part of .* is test"):
        open_images(f"{spec}:valid")


@pytest.mark.parametrize("title", ["valid", "Validation", "dev", "test", "held_out"])
def test_a_split_is_named_in_any_spelling(tmp_path: Path, title: str) -> None:
    """Behind the colon too: val/ is what is meant by all of these, where nothing else is held out."""
    spec = as_folder(tmp_path, ["train", "val"])
    found = load_split(parse_spec(f"{spec}:{title}"), SourceOptions())
    assert found[1] == "held_out"
    assert open_images(f"{spec}:{title}").fingerprint == of(1)[0]
    with pytest.raises(InputError, match="unknown split of digits 'val'"):
        parse_spec("digits:val")


@pytest.mark.parametrize(
    "names",
    [
        ["trainA", "trainB", "testA", "testB"],
        ["train_A", "train_B", "Valid_A", "Valid_B"],
        ["TrainA", "TrainB", "devA", "devB"],
        ["horse2zebra/trainA", "horse2zebra/trainB", "horse2zebra/testA", "horse2zebra/testB"],
        ["zebra_trainA", "zebra_trainB", "zebra_testA", "zebra_testB"],
    ],
)
def test_two_domains_in_any_spelling(tmp_path: Path, names: list[str]) -> None:
    """A and B of both splits, by their fingerprints; also with a folder around all four."""
    domains = load_domains(as_folder(tmp_path, names))
    sides = [domains.a.train, domains.b.train, domains.a.held_out, domains.b.held_out]
    assert [side.fingerprint for side in sides] == of(0, 1, 2, 3)


@pytest.mark.parametrize(
    "name",
    [
        "train_station",
        "trainer",
        "strain",
        "test tube",
        "devil",
        "evaluate me",
        "valley",
        "contest",
        "a",
        "",
        "2",
        "тест",
    ],
)
def test_names_of_classes_are_no_splits(name: str) -> None:
    """Words that begin or end as a split's name does are words of their own."""
    assert split_name(name) is None


def test_what_may_be_images_beside_the_images_is_noted(tmp_path: Path) -> None:
    """Three arrays saved without names, and a mask: the first is read, what could be meant as well is named."""
    np.savez(tmp_path / "a.npz", pictures(0), np.arange(3), pictures(1))
    np.savez(tmp_path / "b.npz", images=pictures(0), masks=pictures(1)[..., 0], ids=np.arange(3))
    for name, other in (("a", "arr_2"), ("b", "masks")):
        stream = open_images(str(tmp_path / f"{name}.npz"))
        (batch,) = stream.batches(3)
        assert np.array_equal(batch.numpy(), pictures(0).transpose(0, 3, 1, 2))
        assert any(f"{other} beside it, which may be images too" in note for note in stream.notes)


def test_an_array_that_is_there_twice(tmp_path: Path) -> None:
    """Two members of one name, of which NumPy would take the last in silence."""
    np.save(tmp_path / "one.npy", pictures(0))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.write(tmp_path / "one.npy", "arr_0.npy")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.write(tmp_path / "one.npy", "arr_0.npy")
    with pytest.raises(InputError, match="holds arr_0 twice"):
        load_dataset(f"npz:{tmp_path / 'a.npz'}")
