"""The latent-edit task: on models whose codes are known, and on the shipped ones of digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from ranks import on_ranks
from shipped import of_shipped
from torch import Tensor, nn

from benchbench.cli import cli
from benchbench.core.errors import CellFailed, InputError
from benchbench.core.images import quantize, to_signed
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng
from benchbench.data.catalogue import load_dataset
from benchbench.data.dataset import Dataset, Split
from benchbench.metrics.select import Outcome, select_metrics
from benchbench.models.inversion.encoder import Encoded
from benchbench.results.load import load_results
from benchbench.runner.plan import Desk, make_plans
from benchbench.runner.spec import CellSpec
from benchbench.tasks.base import Request
from benchbench.tasks.generation import labels_like
from benchbench.tasks.latent.by_codes import RANDOM, STRENGTHS
from benchbench.tasks.latent.codes import class_means, codes_of, others
from benchbench.tasks.latent.lines import POINTS, evenness, in_between
from benchbench.tasks.latent_edit import LatentEdit


class Pixels(nn.Module):
    """An autoencoder whose codes are the images."""

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        return quantize(rng.normal(3, 32, 32))

    def encode(self, images: Tensor) -> Tensor:
        return to_signed(images)

    def decode(self, codes: Tensor) -> Tensor:
        return quantize(codes)

    def reconstruct(self, images: Tensor) -> Tensor:
        return self.decode(self.encode(images))


class Painter(nn.Module):
    """A conditional generator: a level of its latent's, and thirty more for each class."""

    conditional = True

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        level = rng.uniform().mul(50)
        assert labels is not None
        return (level + 20 * labels).view(-1, 1, 1, 1).expand(-1, 3, 32, 32).round().to(torch.uint8)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


def scored(model: nn.Module, data: Dataset, n: int, runtime: Runtime | None = None) -> dict[Any, Any]:
    """(task, metric) to value, of paired metrics, which need no network."""
    request = Request(select_metrics(["psnr", "mse"], []), [], {}, {}, n, 0)
    numbers = LatentEdit().run(model, data, request, runtime or Runtime()).numbers
    return {
        (number.task, number.found.metric.name): number.found.estimate.value
        for number in numbers
        if isinstance(number.found, Outcome) and number.found.estimate is not None
    }


@pytest.mark.costly
def test_directions_are_differences_of_mean_codes(digits: Dataset) -> None:
    """Codes that are pixels: by NumPy, the images of the target's class less those of the own class, on average. Moved
    by half of it, the mean squared error is that of the rounded and clipped image."""
    codes = codes_of(Encoded(Pixels()), digits, 20, 1, 0, Runtime())
    train, labels = digits.train.images.numpy() / 127.5 - 1, digits.train.labels.numpy()
    means = [train[labels == label].mean(0) for label in range(10)]
    expected = [means[t] - means[c] for c, t in zip(codes.labels, codes.targets, strict=True)]
    assert np.abs(codes.directions.numpy() - np.stack(expected)).max() < 1e-6
    assert (codes.labels != codes.targets).all()
    assert codes.targets.unique().numel() > 5
    moved = ((codes.codes + 0.5 * codes.directions + 1) * 127.5).round().clamp(0, 255)
    errors = (moved.double() - codes.images.double()).square().mean((1, 2, 3)) / 255**2
    found = scored(Pixels(), digits, 20)
    assert found["latent-edit:x0.5", "mse"] == pytest.approx(float(errors.mean()), rel=1e-6)
    # Farther is farther; a random direction of the same length, not clipped as often, is as far.
    distances = [found[f"latent-edit:x{strength}", "mse"] for strength in (0.25, 0.5, 1, 1.5, 2)]
    assert distances == sorted(distances)


def test_the_control_has_the_same_lengths(digits: Dataset) -> None:
    """Image by image; and it is no multiple of the direction: two random ones of 3,072 numbers are nearly
    orthogonal."""
    codes = codes_of(Encoded(Pixels()), digits, 10, 1, 0, Runtime())
    random = codes.random(7).flatten(1)
    own = codes.directions.flatten(1)
    assert torch.allclose(random.norm(dim=1), own.norm(dim=1), rtol=1e-5)
    assert (torch.cosine_similarity(random, own).abs() < 0.1).all()
    assert torch.equal(
        codes.random(7)[3:], codes_of(Encoded(Pixels()), digits, 10, 1, 0, Runtime()).random(7)[3:]
    )


def test_means_come_in_batches() -> None:
    """By hand, in batches of 2 and 3: class 4 has codes 1, 3 and 8, class 6 one; class 5 none."""
    batches = [torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0], [8.0]])]
    means = class_means(iter(batches), torch.tensor([4, 4, 6, 4]))
    assert {label: mean.tolist() for label, mean in means.items()} == {4: [4.0], 6: [5.0]}


def test_targets_are_other_classes() -> None:
    """Of classes 2, 5 and 7: each image's next one, the one after it, and round again."""
    labels = torch.tensor([2, 2, 5, 7, 7, 5])
    assert others(labels, torch.tensor([2, 5, 7])).tolist() == [5, 7, 7, 5, 2, 2]


def test_even_lines() -> None:
    """By hand: eight equal steps have a ratio of 1, a single jump one of 8, and no step at all is even."""
    line = torch.arange(POINTS).float()
    jump = (line > 4).float()
    features = torch.stack([line, jump, torch.zeros(POINTS)], dim=1)[..., None]
    found = evenness(features)
    assert found.estimate.value == pytest.approx((1 + 8 + 1) / 3)
    assert found.ends == (1, 8)


def test_in_between_images_without_their_ends() -> None:
    """A line whose seven inner images are four times of either end and three times of neither; the ends do not
    count."""
    classes = torch.tensor([[9], [1], [1], [5], [5], [5], [2], [2], [9]])
    assert in_between(classes, torch.tensor([1]), torch.tensor([2])).estimate.value == pytest.approx(4 / 7)


@pytest.mark.costly
def test_a_class_changed_under_the_same_latent(digits: Dataset) -> None:
    """The painter's levels differ by 20 a class and by nothing else: the mean squared error is that of the labels, to
    the last digit. Under other latents it is not."""
    found = scored(Painter(), digits, 40)
    assert digits.train.labels is not None
    labels = labels_like(digits.train.labels, 0, 40)
    steps = 20 * (others(labels, torch.arange(10)) - labels).double()
    assert found["latent-edit:label", "mse"] == pytest.approx(float((steps / 255).square().mean()), rel=1e-9)
    assert found["latent-edit:label" + RANDOM, "mse"] != found["latent-edit:label", "mse"]
    assert LatentEdit().parts(Painter()) == ["latent-edit:label"]


@pytest.mark.costly
def test_ranks_get_equal_rows(digits: Dataset) -> None:
    """Seven images over three ranks: the values of one process, exactly."""
    alone = scored(Pixels(), digits, 7)
    assert len(alone) == 21
    assert on_ranks(3, lambda comm: scored(Pixels(), digits, 7, Runtime(comm=comm))) == [alone] * 3


@pytest.mark.costly
def test_two_images_without_a_line(digits: Dataset) -> None:
    """The first two held-out digits are of two classes, neither the target of the other: no line joins them, and there
    is no picture of lines; the rest is there."""
    assert digits.held_out.labels is not None
    assert digits.held_out.labels[0] != digits.held_out.labels[1]
    request = Request(select_metrics(["mse"], []), [], {}, {}, 2, 0)
    found = LatentEdit().run(Pixels(), digits, request, Runtime())
    assert [picture.kind for picture in found.pictures] == ["traversals", "edited"]


@pytest.mark.costly
def test_the_shipped_vae_of_digits(tmp_path: Path) -> None:
    """From the command: along the direction most of 40 images become the class asked for, in random directions of the
    same length few do (as few as a classifier errs, and chance is one in ten); the farther, the more, and the less
    stays. The same weights do the same again; the pictures are there."""
    command = [
        "run", "--model", "vae", "--dataset", "digits", "--pretrained", "--task", "latent-edit", "--samples", "40",
        "--extractor", "cnn_digits", "--out", str(tmp_path),
    ]  # fmt: skip
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0, done.output
    (folder,) = (tmp_path / "digits" / "vae").iterdir()
    rows = load_results(folder).set_index(["task", "metric"]).value
    accuracy = rows.xs("conditional_accuracy_cnn_digits", level="metric")
    assert accuracy["latent-edit:x1"] > 0.7
    assert accuracy["latent-edit:x1-random"] < 0.2
    gain = accuracy["latent-edit:x1"] - accuracy["latent-edit:x1-random"]
    assert rows["latent-edit:x1", "class_gain"] == pytest.approx(gain)
    assert accuracy["latent-edit:x2"] > accuracy["latent-edit:x0.25"]
    assert rows["latent-edit:x2", "psnr"] < rows["latent-edit:x1", "psnr"] < rows["latent-edit:x0.25", "psnr"]
    assert rows["latent-edit:within", "class_of_ends"] > rows["latent-edit:between", "class_of_ends"] > 0.5
    assert {"traversals.png", "interpolations.png", "edited.npz"} <= {file.name for file in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vae", "cgan"])
def test_the_table_of_the_page(model: str, tmp_path: Path) -> None:
    """docs/editing.md: the shipped weights on digits, as many images as by default, every row to its last digit."""
    text = (Path(__file__).parents[2] / "docs" / "editing.md").read_text(encoding="utf-8")
    rows, _ = of_shipped(model, tmp_path)
    edits = ["label"] if model == "cgan" else [f"x{strength:g}" for strength in STRENGTHS]
    for edit in edits:
        shares, rest = [], []
        for kind in ("", RANDOM):
            own = rows[f"latent-edit:{edit}{kind}"]
            shares.append(f"{100 * own['conditional_accuracy_cnn_digits']:.0f}%")
            distance = own["content_distance_cnn_digits"]
            rest.append(f"{distance:.3f}, {own['psnr']:.1f} dB, {own['ssim']:.2f}")
        assert f"| `{model}` | {edit} | {' | '.join(shares)} | {' | '.join(rest)} |" in text


@pytest.mark.costly
def test_weights_are_those_of_generation(tmp_path: Path) -> None:
    """One training serves both: the training's key is the same, the cell's is another, and a second run on the same
    store trains nothing."""
    spec = {
        "model": "vae",
        "dataset": "digits",
        "overrides": ["steps=3", "latent=4", "width=4"],
        "metrics": ["mse"],
    }
    generation, edit = (
        make_plans(CellSpec.of(**spec, **more), [0], Desk(Runtime()))[0]
        for more in ({}, {"task": "latent-edit"})
    )
    assert generation.training_key == edit.training_key
    assert generation.key != edit.key
    command = [
        "run", "--model", "vae", "--dataset", "digits", "--samples", "20", "--metrics", "mse", "--out", str(tmp_path),
        "--set", "steps=3", "--set", "latent=4", "--set", "width=4",
    ]  # fmt: skip
    for more in ([], ["--task", "latent-edit"]):
        done = CliRunner().invoke(cli, [*command, *more])
        assert done.exit_code == 0, done.output
    assert "the weights are there already" in done.output


def test_what_is_refused(digits: Dataset) -> None:
    """No labels, one class, classes that no classifier knows, a model with neither codes nor classes, more images than
    there are, codes that are not finite; each in a sentence."""
    task = LatentEdit()
    bare = Split(digits.train.images[:4], None, "")
    for data, words in (
        (Dataset("digits", bare, bare), "digits has no labels of two classes"),
        (Dataset("mine", digits.train, digits.held_out, digits.classes), "there is none of mine"),
        (
            Dataset(
                "digits", Split(digits.train.images[:4], torch.zeros(4, dtype=torch.int64), ""), digits.held_out,
                digits.classes,
            ),
            "digits has no labels of two classes",
        ),
    ):  # fmt: skip
        reason = task.refuse("vae", data)
        assert reason is not None
        assert words in reason
    assert task.refuse("vae", digits) is None
    with pytest.raises(InputError, match="no codes of images and cannot be asked for a class"):
        task.parts(nn.Linear(1, 1))
    with pytest.raises(InputError, match="ask for --samples 899 or fewer"):
        task.n_samples("vae", digits, 900)

    class Broken(Pixels):
        def encode(self, images: Tensor) -> Tensor:
            return super().encode(images) / 0

    with pytest.raises(CellFailed, match="codes are not finite"):
        codes_of(Encoded(Broken()), digits, 4, 1, 0, Runtime())
