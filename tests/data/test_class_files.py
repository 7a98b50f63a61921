"""Labels and names of classes from the files that lie beside images, and what folders are no classes.

The layouts are written as StyleGAN's, ImageNet's and OpenImages' tools write them; which label an image has is known by
construction.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from written_formats import Split, imagenet_files, png, stylegan_files, tar_of, written

from benchbench.core.errors import InputError
from benchbench.data.catalogue import load_dataset
from benchbench.data.dataset import Dataset
from benchbench.data.pipeline.names import partners
from benchbench.data.pipeline.streams import open_images

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), np.uint8)
LABELS = np.arange(8) % 2
SPLIT = Split("train", IMAGES, LABELS)


def folder_of(root: Path, files: dict[str, bytes]) -> str:
    for name, content in files.items():
        written(root / name, content)
    return str(root)


def flat(**others: str) -> dict[str, bytes]:
    """Eight images in train/ by class and as many together in val/, and texts beside them."""
    files = {f"train/{'ab'[label]}/{i}.png": png(IMAGES[i]) for i, label in enumerate(LABELS)}
    files |= {f"val/{i}.png": png(255 - IMAGES[i]) for i in range(8)}
    return files | {name.replace("__", "."): text.encode() for name, text in others.items()}


def labels_of(dataset: Dataset) -> list[list[int] | None]:
    return [None if own.labels is None else own.labels.tolist() for own in (dataset.train, dataset.held_out)]


class TestStyleGan:
    """dataset.json goes before everything else."""

    def changed(self, labels: Any) -> dict[str, bytes]:
        return {**stylegan_files(SPLIT), "dataset.json": json.dumps({"labels": labels}).encode()}

    def test_without_labels(self, tmp_path: Path) -> None:
        """Null and no entry at all: images without classes, though they lie in folders."""
        for i, labels in enumerate((None, [])):
            dataset = load_dataset(folder_of(tmp_path / str(i), self.changed(labels)))
            assert labels_of(dataset) == [None, None]
            assert dataset.classes == ()

    @pytest.mark.parametrize(
        ("labels", "said"),
        [
            (
                [["00000/img00000000.png", 1]],
                r"has no label for 00000/img00000001.png \(7 of 8 images lack one\)",
            ),
            (
                [["00000/img00000000.png", 1], ["00000/img00000000.png", 2]],
                r"lists 00000/img00000000\.png twice, with labels 1 and 2; keep one of them",
            ),
            ([[1]], "cannot read the labels in dataset.json"),
            (7, "cannot read the labels in dataset.json"),
        ],
    )
    def test_what_does_not_fit(self, labels: Any, said: str, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=said):
            load_dataset(folder_of(tmp_path, self.changed(labels)))

    def test_an_image_listed_twice(self, tmp_path: Path) -> None:
        """With one label it is of that class; an object says both of two labels, though parsers keep the last."""
        labels = [[f"{i // 2:05d}/img{i:08d}.png", i % 2] for i in range(8)]
        dataset = load_dataset(folder_of(tmp_path / "0", self.changed([*labels, labels[0]])))
        assert len(dataset.classes) == 2
        said = ", ".join(f'"{name}": {label}' for name, label in [*labels, (labels[0][0], 1)])
        content = f'{{"labels": {{{said}}}}}'.encode()
        with pytest.raises(InputError, match="twice, with labels 0 and 1"):
            load_dataset(folder_of(tmp_path / "1", {**stylegan_files(SPLIT), "dataset.json": content}))

    def test_no_json_and_nested_without_end(self, tmp_path: Path) -> None:
        for i, content in enumerate((b"{", b"[" * 100_000, b"\xff")):
            with pytest.raises(InputError, match=r"dataset\.json"):
                load_dataset(folder_of(tmp_path / str(i), {**stylegan_files(SPLIT), "dataset.json": content}))

    def test_vectors_are_no_classes(self, tmp_path: Path) -> None:
        labels = [[f"{i // 2:05d}/img{i:08d}.png", [0.5, 1.0]] for i in range(8)]
        dataset = load_dataset(folder_of(tmp_path, self.changed(labels)))
        assert labels_of(dataset) == [None, None]
        assert any("are vectors, no classes, and were left aside" in note for note in dataset.notes)

    def test_read_as_one_they_still_have_classes(self, tmp_path: Path) -> None:
        """`evaluate` on all images: classes for metrics by class, and none in the fingerprint."""
        stream = open_images(folder_of(tmp_path, stylegan_files(SPLIT)))
        assert stream.labels is None
        assert stream.kinds is not None
        assert [int(stream.kinds.names[label]) for label in stream.kinds.labels.tolist()] == LABELS.tolist()
        title = tmp_path.name
        assert stream.notes == (f"dataset.json in {title} is read for the classes of its images alone",)


class TestShards:
    """Numbered folders that only divide images among them."""

    @pytest.mark.parametrize(
        ("folders", "classes"),
        [
            (["00000", "01000"], 0),
            (["000000", "000001"], 0),
            (["0", "1"], 2),
            (["0001", "0002"], 2),
            (["00000", "000001"], 2),
            (["00000", "cat"], 2),
        ],
    )
    def test_what_is_a_shard(self, folders: list[str], classes: int, tmp_path: Path) -> None:
        files = {f"{folders[i % 2]}/{i:06d}.png": png(image) for i, image in enumerate(IMAGES)}
        dataset = load_dataset(folder_of(tmp_path, files))
        assert len(dataset.classes) == classes
        assert any("are numbered shards and no classes" in note for note in dataset.notes) == (not classes)

    def test_pairs_by_seed(self) -> None:
        """The same seeds in shards, by StyleGAN's names and by plain numbers; what is named by more pairs as ever."""
        ours = ["000000/000007.png", "001000/001000.png"]
        assert partners(ours, ["seed0007.png", "seed1000.jpg"]).rows == [(0, 0), (1, 1)]
        assert partners(["1000.png", "7.png"], ours).rows == [(0, 1), (1, 0)]
        assert partners(["seed0001.png"], ["seed0002.png"]).rows == []
        assert partners(["cat/00001.png"], ["dog/00001.png"]).rows == []

    def test_order_by_seed(self, tmp_path: Path) -> None:
        names = ["000000/000009.png", "000000/000010.png", "001000/001000.png"]
        files = {name: png(image) for name, image in zip(reversed(names), IMAGES, strict=False)}
        assert list(open_images(folder_of(tmp_path, files)).names or ()) == names


class TestLists:
    """Images of one folder whose classes a file lists."""

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("val/val_annotations.txt", "".join(f"{i}.png\t{'ab'[i % 2]}\t0\t0\t8\t8\n" for i in range(8))),
            ("val.txt", "".join(f"{i}.png {'ab'[i % 2]}\n" for i in range(8))),
            (
                "LOC_val_solution.csv",
                "ImageId,PredictionString\n" + "".join(f"{i},{'ab'[i % 2]} 1 2\n" for i in range(8)),
            ),
        ],
    )
    def test_each_kind(self, name: str, text: str, tmp_path: Path) -> None:
        dataset = load_dataset(folder_of(tmp_path, {**flat(), name: text.encode()}))
        assert labels_of(dataset) == [LABELS[[0, 2, 4, 6, 1, 3, 5, 7]].tolist(), LABELS.tolist()]
        assert dataset.classes == ("a", "b")

    def test_numbers_are_the_lines_of_the_names(self, tmp_path: Path) -> None:
        """As Caffe lists ImageNet; without the file of names, numbers beside folders are refused."""
        numbers = "".join(f"{i}.png {i % 2}\n" for i in range(8))
        named = folder_of(
            tmp_path / "named", flat(val__txt=numbers, synset_words__txt="a a cat\nb a bat, flying\n")
        )
        dataset = load_dataset(named)
        assert labels_of(dataset)[1] == LABELS.tolist()
        assert dataset.classes == ("a cat", "a bat, flying")
        with pytest.raises(
            InputError, match="classes are numbers in some of train and val and names in others"
        ):
            load_dataset(folder_of(tmp_path / "not", flat(val__txt=numbers)))

    def test_a_list_that_lacks_an_image(self, tmp_path: Path) -> None:
        """It counts for none, which the note says; then a part has no labels, and that is refused."""
        files = flat(val__txt="".join(f"{i}.png a\n" for i in range(7)))
        with pytest.raises(InputError, match="train has labels but val has none"):
            load_dataset(folder_of(tmp_path, files))
        alone = {
            name.removeprefix("val/"): content
            for name, content in files.items()
            if not name.startswith("train")
        }
        dataset = load_dataset(folder_of(tmp_path / "alone", alone))
        assert labels_of(dataset) == [None, None]
        assert any(
            "val.txt says one class of 7 of 8 images and was left aside" in note for note in dataset.notes
        )

    def test_two_classes_of_one_name(self, tmp_path: Path) -> None:
        """ImageNet has two cranes; names that are not those of all folders are left alone."""
        both = load_dataset(
            folder_of(tmp_path / "x", flat(classes__txt="a crane\nb crane\n", val__txt=self.VAL))
        )
        assert both.classes == ("crane (a)", "crane (b)")
        one = load_dataset(folder_of(tmp_path / "y", flat(classes__txt="a crane\n", val__txt=self.VAL)))
        assert one.classes == ("a", "b")

    VAL = "".join(f"{i}.png {'ab'[i % 2]}\n" for i in range(8))

    @pytest.mark.parametrize(
        "text",
        ["ImageID,LabelName,Confidence\n0,a,x\n", "ImageID,LabelName\n" + '"' + "x" * 200_000, "", "\0"],
    )
    def test_damaged_lists(self, text: str, tmp_path: Path) -> None:
        """A sentence that names the file, or that the part has no labels."""
        with pytest.raises(InputError, match=r"imagelabels\.csv|val has none"):
            load_dataset(folder_of(tmp_path, {**flat(), "val-imagelabels.csv": text.encode()}))

    def test_a_changed_list_is_noticed(self, tmp_path: Path) -> None:
        """Labels go into the fingerprint, so the file is read again each time."""
        folder_of(tmp_path, flat(val__txt=self.VAL))
        before = load_dataset(str(tmp_path)).fingerprint
        written(tmp_path / "val.txt", self.VAL.replace("7.png b", "7.png a"))
        assert load_dataset(str(tmp_path)).fingerprint != before

    def test_kinds_of_all_images_of_imagenet(self, tmp_path: Path) -> None:
        """Read as one, each image has the class of its own split."""
        splits = [SPLIT, Split("test", 255 - IMAGES, 1 - LABELS)]
        stream = open_images(folder_of(tmp_path, imagenet_files(splits)))
        assert stream.kinds is not None
        assert sorted(stream.kinds.present) == ["Siberian husky", "tench, Tinca tinca"]
        assert stream.kinds.labels.bincount().tolist() == [8, 8]


class TestWebdataset:
    """Labels in members, and shards by number."""

    def shard(self, path: Path, rows: range, members: Callable[[int], dict[str, bytes]]) -> str:
        files: dict[str, bytes] = {}
        for i in rows:
            files |= {f"{i:04d}.png": png(IMAGES[i])} | {
                f"{i:04d}.{end}": held for end, held in members(i).items()
            }
        return tar_of(path, files)

    @pytest.mark.parametrize(
        ("members", "classes"),
        [
            (lambda i: {"cls": b"%d\n" % (i % 2)}, ("0", "1")),
            (lambda i: {"cls": b"dog" if i % 2 else b"cat"}, ("cat", "dog")),
            (lambda i: {"json": json.dumps({"label": i % 2}).encode()}, ("0", "1")),
            (lambda i: {"json": json.dumps({"cls": "ab"[i % 2], "width": 8}).encode()}, ("a", "b")),
            (lambda i: {"txt": b"%d" % (i % 2)}, ("0", "1")),
            (lambda i: {"txt": b"a dog"}, ()),
            (lambda i: {"json": b"{}"}, ()),
            (lambda i: {}, ()),
        ],
    )
    def test_labels(self, members: Any, classes: tuple[str, ...], tmp_path: Path) -> None:
        dataset = load_dataset(self.shard(tmp_path / "a.tar", range(8), members))
        assert dataset.classes == classes

    def test_folders_in_a_tar(self, tmp_path: Path) -> None:
        """A tar of class folders, as of any folder."""
        files = {f"all/{'ab'[i % 2]}/{i}.png": png(IMAGES[i]) for i in range(8)}
        assert load_dataset(tar_of(tmp_path / "a.tar", files)).classes == ("a", "b")

    def test_braces_and_names(self, tmp_path: Path) -> None:
        """Shards by their numbers, with zeros before them or not; the names of classes lie beside; one that is missing
        is named, and so is a label beyond the names."""
        for k in range(2):
            self.shard(tmp_path / f"s-00{k}.tar", range(4 * k, 4 * k + 4), lambda i: {"cls": b"%d" % (i % 2)})
        written(tmp_path / "classnames.txt", "cat\ndog\nbird\n")
        dataset = load_dataset(f"{tmp_path}/s-{{000..001}}.tar")
        assert dataset.classes == ("cat", "dog", "bird")
        assert len(dataset.train) + len(dataset.held_out) == 8
        assert load_dataset(str(tmp_path)).fingerprint == dataset.fingerprint
        assert open_images(f"webdataset:{tmp_path}/s-00{{0..0}}.tar").n == 4
        for spec, said in (
            ("s-{000..002}.tar", r"s-002.tar is not there \(1 of 3 shards are missing\)"),
            ("s-{001..000}.tar", "stands for 0 files"),
            ("s-{000000000..999999999}.tar", "stands for 1,000,000,000 files"),
        ):
            with pytest.raises(InputError, match=said):
                load_dataset(f"{tmp_path}/{spec}")
        written(tmp_path / "classnames.txt", "cat\n")
        with pytest.raises(InputError, match="names 1 classes, but a label is 1"):
            load_dataset(str(tmp_path))
