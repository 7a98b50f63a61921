"""Which classes of the dataset a generator makes, and in which shares, as a classifier of that dataset sees it.

As in the stacked MNIST experiments of Srivastava et al. 2017 (VEEGAN) and Lin et al. 2018 (PacGAN): every image
counts for the class that a trained classifier gives it; a mode is covered if at least one image falls on it;
the class shares are compared with those of the real images under the same classifier, errors included.

Scope: only judges trained on the dataset's own classes, `cnn_*`; their logits are read and nothing else. The
arithmetic is in `mode_collapse`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from benchbench.core.errors import MetricFailed
from benchbench.metrics.intervals import positive_estimate
from benchbench.metrics.linalg import check_features
from benchbench.metrics.metric import Estimate, Evidence, FeatureEvidence, Metric
from benchbench.metrics.mode_collapse import class_kl, class_shares, class_tv, modes_covered

REDRAWS = 2000
DELTA = "delta over generated and reference images"


def modes_estimate(labels: Tensor, n_classes: int, seed: int = 0) -> Estimate:
    """Classes with at least one of the labels int64 (N,), and how many of them another draw would find.

    Interval: 95% percentiles over 2,000 bootstrap draws of N labels. A draw can lose a class and never gains
    one, so the upper end is the value itself: classes too rare to have been seen are not in it.
    """
    shares = class_shares(labels, n_classes).cpu().numpy()
    drawn = np.random.default_rng(seed).multinomial(len(labels), shares, size=REDRAWS)
    low, high = np.percentile((drawn > 0).sum(axis=1), [2.5, 97.5])
    value = float(modes_covered(labels, n_classes))
    return Estimate(value, float(low), float(high), "95% bootstrap over generated images")


def kl_standard_error(labels: Tensor, reference: Tensor, n_classes: int) -> float:
    """Standard error of `class_kl`, nats, by the delta method on both multinomials.

    labels, reference: int64 (N,), (M,). The influence of a generated image of class k is log(p_k/q_k), of a
    real one −p_k/q_k. Conservative where both have one distribution: there KL itself is of second order.
    """
    p, q = class_shares(labels, n_classes), class_shares(reference, n_classes)
    log_ratio = torch.where(p > 0, (p / q).log(), 0.0)
    ratio = torch.where(q > 0, p / q, 0.0)
    return _standard_error(p, log_ratio, len(labels), q, ratio, len(reference))


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
    aspect = "mode_collapse"
    needs = frozenset({"logits"})
    extractors = "cnn_*"

    def labels(self, sides: Mapping[str, FeatureEvidence]) -> tuple[Tensor, int]:
        """The class of each image, int64 (N,), and the number of classes."""
        assert self.extractor is not None
        if not self.extractor.startswith("cnn_"):
            raise MetricFailed(
                f"{self.family} counts the classes of the dataset, and {self.extractor} was not trained on "
                "them; use its classifier, for example --extractor cnn_digits"
            )
        logits = sides[self.extractor].logits if self.extractor in sides else None
        if logits is None:
            raise MetricFailed(
                f"the evidence holds no logits of {self.extractor}; collect them with the need 'logits'"
            )
        check_features(logits, f"the logits of {self.extractor}", 1)
        return logits.argmax(dim=1), logits.shape[1]


class ModesCovered(_OnClasses):
    """Classes of the dataset that at least one generated image is classified as."""

    family = "modes"
    unit = "classes"
    higher_is_better = True
    needs_reference = False
    source = "Srivastava et al. 2017 and Lin et al. 2018, stacked MNIST"

    def compute(self, evidence: Evidence) -> Estimate:
        return modes_estimate(*self.labels(evidence.generated))


class ClassKL(_OnClasses):
    """KL divergence of the generated images' class shares from the real images', under one classifier."""

    family = "class_kl"
    unit = "nats"
    higher_is_better = False
    source = "Srivastava et al. 2017 and Lin et al. 2018, stacked MNIST"

    def compute(self, evidence: Evidence) -> Estimate:
        (fake, n), (real, _) = self.labels(evidence.generated), self.labels(evidence.reference)
        # Rounding may leave −1e-17 for equal shares.
        value = max(0.0, class_kl(fake, class_shares(real, n)))
        return positive_estimate(value, kl_standard_error(fake, real, n), DELTA)


class ClassTV(_OnClasses):
    """Total variation between the class shares of generated and real images, under one classifier."""

    family = "class_tv"
    higher_is_better = False
    source = "½ Σ|p − q| of the class shares"

    def compute(self, evidence: Evidence) -> Estimate:
        (fake, n), (real, _) = self.labels(evidence.generated), self.labels(evidence.reference)
        estimate = positive_estimate(
            class_tv(fake, class_shares(real, n)), tv_standard_error(fake, real, n), DELTA
        )
        if estimate.high is None:
            return estimate
        return replace(estimate, high=min(1.0, estimate.high))
