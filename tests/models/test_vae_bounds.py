"""Bounds of VAEs on 8-bit images: probabilities that add up, a model whose likelihood is known, and the contracts."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, distributions, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import Autoencoder, Batch, ImageSpec, Likelihood, Phase, Sampled
from benchbench.core.seeds import ImageRng, image_rngs
from benchbench.models.build import build_model
from benchbench.models.nn.discretized import gaussian_level_logs, logistic_level_logs
from benchbench.models.vae import bounds
from benchbench.models.vae.bounds import elbo_nats, importance_nats
from benchbench.models.vae.discretized import DiscretizedVAE
from benchbench.models.vae.vae import gaussian_nats

LEVELS = torch.arange(256, dtype=torch.float64) / 127.5 - 1
SMALL = {"latent": 4, "width": 4, "depth": 2, "hidden": 16}


@settings(max_examples=40, deadline=None)
@given(st.floats(-3, 3), st.floats(-6.5, 3))
def test_probabilities_of_levels_add_up(mean: float, log_scale: float) -> None:
    """All 256 of them to 1, by definition of open ends; float64, a few hundred roundings. Of the normal distribution
    with that scale likewise."""
    at, scale = torch.tensor(mean, dtype=torch.float64), torch.tensor(log_scale, dtype=torch.float64)
    for logs in (
        logistic_level_logs(LEVELS, at, scale),
        gaussian_level_logs(LEVELS, at, math.exp(log_scale)),
    ):
        assert torch.isfinite(logs).all()
        assert float(logs.logsumexp(0)) == pytest.approx(0, abs=1e-10)


def test_levels_are_differences_of_the_distribution_function() -> None:
    """The plain difference of two values of the distribution function, torch's, where that has digits left."""
    mean, scale = torch.tensor(0.1, dtype=torch.float64), 0.3
    edges = torch.cat([LEVELS[:1] - 1e3, LEVELS[1:] - 1 / 255, LEVELS[-1:] + 1e3])
    normal = distributions.Normal(mean, scale).cdf(edges).diff()
    torch.testing.assert_close(gaussian_level_logs(LEVELS, mean, scale).exp(), normal, atol=1e-13, rtol=1e-9)
    logistic = torch.sigmoid((edges - mean) / scale).diff()
    logs = logistic_level_logs(LEVELS, mean, torch.tensor(scale, dtype=torch.float64).log())
    torch.testing.assert_close(logs.exp(), logistic, atol=1e-13, rtol=1e-9)


def test_far_from_the_mean_levels_have_a_probability_and_a_gradient() -> None:
    """In float32, 200 scales away: finite, and pulling the mean towards the level."""
    for x, mean in ((-0.5, 1.5), (0.5, -1.5), (1.0, -1.0), (-1.0, 1.0)):
        at = torch.tensor(mean, requires_grad=True)
        level = torch.tensor(x)
        for logs in (
            logistic_level_logs(level, at, torch.tensor(0.01).log()),
            gaussian_level_logs(level, at, 0.01),
        ):
            (slope,) = torch.autograd.grad(logs, at)
            assert torch.isfinite(logs)
            assert math.isfinite(slope)
            assert (slope > 0) == (x > mean)


class Linear:
    """x = W z + b + noise of deviation 0.5: a VAE whose likelihood and posterior are Gaussian and known. Columns of W
    are orthogonal, so that the posterior is diagonal; float64."""

    def __init__(self) -> None:
        g = torch.Generator().manual_seed(0)
        q, _ = torch.linalg.qr(torch.randn(6, 2, generator=g, dtype=torch.float64))
        self.w, self.sigma = q * torch.tensor([1.5, 0.7], dtype=torch.float64), 0.5
        self.b = torch.randn(6, generator=g, dtype=torch.float64)
        self.x = self.b + 1.2 * torch.randn(7, 6, generator=g, dtype=torch.float64)

    def reconstruction(self, z: Tensor, x: Tensor) -> Tensor:
        return gaussian_nats(z @ self.w.T + self.b, x, self.sigma)

    def posterior(self) -> tuple[Tensor, Tensor]:
        """Bishop 2006, equation 2.116."""
        precision = 1 + self.w.square().sum(0) / self.sigma**2
        mean = (self.x - self.b) @ self.w / self.sigma**2 / precision
        return mean, (-precision.log()).expand_as(mean)

    def exact(self) -> Tensor:
        """Equation 2.115."""
        covariance = self.w @ self.w.T + self.sigma**2 * torch.eye(6, dtype=torch.float64)
        return -distributions.MultivariateNormal(self.b, covariance).log_prob(self.x)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_with_the_true_posterior_every_weight_is_the_likelihood() -> None:
    """p(x, z) / q(z | x) = p(x) whatever z: the importance-weighted bound is the closed form, with any k, to rounding;
    the ELBO's mean over draws is."""
    toy = Linear()
    mean, log_variance = toy.posterior()
    for k in (1, 5):
        found = importance_nats(toy.reconstruction, toy.x, mean, log_variance, noise(7, k, 2))
        torch.testing.assert_close(found, toy.exact(), atol=1e-10, rtol=0)
    draws = torch.stack(
        [elbo_nats(toy.reconstruction, toy.x, mean, log_variance, noise(7, 2, seed=s)) for s in range(4000)]
    )
    error = draws.std(0) / 4000**0.5
    assert ((draws.mean(0) - toy.exact()).abs() < 4.5 * error).all()


def test_bounds_tighten_with_the_draws() -> None:
    """Under a posterior that is half off: E[ELBO] >= E[IWAE_k] >= E[IWAE_m] >= -log p for k < m (Burda et al. 2016,
    theorem 1), strictly, each by more than four standard errors of 400 draws of each of seven images; with 2,000
    weights it is the closed form to 0.02 nats."""
    toy = Linear()
    mean, log_variance = toy.posterior()
    mean, log_variance = mean + 0.3, log_variance + 0.5
    repeats = 400

    def drawn(k: int) -> Tensor:
        """float64 (repeats,), means over the images."""
        x, m, v = (t.repeat(repeats, 1) for t in (toy.x, mean, log_variance))
        found = importance_nats(toy.reconstruction, x, m, v, noise(7 * repeats, k, 2, seed=k))
        return found.view(repeats, 7).mean(1)

    values = {k: drawn(k) for k in (1, 4, 16, 64)}
    exact = float(toy.exact().mean())
    for fewer, more in itertools.pairwise(values):
        error = float((values[fewer].var() / repeats + values[more].var() / repeats).sqrt())
        assert float(values[fewer].mean() - values[more].mean()) > 4 * error
    assert float(values[64].mean()) > exact - 4 * float(values[64].std()) / repeats**0.5
    tight = importance_nats(toy.reconstruction, toy.x, mean, log_variance, noise(7, 2000, 2, seed=1))
    assert float(tight.mean()) == pytest.approx(exact, abs=0.02)
    # With one weight its expectation is that of the ELBO: both from the same draws, the KL apart.
    x, m, v = (t.repeat(repeats, 1) for t in (toy.x, mean, log_variance))
    elbo = (
        elbo_nats(toy.reconstruction, x, m, v, noise(7 * repeats, 1, 2, seed=1)[:, 0])
        .view(repeats, 7)
        .mean(1)
    )
    gap = elbo - values[1]
    assert abs(float(gap.mean())) < 4 * float(gap.std()) / repeats**0.5


def test_codes_are_decoded_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more than `ROWS` at once, and the bound does not depend on it."""
    toy = Linear()
    mean, log_variance = toy.posterior()
    mean = mean + 0.3
    sizes: list[int] = []

    def watched(z: Tensor, x: Tensor) -> Tensor:
        sizes.append(len(z))
        assert len(x) == len(z)
        return toy.reconstruction(z, x)

    draws = noise(7, 50, 2)
    whole = importance_nats(watched, toy.x, mean, log_variance, draws)
    assert sizes == [350]
    monkeypatch.setattr(bounds, "ROWS", 30)
    sizes.clear()
    parts = importance_nats(watched, toy.x, mean, log_variance, draws)
    assert max(sizes) <= 30
    assert sum(sizes) == 350
    torch.testing.assert_close(parts, whole, atol=1e-12, rtol=0)


def build(grey: bool = True, **hyper: object) -> DiscretizedVAE:
    torch.manual_seed(0)
    model = build_model("vae-discretized", SMALL | hyper, ImageSpec(8, 8, grey, 0))
    assert isinstance(model, DiscretizedVAE)
    return model.eval()


def pictures(n: int, grey: bool = True) -> Tensor:
    g = torch.Generator().manual_seed(1)
    levels = torch.randint(0, 256, (n, 1 if grey else 3, 8, 8), generator=g, dtype=torch.uint8)
    return levels.expand(n, 3, -1, -1).contiguous()


@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("kind", ["discretized_logistic", "discretized_gaussian"])
def test_a_decoder_that_ignores_its_code_states_the_exact_probability(grey: bool, kind: str) -> None:
    """With the posterior at the prior and one distribution for every code, both bounds are that of independent values;
    of means 0.2 and the scale at its start, from the functions above in float64. To 1e-5, which float32 costs."""
    model = build(grey, likelihood=kind, sigma=0.4)
    channels = model.spec.channels

    class Constant(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return torch.full((len(z), channels, 8, 8), 0.2)

    class Prior(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.zeros(len(x), 8)

    model.register_parameter("weight", nn.Parameter(torch.zeros(1)))  # says on which device it is
    model.decoder, model.encoder = Constant(), Prior()
    images = pictures(3, grey)
    x = images[:, :channels].double() / 127.5 - 1
    mean = torch.tensor(0.2, dtype=torch.float64)
    logs = (
        gaussian_level_logs(x, mean, 0.4)
        if kind == "discretized_gaussian"
        else logistic_level_logs(x, mean, torch.tensor(0.4 * 3**0.5 / math.pi, dtype=torch.float64).log())
    )
    expected = -logs.flatten(1).sum(1)
    for estimate in ("elbo", "iwae64"):
        found = model.nats(images, estimate, ImageRng(0, range(3)))
        torch.testing.assert_close(found, expected, atol=0, rtol=1e-5)


def test_the_gaussian_is_the_density_times_the_bin() -> None:
    """Where sigma is large against a bin, the mass is the density of `vae` times the width of the bin, 2/255, up to
    (bin/sigma)²/24 of it; levels away from both ends."""
    x, mean = torch.rand(2, 5, 1, 4, 4, dtype=torch.float64) - 0.5
    x = ((x + 1) * 127.5).round() / 127.5 - 1
    density = gaussian_nats(mean, x, 0.3) - 16 * math.log(2 / 255)
    found = -gaussian_level_logs(x, mean, 0.3).flatten(1).sum(1)
    torch.testing.assert_close(found, density, atol=16 * 10 * (2 / 255 / 0.3) ** 2 / 24, rtol=0)


def test_protocols_and_names() -> None:
    """An autoencoder with settings of drawing, whose bounds are named with their draws; the dear one is marked, and an
    unknown one refused."""
    model = build()
    for protocol in (Autoencoder, Likelihood, Sampled):
        assert isinstance(model, protocol)
    first, second = model.likelihoods()
    assert (first.name, second.name) == ("iwae64", "elbo")
    assert {own.relation for own in (first, second)} == {"upper bound"}
    assert (first.costly, second.costly) == (True, False)
    assert first.facts == {"p_of_x_given_z": "discretized_logistic", "samples": 64}
    model.sampling = DiscretizedVAE.Sampling(iwae_samples=5)
    assert model.likelihoods()[0].name == "iwae5"
    with pytest.raises(InputError, match="no likelihood 'iwae64'; ask for iwae5 or elbo"):
        model.nats(pictures(1), "iwae64", ImageRng(0, [0]))


@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("kind", ["discretized_logistic", "discretized_gaussian"])
def test_nats_belong_to_their_image(grey: bool, kind: str) -> None:
    """Five images in batches of 5, 2 and 1: the same bounds to what float32 holds of some hundreds of nats."""
    model, images = build(grey, likelihood=kind), pictures(5, grey)
    model.sampling = DiscretizedVAE.Sampling(iwae_samples=7)
    for estimate in ("elbo", "iwae7"):
        whole, twos, ones = (
            torch.cat(
                [model.nats(images[rng.indices], estimate, rng) for rng in image_rngs(3, range(5), size)]
            )
            for size in (5, 2, 1)
        )
        assert whole.dtype == torch.float64
        assert len(set(whole.tolist())) == 5
        for parts in (twos, ones):
            torch.testing.assert_close(parts, whole, atol=0, rtol=1e-5)


def test_it_learns_what_it_states() -> None:
    """The loss of a batch is its mean ELBO in nats from the noise that torch drew, and has a gradient in every weight;
    reconstructions are the means, rounded."""
    model = build(False)
    images = pictures(4, False)
    x = images.float() / 127.5 - 1
    torch.manual_seed(2)
    loss, _ = model.loss(Phase("vae"), Batch(x, None, 0, 1))
    torch.manual_seed(2)
    mean, log_variance = model.posterior(x)
    expected = elbo_nats(model.reconstruction_nats, x, mean, log_variance, torch.randn_like(mean)).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    loss.backward()
    assert all(p.grad is not None and (p.grad != 0).any() for p in model.parameters())
    codes = model.encode(images)
    drawn = ((model.likelihood_parameters(codes) + 1) * 127.5).round().clamp(0, 255)
    assert torch.equal(model.reconstruct(images).float(), drawn)
