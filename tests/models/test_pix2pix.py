"""pix2pix: its losses on hand-made numbers, what the discriminator sees, directions, dropout."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import Batch, Direction, ImageSpec, Phase, Trainable, Translator
from benchbench.core.seeds import ImageRng
from benchbench.models.translation.pix2pix import Pix2Pix
from benchbench.models.translation.translator import mirrored
from benchbench.training.batches import Other
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.trainer import train

SMALL = {"width": 4, "depth": 2, "disc_width": 4, "disc_layers": 1}
COLOUR = ImageSpec(12, 12, False, 0)


def build(spec: ImageSpec = COLOUR, **hyper: Any) -> Pix2Pix:
    torch.manual_seed(0)
    return Pix2Pix(Pix2Pix.Config.model_validate(SMALL | hyper), spec)


def batch_of(spec: ImageSpec = COLOUR, n: int = 3, **more: Any) -> Batch:
    g = torch.Generator().manual_seed(7)
    x, y = torch.rand(2, n, spec.channels, spec.height, spec.width, generator=g) * 2 - 1
    return Batch(x, None, 0, 10, y=y, **more)


def pictures(n: int, spec: ImageSpec = COLOUR) -> Tensor:
    g = torch.Generator().manual_seed(3)
    images = torch.randint(256, (n, spec.channels, spec.height, spec.width), generator=g, dtype=torch.uint8)
    return images.expand(-1, 3, -1, -1).contiguous()


class Halves(nn.Module):
    """x / 2."""

    def forward(self, x: Tensor) -> Tensor:
        return x / 2


class Contrast(nn.Module):
    """The logit of a pair: mean of its output (the last 3 channels) minus mean of its input, times ln 3 · 4."""

    def forward(self, x: Tensor) -> Tensor:
        return 4 * math.log(3) * (x[:, 3:] - x[:, :3]).mean((1, 2, 3), keepdim=True)


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_losses_by_hand(direction: Direction) -> None:
    """Input ½, target ¾, made ¼: the logits are ln 3 for the true pair and -ln 3 for the made one, probabilities ¾ and
    ¼ of being real. The discriminator pays ½ (-ln ¾ - ln ¾), the generator -ln ¼ + 100·½ (Isola et al. 2017, equation
    4 and section 3.3). In the other direction the domains change places. float32: 1e-5 of 51."""
    model = build(direction=direction)
    model.generator, model.discriminator = Halves(), Contrast()  # type: ignore[assignment]
    a, b = (torch.full((2, 3, 12, 12), value) for value in (0.5, 0.75))
    batch = Batch(a, None, 0, 1, y=b) if direction == "AtoB" else Batch(b, None, 0, 1, y=a)
    loss, logs = model.loss(Phase("generator"), batch)
    assert loss.item() == pytest.approx(-math.log(1 / 4) + 50, rel=1e-6)
    assert {k: v.item() for k, v in logs.items()} == pytest.approx({"adversarial": math.log(4), "l1": 0.5})
    loss, logs = model.loss(Phase("discriminator"), batch)
    assert loss.item() == pytest.approx(-math.log(3 / 4), rel=1e-5)
    assert {k: v.item() for k, v in logs.items()} == pytest.approx(
        {"d_real": math.log(3), "d_fake": -math.log(3)}, rel=1e-5
    )


def test_defaults_of_the_paper() -> None:
    """Isola et al. 2017: λ = 100, dropout ½, 64 channels, a 70×70 PatchGAN on six channels, batch norm in both."""
    config = Pix2Pix.Config()
    assert (config.lambda_l1, config.dropout, config.width, config.disc_width) == (100, 0.5, 64, 64)
    model = build(ImageSpec(32, 32, False, 0), disc_layers=config.disc_layers, depth=3)
    assert model.discriminator.receptive_field() == 70
    assert model.discriminator.layers[0].in_channels == 6
    for network in model.players().values():
        assert any(isinstance(m, nn.BatchNorm2d) for m in network.modules())


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_protocols_and_turns(direction: Direction) -> None:
    """One direction, from pairs; two players that own every parameter between them."""
    model = build(direction=direction)
    assert isinstance(model, Translator)
    assert isinstance(model, Trainable)
    assert tuple(model.directions) == (direction,)
    assert model.paired
    assert tuple(model.players()) == ("generator", "discriminator")
    owned = [id(p) for player in model.players().values() for p in player.parameters()]
    assert sorted(owned) == sorted(id(p) for p in model.parameters())


@pytest.mark.parametrize("mover", ["generator", "discriminator"])
def test_a_turn_leaves_the_other_weights_untouched(mover: str) -> None:
    """Through the real loop, one step in which only `mover` moves: its convolutions change, the other's parameters are
    the same bit for bit, also where the discriminator moves first and has to have images made."""
    model = build()
    before = {name: value.clone() for name, value in model.named_parameters()}
    model.phases = lambda: (Phase(mover),)  # type: ignore[attr-defined]
    config, other = TrainingConfig(steps=1, batch_size=4), Other(pictures(6), pictures(2), aligned=True)
    train(
        model,
        TrainingData(pictures(6), None, pictures(2), other),
        config,
        seed=0,
        device=torch.device("cpu"),
    )
    changed = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert changed
    assert {name.partition(".")[0] for name in changed} == {mover}


def test_images_are_made_once_a_step() -> None:
    """The discriminator judges what the generator's turn of the same step has made: the very pairs, mirrored alike,
    although flips and dropout are random. Its next turn has images made anew."""
    model, batch = build(), batch_of()
    made: list[Tensor] = []
    seen: list[Tensor] = []
    model.generator.register_forward_hook(lambda module, arguments, output: made.append(output.detach()))
    model.discriminator.register_forward_pre_hook(
        lambda module, arguments: seen.append(arguments[0].detach())
    )
    model.loss(Phase("generator"), batch)
    model.loss(Phase("discriminator"), batch)
    assert (len(made), len(seen)) == (1, 3)
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0][:, 3:], made[0])
    assert torch.equal(seen[2][:, :3], seen[1][:, :3])
    model.loss(Phase("discriminator"), batch)
    assert len(made) == 2
    model.loss(Phase("generator"), replace(batch, part=1))  # another part's images are not this one's
    model.loss(Phase("discriminator"), batch)
    assert len(made) == 4


def test_augmentation_is_of_input_and_output_together() -> None:
    """One call a pair, on both images' channels, so that what moves one moves the other; black pairs score alike
    (to rounding) and teach the generator nothing beside L1."""
    seen: list[tuple[int, ...]] = []

    def black(x: Tensor) -> Tensor:
        seen.append(tuple(x.shape))
        return x * 0

    model, batch = build(lambda_l1=0.0), batch_of(augment=black)
    model.loss(Phase("generator"), batch)[0].backward()
    assert all(not p.grad.any() for p in model.generator.parameters() if p.grad is not None)
    _, logs = model.loss(Phase("discriminator"), batch)
    torch.testing.assert_close(logs["d_real"], logs["d_fake"])
    assert seen == [(3, 6, 12, 12)] * 3
    model.loss(Phase("generator"), batch_of())[0].backward()
    assert any(p.grad.any() for p in model.generator.parameters() if p.grad is not None)


def test_pairs_are_mirrored_together() -> None:
    """Row i of both turned left to right, or of neither; half of 400 rows, within five standard errors of
    √(¼/400)."""
    torch.manual_seed(0)
    a, b = torch.rand(2, 400, 1, 3, 4)
    turned_a, turned_b = mirrored(a, b)
    flipped = (turned_a != a).flatten(1).any(1)
    assert flipped.double().mean().item() == pytest.approx(0.5, abs=5 * math.sqrt(0.25 / 400))
    for turned, plain in ((turned_a, a), (turned_b, b)):
        assert torch.equal(turned, torch.where(flipped.view(-1, 1, 1, 1), plain.flip(3), plain))


def test_a_training_pair_stays_a_pair() -> None:
    """Each target is its own input: so is what the model makes its triples of, mirrored rows and others."""
    model, batch = build(), batch_of()
    torch.manual_seed(0)
    triple = model.make(Batch(batch.x, None, 0, 10, y=batch.x))
    assert torch.equal(triple.condition, triple.target)
    assert not torch.equal(triple.target, batch.x)


def test_noise_is_of_training_alone() -> None:
    """Dropout draws in a loss from torch's global generators, and nothing draws in `translate`."""

    def loss(seed: int, **hyper: Any) -> float:
        model = build(flip=False, **hyper)
        torch.manual_seed(seed)
        return model.loss(Phase("generator"), batch_of())[0].item()

    assert loss(1) == loss(1) != loss(2)
    assert loss(1, dropout=0.0) == loss(2, dropout=0.0)
    model, images = build().eval(), pictures(2)
    with torch.inference_mode():
        first = model.translate(images, "AtoB", ImageRng(0, range(2)))
        assert torch.equal(first, model.translate(images, "AtoB", ImageRng(1, range(2))))


@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("side", [32, 33, 64])
def test_any_size(side: int, grey: bool) -> None:
    """uint8 RGB of the same shape; grey stays R = G = B; losses are numbers; an image alone comes out as among others,
    up to one grey level where a sum in another order crosses a rounding border (batch norms have moved before)."""
    spec = ImageSpec(side, side, grey, 0)
    model = build(spec, disc_layers=3)
    for player in model.players():
        assert model.loss(Phase(player), batch_of(spec))[0].isfinite()
    model.eval()
    images = pictures(3, spec)
    with torch.inference_mode():
        made = model.translate(images, "AtoB", ImageRng(0, range(3)))
        alone = model.translate(images[1:2], "AtoB", ImageRng(0, range(1, 2)))
    assert (made.dtype, made.shape) == (torch.uint8, images.shape)
    assert torch.equal(made[:, :1].expand_as(made), made) == grey
    assert (made[1:2].int() - alone.int()).abs().max() <= 1
    assert made.float().std() > 0.1


def test_bad_requests() -> None:
    """One sentence each: the other direction, another size."""
    model = build().eval()
    with pytest.raises(InputError, match="this Pix2Pix has no direction 'BtoA'; it has AtoB"):
        model.translate(pictures(1), "BtoA", ImageRng(0, range(1)))
    with pytest.raises(InputError, match="built for 12×12 images but these are 8×8"):
        model.translate(pictures(1, ImageSpec(8, 8, False, 0)), "AtoB", ImageRng(0, range(1)))
