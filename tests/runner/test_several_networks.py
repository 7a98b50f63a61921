"""Several networks in one request: a row a network, each image through each network once, and one that is not at hand
takes nothing from the others."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

import benchbench
from benchbench.features.extractor import Features
from benchbench.features.networks.efficientnet_lite0 import EfficientNetLite0
from benchbench.features.networks.torch_fidelity_nets import DinoV2Large

LITE = "efficientnet_lite0"
ASKED = f"{LITE},cnn_digits,inception_v3,dinov2_vit_l_14"


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """An empty torch hub cache, so that two of four networks are not at hand; how often EfficientNet met each image of
    this test, by the sum of its pixels."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("BENCHBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("BENCHBENCH_INCEPTION_WEIGHTS", DinoV2Large.weights.env):
        monkeypatch.delenv(name, raising=False)
    met: Counter[int] = Counter()
    forward = EfficientNetLite0.forward

    def counting(self: EfficientNetLite0, images: Tensor) -> Features:
        met.update(int(total) for total in images.long().sum((1, 2, 3)))
        return forward(self, images)

    monkeypatch.setattr(EfficientNetLite0, "forward", counting)
    return met


def by_metric(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["metric"].str.match("fd_(?!inf)|fid$|kd_(?!sub)|kid$")].set_index("metric")


@pytest.mark.costly
def test_of_images(seen: Counter[int], tmp_path: Path) -> None:
    """`evaluate`: two distances, four networks. What is at hand is answered as if it were asked for alone; the rows of
    what is not say what to type. Every image met the network once, however many metrics read it."""
    generator = torch.Generator().manual_seed(1)
    images, real = torch.randint(0, 256, (2, 24, 3, 16, 16), dtype=torch.uint8, generator=generator)
    options: dict[str, Any] = {"metrics": "fd,kd", "device": "cpu", "out": tmp_path / "out"}
    rows = by_metric(benchbench.evaluate(images, real, extractors=ASKED, **options))
    met = seen.copy()
    assert set(rows.index) == {
        "fd_efficientnet_lite0", "fd_cnn_digits", "fid", "fd_dinov2_vit_l_14",
        "kd_efficientnet_lite0", "kd_cnn_digits", "kid", "kd_dinov2_vit_l_14",
    }  # fmt: skip
    lost = rows[rows["status"] == "unavailable"]
    assert set(lost.index) == {"fid", "kid", "fd_dinov2_vit_l_14", "kd_dinov2_vit_l_14"}
    for metric, row in lost.iterrows():
        network = "dinov2_vit_l_14" if str(metric).endswith("_14") else "inception_v3"
        assert f"run benchbench fetch {network}" in row["reason"]
    sums = [int(total) for total in torch.cat([images, real]).long().sum((1, 2, 3))]
    assert {total: met[total] for total in sums} == Counter(sums)
    alone = by_metric(benchbench.evaluate(images, real, extractors="cnn_digits", **options))
    assert alone["value"].to_dict() == rows.loc[alone.index, "value"].to_dict()


@pytest.mark.costly
def test_of_a_model(seen: Counter[int], tmp_path: Path) -> None:
    """`run`: the same rows, and the headline is that of the first network that was asked for."""
    frame = benchbench.run(
        "noise", "digits", samples=16, metrics="fd", extractors=ASKED, device="cpu", out=tmp_path / "out"
    )
    rows = by_metric(frame)
    assert rows["status"].to_dict() == {
        "fd_efficientnet_lite0": "ok",
        "fd_cnn_digits": "ok",
        "fid": "unavailable",
        "fd_dinov2_vit_l_14": "unavailable",
    }
    assert rows.index[rows["headline"]].tolist() == ["fd_efficientnet_lite0"]
    assert "run benchbench fetch dinov2_vit_l_14" in rows.loc["fd_dinov2_vit_l_14", "reason"]
