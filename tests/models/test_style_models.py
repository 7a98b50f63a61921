"""Style transfer: the loss is the weighted sum it says, an optimisation lowers it, each row stands by itself."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchbench.core.errors import CellFailed, InputError
from benchbench.core.images import to_signed
from benchbench.core.protocols import Batch, ImageSpec, Phase, Stylizer, Trainable
from benchbench.core.seeds import ImageRng
from benchbench.features.networks.perceptual import gram, gram_distance, load_perceptual
from benchbench.models.build import build_model
from benchbench.models.nn.perceptual_loss import total_variation
from benchbench.models.style.fast_style import FastStyle
from benchbench.models.style.nst import NST
from benchbench.runner.labels import variant
from benchbench.tasks.speed import measure_cost
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.recipe import load_recipe
from benchbench.training.trainer import train
from benchbench.training.weights import load_weights, save_weights

CPU = torch.device("cpu")
SPEC = ImageSpec(32, 32, grey=False, n_classes=2)


def pictures(n: int, seed: int = 0) -> Tensor:
    """uint8 N×3×32×32: 4×4 blocks of colour, with some grain."""
    rng = torch.Generator().manual_seed(seed)
    blocks = (
        torch.randint(20, 230, (n, 3, 4, 4), generator=rng).repeat_interleave(8, 2).repeat_interleave(8, 3)
    )
    return (blocks + torch.randint(0, 20, (n, 3, 32, 32), generator=rng)).to(torch.uint8)


STYLES, CONTENTS = pictures(2, seed=1), pictures(3, seed=2)


def nst(**hyper: Any) -> NST:
    drawn = {name: hyper.pop(name) for name in ("iterations", "start") if name in hyper}
    model = NST(NST.Config(**hyper), SPEC)
    model.sampling = NST.Sampling(**{"iterations": 8, **drawn})
    model.show_styles(STYLES)
    return model


def fast(**hyper: Any) -> FastStyle:
    torch.manual_seed(0)
    return FastStyle(FastStyle.Config(**{"width": 4, "blocks": 1, **hyper}), SPEC)


def styled(model: Stylizer, contents: Tensor, style: int = 0, start: int = 0) -> Tensor:
    """As the task calls it; `start` is the number of the first image."""
    with torch.inference_mode():
        return model.stylize(contents, style, ImageRng(0, range(start, start + len(contents))))


def test_total_variation_by_hand() -> None:
    """Rows 0 and 2, down a step of 2 everywhere (2² = 4), across none: 4; of a flat image 0."""
    image = torch.tensor([[[[0.0, 0, 0], [2, 2, 2]]]])
    assert float(total_variation(image)) == 4
    assert float(total_variation(torch.ones(2, 3, 4, 4))) == 0


def test_loss_at_the_content() -> None:
    """Of the content itself the content part is 0, the style part its Gram distance to the picture and the total
    variation its own, each computed here from `gram` and slices; the loss is their weighted sum. float32 sums of up to
    32² terms in the same order but for the weighting: 1e-5."""
    model = nst(content_weight=2, style_weight=3, tv_weight=5)
    perceptual = load_perceptual("efficientnet_lite0", CPU)
    x = to_signed(CONTENTS[:1])
    parts = model.loss_parts(x, perceptual(x).content, model.grams(1))
    style = torch.stack(
        [
            (gram(own) - gram(wanted)).square().sum()
            for own, wanted in zip(perceptual(x).style, perceptual(to_signed(STYLES[1:])).style, strict=True)
        ]
    ).mean()
    variation = (x[:, :, 1:] - x[:, :, :-1]).square().mean() + (x[..., 1:] - x[..., :-1]).square().mean()
    assert float(parts["content"]) == 0
    assert float(parts["style"]) == pytest.approx(float(style), rel=1e-5)
    assert float(model.weighted(parts)) == pytest.approx(float(3 * style + 5 * variation), rel=1e-5)


@pytest.mark.parametrize("start", ["content", "noise"])
def test_nst_is_deterministic_and_rows_are_independent(start: str) -> None:
    """Each image is an optimisation of its own: bit for bit the same alone, in a batch, and again."""
    model = nst(start=start, iterations=3)
    whole = styled(model, CONTENTS)
    assert whole.shape == CONTENTS.shape
    assert whole.dtype == torch.uint8
    for i in range(len(CONTENTS)):
        assert torch.equal(styled(model, CONTENTS[i : i + 1], start=i), whole[i : i + 1])
    assert not torch.equal(whole, CONTENTS)


def test_an_iteration_is_an_update() -> None:
    """Before rounding, for the first step of L-BFGS is of length 1 in L1 at most: less than a level a pixel."""
    content = to_signed(CONTENTS[:1])
    models = [nst(iterations=n) for n in (1, 2, 3)]
    made = [model._optimise(content, content, model.grams(0)) for model in models]
    for before, after in itertools.pairwise([content, *made]):
        assert not torch.equal(before, after)


@pytest.mark.costly
def test_nst_reaches_the_style_and_keeps_the_content() -> None:
    """120 iterations of L-BFGS take more than three quarters of the Gram distance to the style away and leave
    the content nearer than the other contents are; without any weight on style the image stays."""
    model, perceptual = nst(iterations=120), load_perceptual("efficientnet_lite0", CPU)

    def distance(images: Tensor, style: int) -> float:
        with torch.no_grad():
            return float(gram_distance(perceptual(to_signed(images)).style, model.grams(style)).mean())

    for style in (0, 1):
        made = styled(model, CONTENTS[:1], style)
        assert distance(made, style) < 0.25 * distance(CONTENTS[:1], style)
        content, *others = perceptual(to_signed(CONTENTS)).content
        found = perceptual(to_signed(made)).content[0]
        assert all((found - content).square().mean() < (other - content).square().mean() for other in others)
    same = nst(style_weight=1e-12, tv_weight=0)
    assert int((styled(same, CONTENTS[:1]).int() - CONTENTS[:1].int()).abs().max()) <= 1


def test_nst_has_nothing_to_train_or_save() -> None:
    """No parameters, the network among them; a stylizer and not trainable."""
    model = nst()
    assert isinstance(model, Stylizer)
    assert not isinstance(model, Trainable)
    assert not list(model.parameters())
    assert len(styled(model, CONTENTS[:0])) == 0


def test_operations_of_an_optimisation_are_counted() -> None:
    """Backward passes too, though the speed protocol counts under `no_grad`: 4 iterations take twice those of 2
    but for the targets, which are made once (a forward pass of content and style, a tenth to a third of 6 to 12)."""
    counts = []
    for iterations in (2, 4):
        model = nst(iterations=iterations)
        once = lambda model=model: model.stylize(CONTENTS[:1], 0, ImageRng(0, [0]))  # noqa: E731
        cost = {found.metric: found.estimate.value for found in measure_cost(model, device=CPU, once=once)}
        assert cost["parameters_training"] == 0
        counts.append(cost["flops_per_image"])
    assert 1.5 < counts[1] / counts[0] < 2


def test_nst_that_diverges_says_so() -> None:
    """A weight that float32 cannot hold makes the first gradient infinite."""
    with pytest.raises(CellFailed, match="diverged; lower style_weight"):
        styled(nst(style_weight=1e39), CONTENTS[:1])


def test_fast_style_has_a_network_for_each_style() -> None:
    """Two styles, two generators, two players; the perceptual network is none of their parameters or weights."""
    model = fast()
    assert len(model.networks) == 2
    assert list(model.players()) == ["style0", "style1"]
    players = [list(player.parameters()) for player in model.players().values()]
    assert [id(p) for p in model.parameters()] == [id(p) for own in players for p in own]
    assert {key.split(".")[0] for key in model.state_dict()} == {"networks", "styles"}


def test_initial_weights_do_not_depend_on_what_was_loaded_before() -> None:
    """Only the first model of a process loads the perceptual network, whose layers draw initial weights before they get
    their own; the model's own come from the same seed all the same."""
    load_perceptual.cache_clear()
    first, second = fast().state_dict(), fast().state_dict()
    assert all(torch.equal(value, second[key]) for key, value in first.items())


def test_fast_style_loss_of_a_style() -> None:
    """Each network's own loss, computed from the shared parts; its gradient reaches that network alone. Exact: the same
    operations."""
    model = fast()
    model.show_styles(STYLES)
    x = to_signed(CONTENTS)
    target = load_perceptual("efficientnet_lite0", CPU)(x).content
    for k, network in enumerate(model.networks):
        model.zero_grad()
        loss, logs = model.loss(Phase(f"style{k}"), Batch(x, None, 1, 1))
        assert torch.equal(loss, model.weighted(model.loss_parts(network(x), target, model.grams(k))))
        assert set(logs) == {"content", "style", "total_variation"}
        assert not any(value.requires_grad for value in logs.values())
        loss.backward()
        for j, other in enumerate(model.networks):
            assert all((p.grad is not None) == (j == k) for p in other.parameters())


def test_style_weight_rises() -> None:
    """From 0 at the first step by a line to the whole at half of the training, and it stays there. The style part of
    the same images is what the loss has more than at step 0; float32 sums: 1e-5."""
    model = fast(content_weight=0, tv_weight=0)
    model.show_styles(STYLES)
    x = to_signed(CONTENTS[:1])
    with torch.no_grad():
        losses = [
            float(model.loss(Phase("style0"), Batch(x, None, step, 100))[0]) for step in (0, 10, 25, 50, 100)
        ]
    assert losses == pytest.approx([0, losses[-1] / 5, losses[-1] / 2, losses[-1], losses[-1]], rel=1e-5)


def test_fast_style_rows_are_independent() -> None:
    """Instance norm sees one image: the batch changes the last digits of convolutions at most, one grey level."""
    model = fast().eval()
    model.show_styles(STYLES)
    whole = styled(model, CONTENTS, 1)
    for i in range(len(CONTENTS)):
        assert int((styled(model, CONTENTS[i : i + 1], 1)[0].int() - whole[i].int()).abs().max()) <= 1
    assert not torch.equal(whole, styled(model, CONTENTS, 0))


@pytest.mark.costly
def test_fast_style_learns(tmp_path: Path) -> None:
    """20 steps of the real loop on three contents halve each style's loss of the first; the weights carry the styles,
    and come back whole."""
    model = fast(width=8, style_warmup=0)
    model.show_styles(STYLES)
    config = TrainingConfig(steps=20, batch_size=3, lr=5e-3)
    result = train(model, TrainingData(CONTENTS, None, CONTENTS), config, seed=0, device=CPU)
    for k in range(2):
        losses = [row[f"loss_style{k}"] for row in result.curves]
        assert losses[-1] < losses[0] / 2
    save_weights(model, tmp_path / "w.safetensors")
    again = fast(width=8)
    again.show_styles(STYLES)
    load_weights(again, tmp_path / "w.safetensors")
    assert torch.equal(styled(again.eval(), CONTENTS), styled(model, CONTENTS))
    stranger = fast(width=8)
    stranger.show_styles(pictures(2, seed=9))
    with pytest.raises(InputError, match="trained for other style pictures"):
        load_weights(stranger, tmp_path / "w.safetensors")


def test_grey_contents_in_coloured_styles() -> None:
    """A training batch of grey contents has one channel where the styles make the model one of three."""
    model = fast()
    model.show_styles(STYLES)
    loss, _ = model.loss(Phase("style0"), Batch(to_signed(CONTENTS, 1), None, 0, 1))
    assert torch.isfinite(loss)


@pytest.mark.costly
def test_grey_throughout() -> None:
    """One channel inside, R = G = B outside."""
    grey = STYLES[:, :1].repeat(1, 3, 1, 1)
    spec = ImageSpec(32, 32, grey=True, n_classes=2)
    for model in (NST(NST.Config(), spec), FastStyle(FastStyle.Config(width=4, blocks=1), spec)):
        model.show_styles(grey)
        made = styled(model.eval(), CONTENTS[:, :1].repeat(1, 3, 1, 1))
        assert torch.equal(made[:, 0], made[:, 1])
        assert torch.equal(made[:, 0], made[:, 2])


@pytest.mark.parametrize("name", ["nst", "fast-style"])
def test_bad_input(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data without styles, images too small for one, a network that is not there, pictures or contents of another size,
    a style that does not exist: one sentence each."""
    with pytest.raises(InputError, match="dataset has none; try --dataset photographs"):
        build_model(name, {}, ImageSpec(32, 32, grey=False, n_classes=0))
    with pytest.raises(InputError, match="at least 32×32 pixels but these are 28×28"):
        build_model(name, {}, ImageSpec(28, 28, grey=False, n_classes=2))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("BENCHBENCH_VGG16_WEIGHTS", raising=False)
    with pytest.raises(
        InputError, match="BENCHBENCH_VGG16_WEIGHTS to it; or leave network at efficientnet_lite0"
    ):
        build_model(name, {"network": "vgg16"}, SPEC)
    model = build_model(name, {}, SPEC)
    assert isinstance(model, NST | FastStyle)
    with pytest.raises(InputError, match="style pictures 2×3×32×32 but these are 1×3×32×32"):
        model.show_styles(STYLES[:1])
    model.show_styles(STYLES)
    with pytest.raises(InputError, match="built for 32×32 images but these are 16×32"):
        styled(model, CONTENTS[..., :16])
    with pytest.raises(InputError, match="there is no style 2; this model was shown 2"):
        styled(model, CONTENTS, 2)


def test_the_network_is_on_record() -> None:
    """The config of a run names the network, and so does the label of its rows where it is not that of the recipe."""
    assert NST.Config().model_dump()["network"] == "efficientnet_lite0"
    assert (
        variant(load_recipe("nst", "photographs", overrides=["network=vgg19"]), trained=False)
        == "network=vgg19"
    )
