"""Learned restorers, each held to what its paper says makes it that model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pieces import astronaut
from small_restorers import SMALL
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.colour import luma, ycbcr
from benchbench.core.errors import InputError
from benchbench.core.protocols import Batch, ImageSpec, Phase
from benchbench.data.degrade.degradations import Blocked, Degrades, Downscaled, Noisy
from benchbench.data.degrade.jpeg import jpeg
from benchbench.data.degrade.resize import imresize
from benchbench.models.build import build_model
from benchbench.models.restoration.dae import DenoisingAutoencoder
from benchbench.models.restoration.dncnn import SCALES, STRONGEST, DnCNN, DnCNN3, noisy
from benchbench.models.restoration.edsr import EDSR, ResidualBlock
from benchbench.models.restoration.espcn import ESPCN
from benchbench.models.restoration.interpolation import Bicubic
from benchbench.models.restoration.restorer import LearnedRestorer
from benchbench.models.restoration.srcnn import SRCNN
from benchbench.models.restoration.srgan import SRGAN
from benchbench.models.restoration.vdsr import VDSR

NOISE = Noisy("gaussian", 25)


def build(name: str, degradation: Degrades = NOISE, grey: bool = False, **hyper: Any) -> LearnedRestorer:
    """The model from seed 0, in eval mode."""
    torch.manual_seed(0)
    model = build_model(name, hyper, ImageSpec(24, 24, grey, 0, degradation))
    assert isinstance(model, LearnedRestorer)
    return model.eval()


def batch(n: int = 4, side: int = 24, channels: int = 3, step: int = 0) -> Batch:
    """Pieces of that photograph as the loop hands them over, in [-1, 1]."""
    pieces = torch.cat([astronaut(side + i, side + i)[..., -side:, -side:] for i in range(n)])
    return Batch(pieces[:, :channels].float() / 127.5 - 1, None, step, 10)


def counted(model: nn.Module) -> tuple[int, int]:
    """Numbers of weights in convolutions and linear layers, and of everything that is learned."""
    return (
        sum(p.numel() for p in model.parameters() if p.ndim > 1),
        sum(p.numel() for p in model.parameters()),
    )


# SRCNN


def test_srcnn_has_the_weights_of_the_paper() -> None:
    """Dong et al. 2014, section 4.3.2: the 9-5-5 network has 57,184 = 9²·64 + 5²·64·32 + 5²·32 weights, 9-1-5 has
    8,032; and a bias for each of 64 + 32 + 1 filters."""
    assert counted(build("srcnn", Downscaled(2))) == (57_184, 57_184 + 97)
    assert counted(build("srcnn", Downscaled(3), middle=1))[0] == 8_032


def test_srcnn_sees_the_enlarged_image() -> None:
    """Section 3: bicubic interpolation comes first; with filters that hand one value on the network is that."""
    model = build("srcnn", Downscaled(3), width=1, inner=1)
    assert isinstance(model, SRCNN)
    for layer in (model.extract, model.map, model.rebuild):
        nn.init.zeros_(layer.weight)
        middle = layer.kernel_size[0] // 2
        layer.weight.data[0, 0, middle, middle] = 1
    planes = astronaut(9, 8)[:, :1].double()
    made = model.whole(planes.float())
    assert (made - imresize(planes, 27, 24).clamp(min=0)).abs().max() < 1e-3


# ESPCN


@pytest.mark.parametrize("scale", [2, 3])
def test_espcn_deals_its_pixels_out(scale: int) -> None:
    """Shi et al. 2016, equation 4, for one channel: PS(T)(x, y) = T(⌊x/r⌋, ⌊y/r⌋, r·(y mod r) + x mod r);
    from mid-grey on."""
    model = build("espcn", Downscaled(scale), width=2, inner=2)
    assert isinstance(model, ESPCN)
    nn.init.zeros_(model.last.weight)
    model.last.bias.data = torch.arange(scale**2) / 10  # type: ignore[union-attr]
    made = model(torch.zeros(1, 1, 4, 5))[0, 0]
    assert made.shape == (4 * scale, 5 * scale)
    for y in range(4 * scale):
        for x in range(5 * scale):
            assert made[y, x].item() == pytest.approx(0.5 + (scale * (y % scale) + x % scale) / 10)


def test_espcn_has_the_layers_of_the_paper() -> None:
    """Section 3.2: (5, 64), (3, 32), 3 with tanh on the small image: 5²·64 + 3²·64·32 + 3²·32·r² weights."""
    for scale in (2, 3, 4):
        assert counted(build("espcn", Downscaled(scale)))[0] == 1_600 + 18_432 + 288 * scale**2
    model = build("espcn", Downscaled(2))
    assert isinstance(model, ESPCN)
    nn.init.constant_(model.first.weight, 50)
    nn.init.constant_(model.second.weight, 50)
    assert torch.isfinite(model(torch.rand(1, 1, 6, 6))).all()
    model.requires_grad_(False)
    bound = float(model.last.weight.abs().sum((1, 2, 3)).max() + model.last.bias.abs().max())  # type: ignore[union-attr]
    assert model(torch.full((1, 1, 6, 6), 1e4)).abs().max() <= 0.5 + bound  # tanh keeps it within 1


# VDSR


def test_vdsr_has_the_weights_of_the_paper() -> None:
    """Kim et al. 2016, section 3.1: 20 layers of 3×3, 64 filters: 9·64 + 18·9·64² + 9·64 = 664,704 (665 K in later
    tables), and a bias a filter."""
    assert counted(build("vdsr", Downscaled(2))) == (664_704, 664_704 + 19 * 64 + 1)


@pytest.mark.parametrize("scale", [2, 3])
def test_vdsr_begins_as_bicubic_interpolation(scale: int) -> None:
    """Its last layer is zero, so that the residual is nothing: the bicubic row, within the rounding of 8 bits."""
    small = astronaut(13, 11)
    model = build("vdsr", Downscaled(scale), depth=3, width=4)
    assert isinstance(model, VDSR)
    bicubic = build_model("bicubic", {}, ImageSpec(24, 24, False, 0, Downscaled(scale)))
    assert isinstance(bicubic, Bicubic)
    made, plain = model.restore(small), bicubic.restore(small)
    assert made.shape == (1, 3, 13 * scale, 11 * scale)
    assert (made.int() - plain.int()).abs().max() <= 1
    assert (made != plain).float().mean() < 0.01
    nn.init.ones_(model.layers[-1].weight)
    assert not torch.equal(model.restore(small), plain)


# EDSR


@pytest.mark.parametrize(("scale", "thousands"), [(2, 1370), (3, 1555), (4, 1518)])
def test_edsr_baseline_has_the_parameters_of_the_tables(scale: int, thousands: int) -> None:
    """1,370 K, 1,555 K and 1,518 K in colour: of 3×3 convolutions with biases, 3→64, 32 and one of 64→64, one of
    64→256 for each doubling or one of 64→576, and 64→3."""
    one = 9 * 64 * 64 + 64
    enlarging = {2: 4 * one, 3: 9 * one, 4: 2 * 4 * one}[scale]
    expected = (9 * 3 * 64 + 64) + 33 * one + enlarging + (9 * 64 * 3 + 3)
    found = counted(build("edsr", Downscaled(scale), colour=True))[1]
    assert found == expected
    assert round(found / 1000) in (thousands, thousands - 1)


def test_edsr_scales_what_a_block_adds() -> None:
    """Lim et al. 2017, section 3.3: x + 0.1 · f(x)."""
    torch.manual_seed(0)
    block = ResidualBlock(4, 0.1)
    x = torch.randn(1, 4, 6, 6)
    assert torch.allclose(block(x), x + 0.1 * block.second(F.relu(block.first(x))))
    model = build("edsr", Downscaled(2), blocks=2, width=4, residual_scale=0.1)
    assert isinstance(model, EDSR)
    assert [part.scale for part in model.body if isinstance(part, ResidualBlock)] == [0.1, 0.1]
    assert not any(isinstance(part, nn.BatchNorm2d) for part in model.modules())


LOSSES = {
    "srcnn": lambda made, clean: 0.5 * F.mse_loss(made, clean),
    "vdsr": lambda made, clean: 0.5 * F.mse_loss(made, clean),  # section 3.2: half the squared error
    "edsr": F.l1_loss,  # section 3.2
    "dncnn": lambda made, clean: 0.5 * F.mse_loss(made, clean),  # equation 1
    "dae": lambda made, clean: 0.5 * F.mse_loss(made, clean),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    """Of what the network makes of the degraded patches and the clean ones, drawn again from the same seed; and the
    PSNR of the same."""
    degradation = NOISE if name in ("dncnn", "dae") else Downscaled(2)
    model = build(name, degradation, **SMALL[name])
    torch.manual_seed(3)
    loss, logs = model.loss(Phase("restorer"), batch())
    torch.manual_seed(3)
    clean = model.planes(batch().x)
    made = model(model.degraded(clean))
    assert loss.item() == pytest.approx(LOSSES[name](made, clean).item(), rel=1e-5)
    assert float(logs["psnr"]) == pytest.approx(
        -10 * float(F.mse_loss(made, clean).log10().detach()), rel=1e-5
    )
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in model.parameters())


# DnCNN


def test_dncnn_has_the_layers_of_the_paper() -> None:
    """Zhang et al. 2017, section III.B: 17 layers, 20 for the blind ones, of 64 filters of 3×3 with batch norm between
    the first and the last: 576 + 15·36,864 + 576 weights, a scale and a shift for each of 15·64, biases at both ends:
    0.56 M; 0.67 M."""
    for name, depth in (("dncnn", 17), ("dncnn-b", 20), ("dncnn-3", 20)):
        model = build(name)
        layers = [type(layer).__name__ for layer in model.modules()]
        assert layers.count("Conv2d") == depth
        assert layers.count("BatchNorm2d") == depth - 2
        weights = 2 * 576 + (depth - 2) * 36_864
        assert counted(model) == (weights, weights + (depth - 2) * 128 + 65)
    assert round(counted(build("dncnn"))[1] / 1e6, 2) == 0.56


def test_dncnn_takes_the_noise_away() -> None:
    """Equation 1: the network predicts the noise. Where it predicts none the image stays; where it predicts a tenth,
    a tenth is gone."""
    model = build("dncnn", **SMALL["dncnn"])
    assert isinstance(model, DnCNN)
    last = model.layers[-1]
    nn.init.zeros_(last.weight)
    image = NOISE.of_image(astronaut(24, 21), 1)
    assert (model.restore(image) - image).abs().max() < 1e-3
    nn.init.constant_(last.bias, 0.1)
    assert (model.restore(image) - (image - 25.5)).abs().max() < 1e-3


@pytest.mark.costly
@pytest.mark.parametrize("name", ["dncnn-b", "dncnn-3"])
def test_blind_ones_learn_the_same_whatever_is_asked(name: str) -> None:
    """The weights after the same draws are the same: what is asked for changes neither patches nor targets."""
    asked: list[Degrades] = [NOISE, Noisy("gaussian", 50)]
    if name == "dncnn-3":
        asked += [Downscaled(3), Blocked(10)]
    found = []
    for degradation in asked:
        model = build(name, degradation, **SMALL[name]).train()
        torch.manual_seed(5)
        loss, _ = model.loss(Phase("restorer"), batch(6))
        found.append((float(loss), float(model.state_dict()["layers.0.weight"].sum())))
    assert found == found[:1] * len(asked)


def test_blind_noise_is_of_every_strength() -> None:
    """Section III.E: sigma uniform on 0..55. The deviations of 300 patches of 24×24: below 55 but for a tenth, with
    the mean and the deviation of a uniform one (27.5 and 55/√12, five standard errors)."""
    torch.manual_seed(0)
    clean = torch.full((300, 1, 24, 24), 0.5)
    sigmas = 255 * (noisy(clean) - clean).flatten(1).std(1)
    assert 50 < sigmas.max() < STRONGEST * 1.1
    assert sigmas.min() < 5
    spread = STRONGEST / 12**0.5
    assert abs(float(sigmas.mean()) - STRONGEST / 2) < 5 * spread / 300**0.5
    assert abs(float(sigmas.std()) / spread - 1) < 0.2


@pytest.mark.costly
def test_dncnn_3_draws_all_three() -> None:
    """Section III.E: each patch has noise, was small (2, 3 or 4 times) and is bicubic, or comes out of a JPEG file: it
    is found among what these make of it, each as often as the others (of 60 patches, 20 in the mean with a deviation of
    3.7), and all scales turn up. A batch of one is as good as any: over twelve of them not all are noise."""
    model = build("dncnn-3", **SMALL["dncnn-3"])
    assert isinstance(model, DnCNN3)
    clean = model.planes(batch(12).x[:, :1])[:12].repeat(5, 1, 1, 1)
    torch.manual_seed(1)
    found = [_what_was_done(plane, own) for plane, own in zip(model.degraded(clean), clean, strict=True)]
    assert {what for what in found if what.startswith("x")} == {f"x{scale}" for scale in SCALES}
    counts = [sum(what.startswith(kind) for what in found) for kind in ("noise", "x", "jpeg")]
    assert sum(counts) == 60
    assert min(counts) >= 6
    singles = {_what_was_done(model.degraded(own[None])[0], own)[0] for own in clean[:12]}
    assert singles == {"n", "x", "j"}


def _what_was_done(plane: Tensor, original: Tensor) -> str:
    """ "jpeg", "x2" and its like, or "noise": which of all that may be done to `original`, 1×24×24, gives `plane`."""
    levels = (original[None] * 255).round().clamp(0, 255).to(torch.uint8).expand(-1, 3, -1, -1)
    if any((jpeg(levels, quality)[0, :1] / 255 - plane).abs().max() < 1e-6 for quality in range(5, 100)):
        return "jpeg"
    for scale in SCALES:
        side = -(-24 // scale)
        small = imresize(original[None] * 255, side, side).round().clamp(0, 255)
        if (imresize(small / 255, 24, 24)[0] - plane).abs().max() < 1e-5:
            return f"x{scale}"
    return "noise"


# SRGAN


def test_srgan_learns_the_content_first() -> None:
    """Ledig et al. 2017, section 3.2 and equations 3 and 6: before step `pretrain` the generator minimises the mean
    squared error alone, as if there were no discriminator; from then on a multiple of −log D(G(x)) is added."""
    hyper = {**SMALL["srgan"], "pretrain": 5, "adversarial": 0.5}
    model = build("srgan", Downscaled(2), **hyper)
    assert isinstance(model, SRGAN)

    def losses(step: int) -> tuple[float, float, float]:
        """Of the generator; the two terms of what the paper has, from the same draws."""
        torch.manual_seed(7)
        loss, _ = model.loss(Phase("generator"), batch(step=step))
        torch.manual_seed(7)
        clean = model.planes(batch().x)
        made = model(model.degraded(clean))
        return (
            float(loss),
            float(F.mse_loss(made, clean)),
            float(-F.logsigmoid(model.discriminator(made)).mean()),
        )

    before, content, game = losses(4)
    assert before == pytest.approx(content, rel=1e-6)
    assert [model.turns(step) for step in (0, 4, 5)] == [("generator",)] * 2 + [
        ("discriminator", "generator")
    ]
    after, _, _ = losses(5)
    assert after == pytest.approx(content + 0.5 * game, rel=1e-5)


def test_srgan_gradients_reach_the_generator_through_the_discriminator() -> None:
    """The generator's gradient changes once the game has begun, and the discriminator's loss moves no generator."""
    model = build("srgan", Downscaled(2), **SMALL["srgan"], pretrain=5, adversarial=10.0)
    players = model.players()
    assert list(players) == ["discriminator", "generator"]
    generator = list(players["generator"].parameters())
    both = {id(p) for player in players.values() for p in player.parameters()}
    assert both == {id(p) for p in model.parameters()}

    def gradients(player: str, step: int) -> list[Tensor | None]:
        model.zero_grad()
        torch.manual_seed(7)
        model.loss(Phase(player), batch(step=step))[0].backward()  # type: ignore[no-untyped-call]
        return [None if p.grad is None else p.grad.clone() for p in generator]

    content, with_game = gradients("generator", 4), gradients("generator", 5)
    assert all(own is not None for own in content)
    assert not any(torch.equal(a, b) for a, b in zip(content, with_game, strict=True))  # type: ignore[arg-type]
    assert gradients("discriminator", 5) == [None] * len(generator)
    assert all(p.grad is not None for p in players["discriminator"].parameters())


# The denoising autoencoder


def test_the_code_is_all_that_is_kept() -> None:
    """Three halvings: `code` numbers for 8×8 pixels, and nothing goes around them: images of one code are decoded
    alike."""
    model = build("dae", width=2, code=5)
    assert isinstance(model, DenoisingAutoencoder)
    codes: list[Tensor] = []
    model.encoder.register_forward_hook(lambda module, given, made: codes.append(made))
    image = NOISE.of_image(astronaut(19, 24), 1)
    assert model.restore(image).shape == (1, 3, 19, 24)
    assert codes[0].shape == (3, 5, 3, 3)
    nn.init.zeros_(model.encoder[-1].weight)
    made = model.restore(image)
    assert torch.equal(made, model.restore(image.flip(3)))


# What all of them share


@pytest.mark.parametrize("name", ["espcn", "edsr", "srcnn"])
def test_chroma_is_enlarged_by_interpolation(name: str) -> None:
    """Dong et al. 2014, section 4.1: the network sees the luma, Cb and Cr are bicubic, whatever it makes of the
    luma."""
    small = astronaut(13, 12).float()
    model = build(name, Downscaled(2), **SMALL[name])
    made = model.restore(small)
    assert (ycbcr(made)[:, 1:] - imresize(ycbcr(small)[:, 1:], 26, 24)).abs().max() < 1e-2
    assert (luma(made) - model.whole(luma(small).float())).abs().max() < 1e-2


@pytest.mark.parametrize("name", ["dncnn", "dncnn-b", "dncnn-3", "dae"])
def test_channels_are_denoised_alone(name: str) -> None:
    """A network of one channel treats each alike: other channels first, the same outputs in that order; a grey image
    stays grey and is what its channel becomes."""
    model = build(name, **SMALL[name])
    image = NOISE.of_image(astronaut(16, 24), 1)
    made = model.restore(image)
    assert (model.restore(image[:, [2, 0, 1]]) - made[:, [2, 0, 1]]).abs().max() < 1e-3
    grey = image[:, :1].expand(-1, 3, -1, -1)
    own = model.restore(grey)
    assert torch.equal(own[:, :1].expand_as(own), own)
    assert (own[:, 0] - made[:, 0]).abs().max() < 1e-3


@pytest.mark.parametrize("name", SMALL)
def test_what_is_given_comes_back(name: str) -> None:
    """uint8 for uint8, clipped and rounded; float32 for float32; a batch is its images one by one; odd sizes, and one
    pixel."""
    degradation: Degrades = NOISE if name in ("dncnn-b", "dae") else Downscaled(2)
    model = build(name, degradation, **SMALL[name])
    scale = degradation.scale
    for height, width in ((9, 11), (1, 1), (1, 6)):
        image = astronaut(height, width)
        made = model.restore(image)
        assert (made.dtype, made.shape) == (torch.uint8, (1, 3, height * scale, width * scale))
        levels = model.restore(image.float())
        assert levels.dtype == torch.float32
        assert torch.equal(levels.round().clamp(0, 255).to(torch.uint8), made)
    two = torch.cat([image, image.flip(3)]).float()
    assert (model.restore(two)[:1] - model.restore(two[:1])).abs().max() < 1e-3


@pytest.mark.parametrize("name", SMALL)
def test_what_is_watched_is_the_same_each_time(name: str) -> None:
    """The held-out PSNR of the same weights is the same number, and the draws of the training go on as if nobody had
    watched."""
    degradation: Degrades = NOISE if name in ("dncnn-b", "dae") else Downscaled(2)
    model = build(name, degradation, **SMALL[name])
    images = torch.cat([astronaut(24, 24), astronaut(30, 24)[..., 6:, :]])
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    with torch.inference_mode():
        first = model.epoch_statistics(images)
        drawn = torch.rand(3)
        assert model.epoch_statistics(images) == first
    assert torch.equal(drawn, expected)


@pytest.mark.parametrize("name", [name for name in SMALL if name not in ("dncnn-b", "dncnn-3", "dae")])
def test_colour_is_learned_at_once_or_refused(name: str) -> None:
    """`colour=true`: three channels in and out, and mixed; grey training images are refused in one sentence."""
    model = build(name, Downscaled(2), **SMALL[name], colour=True)
    loss = model.loss(Phase("generator" if name == "srgan" else "restorer"), batch())[0]
    assert torch.isfinite(loss)
    assert model.restore(astronaut(9, 11)).shape == (1, 3, 18, 22)
    with pytest.raises(InputError, match="with colour=true learns from colour images, and these are grey"):
        model.loss(Phase("restorer"), batch(channels=1))


def test_without_a_degradation_there_is_nothing_to_restore() -> None:
    """Built for a task that degrades nothing: one sentence."""
    for name in (*SMALL, "bicubic", "lanczos", "tv"):
        with pytest.raises(InputError, match="nothing is to be restored here"):
            build_model(name, {}, ImageSpec(24, 24, False, 0))
