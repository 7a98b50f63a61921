"""Every task over 1, 2 and 3 ranks: the same rows, whoever made which image."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from ranks import on_ranks
from torch import Tensor, nn

from benchbench.core.comm import ALONE, Comm
from benchbench.core.errors import CellFailed
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng
from benchbench.metrics.select import Outcome
from benchbench.runner.plan import Desk, Plan, make_plans
from benchbench.runner.spec import CellSpec
from benchbench.tasks.base import Number, TaskResult
from benchbench.tasks.classification import classify
from benchbench.tasks.generation import generate

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """classes/: train and test of two classes of 16×16 pictures, light and dark; pairs/: two domains of them, B is A
    with red and blue exchanged."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for split, n in (("train", 11), ("test", 7)):
        for i in range(n):
            for name, low in (("dark", 0), ("light", 128)):
                blocks = rng.integers(low, low + 128, (4, 4, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
                _save(root / "classes" / split / name / f"{i}.png", blocks)
            _save(root / "pairs" / f"{split}A" / f"{i}_A.png", blocks)
            _save(root / "pairs" / f"{split}B" / f"{i}_B.png", blocks[..., ::-1])
    return root


def _save(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(picture)).save(path)


def planned(model: str, dataset: str, **asked: object) -> Plan:
    """A cell with everything that has a meaning in it, or what is asked for."""
    everything = {"metrics": ["standard", "lpips", "vendi", "ct"]}
    spec = CellSpec.of(model=model, dataset=dataset, **{**everything, **asked})
    return make_plans(spec, [3], Desk(Runtime()))[0]


def result(plan: Plan, model: nn.Module, comm: Comm) -> TaskResult:
    """Of a model that each rank has for itself. One image at a time, so that no network sees another batch than
    elsewhere: then features are the same to the last bit, and what differs is how ranks' parts are put together."""
    return plan.task.run(copy.deepcopy(model), plan.dataset, plan.request, Runtime(CPU, 1, comm=comm))


def told(number: Number) -> tuple[str, ...]:
    """Which number it is, and what there is of it beside its value."""
    found = number.found
    if isinstance(found, Outcome):
        return (found.metric.name, number.direction, str(number.n_images), found.status, str(found.reason))
    return (found.metric, number.direction, str(found.n_images), "", "")


def values(numbers: list[Number]) -> list[float]:
    """Values and bounds of all that does not depend on the clock or the machine."""
    estimates = [
        number.found.estimate
        for number in numbers
        if isinstance(number.found, Outcome) or number.found.aspect == "quality"
    ]
    known = [each for each in estimates if each is not None]
    return [float("nan") if v is None else v for each in known for v in (each.value, each.low, each.high)]


CELLS = {
    "generation": ("vae", "classes", {"samples": 23, "overrides": {"latent": 4, "width": 4}}),
    "generation-by-class": ("cgan", "classes", {"samples": 23}),
    "translation": ("cyclegan", "pairs", {"overrides": {"width": 4, "blocks": 1, "disc_layers": 1}}),
    "translation-hinted": ("lineart-colorizer", "pairs", {"overrides": {"width": 4, "disc_layers": 1}}),
    "classification": ("cnn", "classes", {}),
    "likelihood": (
        "vae-discretized",
        "classes",
        {"task": "likelihood", "overrides": {"latent": 4, "width": 4, "sampling.iwae_samples": 3}},
    ),
}
DIGITS = {
    "dataset": "digits",
    "task": "latent-edit",
    "samples": 4,
    "metrics": ["psnr", "conditional_accuracy"],  # a network of the classes alone: there are a dozen edits
    "extractors": ["cnn_digits"],
}
INVERTED = {
    "latent-edit-codes": ("dcgan", {**DIGITS, "task_options": {"steps": 2, "examples": 1}}),
    "latent-edit-labels": ("cgan", {**DIGITS, "task_options": {"steps": 2}}),
}


@pytest.mark.costly
@pytest.mark.parametrize("cell", [*CELLS, *INVERTED, "stylization"])
def test_rows_do_not_depend_on_the_ranks(cell: str, folders: Path) -> None:
    """Rows of 2 and 3 ranks against those of one: the same numbers, counts, reasons and pictures on every rank, values
    to 1e-9, which is what another order of summation in float64 costs; 11, 7, 4 and 23 images leave ranks unequal
    shares."""
    if cell == "stylization":
        plan = planned("fast-style", "photographs", size=32, overrides={"width": 4, "blocks": 1})
    elif cell in INVERTED:
        model, asked = INVERTED[cell]
        plan = planned(model, overrides={"latent": 4, "width": 4}, **asked)  # type: ignore[arg-type]
    else:
        model, data, asked = CELLS[cell]
        plan = planned(model, f"folder:{folders / data}", **asked)  # type: ignore[arg-type]
    untrained = plan.build().eval()  # once: threads share torch's global generator
    plan.task.introduce(untrained, plan.dataset)
    alone = result(plan, untrained, ALONE)
    assert len(values(alone.numbers)) >= 3
    for size in (2, 3):
        for found in on_ranks(size, lambda comm: result(plan, untrained, comm)):
            assert list(map(told, found.numbers)) == list(map(told, alone.numbers))
            assert values(found.numbers) == pytest.approx(
                values(alone.numbers), rel=1e-9, abs=1e-9, nan_ok=True
            )
            assert list(map(_pixels, found.pictures)) == list(map(_pixels, alone.pictures))
            assert found.facts == alone.facts


def _pixels(picture: object) -> str:
    """All that a picture shows, in a form that can be compared."""
    tensors: list[Tensor] = []

    def collect(thing: object) -> None:
        if isinstance(thing, Tensor):
            tensors.append(thing)
        elif isinstance(thing, list | tuple):
            for each in thing:
                collect(each)
        elif hasattr(thing, "__dataclass_fields__"):
            collect(list(vars(thing).values()))

    collect(picture)
    return str([(tensor.shape, tensor.flatten().tolist()) for tensor in tensors])


class Noise:
    """An image is what its generator draws; it knows no class but 0."""

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        return rng.integers(256, 3, 4, 4).to(torch.uint8)

    def classify(self, images: Tensor) -> Tensor:
        return torch.eye(3)[:1].expand(len(images), 3) * (
            1.0 if images.float().mean() < 300 else float("nan")
        )


def test_fewer_images_than_ranks() -> None:
    """Two images on three ranks: one has nothing to do, and all know both answers."""
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)

    def work(comm: Comm) -> tuple[list[bool], Tensor]:
        runtime = Runtime(comm=comm)
        drawn = [*generate(Noise(), comm.shard(2), seed=1, runtime=runtime)]
        mine = torch.cat([torch.empty(0, 3, 4, 4, dtype=torch.uint8), *drawn])
        return classify(Noise(), images, torch.tensor([0, 2]), runtime).tolist(), comm.rows(mine)

    (whole,) = generate(Noise(), range(2), seed=1)
    for correct, drawn in on_ranks(3, work):
        assert correct == [True, False]
        assert torch.equal(drawn, whole)


def test_a_model_that_fails_on_one_rank_ends_the_task_on_all() -> None:
    """Only the last image makes logits that are no numbers: the sentence is the same everywhere, and nobody waits."""

    class Late(Noise):
        def classify(self, images: Tensor) -> Tensor:
            return torch.full((len(images), 3), float("nan") if images.max() else 0.0)

    images = torch.zeros(4, 3, 4, 4, dtype=torch.uint8)
    images[3] = 1

    def work(comm: Comm) -> str:
        with pytest.raises(CellFailed, match="not finite") as caught:
            classify(Late(), images, torch.zeros(4, dtype=torch.int64), Runtime(comm=comm))
        return str(caught.value)

    assert len(set(on_ranks(3, work))) == 1
