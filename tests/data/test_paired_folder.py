"""Two domains of image files: CycleGAN's four folders, pix2pix' side-by-side pairs, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.data.catalogue import load_dataset, load_domains
from benchbench.data.pipeline.decode import decode_image
from benchbench.data.pipeline.names import partners

FOUR = ("trainA", "trainB", "testA", "testB")
Fill = Callable[..., None]


@pytest.fixture
def fill(write_image) -> Fill:
    """fill(trainA=["1.png"], side=8): random images of different seeds, two in each folder that is not named."""

    def write(side: int = 8, sides: dict[str, int] | None = None, **files: Sequence[str]) -> None:
        for k, folder in enumerate(FOUR):
            for i, name in enumerate(files.get(folder, [f"{folder}-1.png", f"{folder}-2.png"])):
                write_image(f"{folder}/{name}", seed=10 * k + i, side=(sides or {}).get(folder, side))

    return write


@pytest.fixture
def write_pair(tmp_path: Path) -> Callable[..., Path]:
    """write_pair("train/1.png", seed=1, height=8): two random pictures side by side, in `tmp_path`."""

    def write(name: str, seed: int = 0, height: int = 8, width: int | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width or 2 * height, 3), np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return write


def pixels(path: Path) -> torch.Tensor:
    """An image file by Pillow alone, 3×H×W."""
    return torch.from_numpy(np.asarray(Image.open(path)).transpose(2, 0, 1).copy())


def test_four_folders(fill: Fill, tmp_path: Path) -> None:
    """CycleGAN's layout: each folder is one split of one domain, in the order of its names."""
    fill(trainA=["1.png", "2.png", "3.png"])
    domains = load_domains(f"folder:{tmp_path}")
    assert (domains.a.name, domains.b.name) == ("A", "B")
    assert [len(s) for d in (domains.a, domains.b) for s in (d.train, d.held_out)] == [3, 2, 2, 2]
    assert not domains.paired_train
    assert not domains.paired_held_out
    assert torch.equal(domains.a.train.images[2], pixels(tmp_path / "trainA/3.png"))
    assert torch.equal(domains.b.held_out.images[0], pixels(tmp_path / "testB/testB-1.png"))
    assert domains.source["kind"] == "folder"
    assert domains.name == f"folder-{tmp_path.name}"
    assert not domains.notes


def test_val_is_held_out_too(write_image, tmp_path: Path) -> None:
    """valA/ and valB/, as `folder:PATH` takes val/."""
    for k, folder in enumerate(("trainA", "trainB", "valA", "valB")):
        for i in range(2):
            write_image(f"{folder}/{folder}{i}.png", seed=10 * k + i)
    assert len(load_domains(f"folder:{tmp_path}").b.held_out) == 2


def test_equal_names_are_pairs_in_the_order_of_a(fill: Fill, tmp_path: Path) -> None:
    """ "_A" and "_B" and the suffix do not count. By plain names the order of B would be another one: "x" < "x1" but
    "x_B" > "x1_B" ("1" is before "_"); the rows of B follow those of A."""
    fill(trainA=["x.png", "x1.png", "y_a.png"], trainB=["x1_B.bmp", "x_B.png", "y_b.png"])
    domains = load_domains(f"folder:{tmp_path}")
    assert domains.paired_train
    assert not domains.paired_held_out
    assert "train: images of the same name in both domains are pairs" in domains.notes
    for row, (name_a, name_b) in enumerate(
        [("x.png", "x_B.png"), ("x1.png", "x1_B.bmp"), ("y_a.png", "y_b.png")]
    ):
        assert torch.equal(domains.a.train.images[row], pixels(tmp_path / "trainA" / name_a))
        assert torch.equal(domains.b.train.images[row], pixels(tmp_path / "trainB" / name_b))


@pytest.mark.parametrize(("copies", "domain"), [(0, "A"), (1, "A"), (2, "B")])
def test_copies_in_training_are_counted(fill: Fill, tmp_path: Path, copies: int, domain: str) -> None:
    """Training images saved among the three held-out ones once more, as BMP, which is lossless too: so many of three,
    and nothing is left out. Without any there is no note, nor is there for what only the other domain has."""
    names = [f"{i}.bmp" for i in range(3)]
    fill(**{f"test{side}": names for side in "AB"})
    for i in range(copies):
        Image.open(tmp_path / f"train{domain}/train{domain}-{i + 1}.png").save(
            tmp_path / f"test{domain}/{i}.bmp"
        )
    other = "AB".replace(domain, "")
    shutil.copy(tmp_path / f"train{domain}/train{domain}-1.png", tmp_path / f"test{other}/0.png")
    (tmp_path / f"test{other}/0.bmp").unlink()
    domains = load_domains(f"folder:{tmp_path}")
    assert [len(d.held_out) for d in (domains.a, domains.b)] == [3, 3]
    assert [note for note in domains.notes if "pixel by pixel" in note] == [
        f"{copies} of 3 held-out images of {domain} are, pixel by pixel, in training"
    ] * (copies > 0)


def test_copied_halves_are_counted(write_pair, tmp_path: Path) -> None:
    """A pair that is in train/ and in test/: one of two on both sides."""
    for name, seed in {"train/1.png": 1, "train/2.png": 2, "test/1.png": 1, "test/3.png": 3}.items():
        write_pair(name, seed=seed)
    assert load_domains(f"pairs:{tmp_path}").notes == [
        f"1 of 2 held-out images of {name} are, pixel by pixel, in training" for name in "AB"
    ]


def test_some_partners_are_not_enough(fill: Fill, tmp_path: Path) -> None:
    """Two of three images of A have a partner among four of B: unpaired, and the note says how many."""
    fill(trainA=["1.png", "2.png", "9.png"], trainB=["1.png", "2.png", "3.png", "4.png"])
    domains = load_domains(f"folder:{tmp_path}")
    assert not domains.paired_train
    assert any("2 of 3 images of A and of 4 images of B have a partner" in note for note in domains.notes)


def test_other_names_are_the_same_data(fill: Fill, tmp_path: Path) -> None:
    """Fingerprints are of pixels: renamed pairs in another order are the same two domains."""
    fill(trainA=["1.png", "2.png"], trainB=["1.png", "2.png"])
    before = load_domains(f"folder:{tmp_path}").fingerprint
    for side in "AB":
        (tmp_path / f"train{side}/1.png").rename(tmp_path / f"train{side}/z.png")
    assert load_domains(f"folder:{tmp_path}").fingerprint == before
    (tmp_path / "trainB/z.png").rename(tmp_path / "trainB/1.png")
    (tmp_path / "trainB/2.png").rename(tmp_path / "trainB/z.png")
    (tmp_path / "trainB/1.png").rename(tmp_path / "trainB/2.png")
    assert load_domains(f"folder:{tmp_path}").fingerprint != before


@settings(max_examples=50, deadline=None)
@given(a=st.lists(st.sampled_from("abcdefg")), b=st.lists(st.sampled_from("abcdefg")))
def test_partners(a: list[str], b: list[str]) -> None:
    """By the definition, in quadratic time: equal names, and no other of the name on either side."""
    assert partners(a, b).rows == [
        (i, j)
        for i in range(len(a))
        for j in range(len(b))
        if a[i] == b[j] and a.count(a[i]) == 1 and b.count(b[j]) == 1
    ]


def test_side_by_side(write_pair, tmp_path: Path) -> None:
    """pix2pix' layout: the left half is A, the right half B, and rows are pairs."""
    for i in range(3):
        write_pair(f"train/{i}.png", seed=i)
        write_pair(f"val/{i}.png", seed=10 + i)
    domains = load_domains(f"pairs:{tmp_path}")
    assert domains.paired_train
    assert domains.paired_held_out
    for split, folder in (("train", "train"), ("held_out", "val")):
        for i in range(3):
            whole = pixels(tmp_path / folder / f"{i}.png")
            assert torch.equal(getattr(domains.a, split).images[i], whole[:, :, :8])
            assert torch.equal(getattr(domains.b, split).images[i], whole[:, :, 8:])
    assert domains.source["kind"] == "pairs"
    assert domains.name == f"pairs-{tmp_path.name}"
    again = load_domains(f"pairs:{tmp_path}")  # out of the decode cache, where each half has its own entry
    assert again.fingerprint == domains.fingerprint


def test_halves_are_cut_before_they_are_resized(write_pair, tmp_path: Path) -> None:
    """Sizes that differ, with --size: each half is what the rule for files makes of a file of that half alone."""
    heights = {"train/0.png": 8, "train/1.png": 12, "test/0.png": 6, "test/1.png": 4}
    for seed, (name, height) in enumerate(heights.items()):
        write_pair(name, seed=seed, height=height)
    domains = load_domains(f"pairs:{tmp_path}", size=4)
    for i in range(2):
        image = Image.open(tmp_path / f"train/{i}.png")
        for k, domain in enumerate((domains.a, domains.b)):
            half = tmp_path / "half.png"
            image.crop((k * image.height, 0, (k + 1) * image.height, image.height)).save(half)
            expected, _ = decode_image(half, 4)
            assert np.array_equal(domain.train.images[i].numpy(), expected.transpose(2, 0, 1))
    assert any(note.startswith("6 of 8 images were cropped") for note in domains.notes)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"testB": []}, r"lacks testB/; two domains are four folders"),
        ({"testA": [], "testB": []}, r"lacks testA/ and testB/"),
        ({"trainB": []}, r"lacks trainB/"),
        ({"trainA": []}, r"lacks trainA/"),
        ({"trainB": ["1.png"]}, r"the B train split has 1 image\(s\), too few"),
        ({"testA": ["1.png"]}, r"the A held-out split has 1 image\(s\), too few"),
        ({"trainA": ["1.png", "cat/2.png"]}, r"trainA holds images directly .* and in folders"),
    ],
)
def test_refused(fill: Fill, tmp_path: Path, files: dict[str, list[str]], sentence: str) -> None:
    """One clear sentence for each way to be no two domains; a folder without a name here is not made."""
    fill(**files)
    with pytest.raises(InputError, match=sentence) as error:
        load_domains(f"folder:{tmp_path}")
    assert "\n" not in str(error.value)


def test_empty_folder(fill: Fill, tmp_path: Path) -> None:
    """testB/ is there, but there is nothing in it, or no image."""
    fill(testB=[])
    (tmp_path / "testB").mkdir()
    with pytest.raises(InputError, match=r"no images in .*testB; files must end in"):
        load_domains(f"folder:{tmp_path}")
    (tmp_path / "testB/notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"no images in .*testB \(1 other files are\)"):
        load_domains(f"folder:{tmp_path}")


@pytest.mark.parametrize("folder", ["trainB", "testA", "testB"])
def test_sizes_that_differ(folder: str, fill: Fill, tmp_path: Path) -> None:
    """Both sizes and the way out; with --size all are of that size."""
    fill(sides={folder: 6})
    with pytest.raises(
        InputError, match=rf"train images of A are 8×8 but .* of {folder[-1]} are 6×6; --size N"
    ):
        load_domains(f"folder:{tmp_path}")
    domains = load_domains(f"folder:{tmp_path}", size=5)
    assert domains.b.held_out.images.shape == (2, 3, 5, 5)


def test_unreadable_files(fill: Fill, write_pair, tmp_path: Path) -> None:
    """A truncated and an empty file, by their names, in both layouts."""
    fill()
    whole = (tmp_path / "testB/testB-2.png").read_bytes()
    (tmp_path / "testB/testB-2.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"testB-2\.png cannot be decoded"):
        load_domains(f"folder:{tmp_path}")
    for i in range(2):
        write_pair(f"side/train/{i}.png", seed=i)
        write_pair(f"side/test/{i}.png", seed=5 + i)
    (tmp_path / "side/test/1.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"test/1\.png is empty"):
        load_domains(f"pairs:{tmp_path}/side")


def test_pairs_that_are_none(write_pair, tmp_path: Path) -> None:
    """The file that is not twice as wide as high is named, with its size; --size does not help it."""
    for i in range(3):
        write_pair(f"train/{i}.png", seed=i)
        write_pair(f"test/{i}.png", seed=5 + i, width=16 if i != 1 else 15)
    for size in (None, 4):
        with pytest.raises(
            InputError, match=r"test/1\.png is 15×8, but a side-by-side pair is twice as wide"
        ):
            load_domains(f"pairs:{tmp_path}", size=size)


def test_pairs_of_different_sizes(write_pair, tmp_path: Path) -> None:
    """Within a split, and from split to split."""
    for i in range(2):
        write_pair(f"one/train/{i}.png", seed=i, height=8 - 2 * i)
        write_pair(f"one/test/{i}.png", seed=5 + i)
        write_pair(f"two/train/{i}.png", seed=i)
        write_pair(f"two/test/{i}.png", seed=5 + i, height=6)
    with pytest.raises(InputError, match=r"0\.png is 8×8 but .*1\.png is 6×6 .*--size N"):
        load_domains(f"pairs:{tmp_path}/one")
    with pytest.raises(
        InputError, match=r"train images of A are 8×8 but held-out images of A are 6×6; --size N"
    ):
        load_domains(f"pairs:{tmp_path}/two")


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (
            ["train/1.png", "train/2.png"],
            r"lacks test/; side-by-side pairs are in train/ and test/ \(or val/\)",
        ),
        (["test/1.png", "test/2.png"], "lacks train/"),
        (["1.png", "2.png"], "lacks train/ and test/"),
        (["train/1.png", "test/1.png", "test/2.png"], r"the A train split has 1 image\(s\), too few"),
    ],
)
def test_no_pairs_folder(write_pair, tmp_path: Path, names: list[str], sentence: str) -> None:
    """Side-by-side pairs are not halved by us."""
    for i, name in enumerate(names):
        write_pair(name, seed=i)
    with pytest.raises(InputError, match=sentence):
        load_domains(f"pairs:{tmp_path}")


def test_paths_that_are_no_folders(write_image, tmp_path: Path) -> None:
    """Nothing at all, a file, no path."""
    with pytest.raises(InputError, match=r"gone is not there"):
        load_domains(f"pairs:{tmp_path}/gone")
    with pytest.raises(InputError, match="is a file, but pairs: takes a folder"):
        load_domains(f"pairs:{write_image('a.png')}")
    with pytest.raises(InputError, match="is a file, but folder: takes a folder"):
        load_domains(f"folder:{write_image('a.png')}")
    with pytest.raises(InputError, match="lacks the path; write pairs:PATH"):
        load_domains("pairs:")


def test_an_ordinary_folder_stays_one(write_pair, tmp_path: Path) -> None:
    """`folder:` of side-by-side pairs is one dataset of wide images, as before; asked for two domains, it says so."""
    for i in range(2):
        write_pair(f"train/{i}.png", seed=i)
        write_pair(f"test/{i}.png", seed=5 + i)
    assert load_dataset(f"folder:{tmp_path}").train.images.shape == (2, 3, 8, 16)
    with pytest.raises(InputError, match=r"has one domain of images.*pairs:PATH"):
        load_domains(f"folder:{tmp_path}")
