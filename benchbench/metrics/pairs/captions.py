"""Numbers on an image and the caption that it was made of: CLIPScore.

Hessel et al. 2021 give an image 2.5 · max(cos, 0) under CLIP ViT-B/32. Papers on images from text report 100 times the
cosine, as torchmetrics does, and so does this: of each image, cut at 0 as in eq. 1. Which CLIP a number is of, its row
says by the weights of its extractor.
"""

from __future__ import annotations

from torch import Tensor

from benchbench.core.arrays import ArrayLike
from benchbench.core.errors import MetricFailed
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Estimate, Metric
from benchbench.metrics.numerics.arguments import check_directions, check_pair
from benchbench.metrics.numerics.grouped import mean_over_groups
from benchbench.metrics.numerics.linalg import unit_rows
from benchbench.metrics.pairs.checked_pairs import check_one_shape

SCALE = 100.0
NO_CAPTIONS = (
    "this compares images with the captions that they were made of; the task text-to-image has those, and evaluate "
    "where --prompts names them"
)


def clip_score(images: ArrayLike, captions: ArrayLike) -> Tensor:
    """How well each image goes with its caption: 100 · max(cos, 0) of their embeddings (Hessel et al. 2021, eq. 1).

    images, captions: N×D, row i of either belongs to the other's. Returns float64 (N,) in [0, 100]. `MetricFailed` for
    an embedding of length 0, which has no direction.
    """
    x, y = check_pair(images, captions, minimum=1)
    check_one_shape(x, y)
    for side in (x, y):
        check_directions(side)
    return SCALE * (unit_rows(x) * unit_rows(y)).sum(1).clamp(0, 1)


class CLIPScore(Metric):
    """How well images show the captions that they were made of, as 100 times the cosine under CLIP."""

    family = "clip_score"
    aspect = "quality"
    higher_is_better = True
    scale = "arcsine"  # has two ends
    ends = (0.0, SCALE)
    needs = frozenset({"features", "captions"})
    needs_reference = False
    extractors = own_extractor = "clip_folder"
    source = "Hessel et al. 2021, eq. 1, with w = 100"

    def compute(self, evidence: Evidence) -> Estimate:
        images, told = evidence.features("generated", self.extractor), evidence.captions
        texts = None if told is None else told.features.get(self.extractor or "")
        if told is None or texts is None:
            raise MetricFailed(NO_CAPTIONS)
        own, texts = told.own.to(images.device), texts.to(images.device)
        return mean_over_groups(clip_score(images, texts[own]), own, self.ends, "prompts")
