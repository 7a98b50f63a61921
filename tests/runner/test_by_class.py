"""Metrics by class in an evaluation: where both sides say of which class their images are, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor

import benchbench
from benchbench.core.errors import InputError
from benchbench.data.pipeline.kinds import Kinds, in_classes_of
from benchbench.data.pipeline.streams import open_images
from benchbench.features.extract import extract
from benchbench.features.networks.efficientnet_lite0 import EfficientNetLite0
from benchbench.metrics.sets.class_wise import diversity_by_class, frechet_distance_by_class

LITE = "efficientnet_lite0"
OF_CLASSES = {f"intra_fd_{LITE}", f"intra_diversity_{LITE}"}
NAMES = ("cat", "dog")


def pictures(n: int, seed: int) -> Tensor:
    """Seeded uint8 n×3×16×16: noise around a colour of each image's own."""
    rng = np.random.default_rng(seed)
    noisy = rng.integers(0, 256, (n, 3, 1, 1)) + rng.integers(-40, 41, (n, 3, 16, 16))
    return torch.from_numpy(noisy.clip(0, 255).astype(np.uint8))


SAMPLES, REAL = pictures(8, 1), pictures(12, 2)


def folders(root: Path, images: Tensor, names: Any = NAMES, below: str = "") -> str:
    """Images in class folders, which take turns."""
    for i, image in enumerate(images):
        file = root / below / names[i % len(names)] / f"{i:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file)
    return str(root)


def npz(path: Path, images: Tensor, labels: Any) -> str:
    np.savez(path, arr_0=images.permute(0, 2, 3, 1).numpy(), labels=np.asarray(labels))
    return str(path)


def scored(
    images: Any, reference: Any, metrics: Any = "intra_fd,intra_diversity", **options: Any
) -> pd.DataFrame:
    return benchbench.evaluate(images, reference, metrics, device="cpu", **options).set_index("metric")


@pytest.mark.costly
def test_numbers_are_those_of_the_pure_functions(tmp_path: Path) -> None:
    """The mean over classes of the public functions on features extracted beforehand, with labels that are known by
    construction, whatever says the classes: folders on both sides, splits, arrays. The same network on other batches:
    1e-4."""
    judge = EfficientNetLite0("cpu")
    x, y = (
        extract(images, judge, need_features=True, need_logits=False).features for images in (SAMPLES, REAL)
    )
    assert x is not None
    assert y is not None
    a, b = torch.arange(8) % 2, torch.arange(12) % 2
    expected = {
        f"intra_fd_{LITE}": np.mean([*frechet_distance_by_class(x, a, y, b).values()]),
        f"intra_diversity_{LITE}": np.mean([*diversity_by_class(x, a, y, b).values()]),
    }
    ours = folders(tmp_path / "ours", SAMPLES)
    theirs = folders(tmp_path / "theirs", REAL, below="train")
    folders(tmp_path / "theirs", REAL, below="test")
    for images, reference in (
        (ours, f"{theirs}:train"),
        (npz(tmp_path / "ours.npz", SAMPLES, a), npz(tmp_path / "theirs.npz", REAL, b)),
        (npz(tmp_path / "ours.npz", SAMPLES, a), f"{theirs}:train"),
    ):
        rows = scored(images, reference)
        assert (rows["status"] == "ok").all()
        assert rows["value"].astype(float).to_dict() == pytest.approx(expected, rel=1e-4)


@pytest.mark.costly
def test_the_standard_set_has_them_where_both_sides_have_classes(tmp_path: Path) -> None:
    """They come without being named; without classes on a side there is neither a row nor a note; named, they say what
    is missing; where classes differ, or one is too small, a note of the run says so and no row fails."""
    ours, theirs = folders(tmp_path / "ours", SAMPLES), folders(tmp_path / "theirs", REAL)
    assert {*scored(ours, theirs, "standard").index} >= OF_CLASSES
    assert not OF_CLASSES & {*scored(SAMPLES, theirs, "standard").index}
    rows = scored(SAMPLES, theirs)
    assert {*rows.index} == OF_CLASSES
    assert (rows["status"] == "failed").all()
    assert rows["reason"].str.contains("images does not say").all()
    birds = folders(tmp_path / "birds", SAMPLES, ("cat", "bird"))
    assert not OF_CLASSES & {*scored(birds, theirs, "standard").index}
    assert scored(birds, theirs)["reason"].str.contains("images of class bird have no like").all()
    asked = folders(tmp_path / "damaged", SAMPLES)
    (tmp_path / "damaged" / "dataset.json").write_text('{"labels": [[')
    rows = scored(asked, theirs)
    assert rows["reason"].str.contains("cannot read the labels in dataset.json of .*; make it again").all()
    assert not OF_CLASSES & {*scored(asked, theirs, "standard").index}
    (tmp_path / "damaged" / "dataset.json").write_text('{"labels": [["nowhere.png", 1]]}')
    assert scored(asked, theirs)["reason"].str.contains("has no label for cat/000.png").all()
    few = folders(tmp_path / "few", SAMPLES[:3])
    assert scored(few, theirs)["reason"].str.contains("fewer than 2 images of dog").all()


@pytest.mark.costly
def test_other_classes_are_another_record(tmp_path: Path) -> None:
    """The same pixels with labels exchanged are scored anew where labels matter, and answered by the record where they
    do not; which number was meant for which class is said."""
    theirs = folders(tmp_path / "theirs", REAL)
    out = tmp_path / "runs"
    values = []
    for labels in ([0, 1] * 4, [1, 0] * 4, [0, 1] * 4):
        rows = scored(npz(tmp_path / "ours.npz", SAMPLES, labels), theirs, "fd,intra_fd", out=out)
        values.append(float(rows.loc[f"intra_fd_{LITE}", "value"]))
    assert values[0] == values[2] != values[1]
    assert len([*out.glob("**/run.json")]) == 2
    assert any("were taken for cat, dog" in file.read_text() for file in out.glob("**/run.json"))


def test_conditional_accuracy_of_folders(tmp_path: Path) -> None:
    """Class folders of samples are what they were asked to be, in the reference's numbers, where somebody asks."""
    stream = open_images("digits:train")
    assert stream.kinds is not None
    images = next(stream.batches(40))
    names = [stream.kinds.names[label] for label in stream.kinds.labels[:40].tolist()]
    for i, (image, name) in enumerate(zip(images, names, strict=True)):
        file = tmp_path / "ours" / name / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file)
    rows = scored(str(tmp_path / "ours"), "digits", "conditional_accuracy")
    assert float(rows["value"].iloc[0]) > 0.9


def test_classes_of_two_sets() -> None:
    """By name, or by number where one side has no names; what has no like is named."""
    theirs = Kinds(["a", "b", "c"], torch.tensor([0, 1, 2]))
    assert in_classes_of(Kinds(["c", "a"], torch.tensor([0, 1, 1])), theirs)[0].tolist() == [2, 0, 0]
    numbers = Kinds(["0", "2"], torch.tensor([1, 0]))
    assert in_classes_of(numbers, theirs)[0].tolist() == [2, 0]
    unused = Kinds(["a", "z"], torch.tensor([0, 0]))
    assert in_classes_of(unused, theirs)[0].tolist() == [0, 0]
    for names in (["3"], ["a", "1"], ["-1"], ["²"]):
        with pytest.raises(InputError, match="have no like: the classes are a, b, c"):
            in_classes_of(Kinds(names, torch.arange(len(names))), theirs)


def test_what_a_number_means_does_not_follow_from_what_was_drawn() -> None:
    """Classes that are called 1, 2 and 3: a number is the class of that name, whichever others are there, and 0 is none
    of them. Before, 1 was class "2" beside a 0 and class "1" without."""
    theirs = Kinds(["1", "2", "3"], torch.tensor([0, 1, 2]))
    three = Kinds(["0", "1", "2"], torch.tensor([1, 2]))
    labels, notes = in_classes_of(three, theirs)
    assert (labels.tolist(), notes) == ([0, 1], [])
    with pytest.raises(InputError, match="images of class 0 have no like"):
        in_classes_of(Kinds(["0", "1", "2"], torch.tensor([0, 1, 2])), theirs)


def test_the_side_that_only_numbers_may_be_either() -> None:
    """Words against numbers go by order where there are as many; with more words nobody knows which is which."""
    words, numbers = Kinds(["cat", "dog"], torch.tensor([1, 0])), Kinds(["0", "1"], torch.tensor([0, 1]))
    assert in_classes_of(words, numbers)[0].tolist() == [1, 0]
    assert in_classes_of(numbers, words)[0].tolist() == [0, 1]
    with pytest.raises(InputError, match="images of class cat have no like"):
        in_classes_of(Kinds(["cat", "dog", "fox"], torch.tensor([0])), numbers)
