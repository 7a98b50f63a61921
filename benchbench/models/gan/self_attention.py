"""Self-attention over the positions of maps (Zhang et al. 2018, "Self-Attention Generative Adversarial Networks",
arXiv:1805.08318, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

REDUCTION = 8  # the paper's k: of the channels C, queries, keys and values have C/k


class SelfAttention(nn.Module):
    """y = x + γ o, o_j = v(Σ_i β_ji h(x_i)), β_ji = softmax over i of f(x_i)ᵀ g(x_j) (equations 1 to 3).

    f, g, h and v are 1×1 convolutions without bias. γ starts at 0, so it begins as the identity. Maps N×C×H×W in and
    out; memory grows with (H·W)².
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // REDUCTION)
        self.f, self.g, self.h = (nn.Conv2d(channels, inner, 1, bias=False) for _ in range(3))
        self.v = nn.Conv2d(inner, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        f, g, h = (convolution(x).flatten(2) for convolution in (self.f, self.g, self.h))
        beta = torch.softmax(f.transpose(1, 2) @ g, dim=1)  # N × i × j
        attended: Tensor = x + self.gamma * self.v((h @ beta).unflatten(2, x.shape[2:]))
        return attended
