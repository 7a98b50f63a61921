"""Real NVP: it can be undone, its log-determinants are those of autograd, and its density integrates to one."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.protocols import Batch, Generator, ImageSpec, Likelihood, Observant, Phase, Trainable
from benchbench.core.seeds import ImageRng, image_rngs
from benchbench.models.build import build_model
from benchbench.models.flows.coupling import FlowNorm, by_channel, checkerboard, squeeze, unsqueeze
from benchbench.models.flows.real_nvp import RealNVP
from benchbench.training.checkpoint import FILE, Checkpoints
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.trainer import train

SMALL = {"width": 4, "blocks": 1}


def build(spec: ImageSpec, seed: int = 0, spread: float = 0.2, **hyper: float) -> RealNVP:
    """A small flow whose every weight and statistic was moved away from where it starts."""
    torch.manual_seed(seed)
    model = build_model("real-nvp", SMALL | hyper, spec)
    assert isinstance(model, RealNVP)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += spread * torch.randn_like(parameter)
        for module in model.modules():
            if isinstance(module, FlowNorm):
                module.running_mean.normal_(0, 0.5)
                module.running_var.uniform_(0.5, 2)
    return model.eval()


def pictures(n: int, spec: ImageSpec, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    shape = (n, spec.channels, spec.height, spec.width)
    return torch.randint(0, 256, shape, generator=g, dtype=torch.uint8).expand(n, 3, -1, -1).contiguous()


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from([(8, 8, True), (8, 8, False), (12, 8, True), (7, 9, False), (1, 2, True)]),
)
def test_it_can_be_undone(seed: int, size: tuple[int, int, bool]) -> None:
    """from_normal(to_normal(y)) = y to 1e-4, a thousand roundings of float32; even, odd and tiny sides, grey and
    colour."""
    spec = ImageSpec(*size, 0)
    model = build(spec, seed)
    y = 3 * torch.randn(2, spec.channels, *size[:2])
    with torch.inference_mode():
        vector, _ = model.to_normal(y)
        torch.testing.assert_close(model.from_normal(vector), y, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(
            model.to_normal(model.from_normal(vector))[0], vector, atol=1e-4, rtol=1e-4
        )


@pytest.mark.parametrize(("spec", "scales"), [(ImageSpec(4, 4, True, 0), 2), (ImageSpec(2, 3, False, 0), 1)])
def test_log_determinant_is_that_of_the_jacobian(spec: ImageSpec, scales: int) -> None:
    """torch.autograd's Jacobian of the whole map as the oracle, in float64, where both agree to 1e-9."""
    model = build(spec, scales=scales).double()
    y = torch.randn(1, spec.channels, spec.height, spec.width, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: model.to_normal(x)[0][0], y)
    _, expected = torch.linalg.slogdet(jacobian.flatten(1))
    with torch.no_grad():
        assert model.to_normal(y)[1].item() == pytest.approx(expected.item(), abs=1e-9)


def test_density_of_levels_by_the_change_of_variables() -> None:
    """The normal density of the vector times the Jacobian of everything, from levels on, by autograd and
    torch.distributions; float64."""
    model = build(ImageSpec(4, 4, True, 0)).double()
    levels = 256 * torch.rand(1, 1, 4, 4, dtype=torch.float64)

    def whole(x: Tensor) -> Tensor:
        share = 0.05 + 0.9 * x / 256
        return model.to_normal((share / (1 - share)).log())[0][0]

    jacobian = torch.autograd.functional.jacobian(whole, levels).flatten(1)
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(whole(levels)).sum()
    expected = normal + torch.linalg.slogdet(jacobian)[1]
    with torch.no_grad():
        assert model.log_density(levels).item() == pytest.approx(expected.item(), abs=1e-8)


@pytest.mark.costly
def test_it_integrates_to_one_and_its_bits_are_those_of_the_integral() -> None:
    """A picture of two pixels. Over all of the plane of y, levels beyond 0..255 included, the density integrates to 1;
    and what is stated of an image, the mean over noise, is the integral of -log p over its square of levels. Midpoint
    rule in float64 on 240² points of [-14, 14]² and on 20² of the square; to 1e-3, which also covers the mean over
    4,000 draws of noise, whose standard error is asked for beside it."""
    spec = ImageSpec(1, 2, True, 0)
    model = build(spec, seed=6, spread=0.4).double()
    with torch.inference_mode():
        points = (torch.arange(240, dtype=torch.float64) + 0.5) / 240 * 28 - 14
        total = 0.0
        for row in points.split(60):
            y = torch.cartesian_prod(row, points).view(-1, 1, 1, 2)
            vector, stretched = model.to_normal(y)
            density = torch.distributions.Normal(0.0, 1.0).log_prob(vector).sum(1) + stretched
            total += float(density.exp().sum()) * (28 / 240) ** 2
        assert total == pytest.approx(1, abs=1e-3)

        image = torch.tensor([128, 158], dtype=torch.uint8).view(1, 1, 1, 2).expand(-1, 3, -1, -1)
        within = (torch.arange(20, dtype=torch.float64) + 0.5) / 20
        square = torch.cartesian_prod(128 + within, 158 + within).view(-1, 1, 1, 2)
        integral = -float(model.log_density(square).mean()) / (2 * math.log(2))
        n = 4_000
        nats = model.nats(image.expand(n, -1, -1, -1), "uniform", ImageRng(0, range(n)))
        bits = nats / (2 * math.log(2))
        assert float(bits.std()) / n**0.5 < 3e-4
        assert float(bits.mean()) == pytest.approx(integral, abs=1e-3)


def test_noise_bounds_the_probability_of_levels() -> None:
    """Theis et al. 2016, equation 3, by quadrature on one image of two pixels: -log of the mass in its square of levels
    is at most the mean of -log p over the square."""
    model = build(ImageSpec(1, 2, True, 0), seed=1, spread=0.4, width=8).double()
    within = (torch.arange(60, dtype=torch.float64) + 0.5) / 60
    with torch.inference_mode():
        for a, b in ((0, 0), (255, 0), (100, 101)):
            square = torch.cartesian_prod(a + within, b + within).view(-1, 1, 1, 2)
            logs = model.log_density(square)
            assert -float(logs.exp().mean().log()) <= -float(logs.mean()) + 1e-12


def test_squeezing_by_hand() -> None:
    """Sixteen pixels in their order: half of the channels holds one diagonal of every square, a checkerboard."""
    x = torch.arange(16.0).view(1, 1, 4, 4)
    squeezed = squeeze(x)
    assert squeezed[0, :2].flatten().tolist() == [0, 2, 8, 10, 5, 7, 13, 15]
    assert torch.equal(unsqueeze(squeezed), x)
    assert checkerboard(1, 2, 3, 0)[0, 0].tolist() == [[0, 1, 0], [1, 0, 1]]
    assert checkerboard(1, 2, 3, 1)[0, 0].tolist() == [[1, 0, 1], [0, 1, 0]]
    assert by_channel(4, 1, 1, 0).flatten().tolist() == [1, 1, 0, 0]
    assert by_channel(4, 1, 1, 1).flatten().tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("grey", [True, False])
def test_couplings_on_channels_split_otherwise_than_checkerboards(grey: bool) -> None:
    """Dinh et al. 2017, section 3.6: "the channel-wise masking is chosen so that the resulting partitioning is not
    redundant with the previous checkerboard masking", and half of the variables goes on. By values that name their
    place, through steps that do nothing yet (but for 1e-5 of each batch norm): what a coupling on channels reads has as
    many pixels of either colour of the board, and what the next scale gets is of one."""
    spec = ImageSpec(8, 8, grey, 0)
    torch.manual_seed(0)
    model = build_model("real-nvp", SMALL, spec).eval()
    assert isinstance(model, RealNVP)
    seen: list[Tensor] = []
    for part in (model.halves[0], model.checkers[1]):
        part.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    colour = (torch.arange(8)[:, None] + torch.arange(8)) % 2
    with torch.no_grad():
        model.to_normal(colour.float().expand(1, spec.channels, 8, 8))
    squeezed, left = (one.round() for one in seen)
    assert squeezed.shape == (1, 4 * spec.channels, 4, 4)
    read = squeezed[:, : 2 * spec.channels]
    assert (read == 0).sum() == (read == 1).sum()
    assert left.shape == (1, 2 * spec.channels, 4, 4)
    assert len(left.unique()) == 1


def test_a_coupling_leaves_what_it_reads() -> None:
    """By gradients: a pixel under the mask goes through unchanged, and no other one is read by s and t."""
    model = build(ImageSpec(4, 4, True, 0))
    coupling = model.checkers[0].steps[0]  # type: ignore[union-attr,index]
    x = torch.randn(1, 1, 4, 4, requires_grad=True)
    y, _ = coupling(x)  # type: ignore[operator]
    kept = checkerboard(1, 4, 4, 0)[0, 0].bool()
    assert torch.equal(y[0, 0][kept], x[0, 0][kept])
    jacobian = torch.autograd.functional.jacobian(lambda a: coupling(a)[0].flatten(), x).view(16, 16)  # type: ignore[operator]
    free = ~kept.flatten()
    among = jacobian[free][:, free]
    assert torch.equal(among, torch.diag(among.diagonal()))
    assert (jacobian[free][:, kept.flatten()] != 0).any()


@pytest.mark.parametrize(
    ("height", "width", "scales"), [(32, 32, 4), (28, 28, 3), (8, 8, 2), (7, 9, 1), (12, 8, 2), (1, 2, 1)]
)
def test_scales_of_a_size(height: int, width: int, scales: int) -> None:
    """By hand: halved while both sides are even and four pixels are left. The parts of the vector are all of its
    dimensions."""
    model = build(ImageSpec(height, width, False, 0))
    assert len(model.shapes) == scales
    assert sum(math.prod(shape) for shape in model.shapes) == 3 * height * width


def test_more_scales_than_sides_allow() -> None:
    """8×8 down to 1×1 is four; 28 is halved twice."""
    assert len(build(ImageSpec(8, 8, True, 0), scales=4).shapes) == 4
    with pytest.raises(
        InputError, match=r"scales=4 halves both sides 3 times, and 28x28 can be halved 2 times"
    ):
        build(ImageSpec(28, 28, True, 0), scales=4)


def test_protocols() -> None:
    """What it can do; an estimate that it does not have is refused."""
    spec = ImageSpec(8, 8, True, 0)
    model = build(spec)
    for protocol in (Generator, Likelihood, Observant, Trainable):
        assert isinstance(model, protocol)
    (estimate,) = model.likelihoods()
    assert (estimate.name, estimate.relation, estimate.dequantization) == ("uniform", "exact", "uniform")
    with pytest.raises(InputError, match="no likelihood 'elbo'"):
        model.nats(pictures(1, spec), "elbo", ImageRng(0, [0]))
    with pytest.raises(InputError, match="built for 8x8 images"):
        model.nats(pictures(1, ImageSpec(4, 8, True, 0)), "uniform", ImageRng(0, [0]))


@pytest.mark.parametrize("grey", [True, False])
def test_images_and_nats_are_their_own(grey: bool) -> None:
    """Five images in batches of 5, 2 and 1: the same pictures, up to a level where float noise meets a rounding, and
    the same nats, of which float32 has five digits; grey ones are grey; a temperature of 0 draws one picture."""
    spec = ImageSpec(8, 8, grey, 0)
    model, images = build(spec, spread=0.1), pictures(5, spec)
    with torch.inference_mode():
        drawn, nats = (
            [torch.cat([make(rng) for rng in image_rngs(7, range(5), size)]) for size in (5, 2, 1)]
            for make in (
                lambda rng: model.sample(len(rng), rng).int(),
                lambda rng: model.nats(images[rng.indices], "uniform", rng),
            )
        )
        model.sampling = RealNVP.Sampling(temperature=0)
        still = model.sample(3, ImageRng(1, range(3)))
    assert drawn[0].shape == (5, 3, 8, 8)
    assert nats[0].dtype == torch.float64
    for a, b in zip(drawn[1:], nats[1:], strict=True):
        assert (a - drawn[0]).abs().max() <= 1
        torch.testing.assert_close(b, nats[0], atol=1e-2, rtol=1e-5)
    if grey:
        assert torch.equal(drawn[0][:, 0], drawn[0][:, 2])
    assert (still == still[:1]).all()


def test_samples_are_those_of_the_density() -> None:
    """A flow of one scale that does nothing: levels are 256·(sigmoid(z) - α) / (1 - 2α), rounded down; by hand."""
    spec = ImageSpec(1, 2, True, 0)
    torch.manual_seed(0)
    model = build_model("real-nvp", SMALL, spec).eval()
    rng, again = ImageRng(3, range(50)), ImageRng(3, range(50))
    with torch.inference_mode():
        drawn = model.sample(50, rng)[:, 0].flatten(1)  # type: ignore[operator]
    scale = (1 + 1e-5) ** 0.5  # of the four batch norms, whose variance is 1 and a little
    share = torch.sigmoid(again.normal(2) * scale**4)
    expected = (256 * (share - 0.05) / 0.9).floor().clamp(0, 255)
    assert (drawn.float() - expected).abs().max() <= 1
    assert (drawn.float() == expected).float().mean() > 0.95


def test_a_step_of_training_is_one_on_the_bits() -> None:
    """The loss is the mean of -log p in bits a dimension at the levels plus the noise that torch drew; batch norms use
    the batch and remember a tenth of it."""
    spec = ImageSpec(4, 4, True, 0)
    model = build(spec).train()
    x = pictures(6, spec)[:, :1].float() / 127.5 - 1
    before = model.checkers[0].steps[1].running_mean.clone()  # type: ignore[union-attr,index,operator]
    torch.manual_seed(5)
    loss, logs = model.loss(Phase("flow"), Batch(x, None, 0, 1))
    assert not torch.equal(model.checkers[0].steps[1].running_mean, before)  # type: ignore[union-attr,index,arg-type]
    torch.manual_seed(5)
    levels = pictures(6, spec)[:, :1].float()
    nats = -model.log_density(levels + torch.rand_like(levels))
    assert loss.item() == pytest.approx(float(nats.detach().mean()) / (16 * math.log(2)), rel=1e-5)
    loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    assert logs["bits_per_dim"].item() == loss.item()


def test_batch_norm_as_a_step() -> None:
    """In training its output has mean 0 and variance 1, and its determinant is that of a division by the deviation;
    afterwards it is undone by its running statistics."""
    norm = FlowNorm(2)
    x = 3 * torch.randn(4, 2, 3, 3, dtype=torch.float64) + 1
    y, stretched = norm.double()(x)
    assert y.mean((0, 2, 3)).abs().max() < 1e-12
    torch.testing.assert_close(
        y.var((0, 2, 3), correction=0), torch.ones(2, dtype=torch.float64), atol=1e-4, rtol=0
    )
    expected = -9 * 0.5 * (x.var((0, 2, 3), correction=0) + 1e-5).log().sum()
    torch.testing.assert_close(stretched, expected.expand(4))
    norm.eval()
    torch.testing.assert_close(norm.inverse(norm(x)[0]), x)
    torch.testing.assert_close(norm.running_mean, 0.1 * x.mean((0, 2, 3)))


@pytest.mark.costly
def test_it_resumes_exactly(tmp_path: Path) -> None:
    """Stopped in the third of five steps, with an average of the weights, which the statistics of batch norms are part
    of: the same weights and statistics bit for bit, and those that are handed out are averages."""
    spec = ImageSpec(8, 8, True, 0)
    images = pictures(12, spec)
    config = TrainingConfig(steps=5, batch_size=4, checkpoint_every=1, ema_decay=0.9)

    def trained(model: RealNVP, folder: Path | None) -> dict[str, Tensor]:
        checkpoints = Checkpoints(folder, {}) if folder else None
        data = TrainingData(images, None, images[:2])
        train(model, data, config, seed=0, device=torch.device("cpu"), checkpoints=checkpoints)
        return model.state_dict()

    class Stopping(RealNVP):
        def loss(self, phase: Phase, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
            if batch.step == 2:
                raise InterruptedError
            return super().loss(phase, batch)

    whole = trained(build(spec), None)
    stopping = build(spec)
    stopping.__class__ = Stopping
    with pytest.raises(InterruptedError):
        trained(stopping, tmp_path)
    resumed = trained(build(spec), tmp_path)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    saved = torch.load(tmp_path / FILE, weights_only=True)["state"]
    assert all(torch.equal(whole[name], value) for name, value in saved["ema"][0].items())
    assert not torch.equal(
        whole["checkers.0.steps.1.running_mean"], saved["model"]["checkers.0.steps.1.running_mean"]
    )
