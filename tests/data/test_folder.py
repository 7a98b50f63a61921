"""Folders of images: layouts, labels, order, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.data.catalogue import load_dataset
from benchbench.data.pipeline.fingerprint import fingerprint
from benchbench.data.pipeline.streams import open_images


def test_class_folders_with_a_split(write_image, tmp_path: Path) -> None:
    """Labels index the sorted class names, also of classes only one split has; order is by relative path."""
    for i, name in enumerate(["train/dog/b.PNG", "train/cat/a.png", "train/cat/deep/c.png", "val/owl/a.png"]):
        write_image(name, seed=i)
    write_image("val/cat/z.bmp", seed=9)
    dataset = load_dataset(f"folder:{tmp_path}")
    assert dataset.classes == ("cat", "dog", "owl")
    assert dataset.train.labels is not None
    assert dataset.held_out.labels is not None
    assert dataset.train.labels.tolist() == [0, 0, 1]
    assert dataset.held_out.labels.tolist() == [0, 2]
    with Image.open(tmp_path / "train/cat/a.png") as first:
        assert tuple(dataset.train.images[0, :, 0, 0].tolist()) == first.getpixel((0, 0))
    assert dataset.canonical is None
    assert dataset.source["kind"] == "folder"


def test_flat_folder_is_halved_whatever_the_files_are_called(write_image, tmp_path: Path) -> None:
    """The split depends on pixels alone: other names, and so another order, give the same halves."""
    for i in range(11):
        write_image(f"one/{i:02}.png", seed=i)
        write_image(f"two/{'xcaqzbmplok'[i]}.PNG", seed=i)
    one, two = load_dataset(f"folder:{tmp_path}/one"), load_dataset(f"folder:{tmp_path}/two")
    assert (len(one.train), len(one.held_out)) == (5, 6)
    assert one.train.labels is None
    assert one.classes == ()
    assert (one.train.fingerprint, one.held_out.fingerprint) == (
        two.train.fingerprint,
        two.held_out.fingerprint,
    )
    assert one.name == "folder-one"


def test_a_split_knows_the_fingerprint_of_its_images(write_image, tmp_path: Path) -> None:
    """Split.fingerprint is `fingerprint` of the very tensors it holds."""
    for i in range(6):
        write_image(f"{'ab'[i % 2]}/{i}.png", seed=i)
    dataset = load_dataset(f"folder:{tmp_path}")
    for split in (dataset.train, dataset.held_out):
        assert split.fingerprint == fingerprint(split.images, split.labels)
        assert split.images.dtype == torch.uint8


def test_copies_of_an_image_stay_on_one_side(write_image, tmp_path: Path) -> None:
    """Ten images, each under two names: a memorizing model must not find its training images held out."""
    for i in range(10):
        write_image(f"{i}.png", seed=i)
        write_image(f"copy-of-{i}.png", seed=i)
    dataset = load_dataset(f"folder:{tmp_path}")
    train, held_out = (
        {image.numpy().tobytes() for image in s.images} for s in (dataset.train, dataset.held_out)
    )
    assert len(train) == len(held_out) == 5
    assert not train & held_out


def test_copies_in_training_are_counted(write_image, tmp_path: Path) -> None:
    """A split of one's own is kept as it is: of three held-out images one is, under another name and in another class,
    a training image. Without it there is no note; the fingerprint is of pixels and labels, not of notes."""
    for name, seed in {"train/cat/1": 1, "train/dog/2": 2, "test/cat/3": 3, "test/dog/4": 4}.items():
        write_image(f"{name}.png", seed=seed)
    assert not [note for note in load_dataset(f"folder:{tmp_path}").notes if "pixel by pixel" in note]
    write_image("test/dog/copy.bmp", seed=1)
    dataset = load_dataset(f"folder:{tmp_path}")
    assert "1 of 3 held-out images are, pixel by pixel, in training" in dataset.notes
    assert dataset.held_out.fingerprint == fingerprint(dataset.held_out.images, dataset.held_out.labels)


def test_train_alone_is_halved(write_image, tmp_path: Path) -> None:
    """A source without a held-out part has no split of its own, and the record says so."""
    for i in range(4):
        write_image(f"train/{i}.png", seed=i)
    dataset = load_dataset(f"folder:{tmp_path}")
    assert (len(dataset.train), len(dataset.held_out)) == (2, 2)
    assert any("split in halves" in note for note in dataset.notes)
    assert (dataset.native, dataset.extractor) == (None, None)  # a user's images: nobody knows


def test_hidden_files_links_and_other_files(write_image, tmp_path: Path) -> None:
    """Hidden ones are skipped, others named; a link back up does not loop, one to an image is an image."""
    for i in range(3):
        write_image(f"own/a/{i}.png", seed=i)
    write_image("own/a/.hidden.png")
    write_image("own/.cache/x.png")
    (tmp_path / "own/a/readme.txt").write_text("hello")
    (tmp_path / "own/a/loop").symlink_to(tmp_path / "own", target_is_directory=True)
    (tmp_path / "own/a/linked.png").symlink_to(write_image("elsewhere.png", seed=7))
    dataset = load_dataset(f"folder:{tmp_path}/own")
    assert len(dataset.train) + len(dataset.held_out) == 4
    assert "1 file in own that is not an image was left aside: a/readme.txt" in dataset.notes


def test_mixed_sizes_and_the_way_out(write_image, tmp_path: Path) -> None:
    """--size brings all to one size, and the notes say how many were changed."""
    for i in range(4):
        write_image(f"{i}.png", seed=i, side=8 if i else 12)
    with pytest.raises(InputError, match=r"0\.png is 12×12 but .*1\.png is 8×8 \(3 of 4 .*--size N"):
        load_dataset(f"folder:{tmp_path}")
    dataset = load_dataset(f"folder:{tmp_path}", size=8)
    assert dataset.train.images.shape == (2, 3, 8, 8)
    assert any(note.startswith("1 of 4 images were cropped") for note in dataset.notes)


def test_splits_of_different_size(write_image, tmp_path: Path) -> None:
    """Each split is uniform, but they differ from each other."""
    for i in range(2):
        write_image(f"train/{i}.png", seed=i, side=8)
        write_image(f"test/{i}.png", seed=i, side=6)
    with pytest.raises(InputError, match=r"train images are 8×8 but held-out images are 6×6; --size N"):
        load_dataset(f"folder:{tmp_path}")


def test_unlabelled_half(write_image, tmp_path: Path) -> None:
    """Class folders in one split only."""
    for i in range(2):
        write_image(f"train/cat/{i}.png", seed=i)
        write_image(f"test/{i}.png", seed=i)
    with pytest.raises(InputError, match="train has labels but test has none"):
        load_dataset(f"folder:{tmp_path}")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([], "no images in .*; files must end in"),
        (["notes.txt"], r"no images in .* \(1 other files are\)"),
        (["a.png"], "the train split has 0 image"),
        (["a.png", "b.png"], "the train split has 1 image"),
        (["a.png", "cat/b.png"], "holds images directly .* and in folders"),
        (["test/a.png"], "has test/ but no train/"),
    ],
)
def test_refused(write_image, tmp_path: Path, files: list[str], sentence: str) -> None:
    """One clear sentence for each way to be no dataset."""
    (tmp_path / "own").mkdir()
    for i, name in enumerate(files):
        if name.endswith(".txt"):
            (tmp_path / "own" / name).write_text("x")
        else:
            write_image(f"own/{name}", seed=i)
    with pytest.raises(InputError, match=sentence):
        load_dataset(f"folder:{tmp_path}/own")


def test_not_a_folder(write_image, tmp_path: Path) -> None:
    """A file and nothing at all."""
    with pytest.raises(InputError, match="is not there"):
        load_dataset(f"folder:{tmp_path}/gone")
    with pytest.raises(InputError, match="is a file, but folder: takes a folder"):
        load_dataset(f"folder:{write_image('a.png')}")


@pytest.mark.parametrize("read", [load_dataset, open_images])
def test_a_pipe_is_refused(write_image, tmp_path: Path, read: Callable[[str], object]) -> None:
    """Whoever opens a pipe that nobody writes to waits without end, so it is refused before anything is read."""
    for i in range(4):
        write_image(f"own/{i}.png", seed=i)
    os.mkfifo(tmp_path / "own" / "5.png")
    with pytest.raises(InputError, match=r"5\.png is a pipe; give a regular file"):
        read(f"folder:{tmp_path}/own")


def test_photographs(shared_data: Path) -> None:
    """BSD68: 68 grey PNG of 321×481 and 481×321, as Martin et al. published them, so they need a size."""
    with pytest.raises(InputError, match="images differ in size"):
        load_dataset(f"folder:{shared_data}/bsd68")
    dataset = load_dataset(f"folder:{shared_data}/bsd68", size=32)
    assert (len(dataset.train), len(dataset.held_out)) == (34, 34)
    assert "68 of 68 images were grey and were copied to three channels" in dataset.notes
    assert dataset.spec.grey
