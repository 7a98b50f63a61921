"""Adaptive discriminator augmentation (Karras et al. 2020, "Training Generative Adversarial Networks with Limited
Data", arXiv:2006.06676; "2020b" in this folder).

Whatever the discriminator sees is augmented, each operation being applied to an image with probability p, and p
follows how much the discriminator overfits: r_t = E[sign(D(x))] over real images of the last four steps (equation 1).
Where it is above the target p rises, else it falls, by the share that these images are of `images`, after so many of
which it would have gone from 0 to 1; it stays within [0, 1].

Operations, their order and distributions are those of appendix B for pixel blitting, general geometry and colour, the
ones that the paper ends up with (its "bgc"): flip, quarter turn, whole pixels, scale, rotation, scale of one
side, rotation, fractions of pixels; brightness, contrast, luma flip, hue, saturation. All geometry of an image is one
affine map and all colour another.

Where this departs: pixels are interpolated bilinearly and the image goes on as its mirror beyond the border; the
paper resamples at twice the size through wavelet filters. An image that no operation is applied to is handed on as it
is. On CUDA the gradient through the interpolation has no kernel that adds in a fixed order, so a training there does
not repeat itself to the last bit.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STEPS = 4  # between two changes of p


class AdaptiveAugmentation(nn.Module):
    """The augmentation, and what it remembers: buffers that are no weights, which checkpoints hold.

    p: the probability of each operation. signs, seen: sum of the signs and number of the scores since p was changed.
    """

    p: Tensor
    signs: Tensor
    seen: Tensor

    def __init__(self, target: float, images: float) -> None:
        super().__init__()
        self.target, self.images = target, images
        for name in ("p", "signs", "seen"):
            self.register_buffer(name, torch.zeros(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Images N×C×H×W, augmented with probability p; in float32 also under autocast, whose half precision would put
        pixels beside their places."""
        with torch.autocast(x.device.type, enabled=False):
            return coloured(moved(x.float(), self.p), self.p)

    @property
    def overfitting(self) -> Tensor:
        """r_t so far; 0 before anything was seen."""
        return self.signs / self.seen.clamp(min=1)

    @torch.no_grad()
    def observe(self, scores: Tensor) -> None:
        """Scores of real images, (N,)."""
        self.signs += scores.sign().sum()
        self.seen += len(scores)

    @torch.no_grad()
    def adjust(self) -> None:
        """Change p by what was seen since it was changed last."""
        direction = (self.overfitting - self.target).sign() * (self.seen > 0)
        self.p.add_(direction * self.seen / self.images).clamp_(0, 1)
        self.signs.zero_()
        self.seen.zero_()


def moved(x: Tensor, p: Tensor) -> Tensor:
    """Pixel blitting and general geometry, each operation with probability p."""
    way_back, any_of = _geometry(len(x), (x.shape[2], x.shape[3]), p)
    return torch.where(any_of[:, None, None, None], warped(x, way_back), x)


def warped(x: Tensor, way_back: Tensor) -> Tensor:
    """The pixel at q, from the centre in pixels, is what the image has at `way_back` (N, 3, 3) of q."""
    height, width = x.shape[2:]
    half = torch.tensor([width / 2, height / 2], device=x.device)
    rows, columns = (torch.arange(side, device=x.device) + 0.5 - side / 2 for side in (height, width))
    points = torch.stack(
        [*torch.meshgrid(columns, rows, indexing="xy"), torch.ones(height, width, device=x.device)]
    )
    found = (way_back[:, :2] @ points.flatten(1)).transpose(1, 2).unflatten(1, (height, width)) / half
    return F.grid_sample(x, found.to(x.dtype), "bilinear", "reflection", align_corners=False)


def _geometry(n: int, sides: tuple[int, int], p: Tensor) -> tuple[Tensor, Tensor]:
    """Where pixels come from, (N, 3, 3), and whether anything is done to an image, (N,)."""
    device, (height, width) = p.device, sides
    size = torch.tensor([width, height], device=device)
    rotation_p = 1 - (1 - p).sqrt()  # so that at least one of the two rotations has probability p

    def uniform(*shape: int) -> Tensor:
        return torch.rand(n, *shape, device=device) * 2 - 1

    def lognormal() -> Tensor:
        return torch.exp2(torch.randn(n, device=device) * 0.2)

    ones = torch.ones(n, device=device)
    flips = 1 - 2 * torch.randint(2, (n,), device=device)
    turns = torch.randint(4, (n,), device=device) * (math.pi / 2)
    isotropic, stretch = lognormal(), lognormal()
    # In the order of the paper. Each is the way back of what happens to the image; both have the same distribution.
    operations = [
        (_scale(flips, ones), p),
        (_rotation(turns), p),
        (_shift((uniform(2) * 0.125 * size).round()), p),
        (_scale(isotropic, isotropic), p),
        (_rotation(uniform() * math.pi), rotation_p),
        (_scale(stretch, 1 / stretch), p),
        (_rotation(uniform() * math.pi), rotation_p),
        (_shift(torch.randn(n, 2, device=device) * 0.125 * size), p),
    ]
    return _composed(operations, torch.eye(3, device=device).expand(n, 3, 3), first_is_left=True)


def coloured(x: Tensor, p: Tensor) -> Tensor:
    """Brightness, contrast, luma flip, hue and saturation, each with probability p. Grey images are taken as colour
    ones of three equal channels, of which hue and saturation change nothing."""
    matrix, any_of = _colour(len(x), p)
    rgb = x.expand(-1, 3, -1, -1)
    made = (matrix[:, :3, :3] @ rgb.flatten(2) + matrix[:, :3, 3:]).view_as(rgb)
    if x.shape[1] == 1:
        made = made.mean(1, keepdim=True)
    return torch.where(any_of[:, None, None, None], made.to(x.dtype), x)


def _colour(n: int, p: Tensor) -> tuple[Tensor, Tensor]:
    """What colours become, affine (N, 4, 4), and whether anything is done to an image, (N,)."""
    device = p.device
    eye, axis = torch.eye(4, device=device), torch.tensor([1.0, 1, 1, 0], device=device) / math.sqrt(3)
    luma = torch.outer(axis, axis)

    def of(draws: Tensor) -> Tensor:
        return draws[:, None, None]

    bright = eye.repeat(n, 1, 1)
    bright[:, :3, 3] = torch.randn(n, 1, device=device) * 0.2
    contrast = torch.exp2(torch.randn(n, device=device) * 0.5)
    flip = torch.randint(2, (n,), device=device)
    saturation = torch.exp2(torch.randn(n, device=device))
    last = torch.tensor([0.0, 0, 0, 1], device=device).diag()  # of affine maps, the one that stays
    chroma = eye - luma - last
    operations = [
        (bright, p),
        (of(contrast) * (eye - last) + last, p),
        (eye - 2 * of(flip) * luma, p),
        (hue_rotation((torch.rand(n, device=device) * 2 - 1) * math.pi), p),
        (luma + of(saturation) * chroma + last, p),
    ]
    return _composed(operations, eye.expand(n, 4, 4), first_is_left=False)


def hue_rotation(angles: Tensor) -> Tensor:
    """Rotations (N, 4, 4) of colours around the axis of greys (Rodrigues' formula)."""
    k = 1 / math.sqrt(3)
    cross = torch.tensor([[0.0, -k, k], [k, 0.0, -k], [-k, k, 0.0]], device=angles.device)
    sine, cosine = angles.sin()[:, None, None], angles.cos()[:, None, None]
    rotation = torch.eye(4, device=angles.device).repeat(len(angles), 1, 1)
    rotation[:, :3, :3] += sine * cross + (1 - cosine) * (cross @ cross)
    return rotation


def _composed(
    operations: list[tuple[Tensor, Tensor]], matrix: Tensor, first_is_left: bool
) -> tuple[Tensor, Tensor]:
    """The product of those that are drawn, each for an image with its probability; and whether any was, (N,)."""
    any_of = torch.zeros(len(matrix), dtype=torch.bool, device=matrix.device)
    for operation, p in operations:
        drawn = torch.rand(len(matrix), device=matrix.device) < p
        taken = torch.where(
            drawn[:, None, None], operation.to(matrix.dtype), torch.eye(len(matrix[0]), device=matrix.device)
        )
        matrix = matrix @ taken if first_is_left else taken @ matrix
        any_of = any_of | drawn
    return matrix, any_of


def _scale(x: Tensor, y: Tensor) -> Tensor:
    return torch.stack([x, y, torch.ones_like(x)], 1).float().diag_embed()


def _shift(by: Tensor) -> Tensor:
    matrix = torch.eye(3, device=by.device).repeat(len(by), 1, 1)
    matrix[:, :2, 2] = by
    return matrix


def _rotation(angles: Tensor) -> Tensor:
    matrix = torch.eye(3, device=angles.device).repeat(len(angles), 1, 1)
    sine, cosine = angles.sin(), angles.cos()
    matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 0], matrix[:, 1, 1] = cosine, -sine, sine, cosine
    return matrix
