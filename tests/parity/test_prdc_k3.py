"""Precision and recall as Kynkäänniemi et al. 2019 published them, k = 3: torch-fidelity, and the convention by
meaning."""

from __future__ import annotations

import pytest
import torch
from calibration_rows.inputs import CASES, gaussian
from torch import Tensor

from benchbench.features.moments import Moments
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.sets.prdc import PRDCK3

prc = pytest.importorskip("torch_fidelity.metric_prc")


def published(real: Tensor, fake: Tensor) -> dict[str, float]:
    sets = {"generated": fake, "reference": real}
    evidence = Evidence(
        {role: {"net": FeatureEvidence(Moments.zeros(x.shape[1]), x)} for role, x in sets.items()}
    )
    return {name: PRDCK3("net", name).compute(evidence).value for name in ("precision_k3", "recall_k3")}


@pytest.mark.parametrize("name", CASES)
def test_equals_torch_fidelity(name: str) -> None:
    """Oracle: torch-fidelity's PRC with its default neighbourhood of 3 on the same features, generated images first. It
    counts the boundary of a ball as inside, on which no random point lies: equal counts; its means are float32."""
    real, fake = CASES[name]
    found = prc.prc_features_to_metric(fake, real, verbose=False)
    expected = (found["precision"], found["recall"])
    assert tuple(published(real, fake).values()) == pytest.approx(expected, abs=1e-6)


def test_the_convention_by_meaning() -> None:
    """A tight cluster of images amid the real ones is precise and recalls next to nothing; images all over the place
    and beyond are imprecise and reach around every real one."""
    real = gaussian(0, 200, 4)
    tight, wide = published(real, gaussian(1, 200, 4, 0.05)), published(real, gaussian(1, 200, 4, 4.0))
    assert tight["precision_k3"] > 0.95
    assert tight["recall_k3"] < 0.05
    assert wide["precision_k3"] < 0.4
    assert wide["recall_k3"] > 0.9


def test_it_is_k_of_three() -> None:
    """By hand, on a line of ones: the third nearest neighbour of an inner point is 2 away and of an end point 3, so a
    generated image 2.5 beyond the end lies in the ball of the end alone, which k = 2 would make 2 wide."""
    real = torch.arange(8.0)[:, None]
    fake = torch.tensor([9.5, 9.6, 9.7, 9.8])[:, None]
    assert published(real, fake)["precision_k3"] == 1
    assert published(real, fake + 1)["precision_k3"] == 0
