"""The game all GANs share: losses against hand values, who learns in a turn, what the discriminator sees."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.core.errors import InputError
from benchbench.core.protocols import Batch, Conditional, Generator, ImageSpec, Phase, Standing, Trainable
from benchbench.core.seeds import ImageRng, image_rngs
from benchbench.models.build import build_model
from benchbench.models.gan import adversarial as game
from benchbench.models.gan.adversarial import Adversarial, gradient_penalty
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.trainer import train

FAMILY = {
    "gan": ("gan", {"width": 8}),
    "gan-bn": ("gan", {"width": 8, "batch_norm": True}),
    "dcgan": ("dcgan", {"width": 4}),
    "cgan": ("cgan", {"width": 4, "embedding": 2}),
    "wgan-gp": ("wgan-gp", {"width": 4, "n_dis": 2}),
    "sngan": ("sngan", {"width": 4}),
    "sngan-projection": ("sngan", {"width": 4, "projection": True}),
    "biggan": ("biggan", {"width": 4, "embedding": 3, "orthogonal": 0.0}),
    "stylegan2": ("stylegan2", {"width": 4, "style": 6}),
    "stylegan2-conditional": (
        "stylegan2",
        {"width": 4, "style": 6, "mapping_layers": 2, "conditional": True, "ada": True},
    ),
}
CONDITIONAL = {"cgan", "sngan-projection", "biggan", "stylegan2-conditional"}
CONVOLUTIONAL = set(FAMILY) - {"gan", "gan-bn"}
COLOUR = ImageSpec(8, 8, False, 3)
every = pytest.mark.parametrize("row", list(FAMILY))


def build(row: str, spec: ImageSpec = COLOUR, seed: int = 0) -> Adversarial:
    torch.manual_seed(seed)
    name, hyper = FAMILY[row]
    model = build_model(name, {"latent": 4} | hyper, spec)
    assert isinstance(model, Adversarial)
    return model


def batch_of(spec: ImageSpec = COLOUR, n: int = 6, **more: Callable[[Tensor], Tensor]) -> Batch:
    g = torch.Generator().manual_seed(7)
    x = torch.rand(n, spec.channels, spec.height, spec.width, generator=g) * 2 - 1
    return Batch(x, torch.arange(n) % max(1, spec.n_classes), 0, 1, **more)


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def moved(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return any(not torch.equal(a[key], b[key]) for key in a)


# Losses


def test_losses_by_hand() -> None:
    """Logits ±ln 3 are probabilities 3/4 and 1/4, so each non-saturating term that is right costs -ln(3/4) and
    one that is wrong -ln(1/4). Hinge, by hand: real 2 and ½ cost 0 and ½, fake -3 and ½ cost 0 and 1½; means
    are ¼ and ¾. Wasserstein: mean fake -1¼ minus mean real 1¼. float64: 1e-12 is rounding."""
    confident = torch.tensor([math.log(3)], dtype=torch.float64)
    right, wrong = -math.log(3 / 4), -math.log(1 / 4)
    real, fake = torch.tensor([[2, 0.5], [-3, 0.5]], dtype=torch.float64)
    pairs = [
        (game.nonsaturating_discriminator(confident, -confident), 2 * right),
        (game.nonsaturating_discriminator(-confident, confident), 2 * wrong),
        (game.nonsaturating_generator(confident), right),
        (game.nonsaturating_generator(-confident), wrong),
        (game.hinge_discriminator(real, fake), 0.25 + 0.75),
        (game.wasserstein_discriminator(real, fake), -2.5),
        (game.critic_generator(fake), 1.25),
    ]
    for value, expected in pairs:
        assert value.item() == pytest.approx(expected, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-50, 50), min_size=1, max_size=5))
def test_nonsaturating_is_cross_entropy(scores: list[float]) -> None:
    """torch's cross-entropy with targets one (real) and zero (generated) is the oracle; float64."""
    real = torch.tensor(scores, dtype=torch.float64)
    fake = real.flip(0) - 1
    entropy = F.binary_cross_entropy_with_logits
    oracle = entropy(real, torch.ones_like(real)) + entropy(fake, torch.zeros_like(fake))
    torch.testing.assert_close(game.nonsaturating_discriminator(real, fake), oracle)
    torch.testing.assert_close(game.nonsaturating_generator(fake), entropy(fake, torch.ones_like(fake)))


def test_a_sure_discriminator_still_teaches() -> None:
    """Goodfellow et al. 2014, section 3: at D(G(z)) ≈ 0 the gradient of log(1 - D) vanishes, that of -log D is
    -1. The derivative of softplus(-s) is -σ(-s), at s = -30 that is -1 to 1e-13."""
    score = torch.tensor([-30.0], dtype=torch.float64, requires_grad=True)
    game.nonsaturating_generator(score).backward()
    assert score.grad is not None
    assert score.grad.item() == pytest.approx(-1.0, abs=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.floats(0.1, 3))
def test_penalty_of_a_linear_critic(seed: int, n: int, scale: float) -> None:
    """D(x) = w·x has gradient w everywhere, so the penalty is (‖w‖ - 1)² whatever the images, and its own
    gradient is 2 (‖w‖ - 1) w/‖w‖. float32: 1e-5 relative to the squared norm."""
    g = torch.Generator().manual_seed(seed)
    real, fake = torch.randn(2, n, 3, 4, 4, generator=g)
    w = (torch.randn(48, generator=g) * scale).requires_grad_()
    penalty = gradient_penalty(lambda x: x.flatten(1) @ w, real, fake)
    norm = w.detach().norm()
    tolerance = 1e-5 * max(1.0, float(norm) ** 2)
    torch.testing.assert_close(penalty.detach(), (norm - 1).square(), atol=tolerance, rtol=0)
    penalty.backward()
    torch.testing.assert_close(w.grad, 2 * (norm - 1) * w.detach() / norm, atol=tolerance, rtol=0)


def test_penalty_is_taken_between_the_images() -> None:
    """D(x) = ‖x‖²/2 has gradient x, so the penalty says where it was taken: at real = 3 and generated = 5 on
    one pixel, the draws ε of torch's seeded generator give (5 - 2ε - 1)². float32: a few roundings."""
    real, fake = torch.full((4, 1, 1, 1), 3.0), torch.full((4, 1, 1, 1), 5.0)
    torch.manual_seed(11)
    epsilon = torch.rand(4, 1, 1, 1)
    torch.manual_seed(11)
    penalty = gradient_penalty(lambda x: x.square().flatten(1).sum(1) / 2, real, fake)
    assert len(epsilon.unique()) == 4
    torch.testing.assert_close(penalty, (4 - 2 * epsilon).square().mean())


def test_penalty_is_float32_under_autocast() -> None:
    """A linear critic of 3,072 weights: (‖w‖ - 1)² to 1e-5, where bfloat16 with its 8 bits misses by 1e-3."""
    torch.manual_seed(0)
    critic = nn.Linear(3072, 1)
    real, fake = torch.randn(2, 2, 3072)
    with torch.autocast("cpu", torch.bfloat16):
        penalty = gradient_penalty(lambda x: critic(x).flatten(), real, fake)
    assert penalty.dtype == torch.float32
    assert penalty.item() == pytest.approx((critic.weight.norm().item() - 1) ** 2, rel=1e-5)


# The game


@every
@pytest.mark.parametrize("mover", ["discriminator", "generator"])
def test_a_turn_leaves_the_other_weights_untouched(row: str, mover: str) -> None:
    """Through the real loop, one step in which only `mover` moves: its weights change, the other's are the
    same bit for bit."""
    model = build(row)
    before = {name: weights(player) for name, player in model.players().items()}
    model.phases = lambda: (Phase(mover),)  # type: ignore[method-assign]
    images = (batch_of(n=8).x * 127.5 + 127.5).to(torch.uint8)
    config = TrainingConfig(steps=1, batch_size=6, lr=1e-3)
    train(
        model,
        TrainingData(images, torch.arange(8) % 3, images[:2]),
        config,
        seed=0,
        device=torch.device("cpu"),
    )
    for name, player in model.players().items():
        if name == mover:
            assert moved(before[name], weights(player))
        else:
            assert same(before[name], weights(player))


@every
def test_turns_and_columns(row: str) -> None:
    """Goodfellow et al. 2014, algorithm 1: n_dis turns of the discriminator, then one of the generator, and lazy
    regularisations where a family has some. Curves are the mean scores; together with the loss they obey the family's
    own formula (checked in its tests)."""
    model = build(row)
    n_dis = 2 if row in {"wgan-gp", "biggan"} else 1
    main = [phase.player for phase in model.phases() if phase.name == "main"]
    assert main == ["discriminator"] * n_dis + ["generator"]
    loss, logs = model.loss(Phase("discriminator"), batch_of())
    assert loss.ndim == 0
    assert {"d_real", "d_fake"} <= logs.keys()
    assert not any(value.requires_grad for value in logs.values())
    assert model.loss(Phase("generator"), batch_of())[1] == {}


@every
def test_augmentation_is_on_all_the_discriminator_sees(row: str) -> None:
    """An augmentation that returns black: real and generated images then score alike, and nothing teaches the
    generator. Eval mode, as dropout would tell two equal images apart. Equal inputs: equal to rounding."""

    def black(x: Tensor) -> Tensor:
        seen.append(len(x))
        return x * 0

    seen: list[int] = []
    model, batch = build(row).eval(), batch_of(augment=black)
    _, logs = model.loss(Phase("discriminator"), batch)
    assert seen == [6, 6]
    torch.testing.assert_close(logs["d_real"], logs["d_fake"])
    model.loss(Phase("generator"), batch)[0].backward()
    assert seen == [6, 6, 6]
    assert all(not p.grad.any() for p in model.generator.parameters() if p.grad is not None)
    model.zero_grad()
    model.loss(Phase("generator"), batch_of())[0].backward()
    assert any(p.grad.any() for p in model.generator.parameters() if p.grad is not None)


@pytest.mark.costly
@every
def test_a_loss_draws_from_the_global_generator(row: str) -> None:
    """Same seed, same loss; another seed, another: so a checkpoint of torch's generators is all it takes."""

    def losses(seed: int) -> list[float]:
        model = build(row)
        torch.manual_seed(seed)
        return [model.loss(Phase(player), batch_of())[0].item() for player in model.players()]

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)


# Samples


@pytest.mark.costly
@every
@pytest.mark.parametrize(
    "spec",
    [ImageSpec(h, w, grey, 3) for grey in (True, False) for h, w in [(8, 8), (28, 28), (20, 35), (33, 64)]],
    ids=str,
)
def test_any_size(row: str, spec: ImageSpec) -> None:
    """Images come out uint8 RGB of the size asked, also where halving leaves a rest; grey stays R = G = B; both
    losses are numbers."""
    model = build(row, spec)
    for player in model.players():
        assert math.isfinite(model.loss(Phase(player), batch_of(spec, 3))[0].item())
    model.eval()
    with torch.inference_mode():
        made = model.sample(2, ImageRng(0, range(2)))
    assert made.shape == (2, 3, spec.height, spec.width)
    assert made.dtype == torch.uint8
    assert torch.equal(made[:, :1].expand(-1, 3, -1, -1), made) == spec.grey


@every
def test_samples_do_not_depend_on_the_batch(row: str) -> None:
    """Image i is a function of (seed, i). Matrix products of another shape may sum in another order, which
    can carry a value across a rounding border: one grey level."""
    model = build(row, ImageSpec(32, 32, False, 3))
    model.loss(Phase("generator"), batch_of(ImageSpec(32, 32, False, 3)))  # batch norms have seen something
    model.eval()
    with torch.inference_mode():
        whole = model.sample(7, ImageRng(5, range(7))).int()
        parts = torch.cat([model.sample(len(rng), rng) for rng in image_rngs(5, range(7), 3)]).int()
        other = model.sample(7, ImageRng(6, range(7))).int()
    assert (whole - parts).abs().max() <= 1
    assert not torch.equal(whole, other)


@every
def test_labels_when_sampling(row: str) -> None:
    """Without labels a conditional row draws them first from each image's own generator; an unconditional one
    ignores those it is given. Labels that are no class are refused in one sentence."""
    model = build(row).eval()
    assert model.conditional == (row in CONDITIONAL)
    with torch.inference_mode():
        plain = model.sample(5, ImageRng(1, range(5)))
        if not model.conditional:
            assert torch.equal(plain, model.sample(5, ImageRng(1, range(5)), torch.tensor([9] * 5)))
            return
        rng = ImageRng(1, range(5))
        drawn = rng.integers(COLOUR.n_classes)
        assert torch.equal(plain, model.sample(5, rng, drawn))
        with pytest.raises(InputError, match="classes of this model are 0 to 2 but labels run from 0 to 3"):
            model.sample(2, ImageRng(1, range(2)), torch.tensor([0, 3]))


@every
def test_a_state_dict_is_everything(row: str) -> None:
    """Weights of one model in another one: the same samples and, with the same seed, the same losses."""
    first, second = build(row), build(row, seed=1)
    first.loss(Phase("discriminator"), batch_of())  # buffers away from where they start
    second.load_state_dict(first.state_dict())
    results = []
    for model in (first, second):
        model.eval()
        with torch.inference_mode():
            images = model.sample(3, ImageRng(0, range(3)))
        torch.manual_seed(3)
        results.append((images, model.loss(Phase("discriminator"), batch_of())[0].item()))
    assert torch.equal(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]


@every
def test_protocols(row: str) -> None:
    """Every row generates, trains and can have its batch norms measured anew."""
    model = build(row)
    for protocol in (Generator, Conditional, Trainable, Standing):
        assert isinstance(model, protocol)


@every
def test_standing_pass(row: str) -> None:
    """Running statistics of the generator's batch norms move, where it has any, and whatever else its passes in
    training mode move: the power iteration of BigGAN, the mean style of StyleGAN2. The model stays in the mode it was
    in."""
    model = build(row).eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.standing_pass(5)
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert all(key.startswith("generator.") for key in changed)
    norms, iteration = {"running_mean", "running_var", "num_batches_tracked"}, {"_u", "_v"}
    styles = {"w_mean"}
    special = {
        "gan": set(),
        "biggan": norms | iteration,
        "stylegan2": styles,
        "stylegan2-conditional": styles,
    }
    assert {key.rpartition(".")[2] for key in changed} == special.get(row, norms)
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("row", sorted(CONVOLUTIONAL))
def test_too_small_is_refused(row: str) -> None:
    """One sentence with the sizes."""
    with pytest.raises(InputError, match="at least 8x8 pixels but these are 32x7"):
        build(row, ImageSpec(32, 7, True, 3))


@pytest.mark.parametrize("row", sorted(CONDITIONAL))
def test_labels_are_needed(row: str) -> None:
    """One sentence that says where labels may come from."""
    with pytest.raises(InputError, match="this dataset has no labels; use one with labels"):
        build(row, ImageSpec(8, 8, True, 0))
