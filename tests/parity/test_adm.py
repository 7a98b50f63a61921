"""ADM's evaluator: its five numbers of a pair of .npz files, against its definition written out in NumPy on the
activations of torch-fidelity's network. Random weights: no download; the same test holds with real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

import benchbench
from benchbench.core.errors import InputError, MetricFailed
from benchbench.features.moments import Moments
from benchbench.features.networks.inception_v3 import WEIGHTS
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.select import build_metric, select_metrics
from benchbench.metrics.sets.adm import inception_scores_of_parts
from benchbench.metrics.sets.inception_score import inception_score

Array = NDArray[np.float64]
WHOLE, REFERENCE, MADE, DARK = 9, 10, 12, 4
FIVE = ["fid", "is_adm_inception_v3", "precision_adm_inception_v3", "recall_adm_inception_v3", "sfid"]


def pictures(n: int, seed: int, dark: int = 0) -> NDArray[np.uint8]:
    """N×H×W×3: blocks of colour with grain; the first few nearly black, far from all others."""
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.integers(0, 200, (n, 4, 4, 3)), np.ones((1, 8, 8, 1), int))
    made = blocks + rng.integers(0, 56, blocks.shape)
    made[:dark] = blocks[:dark] // 50
    return made.astype(np.uint8)


def activations(oracle: FeatureExtractorInceptionV3, images: NDArray[np.uint8]) -> tuple[Array, Array, Array]:
    """`pool_3`, the first 7 channels of `mixed_6/conv` as TensorFlow lays them out (places first, then channels),
    and the logits without a bias: torch-fidelity's pass with a hook where its converter puts that layer."""
    seen: list[Tensor] = []
    hook = oracle.Mixed_6d.branch1x1.register_forward_hook(lambda *call: seen.append(call[2]))
    with torch.inference_mode():
        pool, _ = oracle(torch.from_numpy(images).permute(0, 3, 1, 2))
    hook.remove()
    spatial = seen[0].numpy().transpose(0, 2, 3, 1)[..., :7].reshape(len(images), -1)
    pooled = pool.numpy().astype(np.float64)
    return pooled, spatial.astype(np.float64), pooled @ oracle.fc.weight.detach().numpy().T.astype(np.float64)


def frechet(x: Array, mean: Array, covariance: Array) -> float:
    """‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½, the last from the eigenvalues of AᵀΣ₂A where AAᵀ = Σ₁: as many as
    there are images, and so no root of 2,048 numbers squared."""
    root = (x - x.mean(0)).T / np.sqrt(len(x) - 1)
    cross = np.sqrt(np.linalg.eigvalsh(root.T @ covariance @ root).clip(0)).sum()
    away = x.mean(0) - mean
    return float(away @ away + (root**2).sum() + np.trace(covariance) - 2 * cross)


def score_of_parts(logits: Array, part: int) -> float:
    """`compute_inception_score`, in float64."""
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    scores = []
    for start in range(0, len(shares), part):
        own = shares[start : start + part]
        scores.append(np.exp((own * (np.log(own) - np.log(own.mean(0)))).sum(1).mean()))
    return float(np.mean(scores))


def precision_recall(reference: Array, made: Array) -> tuple[float, float]:
    """`compute_prec_recall` with k = 3, in exact distances: who lies in a ball of the other side, its edge included."""

    def squares(a: Array, b: Array) -> Array:
        return ((a[:, None] - b[None]) ** 2).sum(2)

    radii = [np.partition(squares(own, own), range(4), axis=1)[:, 3] for own in (reference, made)]
    across = squares(reference, made)
    return float((across <= radii[0][:, None]).any(0).mean()), float((across <= radii[1][None]).any(1).mean())


@pytest.fixture
def files(tmp_path: Path, oracle: FeatureExtractorInceptionV3, monkeypatch: pytest.MonkeyPatch) -> Path:
    """made.npz; reference.npz, which holds images and, beside them, the statistics of more; respelled.npz, the same
    with `ref_` before the names of these; weights."""
    torch.save(oracle.state_dict(), tmp_path / "inception.pth")
    monkeypatch.setenv(WEIGHTS.env, str(tmp_path / "inception.pth"))
    pool, spatial, _ = activations(oracle, pictures(WHOLE, 0))
    told = {
        "mu": pool.mean(0),
        "sigma": np.cov(pool, rowvar=False),
        "mu_s": spatial.mean(0),
        "sigma_s": np.cov(spatial, rowvar=False),
    }
    np.savez(tmp_path / "reference.npz", arr_0=pictures(REFERENCE, 1, DARK), **told)
    np.savez(tmp_path / "made.npz", arr_0=pictures(MADE, 2))
    return tmp_path


@pytest.mark.slow
def test_the_five_numbers_of_the_evaluator(files: Path, oracle: FeatureExtractorInceptionV3) -> None:
    """FID and sFID against the statistics, precision and recall against the images, all of either side; the Inception
    Score in the order of the file. 1e-4 is what folding batch norms leaves of float32 features
    (tests/parity/test_networks.py); shares of images are equal."""
    found = benchbench.evaluate(files / "made.npz", files / "reference.npz", "adm", device="cpu").set_index(
        "metric"
    )
    assert sorted(found.index) == FIVE
    with np.load(files / "reference.npz") as content:
        told = [(content[f"mu{layer}"], content[f"sigma{layer}"]) for layer in ("", "_s")]
    made, real = (activations(oracle, images) for images in (pictures(MADE, 2), pictures(REFERENCE, 1, DARK)))
    for name, layer in (("fid", 0), ("sfid", 1)):
        expected = frechet(made[layer], *told[layer])
        assert found.loc[name, "value"] == pytest.approx(expected, rel=1e-4)
    assert found.loc[FIVE[1], "value"] == pytest.approx(score_of_parts(made[2], 5000), rel=1e-4)
    precision, recall = precision_recall(real[0], made[0])
    assert 0 < precision < 1
    assert 0 < recall < 1
    assert found.loc[FIVE[2:4], "value"].tolist() == pytest.approx([precision, recall], abs=1e-12)
    assert found.loc[FIVE[2:4], "n_images"].tolist() == [MADE] * 2
    assert found.loc[FIVE[2:4], "n_reference"].tolist() == [REFERENCE] * 2


def test_without_weights_each_says_what_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five rows, none with a number, each with the address of the file."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv(WEIGHTS.env, raising=False)
    for name in ("made", "reference"):
        np.savez(tmp_path / f"{name}.npz", arr_0=pictures(6, len(name)))
    found = benchbench.evaluate(tmp_path / "made.npz", tmp_path / "reference.npz", "adm", device="cpu")
    assert sorted(found["metric"]) == FIVE
    assert set(found["status"]) == {"unavailable"}
    assert found["reason"].str.contains("run benchbench fetch inception_v3").all()


def test_the_set_brings_its_networks_along() -> None:
    """Whichever extractor was asked for, its five metrics are on Inception; in other capitals too."""
    found = select_metrics(["adm"], ["efficientnet_lite0"])
    assert [metric.name for metric in found] == FIVE
    assert {metric.extractor for metric in found} == {"inception_v3", "inception_v3_spatial"}
    with pytest.raises(InputError, match="is_adm is not defined on efficientnet_lite0"):
        select_metrics(["is_adm"], ["efficientnet_lite0"])


def test_parts_of_the_inception_score() -> None:
    """Oracle: the evaluator's loop, with a last part that is short, and one of a single image, which is 1. One part of
    all is the score in one split."""
    logits = np.random.default_rng(0).normal(size=(23, 7)) * 3
    for part in (5, 10, 11, 22, 23, 5000):
        found = inception_scores_of_parts(logits, part)
        assert float(found.mean()) == pytest.approx(score_of_parts(logits, part), rel=1e-12)
        assert len(found) == -(-23 // part)
    assert inception_scores_of_parts(logits, 22)[1] == 1
    assert inception_scores_of_parts(logits).tolist() == [inception_score(logits, splits=1).value]
    with pytest.raises(MetricFailed, match="needs at least 2 images but has 1"):
        inception_scores_of_parts(logits[:1])


def evidence(n: int, m: int) -> Evidence:
    rng = torch.Generator().manual_seed(0)

    def side(count: int, shift: float) -> dict[str, FeatureEvidence]:
        rows = torch.randn(count, 5, generator=rng) + shift
        return {"inception_v3": FeatureEvidence(Moments.of(rows), rows, 3 * rows)}

    return Evidence({"generated": side(n, 0.5), "reference": side(m, 0.0)})


@pytest.mark.parametrize(("n", "m"), [(40, 300), (300, 40), (60, 60)])
def test_precision_and_recall_of_all_images(n: int, m: int) -> None:
    """Sides of different sizes are not cut to one: the definition, in NumPy. The value lies in its interval."""
    given = evidence(n, m)
    rows = [given.sets[role]["inception_v3"].features.double().numpy() for role in ("reference", "generated")]  # type: ignore[union-attr]
    for name, expected in zip(("precision_adm", "recall_adm"), precision_recall(*rows), strict=True):
        found = build_metric(name, "inception_v3").compute(given)
        assert found.value == pytest.approx(expected, abs=1e-12)
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.value <= found.high


def test_the_interval_of_the_score() -> None:
    """Several parts: Student's t over them. One part: none, as of any single number."""
    metric = build_metric("is_adm", "inception_v3")
    found = metric.compute(evidence(40, 4))
    assert (found.low, found.interval) == (None, None)
    assert found.ends == (1.0, 5.0)
    many = metric.compute(evidence(11_000, 4))
    assert many.interval == "95% t over 3 parts"
    assert many.low is not None
    assert many.low < many.value
