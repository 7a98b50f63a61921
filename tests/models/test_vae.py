"""The VAEs: every term of the bound against another implementation, and the contracts of the room."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, distributions, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import Autoencoder, Batch, ImageSpec, Observant, Phase, Trainable
from benchbench.core.seeds import ImageRng, image_rngs
from benchbench.models.build import build_model
from benchbench.models.vae.beta_vae import BetaVAE
from benchbench.models.vae.vae import (
    VAE,
    ConvVAE,
    active_units,
    bernoulli_nats,
    free_bits_kl,
    gaussian_nats,
    kl_to_prior,
)

GREY = ImageSpec(32, 32, True, 0)
COLOUR = ImageSpec(32, 32, False, 0)
SMALL = {"latent": 4, "width": 4}


def build(name: str, spec: ImageSpec, **hyper: float) -> VAE:
    torch.manual_seed(0)
    model = build_model(name, SMALL | hyper, spec)
    assert isinstance(model, VAE)
    return model.eval()


def pictures(n: int, spec: ImageSpec, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (n, spec.channels, spec.height, spec.width)
    return (
        torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8).expand(n, 3, -1, -1).contiguous()
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 7))
def test_kl_is_that_of_torch_distributions(seed: int, n: int, latent: int) -> None:
    """torch.distributions.kl_divergence is the oracle; float64, so 1e-10 covers a few operations'
    rounding."""
    g = torch.Generator().manual_seed(seed)
    mean, log_variance = torch.randn(2, n, latent, generator=g, dtype=torch.float64)
    q = distributions.Normal(mean, (0.5 * log_variance).exp())
    p = distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    torch.testing.assert_close(
        kl_to_prior(mean, log_variance), distributions.kl_divergence(q, p), atol=1e-10, rtol=1e-10
    )


def test_bernoulli_is_that_of_torch_distributions() -> None:
    """Continuous x as its own probability: Bernoulli(logits).log_prob without its check of the support."""
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 1, 4, 5, generator=g, dtype=torch.float64)
    x = torch.rand(3, 1, 4, 5, generator=g, dtype=torch.float64) * 2 - 1
    oracle = distributions.Bernoulli(logits=logits, validate_args=False).log_prob((x + 1) / 2)
    torch.testing.assert_close(bernoulli_nats(logits, x), -oracle.flatten(1).sum(1), atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("sigma", [0.1, 1.0, 2.5])
def test_gaussian_is_that_of_torch_distributions(sigma: float) -> None:
    """Normal(mean, sigma).log_prob, summed over the values of an image; float64."""
    g = torch.Generator().manual_seed(1)
    mean, x = torch.randn(2, 3, 3, 4, 5, generator=g, dtype=torch.float64)
    oracle = distributions.Normal(mean, sigma).log_prob(x)
    torch.testing.assert_close(
        gaussian_nats(mean, x, sigma), -oracle.flatten(1).sum(1), atol=1e-9, rtol=1e-10
    )


@pytest.mark.parametrize("spec", [GREY, COLOUR])
def test_loss_is_the_negative_bound(spec: ImageSpec) -> None:
    """The loss is reconstruction plus KL, and the KL is the mean of log q(z|x) - log p(z) over draws from q.

    The KL is analytic in the loss and a Monte Carlo mean of torch.distributions here. An untrained posterior
    is close to the prior, log q - log p spreads by less than half a nat, so the mean over 4000 draws is off
    by less than 0.008: the tolerance is four of those. The reconstruction is that of the z the loss itself
    drew.
    """
    model = build("vae", spec)
    x = pictures(2, spec)[:, : spec.channels].float() / 127.5 - 1
    draws = 4000
    with torch.no_grad():
        mean, log_variance = model.posterior(x)
        q = distributions.Normal(mean, (0.5 * log_variance).exp())
        torch.manual_seed(3)
        z = q.sample((draws,))
        kl = (q.log_prob(z) - distributions.Normal(0.0, 1.0).log_prob(z)).sum(-1).mean()
        torch.manual_seed(4)
        loss, logs = model.loss(Phase("vae"), Batch(x, None, 0, 1))
        torch.manual_seed(4)
        own = model.reconstruction_nats(mean + torch.randn_like(mean) * (0.5 * log_variance).exp(), x).mean()
    assert logs["kl"].item() == pytest.approx(kl.item(), abs=0.03)
    assert logs["reconstruction"].item() == pytest.approx(own.item(), rel=1e-6)
    assert loss.item() == pytest.approx(float(logs["reconstruction"] + logs["kl"]), rel=1e-6)


def test_free_bits_by_hand() -> None:
    """Batch means of the three latents are 0.1, 0.5, 2; with 0.5 nats free the sum is 0.5 + 0.5 + 2 = 3."""
    kl = torch.tensor([[0.0, 0.4, 1.0], [0.2, 0.6, 3.0]])
    assert float(free_bits_kl(kl, 0.5)) == pytest.approx(3.0)
    assert float(free_bits_kl(kl, 0.0)) == pytest.approx(2.6)


def test_free_bits_cost_nothing() -> None:
    """No gradient for the latents below 0.5 nats; the others have that of a batch mean of two, 1/2 each."""
    kl = torch.tensor([[0.0, 0.4, 1.0], [0.2, 0.5, 3.0]], requires_grad=True)
    free_bits_kl(kl, 0.5).backward()
    assert kl.grad is not None
    assert kl.grad.tolist() == [[0.0, 0.0, 0.5], [0.0, 0.0, 0.5]]


def test_warm_up_by_hand() -> None:
    """beta = 4 over 10 steps: 0.4 in step 0, 2 in step 4, 4 from step 9 on; without warm-up 4 at once."""
    ramp = build("beta-vae", GREY, kl_warmup=10)
    assert [ramp.kl_weight(step) for step in (0, 4, 9, 500)] == pytest.approx([0.4, 2.0, 4.0, 4.0])
    assert build("beta-vae", GREY).kl_weight(0) == 4.0
    assert build("vae", GREY).kl_weight(0) == 1.0


def test_beta_weighs_the_kl() -> None:
    """Equation 4 of Higgins et al.: loss = reconstruction + beta·KL, from the model's own logs."""
    model = build("beta-vae", COLOUR, beta=7.0)
    loss, logs = model.loss(Phase("vae"), Batch(torch.rand(2, 3, 32, 32) * 2 - 1, None, 0, 1))
    assert loss.item() == pytest.approx(float(logs["reconstruction"] + 7 * logs["kl"]), rel=1e-6)


def test_active_units_on_a_constructed_case() -> None:
    """Means ±a have population variance a²: just below 0.1² is not active, 0.11² is, nor is one image."""
    means = torch.tensor([[0.1, 0.11, 0.0, 3.0], [-0.1, -0.11, 0.0, -3.0]], dtype=torch.float64)
    assert active_units(means * torch.tensor([0.999, 1, 1, 1])) == 2
    assert active_units(means[:1]) == 0


@pytest.mark.parametrize("name", ["vae", "vae-mlp", "beta-vae"])
@pytest.mark.parametrize("spec", [GREY, COLOUR])
def test_protocols(name: str, spec: ImageSpec) -> None:
    """The three models generate, encode, train and report."""
    model = build(name, spec)
    assert isinstance(model, Autoencoder)
    assert isinstance(model, Trainable)
    assert isinstance(model, Observant)
    images = pictures(5, spec)
    with torch.inference_mode():
        statistics = model.epoch_statistics(images)
        assert statistics == model.epoch_statistics(images)
        assert torch.equal(model.reconstruct(images), model.decode(model.encode(images)))
    assert statistics.keys() == {"held_out_reconstruction", "held_out_kl", "active_units"}
    assert all(math.isfinite(value) for value in statistics.values())


@pytest.mark.parametrize("name", ["vae", "vae-mlp"])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (28, 28), (32, 32), (64, 64), (72, 72), (20, 35)])
def test_any_size(name: str, height: int, width: int) -> None:
    """Codes are (n, latent), images come out as large as they went in, also where 8 does not divide the
    side."""
    spec = ImageSpec(height, width, False, 0)
    model, images = build(name, spec), pictures(2, spec)
    with torch.inference_mode():
        assert model.encode(images).shape == (2, 4)
        assert model.reconstruct(images).shape == images.shape
        made = model.sample(2, ImageRng(0, range(2)))
    assert made.shape == images.shape
    assert made.dtype == torch.uint8


def test_grey_stays_grey() -> None:
    """A model of grey data makes RGB images with R = G = B."""
    with torch.inference_mode():
        made = build("vae", GREY).sample(2, ImageRng(0, range(2)))
    assert torch.equal(made[:, :1].expand(-1, 3, -1, -1), made)


def test_decoded_mean_by_hand() -> None:
    """A decoder that always says the logit of 3/4, log 3, paints 0.75·255 = 191.25, rounded 191; a colour one
    that says mean 0.5 paints 1.5·127.5 = 191.25 likewise, and beyond [-1, 1] it clamps."""
    grey = VAE(ConvVAE.Config(latent=1), GREY, nn.Identity(), _Constant(GREY, math.log(3)))
    colour = VAE(ConvVAE.Config(latent=1), COLOUR, nn.Identity(), _Constant(COLOUR, 0.5))
    beyond = VAE(ConvVAE.Config(latent=1), COLOUR, nn.Identity(), _Constant(COLOUR, 1.7))
    code = torch.zeros(1, 1)
    assert [int(m.decode(code).unique()) for m in (grey, colour, beyond)] == [191, 191, 255]


@pytest.mark.parametrize("name", ["vae", "vae-mlp"])
def test_samples_do_not_depend_on_the_batch(name: str) -> None:
    """Image i is a function of (seed, i). Matrix products of another shape may sum in another order, which
    can carry a value across a rounding border: one grey level."""
    model = build(name, COLOUR)
    with torch.inference_mode():
        whole = model.sample(7, ImageRng(5, range(7))).int()
        parts = torch.cat([model.sample(len(rng), rng) for rng in image_rngs(5, range(7), 3)]).int()
        other = model.sample(7, ImageRng(6, range(7))).int()
    assert (whole - parts).abs().max() <= 1
    assert (whole - other).abs().max() > 1


@pytest.mark.parametrize("name", ["vae", "vae-mlp"])
def test_initial_weights_follow_the_seed(name: str) -> None:
    """torch.manual_seed fixes every initial weight; another seed gives others."""
    first, second = build(name, GREY).state_dict(), build(name, GREY).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    torch.manual_seed(1)
    other = build_model(name, SMALL, GREY).state_dict()
    assert not torch.equal(first["decoder.0.weight"], other["decoder.0.weight"])


def test_too_small_and_wrong_size_are_refused() -> None:
    """One sentence each, naming the sizes."""
    with pytest.raises(InputError, match="at least 8x8 pixels but these are 8x7"):
        build("vae", ImageSpec(8, 7, True, 0))
    with pytest.raises(InputError, match="built for 32x32 images but these are 28x28"):
        build("vae", COLOUR).encode(pictures(1, ImageSpec(28, 28, False, 0)))
    with pytest.raises(InputError, match="must be uint8"):
        build("vae", COLOUR).encode(torch.zeros(1, 3, 32, 32))


def test_beta_vae_is_the_conv_vae() -> None:
    """Same seed, same networks: only the weight of the KL differs."""
    plain, beta = build("vae", GREY).state_dict(), build("beta-vae", GREY).state_dict()
    assert issubclass(BetaVAE, ConvVAE)
    assert all(torch.equal(plain[key], beta[key]) for key in plain)


class _Constant(nn.Module):
    def __init__(self, spec: ImageSpec, value: float) -> None:
        super().__init__()
        self.shape, self.value = (spec.channels, spec.height, spec.width), value

    def forward(self, z: Tensor) -> Tensor:
        return torch.full((len(z), *self.shape), self.value)
