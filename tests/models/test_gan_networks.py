"""The networks and the particular losses of each GAN, against the papers' tables and closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from benchbench.core.protocols import Batch, ImageSpec, Phase
from benchbench.models.build import build_model
from benchbench.models.gan.adversarial import Adversarial, halvings
from benchbench.models.gan.cgan import CGAN
from benchbench.models.gan.dcgan import DCGAN
from benchbench.models.gan.sngan import SNGAN, ClassBatchNorm2d
from benchbench.models.gan.wgan_gp import WGANGP

SMALL = ImageSpec(8, 8, False, 3)


def pictures(spec: ImageSpec, n: int = 6) -> Tensor:
    g = torch.Generator().manual_seed(7)
    return torch.rand(n, spec.channels, spec.height, spec.width, generator=g) * 2 - 1


def build(name: str, spec: ImageSpec = SMALL, **hyper: float) -> Adversarial:
    torch.manual_seed(0)
    model = build_model(name, {"latent": 4, "width": 4} | hyper, spec)
    assert isinstance(model, Adversarial)
    return model


def test_halvings_by_hand() -> None:
    """The short side comes down to 4 or just below: 8→4, 28→3.5, 32→4, 33→2.06, 64→4 (the paper's four)."""
    sides = {8: 1, 9: 2, 16: 2, 28: 3, 32: 3, 33: 4, 64: 4}
    assert {side: halvings(ImageSpec(side, 2 * side, False, 0)) for side in sides} == sides


def test_dcgan_at_the_papers_size() -> None:
    """Radford et al. 2016, figure 1, for 64×64: 100 numbers are projected to 1024×4×4, then 512, 256 and 128
    channels, then the image. The discriminator mirrors it and has no batch norm at its input (section 3)."""
    model = DCGAN(DCGAN.Config(width=128), ImageSpec(64, 64, False, 0))
    generator, discriminator = model.generator, model.discriminator
    assert generator.project.weight.shape == (1024 * 4 * 4, 100)
    assert [tuple(up.weight.shape) for up in generator.doublings] == [
        (1024, 512, 4, 4),
        (512, 256, 4, 4),
        (256, 128, 4, 4),
    ]
    assert generator.to_image.weight.shape == (128, 3, 4, 4)
    convs = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in discriminator.modules() if isinstance(m, nn.BatchNorm2d)]
    assert [conv.out_channels for conv in convs] == [128, 256, 512, 1024]
    assert [norm.num_features for norm in norms] == [256, 512, 1024]


@pytest.mark.parametrize("cls", [DCGAN, CGAN])
def test_dcgan_starts_as_the_paper_says(cls: type[Adversarial]) -> None:
    """N(0, 0.02²) weights (section 4): the standard deviation of over 30,000 draws is off by less than 2% (five
    standard errors of 1/√(2·30,000)); biases are 0, gains N(1, 0.02²)."""
    torch.manual_seed(0)
    model = cls(cls.Config(width=32), ImageSpec(32, 32, True, 10))  # type: ignore[attr-defined]
    large = [
        m.weight
        for m in model.modules()
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and m.weight.numel() > 30_000
    ]
    assert len(large) >= 4
    for weight in large:
        assert weight.std().item() == pytest.approx(0.02, rel=0.02)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and module.bias is not None:
            assert not module.bias.any()
        if isinstance(module, nn.BatchNorm2d):
            assert module.weight.mean().item() == pytest.approx(1, abs=0.02)


def test_sngan_at_the_papers_size() -> None:
    """Miyato et al. 2018, table 3, for 32×32: a dense layer to 512×4×4, then 256, 128, 64 and a 3×3 convolution;
    seven convolutions in the discriminator, 3×3 and 4×4 by turns."""
    model = SNGAN(SNGAN.Config(), ImageSpec(32, 32, False, 0))
    generator = model.generator
    assert generator.project.weight.shape == (512 * 4 * 4, 128)
    assert [up.weight.shape[1] for up in generator.doublings] == [256, 128, 64]
    assert generator.to_image.weight.shape == (3, 64, 3, 3)
    convs = [m for m in model.discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert [(c.out_channels, c.kernel_size[0], c.stride[0]) for c in convs] == [
        (64, 3, 1), (64, 4, 2), (128, 3, 1), (128, 4, 2), (256, 3, 1), (256, 4, 2), (512, 3, 1),
    ]  # fmt: skip
    assert model.discriminator.head.weight.shape == (1, 512 * 4 * 4)


@pytest.mark.costly
@pytest.mark.parametrize("projection", [False, True])
def test_largest_singular_value_is_one(projection: bool) -> None:
    """Algorithm 1: every weight of the discriminator, as a matrix of (outputs, the rest), ends at σ₁ = 1 after
    enough passes in training mode. Power iteration misses σ₁ by (σ₂/σ₁)^2k; 500 passes leave float32's rounding
    unless two values are within 1%, and then σ₁ itself is off by less than that share's square: 1e-3."""
    model = build("sngan", projection=projection)
    with torch.no_grad():
        for parameter in model.discriminator.parameters():  # away from where torch has already converged
            parameter.add_(torch.randn_like(parameter))
        x, labels = pictures(SMALL, 1), torch.tensor([0])
        layers = [
            m for m in model.discriminator.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)
        ]
        first = [torch.linalg.svdvals(layer.weight.flatten(1))[0].item() for layer in layers]
        for _ in range(500):
            model.score(x, labels if projection else None)
        model.eval()
        last = [torch.linalg.svdvals(layer.weight.flatten(1))[0].item() for layer in layers]
    assert len(layers) == (5 if projection else 4)
    assert all(parametrize.is_parametrized(layer, "weight") for layer in layers)
    assert first != pytest.approx([1.0] * len(layers), abs=1e-3)
    assert last == pytest.approx([1.0] * len(layers), abs=1e-3)


@pytest.mark.parametrize(("name", "projection"), [("sngan", False), ("sngan", True), ("wgan-gp", False)])
def test_critics_judge_each_image_alone(name: str, projection: bool) -> None:
    """No statistics of the batch (Gulrajani et al. 2017, section 4): in training mode too, an image's score does
    not depend on who is beside it. Power iteration moves between two passes, so the model is converged first.
    float32 rounding of another batch shape: 1e-5."""
    model = build(name, **({"projection": True} if projection else {}))
    assert not [m for m in model.discriminator.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    x, labels = pictures(SMALL), torch.tensor([0, 1, 2, 0, 1, 2])
    with torch.no_grad():
        for _ in range(200):
            whole = model.score(x, labels)
        torch.testing.assert_close(whole[:2], model.score(x[:2], labels[:2]), atol=1e-5, rtol=1e-5)


def test_projection_is_an_inner_product() -> None:
    """Miyato & Koyama 2018, equation 3: scores of one image under two classes differ by <V₁ - V₀, φ(x)>, φ being
    the features and V the class matrix. Eval mode holds the weights still; float32 sums of 128 products."""
    model = build("sngan", projection=True).eval()
    x, zero = pictures(SMALL), torch.zeros(6, dtype=torch.int64)
    with torch.no_grad():
        rows = model.discriminator.classes.weight
        expected = model.discriminator.features(x) @ (rows[1] - rows[0])
        difference = model.score(x, zero + 1) - model.score(x, zero)
    assert difference.abs().max() > 1e-3
    torch.testing.assert_close(difference, expected, atol=1e-5, rtol=1e-4)


def test_class_batch_norm_is_batch_norm_by_class() -> None:
    """torch's own batch norm with a class's gain and bias is the oracle; the statistics are of all images
    together. Same operations in another order: float32 rounding."""
    torch.manual_seed(0)
    norm, plain = ClassBatchNorm2d(4, n_classes=2), nn.BatchNorm2d(4)
    nn.init.normal_(norm.gain.weight)
    nn.init.normal_(norm.shift.weight)
    x, labels = torch.randn(6, 4, 3, 3), torch.tensor([0, 1, 1, 0, 1, 0])
    mixed = norm(x, labels)
    for label in (0, 1):
        plain.load_state_dict(plain.state_dict() | {
            "weight": norm.gain.weight[label], "bias": norm.shift.weight[label],
        })  # fmt: skip
        torch.testing.assert_close(mixed[labels == label], plain(x)[labels == label], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "hyper"), [("cgan", {}), ("sngan", {"projection": True})])
def test_the_label_reaches_both_networks(name: str, hyper: dict[str, float]) -> None:
    """Another label, same noise and same image: another score and, after one step (the generator's gains by
    class start equal), another image. What the generator has learnt of a class, it has from images asked to be
    of that class: the rows of classes that were not in the batch get no gradient."""
    model = build(name, **hyper)
    x, labels = pictures(SMALL), torch.tensor([0, 1, 0, 1, 0, 1])
    optimizer = torch.optim.SGD(model.generator.parameters(), lr=1.0)
    model.loss(Phase("generator"), Batch(x, labels, 0, 1))[0].backward()
    tables = [m.weight for m in model.generator.modules() if isinstance(m, nn.Embedding)]
    for table in tables:
        assert table.grad is not None
        assert table.grad[:2].any(1).all()
        assert not table.grad[2].any()
    optimizer.step()
    model.eval()
    with torch.no_grad():
        z = torch.randn(6, 4)
        assert (model.generate(z, labels * 0) - model.generate(z, labels * 0 + 1)).abs().amax(
            (1, 2, 3)
        ).min() > 0
        assert (model.score(x, labels * 0) - model.score(x, labels * 0 + 1)).abs().min() > 0


def test_labels_of_the_batch_are_asked_for() -> None:
    """Real and generated images of a step carry the same labels: what both networks are called with is exactly
    the batch's, in each of three calls of the discriminator's turn and two of the generator's."""
    model, labels = build("cgan"), torch.tensor([2, 0, 0, 1, 2, 2])
    seen: list[Tensor] = []
    for network in (model.generator, model.discriminator):
        network.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[1]))
    for player in model.players():
        model.loss(Phase(player), Batch(pictures(SMALL), labels, 0, 1))
    assert len(seen) == 5
    assert all(torch.equal(asked, labels) for asked in seen)


def test_wgan_gp_is_equation_3() -> None:
    """The loss is d_fake - d_real plus the penalty curve, which is in proportion to λ (same seed, same points);
    the generator minimises -d_fake. float32."""
    curves = {}
    for weight in (10.0, 20.0):
        model, batch = build("wgan-gp", penalty=weight), Batch(pictures(SMALL), None, 0, 1)
        torch.manual_seed(5)
        loss, logs = model.loss(Phase("discriminator"), batch)
        curves[weight] = logs["gradient_penalty"]
        torch.testing.assert_close(loss.detach(), logs["d_fake"] - logs["d_real"] + logs["gradient_penalty"])
    torch.testing.assert_close(curves[20.0], 2 * curves[10.0])
    torch.manual_seed(5)
    torch.testing.assert_close(model.loss(Phase("generator"), batch)[0].detach(), -logs["d_fake"])


def test_the_penalty_pulls_gradients_to_one() -> None:
    """What the penalty is for: critic steps on it alone bring the norm of the gradient at the images to 1
    (Gulrajani et al. 2017, proposition 1). From far below to within 0.2 in 60 steps of Adam."""
    model = build("wgan-gp")
    x = pictures(SMALL)
    optimizer = torch.optim.Adam(model.discriminator.parameters(), lr=3e-3)

    def norms() -> Tensor:
        point = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model.score(point, None).sum(), point)
        return gradient.flatten(1).norm(dim=1)

    assert norms().max() < 0.5
    for _ in range(60):
        optimizer.zero_grad()
        model.penalties(x, x, None)["gradient_penalty"].backward()
        optimizer.step()
    torch.testing.assert_close(norms(), torch.ones(6), atol=0.2, rtol=0)


def test_defaults_of_wgan_gp() -> None:
    """Algorithm 1 of Gulrajani et al. 2017: λ = 10 and five turns of the critic."""
    config = WGANGP.Config()
    assert (config.penalty, config.n_dis) == (10.0, 5)


def test_sngan_minimises_the_hinge() -> None:
    """At the start scores are within ±1, so the hinge is linear: 2 - d_real + d_fake (equation 16), and the
    generator's side is -d_fake (equation 17); seeded draws make the generated images the same. The power
    iteration has moved between the two turns: 1e-3."""
    model, batch = build("sngan"), Batch(pictures(SMALL), None, 0, 1)
    torch.manual_seed(5)
    loss, logs = model.loss(Phase("discriminator"), batch)
    torch.testing.assert_close(loss.detach(), 2 - logs["d_real"] + logs["d_fake"])
    torch.manual_seed(5)
    torch.testing.assert_close(
        model.loss(Phase("generator"), batch)[0].detach(), -logs["d_fake"], atol=1e-3, rtol=0
    )


def test_gan_without_dropout_is_deterministic() -> None:
    """Dropout is in the discriminator alone (Goodfellow et al. 2014, section 5): scores differ between two
    passes in training mode, and with dropout=0 they do not."""
    x = pictures(SMALL)
    for share, repeats in ((0.3, False), (0.0, True)):
        model = build("gan", dropout=share)
        assert torch.equal(model.score(x, None), model.score(x, None)) == repeats
        z = torch.randn(3, 4)
        assert torch.equal(model.generate(z, None), model.generate(z, None))
