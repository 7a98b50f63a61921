"""Lines between the codes of two images: how even they are, and what their images are called."""

from __future__ import annotations

import torch
from torch import Tensor

from benchbench.core.protocols import Invertible
from benchbench.core.runtime import Runtime
from benchbench.features.extract import extract
from benchbench.features.extractor import Extractor
from benchbench.metrics.numerics.grouped import share_over_groups
from benchbench.metrics.pairs.paired import mean_over_images
from benchbench.metrics.sets.modes import classes_of
from benchbench.tasks.latent.codes import Codes, decoded
from benchbench.tasks.pictures import Section
from benchbench.tasks.speed import Measurement

PAIRS = 100  # of images that a line joins, of each kind
POINTS = 9  # of a line, with both ends
SHOWN = 8


def lines(
    model: Invertible, codes: Codes, extractor: Extractor | None, runtime: Runtime
) -> tuple[dict[str, list[Measurement]], list[Section]]:
    """Lines between codes of one class ("within") and of two ("between"): what is measured of them by a classifier of
    these classes, nothing where there is none; and pictures of some."""
    found: dict[str, list[Measurement]] = {}
    sections = []
    at = torch.linspace(0, 1, POINTS, device=codes.codes.device)
    for kind, heading in (("within", "two images of one class"), ("between", "images of two classes")):
        a, b = _partners(codes, same=kind == "within")
        if not len(a):
            continue
        shares = at.view(-1, *[1] * codes.codes.ndim)
        points = codes.codes[a] + shares * (codes.codes[b] - codes.codes[a])  # POINTS×P×…
        images = decoded(model, points.flatten(0, 1), runtime)
        shown = images.unflatten(0, (POINTS, len(a)))[:, :SHOWN]
        labels = [f"{share:.3g}" for share in at.tolist()]
        sections.append(Section(heading, list(zip(labels, shown, strict=True))))
        if extractor is not None:
            found[kind] = _measured(images, codes.labels[a], codes.labels[b], extractor)
    return found, sections


def _measured(images: Tensor, a: Tensor, b: Tensor, extractor: Extractor) -> list[Measurement]:
    """Of images POINTS·P×3×H×W on lines between images of these classes, int64 (P,) each."""
    seen = extract(images, extractor, need_features=True, need_logits=True)
    assert seen.features is not None
    assert seen.logits is not None
    shape = (POINTS, len(a))
    classes = classes_of(seen.logits, extractor.name).unflatten(0, shape)
    return [evenness(seen.features.unflatten(0, shape)), in_between(classes, a, b)]


def _partners(codes: Codes, same: bool) -> tuple[Tensor, Tensor]:
    """Numbers of images whose codes are joined, int64 (P,) each, at most `PAIRS`: each image with the next one of its
    own class, or of its target."""
    pairs = []
    for i, (own, target) in enumerate(zip(codes.labels, codes.targets, strict=True)):
        rows = (codes.labels == (own if same else target)).nonzero()[:, 0]
        rows = rows[rows != i]
        if len(rows):
            after = rows[rows > i]
            pairs.append((i, int(after[0] if len(after) else rows[0])))
        if len(pairs) == PAIRS:
            break
    a, b = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).unbind(1)
    return a, b


def evenness(features: Tensor) -> Measurement:
    """The largest step of each line over its mean one, from features POINTS×P×D; 1 for one that goes nowhere."""
    steps = (features[1:] - features[:-1]).double().norm(dim=2)
    mean = steps.mean(0)
    ratio = torch.where(
        mean > 0, steps.amax(0) / mean.where(mean > 0, torch.ones_like(mean)), torch.ones_like(mean)
    )
    ends = (1.0, float(POINTS - 1))
    return Measurement(
        "step_ratio", "quality", "", False, mean_over_images(ratio, ends), len(ratio), "log", ends
    )


def in_between(classes: Tensor, a: Tensor, b: Tensor) -> Measurement:
    """The share of images between both ends, POINTS×P, that are called one of the two classes of the ends."""
    inner = classes[1:-1]
    hits = ((inner == a) | (inner == b)).double()
    lines = torch.arange(hits.shape[1]).expand_as(hits)
    share = share_over_groups(hits.flatten(), lines.flatten(), "lines")
    return Measurement("class_of_ends", "quality", "", True, share, hits.shape[1], "arcsine", (0.0, 1.0))
