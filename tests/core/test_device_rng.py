"""Random numbers drawn where images are made: the published generator, and nothing but (seed, image, draw) decides."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from benchbench.core.device_rng import DeviceRng, philox
from benchbench.core.seeds import ImageRng

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_known_answers(counter: tuple[int, ...], key: tuple[int, int], words: tuple[int, ...]) -> None:
    """The vectors that the authors publish for philox4x32-10 (Random123, `kat_vectors`)."""
    found = philox([torch.tensor([word]) for word in counter], key)
    assert tuple(int(word) for word in found) == words


def test_an_image_has_its_own_numbers() -> None:
    """Whatever the batch and its order; another draw, image or seed has others, large ones too."""
    whole = DeviceRng(3, range(6))
    first, second = whole.normal(2, 5), whole.uniform(7)
    part = DeviceRng(3, [4, 1])
    assert torch.equal(part.normal(2, 5), first[[4, 1]])
    assert torch.equal(part.uniform(7), second[[4, 1]])
    draws = [DeviceRng(seed, [i]).normal(9) for seed in (0, 1, 2**32) for i in (0, 1, 2**32, 2**33)]
    again = DeviceRng(0, [0])
    again.normal(9)
    draws.append(again.normal(9))
    assert len({tuple(draw.flatten().tolist()) for draw in draws}) == len(draws)


def test_distributions() -> None:
    """Kolmogorov's test of 200,000 numbers against the normal and the uniform law, and the correlation of neighbours
    (in place, in image, in draw): p above 1e-3 for this seed, which is fixed."""
    rng = DeviceRng(7, range(20))
    normal, uniform = rng.normal(10_000), rng.uniform(10_000)
    assert stats.kstest(normal.flatten().numpy(), "norm").pvalue > 1e-3
    assert stats.kstest(uniform.flatten().numpy(), "uniform").pvalue > 1e-3
    for a, b in ((normal[:, :-1], normal[:, 1:]), (normal[:-1], normal[1:]), (normal, rng.normal(10_000))):
        assert stats.pearsonr(a.flatten().numpy(), b.flatten().numpy()).pvalue > 1e-3
    assert 0 <= float(uniform.min()) < float(uniform.max()) < 1


def test_an_image_rng_hands_it_out() -> None:
    """`ImageRng.on_device` has its seed, images and device, and moves none of its draws."""
    rng, untouched = ImageRng(5, [2, 9]), ImageRng(5, [2, 9])
    assert torch.equal(rng.on_device().normal(4), DeviceRng(5, [2, 9]).normal(4))
    assert torch.equal(rng.normal(4), untouched.normal(4))


def test_frozen_numbers() -> None:
    """What was drawn first will be drawn always: records of samplers hang on it. The words of counter 0 and key 0
    above, without their last 8 bits."""
    assert DeviceRng(0, [0]).uniform(3).tolist() == [
        [word / 2**24 for word in (0x6627E8, 0xE169C5, 0xBC57AC)]
    ]
