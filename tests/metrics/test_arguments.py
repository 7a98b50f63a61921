"""Every function that takes arrays: the right number from any array of real numbers, and a sentence for anything else.

The functions are called with features, logits, labels, moments and images in every form that people have them in, and
with arrays that mean nothing: nothing in them, one row, not a number, infinite, as large and as small as floats go,
truth values, complex numbers, too few or too many axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy

import benchbench
from benchbench.cli import cli
from benchbench.core.errors import InputError, MetricFailed
from benchbench.metrics.pairs.dists import dists
from benchbench.metrics.pairs.fsim import fsim
from benchbench.metrics.pairs.gmsd import gmsd
from benchbench.metrics.pairs.niqe import NUMBERS, Pristine, niqe
from benchbench.metrics.pairs.paired import mae, ms_ssim, mse, psnr, ssim
from benchbench.metrics.pairs.path_length import step_ends
from benchbench.metrics.pairs.pose import pose_error
from benchbench.metrics.pairs.preservation import cosine_distance, input_diversity
from benchbench.metrics.pairs.vif import vif
from benchbench.metrics.sets.adm import inception_scores_of_parts
from benchbench.metrics.sets.class_wise import diversity_by_class, frechet_distance_by_class
from benchbench.metrics.sets.cmmd import cmmd
from benchbench.metrics.sets.feature_likelihood import feature_likelihood_divergence, generalization_gap
from benchbench.metrics.sets.frechet import (
    fd_infinity,
    frechet_distance,
    frechet_distance_from_features,
    frechet_standard_error,
)
from benchbench.metrics.sets.frechet_ratio import fd_ratio, fd_ratio_standard_error
from benchbench.metrics.sets.inception_score import inception_score
from benchbench.metrics.sets.intra_class import intra_class_ms_ssim
from benchbench.metrics.sets.kernel import Subsets, kernel_distance
from benchbench.metrics.sets.memorization import authpct, ct_score, nn_distance_ratio
from benchbench.metrics.sets.mode_collapse import (
    birthday_support,
    class_kl,
    class_shares,
    class_tv,
    duplicate_rate,
    has_twin,
    modes_covered,
    ndb,
    typical_distance,
)
from benchbench.metrics.sets.prdc import clipped_density_coverage, prdc, symmetric_precision_recall
from benchbench.metrics.sets.probabilistic import p_precision_recall
from benchbench.metrics.sets.real_side import effective_rank
from benchbench.metrics.sets.rke import rke
from benchbench.metrics.sets.sliced import sliced_wasserstein
from benchbench.metrics.sets.vendi import vendi_score, vendi_standard_error

REFUSED = (InputError, MetricFailed, ValueError)
RNG = np.random.default_rng(0)
X, Y, Z = (RNG.normal(size=(40, 3)) + shift for shift in (0.0, 0.3, 0.1))
IMAGES, OTHERS = (RNG.integers(0, 256, (3, 3, 12, 13), dtype=np.uint8) for _ in range(2))
HALVES = [0, 1] * 20
PLACES = np.linspace(0, 1, 40)
COV = np.cov(X, rowvar=False)
PRISTINE = Pristine(torch.zeros(NUMBERS).double(), torch.eye(NUMBERS).double())

# Of two sets of features.
OF_TWO: dict[str, Callable[[Any, Any], Any]] = {
    "frechet_distance_from_features": frechet_distance_from_features,
    "frechet_standard_error": frechet_standard_error,
    "fd_infinity": lambda x, y: fd_infinity(x, y).value,
    "kernel_distance": lambda x, y: kernel_distance(x, y).value,
    "prdc": lambda x, y: prdc(x, y)["density"],
    "clipped_density_coverage": lambda x, y: sum(clipped_density_coverage(x, y).values()),
    "fd_ratio": lambda x, y: fd_ratio(x, y, Z),
    "fd_ratio, held out": lambda x, y: fd_ratio(Z, y, x),
    "fd_ratio_standard_error": lambda x, y: fd_ratio_standard_error(x, y, Z),
    "cmmd": cmmd,
    "sliced_wasserstein": lambda x, y: sliced_wasserstein(x, y, projections=8).value,
    "ndb": lambda x, y: ndb(x, y, bins=3).different,
    "authpct": authpct,
    "nn_distance_ratio": lambda x, y: nn_distance_ratio(x, y, Z),
    "ct_score": lambda x, y: ct_score(x, Z, y),
    "frechet_distance_by_class": lambda x, y: sum(frechet_distance_by_class(x, HALVES, y, HALVES).values()),
    "diversity_by_class": lambda x, y: sum(diversity_by_class(x, HALVES, y, HALVES).values()),
    "cosine_distance": lambda x, y: cosine_distance(x, y).sum(),
    "symmetric_precision_recall": lambda x, y: symmetric_precision_recall(x, y)["sym_recall"],
    "p_precision_recall": lambda x, y: p_precision_recall(x, y)["p_precision"],
    "feature_likelihood_divergence": lambda x, y: feature_likelihood_divergence(x, Z, y),
    "generalization_gap": lambda x, y: generalization_gap(Z, x, y),
    "step_ends": lambda x, y: step_ends(x, y, PLACES, interpolation="spherical")[1].sum(),
}
# Of one.
OF_ONE: dict[str, Callable[[Any], Any]] = {
    "vendi_score": vendi_score,
    "vendi_standard_error": vendi_standard_error,
    "vendi_score, truncated": lambda x: vendi_score(x, 2, 3),
    "rke": rke,
    "rke, gaussian": lambda x: rke(x, 1.0),
    "effective_rank": effective_rank,
    "typical_distance": typical_distance,
    "has_twin": lambda x: has_twin(x, 0.1).sum(),
    "birthday_support": lambda x: birthday_support(x, 1.0),
    "inception_score": lambda x: inception_score(x, splits=2).value,
    "inception_scores_of_parts": lambda x: inception_scores_of_parts(x, 15).sum(),
}
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    **{name: lambda x, call=call: call(x, Y) for name, call in OF_TWO.items()},
    **{f"{name}, the other side": lambda x, call=call: call(Y, x) for name, call in OF_TWO.items()},
    **OF_ONE,
    "input_diversity": lambda x: input_diversity(x).sum(),
    "frechet_distance, mean": lambda x: frechet_distance(x, COV, X[0], COV),
    "frechet_distance, covariance": lambda x: frechet_distance(X[0], x, Y[0], COV),
    "class_shares": lambda x: class_shares(x, 3).sum(),
    "modes_covered": lambda x: modes_covered(x, 3),
    "class_kl": lambda x: class_kl([0, 1], x),
    "class_tv": lambda x: class_tv([0, 1], x),
    "psnr": lambda x: psnr(x, OTHERS).min(),
    "ssim": lambda x: ssim(x, OTHERS).sum(),
    "ms_ssim": lambda x: ms_ssim(x, OTHERS).sum(),
    "mse": lambda x: mse(x, OTHERS).sum(),
    "mae": lambda x: mae(OTHERS, x).sum(),
    "pose_error": lambda x: pose_error(x, OTHERS).sum(),
    "gmsd": lambda x: gmsd(x, OTHERS).sum(),
    "fsim": lambda x: fsim(x, OTHERS).sum(),
    "vif": lambda x: vif(x, OTHERS).sum(),
    "dists": lambda x: dists(x, OTHERS).sum(),
    "niqe": lambda x: niqe(x, PRISTINE).sum(),
    "duplicate_rate": duplicate_rate,
    "intra_class_ms_ssim": lambda x: sum(intra_class_ms_ssim(x, [0, 0, 1]).values()),
}  # fmt: skip
HOSTILE: dict[str, Any] = {
    "nothing": np.zeros((0, 3)),
    "no dimensions": np.zeros((40, 0)),
    "neither": np.zeros((0, 0)),
    "one row": X[:1],
    "two rows": X[:2],
    "zeros": np.zeros((40, 3)),
    "all alike": np.ones((40, 3)),
    "not a number": np.where(np.arange(120).reshape(40, 3) == 7, np.nan, X),
    "infinite": np.where(np.arange(120).reshape(40, 3) == 7, np.inf, X),
    "both infinities": np.where(np.arange(120).reshape(40, 3) % 2 == 0, np.inf, -np.inf),
    "huge": X * 1e300,
    "huge for float32": (X * 1e30).astype(np.float32),
    "tiny": X * 1e-300,
    "tiny for float32": (X * 1e-30).astype(np.float32),
    "an outlier": np.concatenate([X[:-1], np.full((1, 3), 1e200)]),
    "truth values": X > 0,
    "complex": X + 1j,
    "whole numbers": (X * 10).astype(np.int64),
    "bytes": (X * 10).astype(np.uint8),
    "half": X.astype(np.float16),
    "one axis": X[:, 0],
    "no axis": np.float64(3.0),
    "three axes": np.zeros((4, 3, 2)),
    "other dimensions": X[:, :2],
    "text": np.array([["a", "b"]]),
    "objects": np.array([[object()]]),
    "dates": np.array([["2020-01-01"]], dtype="datetime64[D]"),
    "masked": np.ma.masked_greater(X, 1.0),
    "sparse": torch.tensor(X).to_sparse(),
    "quantised": torch.quantize_per_tensor(torch.tensor(X).float(), 0.1, 0, torch.qint8),
    "meta": torch.empty(40, 3, device="meta"),
    "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "images of no pixels": np.zeros((3, 3, 0, 5), np.uint8),
    "no images": np.zeros((0, 3, 12, 13), np.uint8),
    "images that are larger": np.zeros((3, 3, 14, 14), np.uint8),
    "grey images": np.zeros((3, 1, 12, 13), np.uint8),
    "images, channels last": np.zeros((3, 12, 13, 3), np.uint8),
    "images of floats": np.zeros((3, 3, 12, 13)),
    "negative definite": -np.eye(3),
    "not symmetric": np.eye(3) + np.triu(np.ones((3, 3)), 1),
    "singular": np.diag([1.0, 1.0, 0.0]),
    "indefinite": np.diag([1.0, -0.5, 1.0]),
    "a matrix of zeros": np.zeros((3, 3)),
    "huge covariance": np.eye(3) * 1e300,
    "labels": np.array([0, 1, 2, 2]),
    "labels below": np.array([-1, 0]),
    "labels beyond": np.array([10**12]),
    "shares of nothing": np.zeros(3),
    "shares below": np.array([0.5, -0.5, 1.0]),
    "None": None,
    "a word": "features",
    "a number": 3,
    "a mapping": {"mu": X},
    "ragged": [[1.0], [1.0, 2.0]],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_number_or_a_sentence(name: str) -> None:
    """What comes out is a number, or a sentence of ours says why there is none; PSNR of equal images is infinite."""
    for form, array in HOSTILE.items():
        number_or_sentence(name, array, form)


def number_or_sentence(name: str, array: Any, form: str) -> None:
    found = _outcome(FUNCTIONS[name], array)
    if isinstance(found, str):
        assert 10 < len(found) < 400, form
        assert "\n" not in found, form
    else:
        assert math.isfinite(found) or name == "psnr", form


@settings(deadline=None, max_examples=60)
@given(
    of_numpy.arrays(
        st.sampled_from(
            [np.float64, np.float32, np.float16, np.int8, np.uint16, np.int64, np.bool_, np.complex64]
        ),
        of_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9),
    ),
    st.sampled_from(sorted(FUNCTIONS)),
)
def test_any_array_of_numpy(array: np.ndarray, name: str) -> None:
    """The same of arrays that hypothesis makes: any dtype, shape and value, NaN and the largest floats among them."""
    number_or_sentence(name, array, repr(array))


class Shared:
    """An array of another library, which shares its memory and nothing else."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor = tensor

    def __dlpack__(self, **asked: Any) -> Any:
        return self._tensor.__dlpack__()

    def __dlpack_device__(self) -> Any:
        return self._tensor.__dlpack_device__()


class Converted:
    """One that knows how to become one of NumPy's."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self._array


def _forms(array: np.ndarray) -> Iterator[tuple[str, Any]]:
    """The same numbers in every form."""
    tensor = torch.from_numpy(array.copy())
    frozen = array.copy()
    frozen.flags.writeable = False
    yield "tensor", tensor
    yield "byte order", array.astype(array.dtype.newbyteorder(">"))
    yield "backwards", array[::-1].copy()[::-1]
    yield "Fortran", np.asfortranarray(array)
    yield "read only", frozen
    yield "lists", array.tolist()
    yield "rows of tensors", list(tensor)
    yield "dlpack", Shared(tensor)
    yield "array", Converted(array)
    yield "not contiguous", tensor.mT.contiguous().mT if tensor.ndim > 1 else tensor
    if tensor.is_floating_point():
        yield "gradients", tensor.clone().requires_grad_()
        yield "parameter", torch.nn.Parameter(tensor.clone())
        yield "negative bit", torch.complex(torch.zeros_like(tensor), -tensor).conj().imag
        yield "extended", array.astype(np.longdouble)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if not name.startswith(("class", "modes"))])
def test_one_number_in_every_form(name: str) -> None:
    """Oracle: the same call with an array of NumPy, as it came."""
    of_images = name in ("psnr", "ssim", "mse", "mae", "pose_error", "gmsd", "fsim", "duplicate_rate")
    if name in ("ms_ssim", "intra_class_ms_ssim", "vif", "dists", "niqe"):
        pytest.skip("of images that are 32 to 161 pixels wide, with the same door")
    given_ = IMAGES if of_images else X[0] if "mean" in name else COV if "covariance" in name else X
    if name == "fd_infinity":
        given_ = np.concatenate([X, Z])
    if name == "input_diversity":
        given_ = np.stack([X, Y], 1)
    expected = _outcome(FUNCTIONS[name], given_)
    for form, same in _forms(given_):
        if form == "lists" and of_images:
            continue  # numbers without a type are no bytes
        found = _outcome(FUNCTIONS[name], same)
        assert found == (expected if isinstance(expected, str) else pytest.approx(expected, rel=1e-9)), form


def _outcome(call: Callable[[Any], Any], given_: Any) -> Any:
    try:
        return float(call(given_))
    except REFUSED as error:
        return str(error)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.int32])
def test_less_precise_numbers_are_computed_as_what_they_are(dtype: torch.dtype) -> None:
    """Oracle: the same numbers in float64; what is computed in float32 differs by its rounding."""
    x, y = (torch.from_numpy(side * 8).to(dtype) for side in (X, Y))
    for call in OF_TWO.values():
        expected, found = (
            _outcome(lambda _, call=call: call(x.double(), y.double()), 0),
            _outcome(lambda _, call=call: call(x, y), 0),
        )
        assert found == (
            expected if isinstance(expected, str) else pytest.approx(expected, rel=1e-4, abs=1e-6)
        )


def test_numbers_do_not_depend_on_the_default_dtype() -> None:
    """Oracle: the same calls under torch's own default, float32: equal to the bit."""
    x, y = torch.from_numpy(X).float(), torch.from_numpy(Y).float()

    def everything() -> list[Any]:
        of_two = [_outcome(lambda _, call=call: call(x, y), 0) for call in OF_TWO.values()]
        of_one = [_outcome(call, x) for call in OF_ONE.values()]
        return [*of_two, *of_one, _outcome(FUNCTIONS["ssim"], IMAGES), _outcome(FUNCTIONS["psnr"], IMAGES)]

    expected = everything()
    torch.set_default_dtype(torch.float64)
    try:
        assert everything() == expected
    finally:
        torch.set_default_dtype(torch.float32)


def test_scale_changes_what_it_must() -> None:
    """Closed form: distances scale with the features, squared ones with the square, shares not at all; a power of two
    is exact, at the ends of float64 as well."""
    for unit in (2.0**-900, 2.0**-80, 1.0, 2.0**80, 2.0**400):
        assert prdc(X * unit, Y * unit) == prdc(X, Y)
        assert clipped_density_coverage(X * unit, Y * unit) == clipped_density_coverage(X, Y)
        assert rke(X * unit) == pytest.approx(rke(X), rel=1e-12)
        assert effective_rank(X * unit) == pytest.approx(effective_rank(X), rel=1e-12)
        assert vendi_score(X * unit) == pytest.approx(vendi_score(X), rel=1e-12)
        assert typical_distance(X * unit) == pytest.approx(typical_distance(X) * unit, rel=1e-12)
        assert cmmd(X * unit, Y * unit) == pytest.approx(cmmd(X, Y), rel=1e-9)
    for unit in (2.0**-500, 2.0**-80, 2.0**80, 2.0**500):
        a, b = frechet_distance_from_features(X * unit, Y * unit), frechet_distance_from_features(X, Y)
        assert a == pytest.approx(b * unit * unit, rel=1e-9)
        with_moments = frechet_distance(X[0] * unit, COV * unit**2, Y[0] * unit, COV * unit**2)
        assert with_moments == pytest.approx(frechet_distance(X[0], COV, Y[0], COV) * unit**2, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: frechet_distance(X[0], -COV, X[0], COV), "negative eigenvalue"),
        (lambda: frechet_distance(X[0], COV, X[0], np.diag([1.0, -1e-3, 1.0])), "negative eigenvalue"),
        (lambda: frechet_distance(X[0], COV + np.triu(np.ones((3, 3)), 1), X[0], COV), "not symmetric"),
        (lambda: frechet_distance(X[0], COV, X[0][:2], COV), "do not fit together"),
        (lambda: frechet_distance(X[0], COV, X[0], COV[:2]), "do not fit together"),
        (lambda: frechet_distance([], np.zeros((0, 0)), [], np.zeros((0, 0))), "do not fit together"),
        (lambda: frechet_distance(X[0], COV * 1e308, X[0], np.eye(3)), "NaN or infinity|float64"),
        (lambda: kernel_distance(X * 1e120, Y), "does not fit into float64"),
        (
            lambda: kernel_distance(X, Y, Subsets(torch.tensor([[0, 99]]), torch.tensor([[0, 1]]))),
            "of 40 images",
        ),
        (
            lambda: kernel_distance(X, Y, Subsets(torch.tensor([[0]]), torch.tensor([[0]]))),
            "at least two rows",
        ),
        (lambda: Subsets.draw(40, 40, 0, 5), "number of subsets must be at least 1"),
        (lambda: Subsets.draw(40, 40, 5, 1), "size of a subset must be at least 2"),
        (lambda: prdc(X, Y, k=-1), "k must be at least 1, not -1"),
        (lambda: prdc(X, Y, k=0), "k must be at least 1, not 0"),
        (lambda: prdc(X, Y, k=40), "needs at least 41 images but has 40"),
        (lambda: prdc(X, Y, k=10**30), "at least|more than"),
        (lambda: prdc(X, Y, k=2.5), "k must be a whole number, not 2.5"),  # type: ignore[arg-type]
        (lambda: prdc(X, Y, k=True), "k must be a whole number, not True"),
        (lambda: inception_score(np.zeros((40, 0))), "vectors of no numbers"),
        (lambda: inception_score(X, splits=0), "number of splits must be at least 1"),
        (lambda: inception_score(X, splits=-3), "number of splits must be at least 1"),
        (lambda: inception_score(X, splits=21), "needs 42 images but has 40"),
        (lambda: inception_score(X, seed=-1), "a seed must be at least 0"),
        (lambda: inception_score(X, splits=2, order=np.zeros(40, int)), "an order of 40 rows"),
        (lambda: inception_score(np.abs(X) / np.abs(X).sum(1, keepdims=True)), "these are probabilities"),
        (lambda: vendi_score(X, q=-1), "must be a number of 0 or more"),
        (lambda: vendi_score(X, q=math.nan), "must be a number of 0 or more"),
        (lambda: vendi_score(X, q="many"), "must be a number of 0 or more"),  # type: ignore[arg-type]
        (lambda: vendi_score(X, t=0), "eigenvalues that are kept must be at least 1, not 0"),
        (lambda: vendi_score(X, t=2.5), "must be a whole number, not 2.5"),  # type: ignore[arg-type]
        (lambda: rke(X, -1), "width of a kernel must be a number above 0"),
        (lambda: ssim(IMAGES, OTHERS, crop_border=-1), "at least 0"),
        (lambda: ssim(IMAGES, OTHERS, crop_border=10**30), "at most 9999"),
        (lambda: psnr(IMAGES, OTHERS, crop_border=6), "cannot cut a border of 6"),
        (lambda: has_twin(X, math.nan), "a distance must be a number of 0 or more"),
        (lambda: birthday_support(X, -1), "a distance must be a number of 0 or more"),
        (lambda: ndb(X, Y, bins=0), "number of bins must be at least 1"),
        (lambda: ndb(X, Y, bins=3, level=2), "between 0 and 1"),
        (lambda: ndb(X, Y, bins=3, seed=2**32), "a seed must be at most"),
        (lambda: modes_covered([0, 1], 0), "number of classes must be at least 1"),
        (lambda: modes_covered([0, 1], 10**12), "number of classes must be at most"),
        (lambda: class_shares([], 3), "no labels|must be integers"),
        (lambda: ct_score(X, Z, Y, [np.zeros(3, int)] * 3), "one label for each"),
        (lambda: inception_scores_of_parts(X, 0), "images of a part must be at least 1, not 0"),
        (lambda: inception_scores_of_parts(X, 2.5), "images of a part must be a whole number"),  # type: ignore[arg-type]
        (
            lambda: step_ends(X, Y, PLACES, interpolation="cubic"),
            "linear or spherical; .* no interpolation 'cubic'",
        ),  # type: ignore[arg-type]
        (
            lambda: step_ends(X, Y, PLACES + 1, interpolation="linear"),
            "places on paths must be numbers from 0",
        ),
        (
            lambda: step_ends(X, Y, PLACES * np.nan, interpolation="linear"),
            "places on paths must be numbers from 0",
        ),
        (lambda: dists(IMAGES[:0], OTHERS[:0]), "no paired images to compare"),
        (lambda: gmsd(IMAGES * 1e200, OTHERS, levels=True), "1404 grey levels .* beyond float32"),
    ],
)
def test_what_is_wrong_is_said(call: Callable[[], object], sentence: str) -> None:
    """One sentence that names the argument."""
    with pytest.raises(REFUSED, match=sentence):
        call()


WITH_HELD_OUT: dict[str, Callable[[Any], Any]] = {
    "fd_ratio": lambda h: fd_ratio(X, Y, h),
    "fd_ratio_standard_error": lambda h: fd_ratio_standard_error(X, Y, h),
    "feature_likelihood_divergence": lambda h: feature_likelihood_divergence(X, h, Y),
    "generalization_gap": lambda h: generalization_gap(X, h, Y),
    "nn_distance_ratio": lambda h: nn_distance_ratio(X, Y, h),
    "ct_score": lambda h: ct_score(X, h, Y),
}


@pytest.mark.parametrize("name", WITH_HELD_OUT)
@pytest.mark.parametrize("form", ["not a number", "one axis", "nothing", "text"])
def test_of_three_sides_the_wrong_one_is_named(name: str, form: str) -> None:
    """By definition: where the held-out features are wrong the sentence says so, and not the generated ones."""
    with pytest.raises(REFUSED, match="the held-out features"):
        WITH_HELD_OUT[name](HOSTILE[form])


def test_where_features_lie_changes_no_likelihood() -> None:
    """Closed form: features are standardised, so that 10⁶ more in each of them changes nothing; beside it float64 has
    their differences to 1e-10. Likelihoods are computed in float32: 1e-5."""
    for call in (feature_likelihood_divergence, generalization_gap):
        assert call(X + 1e6, Z + 1e6, Y + 1e6) == pytest.approx(call(X, Z, Y), rel=1e-5, abs=1e-5)


def test_paths_scale_with_their_latents() -> None:
    """Closed form: an arc between latents that are c times as long is c times as long, at the ends of float64 too;
    1e-12 for rounding. One between a latent of 0 and another is straight, of which half is half of the other."""
    expected = step_ends(X, Y, PLACES, interpolation="spherical")[1]
    for unit in (1e-200, 1e-30, 1e30, 1e200):
        found = step_ends(X * unit, Y * unit, PLACES, interpolation="spherical")[1] / unit
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    half = step_ends(0 * X, Y, PLACES * 0 + 0.5, interpolation="spherical")[0]
    torch.testing.assert_close(half, torch.from_numpy(Y) / 2, rtol=1e-12, atol=0)


def test_a_covariance_in_float32_is_one() -> None:
    """Products in float32 are symmetric and semidefinite but for rounding; that much is taken. Oracle: float64."""
    x, y = (torch.randn(400, 64, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    covs = [(z - z.mean(0)).T @ (z - z.mean(0)) / 399 for z in (x, y)]
    covs[0] = covs[0] + torch.triu(torch.full((64, 64), 1e-6), 1)
    found = frechet_distance(x.mean(0), covs[0], y.mean(0), covs[1])
    assert found == pytest.approx(frechet_distance_from_features(x.double(), y.double()), rel=1e-3)


def test_every_function_of_the_package_is_tried() -> None:
    """By definition: what the package hands out and takes arrays is in the table above."""
    tried = {name.partition(",")[0] for name in FUNCTIONS}
    verbs = {*cli.commands, "list_things", "plan"}  # each is a function too
    others = verbs | {"load_results", "__version__", "generator", "Scorer", "ranks"}
    assert set(benchbench.__all__) - others - tried <= {
        name for name in benchbench.__all__ if not callable(getattr(benchbench, name))
    }
