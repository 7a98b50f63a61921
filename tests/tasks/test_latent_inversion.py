"""latent-edit of models without an encoder: on ones whose codes are known, and from the command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shipped import of_shipped
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.images import quantize, to_signed
from benchbench.core.protocols import ImageSpec
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng, permutation
from benchbench.data.catalogue import load_dataset
from benchbench.data.dataset import Dataset
from benchbench.metrics.select import Outcome, select_metrics
from benchbench.models.build import build_model
from benchbench.runner.plan import Desk, make_plans
from benchbench.runner.spec import CellSpec
from benchbench.tasks.base import Request, TaskResult
from benchbench.tasks.latent.codes import codes_of, originals
from benchbench.tasks.latent_edit import LatentEdit

SMALL = {"latent": 4, "width": 4}


class Costly(nn.Module):
    """Its codes are the images, and dear: it counts how often it is asked for one."""

    relabels, costly = False, True
    inversion = {"by": "counting"}  # noqa: RUF012
    asked = 0

    def invert(self, images: Tensor, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        self.asked += len(images)
        return to_signed(images)

    def decode(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        return quantize(codes)


class Tinted(nn.Module):
    """An image is half its code and 10 grey levels for each class, which `invert` takes away."""

    relabels, costly = True, False
    inversion = {"by": "subtraction"}  # noqa: RUF012

    def invert(self, images: Tensor, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        return 2 * (images[:, :1].float() - 10 * labels.view(-1, 1, 1, 1))

    def decode(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        levels = codes / 2 + 10 * labels.view(-1, 1, 1, 1)
        return levels.round().clamp(0, 255).to(torch.uint8).expand(-1, 3, -1, -1).contiguous()


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


def ran(model: nn.Module, data: Dataset, n: int, **options: Any) -> TaskResult:
    request = Request(select_metrics(["psnr", "mse"], []), [], {}, {}, n, 0)
    return LatentEdit(LatentEdit.Options(**options)).run(model, data, request, Runtime())


def values(result: TaskResult) -> dict[tuple[str, str], float]:
    return {
        (number.task, number.found.metric.name): number.found.estimate.value
        for number in result.numbers
        if isinstance(number.found, Outcome) and number.found.estimate is not None
    }


@pytest.mark.costly
def test_directions_of_a_few(digits: Dataset) -> None:
    """Where codes are dear, the first two training images of each class in the seeded order are asked for theirs, and
    the held-out ones: means by NumPy, and 2·10 + 5 codes."""
    model = Costly()
    codes = codes_of(model, digits, 5, 2, 0, Runtime(batch_size=3))
    assert model.asked == 25
    train, labels = digits.train.images.numpy() / 127.5 - 1, digits.train.labels
    assert labels is not None
    order = permutation(0, len(labels))
    means = [train[[i for i in order if labels[i] == label][:2]].mean(0) for label in range(10)]
    expected = [means[t] - means[c] for c, t in zip(codes.labels, codes.targets, strict=True)]
    torch.testing.assert_close(
        codes.directions, torch.from_numpy(np.stack(expected)).float(), atol=1e-6, rtol=0
    )
    torch.testing.assert_close(codes.codes, to_signed(codes.images))


@pytest.mark.costly
def test_dear_codes_have_no_lines(digits: Dataset) -> None:
    """Rows of the inversion, which misses nothing here, of five strengths and their controls; the record says by what
    and over how many."""
    result = ran(Costly(), digits, 4, examples=1)
    found = values(result)
    tasks = {f"latent-edit:x{s:g}{kind}" for s in (0.25, 0.5, 1, 1.5, 2) for kind in ("", "-random")}
    assert {task for task, _ in found} == tasks | {"latent-edit:inversion"}
    assert found["latent-edit:inversion", "mse"] == 0
    facts = result.facts["latent_edit"]
    assert facts["inversion"] == {"by": "counting"}
    assert "1 training images of each class" in facts["direction"]
    assert {picture.kind for picture in result.pictures} == {"traversals", "edited"}


@pytest.mark.costly
def test_another_label_under_the_same_code(digits: Dataset) -> None:
    """An image and its code differ by its label alone, so inversion misses nothing but what is clipped, nothing here:
    the square of ten levels times the difference of the labels is what an edit is from the image, cut at white and
    black, by hand. The control has the next image's code, by hand as well."""
    result = ran(Tinted(), digits, 6)
    found, own = values(result), originals(digits, 6)
    assert found["latent-edit:inversion", "mse"] == 0
    levels = own.images.double()
    steps = 10 * (own.targets - own.labels).double().view(-1, 1, 1, 1)
    edited = (levels + steps).clamp(0, 255)
    bare = levels - 10 * own.labels.double().view(-1, 1, 1, 1)
    control = (bare.roll(1, 0) + 10 * own.targets.double().view(-1, 1, 1, 1)).clamp(0, 255)
    for kind, images in (("", edited), ("-random", control)):
        expected = ((images - levels) / 255).square().mean()
        assert found[f"latent-edit:relabel{kind}", "mse"] == pytest.approx(float(expected), rel=1e-6)
    assert result.facts["latent_edit"]["edit"] == "relabel"
    assert {picture.kind for picture in result.pictures} == {"relabelled"}


@pytest.mark.parametrize(
    ("name", "hyper", "expected"),
    [
        ("real-nvp", {"width": 4, "blocks": 1}, ["latent-edit:codes", "latent-edit:inversion by=flow"]),
        (
            "dcgan",
            SMALL,
            ["latent-edit:codes", "latent-edit:inversion by=descent examples=7 lr=0.1 starts=2 steps=9"],
        ),
        (
            "cgan",
            SMALL,
            [
                "latent-edit:relabel",
                "latent-edit:inversion by=descent lr=0.1 starts=2 steps=9",
                "latent-edit:label",
            ],
        ),
        ("vae", {"latent": 4, "width": 4}, ["latent-edit:codes", "latent-edit:inversion by=encoder"]),
        ("pixelcnn", {"width": 4, "blocks": 1, "conditional": True}, ["latent-edit:label"]),
    ],
)
def test_what_a_model_does(name: str, hyper: dict[str, Any], expected: list[str]) -> None:
    """By what it has; the settings of a descent are part of it, and so of the cell's key."""
    task = LatentEdit(LatentEdit.Options(steps=9, examples=7))
    assert task.takes(type(model := build_model(name, hyper, ImageSpec(8, 8, True, 10))))
    assert task.parts(model) == expected


def test_flows_are_undone_with_their_own_settings() -> None:
    """What the noise of images depends on stands in the key: the solver and its steps; and a class that is told is
    changed under it."""
    spec = ImageSpec(8, 8, True, 10)
    hyper = {"width": 4, "multiples": (1,), "conditional": True}
    model = build_model("flow-matching", hyper, spec, {"solver": "heun", "steps": 7})
    relabel, inversion, label = LatentEdit().parts(model)
    assert (relabel, label) == ("latent-edit:relabel", "latent-edit:label")
    assert "by=equation" in inversion
    assert "solver=heun" in inversion
    assert "steps=7" in inversion


@pytest.mark.costly
def test_another_descent_is_another_cell() -> None:
    """And no other training."""
    spec = {
        "model": "dcgan",
        "dataset": "digits",
        "task": "latent-edit",
        "metrics": ["mse"],
        "overrides": SMALL,
    }
    keys = [
        make_plans(CellSpec.of(**spec, task_options=options), [0], Desk(Runtime()))[0]
        for options in ({}, {"steps": 20}, {"examples": 3})
    ]
    assert len({plan.key for plan in keys}) == 3
    assert len({plan.training_key for plan in keys}) == 1


def test_what_is_refused() -> None:
    """A model that has neither codes nor classes, or neither as it is asked; a sampler that cannot be undone, of which
    the samples alone can be asked for; options out of bounds."""
    spec = ImageSpec(8, 8, True, 10)
    bare = build_model("pixelcnn", {"width": 4, "blocks": 1}, spec)
    with pytest.raises(InputError, match="no codes of images and cannot be asked for a class"):
        LatentEdit().parts(bare)
    alone = LatentEdit(LatentEdit.Options(invert=False))
    with pytest.raises(InputError, match="no codes of images and cannot be asked for a class"):
        alone.parts(build_model("dcgan", SMALL, spec))
    hyper = {"width": 4, "multiples": (1,), "conditional": True}
    ancestral = build_model("ddpm", hyper, spec, {"sampler": "ancestral"})
    with pytest.raises(InputError, match="set them to ddim and 0"):
        LatentEdit().parts(ancestral)
    assert alone.parts(ancestral) == ["latent-edit:label"]
    assert alone.parts(build_model("vae", SMALL, spec))[0] == "latent-edit:codes"
    for options in ({"steps": 0}, {"starts": 0}, {"lr": 0}, {"examples": 0}):
        with pytest.raises(ValueError, match="greater than"):
            LatentEdit.Options(**options)


@pytest.mark.costly
@pytest.mark.parametrize("model", ["cgan", "dcgan"])
def test_the_shipped_gans_of_digits(model: str, tmp_path: Path) -> None:
    """From the command, eight held-out digits. Codes that were looked for are nearer to their images than the images
    that a GAN draws are, 10 dB apart (docs/editing.md); a label under such a code changes most classes; what stays of
    the image is more than of another one, of the control. Without `invert` there are samples alone."""
    few = [word for setting in ("steps=60", "examples=1", "starts=1") for word in ("--task-option", setting)]
    rows, folder = of_shipped(model, tmp_path, "--samples", "8", *few)
    assert rows["latent-edit:inversion", "psnr"] > 16
    assert rows["latent-edit:inversion", "conditional_accuracy_cnn_digits"] > 0.7
    if model == "cgan":
        assert rows["latent-edit:relabel", "conditional_accuracy_cnn_digits"] > 0.6
        assert rows["latent-edit:relabel", "psnr"] > rows["latent-edit:relabel-random", "psnr"]
        assert ("latent-edit:label", "psnr") in rows
        assert {"relabelled.png", "relabelled.npz", "labels.png", "labelled.npz"} <= {
            file.name for file in folder.iterdir()
        }
    else:
        assert rows["latent-edit:x2", "psnr"] < rows["latent-edit:x0.25", "psnr"]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "edit"), [("dcgan", "x1"), ("cgan", "relabel")])
def test_the_table_of_the_page(model: str, edit: str, tmp_path: Path) -> None:
    """docs/editing.md: the shipped weights, as many images and steps as by default. A descent makes much of roundings,
    so another machine may end elsewhere: to 5 of 100 images of a class, 0.5 dB, and 0.03 of ssim."""
    text = (Path(__file__).parents[2] / "docs" / "editing.md").read_text(encoding="utf-8")
    (line,) = re.findall(rf"^\| `{model}` \| [\d.]+ dB, [\d.]+ \| {edit} \|.*$", text, re.MULTILINE)
    stated = [float(number) for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?", line)]
    rows, _ = of_shipped(model, tmp_path)
    inversion, own, control = (rows[f"latent-edit:{name}"] for name in ("inversion", edit, f"{edit}-random"))
    accuracy = "conditional_accuracy_cnn_digits"
    found = [inversion["psnr"], inversion["ssim"], 100 * own[accuracy], 100 * control[accuracy]]
    found += [own["psnr"], own["ssim"], control["psnr"], control["ssim"]]
    assert len(stated) == len(found)
    bounds = [0.5, 0.03, 5, 5, 0.5, 0.03, 0.5, 0.03]
    assert all(abs(a - b) <= bound for a, b, bound in zip(found, stated, bounds, strict=True)), (
        found,
        stated,
    )
