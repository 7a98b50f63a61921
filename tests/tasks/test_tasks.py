"""The protocols on toy models whose every answer is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng
from benchbench.tasks.generation import generate, labels_for, labels_like
from benchbench.tasks.reconstruction import reconstruct
from benchbench.tasks.speed import measure_sampling

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
        torch.cat(list(generate(toy, range(7), seed=5, runtime=Runtime(batch_size=size)))).int()
        for size in (7, 3, 1)
    )
    assert whole.shape == (7, 3, 2, 2)
    assert (whole - threes).abs().max() <= 1
    assert (whole - ones).abs().max() <= 1


class Painter(Toy):
    """Adds ten grey levels a class; can be asked for one if `conditional`."""

    conditional = True

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        labels = rng.integers(3) if labels is None else labels
        return super().sample(n, rng) // 2 + 10 * labels.to(torch.uint8).reshape(n, 1, 1, 1)


def test_labels_have_the_distribution_of_training() -> None:
    """Classes 5, 3 and 1 times: any 9 in a row from a multiple of 9 are exactly these, 27 three times as many, and 4
    are 4 of the 9 images. Another seed asks in another order."""
    train = torch.tensor([0, 0, 1, 2, 0, 1, 0, 1, 0])
    asked = labels_like(train, 3, 27)
    assert [asked[start : start + 9].bincount().tolist() for start in (0, 9, 18)] == [[5, 3, 1]] * 3
    assert labels_like(train, 3, 4).tolist() == asked[:4].tolist()
    assert labels_like(train, 4, 27).tolist() != asked.tolist()


def test_only_those_are_asked_who_can_be(toy: Toy) -> None:
    """Labels for a conditional model on data with labels; none for another, or one that is not conditional as it was
    configured, or data without labels."""
    train, painter = torch.tensor([0, 1, 2]), Painter()
    asked = labels_for(painter, train, 0, 3)
    assert asked is not None
    assert sorted(asked.tolist()) == [0, 1, 2]
    assert labels_for(toy, train, 0, 3) is None
    assert labels_for(painter, None, 0, 3) is None
    painter.conditional = False
    assert labels_for(painter, train, 0, 3) is None


def test_labels_go_with_the_image_not_the_batch() -> None:
    """Seven labels in batches of 7, 3 and 1: the same images (one level where float noise meets a rounding), each
    ten levels a class above what class 0 gives."""
    torch.manual_seed(0)
    painter = Painter().eval()
    labels = torch.tensor([2, 0, 1, 1, 2, 0, 2])
    whole, threes, ones, zeros = (
        torch.cat(
            list(generate(painter, range(7), seed=5, labels=asked, runtime=Runtime(batch_size=size)))
        ).int()
        for size, asked in ((7, labels), (3, labels), (1, labels), (7, torch.zeros_like(labels)))
    )
    assert (whole - threes).abs().max() <= 1
    assert (whole - ones).abs().max() <= 1
    assert torch.equal(whole - zeros, (10 * labels).int().reshape(7, 1, 1, 1).expand_as(whole))


def test_generation_leaves_its_consumer_alone(toy: Toy) -> None:
    """Between two batches the consumer is not in inference mode: a generator that yields inside the context
    would put it there."""
    for _ in generate(toy, range(4), seed=0, runtime=Runtime(batch_size=2)):
        assert not torch.is_inference_mode_enabled()


def test_generation_refuses_float_images(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that hands out floats breaks the contract and is told so, not silently cast."""
    monkeypatch.setattr(toy, "sample", lambda n, rng, labels=None: torch.zeros(n, 3, 2, 2))
    with pytest.raises(InputError, match="generated images must be uint8"):
        next(generate(toy, range(2), seed=0))


def test_reconstruction_scores_every_pair_once_in_order(toy: Toy) -> None:
    """The toy is one level too bright: |difference| is exactly 1 for each of the 5 images, whatever the batch;
    an index image keeps its place."""
    images = torch.arange(5, dtype=torch.uint8).reshape(5, 1, 1, 1).expand(5, 3, 2, 2).contiguous()

    def difference(x: Tensor, y: Tensor) -> Tensor:
        return (y.float() - x.float()).mean(dim=(1, 2, 3))

    def first_pixel(x: Tensor, y: Tensor) -> Tensor:
        return x[:, 0, 0, 0].float()

    for batch_size in (1, 2, 5):
        pairs = reconstruct(toy, images, {"d": difference, "i": first_pixel}, Runtime(batch_size=batch_size))
        assert pairs.of("d").tolist() == [1.0] * 5
        assert pairs.of("i").tolist() == [0, 1, 2, 3, 4]


def test_a_pair_metric_that_fails_leaves_its_reason(toy: Toy) -> None:
    """One metric that cannot score such images does not stop the other, and its reason is kept."""

    def too_small(x: Tensor, y: Tensor) -> Tensor:
        raise MetricFailed("images are smaller than the window")

    images = torch.zeros(3, 3, 2, 2, dtype=torch.uint8)
    pairs = reconstruct(
        toy, images, {"bad": too_small, "ok": lambda x, y: torch.zeros(len(x))}, Runtime(batch_size=2)
    )
    assert len(pairs.of("ok")) == 3
    with pytest.raises(MetricFailed, match="smaller than the window"):
        pairs.of("bad")


def test_speed_rows_are_consistent(toy: Toy) -> None:
    """The range encloses the median, p95 is not below p50, and each row says what it was measured on."""
    found = {m.metric: m for m in measure_sampling(toy, device=CPU, batch_size=4)}
    rate = found["sampling_rate"].estimate
    assert rate.low is not None
    assert rate.high is not None
    assert 0 < rate.low <= rate.value <= rate.high
    assert found["sampling_rate"].n_images == 4
    assert 0 < found["latency_p50"].estimate.value <= found["latency_p95"].estimate.value
    assert found["machine_busy"].estimate.value >= 0
