"""Contents and styles out of scikit-image: the right pictures, nothing held out in training, the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch

from benchbench.core.errors import InputError
from benchbench.data.builtin import photographs
from benchbench.data.catalogue import load_domains
from benchbench.data.domains import Domains
from benchbench.data.pipeline.decode import resize_images


@pytest.fixture(scope="module")
def domains() -> Domains:
    return load_domains("photographs", size=64)


def square(picture: np.ndarray) -> np.ndarray:
    """The centred square at 64×64, of H×W×3."""
    return resize_images(picture.transpose(2, 0, 1)[None], 64)[0]


@pytest.mark.costly
def test_pictures(domains: Domains) -> None:
    """scikit-image's own loaders, which read the same files; the stones are the middle half of theirs. Exact: the
    same pixels go through the same resize."""
    contents = [square(picture()) for picture in (skimage.data.astronaut, skimage.data.coffee)]
    stones = np.repeat(skimage.data.gravel()[128:384, 128:384, None], 3, 2)
    styles = [square(skimage.data.immunohistochemistry()), square(stones)]
    assert np.array_equal(domains.a.held_out.images, np.stack(contents))
    for split in (domains.b.train, domains.b.held_out):
        assert np.array_equal(split.images, np.stack(styles))


@pytest.mark.costly
def test_whole_photographs() -> None:
    """For tasks on images of any sizes: the two that are tested on as scikit-image's own loaders read them, in their
    order, and none of the five that are learned from among them; with a size their centred squares."""
    train, test = photographs.Photographs().photos()
    assert train is not None
    for row, picture in enumerate((skimage.data.astronaut(), skimage.data.coffee())):
        assert np.array_equal(test.image(row)[0], picture.transpose(2, 0, 1))
        assert test.sizes[row] == picture.shape[:2]
    assert len(train) == 5
    assert not set(train.digests) & set(test.digests)
    assert test.grey == [False, False]
    _, small = photographs.Photographs().photos(64)
    assert small.sizes == [(64, 64)] * 2
    assert np.array_equal(small.image(1)[0], square(skimage.data.coffee()))
    assert small.fingerprint != test.fingerprint


@pytest.mark.costly
def test_what_a_model_is_told(domains: Domains) -> None:
    """Two styles are two classes; in colour though the stones are grey; nothing is paired."""
    spec = domains.spec
    assert (spec.height, spec.width, spec.grey, spec.n_classes) == (64, 64, False, 2)
    assert domains.styles
    assert not domains.paired_train
    assert not domains.paired_held_out
    whole = load_domains("photographs")
    assert whole.spec.height == photographs.SIDE
    for domain in (domains.a, domains.b):  # reduced from more, never enlarged
        assert (domain.native, domain.extractor) == (64, None)


def test_training_shows_no_held_out_photograph(domains: Domains) -> None:
    """Each training crop is correlated with each held-out photograph, at 64 pixels: a crop of a photograph in itself
    would be nearly 1 (the whole picture is exactly 1), two photographs that share no subject stay far below 0.9. And
    none is one of the style pictures."""
    assert not set(photographs.TRAINING) & {*photographs.CONTENTS, *photographs.STYLES}

    def flat(images: torch.Tensor) -> torch.Tensor:
        x = images.double().flatten(1)
        return torch.nn.functional.normalize(x - x.mean(1, keepdim=True))

    shown = torch.cat([domains.a.held_out.images, domains.b.train.images])
    assert float((flat(domains.a.train.images) @ flat(shown).T).max()) < 0.9
    assert float((flat(shown) @ flat(shown).T).diagonal().min()) == pytest.approx(1)


@pytest.mark.costly
def test_crops(domains: Domains) -> None:
    """At least 200, all different, the same twice. The cat is 451×300, so the first crops are of 300 pixels, 75 or less
    apart, from end to end: at 0, 50, 101 (of 151, evenly: 50.3, 100.7) and 151."""
    assert len(domains.a.train) >= 200
    assert len({image.numpy().tobytes() for image in domains.a.train.images}) == len(domains.a.train)
    assert load_domains("photographs", size=64).fingerprint == domains.fingerprint
    cat = skimage.data.chelsea().transpose(2, 0, 1)
    expected = [resize_images(cat[None, :, :, left : left + 300], 64)[0] for left in (0, 50, 101, 151)]
    assert np.array_equal(domains.a.train.images[:4], np.stack(expected))


@pytest.mark.costly
def test_nothing_is_enlarged(monkeypatch: pytest.MonkeyPatch) -> None:
    """No square that is brought to the largest size is smaller, and the smallest is just as large: the stones, the
    middle 256 pixels of 512. Halves and three quarters of the cat (150, 225) are left out."""
    sides: list[int] = []

    def noted(images: np.ndarray, size: int) -> np.ndarray:
        sides.append(min(images.shape[2:]))
        return resize_images(images, size)

    monkeypatch.setattr(photographs, "resize_images", noted)
    large = load_domains("photographs", size=256)
    assert large.b.train.images.shape[2:] == (256, 256)
    assert len(large.a.train) < 200
    assert min(sides) == 256


@pytest.mark.parametrize("size", [16, 257])
def test_sizes_that_show_nothing(size: int) -> None:
    """Below 32 there is no style to see, above 256 the stones would be enlarged."""
    with pytest.raises(InputError, match=f"32 to 256 pixels.*256 wide.*instead of {size}"):
        load_domains("photographs", size=size)


def test_an_installation_without_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without the files, and one where a file was cut short: one sentence with the way out."""
    monkeypatch.setattr(photographs, "files", lambda package: tmp_path)
    with pytest.raises(InputError, match=r"came without its picture chelsea.png; install it from PyPI"):
        load_domains("photographs")
    (tmp_path / "chelsea.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InputError, match=r"chelsea.png .*pip install --force-reinstall scikit-image"):
        load_domains("photographs")
