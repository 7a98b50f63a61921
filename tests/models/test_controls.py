"""The control rows do exactly what their names say."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.protocols import Autoencoder, Fittable, Generator, ImageSpec, Trainable
from benchbench.core.seeds import ImageRng, image_rngs
from benchbench.models.build import build_model

SPEC = ImageSpec(8, 8, False, 0)
CONTROLS = ["real", "memorizer", "collapsed", "noise"]


def numbered(n: int, offset: int) -> Tensor:
    """Image i is filled with the level offset + i, so that an image tells where it came from."""
    levels = torch.arange(offset, offset + n, dtype=torch.uint8)
    return levels.view(n, 1, 1, 1).expand(n, 3, 8, 8).contiguous()


TRAIN, HELD_OUT = numbered(30, 0), numbered(20, 100)


def fitted(name: str, spec: ImageSpec = SPEC, **hyper: int) -> Any:
    model: Any = build_model(name, hyper, spec)
    model.fit(TRAIN, HELD_OUT)
    return model


def levels(images: Tensor) -> list[int]:
    assert images.dtype == torch.uint8
    assert images.shape[1:] == (3, 8, 8)
    return [int(value) for value in images[:, 0, 0, 0]]


@pytest.mark.parametrize("name", CONTROLS)
def test_contract(name: str) -> None:
    """A control generates and fits; it has no weights, is not trained and maps nothing to codes."""
    model = fitted(name)
    assert isinstance(model, Generator)
    assert isinstance(model, Fittable)
    assert not isinstance(model, Trainable | Autoencoder)
    assert model.state_dict() == {}


@pytest.mark.parametrize("name", CONTROLS)
def test_images_do_not_depend_on_the_batch(name: str) -> None:
    """Image i is a function of (seed, i): exactly, since nothing is computed."""
    model = fitted(name)
    whole = model.sample(7, ImageRng(3, range(7)))
    assert torch.equal(whole, torch.cat([model.sample(len(rng), rng) for rng in image_rngs(3, range(7), 2)]))
    assert not torch.equal(whole, model.sample(7, ImageRng(4, range(7))))


def test_real_hands_out_each_held_out_image_once() -> None:
    """All 20 in some order; another seed has another order."""
    model = fitted("real")
    drawn = levels(model.sample(20, ImageRng(0, range(20))))
    assert sorted(drawn) == list(range(100, 120))
    assert drawn != levels(model.sample(20, ImageRng(1, range(20))))


def test_real_refuses_more_than_there_are() -> None:
    """Also when only the last batch goes too far."""
    with pytest.raises(InputError, match="real has 20 held-out images; ask for --samples 20 or fewer"):
        fitted("real").sample(3, ImageRng(0, range(18, 21)))


def test_memorizer_draws_with_replacement() -> None:
    """Only training images; 60 draws from 30 must repeat, and hit about 1 - e^-2 = 86 % of them, more than
    half."""
    drawn = set(levels(fitted("memorizer").sample(60, ImageRng(0, range(60)))))
    assert drawn <= set(range(30))
    assert len(drawn) > 15


@pytest.mark.parametrize("modes", [1, 5])
def test_collapsed_has_that_many_modes(modes: int) -> None:
    """100 draws from at most 5 images miss one with probability below 5·0.8^100 = 1e-9."""
    drawn = set(levels(fitted("collapsed", modes=modes).sample(100, ImageRng(0, range(100)))))
    assert len(drawn) == modes
    assert drawn <= set(range(30))


def test_collapsed_refuses_more_modes_than_images() -> None:
    """31 of 30."""
    with pytest.raises(InputError, match="modes=31 but there are only 30 training images"):
        fitted("collapsed", modes=31).sample(1, ImageRng(0, [0]))


def test_noise_is_uniform() -> None:
    """Mean 127.5, variance (256² - 1)/12 = 5461; 19,200 values give standard errors 0.53 and 35: five of
    each."""
    made = fitted("noise").sample(100, ImageRng(0, range(100))).double()
    assert float(made.mean()) == pytest.approx(127.5, abs=2.7)
    assert float(made.var()) == pytest.approx(5461.25, abs=176)


def test_noise_is_grey_on_grey_data() -> None:
    """R = G = B, else a metric would see at once that it is colour."""
    made = fitted("noise", ImageSpec(8, 8, True, 0)).sample(2, ImageRng(0, range(2)))
    assert torch.equal(made[:, :1].expand(-1, 3, -1, -1), made)


@pytest.mark.parametrize("name", ["real", "memorizer", "collapsed"])
def test_without_images_is_one_sentence(name: str) -> None:
    """Not fitted, or fitted on nothing."""
    model: Any = build_model(name, {}, SPEC)
    with pytest.raises(InputError, match=f"{name} has no images to hand out"):
        model.sample(1, ImageRng(0, [0]))
