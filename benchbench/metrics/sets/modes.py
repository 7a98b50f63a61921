"""Which classes of the dataset a generator makes, and in which shares, as an extractor of those classes sees it.

As in the stacked MNIST experiments of Srivastava et al. 2017 (VEEGAN) and Lin et al. 2018 (PacGAN): every image
counts for the class that a trained classifier gives it; a mode is covered if at least one image falls on it;
the class shares are compared with those of the real images under the same classifier, errors included.

Under an extractor that rejects images, as those of the Gaussians of `ring8` and `grid25` do, an image can also belong
to no class. It is of high quality if its point lies within three standard deviations of a mode (VEEGAN), and only such
images count, for covered modes and in the class shares, generated and real. The papers assign every sample to its
nearest mode for the shares; a sample of theirs is always a point, whereas an image may show none, and `high_quality`
says beside it how many do.

Scope: only extractors of a dataset's own classes, which declare `classes_of`; their logits are read and nothing else.
Which of them can say that an image belongs to no class, they declare too (`rejects`).
The arithmetic is in `mode_collapse`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.registry import EXTRACTORS
from benchbench.core.scales import Range, Scale
from benchbench.features.extractor import traits_of
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Estimate, Metric
from benchbench.metrics.numerics.arguments import check_features
from benchbench.metrics.numerics.intervals import normal_estimate, positive_estimate, within
from benchbench.metrics.sets.mode_collapse import class_kl, class_shares, class_tv
from benchbench.metrics.sets.prdc import share_estimate

WITHIN = -4.5
"""−d²/2σ² at three standard deviations, d = 3σ."""
_TERMS = 12  # of the alternating series of `_new_classes`
DELTA = "delta over generated and reference images"


def class_extractor(dataset: str, extractors: Iterable[str]) -> str | None:
    """The first of `extractors` that knows the classes of the dataset of that name, by what it declares: "cnn_digits"
    for "digits", "modes_grid25" for "grid25"; None where none does."""
    return next((name for name in extractors if traits_of(name).classes_of == dataset), None)


def classes_of(logits: Tensor, extractor: str) -> Tensor:
    """The class that `extractor` gives each image, int64 (N,), from its logits N×K; −1 for an image of no class, which
    only an extractor that `rejects` knows: farther than three standard deviations from every mode, or no dot.
    `MetricFailed` for logits that are empty or not finite."""
    check_features(logits, f"the logits of {extractor}", 1)
    largest, classes = logits.max(dim=1)
    return torch.where(largest >= WITHIN, classes, -1) if traits_of(extractor).rejects else classes


def class_histogram(logits: Tensor, extractor: str) -> Tensor:
    """How many images fall on each class, int64 (K,); those of no class are not counted. As `classes_of`."""
    classes = classes_of(logits, extractor)
    return torch.bincount(classes[classes >= 0], minlength=logits.shape[1])


def modes_estimate(labels: Tensor, n_classes: int) -> Estimate:
    """Classes with at least one of the labels int64 (N,), the observed richness. A label of −1 is an image of no
    class.

    The interval is of how many classes N images show on average, which the value estimates without bias, not of how
    many the generator has: it says what another N images would give. Variance: a class is seen with probability
    1 − q, q = (1 − p)ᴺ, so that Σ q(1 − q) bounds the variance from above (classes crowd each other out). That sum is
    how many classes a second N images would add (Colwell et al. 2004), and these are estimated twice, the larger
    number counting: by `_new_classes` and by `_unseen_variance`. Value ± 1.96 standard deviations, cut to 0 … K.
    """
    counts = torch.bincount(labels[labels >= 0], minlength=n_classes).cpu().numpy()
    if len(counts) > n_classes or not len(labels):
        class_shares(labels, n_classes)  # says what is wrong
    value = float((counts > 0).sum())
    error = math.sqrt(max(_new_classes(counts), _unseen_variance(counts, len(labels))))
    ends = (0.0, float(n_classes))
    estimate = replace(normal_estimate(value, error, "of observed richness over generated images"), ends=ends)
    return within(estimate, ends)


def _new_classes(counts: np.ndarray) -> float:
    """How many classes not yet seen a second sample of as many images would show: Good & Toulmin's (1956) series
    f₁ − f₂ + f₃ …, f_k the classes with k images, with the binomial weights of Efron & Thisted 1976 that tame it."""
    total = 0.0
    for k in range(1, _TERMS + 1):
        # The chance that of as many fair coins as there are terms k or more fall heads.
        weight = sum(math.comb(_TERMS, j) for j in range(k, _TERMS + 1)) / 2**_TERMS
        total -= (-1) ** k * weight * float((counts == k).sum())
    return max(total, 0.0)


def _unseen_variance(counts: np.ndarray, n: int) -> float:
    """Σ q(1 − q), q = exp(−n p), with the shares of seen classes adjusted for what was not seen (Chao et al. 2013,
    "Entropy and the species accumulation curve", appendix) and Chao's (1984) f₁²/2f₂ unseen classes, which share
    the rest."""
    seen = counts[counts > 0].astype(float)
    once, twice = float((seen == 1).sum()), float((seen == 2).sum())
    unseen = (n - 1) / n * (once**2 / (2 * twice) if twice else once * (once - 1) / 2)
    rest = once / n * (n * unseen / (n * unseen + once)) if unseen else 0.0
    missed = (1 - seen / n) ** n
    lost = float((seen / n * missed).sum())
    shares = seen / n * (1 - (rest / lost if lost else 0.0) * missed)
    q = np.exp(-n * np.append(shares, rest / unseen if unseen else 0.0))
    return float((np.append(np.ones_like(seen), unseen) * q * (1 - q)).sum())


def kl_bias(labels: Tensor, reference: Tensor, n_classes: int) -> float:
    """How much larger than the truth `class_kl` of finite samples is, in nats, to first order; arguments as
    `kl_standard_error`.

    (K − 1)/2N for the K classes among the N generated images (Miller 1955, Madow) and (Σ p/q − 1)/2M for the M real
    ones: where both have the same shares (K − 1)/2 · (1/N + 1/M).
    """
    p, q = class_shares(labels, n_classes), class_shares(reference, n_classes)
    held = p > 0
    of_real = float((p[held] / q[held]).sum()) - 1
    return (int(held.sum()) - 1) / (2 * len(labels)) + of_real / (2 * len(reference))


def kl_standard_error(labels: Tensor, reference: Tensor, n_classes: int) -> float:
    """Standard error of `class_kl`, nats, by the delta method on both multinomials.

    labels, reference: int64 (N,), (M,). The influence of a generated image of class k is log(p_k/q_k), of a
    real one −p_k/q_k. Conservative where both have one distribution: there KL itself is of second order.
    """
    p, q = class_shares(labels, n_classes), class_shares(reference, n_classes)
    log_ratio = torch.where(p > 0, (p / q).log(), 0.0)
    ratio = torch.where(q > 0, p / q, 0.0)
    return _standard_error(p, log_ratio, len(labels), q, ratio, len(reference))


def kl_error(labels: Tensor, reference: Tensor, n_classes: int) -> float:
    """Standard error of `class_kl` wherever the truth is, nats; arguments as `kl_standard_error`.

    Where both have one distribution the delta method sees next to nothing: there 2 KL / (1/N + 1/M) is χ² with K −
    1 degrees of freedom (Wilks 1938), K the classes among the generated images. Its standard deviation is added in
    squares.
    """
    kinds = int((class_shares(labels, n_classes) > 0).sum())
    at_equality = math.sqrt((kinds - 1) / 2) * (1 / len(labels) + 1 / len(reference))
    return math.hypot(kl_standard_error(labels, reference, n_classes), at_equality)


def tv_standard_error(labels: Tensor, reference: Tensor, n_classes: int) -> float:
    """Standard error of `class_tv` by the delta method: the influence of an image is ± ½, by the sign of
    p_k − q_k. Arguments as `kl_standard_error`.
    """
    p, q = class_shares(labels, n_classes), class_shares(reference, n_classes)
    sign = (p - q).sign() / 2
    return _standard_error(p, sign, len(labels), q, sign, len(reference))


def _standard_error(p: Tensor, on_p: Tensor, n: int, q: Tensor, on_q: Tensor, m: int) -> float:
    """√(Var_p(on_p)/n + Var_q(on_q)/m) for values on_p, on_q of the classes."""
    variances = [(w * (x - (w * x).sum()).square()).sum() for w, x in ((p, on_p), (q, on_q))]
    return float((variances[0] / n + variances[1] / m).sqrt())


class _OnClasses(Metric):
    scale: ClassVar[Scale] = "arcsine"  # shares; `ClassKL` is none
    ends: ClassVar[Range] = (0.0, 1.0)
    needs = frozenset({"logits"})
    on = frozenset({"classes"})
    wrong_extractor: ClassVar[str] = (
        "{family} counts the classes of the dataset, and {extractor} was not trained on them; name the one that knows "
        "them with --extractor: {able}"
    )

    def classes(self, evidence: Evidence, role: str = "generated") -> tuple[Tensor, int]:
        """The class of each image of a set, int64 (N,), −1 for none, and the number of classes."""
        assert self.extractor is not None
        if not self.defined_on(self.extractor):
            able = ", ".join(name for name in EXTRACTORS.names() if self.defined_on(name))
            raise MetricFailed(
                self.wrong_extractor.format(family=self.family, extractor=self.extractor, able=able)
            )
        sides = evidence.sets.get(role, {})
        logits = sides[self.extractor].logits if self.extractor in sides else None
        if logits is None:
            raise MetricFailed(
                f"the evidence holds no logits of {self.extractor}; collect them with the need 'logits'"
            )
        return classes_of(logits, self.extractor), logits.shape[1]

    def labels_of_both(self, evidence: Evidence) -> tuple[Tensor, Tensor, int]:
        """The class of each generated and of each real image that has one, and the number of classes."""
        both = []
        for what, role in (("generated", "generated"), ("real", "reference")):
            classes, n = self.classes(evidence, role)
            both.append(classes[classes >= 0])
            if not len(both[-1]):
                raise MetricFailed(
                    f"no {what} image lies within three standard deviations of a mode, so there are no class "
                    "shares to compare"
                )
        return both[0], both[1], n


class ModesCovered(_OnClasses):
    """Classes of the dataset that at least one generated image is classified as."""

    family = "modes"
    aspect = "mode_collapse"
    unit = "classes"
    higher_is_better = True
    ends = (0.0, None)  # the upper one is the number of classes
    needs_reference = False
    source = "Srivastava et al. 2017 and Lin et al. 2018, stacked MNIST"

    def compute(self, evidence: Evidence) -> Estimate:
        classes, n = self.classes(evidence)
        return modes_estimate(classes, n)


class ClassKL(_OnClasses):
    """KL divergence of the generated images' class shares from the real images', less its bias; by one classifier."""

    family = "class_kl"
    aspect = "mode_collapse"
    unit = "nats"
    higher_is_better = False
    scale = "sqrt"  # a divergence, which reaches 0
    ends = (0.0, None)
    version = 2  # 1 left the bias of finite samples in
    source = "Srivastava et al. 2017 and Lin et al. 2018, stacked MNIST; bias: Miller 1955"

    def compute(self, evidence: Evidence) -> Estimate:
        """`class_kl` less `kl_bias`, cut at 0; interval: ± 1.96 standard errors (`kl_error`), cut at 0 as well."""
        fake, real, n = self.labels_of_both(evidence)
        value = max(0.0, class_kl(fake, class_shares(real, n)) - kl_bias(fake, real, n))
        return within(normal_estimate(value, kl_error(fake, real, n), DELTA), self.ends)


class ClassTV(_OnClasses):
    """Total variation between the class shares of generated and real images, under one classifier."""

    family = "class_tv"
    aspect = "mode_collapse"
    higher_is_better = False
    source = "½ Σ|p − q| of the class shares"

    def compute(self, evidence: Evidence) -> Estimate:
        fake, real, n = self.labels_of_both(evidence)
        value = class_tv(fake, class_shares(real, n))
        return within(positive_estimate(value, tv_standard_error(fake, real, n), DELTA), self.ends)


class HighQuality(_OnClasses):
    """Share of generated images that show a point within three standard deviations of a mode."""

    family = "high_quality"
    aspect = "quality"
    higher_is_better = True
    needs_reference = False
    on = frozenset({"classes", "rejects"})
    wrong_extractor = (
        "{family} asks how far a point lies from the nearest mode, which {extractor} does not say; use one of these on "
        "its own dataset: {able}"
    )
    source = "Srivastava et al. 2017, high-quality samples"

    def compute(self, evidence: Evidence) -> Estimate:
        classes, _ = self.classes(evidence)
        return share_estimate(classes >= 0, "generated images")


class ConditionalAccuracy(_OnClasses):
    """Share of generated images that are classified as the class that was asked for."""

    family = "conditional_accuracy"
    aspect = "quality"
    higher_is_better = True
    needs_reference = False
    source = "Shmelkov et al. 2018, GAN-test"

    def compute(self, evidence: Evidence) -> Estimate:
        classes, n = self.classes(evidence)
        asked = evidence.labels
        if asked is None:
            raise MetricFailed("nobody asked for classes: the images were not drawn by label")
        if asked.shape != classes.shape:
            raise InputError(f"{len(classes)} images were generated but {len(asked)} classes asked for")
        if int(asked.min()) < 0 or int(asked.max()) >= n:
            raise MetricFailed(
                f"classes {int(asked.min())} to {int(asked.max())} were asked for but {self.extractor} knows "
                f"0 to {n - 1}; use the extractor of this dataset"
            )
        return share_estimate(classes == asked.to(classes.device), "generated images")
