"""The headline: the one number by which models of a dataset, task and direction are ranked and gated.

It is the first family of its task, of those that a cell has, on the first extractor by which the dataset's models are
ranked: the dataset's own judge, then the others in the order in which they were asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchbench.metrics.metric import Metric

HEADLINES: Mapping[str, Sequence[str]] = {
    "generation": ("fd",),
    # The squared error, which autoencoders are trained on, on the scale on which papers report it. Unlike SSIM it has
    # no window, so that it means the same at 8 pixels and at 256.
    "reconstruction": ("psnr", "ssim", "mse"),
    # A right answer says more than a distribution, which translations can match without keeping what they show.
    "translation": ("ssim", "fd"),
    "stylization": ("gram_distance",),
    "classification": ("accuracy",),
    "paired": ("psnr", "ssim", "mse"),
}
"""Task to families, the first one that a cell has. Both directions of a translation have the same ones."""


def families(task: str) -> Sequence[str]:
    """The headline families of a task, best first; none for a task that ranks nothing, such as `training`."""
    return HEADLINES.get(task, ())


def headline(task: str, metrics: Iterable[Metric], extractors: Sequence[str]) -> str | None:
    """The full name of the headline of `task` among `metrics`, those that have a meaning in this cell; None where none
    of them is one. extractors: by which the dataset's models are ranked, first one first; others come after them,
    by name."""

    order = families(task)

    def place(metric: Metric) -> tuple[int, int, str]:
        judge = metric.extractor
        known = extractors.index(judge) if judge in extractors else len(extractors)
        return order.index(metric.family), known, metric.name  # `psnr` before `psnr_crop4`

    # What a model made with hints from the truth stands beside what it made without.
    able = [metric for metric in metrics if metric.family in order and "hints" not in metric.needs]
    return min(able, key=place).name if able else None
