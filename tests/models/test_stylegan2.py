"""StyleGAN2: the parts that make it that, each against a closed form, another implementation, or what it promises."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from benchbench.core.protocols import Batch, ImageSpec, Phase
from benchbench.core.seeds import ImageRng, image_rngs
from benchbench.models.build import build_model
from benchbench.models.gan.equalized import doubled
from benchbench.models.gan.style_generator import crossed
from benchbench.models.gan.stylegan2 import StyleGAN2, path_weight

SPEC = ImageSpec(8, 8, False, 3)


def build(spec: ImageSpec = SPEC, **hyper: Any) -> StyleGAN2:
    torch.manual_seed(0)
    small = {"latent": 5, "width": 4, "style": 6, "mapping_layers": 2}
    model = build_model("stylegan2", small | hyper, spec)
    assert isinstance(model, StyleGAN2)
    return model


def batch_of(n: int = 4, **more: Any) -> Batch:
    g = torch.Generator().manual_seed(7)
    return Batch(torch.rand(n, 3, 8, 8, generator=g) * 2 - 1, torch.arange(n) % 3, 0, 10, **more)


# Generator


@pytest.mark.costly
@pytest.mark.parametrize(("width", "millions"), [(32, [30, 29]), (16, [25, 24])])
def test_at_the_papers_size(width: int, millions: list[int]) -> None:
    """Karras et al. 2020, section 4.2, at 1024×1024: 30 million parameters of the generator and 29 million of the
    discriminator; 25 and 24 million with half as many channels from 64×64 on. 18 styles an image."""
    with torch.device("meta"):
        model = StyleGAN2(StyleGAN2.Config(width=width), ImageSpec(1024, 1024, False, 0))
    sizes = [sum(p.numel() for p in part.parameters()) for part in (model.generator, model.discriminator)]
    assert [round(size / 1e6) for size in sizes] == millions
    assert model.generator.n_styles == 18


def test_crossover() -> None:
    """Layers before the crossover have the one style and those from there on the other."""
    ours, others = torch.zeros(3, 4, 2), torch.ones(3, 1, 2)
    made = crossed(ours, others, torch.tensor([1, 3, 4]))
    assert made[..., 0].tolist() == [[0, 1, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]


@pytest.mark.parametrize("mixing", [0.0, 0.5, 1.0])
def test_style_mixing(mixing: float) -> None:
    """In training this share of images has two styles, each of the three crossovers of four layers equally often;
    1,000 images: 5 standard errors of 0.016. In eval mode none has."""
    model = build(mixing=mixing)
    seen: list[Tensor] = []
    model.generator.synthesis = seen.append  # type: ignore[assignment,method-assign]
    for training in (True, False):
        model.train(training)
        model.generator(torch.randn(1000, 5), None)
    differs = (seen[0][:, 1:] != seen[0][:, :-1]).any(2)
    assert torch.equal(differs.sum(1) > 0, differs.sum(1) == 1)
    assert differs.any(1).float().mean().item() == pytest.approx(mixing, abs=0.08)
    assert differs.float().mean(0).tolist() == pytest.approx([mixing / 3] * 3, abs=0.08)
    assert torch.equal(seen[1], seen[1][:, :1].expand(-1, 4, -1))


def test_images_are_sums_of_skips() -> None:
    """Figure 7b: with the colours of the larger maps at 0 the image is that of the smallest, made larger by the
    filter; each of the layers takes its own style, colours that of the layer behind. float32."""
    network = build().generator.eval()
    styles = torch.randn(2, network.n_styles, 6)
    nn.init.zeros_(network.to_images[1].convolution.weight)
    x = network.layers[0](network.constant.expand(2, -1, -1, -1), styles[:, 0], torch.zeros(2, 1, 4, 4))
    small = network.to_images[0](x, styles[:, 1])
    torch.testing.assert_close(network.synthesis(styles), doubled(small))


def test_mean_of_styles() -> None:
    """A batch in training mode moves the running mean by 0.005 of the way to the batch's mean; eval mode leaves
    it."""
    model = build()
    z = torch.randn(9, 5)
    mean = model.generator.mapping(z, None).mean(0).detach()
    model.generator(z, None)
    torch.testing.assert_close(model.generator.w_mean, 0.005 * mean, atol=1e-7, rtol=1e-4)
    before = model.generator.w_mean.clone()
    model.eval().generator(z, None)
    assert torch.equal(model.generator.w_mean, before)


def test_truncation() -> None:
    """ψ = 0 is one image, where noise has no strength; ψ = 1 changes nothing; ψ = 0 up to no layer neither; up to all
    it is ψ = 0 again; between, styles are ψ of the way from the mean."""
    model = build().eval()
    model.generator.w_mean.normal_()

    def made(**setting: Any) -> Tensor:
        model.sampling = StyleGAN2.Sampling(**setting)
        with torch.inference_mode():
            return model.sample(3, ImageRng(1, range(3)))

    plain = made()
    assert len(plain.flatten(1).unique(dim=0)) == 3
    assert len(made(psi=0).flatten(1).unique(dim=0)) == 1
    assert torch.equal(made(psi=1, cutoff=2), plain)
    assert torch.equal(made(psi=0, cutoff=0), plain)
    assert torch.equal(made(psi=0, cutoff=4), made(psi=0))
    assert torch.equal(made(psi=0, cutoff=99), made(psi=0))
    w, mean = torch.randn(2, 6), model.generator.w_mean
    model.sampling = StyleGAN2.Sampling(psi=0.3, cutoff=1)
    styles = model.truncated(w)
    torch.testing.assert_close(styles[:, 0], mean + 0.3 * (w - mean))
    assert torch.equal(styles[:, 1:], w[:, None].expand(-1, 3, -1))


def test_noise_belongs_to_the_image() -> None:
    """With noise that counts, image i is still a function of (seed, i): one grey level, where a product of another
    shape rounds otherwise. Noise of another image is another."""
    model = build().eval()
    for layer in model.generator.layers:
        nn.init.constant_(layer.strength, 1.0)
    with torch.inference_mode():
        whole = model.sample(5, ImageRng(5, range(5))).int()
        parts = torch.cat([model.sample(len(rng), rng) for rng in image_rngs(5, range(5), 2)]).int()
        model.sampling = StyleGAN2.Sampling(psi=0)
        noisy = model.sample(5, ImageRng(5, range(5)))
    assert (whole - parts).abs().max() <= 1
    assert len(noisy.flatten(1).unique(dim=0)) == 5


def test_other_sizes_are_cropped_from_larger_ones() -> None:
    """28×28 is made as 32×32, from 4×4 and three doublings."""
    network = build(ImageSpec(28, 28, True, 0)).generator
    assert network.sides == [(4, 4), (8, 8), (8, 8), (16, 16), (16, 16), (32, 32), (32, 32)]
    assert network(torch.randn(2, 5), None).shape == (2, 1, 32, 32)


# The game


def test_phases() -> None:
    """Section 3.1 and appendix B: R1 every 16 steps, the path length every 8, on batches that were seen; a weight of
    0 takes a phase away."""
    lazy = [phase for phase in build().phases() if phase.name != "main"]
    assert lazy == [
        Phase("discriminator", "r1", 16, fresh_batch=False),
        Phase("generator", "path_length", 8, fresh_batch=False),
    ]
    assert len(build(r1=0, path_length=0).phases()) == 2
    model = build()
    assert model.averaged() == [model.generator]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 20))
def test_r1_of_a_linear_discriminator(seed: int, gamma: float) -> None:
    """D(x) = w·x has the gradient w at every image: γ/2 ‖w‖², whose own gradient is γ w. float32 sums of 192
    squares."""

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.randn(192, generator=torch.Generator().manual_seed(seed)))

        def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
            return x.flatten(1) @ self.w

    model, batch = build(r1=gamma), batch_of()
    model.discriminator = Linear()
    loss, logs = model.loss(Phase("discriminator", "r1", 16, fresh_batch=False), batch)
    w = model.discriminator.w
    assert loss.item() == pytest.approx(gamma / 2 * w.square().sum().item(), rel=1e-4, abs=1e-6)
    assert logs == {}
    loss.backward()
    torch.testing.assert_close(w.grad, gamma * w.detach(), atol=1e-4, rtol=1e-4)
    assert not batch.x.requires_grad


def test_r1_is_of_what_the_discriminator_sees() -> None:
    """D(x) = ‖x‖²/2 has the gradient x: γ/2 E‖x‖² of the images as the augmentation leaves them."""

    class Square(nn.Module):
        def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
            return x.square().flatten(1).sum(1) / 2

    model, batch = build(r1=3), batch_of(augment=lambda x: x + 1)
    model.discriminator = Square()
    loss, _ = model.loss(Phase("discriminator", "r1", 16, fresh_batch=False), batch)
    torch.testing.assert_close(loss.detach(), 1.5 * (batch.x + 1).square().sum((1, 2, 3)).mean())


@pytest.mark.costly
def test_path_length_by_the_jacobian() -> None:
    """Equation 4 with the whole Jacobian of images by w, from torch's `jacobian`, and the y that the seed gives: the
    weight times E(‖Jᵀy‖ - a)², a the running mean that has moved by 0.01 of its way. Noise has no strength. float32
    through a generator: 1e-4."""
    model, batch = build(path_length=2.0), batch_of(3)
    network = model.generator
    torch.manual_seed(5)
    z = torch.randn(3, 5)
    w = network.mapping(z, None).detach()
    for side in network.sides:
        torch.randn(3, 1, *side)
    y = torch.randn(3, 3, 8, 8)

    def images(one: Tensor) -> Tensor:
        return network.synthesis(one[None, None].expand(-1, 4, -1))[0]

    jacobians = [torch.autograd.functional.jacobian(images, one) for one in w]
    lengths = torch.stack([torch.einsum("chw,chwd->d", y[n], jacobians[n]).norm() for n in range(3)])
    expected = 2.0 * path_weight(8) * (lengths - 0.01 * lengths.mean()).square().mean()
    torch.manual_seed(5)
    loss, _ = model.loss(Phase("generator", "path_length", 8, fresh_batch=False), batch)
    torch.testing.assert_close(loss.detach(), expected, atol=0, rtol=1e-4)
    torch.testing.assert_close(model.mean_length, 0.01 * lengths.mean())


def test_weight_of_the_path_length() -> None:
    """Appendix B: ln 2 / (r² (ln r - ln 2)), by hand for r = 8: 0.6931 / (64 · 1.3863) = 1/128."""
    assert path_weight(8) == pytest.approx(1 / 128)


def test_a_class_is_a_direction() -> None:
    """The score is an inner product with a unit vector of the class: its length says nothing, its opposite turns the
    sign; without classes the score is one number of the last layer. float32."""
    model = build(conditional=True).eval()
    x, labels = batch_of().x, torch.tensor([0, 1, 2, 0])
    before = model.score(x, labels)
    with torch.no_grad():
        model.discriminator.classes.weight *= -4
    torch.testing.assert_close(model.score(x, labels), -before)
    assert build().discriminator.classes is None


def test_the_label_reaches_both_networks() -> None:
    """Another label, the same noise and image: another image and another score."""
    model, x, zero = build(conditional=True).eval(), batch_of().x, torch.zeros(4, dtype=torch.int64)
    z = torch.randn(4, 5)
    with torch.no_grad():
        assert (model.generate(z, zero) - model.generate(z, zero + 1)).abs().amax((1, 2, 3)).min() > 0
        assert (model.score(x, zero) - model.score(x, zero + 1)).abs().min() > 0


def test_adaptive_augmentation_in_the_game() -> None:
    """Real scores are counted in the discriminator's turns alone, once an image whatever `accumulate` cuts; p moves
    before the turns of steps 0, 4, 8, by what was seen since; both players' images are augmented, after the loop's
    own augmentation; its curves are `ada_p` and `ada_r`. Weights do not hold it, checkpoints do."""
    model = build(ada=True, ada_target=-1, ada_images=100)
    assert model.ada is not None
    seen: list[Tensor] = []
    model.ada.forward = lambda x: seen.append(x) or x  # type: ignore[assignment,method-assign]
    black = batch_of(augment=lambda x: x * 0)
    _, logs = model.loss(Phase("discriminator"), black)
    assert model.ada.seen.item() == 4
    assert [len(x) for x in seen] == [4, 4]
    model.loss(Phase("generator"), black)
    model.loss(Phase("discriminator", "r1", 16, fresh_batch=False), black)
    assert len(seen) == 4
    assert not any(x.any() for x in seen)
    assert model.ada.seen.item() == 4
    assert logs["ada_r"].item() == pytest.approx(model.ada.overfitting.item())
    model.ada.signs.fill_(4)  # above the target
    for step, part, p in ((3, 0, 0.0), (4, 1, 0.0), (4, 0, 0.12)):
        _, logs = model.loss(Phase("discriminator"), Batch(black.x, None, step, 10, part=part))
        assert logs["ada_p"].item() == pytest.approx(p, abs=1e-6)
    # With `n_dis` above 1 the second turn of the step judges by no single batch: p waits for four steps' scores.
    _, logs = model.loss(Phase("discriminator"), Batch(black.x, None, 4, 10))
    assert logs["ada_p"].item() == pytest.approx(0.12, abs=1e-6)
    assert model.ada.seen.item() == 8
    assert not any("ada" in name for name in model.state_dict())
    assert {"ada.p", "ada.signs", "ada.seen", "mean_length"} <= dict(model.named_buffers()).keys()
