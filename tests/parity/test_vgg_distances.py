"""DISTS and LPIPS on a VGG16 beside torchmetrics' and torch-fidelity's networks, on one seeded random VGG16: no
download."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from random_networks import Backbone, random_features
from torch import Tensor, nn

from benchbench.core.errors import MetricFailed
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.pairs import dists as of_dists
from benchbench.metrics.pairs.dists import DISTS, dists
from benchbench.metrics.pairs.lpips_vgg import lpips_vgg
from benchbench.metrics.pairs.paired import PairReader

ENV = "BENCHBENCH_VGG16_WEIGHTS"


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[nn.Sequential, Path]]:
    """Seeded random convolutions, and the file of them."""
    layers = random_features("vgg16")
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    torch.save(Backbone(layers).state_dict(), path)
    yield layers, path
    of_dists._network.cache_clear()


def pair(side: int = 64) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    x = torch.randint(0, 256, (3, 3, side, side), dtype=torch.uint8, generator=rng)
    return x, (x // 2 + 30).to(torch.uint8)


@pytest.mark.costly
def test_dists_is_that_of_torchmetrics(
    features: tuple[nn.Sequential, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The authors' network as torchmetrics has it, with the same weights α and β. It sums products of float32
    variances: 1e-4 of the distance is that rounding. Equal images are at distance 0 to the last digit."""
    from torchmetrics.functional.image import dists as module

    layers, path = features
    monkeypatch.setenv(ENV, str(path))
    monkeypatch.setattr(module, "vgg16", lambda **_: Backbone(layers))
    x, y = pair()
    ours = dists(x, y)
    theirs = module.DISTSNetwork().eval()(x.float() / 255, y.float() / 255)
    torch.testing.assert_close(ours, theirs.detach().double(), rtol=1e-4, atol=0)
    assert dists(x, x).tolist() == [0, 0, 0]
    torch.testing.assert_close(dists(x[1:2], y[1:2]), ours[1:2], rtol=1e-5, atol=0)
    assert (ours > 0.01).all()
    with pytest.raises(MetricFailed, match="at least 32×32 but has 31×31"):
        dists(*pair(31))


@pytest.mark.costly
def test_lpips_is_that_of_torchmetrics_and_of_torch_fidelity(
    features: tuple[nn.Sequential, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three networks after the authors' with one backbone and the same learned weights, which torchmetrics ships and
    torch-fidelity is handed here. torchmetrics adds 1e-8 under the root of a norm: 1e-4; torch-fidelity 1e-10 to the
    norm, as the authors and we do: 1e-5, float32. Levels that are not rounded are read as they are."""
    from torch_fidelity import sample_similarity_lpips as fidelity
    from torchmetrics.functional.image import lpips as metrics

    layers, path = features
    monkeypatch.setenv(ENV, str(path))
    monkeypatch.setattr(metrics, "_get_tv_model_features", lambda *_, **__: layers)
    x, y = pair()
    ours = lpips_vgg(x, y)
    theirs = metrics._LPIPS(net="vgg", pnet_rand=True)
    expected = theirs(*(images.float() / 127.5 - 1 for images in (x, y))).flatten().detach().double()
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=0)
    lin = {f"lin{i}.model.1.weight": theirs.state_dict()[f"lin{i}.model.1.weight"] for i in range(5)}
    monkeypatch.setattr(fidelity, "load_state_dict_from_url", lambda *_, **__: lin)
    monkeypatch.setattr(fidelity, "torchvision_load_pretrained_vgg16", lambda **_: Backbone(layers))
    other = fidelity.SampleSimilarityLPIPS("lpips-vgg16")(x, y).detach().double()
    torch.testing.assert_close(ours, other, rtol=1e-5, atol=0)
    assert lpips_vgg(x, x).tolist() == [0, 0, 0]
    assert torch.equal(lpips_vgg(x.float(), y, levels=True), ours)
    assert not torch.equal(lpips_vgg(x.float() + 0.3, y, levels=True), ours)


def test_absent_weights_are_unavailable_with_the_way_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule of the design: what must be fetched first is `unavailable`, never something else in its place."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv(ENV, raising=False)
    reader = PairReader({"dists": DISTS.per_image})
    reader.update(*pair())
    with pytest.raises(MetricFailed, match=r"dists needs vgg16-.*run benchbench fetch vgg16") as caught:
        DISTS().compute(Evidence(pairs={"truth": reader.compute()}))
    assert caught.value.status == "unavailable"


def test_another_networks_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state dict without a VGG16's convolutions is refused in a sentence."""
    torch.save({"features.0.weight": torch.zeros(3)}, tmp_path / "other.pth")
    monkeypatch.setenv(ENV, str(tmp_path / "other.pth"))
    of_dists._network.cache_clear()
    with pytest.raises(MetricFailed, match="given for dists are another network's") as caught:
        dists(*pair(32))
    assert caught.value.status == "unavailable"
