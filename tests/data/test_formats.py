"""Images in the formats that the field passes them on in: the same pixels and labels, whatever the files.

Pictures are random and stored without loss, so the fingerprint of the arrays is the oracle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from written_formats import FORMATS, Split

from benchbench.data.catalogue import load_dataset
from benchbench.data.pipeline.fingerprint import fingerprint
from benchbench.data.pipeline.streams import open_images
from benchbench.data.sources.spec import parse_spec

NAMED = {
    "webdataset": ["0", "1"],
    "hdf5": ["0", "1"],
    "mat": [str(digit) for digit in range(10)],
    "mat 7.3": [str(digit) for digit in range(10)],
    "idx": ["0", "1"],
    "stylegan folder": ["0", "1"],
    "stylegan zip": ["0", "1"],
    "imagenet": ["tench, Tinca tinca", "Siberian husky"],
    "openimages": ["Cat", "Dog, of a kind"],
}


def splits(grey: bool = False) -> list[Split]:
    """Six and four images of 32×32, as CIFAR's, of two classes that alternate."""
    made = []
    for seed, (title, n) in enumerate((("train", 6), ("test", 4))):
        images = np.random.default_rng(seed).integers(0, 256, (n, 32, 32, 3), np.uint8)
        images = images[..., :1].repeat(3, axis=3) if grey else images
        made.append(Split(title, images, np.arange(n) % 2))
    return made


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_images_in_every_format(name: str, tmp_path: Path) -> None:
    """Both splits with their labels have the fingerprints of the arrays, to a run and to an evaluation that names one;
    classes have the names that the files give them; without a split an evaluation reads all ten images."""
    write: Callable[[Path, Sequence[Split]], str] = FORMATS[name]
    own = splits(grey=name == "idx")
    spec = write(tmp_path / "made", own)
    expected = [fingerprint(s.images.transpose(0, 3, 1, 2), torch.from_numpy(s.labels)) for s in own]
    dataset = load_dataset(spec)
    assert [dataset.train.fingerprint, dataset.held_out.fingerprint] == expected
    assert list(dataset.classes) == NAMED.get(name, ["a", "b"])
    assert dataset.source["kind"] == parse_spec(spec).kind
    assert [open_images(f"{spec}:{title}").fingerprint for title in ("train", "test")] == expected
    whole = open_images(spec)
    both = fingerprint(torch.cat(list(whole.batches(4))))
    assert both == fingerprint(np.concatenate([s.images for s in own]).transpose(0, 3, 1, 2))
    assert any("splits were read together" in note for note in whole.notes)
