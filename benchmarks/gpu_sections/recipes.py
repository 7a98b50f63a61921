"""Models as the shipped recipes build them, with pictures of the shape of their data in the place of the data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from benchbench.core.baselines import baselines_folder
from benchbench.core.protocols import Batch, ImageSpec, Stylizer, Trainable, Translator
from benchbench.core.registry import MODELS
from benchbench.data.degrade.degradations import Downscaled, Noisy
from benchbench.data.degrade.holes import Holed
from benchbench.models.build import build_model
from benchbench.training.batches import Other
from benchbench.training.config import TrainingConfig
from benchbench.training.recipe import load_recipe
from gpu_sections.tools import pictures

# As the datasets are by default; styles count as classes.
SPECS = {
    "digits": ImageSpec(32, 32, grey=True, n_classes=10),
    "grid25": ImageSpec(32, 32, grey=False, n_classes=25),
    "cifar10": ImageSpec(32, 32, grey=False, n_classes=10),
    "openmoji": ImageSpec(32, 32, grey=False, n_classes=0),
    "openmoji-lines": ImageSpec(32, 32, grey=False, n_classes=2),
    "openmoji-tones": ImageSpec(32, 32, grey=False, n_classes=2),
    "openmoji-captions": ImageSpec(32, 32, grey=False, n_classes=0, condition_dim=384),
    "photographs": ImageSpec(128, 128, grey=False, n_classes=2),
}


@dataclass(frozen=True)
class Prepared:
    """A model that nobody trained, and what it would be trained on. images: uint8, of domain A where there are two.
    other: the other domain of a translator. told: what the model knows of their captions, where it is told any."""

    model: nn.Module
    spec: ImageSpec
    images: Tensor
    labels: Tensor
    other: Other | None
    training: TrainingConfig
    told: Tensor | None = None

    def batch(self, n: int, device: torch.device) -> Batch:
        """The first `n` images as a loss sees them, in the tenth of a hundred steps."""
        channels = self.spec.channels
        x, y = (
            None if side is None else side[:n, :channels].float().div(127.5).sub(1).to(device)
            for side in (self.images, self.other.images if self.other else None)
        )
        assert x is not None
        told = None if self.told is None else self.told[:n].to(device)
        return Batch(x, self.labels[:n].to(device), 10, 100, y=y, condition=told)


def dataset_of(model: str) -> str | None:
    """The dataset whose recipe of a model is tried: the digits', else the first one by name; None for a model without a
    recipe."""
    known = sorted(
        name for name in SPECS if (baselines_folder() / f"{model}-{name}" / "recipe.toml").is_file()
    )
    if hasattr(
        MODELS.get(model), "undoes"
    ):  # the recipe of a restorer, where it has one, is for whatever it undoes
        return "train400"
    return "digits" if "digits" in known else next(iter(known), None)


def spec_of(model: str, dataset: str) -> ImageSpec:
    """What the model is told; a restorer also what it is to undo."""
    if dataset != "train400":
        return SPECS[dataset]
    undone = next(iter(MODELS.get(model).undoes))
    if undone == "inpaint":
        return ImageSpec(64, 64, True, 0, Holed("strokes", (3,)))
    enlarges = undone == "super-resolution"
    return ImageSpec(48, 48, True, 0, Downscaled(2) if enlarges else Noisy("gaussian", 25.0))


def prepared(
    model: str, dataset: str | None, n: int, *, side: int | None = None, recipe_file: Path | None = None
) -> Prepared:
    """The model of the recipe for `dataset` ("digits" where there is none), seeded, with `n` made-up images.

    side: of the images, where another than the dataset's will do. recipe_file: another recipe than the shipped one.
    """
    spec = spec_of(model, dataset or "digits")
    if side is not None:
        spec = replace(spec, height=side, width=side)
    recipe = load_recipe(model, dataset, recipe_file)
    torch.manual_seed(0)
    # A start of thousands of steps would leave the few that are tried to one player.
    at_once = {"pretrain": 0} if "pretrain" in recipe.hyper else {}
    made = build_model(model, {**recipe.hyper, **at_once}, spec, recipe.sampling)
    images, targets = (pictures(n, spec.height, seed=seed, grey=spec.grey) for seed in (1, 2))
    if isinstance(made, Stylizer):
        made.show_styles(pictures(spec.n_classes, spec.height, seed=3))
    other = Other(targets, targets[:8], aligned=bool(made.paired)) if isinstance(made, Translator) else None
    labels = torch.arange(n) % max(spec.n_classes, 1)
    told = None
    if spec.condition_dim:
        told = torch.randn(n, spec.condition_dim, generator=torch.Generator().manual_seed(4))
    return Prepared(made, spec, images, labels, other, recipe.training, told)


def trainable_models() -> list[str]:
    """The registered models that have a shipped recipe and losses."""
    found = []
    for name in MODELS.names():
        if (dataset := dataset_of(name)) and isinstance(prepared(name, dataset, 8).model, Trainable):
            found.append(name)
    return found
