"""Every registered model on the processor and on the device, from the same weights and the same random numbers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from benchbench.core.protocols import (
    Autoencoder,
    Batch,
    Classifier,
    Cyclic,
    Fittable,
    Generator,
    Hinted,
    Inpainter,
    Observant,
    Phase,
    Restorer,
    Sampled,
    Stylizer,
    TextMatcher,
    Trainable,
    Translator,
)
from benchbench.core.registry import MODELS
from benchbench.core.seeds import ImageRng
from benchbench.features.frozen import full_float32
from benchbench.training.step.phases import Schedule
from gpu_sections.child import Bench
from gpu_sections.draws import DrawnOnCPU
from gpu_sections.recipes import Prepared, dataset_of, prepared
from gpu_sections.tools import CPU, device_of, worst

LOSS, GRADIENT = 1e-3, 1e-3
LEVELS = 1.0  # grey levels: a value at the edge of two levels may be rounded to either
FEW = {"iterations": 3, "steps": 4}  # of an optimisation or a sampler, in which rounding errors grow
SIDES = {"pixelcnn": 8, "pixelrnn": 8, "vqvae": 16}  # of those that evaluate their network for every pixel


def models(bench: Bench) -> None:
    """Losses, gradients and outputs of each model; TF32 is off, as it would hide what is looked for."""
    device = device_of(bench)
    n = 2 if bench.small else 16
    for name in MODELS.names():
        with bench.item(name), full_float32():
            compare(bench, name, n, device)


def compare(bench: Bench, name: str, n: int, device: torch.device) -> None:
    """The rows of one model."""
    dataset = dataset_of(name)
    side = (32 if bench.small else 64) if dataset == "photographs" else SIDES.get(name)
    made = prepared(name, dataset, max(n, 8), side=side)
    here = made.model
    if isinstance(here, Sampled):
        few = {key: value for key, value in FEW.items() if key in type(here.sampling).model_fields}
        here.sampling = here.sampling.model_copy(update=few)
    if isinstance(here, Fittable):
        here.fit(made.images, made.images)
    there = copy.deepcopy(here).to(device)
    if isinstance(here, Trainable):
        for player in here.players():
            with bench.item(f"{name}: {player}"):
                losses(bench, name, player, made, n, there, device)
    expected, seen = (outputs(model, made, n, where) for model, where in ((here, CPU), (there, device)))
    for what, images in expected.items():
        if images.dtype == torch.uint8:
            gap = (images.int() - seen[what].cpu().int()).abs()
            note = f"grey levels; {float((gap > 0).float().mean()):.2%} of all values differ"
            bench.check(f"{name}: {what}", float(gap.max()), LEVELS, note)
        else:
            bench.check(f"{name}: {what}", worst(images.reshape(1, -1), seen[what].reshape(1, -1)), LOSS)


def losses(
    bench: Bench,
    name: str,
    player: str,
    made: Prepared,
    n: int,
    there: nn.Module,
    device: torch.device,
) -> None:
    """Loss and gradient of one player; running statistics move on both sides alike."""
    (loss, gradient), (other_loss, other_gradient) = (
        turn(model, player, made.batch(n, where)) for model, where in ((made.model, CPU), (there, device))
    )
    gap = abs(loss - other_loss) / max(abs(loss), 0.1)
    bench.check(f"{name}: loss of {player}", gap, LOSS, f"{loss:.6g}")
    bench.check(f"{name}: gradient of {player}", worst(gradient[None], other_gradient[None]), GRADIENT)


def turn(model: nn.Module, player: str, batch: Batch) -> tuple[float, Tensor]:
    """Loss and gradient (one vector) of a player, as a turn of the training loop would have them."""
    assert isinstance(model, Trainable)
    model.train().requires_grad_(False)
    own = list(model.players()[player].parameters())
    for parameter in own:
        parameter.requires_grad_(True)
        parameter.grad = None
    torch.manual_seed(7)
    with DrawnOnCPU():  # type: ignore[no-untyped-call]
        loss, _ = Schedule(model).loss(Phase(player), batch)
    loss.backward()
    gradients = [parameter.grad.flatten() for parameter in own if parameter.grad is not None]
    return float(loss.detach()), torch.cat(gradients)


def outputs(model: nn.Module, made: Prepared, n: int, device: torch.device) -> dict[str, Tensor]:
    """All that a model can be asked for, by name, from the same numbers of each image."""
    model.eval()
    images = made.images[:n].to(device)
    found: dict[str, Tensor] = {}
    with torch.inference_mode():
        if isinstance(model, Generator):
            found["sample"] = model.sample(n, ImageRng(0, range(n), device))
        if isinstance(model, Autoencoder):
            found["encode"] = model.encode(images)
            found["reconstruct"] = model.reconstruct(images)
        if isinstance(model, Classifier):
            found["classify"] = model.classify(images)
        if isinstance(model, TextMatcher):
            found["image_codes"] = model.image_codes(images)
        if isinstance(model, Stylizer):
            found["stylize"] = model.stylize(images[:2], 1, ImageRng(0, range(2), device))
        if isinstance(model, Translator):
            found |= translations(model, made, images, device)
        if isinstance(model, Restorer):
            found["restore"] = model.restore(images)
        if isinstance(model, Inpainter):
            holes = torch.zeros_like(images[:, :1], dtype=torch.bool)
            holes[:, :, 8:20, 8:20] = True
            found["inpaint"] = model.inpaint(images, holes)
        if isinstance(model, Observant):
            statistics: Mapping[str, Any] = model.epoch_statistics(images)
            found["epoch_statistics"] = torch.tensor([float(value) for value in statistics.values()])
    return found


def translations(
    model: Translator, made: Prepared, images: Tensor, device: torch.device
) -> dict[str, Tensor]:
    """In each direction, with hints and there and back where the model can."""
    found: dict[str, Tensor] = {}
    for direction in model.directions:
        rng = ImageRng(0, range(len(images)), device)
        found[f"translate {direction}"] = model.translate(images, direction, rng)
        if isinstance(model, Hinted) and made.other is not None:
            rng = ImageRng(0, range(len(images)), device)
            truth = made.other.images[: len(images)].to(device)
            found[f"hinted {direction}"] = model.translate_hinted(images, direction, rng, truth, 5)
        if isinstance(model, Cyclic):
            found[f"cycle {direction}"] = model.cycle(images, direction, lambda x: x)
    return found
