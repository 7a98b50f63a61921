"""Translating: images there, and there and back, each with random numbers of its own, keyed by the run's seed and its
place; and outputs compared with their partners on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from benchbench.core.images import check_images
from benchbench.core.progress import SILENT, Progress
from benchbench.core.protocols import Cyclic, Direction, Hinted, Translator
from benchbench.core.seeds import ImageRng
from benchbench.metrics.metric import PairEvidence
from benchbench.metrics.pairs.cycle import CYCLE, CYCLE_EXACT, CYCLE_NOISE, add_noise, round_levels
from benchbench.metrics.pairs.paired import PairReader, mae

TRANSLATION_BATCH = 64

PerImage = Mapping[str, Callable[[Tensor, Tensor], Tensor]]
"""Metric name to a function of two uint8 batches that gives one value a pair."""

_REPEAT = 2**32  # between the random numbers of an image's first output and those of its second


def output_rng(seed: int, places: Sequence[int], device: torch.device, repeat: int = 0) -> ImageRng:
    """What the outputs of the sources in these places are made with; another `repeat` is another output."""
    return ImageRng(seed, [place + repeat * _REPEAT for place in places], device)


def translate(
    model: Translator,
    sources: Tensor,
    direction: Direction,
    *,
    seed: int,
    device: torch.device,
    batch_size: int = TRANSLATION_BATCH,
    which: Tensor | None = None,
    repeat: int = 0,
    truth: Tensor | None = None,
    hints: int = 0,
) -> Iterator[Tensor]:
    """The outputs in batches, uint8 RGB on `device`. sources: uint8 RGB N×3×H×W. which: the places of those that are
    translated, int64; all by default. repeat: 0 for the output that is scored, 1, 2, … for others of the same sources.
    hints: how many points of `truth` the model may see (`Hinted`)."""
    for places in (torch.arange(len(sources)) if which is None else which).split(batch_size):
        images, rng = sources[places].to(device), output_rng(seed, places.tolist(), device, repeat)
        with torch.inference_mode():
            if hints:
                assert isinstance(model, Hinted)
                assert truth is not None
                made = model.translate_hinted(images, direction, rng, truth[places].to(device), hints)
            else:
                made = model.translate(images, direction, rng)
        yield check_images(made, "translated images")


def compared(outputs: Iterator[Tensor], partners: Tensor, reader: PairReader) -> Iterator[Tensor]:
    """The same outputs; `reader` sees each with its partner (uint8 RGB, aligned) on the way."""
    start = 0
    for batch in outputs:
        with torch.inference_mode():
            reader.show(batch, partners[start : start + len(batch)].to(batch.device))
        start += len(batch)
        yield batch


def compare(
    outputs: Iterator[Tensor], partners: Tensor, per_image: PerImage, title: str, progress: Progress = SILENT
) -> PairEvidence:
    """Each output and its partner, and nothing else done with the outputs."""
    reader = PairReader(per_image)
    with progress.stage(title, len(partners), "image") as stage:
        for batch in compared(outputs, partners, reader):
            stage.advance(len(batch))
    return reader.result()


def cycle(
    model: Cyclic,
    sources: Tensor,
    direction: Direction,
    disturb: Callable[[Tensor, ImageRng], Tensor],
    *,
    seed: int,
    device: torch.device,
    batch_size: int = TRANSLATION_BATCH,
) -> Iterator[Tensor]:
    """What comes back of `sources`, uint8 RGB, in batches. disturb: what befalls the translation on its way back,
    float32 in [-1, 1], and random numbers for it, one generator an image."""
    for places in torch.arange(len(sources)).split(batch_size):
        rng = output_rng(seed, places.tolist(), device)
        with torch.inference_mode():
            images = sources[places].to(device)
            back = model.cycle(images, direction, lambda x, rng=rng: disturb(x, rng))  # type: ignore[misc]
        yield check_images(back, "images that came back")


CYCLES: Mapping[str, Callable[[Tensor, ImageRng], Tensor]] = {
    CYCLE: lambda x, rng: round_levels(x),
    CYCLE_EXACT: lambda x, rng: x,
    CYCLE_NOISE: lambda x, rng: round_levels(add_noise(x, rng)),
}
"""What befalls the translation, by the name of the error that is then measured."""


def cycle_errors(
    model: Cyclic,
    sources: Tensor,
    direction: Direction,
    *,
    seed: int,
    device: torch.device,
    batch_size: int = TRANSLATION_BATCH,
    progress: Progress = SILENT,
) -> PairEvidence:
    """Mean absolute error of what comes back, by the names of `CYCLES`."""
    values: dict[str, Tensor] = {}
    for name, disturb in CYCLES.items():
        back = cycle(model, sources, direction, disturb, seed=seed, device=device, batch_size=batch_size)
        values |= compare(back, sources, {name: mae}, f"{direction} and back", progress).values
    return PairEvidence(values)
