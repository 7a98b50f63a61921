"""The codebook of a VQ-VAE, moved by exponential moving averages (van den Oord et al. 2017, appendix A.1).

Entry i is the average m_i / N_i of the vectors that chose it: N_i ← γN_i + (1 - γ)n_i and m_i ← γm_i + (1 - γ)Σz.
Both averages are buffers, so that they go into checkpoints and weights.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.models.autoregressive.pixels import one_hot

SMOOTHING = 1e-5
"""Added to every N_i, so that an entry that nothing chooses is not divided by zero."""


class Quantized(NamedTuple):
    """What a codebook makes of vectors. vectors: the entries, with the gradient of what went in (straight-through).
    indices: their numbers. commitment: the mean squared distance to them, which pulls what went in (the third term of
    equation 3, without its β)."""

    vectors: Tensor
    indices: Tensor
    commitment: Tensor


class Codebook(nn.Module):
    """`n` entries of `dim` numbers.

    decay: γ. restart: entries with an N_i below it are moved to vectors of the batch, drawn with torch's global
    generator (Dhariwal et al. 2020, Jukebox, section 3.1); 0 = never. All entries begin as such vectors, for what
    starts far from everything is never chosen.
    """

    entries: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, n: int, dim: int, decay: float, restart: float = 0.0) -> None:
        super().__init__()
        self.decay, self.restart = decay, restart
        self.register_buffer("entries", torch.randn(n, dim))
        self.register_buffer("counts", torch.zeros(n))  # all zero: nothing was seen yet
        self.register_buffer("sums", torch.zeros(n, dim))

    def nearest(self, z: Tensor) -> Tensor:
        """Numbers of the nearest entries (equation 1): N×D×H×W to int64 N×H×W. In float32 whatever is around it: half
        precision takes neighbours for each other."""
        with torch.autocast(z.device.type, enabled=False):
            entries, flat = self.entries.float(), z.movedim(1, -1).float()
            distances = entries.square().sum(1) - 2 * flat @ entries.T  # up to |z|², the same for all
        return distances.argmin(-1)

    def vectors(self, indices: Tensor) -> Tensor:
        """Entries by their numbers: int64 N×H×W to float32 N×D×H×W."""
        return self.entries[indices].movedim(-1, 1)

    def forward(self, z: Tensor) -> Quantized:
        """float32 N×D×H×W; in training mode the entries move to the averages afterwards."""
        flat = z.detach().movedim(1, -1).flatten(0, -2)
        if self.training:
            self._revive(flat)
        indices = self.nearest(z)
        found = self.vectors(indices)
        commitment = F.mse_loss(z, found)
        if self.training:
            self._move(flat, indices.flatten())
        return Quantized(z + (found - z).detach(), indices, commitment)

    @torch.no_grad()
    def _revive(self, z: Tensor) -> None:
        """Dead entries, and all of them at the very beginning, become vectors of the batch; z (M, D). They begin with
        as many choices as keep an entry: with fewer, one that is chosen often enough would be moved again."""
        count = max(1.0, self.restart)
        dead = (self.counts < self.restart) | (self.counts.sum() == 0)
        drawn = z[torch.randint(len(z), (len(dead),), device=z.device)]
        self.entries.copy_(torch.where(dead[:, None], drawn, self.entries))
        self.sums.copy_(torch.where(dead[:, None], count * drawn, self.sums))
        self.counts.copy_(torch.where(dead, count, self.counts))

    @torch.no_grad()
    def _move(self, z: Tensor, indices: Tensor) -> None:
        """One step of both averages; z (M, D)."""
        chosen = one_hot(indices, len(self.entries))
        self.counts.lerp_(chosen.sum(0), 1 - self.decay)
        self.sums.lerp_(chosen.T @ z, 1 - self.decay)
        total = self.counts.sum()
        smoothed = (self.counts + SMOOTHING) / (total + len(self.counts) * SMOOTHING) * total
        self.entries.copy_(self.sums / smoothed[:, None])


def perplexity(indices: Tensor, n: int) -> Tensor:
    """exp of the entropy of how often each of `n` entries is chosen: from 1 to n, where all are as frequent."""
    shares = one_hot(indices.flatten(), n).mean(0)
    return (-torch.xlogy(shares, shares).sum()).exp()


def unused(indices: Tensor, n: int) -> int:
    """How many of `n` entries nothing chose."""
    return n - len(indices.unique())
