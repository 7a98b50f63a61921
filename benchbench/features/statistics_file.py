"""Reference statistics in a file: the mean and covariance of features, ours and other people's.

Layout: an .npz with `mu` float64 (D,) and `sigma` float64 (D, D), the unbiased covariance, as pytorch-fid,
clean-fid and the reference batches of ADM's evaluator have it (the latter with `mu_s` and `sigma_s` of its
sFID beside them, statistics of another layer). Each may have `ref_` before its name. Ours hold one more text,
`benchbench`: a JSON object that says how many images they are of, of which pixels and by which network. So our files
serve those tools, and theirs serve us; but of theirs nobody knows the number of images, the network or its resize,
and a record must say so.

Scope: what is in the file, checked. An .npz that holds images under one of the names for them is images; where
statistics lie beside them, as in ADM's reference batches, they are of more images than these, and whoever takes the
file as a reference has both.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_path
from benchbench.core.hashing import canonical_json, file_sha256
from benchbench.core.numpy_files import DAMAGE, read_arrays
from benchbench.core.reading import open_regular
from benchbench.core.validation import first_fault
from benchbench.data.sources.arrays import IMAGE_KEYS
from benchbench.features.extractor import Extractor
from benchbench.features.moments import Moments

VERSION = 1
SYMMETRY = (
    1e-6  # |σᵢⱼ − σⱼᵢ| over the largest |σ|: files in float32 differ by 1e-7, another matrix by far more
)
_OF_LAYERS = ("mu", "sigma", "mu_s", "sigma_s")
_SPELLED = {**{key: key for key in _OF_LAYERS}, **{f"ref_{key}": key for key in _OF_LAYERS}}
"""Under which names files have them, and what they are."""
LARGEST = 1e100
"""Of a mean or a covariance; their squares must be numbers too."""

_NETWORK = ("name", "weights_sha256", "resize", "precision")


@dataclass(frozen=True)
class Statistics:
    """The content of a statistics file.

    moments: of the features. n: how many images they are of, None for a file that does not say; `moments` has
    then a count at which its covariance may have full rank, and only mean and covariance of it mean anything.
    spatial: of ADM's other layer, None where the file has none.
    extractor: name, weights_sha256, resize and precision of the network, None for a file that does not say.
    fingerprint, name: of the images, likewise. sha256: of the file.
    """

    path: Path
    moments: Moments
    n: int | None
    extractor: dict[str, str] | None
    fingerprint: str | None
    name: str | None
    sha256: str
    spatial: Moments | None = None

    def of(self, extractor: Extractor) -> Moments | None:
        """The moments of this network's features. Of a file that names no network those of as many dimensions; None
        where there are none."""
        if self.extractor is not None:
            return self.moments
        both = (self.moments, self.spatial)
        return next((own for own in both if own is not None and own.dim == extractor.dim), None)

    def check(self, extractor: Extractor) -> None:
        """`InputError` that names the field in which `extractor` is not the network of this file."""
        ours = extractor.describe()
        if self.extractor is None:
            if self.of(extractor) is None:
                raise InputError(
                    f"{self.path} has statistics of {self.moments.dim}-dimensional features but "
                    f"{extractor.name} makes {extractor.dim}; name the network of the file with --extractor"
                )
            if ours["precision"] != "float32":
                raise InputError(
                    f"{self.path} does not say in which precision its network computed; that of other software "
                    f"is float32, so leave --precision {ours['precision']} out"
                )
            return
        for field in _NETWORK:
            if self.extractor[field] != ours[field]:
                raise InputError(
                    f"{self.path} does not fit {extractor.name}: its {field.replace('_', ' ')} is "
                    f"{self.extractor[field]} and not {ours[field]}; make the statistics again with "
                    "`benchbench stats`, or choose their network with --extractor and --precision"
                )


Text = Annotated[str, Field(min_length=1, max_length=500)]


class Network(BaseModel):
    """By which network features were made, as `Extractor.describe` has it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Text
    weights_sha256: Text
    resize: Text
    precision: Text


class About(BaseModel):
    """What our files say of themselves. n: the number of images. name: what records call them, so it is no path."""

    model_config = ConfigDict(strict=True)

    version: Annotated[int, Field(ge=VERSION, le=VERSION)]
    n: Annotated[int, Field(ge=2, le=10**12)]
    extractor: Network
    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    name: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f/\\.][^\x00-\x1f\x7f/\\]*$", max_length=200)]


def holds_statistics(path: Path) -> bool:
    """Whether `path` is an .npz with `mu` or `sigma` and without images."""
    keys = _keys(path)
    return bool(keys & {"mu", "sigma"}) and not keys & set(IMAGE_KEYS)


def statistics_beside_images(path: Path) -> bool:
    """Whether `path` is an .npz with images and, beside them, statistics or a part of some: reading it says what is
    missing, for distances to the images would be other numbers."""
    keys = _keys(path)
    return bool(keys & set(_OF_LAYERS)) and bool(keys & set(IMAGE_KEYS))


def _keys(path: Path) -> set[str]:
    """The names of the arrays in an .npz, statistics without `ref_`; none for what is no such file."""
    if path.suffix.lower() != ".npz":
        return set()
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            return {_SPELLED.get(name, name) for name in names}
    except (*DAMAGE, InputError):
        return set()  # whoever reads it as images says what is wrong


def save_statistics(
    path: Path | str, moments: Moments, extractor: Extractor, *, fingerprint: str, name: str
) -> None:
    """Write `moments` of the images with this `fingerprint`, atomically; `name` is what the images are called."""
    network = extractor.describe()
    about = {
        "version": VERSION,
        "n": moments.n,
        "extractor": {field: network[field] for field in _NETWORK},
        "fingerprint": fingerprint,
        "name": name,
    }
    mu, sigma = moments.mean.cpu().numpy(), moments.covariance.cpu().numpy()
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, mu=mu, sigma=sigma, benchbench=np.array(canonical_json(about)))


def load_statistics(path: Path) -> Statistics:
    """Read and check a file; `InputError` says what is wrong with it."""
    try:
        found = _unspelled(path, read_arrays(path, (*_SPELLED, "benchbench")))
    except DAMAGE as error:
        raise InputError(f"cannot read the statistics in {path} ({error}); make the file again") from error
    about = _about(path, found["benchbench"]) if "benchbench" in found else None
    n = None if about is None else about.n
    return Statistics(
        path=path,
        moments=_moments(path, found, "mu", "sigma", n),
        n=n,
        extractor=None if about is None else about.extractor.model_dump(),
        fingerprint=None if about is None else about.fingerprint,
        name=None if about is None else about.name,
        sha256=file_sha256(path),
        spatial=_moments(path, found, "mu_s", "sigma_s", n) if {"mu_s", "sigma_s"} & found.keys() else None,
    )


def _unspelled(path: Path, found: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays by the names that they have here."""
    for name, key in _SPELLED.items():
        if name != key and name in found and key in found:
            raise InputError(f"{path} has both {key} and {name}, and nobody can tell which counts; keep one")
    return {_SPELLED.get(name, name): array for name, array in found.items()}


def _moments(path: Path, found: dict[str, NDArray[Any]], mu: str, sigma: str, n: int | None) -> Moments:
    """Those of two arrays, checked."""
    mean, covariance = _array(path, found, mu), _array(path, found, sigma)
    _check(path, mean, covariance, mu, sigma)
    count = len(mean) + 1 if n is None else n
    # Symmetric to the last bit, as a covariance of ours is.
    m2 = torch.from_numpy((covariance + covariance.T) / 2) * (count - 1)
    return Moments(count, torch.from_numpy(mean), m2)


def _array(path: Path, found: dict[str, NDArray[Any]], key: str) -> NDArray[np.float64]:
    if key not in found:
        raise InputError(
            f"{path} has no array {key}; statistics need mu (D,) and sigma (D, D), and mu_s and sigma_s both or neither"
        )
    array = found[key]
    if array.dtype.kind != "f":
        raise InputError(f"{key} in {path} is {array.dtype} and not float64; make the file again")
    return array.astype(np.float64)


def _about(path: Path, text: NDArray[Any]) -> About:
    """What our files say of themselves."""
    try:
        if text.shape != () or text.dtype.kind != "U":
            raise ValueError(f"it is {text.dtype} of shape {text.shape} and not one text")
        return About.model_validate_json(str(text))
    except ValueError as error:
        reason = str(error)
        if isinstance(error, ValidationError):
            fault = first_fault(error)
            reason = (
                f"its {fault.where} is {_short(fault.given)}: {fault.reason}" if fault.where else fault.reason
            )
        raise InputError(
            f"what {path} says of itself cannot be read ({reason}); make it again with `benchbench stats`"
        ) from error


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _check(
    path: Path, mean: NDArray[np.float64], covariance: NDArray[np.float64], mu: str, sigma: str
) -> None:
    d = len(mean) if mean.ndim == 1 else 0
    if not d or covariance.shape != (d, d):
        raise InputError(
            f"{mu} and {sigma} in {path} have shapes {mean.shape} and {covariance.shape} and not (D,) and (D, D)"
        )
    for key, array in ((mu, mean), (sigma, covariance)):
        if not np.isfinite(array).all():
            raise InputError(f"{key} in {path} holds NaN or infinity; make the file again")
    largest = float(np.abs(covariance).max())
    if float(np.abs(covariance - covariance.T).max()) > SYMMETRY * largest:
        raise InputError(f"{sigma} in {path} is not symmetric, so it is no covariance; make the file again")
    variances = covariance.diagonal()
    if float(variances.min()) < 0:
        raise InputError(
            f"{sigma} in {path} has a negative variance, so it is no covariance; make the file again"
        )
    if largest == 0 or max(largest, float(np.abs(mean).max())) > LARGEST:
        what = f"{sigma} is zero" if largest == 0 else f"a number exceeds {LARGEST:g}"
        raise InputError(f"{what} in {path}, so these are no statistics of images; make the file again")
    spread = np.sqrt(variances)
    if bool((np.abs(covariance) > np.outer(spread, spread) + SYMMETRY * largest).any()):
        raise InputError(
            f"{sigma} in {path} has a covariance that exceeds its variances, so it is none; make the file again"
        )
