"""BigGAN: its networks at the paper's size, spectral norms, the regularisation of equation 3, split latents,
truncation."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from benchbench.core.errors import InputError
from benchbench.core.protocols import Batch, ImageSpec, Phase
from benchbench.core.seeds import ImageRng
from benchbench.models.build import build_model
from benchbench.models.gan import biggan
from benchbench.models.gan.biggan import (
    BigGAN,
    ConditionalBatchNorm2d,
    DownBlock,
    UpBlock,
    filters,
    off_diagonal,
    truncated_normal,
)
from benchbench.models.gan.self_attention import SelfAttention

SPEC = ImageSpec(16, 16, False, 3)


def build(spec: ImageSpec = SPEC, **hyper: Any) -> BigGAN:
    torch.manual_seed(0)
    model = build_model("biggan", {"latent": 6, "width": 4, "embedding": 3} | hyper, spec)
    assert isinstance(model, BigGAN)
    return model


def batch_of(n: int = 6) -> Batch:
    g = torch.Generator().manual_seed(7)
    return Batch(torch.rand(n, 3, 16, 16, generator=g) * 2 - 1, torch.arange(n) % 3, 0, 1)


@pytest.mark.parametrize(("width", "millions"), [(96, 158.3), (64, 71.3)])
def test_at_the_papers_size(width: int, millions: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brock et al. 2019, table 4: channels 16, 16, 8, 4, 2, 1 times ch in the generator with attention at 64×64, and
    1, 2, 4, 8, 16, 16 in the discriminator; table 1: so many million parameters with shared embeddings and split
    latents, rounded to 0.1 there, and 0.2% are left for what is counted as one."""
    for module, name in ((nn.init, "orthogonal_"), (biggan, "spectral_norm")):
        monkeypatch.setattr(module, name, lambda same: same)  # they take their time, without values too
    with torch.device("meta"):
        model = BigGAN(BigGAN.Config(width=width), ImageSpec(128, 128, False, 1000))
    up = [m for m in model.generator.modules() if isinstance(m, UpBlock)]
    assert [b.first.in_channels // width for b in up] == [16, 16, 8, 4, 2]
    assert [b.second.out_channels // width for b in up] == [16, 8, 4, 2, 1]
    assert [b.norms[0].gain.in_features for b in up] == [20 + 128] * 5
    assert (model.generator.project.in_features, model.generator.attended) == (20, 4)
    down = [m for m in model.discriminator.modules() if isinstance(m, DownBlock)]
    assert [b.second.out_channels // width for b in down] == [1, 2, 4, 8, 16, 16]
    assert isinstance(
        model.discriminator.layers[2], SelfAttention
    )  # behind the filling up and the first block
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, rel=2e-3)


def test_defaults() -> None:
    """Two turns of the discriminator (section 3), β = 1e-4 (section 3.1), no truncation unless asked for."""
    assert (BigGAN.Config().n_dis, BigGAN.Config().orthogonal) == (2, 1e-4)
    assert BigGAN.sampling.truncation is None
    model = build()
    assert model.averaged() == [model.generator]


def test_attention_must_have_its_maps() -> None:
    """16×16 is halved twice."""
    with pytest.raises(
        InputError, match="attention=3 asks for maps halved so often, but 16x16 pixels are halved 2"
    ):
        build(attention=3)
    assert not [m for m in build(attention=0).modules() if isinstance(m, SelfAttention)]


@pytest.mark.costly
def test_largest_singular_values_are_one() -> None:
    """Spectral norm in both players (section 2): after enough passes in training mode every weight but the shared
    embedding ends at σ₁ = 1, estimated from below, so σ₁ is never under 1 by more than rounding. Power iteration
    misses it by (σ₂/σ₁)^2k; 200 passes leave 1e-3 as for sngan."""
    model = build(ImageSpec(8, 8, False, 3))
    with torch.no_grad():
        for parameter in filters(model):
            parameter.add_(torch.randn_like(parameter))  # away from orthogonal, where all values are equal
        x, labels, z = torch.rand(2, 3, 8, 8), torch.tensor([0, 1]), torch.randn(2, 6)
        for _ in range(200):
            model.generate(z, labels)
            model.score(x, labels)
        model.eval()
        layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
        plain = [m for m in layers if not parametrize.is_parametrized(m, "weight")]
        largest = [torch.linalg.svdvals(m.weight.flatten(1))[0].item() for m in layers if m not in plain]
    assert plain == [model.generator.embedding]
    assert largest == pytest.approx([1.0] * len(largest), abs=1e-3)


def test_weights_start_orthogonal() -> None:
    """Appendix B, Saxe et al. 2014: of each matrix (outputs, the rest) the shorter side is orthonormal; float32 QR:
    1e-5."""
    for weight in filters(build()):
        matrix = weight.detach().flatten(1)
        short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
        torch.testing.assert_close(short @ short.T, torch.eye(len(short)), atol=1e-5, rtol=0)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 4))
def test_off_diagonal_by_loops(seed: int, outputs: int, inputs: int) -> None:
    """Equation 3 as two loops over different filters; float64, 1e-10 relative."""
    w = torch.randn(outputs, inputs, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    expected = sum(float((w[i] * w[j]).sum()) ** 2 for i in range(outputs) for j in range(outputs) if i != j)
    assert off_diagonal(w).item() == pytest.approx(expected, rel=1e-10, abs=1e-10)


def test_off_diagonal_under_autocast() -> None:
    """It is a small difference of large numbers, of which bfloat16 would keep nothing: the same as without, to the bit.
    The filters are nearly orthogonal, as those of a network that minimises it."""
    basis = torch.linalg.qr(torch.randn(96, 96, generator=torch.Generator().manual_seed(0)))[0]
    w = basis[:32] + 1e-3 * torch.randn(32, 96, generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        found = off_diagonal(w)
    assert found.item() == off_diagonal(w).item() > 0


def test_off_diagonal_says_nothing_of_norms() -> None:
    """Two unit filters at 60° cost 2 cos² 60° = ½; orthogonal ones of any norm nothing."""
    w = torch.tensor([[1.0, 0.0], [0.5, math.sqrt(3) / 2]])
    assert off_diagonal(w).item() == pytest.approx(0.5, abs=1e-6)
    assert off_diagonal(torch.tensor([[7.0, 0.0], [0.0, -0.1]])).item() == 0


def test_generator_minimises_hinge_and_penalty() -> None:
    """Two models that differ by β alone, same seed, same images: the losses differ by β Σ off_diagonal over the
    generator's filters, which are away from orthogonal here. float32 sums of thousands of squares: 1e-5 relative."""
    plain, regular = build(orthogonal=0), build(orthogonal=0.5)
    losses = []
    for model in (plain, regular):
        torch.manual_seed(1)
        with torch.no_grad():
            for weight in filters(model.generator):
                weight.add_(torch.randn_like(weight) * 0.1)
        torch.manual_seed(5)
        losses.append(model.loss(Phase("generator"), batch_of())[0].item())
    penalty = sum(off_diagonal(weight).item() for weight in filters(regular.generator))
    assert penalty > 1
    assert losses[1] - losses[0] == pytest.approx(0.5 * penalty, rel=1e-5)


def test_discriminator_minimises_the_hinge() -> None:
    """Scores are set by hand: real 2 and ½ cost 0 and ½, fake -3 and ½ cost 0 and 1½ (Miyato et al. 2018, equation
    16)."""
    real, fake = torch.tensor([[2, 0.5], [-3, 0.5]])
    assert build().discriminator_loss(real, fake).item() == 1.0


def test_each_block_has_its_own_piece_of_the_latent() -> None:
    """16×16 has two blocks and three pieces of two numbers (section 3, "skip-z"). What comes out of the first step
    and of each block changes only with its own piece and those before it."""
    model = build().eval()
    seen: list[Tensor] = []
    for module in (model.generator.project, *model.generator.blocks):
        module.register_forward_hook(lambda module, arguments, output: seen.append(output))
    z, labels = torch.randn(1, 6), torch.tensor([1])
    with torch.no_grad():
        model.generate(z, labels)
        before = list(seen)
        for piece, first in enumerate((0, 2, 4)):
            seen.clear()
            other = z.clone()
            other[:, first : first + 2] += 1
            model.generate(other, labels)
            assert [torch.equal(a, b) for a, b in zip(before, seen, strict=True)] == [
                number < piece for number in range(3)
            ]


def test_class_batch_norm_is_batch_norm() -> None:
    """torch's own, times 1 + Gc plus Sc by hand; with no condition it is batch norm alone, gains being around 1. The
    same operations in another order: float32 rounding."""
    torch.manual_seed(0)
    norm, plain = ConditionalBatchNorm2d(4, 3), nn.BatchNorm2d(4, affine=False)
    x, condition = torch.randn(5, 4, 3, 3), torch.randn(5, 3)
    gain, shift = condition @ norm.gain.weight.T, condition @ norm.shift.weight.T
    expected = plain(x) * (1 + gain)[..., None, None] + shift[..., None, None]
    torch.testing.assert_close(norm(x, condition), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(norm(x, condition * 0), plain(x), atol=1e-6, rtol=1e-6)


def test_attention_by_loops() -> None:
    """Zhang et al. 2018, equations 1 to 3, position by position; γ = 0 is the identity. float64."""
    torch.manual_seed(0)
    layer = SelfAttention(16).double()
    x = torch.randn(2, 16, 2, 3, dtype=torch.float64)
    assert torch.equal(layer(x), x)
    with torch.no_grad():
        layer.gamma.fill_(0.7)
    flat = x.flatten(2)
    f, g, h, v = (convolution.weight.flatten(1) for convolution in (layer.f, layer.g, layer.h, layer.v))
    expected = flat.clone()
    for n in range(2):
        for j in range(6):
            scores = torch.stack([(f @ flat[n, :, i]) @ (g @ flat[n, :, j]) for i in range(6)])
            beta = scores.exp() / scores.exp().sum()
            expected[n, :, j] += 0.7 * (v @ sum(beta[i] * (h @ flat[n, :, i]) for i in range(6)))
    torch.testing.assert_close(layer(x).flatten(2), expected)


def test_up_and_down_blocks_keep_their_skips() -> None:
    """Figure 15: with the last convolution of the long way at 0 a block is its short way: a 1×1 convolution of pixels
    repeated, or of pixels averaged, two by two. float32 rounding."""
    torch.manual_seed(0)
    up, down, x = UpBlock(3, 5, 2), DownBlock(3, 5), torch.randn(2, 3, 4, 4)
    for block in (up, down):
        nn.init.zeros_(block.second.weight)
        nn.init.zeros_(block.second.bias)
    repeated = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(up(x, torch.randn(2, 2)), up.skip(repeated))
    torch.testing.assert_close(down(x), down.skip(F.avg_pool2d(x, 2)))


def test_projection_is_an_inner_product() -> None:
    """Miyato & Koyama 2018, equation 3: scores of one image under two classes differ by <V₁ - V₀, φ(x)>, φ summed
    over positions. Eval mode holds the weights still; float32."""
    model, x, zero = build().eval(), batch_of().x, torch.zeros(6, dtype=torch.int64)
    with torch.no_grad():
        rows = model.discriminator.classes.weight
        expected = model.discriminator.features(x) @ (rows[1] - rows[0])
        difference = model.score(x, zero + 1) - model.score(x, zero)
    assert difference.abs().max() > 1e-3
    torch.testing.assert_close(difference, expected, atol=1e-4, rtol=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 3), st.integers(1, 9))
def test_truncated_latents(seed: int, threshold: float, n: int) -> None:
    """All |z| ≤ threshold; numbers that were within it at the first draw stay; an image's are the same whoever is
    drawn beside it. Without a threshold it is the plain normal."""
    z = truncated_normal(ImageRng(seed, range(n)), 7, threshold)
    first = ImageRng(seed, range(n)).normal(7)
    assert z.abs().max() <= threshold
    within = first.abs() <= threshold
    assert torch.equal(z[within], first[within])
    alone = truncated_normal(ImageRng(seed, [n - 1]), 7, threshold)
    assert torch.equal(alone[0], z[-1])
    assert torch.equal(truncated_normal(ImageRng(seed, range(n)), 7, None), first)


def test_truncated_latents_are_truncated_normals() -> None:
    """At t = 1 the variance is 1 - 2 t φ(t) / (2 Φ(t) - 1) = 0.2911 (Johnson, Kotz & Balakrishnan 1994, 13.10);
    40,000 draws have it within 5 standard errors, 5 · 0.27 / √40,000 < 0.007, as |z²| ≤ 1."""
    z = truncated_normal(ImageRng(0, range(40)), 1000, 1.0)
    assert z.square().mean().item() == pytest.approx(0.2911, abs=0.007)


def test_truncation_is_a_setting_of_sampling() -> None:
    """Other images of the same classes with it, the same ones without; a threshold that no number exceeds changes
    nothing."""
    model = build().eval()

    def made(threshold: float | None) -> Tensor:
        model.sampling = BigGAN.Sampling(truncation=threshold)
        with torch.inference_mode():
            return model.sample(4, ImageRng(3, range(4)))

    assert not torch.equal(made(0.2), made(None))
    assert torch.equal(made(50.0), made(None))
