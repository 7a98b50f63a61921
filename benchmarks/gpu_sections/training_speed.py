"""Images a second of training each baseline, by its recipe, on pictures of its data's shape; and how often it waits."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch

from benchbench.core.baselines import baselines_folder
from benchbench.training.data import TrainingData
from benchbench.training.state import TrainingResult
from benchbench.training.trainer import train
from gpu_sections.child import Bench
from gpu_sections.recipes import Prepared, dataset_of, prepared, trainable_models
from gpu_sections.tools import device_of, needs_cuda, synchronisations, trace, waits

WATCHED = ("vae", "dcgan", "sngan")
AT_ONCE = 16  # batches of images that there are


def speed(bench: Bench) -> None:
    """Every trainable model on its smallest data, with a recipe for it on CIFAR-10's shape too, then the waits."""
    device = device_of(bench)
    names = trainable_models()
    asked = [(name, dataset_of(name)) for name in names]
    asked += [(name, "cifar10") for name in names if _has(name, "cifar10")]
    for name, dataset in asked:
        assert dataset is not None
        with bench.item(f"{name} on {dataset}"):
            rate(bench, name, dataset, device)
    for name in WATCHED:
        with bench.item(f"{name}: synchronisations"):
            needs_cuda(device)
            waiting(bench, name, device)


def _has(model: str, dataset: str) -> bool:
    return (baselines_folder() / f"{model}-{dataset}" / "recipe.toml").is_file()


def rate(bench: Bench, name: str, dataset: str, device: torch.device) -> None:
    """Median over epochs of a few batches each, the first one left out."""
    side = 32 if bench.small and dataset == "photographs" else None
    most = 4 if bench.small else 64
    made = _made(name, dataset, most, side)
    steps = 2 if bench.small else 2 * AT_ONCE
    result = go(made, steps, device)
    memory = f"{result.peak_memory_mib:,.0f} MiB"
    size = made.spec.height
    note = f"{result.steps_per_second:.3g} steps/s, batches of {made.training.batch_size}, {size}×{size}, {memory}"
    bench.measure(f"{name} on {dataset}", result.images_per_second, "images/s", note=note)


def _made(name: str, dataset: str, most: int, side: int | None = None) -> Prepared:
    """Images for epochs of a few steps. most: images a batch where the recipe's would take a minute on two cores."""
    made = prepared(name, dataset, 8, side=side)
    batch = made.training.batch_size if most > 4 else min(most, made.training.batch_size)
    n = batch * (AT_ONCE if most > 4 else 2)
    made = prepared(name, dataset, n, side=side)
    settings: dict[str, Any] = made.training.model_dump(exclude={"steps", "epochs"})
    settings |= {"batch_size": batch, "steps": 1}
    return replace(made, training=type(made.training)(**settings))


def go(made: Prepared, steps: int, device: torch.device) -> TrainingResult:
    """So many steps of the training."""
    config = made.training.model_copy(update={"steps": steps})
    return train(
        made.model,
        TrainingData(
            made.images,
            made.labels if made.spec.n_classes else None,
            made.images[:8],
            made.other,
            made.told,
        ),
        config,
        seed=0,
        device=device,
    )


def waiting(bench: Bench, name: str, device: torch.device) -> None:
    """Synchronisations a step: what eight steps more cost beyond four."""
    made = _made(name, "digits", 64)
    go(made, 2, device)
    few, many = (waits(trace(partial(go, made, n, device), device)) for n in (4, 12))
    note = ", ".join(f"{kind} {(many[kind] - few[kind]) / 8:.2g}" for kind in sorted(many))
    value = (synchronisations(many) - synchronisations(few)) / 8
    bench.measure(f"{name}: synchronisations", value, "a step", note=note)
