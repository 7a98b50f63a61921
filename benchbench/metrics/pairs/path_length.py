"""Perceptual path length of Karras et al. 2019 and 2020: how much a generator's image changes by a small step of its
latent.

    PPL = E[ d(G(p(t)), G(p(t + ε))) / ε² ],    ε = 1e-4

where p is the path between two latents, d the LPIPS of a VGG16, and images are as the generator makes them, neither
rounded nor clipped: a step of ε moves most pixels by far less than a level. Four numbers by four names, after the
space in which the path lies and the places on it:

- `ppl`, `ppl_full`: between two latents z, as images are drawn, along the arc (`spherical`).
- `ppl_w`, `ppl_w_full`: between the styles w of two latents, straight (`linear`); of StyleGANs alone.
- t = 0 without `full` (the papers' "end", which Karras et al. 2020 report in w), uniform on [0, 1) with it.

Of the paths the 1% with the shortest and the 1% with the longest steps are left out, as in the authors' code.

Pattern: whoever has a generator paints both ends of each step and hands them to the reader of pairs under the role
"path" (`tasks.paths`); what is computed of them is here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from benchbench.core.arrays import ArrayLike, shape_text
from benchbench.core.errors import InputError, MetricFailed
from benchbench.features.networks.torch_fidelity_nets import VGG16
from benchbench.metrics.evidence import Evidence, PairEvidence
from benchbench.metrics.metric import Estimate
from benchbench.metrics.numerics.arguments import check_features, check_number, real_numbers
from benchbench.metrics.numerics.linalg import unit_rows
from benchbench.metrics.pairs.lpips_vgg import lpips_vgg
from benchbench.metrics.pairs.paired import PairedMetric

EPSILON = 1e-4
LARGEST = 256  # sides beyond are averaged down by whole factors, as in the authors' code
_SMALL = 1e-7
VGG = replace(VGG16.weights, extractor="ppl")

Interpolation = Literal["linear", "spherical"]
Space = Literal["z", "w"]


def step_ends(
    first: ArrayLike,
    second: ArrayLike,
    t: ArrayLike,
    *,
    epsilon: float = EPSILON,
    interpolation: Interpolation,
) -> tuple[Tensor, Tensor]:
    """The two ends of a small step on the path between two latents.

    Args:
        first: Where paths begin, N×D: a tensor or any array of real numbers.
        second: Where they end, likewise.
        t: How far along each path the step begins, (N,) in [0, 1].
        epsilon: How far it goes, above 0.
        interpolation: "linear", or "spherical": along the arc, at an even rate of angle, with the length going evenly
            with it (Shoemake 1985); straight where the two point the same way or opposite ways, or one is 0.

    Returns:
        The latents at t and at t + epsilon, N×D each.

    Raises:
        InputError: Shapes do not fit, a place is not in [0, 1], epsilon is not above 0, or there is no such
            interpolation.
        MetricFailed: A latent is not finite, or too large for a path between two of them.
    """
    first = check_features(first, "the latents at which paths begin", 1)
    second = check_features(second, "the latents at which paths end", 1).to(first)
    if first.shape != second.shape:
        raise InputError(
            f"paths join latents of one shape; these are {shape_text(first)} and {shape_text(second)}"
        )
    t = real_numbers(t, "the places on paths")
    if t.shape != (len(first),):
        raise InputError(f"{len(first)} paths need a place on each, (N,), but these are {shape_text(t)}")
    if not bool(((t >= 0) & (t <= 1)).all()):
        raise InputError(
            "the places on paths must be numbers from 0, where a path begins, to 1, where it ends"
        )
    epsilon = check_number(epsilon, "the step epsilon", 0, open_end=True)
    if interpolation not in _BETWEEN:
        raise InputError(f"paths are {' or '.join(_BETWEEN)}; there is no interpolation {interpolation!r}")
    between = _BETWEEN[interpolation]
    a, b, begin = first.double(), second.double(), t.double()[:, None]
    # In float64: a step of 1e-4 that was rounded in float32 would be off by a thousandth.
    start, end = between(a, b, begin), between(a, b, begin + epsilon)
    start, end = start.to(first.dtype), end.to(first.dtype)
    if not bool(torch.isfinite(torch.stack([start, end])).all()):
        raise MetricFailed(
            "a path between these latents leaves the range of floats: they are too large; rescale them"
        )
    return start, end


def _straight(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    return a + (b - a) * t


def _along_the_arc(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    cosine = (unit_rows(a) * unit_rows(b)).sum(1, keepdim=True)  # not a number where one is 0
    omega = cosine.clamp(-1, 1).acos()
    sine = omega.sin()
    arc = ((1 - t) * omega).sin() / sine * a + (t * omega).sin() / sine * b
    return torch.where(1 - cosine.abs() >= _SMALL, arc, _straight(a, b, t))


_BETWEEN = {"linear": _straight, "spherical": _along_the_arc}


def trimmed(values: Tensor) -> Tensor:
    """The values (N,) without the smallest and the largest 1%: none below the 1st percentile, rounded down to a value,
    or above the 99th, rounded up."""
    if not len(values):
        return values
    order, left_out = values.sort().values, (len(values) - 1) // 100
    return values[(values >= order[left_out]) & (values <= order[-1 - left_out])]


class PPL(PairedMetric):
    """Perceptual path length (Karras et al. 2019) in z: how much an image changes by a small step of its latent."""

    family = "ppl"
    aspect = "quality"
    role = "path"
    smallest = 32
    higher_is_better = False
    scale = "log"  # a distance
    ends = (0.0, None)
    source = "Karras et al. 2019, section 4.1; trimmed as in their code"
    reads_levels = True
    space: ClassVar[Space] = "z"
    interpolation: ClassVar[Interpolation] = "spherical"
    everywhere: ClassVar[bool] = False

    @staticmethod
    def per_image(x: Tensor, y: Tensor, *, levels: bool = False) -> Tensor:
        """Squared steps: x, y float32 levels or uint8, N×3×H×W, the images at both ends -> float64 (N,)."""
        factor = max(1, min(x.shape[2:]) // LARGEST)
        if factor > 1:
            x, y = (F.avg_pool2d(images.float(), factor) for images in (x, y))
        return lpips_vgg(x, y, VGG, levels=levels or factor > 1) / EPSILON**2

    def compute(self, evidence: Evidence) -> Estimate:
        """The trimmed mean over paths with Student's t over those that are left."""
        if self.role not in evidence.pairs:
            raise MetricFailed(f"{self.name} asks a generator for images of latents; this task has none")
        values = evidence.pairs[self.role].of(self.name)
        if torch.isfinite(values).all():  # else the sentence counts those that are not
            values = trimmed(values)
        return super().compute(Evidence(pairs={self.role: PairEvidence({self.name: values})}))


class PPLFull(PPL):
    """Perceptual path length in z, of steps that begin anywhere between two latents."""

    family = "ppl_full"
    everywhere = True


class PPLW(PPL):
    """Perceptual path length in w (Karras et al. 2020), between the styles of a StyleGAN: how smooth its mapping is."""

    family = "ppl_w"
    space = "w"
    interpolation = "linear"
    source = "Karras et al. 2020, section 3; trimmed as in their code"


class PPLWFull(PPLW):
    """Perceptual path length in w, of steps that begin anywhere between two styles."""

    family = "ppl_w_full"
    everywhere = True
