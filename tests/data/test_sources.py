"""What a user may write for images: the same to `run` (`load_dataset`) and to `evaluate` (`open_images`).

The pictures are random and written without loss, so the fingerprint of their pixels is the oracle: whatever the files,
it is the same.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.data.catalogue import FILES, load_dataset, load_domains
from benchbench.data.dataset import Dataset
from benchbench.data.pipeline.fingerprint import fingerprint
from benchbench.data.pipeline.streams import ImageStream, open_images
from benchbench.data.sources import archives
from benchbench.data.sources.options import SourceOptions
from benchbench.data.sources.spec import FOLDERS, SourceSpec, parse_spec
from benchbench.runner.sources import open_reference

Pictures = NDArray[np.uint8]
N_TRAIN, N_TEST = 6, 4


def pictures(n: int, seed: int = 0, side: int = 8) -> Pictures:
    """Seeded uint8 n×side×side×3."""
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), np.uint8)


TRAIN, TEST = pictures(N_TRAIN, 1), pictures(N_TEST, 2)
LABELS = np.arange(N_TRAIN) % 2, np.arange(N_TEST) % 2


def png(image: Pictures) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def members(classes: bool = True) -> dict[str, bytes]:
    """Both splits by the names of files, with spaces and accents; classes "a" and "b"."""
    found = {}
    for title, images, labels in (("train", TRAIN, LABELS[0]), ("test", TEST, LABELS[1])):
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            found[f"{title}/{'ab'[label] + '/' if classes else ''}Bild {i} ä.png"] = png(image)
    return found


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def write_npz(path: Path, images: str = "x_{}", labels: str = "y_{}", column: bool = False) -> Path:
    arrays: dict[str, NDArray[np.integer]] = {images.format("train"): TRAIN, images.format("test"): TEST}
    for title, values in zip(("train", "test"), LABELS, strict=True):
        arrays[labels.format(title)] = values[:, None] if column else values
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def write_parquet(path: Path) -> Path:
    path.mkdir()
    for title, images, labels in (("train", TRAIN, LABELS[0]), ("test", TEST, LABELS[1])):
        rows = [{"bytes": png(image), "path": None} for image in images]
        pd.DataFrame({"image": rows, "label": labels}).to_parquet(path / f"{title}.parquet")
    return path


SPLIT: dict[str, Callable[[Path], str]] = {
    "folder": lambda folder: f"folder:{write_folder(folder / 'made', members())}",
    "bare folder": lambda folder: str(write_folder(folder / "made", members())),
    "zip": lambda folder: f"zip:{write_zip(folder / 'made', members())}",
    "bare zip": lambda folder: str(write_zip(folder / "made.ZIP", members())),
    "zip with a folder around all": lambda folder: str(
        write_zip(folder / "made.zip", {f"around/all of it/{name}": c for name, c in members().items()})
    ),
    "npz as Keras": lambda folder: str(write_npz(folder / "made.npz")),
    "npz as MedMNIST": lambda folder: (
        f"npz:{write_npz(folder / 'made.npz', '{}_images', '{}_labels', column=True)}"
    ),
    "parquet": lambda folder: f"parquet:{write_parquet(folder / 'made')}",
}


def read(stream: ImageStream) -> torch.Tensor:
    return torch.cat(list(stream.batches(4)))


def n_and_fingerprint(dataset: Dataset) -> list[object]:
    return [(len(split), split.fingerprint) for split in (dataset.train, dataset.held_out)]


@pytest.mark.parametrize("write", SPLIT.values(), ids=SPLIT)
def test_one_dataset_whatever_its_files(tmp_path: Path, write: Callable[[Path], str]) -> None:
    """Both splits with their labels have the fingerprints of the arrays, to a run and, named, to an evaluation; without
    a split an evaluation reads all ten images, and says so. The name is that of the kind and the path."""
    spec = write(tmp_path)
    expected = [
        fingerprint(images.transpose(0, 3, 1, 2), torch.from_numpy(labels))
        for images, labels in zip((TRAIN, TEST), LABELS, strict=True)
    ]
    dataset = load_dataset(spec)
    assert n_and_fingerprint(dataset) == list(zip((N_TRAIN, N_TEST), expected, strict=True))
    kind = parse_spec(spec).kind
    assert dataset.name == f"{kind}-made"
    assert dataset.source["kind"] == kind
    assert len(dataset.classes) == 2
    assert [open_images(f"{spec}:{title}").fingerprint for title in ("train", "test")] == expected
    whole = open_images(spec)
    assert (whole.name, whole.n) == (f"{kind}-made", N_TRAIN + N_TEST)
    assert any("splits were read together" in note for note in whole.notes)
    assert fingerprint(read(whole)) == fingerprint(np.concatenate([TRAIN, TEST]).transpose(0, 3, 1, 2))
    of_run = open_reference(f"{spec}:train")
    assert (of_run.name, of_run.fingerprint) == (dataset.name, dataset.fingerprint)


def test_halves_do_not_depend_on_the_files(tmp_path: Path) -> None:
    """Without a split of their own, folder, zip, npz and npy are cut in the same halves: by pixels alone."""
    flat = {f"{i}.png": png(image) for i, image in enumerate(TRAIN)}
    np.savez(tmp_path / "a.npz", TRAIN)
    np.save(tmp_path / "a.npy", TRAIN)
    write_folder(tmp_path / "a", flat)
    write_zip(tmp_path / "a.zip", {f"x/{name}": content for name, content in flat.items()})
    found = [
        n_and_fingerprint(load_dataset(str(tmp_path / name))) for name in ("a", "a.zip", "a.npz", "a.npy")
    ]
    assert all(halves == found[0] for halves in found)
    assert found[0][0] == (3, found[0][0][1])  # type: ignore[index]


def test_sizes(tmp_path: Path) -> None:
    """--size brings an array to the size that files of the same pixels have then; splits that differ need it."""
    np.savez(tmp_path / "a.npz", TRAIN)
    write_folder(tmp_path / "a", {f"{i}.png": png(image) for i, image in enumerate(TRAIN)})
    for _ in range(2):  # the second is answered from the cache
        of_array, of_files = (load_dataset(str(tmp_path / name), size=5) for name in ("a.npz", "a"))
        assert n_and_fingerprint(of_array) == n_and_fingerprint(of_files)
        assert any("resized" in note for note in of_array.notes)
    np.savez(tmp_path / "b.npz", x_train=TRAIN, x_test=pictures(4, 3, 9))
    with pytest.raises(InputError, match="train images are 8×8 but held-out images are 9×9; --size N"):
        load_dataset(str(tmp_path / "b.npz"))
    with pytest.raises(InputError, match=r"x_train in .* is 8×8 but x_test in .* is 9×9; --size N"):
        open_images(str(tmp_path / "b.npz")).scan()
    assert load_dataset(str(tmp_path / "b.npz"), size=8).held_out.images.shape == (4, 3, 8, 8)


def test_one_domain_of_pairs(tmp_path: Path) -> None:
    """trainA is the left halves, testB the right ones, in the order of names; and so is a domain of four folders."""
    sides = {"A": (TRAIN, TEST), "B": (pictures(N_TRAIN, 3), pictures(N_TEST, 4))}
    for k, split in enumerate(("train", "test")):
        for i in range((N_TRAIN, N_TEST)[k]):
            both = np.concatenate([sides["A"][k][i], sides["B"][k][i]], axis=1)
            write_folder(tmp_path / "side", {f"{split}/{i}.png": png(both)})
            for side in "AB":
                write_folder(tmp_path / "two", {f"{split}{side}/{i}.png": png(sides[side][k][i])})
    for spec in (f"pairs:{tmp_path}/side", str(tmp_path / "two")):
        for k, split in enumerate(("train", "test")):
            for side in "AB":
                found = read(open_images(f"{spec}:{split}{side}"))
                assert torch.equal(found, torch.from_numpy(sides[side][k]).permute(0, 3, 1, 2))
        assert open_images(f"{spec}:test").n == 2 * N_TEST
    assert open_reference(f"pairs:{tmp_path}/side:trainB").name == "pairs-side-B"
    with pytest.raises(InputError, match="has one domain of images, two are needed"):
        open_images("digits:testA")


class TestSpec:
    """What is taken for what."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("grid25", ("dataset", "grid25", None, "")),
            ("dataset:digits", ("dataset", "digits", None, "")),
            ("dataset:digits:test", ("dataset", "digits", "held_out", "")),
            ("./digits", ("folder", "./digits", None, "")),
            ("folder:digits", ("folder", "digits", None, "")),
            ("folder:digits:train", ("folder", "digits", "train", "")),
            ("some folder", ("folder", "some folder", None, "")),
            ("some folder:testB", ("folder", "some folder", "held_out", "B")),
            ("a:train", ("folder", "a:train", None, "")),
            ("folder:a:train", ("folder", "a:train", None, "")),
            ("folder:a:train:test", ("folder", "a:train", "held_out", "")),
            ("x.zip", ("zip", "x.zip", None, "")),
            ("npz:x.zip", ("npz", "x.zip", None, "")),
            ("zip:gone.zip:test", ("zip", "gone.zip", "held_out", "")),
        ],
    )
    def test_parsed(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        text: str,
        expected: tuple[str, str, str | None, str],
    ) -> None:
        """A dataset by its name, and by its prefix where a folder has that name; what has the whole name, with its
        colon, goes before a split."""
        monkeypatch.chdir(tmp_path)
        for name in ("digits", "some folder", "a", "a:train"):
            (tmp_path / name).mkdir()
        (tmp_path / "x.zip").write_bytes(b"?")
        assert parse_spec(text) == SourceSpec(text, *expected)

    def test_a_kind_that_is_given(self, tmp_path: Path) -> None:
        """--kind says what a name does not; beside a prefix it may only repeat it."""
        np.save(tmp_path / "a.npy", TRAIN)
        path = (tmp_path / "a.npy").rename(tmp_path / "a.dat")
        assert open_images(str(path), SourceOptions(kind="npy")).n == N_TRAIN
        assert open_images(f"npy:{path}", SourceOptions(kind="npy")).n == N_TRAIN
        with pytest.raises(InputError, match="is not there"):
            open_images(f"npy:{path}", SourceOptions(kind="npz"))


def refusal(read_it: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        read_it()
    return str(caught.value)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("gone", "unknown dataset 'gone'.*nor is there a file or folder of that name"),
        ("digitz", "did you mean 'digits'"),
        ("", "unknown dataset ''"),
        ("gone.npz", "gone.npz is not there"),
        ("zip:gone.zip", "gone.zip is not there"),
        ("zip:", "lacks the path; write zip:PATH"),
        ("empty", "no images in empty; files must end in"),
        ("tables", "no images in tables .*for its parquet files write parquet:tables"),
        ("zip:empty", "empty is a folder, but zip: takes a file"),
        ("folder:one.png", "one.png is a file, but folder: takes a folder"),
        ("one.png", "is a single image; give the folder it is in"),
        ("notes.xyz", "is no source of images"),
        ("gen.ts", "may be a generator"),
        ("empty.zip", "is an empty archive"),
        ("cut.zip", "cannot read cut.zip: .*truncated"),
        ("bomb.zip", "as zip bombs do"),
        ("pipe.npz", "is a pipe"),
        ("nan.npz", "holds NaN"),
        ("floats.npz", r"seems to be in \[0, 1\]: multiply by 255"),
        ("objects.npy", "holds pickled objects"),
        ("unknown.npz", "it holds u, v; save the images under .* x_train and x_test"),
        ("digits:tset", "unknown split of digits 'tset'; did you mean 'test'"),
        ("folder:made:tset", "unknown split of made 'tset'"),
    ],
)
def test_the_same_words_on_both_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, sentence: str
) -> None:
    """What cannot be used is refused by `run` and by `evaluate` in one sentence, the same."""
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "made"):
        (tmp_path / name).mkdir()
    for name in ("notes.xyz", "gen.ts"):
        Path(name).write_bytes(b"?")
    Path("one.png").write_bytes(png(TRAIN[0]))
    write_parquet(tmp_path / "tables")
    write_zip(tmp_path / "empty.zip", {})
    Path("cut.zip").write_bytes(write_zip(tmp_path / "whole.zip", members()).read_bytes()[:500])
    with zipfile.ZipFile("bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", b"\0" * 2**20)
    monkeypatch.setattr(archives, "BOMB_FLOOR", 2**18)
    os.mkfifo("pipe.npz")
    np.savez("nan.npz", np.full((4, 8, 8, 3), np.nan))
    np.savez("floats.npz", np.linspace(0, 1, 4 * 8 * 8 * 3).reshape(4, 8, 8, 3))
    np.save("objects.npy", np.array([1, "a"], object))
    np.savez("unknown.npz", u=TRAIN, v=TRAIN)
    said = refusal(lambda: load_dataset(spec))
    assert said == refusal(lambda: open_images(spec))
    with pytest.raises(InputError, match=sentence):
        load_domains(spec)


@pytest.mark.parametrize("spec", ["digits:train", "made:test", "folder:made:test"])
def test_a_run_takes_both_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str) -> None:
    """The sentence says what to write."""
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "made", members())
    whole = spec.rpartition(":")[0]
    with pytest.raises(
        InputError, match=f"{spec} is one split of a dataset, and a run needs both: write {whole}$"
    ):
        load_dataset(spec)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (
            ["train/a.png", "trainA/a.png"],
            r"holds two domains \(trainA/\), .* unpack it and write folder:PATH",
        ),
        (["x/val/a.png", "x/b.png"], "has val/ but no train/"),
        (["a.png", "cat/b.png"], r"holds images directly \(a.png\) and in folders \(cat/b.png\)"),
        (
            ["train/a.png", "train/b.png", "test/cat/a.png", "test/cat/b.png"],
            "test has labels but train has none",
        ),
        (["a.png"], "the train split has 0 image"),
    ],
)
def test_archives_that_are_no_dataset(tmp_path: Path, files: list[str], sentence: str) -> None:
    """As of folders; an archive of two domains would pass for one of four classes."""
    write_zip(tmp_path / "a.zip", {name: png(pictures(1, i)[0]) for i, name in enumerate(files)})
    with pytest.raises(InputError, match=sentence):
        load_dataset(str(tmp_path / "a.zip"))


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"x_test": TEST, "y_test": LABELS[1]}, "has held-out images but none to train on; add x_train"),
        (
            {"x_train": TRAIN, "y_train": LABELS[0], "x_test": TEST},
            "train has labels but test has none; give labels to both or to neither",
        ),
    ],
)
def test_arrays_that_are_no_dataset(tmp_path: Path, arrays: dict[str, Pictures], sentence: str) -> None:
    """An evaluation may still take what there is."""
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=sentence):
        load_dataset(str(tmp_path / "a.npz"))
    assert open_images(str(tmp_path / "a.npz")).n == sum(len(arrays[key]) for key in arrays if key[0] == "x")


def test_every_kind_of_files_says_what_it_is(tmp_path: Path) -> None:
    """The prefix is the kind that records state."""
    for kind, opened in FILES.items():
        path = tmp_path / kind
        path.mkdir() if kind in FOLDERS else path.write_bytes(b"?")
        assert opened(parse_spec(f"{kind}:{path}"), SourceOptions()).kind == kind
