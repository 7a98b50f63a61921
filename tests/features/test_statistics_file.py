"""Statistics in files: what goes in comes out, other tools read ours, and a file that is wrong says how."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchbench.core.errors import InputError
from benchbench.features.moments import Moments
from benchbench.features.statistics_file import (
    holds_statistics,
    load_statistics,
    save_statistics,
    statistics_beside_images,
)


@pytest.fixture
def moments() -> Moments:
    """Of 40 seeded rows of 5 numbers, as the judge makes."""
    return Moments.of(torch.randn(40, 5, generator=torch.Generator().manual_seed(1)))


@pytest.fixture
def ours(tmp_path: Path, moments: Moments, judge: Any) -> Path:
    path = tmp_path / "ours.npz"
    save_statistics(path, moments, judge, fingerprint="ab" * 32, name="digits")
    return path


def test_what_goes_in_comes_out(ours: Path, moments: Moments, judge: Any) -> None:
    """Mean to the last bit; covariance to the rounding of one division and one product (2 ulp); and what the
    file says of itself."""
    found = load_statistics(ours)
    assert holds_statistics(ours)
    assert torch.equal(found.moments.mean, moments.mean)
    torch.testing.assert_close(found.moments.covariance, moments.covariance, rtol=1e-15, atol=0)
    assert (found.n, found.moments.n, found.fingerprint, found.name) == (40, 40, "ab" * 32, "digits")
    assert found.extractor == {
        "name": "linear",
        "weights_sha256": "0" * 64,
        "resize": "none",
        "precision": "float32",
    }
    found.check(judge)


def test_pytorch_fid_reads_ours(ours: Path, moments: Moments) -> None:
    """pytorch-fid's own loader gives back the arrays: mean and np.cov-style covariance, to the last bit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytorch_fid.fid_score import compute_statistics_of_path
    mean, covariance = compute_statistics_of_path(str(ours), None, 1, 5, "cpu")
    assert np.array_equal(mean, moments.mean.numpy())
    assert np.array_equal(covariance, moments.covariance.numpy())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_other_peoples_layouts(tmp_path: Path, judge: Any, dtype: Any) -> None:
    """mu and sigma as np.mean and np.cov make them, with ADM's mu_s and sigma_s beside them: taken, the count
    and the network unknown. float32 loses 1e-7 of each number."""
    rows = np.random.default_rng(0).normal(size=(30, 5))
    mu, sigma = rows.mean(0).astype(dtype), np.cov(rows, rowvar=False).astype(dtype)
    np.savez(tmp_path / "adm.npz", mu=mu, sigma=sigma, mu_s=np.zeros(7), sigma_s=np.eye(7))
    found = load_statistics(tmp_path / "adm.npz")
    assert (found.n, found.extractor, found.fingerprint, found.name) == (None, None, None, None)
    np.testing.assert_allclose(found.moments.mean.numpy(), rows.mean(0), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(
        found.moments.covariance.numpy(), np.cov(rows, rowvar=False), rtol=1e-6, atol=1e-7
    )
    found.check(judge)


def test_images_are_not_statistics(tmp_path: Path, ours: Path) -> None:
    """A reference batch of ADM that holds arr_0 is images, whatever lies beside it; a folder, another suffix
    and a file that is no archive are no statistics either."""
    np.savez(tmp_path / "batch.npz", arr_0=np.zeros((2, 4, 4, 3), np.uint8), mu=np.zeros(5), sigma=np.eye(5))
    (tmp_path / "broken.npz").write_bytes(b"PK")
    (tmp_path / "ours.zip").write_bytes(ours.read_bytes())
    for name in ("batch.npz", "broken.npz", "ours.zip", "nowhere.npz", "."):
        assert not holds_statistics(tmp_path / name), name


NAN = np.eye(3)
NAN[1, 1] = np.nan
SKEW = np.eye(3)
SKEW[0, 1] = 0.1


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"mu": np.zeros(3), "sigm": np.eye(3)}, "has no array sigma"),
        ({"sigma": np.eye(3)}, "has no array mu"),
        ({"mu": np.zeros(3), "sigma": np.eye(4)}, r"shapes \(3,\) and \(4, 4\)"),
        ({"mu": np.zeros((3, 1)), "sigma": np.eye(3)}, r"shapes \(3, 1\) and \(3, 3\)"),
        ({"mu": np.zeros(0), "sigma": np.zeros((0, 0))}, r"shapes \(0,\)"),
        ({"mu": np.zeros(3, np.int64), "sigma": np.eye(3)}, "mu in .* is int64 and not float64"),
        ({"mu": np.zeros(3), "sigma": NAN}, "sigma in .* holds NaN"),
        ({"mu": np.full(3, np.inf), "sigma": np.eye(3)}, "mu in .* holds NaN or infinity"),
        ({"mu": np.zeros(3), "sigma": SKEW}, "sigma in .* is not symmetric"),
        ({"mu": np.zeros(3), "sigma": -np.eye(3)}, "sigma in .* has a negative variance"),
        ({"mu": np.zeros(3), "sigma": np.eye(3), "benchbench": np.array("{")}, "what .* says of itself"),
        ({"mu": np.zeros(3), "sigma": np.eye(3), "benchbench": np.array('{"version": 9}')}, "version is 9"),
        ({"mu": np.array([None] * 3, dtype=object), "sigma": np.eye(3)}, "cannot read the statistics in"),
    ],
)
def test_a_file_that_is_wrong_says_how(tmp_path: Path, arrays: dict[str, Any], sentence: str) -> None:
    """One sentence that names the file, the array and what is the matter with it."""
    path = tmp_path / "wrong.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=sentence) as caught:
        load_statistics(path)
    assert str(path) in str(caught.value)


def test_a_truncated_file(ours: Path) -> None:
    """Half of it is no archive any more."""
    ours.write_bytes(ours.read_bytes()[: ours.stat().st_size // 2])
    with pytest.raises(InputError, match="cannot read the statistics in"):
        load_statistics(ours)


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "other"), ("weights_sha256", "1" * 64), ("resize", "tf1"), ("precision", "x")],
)
def test_another_network_is_refused_by_the_field_that_differs(
    ours: Path, judge: Any, field: str, value: str
) -> None:
    """One field of what the file says is changed; the sentence names it with both values."""
    with np.load(ours) as content:
        arrays = dict(content)
    about = json.loads(str(arrays["benchbench"]))
    expected = about["extractor"][field]
    about["extractor"][field] = value
    np.savez(ours, **{**arrays, "benchbench": np.array(json.dumps(about))})
    with pytest.raises(InputError, match=f"its {field.replace('_', ' ')} is {value} and not {expected}"):
        load_statistics(ours).check(judge)


def test_another_dimension_is_refused(tmp_path: Path, judge: Any) -> None:
    """Of a foreign file only the dimension is known: 7 is not the judge's 5."""
    np.savez(tmp_path / "seven.npz", mu=np.zeros(7), sigma=np.eye(7))
    with pytest.raises(InputError, match="7-dimensional features but linear makes 5"):
        load_statistics(tmp_path / "seven.npz").check(judge)


ABOUT: dict[str, Any] = {
    "version": 1,
    "n": 10,
    "extractor": {"name": "linear", "weights_sha256": "0" * 64, "resize": "none", "precision": "float32"},
    "fingerprint": "a" * 64,
    "name": "digits",
}


def _network(**changes: Any) -> dict[str, Any]:
    return {"extractor": ABOUT["extractor"] | changes}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"version": "1"}, "version"),
        ({"version": True}, "version"),
        ({"version": None}, "version"),
        ({"n": 1}, "n"),
        ({"n": -5}, "n"),
        ({"n": True}, "n"),
        ({"n": "10"}, "n"),
        ({"n": 10.5}, "n"),
        ({"n": [10]}, "n"),
        ({"n": None}, "n"),
        ({"n": 10**400}, "n"),
        ({"extractor": []}, "extractor"),
        ({"extractor": "linear"}, "extractor"),
        ({"extractor": None}, "extractor"),
        (_network(name=7), "extractor.name"),
        (_network(name=""), "extractor.name"),
        (_network(precision=[]), "extractor.precision"),
        (_network(weights_sha256=None), "extractor.weights_sha256"),
        (_network(more="x"), "extractor.more"),
        ({"fingerprint": 7}, "fingerprint"),
        ({"fingerprint": "x" * 64}, "fingerprint"),
        ({"fingerprint": {}}, "fingerprint"),
        ({"name": 7}, "name"),
        ({"name": []}, "name"),
        ({"name": ""}, "name"),
        ({"name": "../../elsewhere"}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": ".hidden"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 300}, "name"),
    ],
)
def test_a_description_of_another_type_is_named(change: dict[str, Any], where: str, tmp_path: Path) -> None:
    """Each field has its type and bounds; the name becomes that of a folder, so it leads nowhere."""
    path = tmp_path / "x.npz"
    np.savez(path, mu=np.zeros(3), sigma=np.eye(3), benchbench=np.array(json.dumps(ABOUT | change)))
    with pytest.raises(InputError, match=rf"says of itself cannot be read \(its {where} is "):
        load_statistics(path)


@pytest.mark.parametrize("missing", ABOUT)
def test_a_description_that_lacks_a_field(missing: str, tmp_path: Path) -> None:
    """Every field is needed."""
    about = {key: value for key, value in ABOUT.items() if key != missing}
    np.savez(tmp_path / "x.npz", mu=np.zeros(3), sigma=np.eye(3), benchbench=np.array(json.dumps(about)))
    with pytest.raises(InputError, match=f"its {missing} is .*ield required"):
        load_statistics(tmp_path / "x.npz")


@pytest.mark.parametrize(
    "about",
    [
        np.array("[]"),
        np.array("7"),
        np.array('"x"'),
        np.array("null"),
        np.array("{"),
        np.array("[" * 100_000),
        np.array(""),
        np.array(7),
        np.array(["{}", "{}"]),
        np.array(b"{}"),
        np.zeros(3),
    ],
)
def test_a_description_that_is_none(about: np.ndarray, tmp_path: Path) -> None:
    """It is one text with a JSON object in it."""
    np.savez(tmp_path / "x.npz", mu=np.zeros(3), sigma=np.eye(3), benchbench=about)
    with pytest.raises(InputError, match="says of itself cannot be read") as refused:
        load_statistics(tmp_path / "x.npz")
    assert len(str(refused.value)) < 700


def test_the_description_that_these_tests_change_is_one(tmp_path: Path) -> None:
    """As it stands it is taken, with statistics of float16, float32 and long double alike."""
    for kind in (np.float16, np.float32, np.longdouble):
        arrays = {"mu": np.zeros(3, kind), "sigma": np.eye(3, dtype=kind)}
        np.savez(tmp_path / "x.npz", **arrays, benchbench=np.array(json.dumps(ABOUT)))
        assert load_statistics(tmp_path / "x.npz").n == 10


@pytest.mark.parametrize(
    ("mu", "sigma", "sentence"),
    [
        (np.zeros(3), np.zeros((3, 3)), "sigma is zero"),
        (np.ones(3), np.zeros((3, 3)), "sigma is zero"),
        (np.zeros(3), 1e200 * np.eye(3), r"exceeds 1e\+100"),
        (np.full(3, 1e200), np.eye(3), r"exceeds 1e\+100"),
        (np.zeros(2), np.array([[1.0, 2], [2, 1]]), "exceeds its variances"),
        (np.zeros(2), np.array([[0.0, 1], [1, 0]]), "exceeds its variances"),
        (np.zeros(3, complex), np.eye(3), "mu in .* is complex128"),
        (np.zeros(3), np.eye(3, dtype=bool), "sigma in .* is bool"),
        (np.array(["a", "b"]), np.eye(2), "mu in .* is <U1"),
        (np.array(0.0), np.array(1.0), "shapes"),
    ],
)
def test_statistics_that_no_images_have(
    mu: np.ndarray, sigma: np.ndarray, sentence: str, tmp_path: Path
) -> None:
    """A covariance is none where it is zero, or where |σᵢⱼ|² exceeds σᵢᵢ σⱼⱼ (Cauchy and Schwarz)."""
    np.savez(tmp_path / "x.npz", mu=mu, sigma=sigma)
    with pytest.raises(InputError, match=sentence):
        load_statistics(tmp_path / "x.npz")


def test_names_with_ref_before_them(tmp_path: Path) -> None:
    """`ref_mu` and its like are mu and its like, alone and beside images; a file with both is refused, since nobody can
    tell which counts."""
    rng = np.random.default_rng(0)
    features, others = rng.normal(size=(50, 5)), rng.normal(size=(50, 7))
    told = {
        "mu": features.mean(0),
        "sigma": np.cov(features, rowvar=False),
        "mu_s": others.mean(0),
        "sigma_s": np.cov(others, rowvar=False),
    }
    images = np.zeros((3, 8, 8, 3), np.uint8)
    for beside in ({}, {"arr_0": images}):
        np.savez(tmp_path / "plain.npz", **told, **beside)  # type: ignore[arg-type]
        np.savez(tmp_path / "ref.npz", **{f"ref_{key}": own for key, own in told.items()}, **beside)  # type: ignore[arg-type]
        plain, ref = (load_statistics(tmp_path / f"{name}.npz") for name in ("plain", "ref"))
        assert torch.equal(plain.moments.covariance, ref.moments.covariance)
        assert plain.spatial is not None
        assert ref.spatial is not None
        assert torch.equal(plain.spatial.mean, ref.spatial.mean)
        assert holds_statistics(tmp_path / "ref.npz") is not bool(beside)
        assert statistics_beside_images(tmp_path / "ref.npz") is bool(beside)
    np.savez(tmp_path / "both.npz", **told, ref_mu=told["mu"])  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"both\.npz has both mu and ref_mu"):
        load_statistics(tmp_path / "both.npz")
