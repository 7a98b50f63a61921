"""Gram distance and ArtFID's form: closed forms, other code's arithmetic, and names."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.images import to_signed
from benchbench.features.moments import Moments
from benchbench.features.networks.perceptual import load_perceptual
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.pairs.paired import PairReader
from benchbench.metrics.pairs.style import ArtFD, GramDistance
from benchbench.metrics.select import STYLIZATION, score, select_metrics

LITE0 = "efficientnet_lite0"


def noise(n: int, side: int = 128, seed: int = 0) -> Tensor:
    return torch.randint(
        0, 256, (n, 3, side, side), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8
    )


def side(features: Tensor) -> dict[str, FeatureEvidence]:
    return {"net": FeatureEvidence(Moments.of(features), features)}


def test_gram_distance_is_that_of_numpy() -> None:
    """At 128 pixels, where nothing is resized: Gram matrices and their distances by einsum in float64 on the same
    maps. float32 sums of 4,096 places and 480² entries: 1e-4."""
    x, y = noise(2), noise(2, seed=1)
    perceptual = load_perceptual(LITE0, torch.device("cpu"))
    expected = np.zeros(2)
    for own, other in zip(perceptual(to_signed(x)).style, perceptual(to_signed(y)).style, strict=True):
        matrices = [
            np.einsum("nchw,ndhw->ncd", maps, maps) / maps[0].size
            for maps in (own.double().numpy(), other.double().numpy())
        ]
        expected += ((matrices[0] - matrices[1]) ** 2).sum((1, 2)) / 5
    found = GramDistance(LITE0).of_pairs(x, y)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert GramDistance(LITE0).of_pairs(x, x).tolist() == [0, 0]


def test_gram_distance_knows_texture_and_not_place() -> None:
    """Another crop of one texture is far nearer than another texture: stripes that are shifted, against stripes
    across. Ten times is what symmetry alone gives away; found is a thousand."""
    stripes = torch.zeros(1, 3, 128, 128, dtype=torch.uint8)
    stripes[..., ::8] = stripes[..., 1::8] = stripes[..., 2::8] = 200
    metric = GramDistance(LITE0)
    shifted, across = (
        metric.of_pairs(stripes.roll(16, 3), stripes),
        metric.of_pairs(stripes.mT.contiguous(), stripes),
    )
    assert 10 * float(shifted) < float(across)


def test_gram_distance_sees_images_as_the_extractor_does() -> None:
    """The row's `resize` is the extractor's: images of 64 pixels and those enlarged by that protocol (bicubic,
    antialiased, to 128, clamped) agree but for the rounding to whole levels, some thousandths of the distance."""
    x, y = noise(1, 64), noise(1, 64, seed=1).div(2, rounding_mode="floor")
    enlarged = [
        torch.nn.functional.interpolate(images.float(), size=(128, 128), mode="bicubic", antialias=True)
        .clamp(0, 255).round().to(torch.uint8)
        for images in (x, y)
    ]  # fmt: skip
    metric = GramDistance(LITE0)
    assert float(metric.of_pairs(x, y)) == pytest.approx(float(metric.of_pairs(*enlarged)), rel=0.01)


def test_gram_distance_in_evidence() -> None:
    """Name, role and row: the mean of what the pairs gave, with Student's t over two images: half the difference times
    12.706 (t of one degree of freedom at 97.5%)."""
    (metric,) = select_metrics(["gram_distance"], [LITE0])
    assert isinstance(metric, GramDistance)
    assert metric.name == f"gram_distance_{LITE0}"
    assert metric.needs == {"style"}
    assert select_metrics([metric.name], [])[0].name == metric.name
    reader = PairReader({metric.name: metric.of_pairs})
    x, y = noise(2, 64), noise(2, 64, seed=1)
    reader.update(x, y)
    values = metric.of_pairs(x, y).double()
    (outcome,) = score([metric], Evidence(pairs={"style": reader.compute()}))
    assert outcome.estimate is not None
    assert outcome.estimate.value == pytest.approx(float(values.mean()), rel=1e-12)
    assert outcome.estimate.high is not None
    half = outcome.estimate.high - outcome.estimate.value
    assert half == pytest.approx(12.7062047 * float((values[0] - values[1]).abs()) / 2, rel=1e-6)


def test_gram_distance_without_pairs_or_on_other_names() -> None:
    """No style was asked for; images of two sizes; a network whose maps nobody reads; borders mean nothing here."""
    with pytest.raises(MetricFailed, match="this task makes none"):
        GramDistance(LITE0).compute(Evidence())
    with pytest.raises(InputError, match="must have one shape; these are 1×3×64×64 and 1×3×32×32"):
        GramDistance(LITE0).of_pairs(noise(1, 64), noise(1, 32))
    with pytest.raises(InputError, match="gram_distance is not defined on inception_v3"):
        select_metrics(["gram_distance"], ["inception_v3"])
    with pytest.raises(InputError, match="unknown metric 'gram_distance_crop2'"):
        select_metrics(["gram_distance_crop2"], [LITE0])


def test_artfd_by_hand() -> None:
    """Sources point along the first axis and outputs along the second, so the content distance is 1 − cos 90° = 1. In
    one dimension of spread the FD is (μ₁ − μ₂)² + (σ₁ − σ₂)²: outputs (0, 3 ± 1), styles (0, 5 ± 2), variances of two
    points 2 and 8, so 4 + (√8 − √2)² = 6. (1 + 1) · (1 + 6) = 14; float32 features, 1e-6."""
    outputs, sources = torch.tensor([[0.0, 2], [0, 4]]), torch.tensor([[1.0, 0], [7, 0]])
    styles = torch.tensor([[0.0, 3], [0, 7]])
    estimate = ArtFD("net").compute(
        Evidence({"generated": side(outputs), "reference": side(styles), "sources": side(sources)})
    )
    assert estimate.value == pytest.approx(14, rel=1e-6)
    assert estimate.low is None


def test_artfd_has_two_best_values() -> None:
    """A copy of the content pays with FD alone, the style itself with content alone, and both in a product:
    features of the sources give 1 + FD(sources, styles), those of the styles 1 + their distance to the sources."""
    rng = torch.Generator().manual_seed(0)
    sources, styles = torch.rand(20, 3, generator=rng), torch.rand(20, 3, generator=rng) + 2
    from benchbench.metrics.pairs.preservation import cosine_distance
    from benchbench.metrics.sets.frechet import frechet_distance_from_features

    copied = (
        ArtFD("net")
        .compute(Evidence({"generated": side(sources), "reference": side(styles), "sources": side(sources)}))
        .value
    )
    assert copied == pytest.approx(1 + frechet_distance_from_features(sources, styles), rel=1e-12)
    lost = (
        ArtFD("net")
        .compute(Evidence({"generated": side(styles), "reference": side(styles), "sources": side(sources)}))
        .value
    )
    assert lost == pytest.approx(1 + float(cosine_distance(styles, sources).mean()), rel=1e-12)


def test_artfd_without_sources() -> None:
    """Generated images have none."""
    features = torch.rand(4, 3)
    (outcome,) = score([ArtFD("net")], Evidence({"generated": side(features), "reference": side(features)}))
    assert outcome.status == "failed"
    assert "no features of net" in (outcome.reason or "")


def test_standard_of_stylization() -> None:
    """What `--metrics standard` stands for in this task; `artfd`, which puts doing nothing first, is asked for by
    name."""
    names = [metric.name for metric in select_metrics(["standard"], [LITE0], standard=STYLIZATION)]
    assert names == [f"{family}_{LITE0}" for family in ("content_distance", "gram_distance")]
    assert [m.name for m in select_metrics(["artfd"], [LITE0], standard=STYLIZATION)] == [f"artfd_{LITE0}"]
