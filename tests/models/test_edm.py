"""EDM: the paper's constants by their properties, and the sampler on Gaussian pixels, whose best denoiser is
known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, distributions, nn

from benchbench.core.protocols import ImageSpec
from benchbench.core.seeds import ImageRng
from benchbench.models.build import build_model
from benchbench.models.diffusion.density import LEVEL
from benchbench.models.diffusion.edm import EDM, TIMES, preconditioning
from benchbench.models.diffusion.samplers import Churn, stochastic_heun
from benchbench.models.diffusion.schedules import noise_levels

GREY = ImageSpec(4, 4, True, 0)
MEAN, DEVIATION = 0.1, 0.3


def edm(sampling: dict[str, object] | None = None, **hyper: object) -> EDM:
    torch.manual_seed(0)
    model = build_model("edm", {"width": 2, "multiples": (1,), **hyper}, GREY, sampling)
    assert isinstance(model, EDM)
    return model.eval()


def best(x: Tensor, sigma: Tensor) -> Tensor:
    """D(x; σ) of N(MEAN, DEVIATION²) pixels: the posterior mean, by regression."""
    variance = sigma.double().view(-1, *[1] * (x.ndim - 1)) ** 2
    return (DEVIATION**2 * x + variance * MEAN) / (DEVIATION**2 + variance)


class Best(nn.Module):
    """The network whose preconditioned answer is `best`."""

    def __init__(self, sigma_data: float) -> None:
        super().__init__()
        self.sigma_data = sigma_data
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, time: Tensor, condition: None = None, dropped: None = None) -> Tensor:
        sigma = (4 * time.double() / TIMES).exp()
        scale = preconditioning(sigma[:, None, None, None], self.sigma_data)
        noisy = x.double() / scale.c_in
        answer: Tensor = (best(noisy, sigma) - scale.c_skip * noisy) / scale.c_out
        return answer


@given(st.floats(1e-3, 1e3), st.floats(0.05, 5))
@settings(max_examples=50, deadline=None)
def test_preconditioning(sigma: float, sigma_data: float) -> None:
    """For images of variance σ_data² what the network sees and what it is asked for have variance 1 (appendix B.6,
    equations 114 and 118), by adding variances of image and noise; and c_skip is the one that makes c_out smallest
    (equation 127): a little more or less of it needs more. float64."""
    scale = preconditioning(torch.tensor(sigma, dtype=torch.float64), sigma_data)
    c_skip, c_out, c_in, c_noise = (float(part) for part in scale)
    assert c_in**2 * (sigma_data**2 + sigma**2) == pytest.approx(1)

    def asked(skip: float) -> float:
        return (1 - skip) ** 2 * sigma_data**2 + skip**2 * sigma**2

    assert asked(c_skip) / c_out**2 == pytest.approx(1, rel=1e-6)
    assert asked(c_skip) <= min(asked(c_skip + 0.01), asked(c_skip - 0.01))
    assert c_noise == pytest.approx(math.log(sigma) / 4)


def test_noise_levels() -> None:
    """Equation 5 in NumPy with the paper's constants; σ_max first, σ_min, then 0."""
    i = np.arange(18)
    expected = (80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    found = noise_levels(18, 0.002, 80.0, 7.0)
    np.testing.assert_allclose(found[:-1], expected, rtol=1e-9)
    assert found[-1] == 0
    assert noise_levels(1, 0.002, 80.0, 7.0) == pytest.approx([80.0, 0.0])


def test_the_sampler_is_of_second_order() -> None:
    """dx/dσ = (x - D)/σ on Gaussian pixels has the solution x - MEAN ∝ √(DEVIATION² + σ²), from σ_max to 0. With
    twice the steps the error is four times smaller (3.5 to 4.7, for 40 and 80 steps are not yet the limit)."""
    start = 80 * torch.randn(6, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = MEAN + (start - MEAN) * DEVIATION / math.hypot(DEVIATION, 80)
    none = Churn(0.0, 0.0, 1000.0, 1.0)
    errors = []
    for steps in (40, 80):
        found = stochastic_heun(best, start, noise_levels(steps, 0.002, 80.0, 7.0), none, lambda: start)
        errors.append(float((found - exact).abs().max()))
    assert errors[0] < 0.02
    assert 3.5 < errors[0] / errors[1] < 4.7


def test_churn_by_hand() -> None:
    """γ = min(S_churn / N, √2 - 1) within [S_min, S_max], else 0 (Algorithm 2)."""
    churn = Churn(40.0, 0.05, 50.0, 1.003)
    assert churn.gamma(1.0, 256) == pytest.approx(40 / 256)
    assert churn.gamma(1.0, 18) == pytest.approx(math.sqrt(2) - 1)
    assert churn.gamma(0.04, 256) == churn.gamma(51.0, 256) == 0


@pytest.mark.costly
def test_the_stochastic_sampler_draws_the_data() -> None:
    """Noise is added and taken away again, and what comes out is N(MEAN, DEVIATION²) all the same: within five
    standard errors of 16,000 pixels and 1% for 64 steps; another draw of noise is another image. More noise than
    Algorithm 2 should add (S_noise = 1.1) makes pixels spread more, in closed form by nothing simple: by more than
    1%."""
    spreads = []
    for s_noise in (1.0, 1.1):
        model = edm({"steps": 64, "S_churn": 60.0, "S_noise": s_noise})
        model.network = Best(0.5)  # type: ignore[assignment]
        draws = ImageRng(0, range(1000)).on_device()
        noise = draws.normal(1, 4, 4)
        with torch.inference_mode():
            images = model.draw(noise, draws, model.asked(None))
            again = model.draw(noise, draws, model.asked(None))
        assert (images - again).abs().mean() > 0.05
        n = images.numel()
        assert float(images.mean()) == pytest.approx(MEAN, abs=5 * DEVIATION / math.sqrt(n) + 0.005)
        spreads.append(float(images.std()) / DEVIATION)
    assert spreads[0] == pytest.approx(1, abs=5 / math.sqrt(2 * n) + 0.01)
    assert spreads[1] > 1.01


def test_the_loss_is_of_the_denoised_image() -> None:
    """λ(σ)·‖D(y + n; σ) - y‖² with λ = 1/c_out² (equation 8), from the model's own D at its own noise: float32."""
    model = edm()
    nn.init.normal_(model.network.head[-1].weight)
    g = torch.Generator().manual_seed(1)
    x, noise = torch.rand(5, 1, 4, 4, generator=g) * 2 - 1, torch.randn(5, 1, 4, 4, generator=g)
    u = torch.linspace(0.1, 0.9, 5)
    sigma = (-1.2 + 1.2 * distributions.Normal(0.0, 1.0).icdf(u)).exp()
    c_out = preconditioning(sigma, 0.5).c_out[:, None, None, None]
    ask = model.asked(None)
    denoised = model.denoised(x + sigma[:, None, None, None] * noise, sigma, ask)
    expected = (denoised - x).square() / c_out**2
    torch.testing.assert_close(model.errors(x, noise, u, ask), expected, atol=1e-4, rtol=1e-3)


def test_levels_in_training_are_log_normal() -> None:
    """ln σ over evenly spread ranks has the mean P_mean and the deviation P_std, to 1% for a thousand of them; the
    outermost ranks are finite."""
    model = edm(P_mean=-0.4, P_std=0.9)
    seen: list[Tensor] = []
    model.network.register_forward_pre_hook(lambda module, given: seen.append(given[1]))
    u = (torch.arange(1000) + 0.5) / 1000
    model.errors(torch.zeros(1000, 1, 4, 4), torch.zeros(1000, 1, 4, 4), u, model.asked(None))
    logs = 4 * seen[0] / TIMES
    assert float(logs.mean()) == pytest.approx(-0.4, abs=0.01)
    assert float(logs.std()) == pytest.approx(0.9, rel=0.01)
    ends = model.errors(
        torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4), torch.tensor([0.0, 1.0]), model.asked(None)
    )
    assert bool(ends.isfinite().all())


def test_evaluations() -> None:
    """2·steps - 1: the last step has no correction (Algorithm 2, line 9)."""
    model = edm({"steps": 7})
    seen: list[int] = []
    model.network.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    with torch.inference_mode():
        model.sample(2, ImageRng(0, range(2)))
    assert seen == [2] * 13


@pytest.mark.parametrize("trace", ["exact", "hutchinson"])
def test_probability_of_a_gaussian(trace: str) -> None:
    """Of Gaussian pixels with the best network, levels with uniform noise on them: log N of the same places, whose
    noise is drawn again here, plus one log(level) a value. 1e-3 nats a value: the way ends at σ_min, whose noise of
    0.002 blurs the density by (0.002 / 0.3)² and less, and at σ_max, where the prior is a little wider than the
    data's noise. Hutchinson is exact here, for the Jacobian is a multiple of the identity."""
    model = edm({"trace": trace}, sigma_data=DEVIATION)
    model.network = Best(DEVIATION)  # type: ignore[assignment]
    images = torch.randint(80, 200, (5, 1, 4, 4), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    with torch.inference_mode():
        found = model.nats(images.expand(-1, 3, -1, -1), "uniform", ImageRng(2, range(5)))
    noise = ImageRng(2, range(5)).on_device().uniform(1, 4, 4)
    places = (images + noise.double() - 0.5) / 127.5 - 1
    expected = -distributions.Normal(MEAN, DEVIATION).log_prob(places).flatten(1).sum(1) - 16 * math.log(
        LEVEL
    )
    torch.testing.assert_close(found, expected, atol=16e-3, rtol=0)


def test_a_likelihood_says_between_which_levels() -> None:
    """The number depends on where the way begins and ends, so the record names both, as sampling sets them."""
    model = build_model("edm", {"width": 4, "multiples": (1,)}, ImageSpec(8, 8, True, 0), {"sigma_max": 40})
    assert isinstance(model, EDM)
    (own,) = model.likelihoods()
    assert (own.facts["sigma_min"], own.facts["sigma_max"]) == (0.002, 40)
    assert own.facts["solver"] == "dopri5"
