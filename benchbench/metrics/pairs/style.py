"""How much of a style is in an image: distance of Gram matrices to a style picture, and ArtFID's form.

    gram_distance = mean over layers ‖G(output) − G(style)‖²        (G and layers: `features.networks.perceptual`)
    artfd = (1 + mean over images of the content distance to the source) · (1 + FD of the outputs to the styles)

`artfd` is ArtFID (Wright & Ommer 2022) with the features of one extractor in both places, where the paper has LPIPS and
an Inception network trained on paintings: another number, and another name. It punishes whoever keeps the content and
leaves the style, and the other way round.

A Fréchet distance of two style pictures would be one between two points. So the stylization task shows this metric, as
all that read the reference, overlapping tiles of outputs, sources and styles; there are still far fewer of them than an
extractor has dimensions. The bias of FD at that number (`metrics.sets.frechet`) is large and the same for every model
on the same data: values rank models, and mean little by themselves. Tiles overlap, hence no interval.

A model that minimises Gram distances on a network does well by `gram_distance` on that network: judge `nst` and
`fast-style` on another where one is at hand.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.features.frozen import full_float32
from benchbench.features.networks.efficientnet_lite0 import preprocess
from benchbench.features.networks.perceptual import gram, gram_distance, load_perceptual
from benchbench.features.resize import tf1
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Estimate, Metric, full_name
from benchbench.metrics.pairs.paired import PairedMetric
from benchbench.metrics.pairs.preservation import cosine_distance
from benchbench.metrics.sets.frechet import frechet_distance_from_features


class GramDistance(PairedMetric):
    """How far the Gram matrices of an output's feature maps are from those of the style asked for."""

    family = "gram_distance"
    aspect = "quality"
    role = "style"
    higher_is_better = False
    scale = "log"  # a squared distance
    ends = (0.0, None)
    uses_extractor = True
    extractors = "efficientnet_lite0 vgg16"
    source = "Johnson et al. 2016, eq. 4; Gatys et al. 2016, eq. 4"

    @property
    def name(self) -> str:
        return full_name(self.family, self.extractor)

    def of_pairs(self, x: Tensor, y: Tensor) -> Tensor:
        """Outputs and style pictures, uint8 N×3×H×W, resized as the extractor of that name resizes: (N,)."""
        if x.shape != y.shape:
            shapes = " and ".join("×".join(map(str, images.shape)) for images in (x, y))
            raise InputError(f"outputs and style pictures must have one shape; these are {shapes}")
        assert self.extractor is not None
        perceptual = load_perceptual(self.extractor, x.device)
        with torch.no_grad(), full_float32():
            ours, theirs = (perceptual(_as_shown_to(self.extractor, images)).style for images in (x, y))
            return gram_distance(ours, [gram(maps) for maps in theirs])


def _as_shown_to(extractor: str, images: Tensor) -> Tensor:
    """uint8 images by the protocol the extractor's name pins, in [-1, 1]: records state it in their column `resize`."""
    levels = tf1(images, 224) if extractor == "vgg16" else preprocess(images) * 128 + 127
    return levels / 127.5 - 1


class ArtFD(Metric):
    """Content kept and style reached in one number: (1 + content distance) · (1 + FD to the styles)."""

    family = "artfd"
    aspect = "quality"
    higher_is_better = False
    scale = "log"  # a product of two distances and one
    ends = (1.0, None)
    needs = frozenset({"features", "sources"})
    source = "Wright & Ommer 2022 (ArtFID); with one extractor in the place of LPIPS and Inception"

    def compute(self, evidence: Evidence) -> Estimate:
        generated, sources, styles = (
            evidence.features(role, self.extractor) for role in ("generated", "sources", "reference")
        )
        content = float(cosine_distance(generated, sources).mean())
        return Estimate((1 + content) * (1 + frechet_distance_from_features(generated, styles)))
