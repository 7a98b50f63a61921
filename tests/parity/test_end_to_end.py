"""Images to numbers: our float32 path against torch-fidelity's, on the same weights and the same images.

Two float32 networks whose operations come in another order differ by about 3e-6 of a feature; 1e-4 of a number
is what we promise, on whatever machine.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from benchbench.features.extract import Extracted, extract
from benchbench.features.networks.inception_v3 import InceptionV3
from benchbench.metrics.sets.frechet import frechet_distance_from_features
from benchbench.metrics.sets.inception_score import inception_score
from benchbench.metrics.sets.kernel import kernel_distance
from benchbench.metrics.sets.prdc import prdc

pytestmark = pytest.mark.slow  # torch-fidelity's Inception takes a minute of one core

isc = pytest.importorskip("torch_fidelity.metric_isc")
kid = pytest.importorskip("torch_fidelity.metric_kid")
prc = pytest.importorskip("torch_fidelity.metric_prc")

N, K = 24, 3


def pictures(seed: int, contrast: float) -> Tensor:
    """uint8 N×3×32×32: blocks of colour, each image in a contrast from `contrast` to 1."""
    rng = torch.Generator().manual_seed(seed)
    blocks = nn.functional.interpolate(torch.rand(N, 3, 4, 4, generator=rng), 32)
    contrasts = contrast + (1 - contrast) * torch.rand(N, 1, 1, 1, generator=rng)
    return (255 * contrasts * blocks).round().to(torch.uint8)


@pytest.fixture(scope="module")
def images() -> tuple[Tensor, Tensor]:
    return pictures(0, 0.2), pictures(1, 0.6)


@pytest.fixture(scope="module")
def theirs(oracle: FeatureExtractorInceptionV3, images: tuple[Tensor, Tensor]) -> list[tuple[Tensor, Tensor]]:
    with torch.inference_mode():
        return [oracle(side) for side in images]


@pytest.fixture(scope="module")
def ours(oracle: FeatureExtractorInceptionV3, images: tuple[Tensor, Tensor]) -> list[Extracted]:
    extractor = InceptionV3.from_state_dict(oracle.state_dict())
    return [extract(side, extractor, need_features=True, need_logits=True) for side in images]


def features(ours: list[Extracted]) -> tuple[Tensor, Tensor]:
    x, y = (side.features for side in ours)
    assert x is not None
    assert y is not None
    return x, y


def test_fid(ours: list[Extracted], theirs: list[tuple[Tensor, Tensor]]) -> None:
    """N ≤ D, where torch-fidelity's own root of a singular matrix errs: the oracle is the closed form on its
    features, with tr(Σ₁Σ₂)^{1/2} = ‖A₁A₂ᵀ‖_* of the centred features over √(N − 1), in NumPy's float64."""
    x, y = (side[0].double().numpy() for side in theirs)
    a, b = ((side - side.mean(0)) / (N - 1) ** 0.5 for side in (x, y))
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + (a**2).sum() + (b**2).sum() - 2 * root
    assert frechet_distance_from_features(*features(ours)) == pytest.approx(expected, rel=1e-4)


def test_kid(ours: list[Extracted], theirs: list[tuple[Tensor, Tensor]]) -> None:
    """One subset of all images, by torch-fidelity's function on its features; as float64, for its sums of
    float32 kernel values alone err by as much as 1e-4."""
    options = {"kid_subsets": 1, "kid_subset_size": N, "rng_seed": 0, "verbose": False, "kid_kernel": "poly"}
    options |= {"kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1}
    x, y = (side[0].double() for side in theirs)
    expected = kid.kid_features_to_metric(x, y, **options)[kid.KEY_METRIC_KID_MEAN]
    assert kernel_distance(*features(ours)).value == pytest.approx(expected, rel=1e-4)


def test_inception_score(ours: list[Extracted], theirs: list[tuple[Tensor, Tensor]]) -> None:
    """torch-fidelity's function on its logits, same shuffle, two splits. Compared without the 1 that the score
    has at least, for on random weights it has little more."""
    options = {"splits": 2, "shuffle": True, "rng_seed": 5}
    expected = isc.isc_features_to_metric(theirs[0][1].double(), **options)[isc.KEY_METRIC_ISC_MEAN]
    order = torch.from_numpy(np.random.RandomState(5).permutation(N))
    assert ours[0].logits is not None
    got = inception_score(ours[0].logits, splits=2, order=order).value
    assert expected > 1.001
    assert got - 1 == pytest.approx(expected - 1, rel=1e-4)


def test_precision_and_recall(ours: list[Extracted], theirs: list[tuple[Tensor, Tensor]]) -> None:
    """torch-fidelity's function on its features: equal counts, neither none nor all."""
    fake, real = (side[0].double() for side in theirs)
    precision, recall = prc.calculate_precision_recall_full(fake, real, K)
    x, y = features(ours)
    found = prdc(y, x, K)
    assert (found["precision"], found["recall"]) == pytest.approx((precision, recall), rel=1e-4)
    assert 0 < precision < 1
    assert 0 < recall < 1
