"""Weights of extractors: found, checked by sha256, loaded without running pickled code.

A file is looked for where an environment variable points and then in the torch hub cache, into which `benchbench fetch`
puts it (`features.fetch`); nothing is fetched here. Where it is nowhere, the error says that command. A file that the
user names is taken as it is; its sha256 goes into the record, so that numbers made with others never compare.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.hashing import file_sha256
from benchbench.core.weights_file import plain, read_weights


@dataclass(frozen=True)
class WeightsFile:
    """A published file of weights.

    Attributes:
        extractor: Whose.
        file: Its name in the torch hub cache, and in a mirror.
        url: Its address.
        sha256: How its digest begins, as far as it was published; "" where it was not.
        env: The variable that may point to a file.
        megabytes: About how large it is; 0 where nobody said.
        fetched_as: What `benchbench fetch` knows it by, whoever asks for the file; "" for `extractor`.
    """

    extractor: str
    file: str
    url: str
    sha256: str
    env: str
    megabytes: int = 0
    fetched_as: str = ""

    @property
    def command(self) -> str:
        """What gets it."""
        return fetching(self.fetched_as or self.extractor)

    @property
    def cached(self) -> Path:
        """Where the torch hub cache has it or would have it."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.file

    def locate(self) -> tuple[Path, str]:
        """Find the file.

        Returns:
            Its path, and how its sha256 must begin; "" for one that the variable names.

        Raises:
            MetricFailed: With the status "unavailable", where there is none; it says how to get it.
        """
        if given := os.environ.get(self.env):
            if not Path(given).is_file():
                raise MetricFailed(f"{self.env} names {given}, which is not a file", status="unavailable")
            return Path(given), ""
        if not self.cached.is_file():
            raise MetricFailed(
                f"{self.extractor} needs {self.file}, which is not in {self.cached.parent}: run "
                f"{self.command}, or point {self.env} to it",
                status="unavailable",
            )
        return self.cached, self.sha256

    def checked(self) -> tuple[Path, str, str]:
        """Find the file and look at its digest.

        Returns:
            Its path, its sha256 (hex), and where it came from in words fit for a record.

        Raises:
            MetricFailed: As `locate`, and where it is damaged or another file.
        """
        path, expected = self.locate()
        source = self.url if path == self.cached else f"a file named by {self.env}"
        way_out = f"run {self.command}, which gets it again"
        return path, check_sha256(path, self.extractor, expected, way_out=way_out), source

    def read(self) -> tuple[dict[str, Tensor], str, str]:
        """Load the file.

        Returns:
            The state dict in it, its sha256 (hex) and where it came from.

        Raises:
            MetricFailed: As `checked`, and where it holds anything but tensors of finite numbers.
        """
        path, sha256, source = self.checked()
        return read_state_dict(path, self.extractor), sha256, source


def fetching(name: str) -> str:
    """The command that gets what is published under a name."""
    return f"benchbench fetch {name}"


def check_sha256(
    path: Path,
    extractor: str,
    expected: str,
    what: str = "weights",
    way_out: str = "delete it and get it again",
) -> str:
    """The file's sha256 (hex); `MetricFailed(status="unavailable")` if it does not begin with `expected`. what: of the
    extractor is in the file. way_out: what to do then."""
    sha256 = file_sha256(path)
    if not sha256.startswith(expected):
        raise MetricFailed(
            f"{path}, the {what} of {extractor}, has sha256 {sha256[:16]} and not {expected[:16]}: it is "
            f"damaged or another file; {way_out}",
            status="unavailable",
        )
    return sha256


def read_state_dict(path: Path, extractor: str) -> dict[str, Tensor]:
    """The tensors in a file of weights, on the CPU; `MetricFailed(status="unavailable")` for anything else, and for
    tensors that are no arrays of finite numbers or of a kind that no network computes with."""
    whose = f"{path}, the weights of {extractor},"
    try:
        weights = read_weights(path, allow_pickle=None).content
    except InputError as error:
        raise MetricFailed(f"{extractor}: {error}", status="unavailable") from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise MetricFailed(f"{whose} is no PyTorch state dict; give the right file", status="unavailable")
    for name, value in weights.items():
        if reason := plain(value) or _no_number(value):
            raise MetricFailed(
                f"{whose} cannot be used: {name} {reason}; give the right file", status="unavailable"
            )
    return weights


def shipped_by_torchmetrics(folder: str, file: str, extractor: str) -> tuple[Path, dict[str, Tensor]]:
    """Weights of `extractor` that lie in a folder of torchmetrics' own images metrics, and where; `MetricFailed` where
    this version of it ships none."""
    path = Path(str(files("torchmetrics").joinpath("functional", "image", folder, file)))
    if not path.is_file():
        raise MetricFailed(
            f"{extractor} needs weights that newer versions of torchmetrics ship: pip install --upgrade torchmetrics",
            status="unavailable",
        )
    return path, read_state_dict(path, extractor)


def not_as_shipped(path: Path, extractor: str) -> MetricFailed:
    """For a file of torchmetrics' that holds something else."""
    return MetricFailed(
        f"{path} holds no weights of {extractor}; run pip install --force-reinstall torchmetrics",
        status="unavailable",
    )


def _no_number(value: Tensor) -> str | None:
    """Why a dense tensor is none of finite real numbers; None where it is."""
    if not value.isfinite().all():
        return "is not finite"
    if value.is_complex():
        return "is complex"
    return "is bool" if value.dtype is torch.bool else None


def tensors_sha256(weights: dict[str, Tensor]) -> str:
    """sha256 (hex) over names, dtypes, shapes and values of weights that came from no file."""
    hasher = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        hasher.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        hasher.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return hasher.hexdigest()


def wrong_shape(extractor: str, error: Exception) -> MetricFailed:
    """For a state dict of some other network."""
    first = str(error).strip().splitlines()[-1].strip()
    return MetricFailed(
        f"the weights given for {extractor} are another network's: {first}", status="unavailable"
    )
