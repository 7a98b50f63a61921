"""DDPM on data whose best network is known: pixels that are Gaussians of their own. Then samples and the bound have
closed forms."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor, distributions, nn

from benchbench.core.errors import InputError
from benchbench.core.images import quantize
from benchbench.core.protocols import ImageSpec
from benchbench.core.seeds import ImageRng
from benchbench.models.build import build_model
from benchbench.models.diffusion.ddpm import DDPM, Prediction, clean_of, target_of
from benchbench.models.diffusion.schedules import ancestral, posterior

GREY = ImageSpec(8, 8, True, 0)
MEAN, DEVIATION = 0.2, 0.25


def gain(kept: float) -> float:
    """Of E[x₀ | x_t] = MEAN + gain·(x_t - √ᾱ·MEAN), by regression."""
    return math.sqrt(kept) * DEVIATION**2 / (kept * DEVIATION**2 + 1 - kept)


class Best(nn.Module):
    """The network that minimises the loss on N(MEAN, DEVIATION²) pixels."""

    def __init__(self, model: DDPM) -> None:
        super().__init__()
        self.kept = torch.tensor(model.shares, dtype=torch.float64)
        self.model_config = model.config
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(
        self, x: Tensor, time: Tensor, condition: Tensor | None = None, dropped: object = None
    ) -> Tensor:
        steps = self.model_config.timesteps
        t = (time * steps / 1000).round().long()
        kept = self.kept[t][:, None, None, None]
        variance = kept * DEVIATION**2 + 1 - kept
        clean = MEAN + kept.sqrt() * DEVIATION**2 / variance * (x.double() - kept.sqrt() * MEAN)
        noise = (x.double() - kept.sqrt() * clean) / (1 - kept).sqrt()
        return target_of(self.model_config.prediction, clean, noise, kept.sqrt(), (1 - kept).sqrt())


def best(sampling: dict[str, object], **hyper: object) -> DDPM:
    model = build_model("ddpm", {"width": 2, "multiples": (1,), **hyper}, GREY, {"clip": False, **sampling})
    assert isinstance(model, DDPM)
    model.network = Best(model)  # type: ignore[assignment]
    return model.eval()


def drawn(model: DDPM, n: int) -> tuple[Tensor, Tensor]:
    """Noise, and the images that the sampler makes of it, before they are rounded; float64 N×1×8×8."""
    draws = ImageRng(3, range(n)).on_device()
    noise = draws.normal(1, 8, 8)
    with torch.inference_mode():
        return noise.double(), model.draw(noise, draws, model.asked(None)).double()


@given(st.sampled_from(["epsilon", "v", "x0"]), st.floats(0.01, 0.99))
@settings(max_examples=30, deadline=None)
def test_predictions_mean_the_image(prediction: Prediction, kept: float) -> None:
    """What the network is asked for, answered rightly, gives the clean image back; v is √ᾱ·ε - √(1 - ᾱ)·x₀.
    float64."""
    x, noise = torch.randn(2, 5, dtype=torch.float64)
    signal, spread = torch.tensor(kept).double().sqrt(), torch.tensor(1 - kept).double().sqrt()
    answer = target_of(prediction, x, noise, signal, spread)
    torch.testing.assert_close(clean_of(prediction, answer, signal * x + spread * noise, signal, spread), x)
    if prediction == "v":
        torch.testing.assert_close(answer, kept**0.5 * noise - (1 - kept) ** 0.5 * x)


@pytest.mark.parametrize("prediction", ["epsilon", "v", "x0"])
def test_ddim_draws_the_data(prediction: Prediction) -> None:
    """The deterministic sampler carries noise z to MEAN + DEVIATION·z, the only monotone map between the two
    Gaussians. At 1000 steps of the linear schedule it is off by 0.004 (first order in the steps, so by 0.04 at
    100)."""
    for steps, tolerance in ((1000, 0.006), (100, 0.06)):
        noise, images = drawn(best({"steps": steps}, prediction=prediction, schedule="linear"), 2)
        assert float((images - (MEAN + DEVIATION * noise)).abs().max()) < tolerance


@pytest.mark.parametrize("variance", ["fixed-large", "fixed-small"])
def test_ancestral_draws_the_data(variance: str) -> None:
    """Every step is affine with Gaussian noise, so mean and variance of what is drawn follow in closed form from step
    to step (start: those of the prior). Drawn ones agree within five standard errors of 16,000 pixels; and by the
    closed form, a chain of 200 has the data's mean to 0.005 and its deviation to 7%, less with the smaller variance
    and more with the larger one, which are the bounds of Ho et al., section 3.2."""
    model = best(
        {"sampler": "ancestral", "steps": 200, "variance": variance}, timesteps=200, schedule="linear"
    )
    _, images = drawn(model, 250)
    mean, spread = 0.0, 1.0
    for t in range(199, -1, -1):
        now, then = model.shares[t], model.shares[t - 1] if t else 1.0
        clean, noisy, sigma = ancestral(variance)(now, then)  # type: ignore[arg-type]
        slope = clean * gain(now) + noisy
        mean = slope * mean + clean * MEAN * (1 - gain(now) * math.sqrt(now))
        spread = slope**2 * spread + (sigma**2 if t else 0)
    n = images.numel()
    assert float(images.mean()) == pytest.approx(mean, abs=5 * math.sqrt(spread / n))
    assert float(images.var()) == pytest.approx(spread, rel=5 * math.sqrt(2 / n))
    assert mean == pytest.approx(MEAN, abs=0.005)
    assert math.sqrt(spread) == pytest.approx(DEVIATION, rel=0.07)
    assert (math.sqrt(spread) < DEVIATION) == (variance == "fixed-small")


def test_guesses_are_cut() -> None:
    """With `clip` no image leaves [-1, 1], for the last step is the guess; without it, data of N(0.2, 0.25²) pixels
    does at some of 4,000 (3.2 deviations: expected at three)."""
    _, images = drawn(best({"steps": 5, "clip": True}), 64)
    assert float(images.abs().max()) <= 1
    _, free = drawn(best({"steps": 50}, schedule="linear"), 64)
    assert float(free.abs().max()) > 1


def levels(n: int) -> Tensor:
    """n images of N(MEAN, DEVIATION²) pixels in 8 bits."""
    g = torch.Generator().manual_seed(5)
    return quantize(MEAN + DEVIATION * torch.randn(n, 1, 8, 8, generator=g))


def expected_bound(model: DDPM, x: Tensor, variance: str) -> float:
    """The mean of the bound over noise, nats a value, in closed form for the best network: of each step by
    torch.distributions, with E[(x₀ - x̂₀)²] = (x₀ - MEAN)²(1 - g√ᾱ)² + g²(1 - ᾱ); of the last one by quadrature."""
    shares, total = model.shares, torch.zeros_like(x)
    for then, now in itertools.pairwise(shares):
        step, g = posterior(now, then), gain(now)
        wrong = (x - MEAN).square() * (1 - g * math.sqrt(now)) ** 2 + g**2 * (1 - now)
        other = ancestral(variance)(now, then).sigma  # type: ignore[arg-type]
        zero = torch.zeros((), dtype=torch.float64)
        narrow = distributions.kl_divergence(
            distributions.Normal(zero, step.sigma), distributions.Normal(zero, other)
        )
        total += narrow + step.clean**2 * wrong / (2 * other**2)
    last = distributions.Normal(math.sqrt(shares[-1]) * x, math.sqrt(1 - shares[-1]))
    total += distributions.kl_divergence(last, distributions.Normal(torch.zeros_like(x), 1.0))
    first, g, sigma = shares[0], gain(shares[0]), posterior(shares[1], shares[0]).sigma

    z, weight = np.polynomial.hermite_e.hermegauss(60)
    values = x.flatten().numpy()[:, None]
    away = values - MEAN - g * (math.sqrt(first) * (values - MEAN) + math.sqrt(1 - first) * z)
    # Of a symmetric density: mirrored, so that the difference is one of small tails.
    near, far = (np.abs(away) - 1 / 255) / sigma, (np.abs(away) + 1 / 255) / sigma
    inner = -np.log(stats.norm.sf(near) - stats.norm.sf(far)) @ weight / weight.sum()
    return float(total.mean()) + float(inner.mean())


@pytest.mark.costly
@pytest.mark.parametrize("variance", ["fixed-large", "fixed-small"])
@pytest.mark.parametrize("terms", [39, 8])
def test_the_bound_in_closed_form(variance: str, terms: int) -> None:
    """All terms of a chain of 40, and eight drawn of 39: the mean over 64 images agrees with the closed form within
    five of its standard errors (the noise's, since the images are those of the closed form), which are below 0.5% of
    it."""
    model = best({"variance": variance, "elbo_terms": terms}, timesteps=40, schedule="linear")
    images = levels(64)
    x = images[:, :1].double() / 127.5 - 1
    with torch.inference_mode():
        nats = torch.stack([model.nats(images, "elbo", ImageRng(seed, range(64))) for seed in range(4)]) / 64
    (estimate,) = model.likelihoods()
    assert (estimate.name, estimate.relation, estimate.facts["terms"]) == ("elbo", "upper bound", terms)
    expected = expected_bound(model, x, variance)
    error = float((nats - nats.mean(0)).std()) / math.sqrt(nats.numel() * 0.75)
    assert error < 0.005 * expected
    assert float(nats.mean()) == pytest.approx(expected, abs=5 * error)


@pytest.mark.costly
def test_the_bound_is_above_the_truth() -> None:
    """-log of the probability that N(MEAN, DEVIATION²) has in each level, by SciPy, is below the bound of the best
    network of a chain of 1000, and of one of 40, by less than 0.35 bits a value: what is left is the last step, whose
    variance is β̃_2 where the best is 1.8 times as large, and steps of the larger variance."""
    images = levels(32)
    x = images[:, 0].numpy() / 127.5 - 1
    scaled = [(x + side / 255 - MEAN) / DEVIATION for side in (-1, 1)]
    truth = (
        -math.fsum([math.log(p) for p in (stats.norm.cdf(scaled[1]) - stats.norm.cdf(scaled[0])).flatten()])
        / x.size
    )
    bounds = []
    for timesteps in (1000, 40):
        model = best({"elbo_terms": 200}, timesteps=timesteps, schedule="linear")
        with torch.inference_mode():
            bounds.append(float(model.nats(images, "elbo", ImageRng(0, range(32))).mean()) / 64)
        assert truth < bounds[-1] < truth + 0.35 * math.log(2)


def test_more_times_than_there_are() -> None:
    """Refused in one sentence when it is built, which is before it is trained."""
    with pytest.raises(InputError, match=r"sampling\.steps=50 visits more times than the 20"):
        best({"steps": 50}, timesteps=20)


def test_steps_that_are_left_open() -> None:
    """Fifty, and of a shorter chain all: what draws with the defaults, as a monitor does, draws from any model."""
    assert len(best({}, timesteps=1000).times) == 50
    assert best({}, timesteps=20).times == [*range(19, -1, -1)]
    assert best({"steps": 2}, timesteps=20).times == [19, 0]


def times_asked(network: nn.Module) -> list[float]:
    """A list that is filled with the time of the first image of each call."""
    seen: list[float] = []
    network.register_forward_pre_hook(lambda module, given: seen.append(float(given[1][0])))
    return seen


def test_each_sampler_asks_once_a_step() -> None:
    """Ten steps, ten evaluations, whichever is asked."""
    for sampling in ({"sampler": "ancestral"}, {"sampler": "dpm-solver++"}, {"eta": 0.5}, {}):
        model = best({"steps": 10, **sampling})
        seen = times_asked(model.network)
        drawn(model, 2)
        assert len(seen) == 10
        assert seen == sorted(seen, reverse=True)


def test_schedule_decides_the_loss() -> None:
    """The best network has on its data the loss E[Var(ε | x_t)], by hand from ᾱ: Var(x₀ | x_t)·ᾱ/(1 - ᾱ), mean over
    t. 256 images at their times, within five standard errors."""
    model = best({}, timesteps=50, schedule="linear")
    g = torch.Generator().manual_seed(0)
    x = MEAN + DEVIATION * torch.randn(256, 1, 8, 8, generator=g, dtype=torch.float64)
    noise, u = torch.randn(256, 1, 8, 8, generator=g, dtype=torch.float64), (torch.arange(256) + 0.5) / 256
    ask: Callable[..., Tensor] = model.asked(None)
    found = model.errors(x, noise, u, ask).flatten(1).mean(1)
    kept = torch.tensor([model.shares[int(v * 50)] for v in u.tolist()], dtype=torch.float64)
    left = DEVIATION**2 * (1 - kept) / (kept * DEVIATION**2 + 1 - kept)
    expected = left * kept / (1 - kept)
    assert float((found - expected).mean()) == pytest.approx(0, abs=5 * float((found - expected).std()) / 16)
