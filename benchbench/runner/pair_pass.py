"""The pairs of an evaluation, compared as they come by, each at its own size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from benchbench.core.comm import Comm
from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.runtime import Runtime
from benchbench.core.shares import waited_for
from benchbench.data.pipeline.image_stream import Pairs, Size
from benchbench.metrics.evidence import PairEvidence
from benchbench.metrics.pairs.hole import beside_holes
from benchbench.metrics.pairs.paired import PairedMetric, PairReader
from benchbench.runner.advice import fits_when_cut
from benchbench.runner.restored import Fitting, Undoing, WithHoles
from benchbench.tasks.evidence import paired

SHOWN = 64  # pairs of samples.png
WINDOW = (
    256  # pixels of an image that stands among others of another size: as many as a picture shows one by one
)
BATCH = 64  # pairs at once where nobody said how many


class PairPass:
    """One pass over pairs: what the metrics say of them, and the first of them for a picture.

    pairs: both sides. metrics: those that compare them. one_size: whether all must have one size, for what reads the
    outputs beside. task: how a pair is brought together; None for as it is.
    keep_pieces: whether its pieces are kept, for distances between sets of them.
    """

    def __init__(
        self,
        pairs: Pairs,
        metrics: Sequence[PairedMetric],
        *,
        one_size: bool,
        task: Undoing | None = None,
        keep_pieces: bool = False,
    ) -> None:
        self._pairs, self._metrics, self._one_size = pairs, metrics, one_size
        self._fitting = None if task is None else Fitting(task, pairs)
        of_holes = isinstance(task, WithHoles)
        self._reader = PairReader(
            beside_holes(metrics) if of_holes else {metric.name: metric.of_pairs for metric in metrics}
        )
        self._keep_pieces = keep_pieces
        self._pieces: tuple[list[Tensor], list[Tensor]] = ([], [])
        self._outputs: list[Tensor] = []
        self._references: list[Tensor] = []
        self._sizes: dict[Size, int] = {}

    def outputs(self, runtime: Runtime) -> Iterator[Tensor]:
        """The outputs of this rank in their order, in batches of one size, each compared before it is handed on."""
        device, batch = runtime.device, runtime.batch(BATCH)
        for row, x, y in waited_for(self._pairs.in_step(batch, one_size=self._one_size, comm=runtime.comm)):
            whole = x
            beside: Sequence[Tensor] = ()
            if self._fitting is not None:
                x, y, *beside = self._fitting.fitted(row, x, y)
                for side, images in zip(self._pieces, (x, y) if self._keep_pieces else (), strict=False):
                    side.append(self._fitting.pieces(images.cpu()))
            if x.shape != y.shape:
                raise self._unlike(row, x, y)
            with torch.inference_mode():
                self._reader.update(*(own.to(device) for own in (x, y, *beside)))
            self._sizes.setdefault((x.shape[2], x.shape[3]), row)
            left = max(0, SHOWN - row)
            self._outputs += x[:left].cpu()
            self._references += y[:left].cpu()
            yield whole
        self._put_together(runtime.comm)

    def _put_together(self, comm: Comm) -> None:
        """What the passes of all ranks kept, pairs in their order; on all of them."""
        parts = comm.gather((self._outputs, self._references, self._pieces, self._sizes))
        self._outputs = [image for part in parts for image in part[0]]
        self._references = [image for part in parts for image in part[1]]
        self._pieces = (
            [own for part in parts for own in part[2][0]],
            [own for part in parts for own in part[2][1]],
        )
        self._sizes = {size: row for part in reversed(parts) for size, row in part[3].items()}
        if self._fitting is not None:
            self._fitting.put_together(comm)

    def _unlike(self, row: int, x: Tensor, y: Tensor) -> InputError:
        """Why a pair cannot be compared; with the protocol under which it could, where that cuts the reference."""
        why = self._pairs.unlike(row, x, y)
        scales = fits_when_cut((x.shape[2], x.shape[3]), (y.shape[2], y.shape[3]))
        if not scales:
            return why
        return InputError(
            f"{why}; --task super-resolution --scale {' or '.join(map(str, scales))} cuts references as papers do"
        )

    def read(self, title: str, runtime: Runtime) -> None:
        """The pass, where nobody wants the outputs."""
        n = len(runtime.comm.shard(self._pairs.a.n))
        with runtime.progress.stage(title, n, "image") as stage:
            for some in self.outputs(runtime):
                stage.advance(len(some))

    @property
    def shown(self) -> tuple[Tensor, Tensor]:
        """The first outputs and their references, uint8 N×3×H×W: whole, or where they differ in size, and under a task
        where they are large, what of them is in a window around the middle, in native pixels on white."""
        if not self.windowed:
            return torch.stack(self._outputs), torch.stack(self._references)
        return windows(self._outputs), windows(self._references)

    @property
    def pieces(self) -> tuple[Tensor, Tensor]:
        """Of all outputs and of all references, uint8 N×3×64×64, where they were to be kept."""
        made, originals = (torch.cat(side) for side in self._pieces)
        return made, originals

    @property
    def notes(self) -> list[str]:
        """What a reader of the numbers should know of how pairs were brought together, and of what they look like."""
        return [] if self._fitting is None else self._fitting.notes()

    @property
    def windowed(self) -> bool:
        """Whether `shown` has windows."""
        sizes = {image.shape for image in self._outputs}
        large = max(max(size) for size in sizes) > WINDOW
        return len(sizes) > 1 or (large and self._fitting is not None)

    def evidence(self, comm: Comm) -> PairEvidence:
        """What the metrics said, each rank of its own pairs. What fails for the size of an image alone names the
        smallest one, where sizes differ."""
        found = paired(self._reader, comm)
        if len(self._sizes) < 2:
            return found
        (height, width), row = min(self._sizes.items(), key=lambda item: min(item[0]))
        failures = dict(found.failures)
        for metric in self._metrics:
            side = metric.smallest + 2 * metric.crop_border
            if metric.name in failures and side > min(height, width):
                failures[metric.name] = MetricFailed(
                    f"{metric.name} needs images of at least {side}×{side}, and the smallest of these, "
                    f"{self._pairs.a.called(row)}, is {width}×{height}"
                )
        return replace(found, failures=failures)


def windows(images: Sequence[Tensor]) -> Tensor:
    """The middle of images, uint8 3×H×W each, as one batch: as much as the largest of them has, at most 256 pixels a
    side, smaller ones on white."""
    height, width = (min(WINDOW, max(image.shape[i] for image in images)) for i in (1, 2))
    return torch.stack([_window(image, height, width) for image in images])


def _window(image: Tensor, height: int, width: int) -> Tensor:
    """The middle height×width pixels of one image, uint8 3×H×W, on white where it has fewer."""
    top, left = (
        max(0, have - want) // 2 for have, want in zip(image.shape[1:], (height, width), strict=True)
    )
    part = image[:, top : top + height, left : left + width]
    down, right = height - part.shape[1], width - part.shape[2]
    return F.pad(part, (right // 2, right - right // 2, down // 2, down - down // 2), value=255)
