"""Mean and covariance of features, one batch at a time.

Pattern: a batch's moments are taken around the batch's own mean in float64 and merged by the rule of Chan,
Golub and LeVeque (1983), "Algorithms for computing the sample variance", so shards, ranks and resumed parts
add up to what one pass would have given. Raw second moments (sum of x xᵀ minus n μ μᵀ) would cancel for
features whose mean is large beside their spread.

Trade-offs: memory is 8 D² bytes whatever the number of images. A batch of N costs one rank-(N+1) update of
a D×D matrix, so batches of a few hundred rows are cheaper an image than batches of eight.

Scope: exact sample moments. What is made of them, such as a Fréchet distance, belongs to `metrics`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.files import atomic_path
from benchbench.core.numpy_files import DAMAGE, read_arrays


@dataclass
class Moments:
    """Count, mean and centred second moment of the feature vectors seen so far.

    Its length is their number. `update` and `merge` change the tensors in place.

    Attributes:
        n: How many feature vectors there were.
        mean: float64 (D,).
        m2: The sum of (x − mean)(x − mean)ᵀ, float64 (D, D), on the device of `mean`.
    """

    n: int
    mean: Tensor
    m2: Tensor

    @classmethod
    def zeros(cls, dim: int, device: torch.device | str = "cpu") -> Moments:
        """Moments of nothing, to begin with.

        Args:
            dim: D, how many numbers a feature vector has.
            device: Where they live; it must know float64.

        Returns:
            Moments with n = 0.
        """
        mean = torch.zeros(dim, dtype=torch.float64, device=device)
        return cls(0, mean, torch.zeros(dim, dim, dtype=torch.float64, device=device))

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """The moments of features that are there as a whole.

        Args:
            features: float32 or float64 N×D, on any device.

        Returns:
            Their moments, on the CPU.

        Raises:
            InputError: Another shape or dtype.
            MetricFailed: A value is not finite.
        """
        _check_rows(features)
        moments = cls.zeros(features.shape[1])
        moments.update(features)
        return moments

    def __len__(self) -> int:
        return self.n

    @property
    def dim(self) -> int:
        """How many numbers a feature vector has."""
        return len(self.mean)

    def update(self, features: Tensor) -> None:
        """Add a batch of features.

        Args:
            features: float32 or float64 N×D, on any device; N = 0 changes nothing.

        Raises:
            InputError: Another shape or dtype.
            MetricFailed: A value is not finite.
        """
        _check_rows(features, self.dim)
        if len(features) == 0:
            return
        rows = features.detach().to(self.mean.device).to(torch.float64)
        bad = int((~torch.isfinite(rows)).any(dim=1).sum())
        if bad:
            raise MetricFailed(
                f"{bad} of {len(rows)} feature vectors hold NaN or infinity; check the images and the weights"
            )
        mean = rows.mean(dim=0)
        self._merge(len(rows), mean, rows - mean)

    def merge(self, other: Moments) -> None:
        """Add what others have seen, by the rule of Chan, Golub and LeVeque (1983).

        Args:
            other: Moments of other feature vectors, which stay as they are.

        Raises:
            InputError: Their feature vectors have another length.
        """
        if other.dim != self.dim:
            raise InputError(f"moments of {other.dim}-dimensional features cannot join those of {self.dim}")
        if other.n:
            m2 = other.m2.to(self.m2.device)  # before the merge: `other` may be `self`
            m2 = m2.clone() if m2 is self.m2 else m2
            self._merge(other.n, other.mean.to(self.mean.device), rows=None)
            self.m2 += m2

    def _merge(self, n: int, mean: Tensor, rows: Tensor | None) -> None:
        """Chan's rule: m2 += rowsᵀ rows + δ δᵀ n_a n_b / (n_a + n_b), as one matrix product."""
        total = self.n + n
        delta = mean - self.mean
        shift = (delta * (self.n * n / total) ** 0.5)[None]
        update = shift if rows is None else torch.cat([rows, shift])
        self.m2.addmm_(update.T, update)
        self.mean += delta * (n / total)
        self.n = total

    @property
    def covariance(self) -> Tensor:
        """The unbiased covariance (divided by n − 1), float64 (D, D).

        Raises:
            MetricFailed: n is below 2.
        """
        if self.n < 2:
            raise MetricFailed(f"a covariance needs at least 2 images but there is {self.n or 'none'}")
        return self.m2 / (self.n - 1)

    def to(self, device: torch.device | str) -> Moments:
        """The same moments elsewhere.

        Args:
            device: Where; it must know float64.

        Returns:
            Moments of their own, or with the same tensors where these are there already.
        """
        return Moments(self.n, self.mean.to(device), self.m2.to(device))

    def cpu(self) -> Moments:
        """The same moments on the CPU."""
        return self.to("cpu")

    def save(self, path: Path | str) -> None:
        """Write n, mean and m2 to an .npz file, atomically.

        Args:
            path: The file.
        """
        here = self.cpu()
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, n=np.int64(here.n), mean=here.mean.numpy(), m2=here.m2.numpy())

    @classmethod
    def load(cls, path: Path | str) -> Moments:
        """Read what `save` wrote.

        Args:
            path: The file.

        Returns:
            The moments, on the CPU.

        Raises:
            InputError: The file is damaged or something else.
        """
        try:
            arrays = read_arrays(path)
        except DAMAGE as error:
            raise InputError(
                f"cannot read the moments in {path} ({error}); delete the file and compute it again"
            ) from error
        problem = _problem(arrays)
        if problem:
            raise InputError(
                f"{path} holds no moments of ours: {problem}; delete the file and compute it again"
            )
        return cls(int(arrays["n"]), torch.tensor(arrays["mean"]), torch.tensor(arrays["m2"]))


def _check_rows(features: Tensor, dim: int | None = None) -> None:
    if features.dtype not in (torch.float32, torch.float64):
        raise InputError(
            f"features must be float32 or float64 but are {str(features.dtype).removeprefix('torch.')}"
        )
    if features.ndim != 2 or (dim is not None and features.shape[1] != dim):
        raise InputError(
            f"features must have shape N×{dim or 'D'} but have {'×'.join(map(str, features.shape))}"
        )


def _problem(arrays: dict[str, np.ndarray]) -> str | None:
    """What is wrong with the content of a moments file, or None."""
    if set(arrays) != {"n", "mean", "m2"}:
        return f"its arrays are {', '.join(sorted(arrays)) or 'none'} and not m2, mean, n"
    n, mean, m2 = arrays["n"], arrays["mean"], arrays["m2"]
    if n.dtype != np.int64 or mean.dtype != np.float64 or m2.dtype != np.float64:
        return f"its dtypes are {n.dtype}, {mean.dtype}, {m2.dtype} and not int64, float64, float64"
    if n.shape != () or mean.ndim != 1 or m2.shape != (len(mean), len(mean)):
        return f"its shapes are n {n.shape}, mean {mean.shape}, m2 {m2.shape} and not (), (D,), (D, D)"
    if cast(int, n) < 0 or not (np.isfinite(mean).all() and np.isfinite(m2).all()):
        return "it holds NaN, infinity or a negative count"
    return None
