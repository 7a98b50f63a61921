"""The protocols on toy models whose every answer is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.seeds import ImageRng
from benchbench.tasks.generation import generate
from benchbench.tasks.reconstruction import reconstruct
from benchbench.tasks.speed import measure_cost, measure_sampling

CPU = torch.device("cpu")


class Toy(nn.Module):
    """Samples noise through one linear layer; reconstructs every image one level brighter."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 12, bias=False)

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        return self.linear(rng.normal(4)).mul(40).add(128).clamp(0, 255).to(torch.uint8).reshape(n, 3, 2, 2)

    def encode(self, images: Tensor) -> Tensor:
        return images.float()

    def decode(self, codes: Tensor) -> Tensor:
        return codes.add(1).to(torch.uint8)

    def reconstruct(self, images: Tensor) -> Tensor:
        return self.decode(self.encode(images))


@pytest.fixture
def toy() -> Toy:
    torch.manual_seed(0)
    return Toy().eval()


def test_generation_does_not_depend_on_the_batch(toy: Toy) -> None:
    """Seven images in batches of 7, 3 and 1: the same, up to one level where float noise meets a rounding."""
    whole, threes, ones = (
        torch.cat(list(generate(toy, 7, seed=5, device=CPU, batch_size=size))).int() for size in (7, 3, 1)
    )
    assert whole.shape == (7, 3, 2, 2)
    assert (whole - threes).abs().max() <= 1
    assert (whole - ones).abs().max() <= 1


def test_generation_leaves_its_consumer_alone(toy: Toy) -> None:
    """Between two batches the consumer is not in inference mode: a generator that yields inside the context
    would put it there."""
    for _ in generate(toy, 4, seed=0, device=CPU, batch_size=2):
        assert not torch.is_inference_mode_enabled()


def test_generation_refuses_float_images(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that hands out floats breaks the contract and is told so, not silently cast."""
    monkeypatch.setattr(toy, "sample", lambda n, rng, labels=None: torch.zeros(n, 3, 2, 2))
    with pytest.raises(InputError, match="generated images must be uint8"):
        next(generate(toy, 2, seed=0, device=CPU))


def test_reconstruction_scores_every_pair_once_in_order(toy: Toy) -> None:
    """The toy is one level too bright: |difference| is exactly 1 for each of the 5 images, whatever the batch;
    an index image keeps its place."""
    images = torch.arange(5, dtype=torch.uint8).reshape(5, 1, 1, 1).expand(5, 3, 2, 2).contiguous()

    def difference(x: Tensor, y: Tensor) -> Tensor:
        return (y.float() - x.float()).mean(dim=(1, 2, 3))

    def first_pixel(x: Tensor, y: Tensor) -> Tensor:
        return x[:, 0, 0, 0].float()

    for batch_size in (1, 2, 5):
        pairs = reconstruct(
            toy, images, {"d": difference, "i": first_pixel}, device=CPU, batch_size=batch_size
        )
        assert pairs.of("d").tolist() == [1.0] * 5
        assert pairs.of("i").tolist() == [0, 1, 2, 3, 4]


def test_a_pair_metric_that_fails_leaves_its_reason(toy: Toy) -> None:
    """One metric that cannot score such images does not stop the other, and its reason is kept."""

    def too_small(x: Tensor, y: Tensor) -> Tensor:
        raise MetricFailed("images are smaller than the window")

    images = torch.zeros(3, 3, 2, 2, dtype=torch.uint8)
    pairs = reconstruct(
        toy, images, {"bad": too_small, "ok": lambda x, y: torch.zeros(len(x))}, device=CPU, batch_size=2
    )
    assert len(pairs.of("ok")) == 3
    with pytest.raises(MetricFailed, match="smaller than the window"):
        pairs.of("bad")


def test_cost_by_hand(toy: Toy) -> None:
    """One 4 -> 12 linear layer: 48 parameters, and 2 * 4 * 12 = 96 floating-point operations an image."""
    found = {m.metric: m.estimate.value for m in measure_cost(toy, device=CPU)}
    assert found["parameters"] == 48
    assert found["flops_per_image"] == 96
    assert found["peak_memory_rss"] > 50  # MiB; an interpreter with torch cannot be smaller


def test_speed_rows_are_consistent(toy: Toy) -> None:
    """The range encloses the median, p95 is not below p50, and each row says what it was measured on."""
    found = {m.metric: m for m in measure_sampling(toy, device=CPU, batch_size=4)}
    rate = found["sampling_rate"].estimate
    assert rate.low is not None
    assert rate.high is not None
    assert 0 < rate.low <= rate.value <= rate.high
    assert found["sampling_rate"].n_images == 4
    assert 0 < found["latency_p50"].estimate.value <= found["latency_p95"].estimate.value
