"""Training on two domains: who sees which images together, and what a checkpoint keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import Batch, Direction
from benchbench.core.seeds import ImageRng
from benchbench.training.batches import Batches, Other, OtherBatches
from benchbench.training.checkpoint import Checkpoints
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.trainer import train

CPU = torch.device("cpu")


def numbered(n: int, side: int = 2) -> Tensor:
    """Image i is of level i everywhere."""
    return torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 3, side, side).contiguous()


def levels(x: Tensor) -> list[int]:
    """Which of `numbered` a batch holds."""
    return ((x[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()


class Brightener(nn.Module):
    """One parameter; remembers what it saw, and keeps the last image in a buffer that is no weight."""

    directions: Sequence[Direction] = ("AtoB",)

    def __init__(self, paired: bool) -> None:
        super().__init__()
        self.paired = paired
        self.shift = nn.Parameter(torch.zeros(()))
        self.register_buffer("last", torch.zeros(3, 2, 2), persistent=False)
        self.seen: list[tuple[list[int], list[int]]] = []

    def translate(self, images: Tensor, direction: Direction, rng: ImageRng) -> Tensor:
        return images

    def players(self) -> Mapping[str, nn.Module]:
        return {"brightener": self}

    def turns(self, step: int) -> Sequence[str]:
        return ("brightener",)

    def loss(self, player: str, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        assert batch.y is not None
        self.seen.append((levels(batch.x), levels(batch.y)))
        pulled = (batch.x.mean() + self.shift - batch.y.mean()) ** 2 + (self.last.mean() - self.shift) ** 2
        with torch.no_grad():
            self.last.copy_(batch.y[0] + 0.1 * torch.randn(()))
        return pulled, {}


def trained(model: Brightener, other: Other, workdir: Path | None = None, **options: Any) -> Brightener:
    """20 images of A."""
    config = TrainingConfig(batch_size=4, **{"steps": 10, **options})
    images = numbered(20)
    train(
        model,
        TrainingData(images, None, images, other),
        config,
        seed=0,
        device=CPU,
        checkpoints=Checkpoints(workdir, {}) if workdir else None,
    )
    return model


def test_aligned_rows_belong_together() -> None:
    """B's image i is A's plus 100 levels: so is every row of every batch."""
    shifted = numbered(20) + 100
    model = trained(Brightener(paired=True), Other(shifted, shifted, aligned=True))
    assert len(model.seen) == 10
    assert all([level + 100 for level in x] == y for x, y in model.seen)


def test_unaligned_rows_are_drawn_on_their_own() -> None:
    """The same numbers of images on both sides and one seed: batches that were dealt in the same order would all be
    pairs. With independent orders a row is a pair with probability 1/20: of 40 rows 2 are expected, and more than
    12 with probability below 1e-6. Both domains are passed through once in five batches."""
    model = trained(Brightener(paired=False), Other(numbered(20), numbered(20), aligned=False))
    rows = [(a, b) for x, y in model.seen for a, b in zip(x, y, strict=True)]
    assert sum(a == b for a, b in rows) <= 12
    for epoch in (model.seen[:5], model.seen[5:]):
        assert sorted(a for x, _ in epoch for a in x) == list(range(20))
        assert sorted(b for _, y in epoch for b in y) == list(range(20))


@pytest.mark.parametrize("n", [3, 7, 50])
def test_domains_of_other_sizes(n: int) -> None:
    """B goes through its own epochs while A goes through its own: none that is not there, each at most once an epoch,
    and after 40 epochs all of them, in orders that differ (that one of 7 was left out of all has a probability below 7
    (3/7)^40); fewer images than a batch are one batch."""
    config = TrainingConfig(batch_size=4)
    first = Batches(numbered(20), None, config, channels=3, seed=1, device=CPU)
    others = OtherBatches(Other(numbered(n), numbered(n), aligned=False), first, config)
    per_epoch = max(1, n // 4)
    batches = [levels(others[number]) for number in range(40 * per_epoch)]
    assert {len(batch) for batch in batches} == {min(n, 4)}
    orders = [list(chain(*batches[start : start + per_epoch])) for start in range(0, len(batches), per_epoch)]
    assert all(len(set(order)) == len(order) for order in orders)
    assert len(set(map(tuple, orders))) > 1
    assert {level for order in orders for level in order} == set(range(n))


def test_a_resumed_training_has_its_transient_buffers(tmp_path: Path) -> None:
    """Stopped after 4 of 9 steps and called again: the same weights bit for bit as without the stop. The loss reads a
    buffer that is no part of the weights, so this fails where a checkpoint forgets it."""

    class Stopped(Exception):
        pass

    class Stopping(Brightener):
        def loss(self, player: str, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
            if batch.step == 4:
                raise Stopped
            return super().loss(player, batch)

    other = Other(numbered(20), numbered(20), aligned=False)
    options = {"steps": 9, "checkpoint_every": 1, "lr": 0.05}
    whole = trained(Brightener(paired=False), other, **options)
    with pytest.raises(Stopped):
        trained(Stopping(paired=False), other, tmp_path, **options)
    resumed = trained(Brightener(paired=False), other, tmp_path, **options)
    assert len(resumed.seen) == 5
    assert torch.equal(whole.shift, resumed.shift)
    assert torch.equal(whole.last, resumed.last)
    assert "last" not in whole.state_dict()


@pytest.mark.parametrize(
    ("paired", "other", "words"),
    [
        (True, None, "one domain only"),
        (True, Other(numbered(20), numbered(20), aligned=False), "not paired"),
        (True, Other(numbered(19), numbered(20), aligned=True), "20 and 19 training images"),
        (False, Other(numbered(0), numbered(20), aligned=False), "no training images"),
        (False, Other(numbered(20), numbered(0), aligned=False), "no held-out images"),
        (
            False,
            Other(numbered(20, side=3), numbered(20), aligned=False),
            "2×2 but those of the other are 3×3",
        ),
    ],
)
def test_impossible_requests(paired: bool, other: Other | None, words: str) -> None:
    """Each is one sentence, before anything is computed."""
    with pytest.raises(InputError, match=words):
        trained(Brightener(paired), other)  # type: ignore[arg-type]


def test_early_stopping_keeps_pairs_together() -> None:
    """B's image i is A's plus 100 levels. Five of twenty pairs are set aside: none of them is trained on, and the loss
    they are judged by, which is called in eval mode, sees partners. Held-out pairs are not needed for it."""

    class Judged(Brightener):
        judged: list[tuple[list[int], list[int]]]

        def loss(self, player: str, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
            if self.training:
                return super().loss(player, batch)
            assert batch.y is not None
            self.judged.append((levels(batch.x), levels(batch.y)))
            return batch.x.mean(), {}

    model = Judged(paired=True)
    model.judged = []
    trained(model, Other(numbered(20) + 100, numbered(1), aligned=True), patience=2)
    x, y = model.judged[0]
    assert [level + 100 for level in x] == y
    assert len(x) == 5
    assert all([level + 100 for level in x] == y for x, y in model.seen)
    assert not {level for x, _ in model.seen for level in x} & set(x)


def test_early_stopping_on_two_domains_of_other_sizes() -> None:
    """Of 20 and of 50 images a quarter each is set aside; as many as both have are judged together, and each domain is
    trained on the rest."""
    model = Brightener(paired=False)
    trained(model, Other(numbered(50), numbered(20), aligned=False), patience=2)
    judged = [(x, y) for x, y in model.seen if len(x) == 5]
    assert judged
    assert all(len(y) == 5 for _, y in judged)
    learned = [(x, y) for x, y in model.seen if len(x) == 4]
    assert not {level for x, _ in learned for level in x} & set(judged[0][0])
    assert not {level for _, y in learned for level in y} & set(judged[0][1])


def test_colours_of_input_and_output_are_not_augmented_as_one() -> None:
    """One mean over both images' channels would carry one's colours into the other."""
    pairs = Other(numbered(20), numbered(20), aligned=True)
    for policy in ("translation,color", "translation, color"):
        with pytest.raises(InputError, match="diffaugment=color would mix; use translation and cutout"):
            trained(Brightener(paired=True), pairs, diffaugment=policy)
