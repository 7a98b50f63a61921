"""Codes of given images: exact where a flow says them, to the order of the solver where an equation does, and in closed
form where descent has one."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import ImageSpec, Invertible
from benchbench.core.seeds import ImageRng
from benchbench.models.build import build_model
from benchbench.models.diffusion.ddpm import DDPM
from benchbench.models.diffusion.diffusion import Diffusion
from benchbench.models.diffusion.edm import EDM
from benchbench.models.diffusion.flow_matching import FlowMatching
from benchbench.models.flows.coupling import FlowNorm
from benchbench.models.flows.real_nvp import LEVELS, RealNVP
from benchbench.models.gan.adversarial import Adversarial
from benchbench.models.gan.stylegan2 import StyleGAN2
from benchbench.models.inversion.descent import Descent, descended, distances
from benchbench.models.inversion.encoder import Encoded
from benchbench.models.inversion.exact import Normal
from benchbench.models.inversion.inverter import INVERTERS, inverter_of
from benchbench.models.inversion.ode import DDIMNoise, EDMNoise, FlowNoise

SPEC = ImageSpec(8, 8, False, 3)
FEW = Descent(steps=5, lr=0.1, starts=2)
NET = {"width": 4, "multiples": (1,)}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "vae": ("vae", {"latent": 3, "width": 2, "depth": 1, "hidden": 8}),
    "real-nvp": ("real-nvp", {"width": 4, "blocks": 1}),
    "flow-matching": ("flow-matching", {**NET, "conditional": True, "sampling.steps": 3}),
    "dopri5": ("flow-matching", {**NET, "sampling.solver": "dopri5", "sampling.tolerance": 1e-3}),
    "edm": ("edm", {**NET, "sampling.steps": 3}),
    "ddpm": ("ddpm", {**NET, "conditional": True, "sampling.steps": 3, "sampling.guidance": 0.5}),
    "dcgan": ("dcgan", {"latent": 5, "width": 4}),
    "sngan": ("sngan", {"latent": 5, "width": 4, "projection": True}),
    "biggan": ("biggan", {"latent": 6, "width": 4, "embedding": 3}),
    "stylegan2": (
        "stylegan2",
        {"latent": 5, "width": 4, "style": 6, "mapping_layers": 2, "conditional": True},
    ),
}
RELABELLED = {"flow-matching", "ddpm", "sngan", "biggan"}


def built(name: str) -> nn.Module:
    """Small, in eval mode, every parameter moved away from where it starts, which for some answers is 0."""
    torch.manual_seed(0)
    model_name, settings = MODELS[name]
    sampling = {key.removeprefix("sampling."): own for key, own in settings.items() if "sampling." in key}
    hyper = {key: own for key, own in settings.items() if "sampling." not in key}
    model = build_model(model_name, hyper, SPEC, sampling)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model.eval()


def pictures(n: int, spec: ImageSpec = SPEC, seed: int = 0) -> Tensor:
    """Noise with black and white in it, uint8 RGB."""
    g = torch.Generator().manual_seed(seed)
    shape = (n, spec.channels, spec.height, spec.width)
    levels = torch.randint(-40, 296, shape, generator=g).clamp(0, 255).to(torch.uint8)
    return levels.expand(n, 3, -1, -1).contiguous()


@pytest.mark.costly
@pytest.mark.parametrize("name", MODELS)
def test_codes_belong_to_their_images(name: str) -> None:
    """Three images together and the last of them alone, under inference mode as a task asks: the same code, to 1e-3 of
    what roundings become in five steps of descent or a solver's steps, and the same image to 1 level. No weight, buffer
    or gradient is touched. Labels change what a code means exactly where the inverter says so."""
    model = built(name)
    before = {key: own.clone() for key, own in model.state_dict().items()}
    inverter = inverter_of(model, FEW)
    assert isinstance(inverter, Invertible)
    assert inverter.relabels == (name in RELABELLED)
    images, labels = pictures(3), torch.tensor([0, 2, 1])
    with torch.inference_mode():
        together = inverter.invert(images, ImageRng(3, [4, 5, 6]), labels)
        alone = inverter.invert(images[2:], ImageRng(3, [6]), labels[2:])
        made = inverter.decode(together, labels)
        torch.testing.assert_close(together[2:], alone, atol=1e-3, rtol=1e-3)
        assert (made[2:].int() - inverter.decode(alone, labels[2:]).int()).abs().max() <= 1
        assert made.dtype == torch.uint8
        assert made.shape == images.shape
        assert inverter.relabels != torch.equal(inverter.decode(together, (labels + 1) % 3), made)
    assert all(torch.equal(own, before[key]) for key, own in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_inverters_are_there() -> None:
    """Every class and every inverter that is named is one that is tried above; a model that has both methods is its
    own; one that says only how probable images are has no codes."""
    of = {type(inverter_of(built(name), FEW)).__name__ for name in MODELS} - {"Encoded"}
    assert of == {named.split(":")[1] for named in INVERTERS.values()}

    class Own(nn.Module):
        relabels, costly, inversion = False, False, {"by": "hand"}

        def invert(self, images: Tensor, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
            return images

        def decode(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
            return codes

    own = Own()
    assert inverter_of(own, FEW) is own
    assert inverter_of(build_model("pixelcnn", {"width": 4, "blocks": 1}, SPEC), FEW) is None
    assert isinstance(inverter_of(built("vae"), FEW), Encoded)


@pytest.mark.costly
@given(st.integers(0, 10_000), st.sampled_from([(8, 8, True), (8, 8, False), (7, 9, False)]))
@settings(max_examples=8, deadline=None)
def test_a_flow_is_undone_exactly(seed: int, size: tuple[int, int, bool]) -> None:
    """Real NVP: the vector's place before the logit is the middle of each level to 1e-4 of the place, a thousand
    roundings of float32; half a level is 0.007 of it and more, so each level comes back as itself."""
    spec = ImageSpec(*size, 0)
    torch.manual_seed(seed)
    model = build_model("real-nvp", {"width": 4, "blocks": 1}, spec)
    assert isinstance(model, RealNVP)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        for module in model.modules():
            if isinstance(module, FlowNorm):
                module.running_mean.normal_(0, 0.5)
                module.running_var.uniform_(0.5, 2)
    images = pictures(2, spec, seed)
    alpha = model.config.alpha
    place = torch.logit(alpha + (1 - 2 * alpha) * (images[:, : spec.channels].float() + 0.5) / LEVELS)
    inverter = Normal(model.eval(), FEW)
    with torch.inference_mode():
        codes = inverter.invert(images, ImageRng(0, [0, 1]))
        torch.testing.assert_close(model.from_normal(codes), place, atol=1e-4, rtol=1e-4)
        assert torch.equal(inverter.decode(codes), images)


class Swirl(nn.Module):
    """A smooth answer to images and times, neither linear nor even, in float64."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, time: Tensor, told: object = None, dropped: object = None) -> Tensor:
        t = (time.double() / self.scale)[:, None, None, None]
        return 0.5 * (2 * x.double() + t).sin() + 0.3 * t.cos() * x.double().roll(1, 3)


def swirling(name: str, sampling: dict[str, object], scale: float) -> Diffusion:
    model = build_model(name, NET, SPEC, sampling)
    assert isinstance(model, Diffusion)
    model.network = Swirl(scale)  # type: ignore[assignment]
    return model.eval()


def signed(n: int) -> Tensor:
    return pictures(n).double() / 127.5 - 1


def ratios(errors: list[float]) -> list[float]:
    return [coarse / fine for coarse, fine in itertools.pairwise(errors)]


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 3), ("heun", 2)])
def test_the_way_there_and_back_along_a_flow(solver: str, order: int) -> None:
    """There and back misses the image by the solver's order: with twice the steps half of Euler's error is left. A
    solver of second order with steps h and -h makes errors c·h³ and -c·h³, which cancel up to the next order: an eighth
    is left. Heun's last step is Euler's, undone to first order, which leaves a square of that one step: a quarter. In
    float64, to 15 % of the power, what is left of higher orders at 40 steps."""
    x, errors = signed(2), []
    for steps in (40, 80, 160):
        model = swirling("flow-matching", {"solver": solver, "steps": steps}, 1000)
        assert isinstance(model, FlowMatching)
        inverter, ask = FlowNoise(model, FEW), model.asked(None)
        with torch.inference_mode():
            errors.append(float((inverter.to_images(inverter.to_noise(x, ask), ask) - x).abs().mean()))
    assert ratios(errors) == pytest.approx([2**order] * 2, rel=0.15)


def test_dopri5_there_and_back() -> None:
    """Within a hundred times the tolerance of a step, there and back; ten times as fine, the error is smaller."""
    x, errors = signed(2), []
    for tolerance in (1e-4, 1e-6):
        model = swirling("flow-matching", {"solver": "dopri5", "tolerance": tolerance}, 1000)
        assert isinstance(model, FlowMatching)
        inverter, ask = FlowNoise(model, FEW), model.asked(None)
        with torch.inference_mode():
            errors.append(float((inverter.to_images(inverter.to_noise(x, ask), ask) - x).abs().max()))
        assert errors[-1] < 100 * tolerance
    assert errors[1] < errors[0] / 10


def test_the_way_there_and_back_of_edm() -> None:
    """Heun up the levels and down again, as of any flow; the last step down is one to what the denoiser makes of an
    image with the least noise, which is what is missed by less and less: an eighth with twice the steps, to 15 %."""
    x, errors = signed(2), []
    for steps in (41, 81, 161):
        model = swirling("edm", {"steps": steps, "sigma_min": 0.1, "sigma_max": 5.0, "rho": 3}, 250)
        assert isinstance(model, EDM)
        inverter, ask = EDMNoise(model, FEW), model.asked(None)
        with torch.inference_mode():
            limit = model.denoised(x, x.new_full((2,), 0.1), ask)
            errors.append(float((inverter.to_images(inverter.to_noise(x, ask), ask) - limit).abs().mean()))
    assert ratios(errors) == pytest.approx([8] * 2, rel=0.15)


@pytest.mark.parametrize(
    ("prediction", "sampler", "spacing", "order"),
    [
        ("epsilon", "ddim", "even", 1),
        ("v", "ddim", "even", 1),
        ("x0", "ddim", "even", 1),
        ("v", "dpm-solver++", "karras", 3),
    ],
)
def test_the_way_there_and_back_of_ddpm(prediction: str, sampler: str, spacing: str, order: int) -> None:
    """DDIM is of first order: half the error with twice the steps, of what the model takes the image for at the first
    time, where the last step goes. DPM-Solver++ is of second, and there and back leave an eighth, as `midpoint` does.
    To 15 %."""
    x, errors = signed(2), []
    for steps in (51, 101, 201):
        model = build_model(
            "ddpm",
            {
                **NET,
                "prediction": prediction,
                "schedule": "linear",
                "timesteps": 1001 if sampler == "ddim" else 4001,
            },
            SPEC,
            {"steps": steps, "clip": False, "sampler": sampler, "spacing": spacing},
        )
        assert isinstance(model, DDPM)
        model.network = Swirl(1000)  # type: ignore[assignment]
        inverter, ask = DDIMNoise(model.eval(), FEW), model.asked(None)
        with torch.inference_mode():
            limit = model.clean(x, torch.zeros(2, dtype=torch.int64), ask)
            errors.append(float((inverter.to_images(inverter.to_noise(x, ask), ask) - limit).abs().mean()))
    assert ratios(errors) == pytest.approx([2**order] * 2, rel=0.15)


def test_a_model_is_asked_under_the_labels_of_its_images() -> None:
    """Codes of one image under two labels differ; each comes back under its own label more exactly than under the
    other."""
    model = built("flow-matching")
    assert isinstance(model, FlowMatching)
    inverter = FlowNoise(model, FEW)
    images = pictures(1).repeat(2, 1, 1, 1)
    labels = torch.tensor([0, 1])
    with torch.inference_mode():
        codes = inverter.invert(images, ImageRng(0, [0, 1]), labels)
        errors = [
            (inverter.decode(codes, told).double() - images.double()).square().mean((1, 2, 3))
            for told in (labels, labels.flip(0))
        ]
    assert not torch.allclose(codes[0], codes[1])
    assert (errors[0] < errors[1]).all()


# Descent


def linear(size: int) -> tuple[Tensor, Tensor]:
    """A linear generator of grey 8×8 images: columns and what is added, float64."""
    g = torch.Generator().manual_seed(1)
    return torch.randn(64, size, generator=g).double() / 4, torch.randn(64, generator=g).double() / 4


def test_the_latent_of_a_linear_generator() -> None:
    """Of any images, in the range of the generator or not: the least squares of all pixels at 8×8 and of all means of
    2×2 at 4×4, each divided by how many there are. NumPy's solver on the stacked rows; Adam gets within 1e-3 of it in
    400 steps, from any start."""
    columns, offset = linear(3)
    g = torch.Generator().manual_seed(2)
    images = torch.randn(4, 1, 8, 8, generator=g).double()
    pool = torch.zeros(16, 64, dtype=torch.float64)
    for pixel in range(64):
        pool[pixel // 16 * 4 + pixel % 8 // 2, pixel] = 1 / 4
    rows = torch.cat([torch.eye(64).double() / 8, pool / 4])
    expected = torch.linalg.lstsq(rows @ columns, rows @ (images.flatten(1) - offset).T).solution.T

    def paint(z: Tensor) -> Tensor:
        return (z @ columns.T + offset).view(-1, 1, 8, 8)

    starts = torch.randn(2, 4, 3, generator=g).double()
    found = descended(paint, starts, images, Descent(400, 0.1, 2))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)
    by_hand = ((rows @ (paint(found).flatten(1) - images.flatten(1)).T) ** 2).sum(0)
    torch.testing.assert_close(distances(paint(found), images), by_hand)


def test_the_best_start_counts() -> None:
    """A generator that is flat below 0: a descent that begins there stays, whichever of the two it is; the other finds
    the level 0.7 of its image."""

    def paint(z: Tensor) -> Tensor:
        return z.relu()[..., None, None].expand(-1, 1, 8, 8)

    starts = torch.tensor([[[-1.0], [1.0]], [[1.0], [-1.0]]])
    found = descended(paint, starts, torch.full((2, 1, 8, 8), 0.7), Descent(200, 0.1, 2))
    torch.testing.assert_close(found, torch.full((2, 1), 0.7), atol=1e-3, rtol=0)


@pytest.mark.costly
@pytest.mark.parametrize("name", ["dcgan", "sngan", "biggan", "stylegan2"])
def test_images_of_a_generator_are_found_again(name: str) -> None:
    """Images of codes that the model itself begins with, in their own classes: after 150 steps from other starts at
    most a tenth of the squared error is left that those starts had, on average over four images."""
    model = built(name)
    assert isinstance(model, Adversarial)
    with torch.no_grad():
        if isinstance(
            model, StyleGAN2
        ):  # untrained, its images are beyond black and white, which no other image is
            for colours in model.generator.to_images:
                colours.convolution.weight *= 0.2
        else:  # and these say next to nothing of their latents
            for parameter in model.generator.parameters():
                parameter *= 2
    labels = torch.tensor([0, 1, 2, 0])
    few, many = (inverter_of(model, Descent(steps, 0.1, 2)) for steps in (1, 150))
    assert few is not None
    assert many is not None
    with torch.inference_mode():
        codes = few.invert(pictures(4), ImageRng(9, range(4)), labels)
        images = few.decode(codes, labels)
        left = [
            (way.decode(way.invert(images, ImageRng(1, range(4)), labels), labels).double() - images.double())
            .square()
            .mean()
            for way in (few, many)
        ]
    assert images.double().std(0).mean() > 2  # levels: these images are not all the same
    assert left[1] < left[0] / 10


# Refusals


@pytest.mark.parametrize(
    ("model", "sampling", "words"),
    [
        (
            "ddpm",
            {"sampler": "ancestral"},
            "sampling.sampler=ancestral and sampling.eta=0; set them to ddim and 0",
        ),
        ("ddpm", {"eta": 0.5}, "sampling.eta=0.5"),
        ("edm", {"S_churn": 10}, "S_churn=10 adds noise on the way"),
        ("flow-matching", {"guidance": 1}, "guidance needs a conditional model"),
    ],
)
def test_noise_on_the_way_is_refused(model: str, sampling: dict[str, object], words: str) -> None:
    """Each in a sentence that says what to set."""
    with pytest.raises(InputError, match=words):
        inverter_of(build_model(model, NET, SPEC, sampling), FEW)


def test_images_of_another_size_are_refused() -> None:
    """By each way of finding codes."""
    for name in ("real-nvp", "flow-matching", "edm", "ddpm", "dcgan", "stylegan2"):
        inverter = inverter_of(built(name), FEW)
        assert inverter is not None
        with pytest.raises(InputError, match="was built for 8x8 images but these are 9x8"):
            inverter.invert(torch.zeros(1, 3, 9, 8, dtype=torch.uint8), ImageRng(0, [0]), torch.tensor([0]))


def test_classes_must_be_told() -> None:
    """To a generator whose code means nothing without one, and to a flow that was never asked without."""
    told = build_model("flow-matching", {**NET, "conditional": True, "label_dropout": 0}, SPEC)
    for model, words in (
        (built("sngan"), "say labels"),
        (told.eval(), "was never asked without the classes"),
    ):
        inverter = inverter_of(model, FEW)
        assert inverter is not None
        with pytest.raises(InputError, match=words):
            inverter.invert(pictures(1), ImageRng(0, [0]))
