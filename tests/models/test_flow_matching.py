"""Flow matching on Gaussian pixels, whose best velocity is known: samples and probabilities in closed form."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, distributions, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import Batch, ImageSpec, Phase
from benchbench.core.seeds import ImageRng
from benchbench.models.build import build_model
from benchbench.models.diffusion import flow_matching
from benchbench.models.diffusion.density import LEVEL
from benchbench.models.diffusion.flow_matching import TIMES, FlowMatching
from benchbench.models.diffusion.paths import PATHS, PathName, optimal_coupling

GREY = ImageSpec(4, 4, True, 0)
MEAN, DEVIATION = 0.1, 0.3


class Best(nn.Module):
    """E[dx_t/dt | x_t] for N(MEAN, DEVIATION²) pixels on a path, by regression on x_t."""

    def __init__(self, path: PathName) -> None:
        super().__init__()
        self.path = PATHS[path]
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, time: Tensor, condition: None = None, dropped: None = None) -> Tensor:
        t = (time.double() / TIMES)[:, None, None, None]
        alpha, sigma = self.path.alpha(t), self.path.sigma(t)
        d_alpha, d_sigma = self.path.d_alpha(t), self.path.d_sigma(t)
        together = d_alpha * alpha * DEVIATION**2 + d_sigma * sigma
        variance = alpha**2 * DEVIATION**2 + sigma**2
        return d_alpha * MEAN + together / variance * (x.double() - alpha * MEAN)


def flow(sampling: dict[str, object] | None = None, **hyper: object) -> FlowMatching:
    torch.manual_seed(0)
    model = build_model("flow-matching", {"width": 2, "multiples": (1,), **hyper}, GREY, sampling)
    assert isinstance(model, FlowMatching)
    return model.eval()


def best(sampling: dict[str, object], path: PathName = "ot") -> FlowMatching:
    model = flow(sampling, path=path)
    model.network = Best(path)  # type: ignore[assignment]
    return model


@pytest.mark.parametrize("path", list(PATHS))
@pytest.mark.parametrize(
    ("solver", "steps", "tolerance"),
    [("euler", 100, 0.05), ("midpoint", 100, 1e-3), ("heun", 100, 1e-3), ("dopri5", 1, 5e-4)],
)
def test_samples_are_the_data(path: PathName, solver: str, steps: int, tolerance: float) -> None:
    """Noise z goes to MEAN + DEVIATION·z, the monotone map between the two Gaussians (of the path with σ_min, to
    1e-8 of it): first order in a hundred steps, second order, and an adaptive solver at a tolerance of 1e-5 a step."""
    model = best({"solver": solver, "steps": steps}, path)
    draws = ImageRng(3, range(4)).on_device()
    noise = draws.normal(1, 4, 4)
    with torch.inference_mode():
        images = model.draw(noise, draws, model.asked(None))
    assert float((images - (MEAN + DEVIATION * noise)).abs().max()) < tolerance


@pytest.mark.parametrize("path", list(PATHS))
@pytest.mark.parametrize("trace", ["exact", "hutchinson"])
def test_probability_of_a_gaussian(path: PathName, trace: str) -> None:
    """With the best velocity, of levels with uniform noise on them: log N of the same places, whose noise is drawn
    again here, plus one log(level) a value; to 1e-3 nats a value at a tolerance of 1e-5 in float32. Hutchinson is
    exact here, for the Jacobian is a multiple of the identity."""
    model = best({"trace": trace, "probes": 2, "solver": "euler"}, path)
    images = torch.randint(80, 200, (5, 1, 4, 4), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    with torch.inference_mode():
        found = model.nats(images.expand(-1, 3, -1, -1), "uniform", ImageRng(2, range(5)))
    noise = ImageRng(2, range(5)).on_device().uniform(1, 4, 4)
    places = (images + noise.double() - 0.5) / 127.5 - 1
    expected = -distributions.Normal(MEAN, DEVIATION).log_prob(places).flatten(1).sum(1) - 16 * math.log(
        LEVEL
    )
    torch.testing.assert_close(found, expected, atol=16e-3, rtol=0)
    (estimate,) = model.likelihoods()
    assert (estimate.name, estimate.relation, estimate.dequantization) == (
        "uniform",
        "exact",
        "uniform",
    )
    assert estimate.facts["trace"] == trace
    assert ("probes" in estimate.facts) == (trace == "hutchinson")


class Mixing(nn.Module):
    """A velocity that mixes all pixels of an image, M·x."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.3 * torch.randn(16, 16, generator=torch.Generator().manual_seed(0)))

    def forward(self, x: Tensor, time: Tensor, condition: None = None, dropped: None = None) -> Tensor:
        return (x.flatten(1) @ self.weight.T).view_as(x)


def test_hutchinson_is_right_on_average() -> None:
    """Of M·x the estimate is vᵀMv, the trace of M and what the signs do with the rest, whose variance over probes is
    ½Σ(M_ij + M_ji)² over i ≠ j: 200 images, each with its own probes, agree with the exact trace within five standard
    errors of one and of four probes an image, and spread as they should to 30%. The noise on levels is drawn first, so
    it is the same."""
    images = torch.full((200, 3, 4, 4), 90, dtype=torch.uint8)
    model = flow({"trace": "exact", "tolerance": 1e-4})
    model.network = Mixing()  # type: ignore[assignment]
    exact = model.nats(images, "uniform", ImageRng(2, range(200)))
    mixed = (model.network.weight + model.network.weight.T).detach().double().fill_diagonal_(0)
    for probes in (1, 4):
        model.sampling = FlowMatching.Sampling(trace="hutchinson", probes=probes, tolerance=1e-4)
        away = model.nats(images, "uniform", ImageRng(2, range(200))) - exact
        spread = math.sqrt(float(mixed.square().sum()) / 2 / probes)
        assert float(away.mean()) == pytest.approx(0, abs=5 * spread / math.sqrt(200))
        assert float(away.std()) == pytest.approx(spread, rel=0.3)


def test_evaluations_of_each_solver() -> None:
    """Steps of Euler, twice as many of the midpoint rule, one less of Heun, who asks nothing at the end; dopri5 first
    asks once, then six times a step."""
    for solver, expected in (("euler", 6), ("midpoint", 12), ("heun", 11)):
        model = flow({"solver": solver, "steps": 6})
        seen = calls(model.network)
        with torch.inference_mode():
            model.sample(2, ImageRng(0, range(2)))
        assert len(seen) == expected
    model = flow({"solver": "dopri5", "tolerance": 1e-3})
    seen = calls(model.network)
    with torch.inference_mode():
        model.sample(1, ImageRng(0, [0]))
    assert len(seen) % 6 == 1


class Careless(Best):
    """The best velocity but where the image is clean, where it is far off: nobody can learn it there, for it depends on
    a noise that is not there any more."""

    def forward(self, x: Tensor, time: Tensor, condition: None = None, dropped: None = None) -> Tensor:
        away: Tensor = super().forward(x, time, condition, dropped)
        return away + 100.0 * (time >= TIMES)[:, None, None, None]


@pytest.mark.parametrize("solver", ["euler", "midpoint", "heun"])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_images_do_not_depend_on_the_velocity_where_no_noise_is_left(solver: str, steps: int) -> None:
    """Of a trained network that velocity is the mean over all noises, and a step that trusts it leaves noise in the
    image (Karras et al. 2022, algorithm 1, leave it out): the same images, to the bit."""
    draws = ImageRng(3, range(4)).on_device()
    noise = draws.normal(1, 4, 4)
    drawn = []
    for network in (Best("ot"), Careless("ot")):
        model = best({"solver": solver, "steps": steps})
        model.network = network  # type: ignore[assignment]
        with torch.inference_mode():
            drawn.append(model.draw(noise, draws, model.asked(None)))
    assert torch.equal(*drawn)


def calls(network: nn.Module) -> list[int]:
    """A list that grows by the number of rows of each call."""
    seen: list[int] = []
    network.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    return seen


@pytest.mark.parametrize("path", list(PATHS))
def test_the_loss(path: PathName) -> None:
    """An untrained network answers 0, so the loss is the mean square of the velocity, by hand from the path."""
    model = flow(path=path)
    g = torch.Generator().manual_seed(0)
    x, noise, u = (
        torch.randn(6, 1, 4, 4, generator=g),
        torch.randn(6, 1, 4, 4, generator=g),
        torch.rand(6, generator=g),
    )
    t = u[:, None, None, None]
    velocity = PATHS[path].d_alpha(t) * x + PATHS[path].d_sigma(t) * noise
    torch.testing.assert_close(model.errors(x, noise, u, model.asked(None)), velocity.square())


def test_coupling_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `coupling="ot"` the loss sees the noise of the batch in the order of shortest ways, and images in their
    own, so that labels stay theirs; else as it was drawn."""
    x = torch.rand(8, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    met = []
    for coupling in ("independent", "ot"):
        model = flow(coupling=coupling)
        monkeypatch.setattr(
            flow_matching, "at", lambda path, x, noise, t: met.append((x, noise)) or (x, torch.zeros_like(x))
        )
        torch.manual_seed(1)
        model.loss(Phase("network"), Batch(x, None, 0, 1))
    (_, drawn), (images, ordered) = met
    assert torch.equal(images, x)
    assert torch.equal(ordered, drawn[optimal_coupling(x, drawn)])
    assert not torch.equal(ordered, drawn)


@pytest.mark.parametrize("told", ["class", "caption"])
def test_noise_that_was_chosen_for_an_image_knows_what_it_shows(told: str) -> None:
    """Refused: with optimal coupling the noise of a class is not standard normal, and a class is drawn from noise that
    is. (Of the mean images of two classes each gets the noise that lies its way.)"""
    x = torch.cat([torch.full((32, 16), -1.0), torch.full((32, 16), 1.0)])
    noise = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
    chosen = noise[optimal_coupling(x, noise)]
    assert float(chosen[:32].mean()) < -0.1 < 0.1 < float(chosen[32:].mean())
    spec = replace(GREY, condition_dim=4) if told == "caption" else replace(GREY, n_classes=2)
    hyper = {"width": 2, "multiples": (1,), "conditional": told == "class"}
    build_model("flow-matching", {**hyper, "coupling": "independent"}, spec)
    with pytest.raises(InputError, match=r"coupling=ot chooses noise by the image.*use coupling=independent"):
        build_model("flow-matching", {**hyper, "coupling": "ot"}, spec)


def test_noise_on_levels_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """`dequantize` puts every image within half a level of itself, evenly; without it images are as they are."""
    x = torch.zeros(50, 1, 4, 4)
    assert torch.equal(flow().prepared(x), x)
    torch.manual_seed(0)
    away = flow(dequantize=True).prepared(x) / LEVEL
    assert float(away.abs().max()) <= 0.5
    # 800 draws of U(-1/2, 1/2): five standard errors of mean and variance.
    assert float(away.mean()) == pytest.approx(0, abs=5 / math.sqrt(12 * 800))
    assert float(away.var()) == pytest.approx(1 / 12, rel=0.15)
