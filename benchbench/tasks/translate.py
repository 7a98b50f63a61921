"""Translating: images there, and there and back, each with random numbers of its own, keyed by the run's seed and its
place; and outputs compared with their partners on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchbench.core.images import check_images
from benchbench.core.protocols import Cyclic, Direction, Hinted, Translator
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng
from benchbench.metrics.evidence import PairEvidence
from benchbench.metrics.pairs.cycle import CYCLE, CYCLE_EXACT, CYCLE_NOISE, add_noise, round_levels
from benchbench.metrics.pairs.paired import PairReader, PerImage, mae
from benchbench.tasks.evidence import read_pairs

TRANSLATION_BATCH = 64

_REPEAT = 2**32  # between the random numbers of an image's first output and those of its second

CYCLES: Mapping[str, Callable[[Tensor, ImageRng], Tensor]] = {
    CYCLE: lambda x, rng: round_levels(x),
    CYCLE_EXACT: lambda x, rng: x,
    CYCLE_NOISE: lambda x, rng: round_levels(add_noise(x, rng)),
}
"""What a translation meets on its way back, by the name of the error that is then measured."""


@dataclass(frozen=True)
class Translating:
    """A model at work in one direction. What it makes of a source depends on (model, seed, place of the source) and on
    nothing else: whoever asks says the places, int64 (N,), and all batches come in their order, uint8 RGB on the
    device.
    """

    model: Translator
    direction: Direction
    seed: int
    runtime: Runtime

    def outputs(self, sources: Tensor, places: Tensor, repeat: int = 0) -> Iterator[Tensor]:
        """The outputs of the `sources`, uint8 RGB N×3×H×W, in these places. repeat: 0 for those that are scored, 1, 2,
        … for others of the same sources."""

        def make(images: Tensor, rng: ImageRng, rows: Tensor) -> Tensor:
            return self.model.translate(images, self.direction, rng)

        return self._batches(sources, places, make, "translated images", repeat)

    def hinted(self, sources: Tensor, places: Tensor, truth: Tensor, hints: int) -> Iterator[Tensor]:
        """The same where the model may see so many points of `truth`, aligned with `sources` (`Hinted`)."""
        model = self.model
        assert isinstance(model, Hinted)

        def make(images: Tensor, rng: ImageRng, rows: Tensor) -> Tensor:
            partners = truth[rows].to(self.runtime.device)
            return model.translate_hinted(images, self.direction, rng, partners, hints)

        return self._batches(sources, places, make, "translated images")

    def cycled(
        self, sources: Tensor, places: Tensor, disturb: Callable[[Tensor, ImageRng], Tensor]
    ) -> Iterator[Tensor]:
        """What comes back of the sources (`Cyclic`). disturb: applied to the translation on its way back, float32 in
        [-1, 1], with random numbers for it, one generator an image."""
        model = self.model
        assert isinstance(model, Cyclic)

        def make(images: Tensor, rng: ImageRng, rows: Tensor) -> Tensor:
            return model.cycle(images, self.direction, lambda x: disturb(x, rng))

        return self._batches(sources, places, make, "images that came back")

    def cycle_errors(self, sources: Tensor, places: Tensor) -> PairEvidence:
        """Mean absolute error of what comes back, by the names of `CYCLES`."""
        found = PairEvidence({})
        for name, disturb in CYCLES.items():
            back = self.cycled(sources, places, disturb)
            found |= compare(back, sources[places], {name: mae}, f"{self.direction} and back", self.runtime)
        return found

    def _batches(
        self,
        sources: Tensor,
        places: Tensor,
        make: Callable[[Tensor, ImageRng, Tensor], Tensor],
        what: str,
        repeat: int = 0,
    ) -> Iterator[Tensor]:
        device = self.runtime.device
        for rows in places.split(self.runtime.batch(TRANSLATION_BATCH)) if len(places) else ():
            rng = output_rng(self.seed, rows.tolist(), device, repeat)
            with torch.inference_mode():
                made = make(sources[rows].to(device), rng, rows)
            yield check_images(made, what, len(rows))


def output_rng(seed: int, places: Sequence[int], device: torch.device, repeat: int = 0) -> ImageRng:
    """What the outputs of the sources in these places are made with; another `repeat` is another output."""
    return ImageRng(seed, [place + repeat * _REPEAT for place in places], device)


def compared(outputs: Iterator[Tensor], partners: Tensor, reader: PairReader) -> Iterator[Tensor]:
    """The same outputs; `reader` reads each with its partner (uint8 RGB, aligned) on the way."""
    for batch, own in _with_partners(outputs, partners):
        with torch.inference_mode():
            reader.update(batch, own)
        yield batch


def compare(
    outputs: Iterator[Tensor], partners: Tensor, per_image: PerImage, title: str, runtime: Runtime
) -> PairEvidence:
    """Each output and its partner, and nothing else done with the outputs; of all ranks, which bring their own."""
    return read_pairs(_with_partners(outputs, partners), len(partners), per_image, title, runtime)


def _with_partners(outputs: Iterator[Tensor], partners: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    start = 0
    for batch in outputs:
        yield batch, partners[start : start + len(batch)].to(batch.device)
        start += len(batch)


def whole(batches: Iterator[Tensor]) -> Tensor:
    """All batches as one tensor, on the CPU."""
    return torch.cat([batch.cpu() for batch in batches])
