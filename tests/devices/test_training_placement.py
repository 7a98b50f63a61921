"""Whole trainings and runs on a device: every model, what a checkpoint brings back, what the host waits for.

The device draws from the CPU's generator and computes on the CPU, so a training there is a training here, bit for
bit; a tensor that is left behind, or made in the wrong place, raises.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pretend_cuda import CUDA, Traffic
from torch import Tensor, nn

import benchbench
from benchbench.core.protocols import (
    Conditional,
    Generator,
    ImageSpec,
    Inpainter,
    Restorer,
    Stylizer,
    TextMatcher,
    Trainable,
    Translator,
)
from benchbench.core.registry import MODELS
from benchbench.core.seeds import ImageRng
from benchbench.data.degrade.degradations import Downscaled, Noisy
from benchbench.data.degrade.holes import Holed
from benchbench.models.build import build_model
from benchbench.training import batches, trainer
from benchbench.training.batches import Other
from benchbench.training.checkpoint import Checkpoints
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.isolation import isolated
from benchbench.training.trainer import train

pytestmark = pytest.mark.costly

SIDE = 32
SPEC = ImageSpec(SIDE, SIDE, False, 3)
N = 12
TRAINABLE = sorted(name for name, model in MODELS.items() if hasattr(model, "loss"))
STEPS = 2


UNDONE = {
    "super-resolution": Downscaled(2),
    "denoise": Noisy("gaussian", 25.0),
    "inpaint": Holed("strokes", (3,)),
}
"""What restorers are told to undo, by the task that they are made for first."""


DRAWN_BY_PIXELS = {"pixelcnn": 6, "pixelrnn": 4, "vqvae": 16}
"""Sides of the pictures of models that evaluate their network for every value: each costs a thousand pretended
operations."""


SMALL: dict[str, dict[str, Any]] = {
    "biggan": {"width": 8},
    "cyclegan": {"width": 8, "blocks": 2, "disc_width": 8},
    "ddpm": {"width": 8, "timesteps": 50},
    "dncnn": {"depth": 5},
    "dncnn-3": {"depth": 5},
    "dncnn-b": {"depth": 5},
    "edm": {"width": 8},
    "edsr": {"blocks": 2, "width": 16},
    "fast-style": {"width": 8, "blocks": 2},
    "flow-matching": {"width": 8},
    "pix2pix": {"width": 16, "disc_width": 16},
    "pixelcnn": {"width": 8},
    "real-nvp": {"width": 8, "blocks": 1},
    "srgan": {"blocks": 2, "width": 16, "critic_width": 8},
    "stylegan2": {"width": 8, "style": 64, "latent": 64},
    "vdsr": {"depth": 5},
}
"""Fewer filters and layers of a kind: where a tensor lies does not depend on how many there are."""

FEW_STEPS = {"ddpm": {"steps": 4}, "flow-matching": {"steps": 4}}
"""Of samplers, for the same reason."""


RELATIVES = {
    *("beta-vae", "cnn-autoencoder", "dae", "vae-discretized"),  # of vae and vae-mlp
    *("gan", "sngan"),  # of dcgan and wgan-gp
    *("dncnn", "dncnn-3", "edsr", "espcn", "vdsr"),  # of dncnn-b and srcnn
    *("context-encoder", "edm", "lineart-colorizer"),  # of partial-conv, ddpm and pix2pix
}
"""Models of the same layers and losses as others, which are tried among the slow tests."""


def spec_of(name: str) -> ImageSpec:
    """Of the pictures of a model; a restorer learns pieces of its own size, and is told what it is to undo."""
    kind = MODELS.get(name)
    if name == "matcher":
        return ImageSpec(SIDE, SIDE, False, 3, condition_dim=5)
    if name in DRAWN_BY_PIXELS:
        return ImageSpec(DRAWN_BY_PIXELS[name], DRAWN_BY_PIXELS[name], False, 3)
    if not hasattr(kind, "undoes"):
        return SPEC
    side = getattr(kind, "patch", SIDE)
    return ImageSpec(side, side, False, 3, UNDONE[kind.undoes[0]])


def pictures(seed: int, side: int = SIDE) -> Tensor:
    """Seeded noise, uint8 RGB."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (N, 3, side, side), dtype=torch.uint8, generator=rng)


def trained(name: str, device: torch.device, workdir: Path | None = None, **options: Any) -> nn.Module:
    """Two steps of the model on twelve images in three classes, its settings the defaults but for those of `SMALL`."""
    torch.manual_seed(0)
    spec = spec_of(name)
    model = build_model(name, SMALL.get(name, {}), spec, FEW_STEPS.get(name)).to(device)
    other = None
    told = torch.arange(N * 5).view(N, 5).sin() if spec.condition_dim else None
    if isinstance(model, Stylizer):
        model.show_styles(pictures(2)[:3])
    elif isinstance(model, Translator):
        other = Other(pictures(2), pictures(3)[:4], aligned=bool(model.paired))
    config = TrainingConfig(**{"batch_size": 4, "steps": STEPS, "clip_norm": 1.0, **options})
    train(
        model,
        TrainingData(
            pictures(0, spec.height), torch.arange(N) % 3, pictures(1, spec.height)[:4], other, told
        ),
        config,
        seed=0,
        device=device,
        checkpoints=Checkpoints(workdir, {}) if workdir else None,
    )
    return model


def made(model: nn.Module, device: torch.device) -> Tensor | None:
    """Two images of a generator, translator, stylizer, or of a model that restores or fills holes."""
    rng = ImageRng(0, range(2), device)
    with torch.inference_mode():
        if isinstance(model, Restorer):
            return model.restore(pictures(4)[:2].to(device)).cpu()
        if isinstance(model, Inpainter):
            holes = torch.zeros(2, 1, SIDE, SIDE, dtype=torch.bool)
            holes[:, :, 8:20, 8:20] = True
            return model.inpaint(pictures(4)[:2].to(device), holes.to(device)).cpu()
        if isinstance(model, Stylizer):
            return model.stylize(pictures(4)[:1].to(device), 0, ImageRng(0, [0], device)).cpu()
        if isinstance(model, Translator):
            return model.translate(pictures(4)[:2].to(device), model.directions[0], rng).cpu()
        if isinstance(model, Conditional):
            return model.sample(2, rng, labels=torch.tensor([0, 2], device=device)).cpu()
        if isinstance(model, TextMatcher):
            return model.image_codes(pictures(4)[:2].to(device)).cpu()
        return model.sample(2, rng).cpu() if isinstance(model, Generator) else None


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in RELATIVES else name for name in TRAINABLE]
)
def test_every_model_trains_and_samples_on_the_device(name: str, cuda: Traffic) -> None:
    """Weights, buffers and images after two steps, against the CPU's: equal bits (module docstring)."""
    here, there = trained(name, torch.device("cpu")), trained(name, CUDA)
    weights = there.state_dict()
    assert all(torch.equal(value, weights[key].cpu()) for key, value in here.state_dict().items())
    expected, found = made(here, torch.device("cpu")), made(there, CUDA)
    assert (expected is None) == (found is None)
    if expected is not None and found is not None:
        assert torch.equal(expected, found)


def test_the_list_is_of_all_models_that_train() -> None:
    """What `hasattr` finds on the classes is what the protocol finds on the models."""
    found = [name for name in MODELS.names() if isinstance(build_model(name, {}, spec_of(name)), Trainable)]
    assert found == TRAINABLE


@pytest.mark.parametrize("name", ["vae", "pix2pix"])
def test_images_that_the_device_has_no_room_for(
    name: str, cuda: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where they stay in the host's memory a batch is read ahead and goes over: equal bits, and the host waits no
    more often for it."""
    there = trained(name, CUDA, steps=3)
    cuda.reset()
    trained(name, CUDA, steps=3)
    waits = cuda.waits.copy()
    monkeypatch.setattr(batches, "RESIDENT", 0)
    cuda.reset()
    weights = trained(name, CUDA, steps=3).state_dict()
    assert cuda.waits == waits
    assert all(torch.equal(value.cpu(), weights[key].cpu()) for key, value in there.state_dict().items())


@pytest.mark.parametrize("name", ["dcgan", "vae"])
def test_a_training_on_the_device_goes_on_where_it_was(name: str, cuda: Traffic, tmp_path: Path) -> None:
    """Stopped after two of four steps and resumed, with an average of the weights and clipping, against one that ran
    through: equal bits. The checkpoint goes to the file and back to the device."""
    options = {"ema_decay": 0.9, "checkpoint_every": 1}

    class StopError(Exception):
        """The power went out."""

    whole = trained(name, CUDA, steps=4, **options)
    with pytest.MonkeyPatch.context() as patch:
        save, saved = trainer.save_checkpoint, []

        def save_twice(*arguments: Any) -> None:
            save(*arguments)
            saved.append(True)
            if len(saved) == 2:
                raise StopError

        patch.setattr(trainer, "save_checkpoint", save_twice)
        with pytest.raises(StopError):
            trained(name, CUDA, tmp_path, steps=4, **options)
    resumed = trained(name, CUDA, tmp_path, steps=4, **options)
    weights = resumed.state_dict()
    assert all(torch.equal(value.cpu(), weights[key].cpu()) for key, value in whole.state_dict().items())


def test_float32_is_float32_unless_tf32_is_asked_for() -> None:
    """torch lets cuDNN use TF32 by itself. While a training lasts that is off, or on for both kinds of products where
    `precision` says so; afterwards the caller's settings are back."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    for tf32, matmul in ((False, "highest"), (True, "high")):
        with isolated(torch.device("cpu"), tf32):
            assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == (matmul, tf32)
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before


@pytest.mark.parametrize(("name", "turns"), [("vae", 1), ("dcgan", 2), ("wgan-gp", 6)])
def test_one_wait_a_turn(name: str, turns: int, cuda: Traffic) -> None:
    """What a second step waits for: each turn reads its numbers in one copy, and nothing else waits."""
    counts = []
    for steps in (1, 2):
        cuda.reset()
        trained(name, CUDA, steps=steps)
        counts.append(cuda.waits.copy())
    assert counts[1] - counts[0] == {"copy to the host": turns}


@pytest.mark.parametrize(
    ("model", "dataset", "options"),
    [
        ("vae", "digits", {"samples": 120, "extractors": ["cnn_digits"]}),
        ("dcgan", "digits", {"samples": 120, "extractors": ["cnn_digits"]}),
        ("cnn", "digits", {}),
        pytest.param(  # half a minute for pictures to be drawn
            "pix2pix",
            "openmoji-lines",
            {"samples": 12, "size": 32, "metrics": ["fd", "ssim", "content_distance"]},
            marks=pytest.mark.slow,
        ),
        ("fast-style", "photographs", {"size": 32, "metrics": ["gram_distance", "content_distance"]}),
    ],
)
def test_a_whole_run_on_the_device(
    model: str, dataset: str, options: dict[str, Any], cuda: Traffic, tmp_path: Path
) -> None:
    """`benchbench run --device cuda` to the record: every metric that the CPU answers is answered, none fails, and
    the machine it says is the device."""
    frame = benchbench.run(model, dataset, out=tmp_path, device="cuda", overrides=["steps=4"], **options)
    expected = benchbench.run(
        model, dataset, out=tmp_path / "cpu", device="cpu", overrides=["steps=4"], **options
    )
    measured = ~frame["aspect"].isin(["throughput", "cost"])
    assert frame["metric"][measured].tolist() == expected["metric"][measured].tolist()
    assert frame["status"].tolist() == expected["status"].tolist()
    values, others = frame["value"][measured], expected["value"][measured]
    assert values.to_list() == pytest.approx(others.to_list(), rel=1e-6, nan_ok=True)
    assert ("peak_memory_cuda" in set(frame["metric"])) == ("peak_memory_rss" in set(expected["metric"]))
