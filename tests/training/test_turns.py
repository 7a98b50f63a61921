"""Who sees which batch, and that a model with one phase trains as it always did. The toy says its turns, as models did
before there were phases."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.images import to_signed
from benchbench.core.protocols import Batch, ImageSpec, Phase, unchanged
from benchbench.models.build import build_model
from benchbench.training.batches import epoch_order
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.state import TrainingResult
from benchbench.training.trainer import train

CPU = torch.device("cpu")
IMAGES = torch.randint(0, 256, (22, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def go(model: nn.Module, labels: Tensor | None = None, **settings: Any) -> TrainingResult:
    config = TrainingConfig.model_validate({"batch_size": 4, "lr": 0.01} | settings)
    return train(model, TrainingData(IMAGES, labels, IMAGES[:6]), config, seed=3, device=CPU)


def test_one_turn_is_the_plain_loop() -> None:
    """The plain rule written out: seed, then for step s the batch s mod 5 of the epoch s // 5, Adam on the loss.
    Same operations in the same order, so the weights are equal to the last bit."""
    spec = ImageSpec(8, 8, False, 0)
    torch.manual_seed(0)
    model = build_model("vae-mlp", {"latent": 2, "width": 4}, spec)
    torch.manual_seed(0)
    plain = build_model("vae-mlp", {"latent": 2, "width": 4}, spec)
    go(model, epochs=3)

    torch.manual_seed(3)
    optimizer = torch.optim.Adam(plain.parameters(), 0.01)
    plain.train()
    for step in range(15):
        order = torch.from_numpy(epoch_order(3, step // 5, 22))
        rows = order[step % 5 * 4 : step % 5 * 4 + 4]
        optimizer.zero_grad()
        loss, _ = plain.loss(Phase("vae"), Batch(to_signed(IMAGES[rows]), None, step, 15, unchanged))
        loss.backward()
        optimizer.step()
    for (name, trained), expected in zip(
        model.state_dict().items(), plain.state_dict().values(), strict=True
    ):
        assert torch.equal(trained, expected), name


def test_five_turns_see_five_batches(toys: Any) -> None:
    """n_dis = 5, 5 batches an epoch: each step is an epoch, the five turns see its five batches in order, the
    generator the first of them; 3 epochs are 3 steps."""
    torch.manual_seed(0)
    model = toys.GAN(n_dis=5, remember=True)
    result = go(model, epochs=3)
    assert result.n_steps == 3
    for step in range(3):
        turns = [(player, x) for at, player, x, _ in model.seen if at == step]
        assert [player for player, _ in turns] == ["discriminator"] * 5 + ["generator"]
        order = torch.from_numpy(epoch_order(3, step, 22))[:20]
        expected = to_signed(IMAGES[order]).split(4)
        for (_, x), wanted in zip(turns, [*expected, expected[0]], strict=True):
            assert torch.equal(x, wanted)
    assert [(row["epoch"], row["step"]) for row in result.curves] == [(0, 1), (1, 2), (2, 3)]


def test_a_step_may_cross_into_the_next_epoch(toys: Any) -> None:
    """2 batches a step, 5 an epoch: batches 4 and 5 of the third step lie in two epochs, and the row of the first
    is written there; 2 epochs are 10 batches, 5 steps."""
    torch.manual_seed(0)
    model = toys.GAN(n_dis=2, remember=True)
    result = go(model, epochs=2)
    assert [row["step"] for row in result.curves] == [3, 5]
    seen = [x for at, player, x, _ in model.seen if player == "discriminator"]
    orders = [torch.from_numpy(epoch_order(3, epoch, 22))[:20] for epoch in (0, 1)]
    expected = torch.cat([to_signed(IMAGES[order]) for order in orders]).split(4)
    assert len(seen) == len(expected) == 10
    assert all(torch.equal(x, wanted) for x, wanted in zip(seen, expected, strict=True))


def test_turns_that_change_with_the_step(toys: Any) -> None:
    """Ten critic turns in the first step, then one: 15 batches are 3 epochs after 6 steps."""
    torch.manual_seed(0)
    model = toys.GAN(remember=True)
    model.turns = lambda step: ("discriminator",) * (1 if step else 10) + ("generator",)
    result = go(model, epochs=3)
    assert result.n_steps == 6
    seen = torch.cat([x for _, player, x, _ in model.seen if player == "discriminator"])
    order = torch.cat([torch.from_numpy(epoch_order(3, epoch, 22))[:20] for epoch in range(3)])
    assert torch.equal(seen, to_signed(IMAGES[order]))


def test_a_turn_leaves_the_others_alone(toys: Any) -> None:
    """Between the start of a turn and that of the next, the mover's parameters change and nobody else's, to the
    bit; dropout and batch statistics of the others may move."""
    torch.manual_seed(0)
    model = toys.GAN(remember=True)
    go(model, steps=4)
    after = [*model.before[1:], dict(model.named_parameters())]
    assert len(model.seen) == 12
    for (_, mover, _, _), old, new in zip(model.seen, model.before, after, strict=True):
        changed = {name.partition(".")[0] for name in old if not torch.equal(old[name], new[name])}
        assert changed == {mover}


def test_balanced_labels_reach_the_loss(toys: Any) -> None:
    """20 of one class and 2 of the other: each epoch's 20 images hold the rare class 9 to 11 times (of 11 places
    two images of the 22 are dropped), and the labels come with them."""
    torch.manual_seed(0)
    labels = torch.tensor([0] * 20 + [1] * 2)
    model = toys.GAN(n_dis=5, remember=True)
    go(model, labels, epochs=3, class_balanced=True)
    for step in range(3):
        seen = [(x, y) for at, player, x, y in model.seen if at == step and player == "discriminator"]
        assert 9 <= int(torch.cat([y for _, y in seen]).sum()) <= 11
        for x, y in seen:
            rows = [int((to_signed(IMAGES) == image).flatten(1).all(1).nonzero()[0]) for image in x]
            assert labels[rows].tolist() == y.tolist()


def test_augmentation_reaches_the_discriminator_alone(toys: Any) -> None:
    """The batch itself is as it was; what `augment` makes of it differs, and differs again."""
    torch.manual_seed(0)
    model = toys.GAN(remember=True)
    made: list[Tensor] = []
    loss = model.loss

    def spy(player: str, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        made.extend([batch.x, batch.augment(batch.x), batch.augment(batch.x)])
        answer: tuple[Tensor, dict[str, Tensor]] = loss(player, batch)
        return answer

    model.loss = spy
    go(model, steps=1, diffaugment="translation,cutout")
    assert torch.equal(made[0], to_signed(IMAGES[torch.from_numpy(epoch_order(3, 0, 22))[:4]]))
    assert not torch.equal(made[1], made[0])
    assert not torch.equal(made[1], made[2])


def test_refusals(toys: Any) -> None:
    """What a recipe may ask and this model or this data cannot do, each in a sentence with a way out."""
    torch.manual_seed(0)
    vae = build_model("vae-mlp", {"latent": 2, "width": 4}, ImageSpec(8, 8, False, 0))
    nobody, stranger = toys.GAN(), toys.GAN()
    nobody.turns = lambda step: ()
    stranger.turns = lambda step: ("critic",)
    cases: list[tuple[nn.Module, dict[str, Any], str]] = [
        (toys.GAN(), {"class_balanced": True}, "class_balanced needs labels .* leave it off"),
        (vae, {"standing_statistics": 2}, "MLPVAE has no batch norms .* leave standing_statistics at 0"),
        (toys.GAN(), {"monitor_every": 2}, "monitor_every=2 asks .* there is no monitor"),
        (
            vae,
            {"diffaugment": "color"},
            "MLPVAE augments nothing, it has no discriminator; leave diffaugment",
        ),
        (nobody, {}, r"turns in step 0 of ToyGAN are of \[\] but must name .* discriminator, generator"),
        (stranger, {"steps": 2}, r"turns in step 0 of ToyGAN are of \['critic'\]"),
    ]
    for model, settings, message in cases:
        with pytest.raises(InputError, match=message):
            go(model, **settings)
