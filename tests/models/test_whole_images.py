"""Networks on images larger than those they learned from: tiles, turns and flips."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_restorers import SMALL
from torch import Tensor, nn

from benchbench.core.protocols import ImageSpec
from benchbench.data.degrade.degradations import Blocked, Degrades, Downscaled, Noisy
from benchbench.models.build import build_model
from benchbench.models.nn import whole_images
from benchbench.models.nn.whole_images import dihedral, ensemble, tiled, undone
from benchbench.models.restoration.restorer import LearnedRestorer

CASES: list[tuple[str, Degrades]] = [
    *((name, Downscaled(2)) for name in ("srcnn", "espcn", "vdsr", "edsr", "srgan", "dncnn", "dncnn-3")),
    *((name, Downscaled(3)) for name in ("espcn", "edsr")),
    ("edsr", Downscaled(4)),
    *((name, Noisy("gaussian", 25)) for name in ("dncnn", "dncnn-b", "dae")),
    ("dae", Blocked(10)),
]


def restorer(name: str, degradation: Degrades, **hyper: Any) -> LearnedRestorer:
    """A small one with random weights, none of them zero, in eval mode, on images of 24×24."""
    torch.manual_seed(1)
    model = build_model(name, SMALL[name] | hyper, ImageSpec(24, 24, False, 0, degradation)).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    assert isinstance(model, LearnedRestorer)
    return model.requires_grad_(False)


def given_image(degradation: Degrades, height: int, width: int) -> Tensor:
    """What a model is given: seeded levels 1×3×height×width, in 8 bits but for noise."""
    levels = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(2)) * 255
    return levels if isinstance(degradation, Noisy) else levels.round().to(torch.uint8)


@pytest.mark.costly
@pytest.mark.parametrize(("name", "degradation"), CASES, ids=lambda own: getattr(own, "name", own))
def test_tiles_are_the_whole(name: str, degradation: Degrades) -> None:
    """A pixel of a convolutional network depends on pixels within its radius alone: tiles of 16, which are smaller
    than that for some, of an image of odd sides, are the whole to 1e-5 of the range."""
    model = restorer(name, degradation)
    planes = given_image(degradation, 53, 37)[:, :1].float()
    whole = model.whole(planes)
    model.sampling = model.Sampling(tile=16)
    assert (model.whole(planes) - whole).abs().max() <= 1e-5 * max(255.0, float(whole.abs().max()))
    assert whole.std() > 1e-3  # else anything would do


def test_a_radius_too_small_is_seen() -> None:
    """The contrast: with one pixel less around each tile the same network is not the whole any more."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 5, padding=2), nn.ReLU(), nn.Conv2d(3, 1, 5, padding=2))
    x = torch.rand(1, 1, 33, 21)
    with torch.inference_mode():
        whole = net(x)
        exact, short = (tiled(net, x, radius=radius, tile=8) for radius in (4, 3))
    assert (exact - whole).abs().max() < 1e-6
    assert (short - whole).abs().max() > 1e-4


def test_large_images_go_in_tiles_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above `LARGEST` pixels the network never sees more than a tile and its surroundings; up to it, all at once."""
    monkeypatch.setattr(whole_images, "LARGEST", 20 * 30)
    monkeypatch.setattr(whole_images, "TILE", 8)
    seen: list[tuple[int, ...]] = []

    def net(x: Tensor) -> Tensor:
        seen.append(tuple(x.shape[2:]))
        return x

    tiled(net, torch.zeros(1, 1, 20, 30), radius=2)
    assert seen == [(20, 30)]
    seen.clear()
    x = torch.rand(1, 1, 21, 30)
    assert torch.equal(tiled(net, x, radius=2), x)
    assert len(seen) == 3 * 4
    assert max(max(size) for size in seen) == 12


def test_places_of_a_code_and_tiles() -> None:
    """The denoising autoencoder halves its input three times: its tiles are multiples of 8, or refused."""
    with pytest.raises(ValueError, match="multiple of 8"):
        restorer("dae", Noisy("gaussian", 25)).Sampling(tile=20)
    model = restorer("dae", Noisy("gaussian", 25))
    planes = given_image(Noisy("gaussian", 25), 203, 19)[:, :1]
    whole = model.whole(planes)
    model.sampling = model.Sampling(tile=24)
    assert (model.whole(planes) - whole).abs().max() <= 1e-5 * max(255.0, float(whole.abs().max()))


@pytest.mark.costly
@pytest.mark.parametrize(("name", "degradation"), CASES, ids=lambda own: getattr(own, "name", own))
def test_an_ensemble_turns_with_its_input(name: str, degradation: Degrades) -> None:
    """A mean over a group of turns and flips commutes with each of them (Timofte et al. 2016, section 3.6): what comes
    out of a turned input is the output, turned; without the ensemble it is not."""
    model = restorer(name, degradation)
    planes = given_image(degradation, 16, 24)[:, :1].float()
    turned = [dihedral(planes, which) for which in range(8)]

    def worst() -> float:
        out = model.whole(planes)
        return max(
            float((model.whole(x) - dihedral(out, which)).abs().max() / out.abs().max())
            for which, x in enumerate(turned)
        )

    assert worst() > 1e-4
    model.sampling = model.Sampling(ensemble=True)
    assert worst() < 1e-5


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 7), st.integers(1, 6), st.integers(1, 6), st.integers(1, 2))
def test_undone_is_the_inverse(which: int, height: int, width: int, n: int) -> None:
    """Of every turn and flip, at every size."""
    x = torch.arange(n * 2 * height * width).reshape(n, 2, height, width)
    assert torch.equal(undone(dihedral(x, which), which), x)


def test_eight_different_ones() -> None:
    """The eight symmetries of a square (Timofte et al. 2016, figure 4): of a square without symmetry all differ, and
    half of them swap the sides of a rectangle."""
    square = torch.arange(9).reshape(1, 1, 3, 3)
    assert len({tuple(dihedral(square, which).flatten().tolist()) for which in range(8)}) == 8
    shapes = [dihedral(torch.zeros(1, 1, 2, 3), which).shape[2:] for which in range(8)]
    assert shapes.count((2, 3)) == shapes.count((3, 2)) == 4


def test_an_ensemble_is_a_mean() -> None:
    """Of a network that marks one corner with 8: each of four corners gets a mean of 2 over the eight."""

    def corner(x: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        out[..., 0, 0] = 8
        return out

    assert ensemble(corner, torch.zeros(1, 1, 2, 3)).flatten().tolist() == [2, 0, 2, 2, 0, 2]
