"""What ddpm, flow-matching and edm share: protocols, labels and guidance, what sampling costs, and that they
learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.images import quantize
from benchbench.core.protocols import (
    Batch,
    Conditional,
    Generator,
    ImageSpec,
    Likelihood,
    Observant,
    Phase,
    Sampled,
    TextConditional,
    Trainable,
)
from benchbench.core.seeds import ImageRng, image_rngs
from benchbench.models.build import build_model
from benchbench.models.diffusion.diffusion import Diffusion
from benchbench.tasks.speed import measure_cost
from benchbench.training import trainer
from benchbench.training.checkpoint import Checkpoints
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.trainer import train

CPU = torch.device("cpu")
COLOUR = ImageSpec(8, 8, False, 3)
TOLD = ImageSpec(8, 8, False, 3, condition_dim=5)
NAMES = {"ddpm": {"steps": 3}, "flow-matching": {"steps": 3}, "edm": {"steps": 2}}
EVALUATIONS = 3  # of each with the settings above
every = pytest.mark.parametrize("name", list(NAMES))


def build(
    name: str,
    spec: ImageSpec = COLOUR,
    sampling: dict[str, Any] | None = None,
    awake: bool = True,
    **hyper: Any,
) -> Diffusion:
    """A tiny network; awake: layers that start at zero do not, so that what it is told matters."""
    torch.manual_seed(0)
    model = build_model(
        name, {"width": 4, "multiples": (1, 2), **hyper}, spec, NAMES[name] | (sampling or {})
    )
    assert isinstance(model, Diffusion)
    for parameter in model.parameters() if awake else ():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.3)
    return model


def batch_of(n: int = 6) -> Batch:
    x = torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(7)) * 2 - 1
    return Batch(x, torch.arange(n) % 3, 0, 1)


@torch.inference_mode()
def drawn(model: Diffusion, n: int = 4, labels: Tensor | None = None) -> Tensor:
    return model.eval().sample(n, ImageRng(1, range(n)), labels)


@every
def test_protocols(name: str) -> None:
    """They generate, train, report, say how probable images are, and take labels where they are told to."""
    for conditional in (False, True):
        model = build(name, conditional=conditional)
        for protocol in (Generator, Trainable, Observant, Sampled, Likelihood, Conditional):
            assert isinstance(model, protocol)
        assert model.conditional is conditional
        images = drawn(model)
        assert (images.shape, images.dtype) == ((4, 3, 8, 8), torch.uint8)


@every
@pytest.mark.parametrize("sampling", ["", "other"])
def test_samples_do_not_depend_on_the_batch(name: str, sampling: str) -> None:
    """Image i is a function of (seed, i), by every kind of sampler: one that draws on the way, and one whose steps
    are its own. Products of other sizes may sum in another order, which can carry a value across a rounding border:
    one grey level; dopri5 adds them up over its steps."""
    other = {
        "ddpm": {"sampler": "ancestral", "clip": False},
        "flow-matching": {"solver": "dopri5", "tolerance": 1e-3},
        "edm": {"S_churn": 1.0},
    }
    model = build(name, sampling=other[name] if sampling else None, conditional=True).eval()
    with torch.inference_mode():
        whole = model.sample(5, ImageRng(5, range(5))).int()
        parts = torch.cat([model.sample(len(rng), rng) for rng in image_rngs(5, range(5), 2)]).int()
        another = model.sample(5, ImageRng(6, range(5))).int()
    assert (whole - parts).abs().max() <= 1
    assert not torch.equal(whole, another)


@every
def test_probabilities_do_not_depend_on_the_batch(name: str) -> None:
    """Of image i with the noise of (seed, i), to 1e-5 of it: products of other sizes, and steps of a solver that
    reads them."""
    sampling = {"elbo_terms": 4} if name == "ddpm" else {"tolerance": 1e-2}
    model = build(name, sampling=sampling, awake=False).eval()
    nn.init.normal_(model.network.head[-1].weight, std=0.1)  # smooth in time: few steps
    images = torch.randint(0, 256, (3, 3, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    (estimate,) = model.likelihoods()  # type: ignore[attr-defined]
    with torch.inference_mode():
        whole = model.nats(images, estimate.name, ImageRng(0, range(3)))  # type: ignore[attr-defined]
        alone = model.nats(images[2:], estimate.name, ImageRng(0, [2]))  # type: ignore[attr-defined]
    assert whole.dtype == torch.float64
    torch.testing.assert_close(whole[2:], alone, rtol=1e-5, atol=0)


@every
def test_labels_when_sampling(name: str) -> None:
    """Without labels a conditional model draws them first from each image's own generator; another class is another
    image. An unconditional one ignores those it is given. What is no class is refused in one sentence."""
    plain = build(name)
    assert torch.equal(drawn(plain), drawn(plain, labels=torch.tensor([9] * 4)))
    model = build(name, conditional=True)
    own = ImageRng(1, range(4)).integers(3)
    assert torch.equal(drawn(model), drawn(model, labels=own))
    assert not torch.equal(drawn(model), drawn(model, labels=(own + 1) % 3))
    with pytest.raises(InputError, match="classes of this model are 0 to 2 but labels run from 0 to 3"):
        drawn(model, labels=torch.arange(4))


@every
def test_guidance(name: str) -> None:
    """(1 + w) times the answer with the label minus w times that without (Ho & Salimans 2022, equation 6), of the
    network's own answers; one call of twice the images, of which the first half is told."""
    model = build(name, conditional=True).eval()
    x, time, labels = batch_of(2).x, torch.tensor([3.0, 400.0]), torch.tensor([0, 2])
    guided = model.asked(labels, guidance=1.5)(x, time)
    expected = 2.5 * model.network(x, time, labels) - 1.5 * model.network(x, time)
    torch.testing.assert_close(guided, expected, atol=1e-5, rtol=1e-5)
    some = model.asked(labels, guidance=1.5)(x[1:], time[1:], torch.tensor([1]))
    torch.testing.assert_close(some, guided[1:], atol=1e-5, rtol=1e-5)


@every
def test_evaluations_are_counted(name: str) -> None:
    """By what a run measures: three steps of ddpm and flow-matching, two of edm less the last correction; with
    guidance twice as many."""
    for guidance in (0.0, 2.0):
        model = build(name, conditional=True, sampling={"guidance": guidance}).eval()
        rows = {row.metric: row.estimate.value for row in measure_cost(model, device=CPU)}
        assert rows["network_evaluations"] == EVALUATIONS * (2 if guidance else 1)


@every
def test_what_guidance_needs(name: str) -> None:
    """A conditional model that was shown images without labels: else a sentence says so. Without those it has no
    probability of images and no held-out loss either."""
    with pytest.raises(InputError, match="guidance needs a conditional model"):
        drawn(build(name, sampling={"guidance": 1.0}))
    with pytest.raises(InputError, match="label_dropout above 0"):
        build(name, conditional=True, label_dropout=0, sampling={"guidance": 1.0})
    told = build(name, conditional=True, label_dropout=0)
    told.sampling = told.Sampling(guidance=1.0)  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="label_dropout above 0"):
        drawn(told)
    images = drawn(build(name))
    assert told.likelihoods() == []  # type: ignore[attr-defined]
    assert told.epoch_statistics(images) == {}
    with pytest.raises(InputError, match="this dataset has no labels"):
        build(name, ImageSpec(8, 8, False, 0), conditional=True)


@every
def test_labels_in_training(name: str) -> None:
    """Dropped with probability `label_dropout`: none of the gradient reaches the null at 0, and none the classes at
    1; an unconditional model has neither."""
    for dropout in (0.0, 1.0):
        model = build(name, conditional=True, label_dropout=dropout)
        loss, _ = model.loss(Phase("network"), batch_of())
        loss.backward()
        classes, null = model.network.condition.weight.grad, model.network.null.grad  # type: ignore[union-attr]
        assert bool(classes.any()) == (dropout == 0)  # type: ignore[union-attr]
        assert bool(null.any()) == (dropout == 1)  # type: ignore[union-attr]
    assert build(name).network.condition is None


@every
def test_other_sizes_are_refused(name: str) -> None:
    """In one sentence, before anything is computed."""
    with pytest.raises(InputError, match="built for 8x8 images but these are 8x9"):
        build(name).epoch_statistics(torch.zeros(1, 3, 8, 9, dtype=torch.uint8))


@every
def test_held_out_loss(name: str) -> None:
    """The same every time it is asked, and torch's generator is where it was."""
    model, images = build(name).eval(), quantize(batch_of().x)
    before = torch.get_rng_state()
    first = model.epoch_statistics(images)
    assert first == model.epoch_statistics(images)
    assert first["held_out_loss"] > 0
    assert torch.equal(torch.get_rng_state(), before)


@every
def test_a_training_goes_on_where_it_was(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after two of four steps and resumed, with an average of the weights, against one that ran through:
    equal bits. Noise, times and dropped labels come from the generators that a checkpoint holds."""
    config = TrainingConfig.model_validate(
        {"steps": 4, "batch_size": 3, "checkpoint_every": 1, "ema": {"kind": "halflife", "images": 6}}
    )
    images = torch.randint(0, 256, (9, 3, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    data = TrainingData(images, torch.arange(9) % 3, images[:2])

    def trained(folder: Path) -> dict[str, Tensor]:
        model = build(name, conditional=True, label_dropout=0.5, awake=False)
        train(model, data, config, seed=0, device=CPU, checkpoints=Checkpoints(folder, {}))
        return model.state_dict()

    whole = trained(tmp_path / "whole")
    save, saved = trainer.save_checkpoint, []

    class StopError(Exception):
        """The power went out."""

    def save_twice(*arguments: Any) -> None:
        save(*arguments)
        saved.append(True)
        if len(saved) == 2:
            raise StopError

    monkeypatch.setattr(trainer, "save_checkpoint", save_twice)
    with pytest.raises(StopError):
        trained(tmp_path / "parts")
    found = trained(tmp_path / "parts")
    assert all(torch.equal(value, found[key]) for key, value in whole.items())


def columns(n: int) -> Tensor:
    """A bright column at one of eight places, on black."""
    g = torch.Generator().manual_seed(0)
    images = torch.zeros(n, 1, 8, 8, dtype=torch.uint8)
    for image, place in zip(images[:, 0], torch.randint(0, 8, (n,), generator=g).tolist(), strict=True):
        image[:, place] = 255
    return images.expand(-1, 3, -1, -1).contiguous()


@pytest.mark.costly
@every
def test_they_learn(name: str) -> None:
    """150 steps on a bright column at one of eight places: what is drawn lies less than half as far from the nearest
    of the eight as what an untrained network draws (0.46 of the range a pixel), and five places of eight at least are
    drawn. Longer trainings go on: 0.07 to 0.1 after 250 steps."""
    data = columns(64)
    torch.manual_seed(0)
    hyper: dict[str, Any] = {"width": 16, "multiples": (1,), "patch": 2}
    model = build_model(name, hyper, ImageSpec(8, 8, True, 0), {"steps": 20})

    def nearest() -> tuple[float, int]:
        with torch.inference_mode():
            made = model.eval().sample(32, ImageRng(3, range(32)))[:, :1]  # type: ignore[operator]
        distances = (made[:, None].float() - data[None, :, :1].float()).abs().mean((2, 3, 4)) / 255
        closest = distances.min(1)
        return float(closest.values.mean()), len({tuple(data[i, 0, 0].tolist()) for i in closest.indices})

    before, _ = nearest()
    config = TrainingConfig(steps=150, batch_size=32, lr=3e-3, ema_decay=0.97)
    train(model, TrainingData(data, None, data[:8]), config, seed=0, device=CPU)
    after, places = nearest()
    assert after < before / 2
    assert places >= 5


def captions_of(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(seed))


@every
def test_captions_when_sampling(name: str) -> None:
    """What is told moves the image, and an image depends on its own caption and stream alone: one grey level for
    products of other sizes, as above. Without a word `sample` draws from the null condition."""
    model = build(name, TOLD).eval()
    assert isinstance(model, TextConditional)
    told = captions_of(4)
    with torch.inference_mode():
        whole = model.sample_captions(told, ImageRng(1, range(4))).int()
        alone = model.sample_captions(told[2:], ImageRng(1, [2, 3])).int()
        others = model.sample_captions(captions_of(4, seed=1), ImageRng(1, range(4))).int()
        silent = model.sample(4, ImageRng(1, range(4))).int()
    assert (whole[2:] - alone).abs().max() <= 1
    assert (whole - others).abs().max() > 1
    assert (whole - silent).abs().max() > 1


@every
def test_guidance_by_captions(name: str) -> None:
    """(1 + w) times the answer that is told minus w times that of the null condition (Ho & Salimans 2022, equation 6),
    asked of the network itself; 1e-5 for float32."""
    model = build(name, TOLD).eval()
    x, time, told = torch.randn(3, 3, 8, 8), torch.tensor([0.0, 40.0, 900.0]), captions_of(3)
    with torch.no_grad():
        guided = model.asked(told, guidance=1.5)(x, time)
        by_hand = 2.5 * model.network(x, time, told) - 1.5 * model.network(x, time)
    torch.testing.assert_close(guided, by_hand, atol=1e-5, rtol=1e-5)


@every
def test_captions_that_cannot_be_told(name: str) -> None:
    """Each refusal says the way out."""
    with pytest.raises(InputError, match="leave conditional at false"):
        build(name, TOLD, conditional=True)
    rng = ImageRng(0, range(2))
    with pytest.raises(InputError, match="--task text-to-image"):
        build(name).sample_captions(captions_of(2), rng)
    with pytest.raises(InputError, match="2×5 numbers but are 3×5"):
        build(name, TOLD).sample_captions(captions_of(3), rng)
    with pytest.raises(InputError, match="label_dropout above 0"):
        build(name, TOLD, {"guidance": 1.0}, label_dropout=0.0).sample_captions(captions_of(2), rng)


def test_captions_are_dropped_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares of label_dropout 0, 1 and a half: which rows the network is told are null, over 400 images; 200 ± 5·10."""
    for share, low, high in ((0.0, 0, 0), (1.0, 400, 400), (0.5, 150, 250)):
        model = build("flow-matching", TOLD, label_dropout=share)
        seen: list[Any] = []
        monkeypatch.setattr(
            model.network,
            "forward",
            lambda x, time, told, dropped, seen=seen: seen.append((told, dropped)) or torch.zeros_like(x),
        )
        told = captions_of(400)
        model.loss(Phase("network"), Batch(torch.zeros(400, 3, 8, 8), None, 0, 1, condition=told))
        assert torch.equal(seen[0][0], told)
        assert low <= int(seen[0][1].sum()) <= high


@pytest.mark.costly
def test_a_told_model_learns_what_captions_say() -> None:
    """Red and blue pictures whose caption says which, one number plus or minus one among five: after 60 steps what it
    draws of each has more of its colour than of the other, with guidance as without."""
    kinds = torch.arange(64) % 2
    images = torch.zeros(64, 3, 8, 8, dtype=torch.uint8)
    images[kinds == 1, 0] = images[kinds == 0, 2] = 255
    told = torch.zeros(64, 5)
    told[:, 0] = 2.0 * kinds - 1
    model = build("flow-matching", TOLD, {"steps": 8}, awake=False, width=8)
    data = TrainingData(images, None, images[:2], conditions=told)
    train(model, data, TrainingConfig(steps=60, batch_size=32, lr=4e-3), seed=0, device=CPU)
    for guidance in (0.0, 1.0):
        model.sampling = type(model.sampling)(steps=8, guidance=guidance)
        with torch.inference_mode():
            levels = model.eval().sample_captions(told[:8], ImageRng(0, range(8))).double().mean((2, 3))
        assert ((levels[:, 0] > levels[:, 2]) == kinds[:8].bool()).all()
