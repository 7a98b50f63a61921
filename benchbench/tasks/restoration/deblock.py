"""The deblocking task: test images come out of a JPEG file of low quality, and a model makes them what they were.

The protocol of Dong et al. 2015 (ARCNN) and what followed: qualities 10, 20, 30 and 40. Papers report grey images, or
the luma of colour ones: here `psnr_y` and `ssim_y`, and the plain names are of all channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field
from torch import nn

from benchbench.data.degrade.degradations import Blocked
from benchbench.metrics.metric import Metric
from benchbench.tasks.base import TaskData
from benchbench.tasks.restoration.restoration import RestorationOptions, RestorationTask, restoring


class Deblock(RestorationTask):
    """Images out of a JPEG file of low quality, to be made what they were."""

    name: ClassVar[str] = "deblock"
    version: ClassVar[int] = 2
    standard: ClassVar[Sequence[str]] = ("psnr", "ssim", "psnr_y", "ssim_y", "mse")
    headlines: ClassVar[Mapping[str, Sequence[str]]] = {"deblock": ("psnr_y", "psnr", "ssim")}

    class Options(RestorationOptions, frozen=True):
        """How low."""

        quality: int = Field(
            default=10, ge=1, le=100, description="of the JPEG file, 1 to 100; papers have 10 to 40"
        )

    options: Options

    def inapplicable(self, metric: Metric, model: nn.Module, data: TaskData) -> str | None:
        """As `Task.inapplicable`; the luma of images that are all grey, too."""
        if metric.family in ("psnr_y", "ssim_y") and all(restoring(data).test.grey):
            return "these images are grey, and papers report their levels: psnr and ssim"
        return super().inapplicable(metric, model, data)

    def degradation(self) -> Blocked:
        """A JPEG file of the quality."""
        return Blocked(self.options.quality)
