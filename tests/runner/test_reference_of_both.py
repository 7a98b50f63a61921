"""A reference that holds images and, beside them, the statistics of more: an .npz as ADM publishes it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import benchbench
from benchbench.core.errors import InputError
from benchbench.core.runtime import Runtime
from benchbench.features.extractor import Features
from benchbench.results.provenance import read_manifest
from benchbench.runner import extractors, sources
from benchbench.runner.spec import StatisticsSpec
from benchbench.runner.statistics import prepare_reference

FEW, WHOLE, MADE = 12, 60, 20


class Net:
    """Linear random features of 8×8 images; two networks of different width are read by name."""

    n_logits = 0
    resize = "none"
    input_side = None
    batch_size = 16
    precision = "float32"
    dims: ClassVar[Mapping[str, int]] = {
        "efficientnet_lite0": 6,
        "inception_v3": 9,
        "inception_v3_spatial": 4,
    }

    def __init__(self, name: str) -> None:
        self.name, self.dim = name, self.dims[name]
        self.weights_sha256 = hashlib.sha256(name.encode()).hexdigest()
        self.matrix = torch.randn(192, self.dim, generator=torch.Generator().manual_seed(self.dim)).double()

    def __call__(self, images: Tensor) -> Features:
        return Features((images.flatten(1).double() / 255 @ self.matrix).float(), None)

    def describe(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("name", "weights_sha256", "resize", "precision")}


@pytest.fixture(autouse=True)
def nets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extractors, "load_extractor", lambda name, device, precision: Net(name))


def pictures(seed: int, n: int, top: int = 256) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, top, (n, 8, 8, 3), np.uint8)


def moments(images: NDArray[np.uint8], name: str) -> dict[str, NDArray[np.float64]]:
    """mean and unbiased covariance, as NumPy makes them."""
    rows = Net(name)(torch.from_numpy(images).permute(0, 3, 1, 2)).features.double().numpy()
    return {"mu": rows.mean(0), "sigma": np.cov(rows, rowvar=False)}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """whole.npz: 60 images. few.npz: 12 of them. adm.npz: these 12 with the statistics of all, also of the other layer.
    statistics.npz: those alone. made.npz: what is scored."""
    whole = pictures(0, WHOLE)
    told = moments(whole, "efficientnet_lite0")
    spatial = {f"{key}_s": value for key, value in moments(whole, "inception_v3_spatial").items()}
    np.savez(tmp_path / "whole.npz", whole)
    np.savez(tmp_path / "few.npz", whole[:FEW])
    np.savez(tmp_path / "adm.npz", arr_0=whole[:FEW], **told, **spatial)  # type: ignore[arg-type]
    np.savez(tmp_path / "statistics.npz", **told, **spatial)  # type: ignore[arg-type]
    np.savez(tmp_path / "made.npz", pictures(1, MADE, 200))
    return tmp_path


def scored(
    files: Path, reference: str, metrics: str, extractor: str = "efficientnet_lite0", **options: Any
) -> Any:
    """The rows by metric."""
    frame = benchbench.evaluate(
        files / "made.npz", files / reference, metrics, extractors=extractor, device="cpu", **options
    )
    return frame.set_index("metric", drop=False)


@pytest.mark.costly
def test_each_number_from_what_it_is_of(files: Path) -> None:
    """The Fréchet distance is that of all 60 images, and of how many it is nobody knows; the kernel distance and the
    coverage are those of the 12 images that are there, and say 12. Oracles: the same images as files of their own."""
    both = scored(files, "adm.npz", "fd,kd,coverage")
    whole, few = scored(files, "whole.npz", "fd"), scored(files, "few.npz", "fd,kd,coverage")
    fd, kd, coverage = (f"{family}_efficientnet_lite0" for family in ("fd", "kd", "coverage"))
    assert both.loc[fd, "value"] == pytest.approx(whole.loc[fd, "value"], rel=1e-9)
    assert both.loc[fd, "value"] != pytest.approx(few.loc[fd, "value"], rel=0.01)
    for name in (kd, coverage):
        assert both.loc[name, "value"] == few.loc[name, "value"]
    assert pd.isna(both.loc[fd, "n_reference"])
    assert both.loc[fd, "interval"] == "95% delta, reference taken as exact"
    assert [both.loc[name, "n_reference"] for name in (kd, coverage)] == [FEW, FEW]
    assert any(
        "against the mu and sigma in adm.npz, everything else against the 12 images" in n
        for n in both.attrs["notes"]
    )


def test_the_other_layer(files: Path) -> None:
    """mu_s and sigma_s are read for the network of as many dimensions, in a file with images and in one without."""
    found = [
        scored(files, name, "fd", "inception_v3_spatial").loc["sfid", "value"]
        for name in ("whole.npz", "adm.npz", "statistics.npz")
    ]
    assert found[1:] == pytest.approx([found[0]] * 2, rel=1e-9)


def test_pairs_and_a_network_of_which_nothing_is_said(files: Path) -> None:
    """Pairs are made with the images that are there. Where the statistics are of one of two networks, the other's
    distance is against the images, which a note says; where they are of none, that is an error, but for metrics that
    ask for no moments."""
    paired = scored(files, "adm.npz", "mse", samples=FEW)
    assert paired.loc["mse", "n_images"] == FEW
    both = scored(files, "adm.npz", "fd", "efficientnet_lite0,inception_v3")
    few = scored(files, "few.npz", "fd", "inception_v3")
    assert both.loc["fid", "value"] == pytest.approx(few.loc["fid", "value"], rel=1e-9)
    assert both.loc["fid", "n_reference"] == FEW
    assert any(
        "are not those of inception_v3: its Fréchet distances are against" in n for n in both.attrs["notes"]
    )
    with pytest.raises(
        InputError, match=r"adm\.npz has statistics of 6-dimensional features but inception_v3 makes 9"
    ):
        scored(files, "adm.npz", "fd", "inception_v3")
    assert scored(files, "adm.npz", "kd", "inception_v3").loc["kid", "n_reference"] == FEW


@pytest.mark.costly
def test_its_record_is_its_own(files: Path, tmp_path: Path) -> None:
    """The same images without statistics are another reference: neither record answers for the other. run.json has the
    sha256 of the file and that it is imported."""
    names = ("adm.npz", "few.npz", "adm.npz")
    paths = [scored(files, name, "fd", out=tmp_path / "runs")["cell"].iloc[0] for name in names]
    assert paths[0] == paths[2] != paths[1]
    (record,) = (tmp_path / "runs/npz-adm").rglob("run.json")
    data = read_manifest(record).data
    assert data is not None
    assert data.imported
    assert data.statistics_sha256 == hashlib.sha256((files / "adm.npz").read_bytes()).hexdigest()


def test_as_samples_and_for_statistics(files: Path) -> None:
    """Samples are their images, with a note; `stats` makes none of what has some already."""
    stream = sources.open_samples(files / "adm.npz")
    assert stream.n == FEW
    assert any("its mu and sigma were left aside" in note for note in stream.notes)
    with pytest.raises(InputError, match="holds statistics already"):
        prepare_reference(
            StatisticsSpec(reference=str(files / "adm.npz")), None, Runtime(torch.device("cpu"))
        )


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"sigma": np.eye(5)}, r"shapes \(6,\) and \(5, 5\)"),
        ({"mu": np.full(6, np.nan)}, "mu in .* holds NaN"),
        ({"sigma_s": np.eye(3)}, r"mu_s and sigma_s in .* have shapes \(4,\) and \(3, 3\)"),
        ({"arr_0": pictures(0, 3).astype(np.float32)}, "arr_0 in .* must be uint8"),
    ],
)
def test_what_is_wrong_with_either_is_said(files: Path, arrays: dict[str, Any], sentence: str) -> None:
    """Statistics beside images are held to what statistics alone are held to."""
    with np.load(files / "adm.npz") as content:
        np.savez(files / "wrong.npz", **{**content, **arrays})
    with pytest.raises(InputError, match=sentence):
        scored(files, "wrong.npz", "fd")


@pytest.mark.parametrize("missing", ["mu", "sigma", "mu_s", "sigma_s"])
def test_half_of_the_statistics_is_none(files: Path, missing: str) -> None:
    """By definition a mean without its covariance, or the reverse, is no statistics. Distances to the images beside it
    would be another number, so the file is refused and not read as one of images alone."""
    with np.load(files / "adm.npz") as content:
        np.savez(files / "half.npz", **{name: own for name, own in content.items() if name != missing})
    with pytest.raises(InputError, match=rf"half\.npz has no array {missing}; statistics need mu"):
        scored(files, "half.npz", "fd")


@pytest.mark.costly
@pytest.mark.parametrize("thing", [5, None, 3.5, {"a": 1}, b"png", {1, 2}, object()])
def test_what_are_no_images(thing: Any) -> None:
    """Neither text nor tensors: one sentence that says what was given."""
    kind = type(thing).__name__
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    evaluate: Any = benchbench.evaluate
    for sides in ((thing, images), (images, thing)):
        with pytest.raises(InputError, match=f"an? {kind}, and no images|neither named nor in memory"):
            evaluate(*sides, "fd", device="cpu")
