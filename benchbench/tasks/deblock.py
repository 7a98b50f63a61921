"""The deblocking task: held-out images come out of a JPEG file of low quality, and a model makes them what they were.

The protocol of Dong et al. 2015 (ARCNN) and what followed: each restored image is held against its original. Papers
report the luma of the YCbCr transform for colour images; here that is `psnr_y` and `ssim_y`, and the plain names are of
all channels. Image i is degraded in the same way whichever model restores it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.images import check_images
from benchbench.core.protocols import Restorer
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import permutation
from benchbench.data.degrade.jpeg import jpeg, jpeg_settings
from benchbench.data.pipeline.image_source import Images, batches_of, take
from benchbench.metrics.metric import Evidence, Metric, PairEvidence
from benchbench.metrics.pairs.paired import PairedMetric, PerImage
from benchbench.metrics.select import score
from benchbench.tasks.base import Number, OneDataset, Request, TaskData, TaskResult, one
from benchbench.tasks.evidence import read_pairs
from benchbench.tasks.pictures import Columns, Section, SingleImages, how_many_single
from benchbench.tasks.speed import measure_cost, measure_rates
from benchbench.tasks.translate import whole

QUALITY = 10  # the hardest that papers report
BATCH = 16
SHOWN = 8


class Deblock(OneDataset):
    """Held-out images out of a JPEG file of quality 10, restored and held against what they were."""

    name: ClassVar[str] = "deblock"
    standard: ClassVar[Sequence[str]] = ("psnr", "ssim", "psnr_y", "ssim_y", "mse")
    headlines: ClassVar[Mapping[str, Sequence[str]]] = {"deblock": ("psnr_y", "psnr", "ssim")}

    def takes(self, model: type) -> bool:
        """A model that restores."""
        return hasattr(model, "restore")

    def n_samples(self, model: str, data: TaskData, asked: int | None) -> int:
        """As many as were asked for, else all held-out images, at most 10,000."""
        have = len(one(data).held_out)
        if asked is not None and asked > have:
            raise InputError(
                f"{data.name} has {have} held-out images to restore; ask for --samples {have} or fewer"
            )
        return super().n_samples(model, data, asked)

    def inapplicable(self, metric: Metric, model: nn.Module, data: TaskData) -> str | None:
        """Whatever is no comparison of an image with what it was."""
        return (
            None
            if metric.needs == {"truth"}
            else "a restored image is compared with what it was, and with nothing else"
        )

    def run(self, model: nn.Module, data: TaskData, request: Request, runtime: Runtime) -> TaskResult:
        """Restored images against their originals, and what restoring costs."""
        assert isinstance(model, Restorer)
        held_out, spec = one(data).held_out.images, data.spec
        n = request.n_samples
        per_image = {
            metric.name: metric.of_pairs for metric in request.metrics if isinstance(metric, PairedMetric)
        }
        pairs = _compared(model, held_out, n, per_image, runtime)
        outcomes = [*score(request.metrics, Evidence(pairs={"truth": pairs})), *request.unmet]
        speed = runtime.comm.first(lambda: _speed(model, held_out, min(n, BATCH), runtime))
        shown = torch.from_numpy(permutation(0, n)[:SHOWN].copy())
        kept = torch.arange(min(n, how_many_single(spec.height, spec.width)))
        return TaskResult(
            [*(Number(own, self.name, n) for own in outcomes), *(Number(own, self.name) for own in speed)],
            [
                Columns(
                    "restored",
                    [_section(model, held_out, shown, runtime)],
                    "images before, in and after JPEG",
                ),
                SingleImages(
                    "outputs",
                    f"the first {len(kept):,} of {n:,} restored images, one by one and lossless",
                    whole(restored(model, held_out, kept, runtime)),
                ),
            ],
            {"degradation": jpeg_settings(QUALITY)},
        )


def _compared(model: Restorer, images: Images, n: int, per_image: PerImage, runtime: Runtime) -> PairEvidence:
    """The first `n` images restored, each with its original; a rank takes its share of them."""
    shard = runtime.comm.shard(n)
    originals = batches_of(images, runtime.batch(BATCH), shard)
    pairs = ((_restore(model, some, runtime), some.to(runtime.device)) for some in originals)
    return read_pairs(pairs, len(shard), per_image, "restoring images", runtime)


def restored(model: Restorer, images: Images, rows: Tensor, runtime: Runtime) -> Iterator[Tensor]:
    """What the model makes of the degraded images of these numbers, int64 (N,): uint8 RGB on the device, in batches."""
    for some in rows.split(runtime.batch(BATCH)):
        yield _restore(model, take(images, some), runtime)


def _restore(model: Restorer, originals: Tensor, runtime: Runtime) -> Tensor:
    """What the model makes of these images, degraded."""
    degraded = jpeg(originals, QUALITY).to(runtime.device)
    with torch.inference_mode():
        return check_images(model.restore(degraded), "restored images", len(degraded))


def _speed(model: Restorer, images: Images, batch_size: int, runtime: Runtime) -> list[Any]:
    degraded = jpeg(take(images, torch.arange(batch_size)), QUALITY).to(runtime.device)

    def restore(n: int) -> Tensor:
        return model.restore(degraded[:n])

    assert isinstance(model, nn.Module)
    device = runtime.device
    return [
        *measure_rates(restore, device=device, batch_size=batch_size),
        *measure_cost(model, device=device, once=lambda: restore(1)),
    ]


def _section(model: Restorer, images: Images, rows: Tensor, runtime: Runtime) -> Section:
    originals = take(images, rows)
    return Section(
        f"JPEG of quality {QUALITY}",
        [
            ("original", originals),
            ("JPEG", jpeg(originals, QUALITY)),
            ("restored", whole(restored(model, images, rows, runtime))),
        ],
    )
