"""Three digits in three channels: the right digits, of the right split, in an order of files that does not matter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.core.progress import SILENT, Progress
from benchbench.data.builtin.digits import Digits
from benchbench.data.builtin.stacked import StackedDigits, StackedMNIST
from benchbench.data.dataset import Dataset, Split
from benchbench.data.pipeline.assemble import assemble
from benchbench.data.pipeline.cache import Decoded
from benchbench.data.pipeline.fingerprint import pixel_digests


def known(split: Split) -> dict[bytes, int]:
    """The label of each picture of a grey split, by its pixels."""
    assert split.labels is not None
    return {
        image.tobytes(): int(k) for image, k in zip(split.images[:, 0].numpy(), split.labels, strict=True)
    }


def test_every_channel_is_a_digit_of_its_split() -> None:
    """Oracle: the halves of the digits. Each of 60,000 channels is, to the pixel, a digit of its own half with the
    label's figure at its place (red the hundreds), and never one of the other half. All 1,000 classes are there."""
    base, stacked = Digits().load(), StackedDigits().load()
    assert stacked.name == "stacked-digits"
    assert (len(stacked.classes), stacked.classes[7], stacked.classes[42]) == (1000, "007", "042")
    assert not stacked.spec.grey
    assert (stacked.native, stacked.extractor) == (8, "modes_stacked-digits")
    halves = (base.train, stacked.train, base.held_out), (base.held_out, stacked.held_out, base.train)
    for own, split, other in halves:
        digits, foreign = known(own), known(other)
        assert not digits.keys() & foreign.keys()
        assert split.images.shape == (10_000, 3, 32, 32)
        assert split.labels is not None
        found = [[digits[channel.tobytes()] for channel in image] for image in split.images.numpy()]
        assert torch.equal(torch.tensor(found) @ torch.tensor([100, 10, 1]), split.labels)
        assert len(split.labels.unique()) == 1000


def test_golden() -> None:
    """Frozen when the dataset was written: results on record refer to these very images."""
    dataset = StackedDigits().load(32)
    assert dataset.train.fingerprint == "552fe09e3054d4d6cc4007663bbb1cec32d129a9b0ea260be14d81edaea72bd9"
    assert dataset.held_out.fingerprint == "d9ca7019c0389c191ab227bcb47ef200fb0302e57ca362bfb2859ea09aa88171"


def test_sizes_are_the_base_datasets() -> None:
    """The digits are shown at 32×32 only, and so is what is made of them."""
    with pytest.raises(InputError, match="32×32 only"):
        StackedDigits().load(16)


class Ordered:
    """Forty grey 4×4 images of ten classes a split, in one of two orders."""

    name = "ordered"
    reference = licence = "none"
    backwards = False

    def load(self, size: int | None = None, progress: Progress = SILENT) -> Dataset:
        decoded, labels = [], []
        for split in (0, 1):
            order = np.arange(40)[:: -1 if self.backwards else 1]
            grey = np.random.default_rng(split).integers(256, size=(40, 1, 4, 4), dtype=np.uint8)[order]
            images = np.repeat(grey, 3, axis=1)
            decoded.append(Decoded(images, pixel_digests(images), {}))
            labels.append((order % 10).tolist())
        return assemble("ordered", decoded, labels, classes=list("0123456789"), source={})


def test_order_of_files_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same base images in reverse order give the same stacked images in the same places."""
    monkeypatch.setattr(StackedDigits, "base", Ordered)
    forwards = StackedDigits().load()
    monkeypatch.setattr(Ordered, "backwards", True)
    backwards = StackedDigits().load()
    assert torch.equal(forwards.train.images, backwards.train.images)
    assert torch.equal(forwards.held_out.labels, backwards.held_out.labels)


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Writes a local copy of MNIST, one split at a time: a flat picture of level 20k + 5 for each digit k."""
    monkeypatch.setenv("BENCHBENCH_DATA", str(tmp_path))

    def write(split: str) -> None:
        for k in range(10):
            folder = tmp_path / "mnist" / split / str(k)
            folder.mkdir(parents=True)
            level = 20 * k + (5 if split == "train" else 6)
            Image.fromarray(np.full((28, 28), level, np.uint8)).save(folder / "0.png")

    return write


def test_mnist(copy: Callable[[str], None]) -> None:
    """From the user's own MNIST through its own loader: 28×28, or padded by it to 32×32; each level names digit and
    split. MNIST's own notes, here that the copy is not canonical, are passed on."""
    copy("train")
    copy("test")
    for size, rim in ((None, 0), (32, 2)):
        dataset = StackedMNIST().load(size)
        assert dataset.name == "stacked-mnist"
        assert (dataset.native, dataset.extractor) == (
            28,
            "modes_stacked-mnist",
        )  # padding shows nothing more
        for split, last in ((dataset.train, 5), (dataset.held_out, 6)):
            assert split.images.shape == (10_000, 3, 28 + 2 * rim, 28 + 2 * rim)
            assert split.labels is not None
            figures = torch.stack([split.labels // 100, split.labels // 10 % 10, split.labels % 10], dim=1)
            levels = (20 * figures + last).to(torch.uint8)[:, :, None, None].expand(-1, -1, 28, 28)
            assert torch.equal(split.images, torch.nn.functional.pad(levels, [rim] * 4))
        assert any("another fingerprint than the canonical one" in note for note in dataset.notes)


def test_without_mnist(copy: Callable[[str], None]) -> None:
    """MNIST's own sentence, here about half a copy."""
    copy("train")
    with pytest.raises(InputError, match=r"mnist is incomplete: test\.parquet or test/ is missing"):
        StackedMNIST().load()
