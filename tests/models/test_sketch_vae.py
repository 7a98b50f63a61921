"""The conditional VAE: its KL against torch.distributions, the bound by hand, and a latent that does something."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, distributions

from benchbench.core.errors import InputError
from benchbench.core.protocols import Batch, Direction, ImageSpec, Phase, Trainable, Translator
from benchbench.core.seeds import ImageRng, image_rngs
from benchbench.models.translation.sketch_vae import SketchVAE, drawn, gaussian_kl
from benchbench.models.vae.vae import kl_to_prior

COLOUR = ImageSpec(12, 12, False, 0)
SMALL = {"width": 4, "depth": 2, "latent": 5, "hidden": 8}


def build(spec: ImageSpec = COLOUR, **hyper: Any) -> SketchVAE:
    torch.manual_seed(0)
    return SketchVAE(SketchVAE.Config.model_validate(SMALL | hyper), spec)


def pictures(n: int, spec: ImageSpec = COLOUR) -> Tensor:
    g = torch.Generator().manual_seed(3)
    images = torch.randint(256, (n, spec.channels, spec.height, spec.width), generator=g, dtype=torch.uint8)
    return images.expand(-1, 3, -1, -1).contiguous()


def batch_of(n: int = 4, spec: ImageSpec = COLOUR, step: int = 0) -> Batch:
    g = torch.Generator().manual_seed(7)
    x, y = torch.rand(2, n, spec.channels, spec.height, spec.width, generator=g) * 2 - 1
    return Batch(x, None, step, 10, y=y)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 7))
def test_kl_is_that_of_torch_distributions(seed: int, n: int, latent: int) -> None:
    """torch.distributions.kl_divergence of two Normals is the oracle; float64, so 1e-10 covers the rounding of a
    few operations. Of a distribution from itself it is 0; against a standard normal it is the VAE's."""
    g = torch.Generator().manual_seed(seed)
    mean_q, log_q, mean_p, log_p = torch.randn(4, n, latent, generator=g, dtype=torch.float64)
    q, p = (distributions.Normal(mean, (0.5 * log).exp()) for mean, log in ((mean_q, log_q), (mean_p, log_p)))
    kl = gaussian_kl((mean_q, log_q), (mean_p, log_p))
    torch.testing.assert_close(kl, distributions.kl_divergence(q, p), atol=1e-10, rtol=1e-10)
    assert float(gaussian_kl((mean_q, log_q), (mean_q, log_q)).abs().max()) < 1e-12
    zero = torch.zeros_like(mean_q)
    torch.testing.assert_close(gaussian_kl((mean_q, log_q), (zero, zero)), kl_to_prior(mean_q, log_q))


def test_drawn_by_hand() -> None:
    """Mean 1, variance 4, noise -1½: 1 - 2·1½ = -2."""
    assert float(drawn((torch.tensor(1.0), torch.tensor(math.log(4))), torch.tensor(-1.5))) == pytest.approx(
        -2
    )


@pytest.mark.parametrize("spec", [COLOUR, ImageSpec(12, 12, True, 0)])
@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_loss_is_the_negative_bound(spec: ImageSpec, direction: Direction) -> None:
    """Equation 4 from torch.distributions and the model's own networks, with the z that the loss draws: -log p of
    the target under Normal(decoded, sigma), grey images too, plus KL(q || p), means over the batch. float32 sums of
    432 terms: 1e-5."""
    model, batch = build(spec, direction=direction, sigma=0.3, flip=False).eval(), batch_of(spec=spec)
    assert batch.y is not None
    x, y = (batch.x, batch.y) if direction == "AtoB" else (batch.y, batch.x)
    with torch.no_grad():
        torch.manual_seed(4)
        loss, logs = model.loss(Phase("vae"), batch)
        torch.manual_seed(4)
        maps = model.generation.encode(x)
        q, p = (
            distributions.Normal(m, (0.5 * v).exp()) for m, v in (model.posterior(x, y), model.prior(maps))
        )
        made = model.generate(maps, q.mean + q.stddev * torch.randn_like(q.mean))
        reconstruction = -distributions.Normal(made, 0.3).log_prob(y).flatten(1).sum(1).mean()
        kl = distributions.kl_divergence(q, p).sum(1).mean()
    assert float(logs["reconstruction"]) == pytest.approx(float(reconstruction), rel=1e-5)
    assert float(logs["kl"]) == pytest.approx(float(kl), rel=1e-4, abs=1e-6)
    assert float(loss) == pytest.approx(float(reconstruction + kl), rel=1e-5)


def test_warm_up_and_free_bits_by_hand() -> None:
    """Over 10 steps the KL weighs 0.1 in step 0 and 1 from step 9 on. With more free bits than any latent of an
    untrained network has, 3 nats, the KL's part of the loss is 5 latents · 3 · weight = 1.5."""
    model = build(kl_warmup=10, free_bits=3.0)
    assert [model.kl_weight(step) for step in (0, 4, 9, 500)] == pytest.approx([0.1, 0.5, 1.0, 1.0])
    assert build().kl_weight(0) == 1.0
    loss, logs = model.loss(Phase("vae"), batch_of())
    assert float(logs["kl"]) < 3
    assert float(loss.detach() - logs["reconstruction"]) == pytest.approx(
        1.5, abs=1e-2
    )  # a difference of 1e4s


def test_a_training_pair_stays_a_pair() -> None:
    """Each target is its own sketch: so the recognition network sees the same image twice, mirrored or not."""
    model, batch = build(), batch_of()
    seen: list[Tensor] = []
    model.recognition.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    torch.manual_seed(0)
    model.loss(Phase("vae"), Batch(batch.x, None, 0, 10, y=batch.x))
    sketch, target = seen[0].chunk(2, dim=1)
    assert torch.equal(sketch, target)
    assert not torch.equal(target, batch.x)


def test_who_sees_what() -> None:
    """The prior is a function of the sketch alone and so is a translation; the recognition network also sees the
    image. Each by its gradient."""
    model = build().eval()
    x, y = torch.rand(2, 2, 3, 12, 12).requires_grad_()
    maps = model.generation.encode(x)
    of_prior = torch.autograd.grad(model.prior(maps)[0].sum(), [x, y], allow_unused=True, retain_graph=True)
    assert of_prior[0].abs().max() > 0
    assert of_prior[1] is None
    of_posterior = torch.autograd.grad(model.posterior(x, y)[0].sum(), [x, y])
    assert all(g.abs().max() > 0 for g in of_posterior)


def test_gradient_reaches_every_parameter() -> None:
    """One pair of losses trains the U-Net, the prior, the recognition network and what lays z out. Biases of the
    U-Net's layers before a batch norm do not exist, so nothing is left over."""
    model = build(depth=3)
    model.loss(Phase("vae"), batch_of())[0].backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert silent == []


def test_a_sketch_has_several_images() -> None:
    """Image i's noise is its own: one sketch four times gives four images, the same four from the same seed, and
    others from another. An untrained decoder hardly listens to z, so what lays it out is made louder here."""
    model = loud(build().eval())
    sketch = pictures(1).expand(4, -1, -1, -1)
    with torch.inference_mode():
        first, again, other = (
            model.translate(sketch, "AtoB", ImageRng(s, range(4))).int() for s in (0, 0, 1)
        )
    assert torch.equal(first, again)
    assert all((first[i] - first[j]).abs().max() > 2 for i in range(4) for j in range(i))
    assert (first - other).abs().max() > 2


def test_translation_is_the_decoded_mean_of_a_draw_from_the_prior() -> None:
    """Recomputed from the parts with the noise of (seed, i); without noise in the prior (variance e⁻¹⁰ is the
    smallest) all samples of a sketch agree to a level."""
    model, images = loud(build().eval()), pictures(3)
    with torch.inference_mode():
        made = model.translate(images, "AtoB", ImageRng(5, range(3)))
        x = images.float() / 127.5 - 1
        maps = model.generation.encode(x)
        mean, log_variance = model.prior(maps)
        z = mean + (0.5 * log_variance).exp() * ImageRng(5, range(3)).normal(5)
        by_hand = ((model.generate(maps, z).clamp(-1, 1) + 1) * 127.5).round()
        assert (made - by_hand).abs().max() <= 1  # x rounded in another order
        head = model.prior_head[-1]
        head.bias[5:] = -100.0
        sketch = images[:1].expand(3, -1, -1, -1)
        still = model.translate(sketch, "AtoB", ImageRng(0, range(3))).int()
    assert (still - still[:1]).abs().max() <= 1 + 127.5 * 0.2  # e⁻⁵ of the loud spread remains


def test_an_image_is_translated_alone() -> None:
    """Image i is a function of its sketch, the seed and i. Another batch size may sum in another order, which can
    carry a value over a rounding border: one level."""
    model, images = loud(build().eval()), pictures(7)
    with torch.inference_mode():
        whole = model.translate(images, "AtoB", ImageRng(9, range(7))).int()
        parts = torch.cat(
            [model.translate(images[r.indices], "AtoB", r).int() for r in image_rngs(9, range(7), 3)]
        )
    assert (whole - parts).abs().max() <= 1
    assert (whole[0] - whole[1]).abs().max() > 2


@pytest.mark.parametrize("spec", [ImageSpec(32, 32, True, 0), ImageSpec(33, 21, False, 0)])
def test_protocols_and_sizes(spec: ImageSpec) -> None:
    """One direction, paired, one player; what comes out is as large as what went in, grey stays grey."""
    model, images = build(spec, direction="BtoA").eval(), pictures(2, spec)
    assert isinstance(model, Translator)
    assert isinstance(model, Trainable)
    assert (model.paired, list(model.directions)) == (True, ["BtoA"])
    assert list(model.players()) == ["vae"]
    with torch.inference_mode():
        made = model.translate(images, "BtoA", ImageRng(0, range(2)))
    assert made.shape == images.shape
    assert not spec.grey or torch.equal(made[:, :1].expand(-1, 3, -1, -1), made)


def test_bad_input_is_one_sentence() -> None:
    """Another size, the other direction, one domain."""
    model, rng = build(), ImageRng(0, range(1))
    with pytest.raises(InputError, match="built for 12×12 images but these are 8×9"):
        model.translate(pictures(1, ImageSpec(9, 8, False, 0)), "AtoB", rng)
    with pytest.raises(InputError, match="has no direction 'BtoA'"):
        model.translate(pictures(1), "BtoA", rng)
    with pytest.raises(InputError, match="two domains"):
        model.loss(Phase("vae"), Batch(batch_of().x, None, 0, 1))


@pytest.mark.costly
def test_learns_that_one_sketch_has_two_images() -> None:
    """A grey sketch whose image is black or white by a coin: a regression can only say grey, and a model that uses
    z says both. 150 steps on 8 pixels; the share of samples on each side of grey is a fair coin's within 4 standard
    errors of 64 draws, and the mean distance from grey is that of the two answers, 0.8 of 1, with room for blur."""
    model, g = build(ImageSpec(8, 8, True, 0), latent=2, sigma=0.3), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    torch.manual_seed(1)
    for step in range(150):
        coins = torch.randint(2, (16, 1, 1, 1), generator=g) * 2.0 - 1
        batch = Batch(torch.zeros(16, 1, 8, 8), None, step, 150, y=0.8 * coins.expand(-1, 1, 8, 8))
        optimizer.zero_grad()
        model.loss(Phase("vae"), batch)[0].backward()
        optimizer.step()
    with torch.inference_mode():
        made = model.eval().turn(torch.zeros(64, 1, 8, 8), "AtoB", ImageRng(0, range(64))).mean((1, 2, 3))
    assert float(made.abs().mean()) > 0.5
    assert float((made > 0).float().mean()) == pytest.approx(0.5, abs=4 * 0.5 / 8)


def loud(model: SketchVAE) -> SketchVAE:
    """The same with weights at which z and the sketch show in whole grey levels."""
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data *= 5
    return model
