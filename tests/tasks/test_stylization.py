"""The stylization protocol on a toy whose every answer is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.seeds import ImageRng
from benchbench.tasks.stylization import rates, stylize, tiles

CPU = torch.device("cpu")


class Toy:
    """Adds 10 levels times the style's number, and a random one of its own on top."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def show_styles(self, styles: Tensor) -> None:
        pass

    def stylize(self, contents: Tensor, style: int, rng: ImageRng) -> Tensor:
        self.calls.append((len(contents), style))
        return contents + 10 * style + rng.integers(5, 1, 1, 1).to(torch.uint8)


def test_every_content_in_every_style() -> None:
    """Row (k, i) is content i in style k; one call each; image k·N + i of the seed's own random numbers."""
    contents = torch.arange(3, dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 3, 4, 4).contiguous()
    toy = Toy()
    made = stylize(toy, contents, 2, 7)
    assert made.outputs.shape == (2, 3, 3, 4, 4)
    assert toy.calls == [(1, 0)] * 3 + [(1, 1)] * 3
    drawn = ImageRng(7, range(6)).integers(5).view(2, 3)
    assert made.outputs[..., 0, 0, 0].tolist() == (torch.tensor([[0, 1, 2], [10, 11, 12]]) + drawn).tolist()
    assert len(made.seconds) == 6
    assert all(second > 0 for second in made.seconds)


def test_a_style_is_needed() -> None:
    """Nothing to do is said so."""
    with pytest.raises(InputError, match="at least one content and one style"):
        stylize(Toy(), torch.zeros(0, 3, 4, 4, dtype=torch.uint8), 2, 0)


def test_rates_by_hand() -> None:
    """Calls of 0.5, 1 and 4 s: median rate 1 image/s in 0.25..2, median latency 1,000 ms."""
    rate, latency = rates([0.5, 1, 4])
    assert (rate.estimate.value, rate.estimate.low, rate.estimate.high) == (1, 0.25, 2)
    assert latency.estimate.value == 1000
    assert rate.n_images == latency.n_images == 1


def test_tiles() -> None:
    """Pixels that hold their own place: 8×12 gives tiles of 4×6 whose corners are at 0, 1, 2, 3, 4 down and, evenly
    between 0 and 6 and rounded half to even, at 0, 2, 3, 4, 6 across; line by line, image by image."""
    places = (torch.arange(8)[:, None] * 12 + torch.arange(12)).to(torch.uint8)
    images = torch.stack([places, places + 100])[:, None].expand(2, 3, 8, 12)
    cut = tiles(images)
    assert cut.shape == (50, 3, 4, 6)
    corners = [12 * top + left for top in (0, 1, 2, 3, 4) for left in (0, 2, 3, 4, 6)]
    assert cut[:, 0, 0, 0].tolist() == corners + [corner + 100 for corner in corners]
    assert torch.equal(cut[6], images[0, :, 1:5, 2:8])
