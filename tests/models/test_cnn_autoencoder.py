"""The encoder-decoder: its loss by hand, that nothing passes beside the bottleneck, directions and sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import Batch, Direction, ImageSpec, Phase, Trainable, Translator
from benchbench.core.seeds import ImageRng, image_rngs
from benchbench.models.translation.cnn_autoencoder import CNNAutoencoder

COLOUR = ImageSpec(12, 12, False, 0)


def build(spec: ImageSpec = COLOUR, **hyper: Any) -> CNNAutoencoder:
    torch.manual_seed(0)
    return CNNAutoencoder(CNNAutoencoder.Config.model_validate({"width": 4, "depth": 2} | hyper), spec)


def pictures(n: int, spec: ImageSpec = COLOUR) -> Tensor:
    g = torch.Generator().manual_seed(3)
    images = torch.randint(256, (n, spec.channels, spec.height, spec.width), generator=g, dtype=torch.uint8)
    return images.expand(-1, 3, -1, -1).contiguous()


@pytest.mark.parametrize(("direction", "expected"), [("AtoB", 0.5), ("BtoA", 1.0)])
def test_loss_by_hand(direction: Direction, expected: float) -> None:
    """A network that says ¼ everywhere: the mean of |¼ - y| is ½ for the target B, ¾ and -¼ half and half, and 1 for
    the target A, -¾. Mirroring changes no mean. float32."""
    model = build(direction=direction)
    model.encoder, model.decoder = nn.Sequential(), nn.Sequential(_Constant(0.25))
    b = torch.full((2, 3, 12, 12), 0.75)
    b[:, :, :6] = -0.25
    loss, logs = model.loss(Phase("autoencoder"), Batch(torch.full_like(b, -0.75), None, 0, 1, y=b))
    assert float(loss) == pytest.approx(expected, rel=1e-6)
    assert logs == {}


def test_mirrored_pairs_stay_pairs() -> None:
    """A network that copies its input has no error on pairs of equal images, however they are mirrored; without
    mirroring B alone, an asymmetric image would differ."""
    model = build()
    model.encoder, model.decoder = nn.Sequential(), nn.Sequential()
    x = torch.rand(16, 3, 12, 12)
    assert float(model.loss(Phase("autoencoder"), Batch(x, None, 0, 1, y=x))[0]) == 0.0


def test_everything_passes_the_bottleneck() -> None:
    """With its smallest maps held at zero, the output does not depend on the input: there are no skips."""
    model = build().eval()
    x = torch.rand(4, 3, 12, 12)
    assert (model.turn(x, "AtoB", ImageRng(0, ())).std(0) > 0).any()
    model.encoder.register_forward_hook(lambda module, inputs, code: torch.zeros_like(code))
    made = model.turn(x, "AtoB", ImageRng(0, ()))
    torch.testing.assert_close(made, made[:1].expand_as(made), atol=1e-6, rtol=0)


def test_shape_of_the_code() -> None:
    """depth 3 and width 4 at 33×21: sides rounded up to 40×24, halved three times to 5×3, channels 4, 8, 16."""
    model = build(ImageSpec(33, 21, False, 0), depth=3)
    assert model.encoder(torch.rand(2, 3, 33, 21)).shape == (2, 16, 5, 3)


def test_gradient_reaches_every_parameter() -> None:
    """The loss depends on all weights and on no generator's target."""
    model, y = build(depth=3), torch.rand(4, 3, 12, 12, requires_grad=True)
    loss, _ = model.loss(Phase("autoencoder"), Batch(torch.rand(4, 3, 12, 12), None, 0, 1, y=y))
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


@pytest.mark.parametrize("spec", [ImageSpec(32, 32, True, 0), ImageSpec(33, 21, False, 0)])
@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_protocols_and_sizes(spec: ImageSpec, direction: Direction) -> None:
    """One direction, paired, one player; what comes out is as large as what went in, grey stays grey."""
    model, images = build(spec, direction=direction).eval(), pictures(2, spec)
    assert isinstance(model, Translator)
    assert isinstance(model, Trainable)
    assert (model.paired, list(model.directions)) == (True, [direction])
    assert list(model.players()) == ["autoencoder"]
    with torch.inference_mode():
        made = model.translate(images, direction, ImageRng(0, range(2)))
    assert made.shape == images.shape
    assert not spec.grey or torch.equal(made[:, :1].expand(-1, 3, -1, -1), made)


def test_an_image_is_translated_alone() -> None:
    """Whoever else is in the batch, and whatever the random numbers. Another batch size may sum in another order,
    which can carry a value over a rounding border: one level."""
    model, images = build().eval(), pictures(7)
    for module in model.modules():  # as initialised the output is within a few levels of grey
        if isinstance(module, nn.ConvTranspose2d):
            module.weight.data *= 20
    with torch.inference_mode():
        whole = model.translate(images, "AtoB", ImageRng(0, range(7))).int()
        parts = torch.cat(
            [model.translate(images[r.indices], "AtoB", r).int() for r in image_rngs(9, range(7), 3)]
        )
    assert (whole - parts).abs().max() <= 1
    assert (whole[0] - whole[1]).abs().max() > 1


def test_bad_input_is_one_sentence() -> None:
    """Another size, the other direction, one domain."""
    model, rng = build(), ImageRng(0, range(1))
    with pytest.raises(InputError, match="built for 12×12 images but these are 8×9"):
        model.translate(pictures(1, ImageSpec(9, 8, False, 0)), "AtoB", rng)
    with pytest.raises(InputError, match="has no direction 'BtoA'"):
        model.translate(pictures(1), "BtoA", rng)
    with pytest.raises(InputError, match="two domains"):
        model.loss(Phase("autoencoder"), Batch(torch.rand(1, 3, 12, 12), None, 0, 1))


def test_learns_a_negative() -> None:
    """B is the negative of A, blobs of 4 pixels so that half the sides hold them. The best constant errs by ½ on
    uniform values in [-1, 1]; 60 steps bring held-out pairs well below it."""
    model, g = build(width=8, depth=1), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def blobs(n: int) -> Tensor:
        return (torch.rand(n, 3, 3, 3, generator=g) * 2 - 1).repeat_interleave(4, 2).repeat_interleave(4, 3)

    for step in range(60):
        x = blobs(8)
        loss, _ = model.loss(Phase("autoencoder"), Batch(x, None, step, 60, y=-x))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x = blobs(32)
    with torch.inference_mode():
        error = (model.eval().turn(x, "AtoB", ImageRng(0, ())) + x).abs().mean()
    assert float(error) < 0.3


class _Constant(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return torch.full_like(x, self.value)
