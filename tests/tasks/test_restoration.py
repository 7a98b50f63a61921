"""Tasks of restoration: protocols written out, models that return something else, and what may not change a number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from noted import Notes
from pieces import astronaut, write_images
from PIL import Image
from ranks import on_ranks
from torch import Tensor, nn

from benchbench.core.errors import CellFailed, InputError
from benchbench.core.progress import SILENT
from benchbench.core.runtime import Runtime
from benchbench.data.degrade.resize import imresize, mod_crop, to_uint8
from benchbench.metrics.pairs.paired import psnr, ssim
from benchbench.metrics.select import Outcome, select_metrics
from benchbench.models.build import build_model
from benchbench.tasks.base import Request, Task, TaskData
from benchbench.tasks.choose import Shelf, load_for, make_task, tasks_of
from benchbench.tasks.pictures import Columns, ImageFiles

pytestmark = pytest.mark.usefixtures("small_speeds")

SIZES = ((49, 36), (48, 62), (37, 41))
"""(H, W)"""


def write(folder: Path, sizes: Sequence[tuple[int, int]] = SIZES, level: int | None = None) -> str:
    """Pieces of scikit-image's astronaut as 0.png, 1.png, …; flat ones of a level. The source as one writes it."""
    pieces = [astronaut(*size, 20 + 90 * i, 150 + 40 * i) for i, size in enumerate(sizes)]
    if level is not None:
        pieces = [torch.full_like(piece, level) for piece in pieces]
    return f"folder:{write_images(folder, pieces)}"


def images(folder: str) -> list[Tensor]:
    """The files again, uint8 1×3×H×W, read by Pillow."""
    files = sorted(Path(folder.removeprefix("folder:")).iterdir())
    return [torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)[None] for file in files]


def asked(
    task: Task,
    data: TaskData,
    model: nn.Module,
    metrics: Sequence[str],
    runtime: Runtime | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Metric to value: what `run` finds of a model, without a record."""
    chosen = select_metrics(metrics, ["efficientnet_lite0"])
    n = task.n_samples("any", data, None)
    request = Request(chosen, [], {}, {}, n, seed)
    found = task.run(model, data, request, runtime or Runtime())
    outcomes = [number.found for number in found.numbers if isinstance(number.found, Outcome)]
    return {own.metric.name: own.estimate.value for own in outcomes if own.estimate is not None}


def opened(name: str, options: Mapping[str, Any], folder: str) -> tuple[Task, TaskData]:
    task = make_task(name, options)
    return task, task.load(folder, None, SILENT)


@pytest.mark.costly
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_bicubic_row_by_hand(tmp_path: Path, scale: int) -> None:
    """Originals cut to a multiple of the scale, made smaller in float64 and rounded, made larger and rounded; the means
    over images of PSNR and SSIM on the luma without a border of `scale`, and of PSNR on RGB without one of
    scale + 2."""
    folder = write(tmp_path / "hr")
    task, data = opened("super-resolution", {"scale": scale}, folder)
    border = {f"psnr_y_crop{scale}": (psnr, True, scale), f"ssim_y_crop{scale}": (ssim, True, scale)}
    ways = {**border, f"psnr_crop{scale + 2}": (psnr, False, scale + 2)}
    expected = dict.fromkeys(ways, 0.0)
    for image in images(folder):
        cut = mod_crop(image, scale)
        height, width = cut.shape[2:]
        small = to_uint8(imresize(cut.double(), height // scale, width // scale))
        large = to_uint8(imresize(small.double(), height, width))
        for name, (metric, luma, shaved) in ways.items():
            expected[name] += float(metric(large, cut, y_channel=luma, crop_border=shaved)) / len(SIZES)
    found = asked(task, data, build_model("bicubic", {}, data.spec), list(ways))
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.costly
def test_the_noise_of_sigma_25_is_20_17_db(tmp_path: Path) -> None:
    """Closed form: the error of unclipped noise is sigma² whatever the image is, so 10 log10(255²/25²) = 20.17 dB; of
    n values the mean square is off by sqrt(2/n) in the mean, and its decibels by 10/ln 10 of that, here three standard
    errors. On black and on white images too, where clipped noise loses half its power."""
    expected = 10 * math.log10(255**2 / 25**2)
    assert round(expected, 2) == 20.17
    sizes = [(60, 70)] * 4
    n = 3 * 60 * 70 * 4
    for folder, values in (
        (write(tmp_path / "colour", sizes), n),
        (write(tmp_path / "black", [(200, 210)], 0), 200 * 210),
        (write(tmp_path / "white", [(200, 210)], 255), 200 * 210),
    ):
        task, data = opened("denoise", {"sigma": 25}, folder)
        model = build_model("degraded", {}, data.spec)
        found = asked(task, data, model, ["psnr"])["psnr"]
        assert abs(found - expected) < 3 * 10 / math.log(10) * math.sqrt(2 / values)
    task, data = opened("denoise", {"sigma": 25, "clipped": True}, folder)
    clipped = asked(task, data, model, ["psnr"])["psnr"]
    assert clipped == pytest.approx(expected + 10 * math.log10(2), abs=0.2)
    assert task.row == "denoise:sigma25-clipped"


class Answer(nn.Module):
    """Makes of what it is given what a function says."""

    def __init__(self, answer: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.answer = answer

    def restore(self, degraded: Tensor) -> object:
        """Not what was asked for."""
        return self.answer(degraded)


def with_nan(levels: Tensor) -> Tensor:
    levels = levels.float().clone()
    levels[0, 0, 0, 0] = torch.nan
    return levels


WRONG: dict[str, tuple[str, Callable[[Tensor], object], str]] = {
    "the input's size": ("super-resolution", lambda x: x, r"made 1×3×24×18, where 1×3×48×36 was asked for"),
    "one channel": ("denoise", lambda x: x[:, :1], r"made 1×1×49×36, where 1×3×49×36"),
    "a row less": ("denoise", lambda x: x[:, :, 1:], r"made 1×3×48×36, where 1×3×49×36"),
    "two images": ("denoise", lambda x: torch.cat([x, x]), r"made 2×3×49×36, where 1×3×49×36"),
    "an array": ("denoise", lambda x: x.numpy(), r"made ndarray, where 1×3×49×36"),
    "nothing": ("denoise", lambda x: None, r"made NoneType, where 1×3×49×36"),
    "NaN": ("denoise", with_nan, "made pixels that are not finite numbers"),
    "infinity": ("denoise", lambda x: x / 0, "made pixels that are not finite numbers"),
    "8 bits of floats": ("denoise", to_uint8, "made uint8, where float32 was given"),
    "floats of 8 bits": ("deblock", lambda x: x.float(), "made float32, where uint8 was given"),
    "NaN of 8 bits": ("deblock", with_nan, "made float32, where uint8 was given"),
    "integers": ("denoise", lambda x: x.long(), "made int64, where float32 was given"),
    "complex numbers": ("denoise", lambda x: x + 0j, "made complex64, where float32 was given"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_model_that_returns_something_else_is_told_of_which_image(tmp_path: Path, wrong: str) -> None:
    """The cell fails with the image's name, what came and what was asked for, in one sentence: no number is made."""
    name, answer, sentence = WRONG[wrong]
    task, data = opened(name, {}, write(tmp_path / "hr"))
    with pytest.raises(CellFailed, match=rf"^of 0\.png the model {sentence}") as error:
        asked(task, data, Answer(answer), ["psnr"])
    assert "\n" not in str(error.value)


def test_other_floats_are_taken(tmp_path: Path) -> None:
    """float64 and bfloat16 for float32 are levels all the same: what float64 has beyond float32 is rounding."""
    task, data = opened("denoise", {}, write(tmp_path / "hr", SIZES[:1]))
    plain = asked(task, data, Answer(lambda x: x), ["psnr"])
    assert asked(task, data, Answer(lambda x: x.double()), ["psnr"]) == plain
    assert asked(task, data, Answer(lambda x: x.bfloat16()), ["psnr"])["psnr"] == pytest.approx(
        plain["psnr"], abs=0.1
    )


@pytest.mark.costly
@pytest.mark.parametrize("name", ["super-resolution", "denoise"])
def test_ranks_batches_and_seeds_change_no_number(tmp_path: Path, name: str) -> None:
    """Three images over two and over five ranks, two of which have none, another batch size and another seed of the
    run, on which no noise depends: the values of one process, exactly; no rank's sum has another order."""
    task, data = opened(name, {}, write(tmp_path / "hr"))
    model = build_model("bicubic" if name == "super-resolution" else "degraded", {}, data.spec)

    def values(runtime: Runtime, seed: int = 0) -> dict[str, float]:
        return asked(task, data, model, ["psnr", "psnr_y", "ssim", "mse"], runtime, seed)

    alone = values(Runtime())
    assert len(alone) == 4
    assert values(Runtime(batch_size=2)) == values(Runtime(), seed=7) == alone
    for size in (2, 5):
        assert on_ranks(size, lambda comm: values(Runtime(comm=comm))) == [alone] * size


def test_an_error_on_one_rank_ends_all(tmp_path: Path) -> None:
    """The second image is the other rank's: both are told of it."""
    task, data = opened("denoise", {}, write(tmp_path / "hr"))
    wrong = Answer(lambda x: x[..., 1:] if x.shape[2] == SIZES[2][0] else x)
    with pytest.raises(CellFailed, match=r"of 2\.png the model made"):
        on_ranks(3, lambda comm: asked(task, data, wrong, ["psnr"], Runtime(comm=comm)))


def test_what_is_kept_and_looked_at(tmp_path: Path) -> None:
    """The outputs under their images' names and at their own sizes; of each image a detail, given, restored, original
    and what differs, where white stands beside the smaller ones and no image is cut to the smallest."""
    folder = write(tmp_path / "hr", [(120, 130), (5, 7)])
    task, data = opened("denoise", {}, folder)
    request = Request(select_metrics(["psnr"], ["efficientnet_lite0"]), [], {}, {}, 2, 0)
    columns, files = task.run(build_model("degraded", {}, data.spec), data, request, Runtime()).pictures
    assert isinstance(files, ImageFiles)
    assert list(files.names) == ["0.png", "1.png"]
    assert [tuple(image.shape) for image in files.images] == [(1, 3, 120, 130), (1, 3, 5, 7)]
    assert all(image.dtype == torch.uint8 for image in files.images)
    assert isinstance(columns, Columns)
    (section,) = columns.sections
    assert [tuple(own.shape) for _, own in section.columns] == [(2, 3, 96, 96)] * 4
    small = next(i for i in range(2) if bool((section.columns[2][1][i, :, 5:] == 255).all()))
    given, restored, original, differs = (own[small, :, :5, :5] for _, own in section.columns)
    assert torch.equal(original, images(folder)[1][0, :, :5, :5])
    assert torch.equal(given, restored)
    exact = 4 * (restored.int() - original.int()).abs()
    assert torch.equal(differs.int(), exact.clamp(max=255))


# How a task is asked


BAD: dict[str, tuple[str, str | None, dict[str, Any], str]] = {
    "unknown": (
        "bicubic",
        "super-resolution",
        {"scales": 3},
        "unknown option of super-resolution 'scales'; did you mean 'scale'",
    ),
    "of another task": (
        "bicubic",
        "super-resolution",
        {"sigma": 3},
        "unknown option of super-resolution 'sigma'",
    ),
    "that no task of it has": (
        "bicubic",
        None,
        {"sigma": 3},
        "nothing that the model 'bicubic' can be asked for has the option sigma: super-resolution has",
    ),
    "of two tasks": ("dncnn", None, {"sigma": 3, "scale": 2}, "has the options sigma, scale: denoise has"),
    "without options": (
        "vae",
        "generation",
        {"scale": 3},
        "the task generation has no options; leave scale out",
    ),
    "not a scale": (
        "bicubic",
        None,
        {"scale": 5},
        "option of super-resolution scale=5: input should be 2, 3, 4 or 8",
    ),
    "not positive": (
        "dncnn",
        None,
        {"sigma": 0},
        "option of denoise sigma=0: input should be greater than 0",
    ),
    "too strong": (
        "dncnn",
        None,
        {"sigma": 256},
        "gaussian noise of strength 256 is not possible; give at most 255",
    ),
    "NaN": ("dncnn", None, {"sigma": math.nan}, "sigma=nan: input should be a finite number"),
    "no number": ("dncnn", None, {"sigma": "loud"}, "sigma='loud': input should be a valid number"),
    "two strengths": ("dncnn", None, {"sigma": 25, "strength": 3}, "give strength, and one of the two"),
    "another noise": (
        "dncnn",
        None,
        {"sigma": 25, "noise": "poisson"},
        "sigma is the strength of Gaussian noise",
    ),
    "no noise": ("dncnn", None, {"noise": "pink"}, "option of denoise noise='pink'"),
    "more than all": (
        "dncnn",
        None,
        {"noise": "saltpepper", "strength": 1.5},
        "saltpepper noise of strength 1.5 is not possible; give at most 1",
    ),
    "quality": (
        "dncnn",
        "deblock",
        {"quality": 101},
        "quality=101: input should be less than or equal to 100",
    ),
    "another model": ("srcnn", "denoise", {}, "the model 'srcnn' cannot be asked for denoise"),
}


@pytest.mark.parametrize("bad", BAD)
def test_options_that_cannot_be_are_one_sentence(bad: str) -> None:
    """The option, what it was, and what there is."""
    model, task, options, sentence = BAD[bad]
    with pytest.raises(InputError) as error:
        tasks_of(model, task, options)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("model", "options", "row"),
    [
        ("bicubic", {}, "super-resolution:x2"),
        ("bicubic", {"scale": 3}, "super-resolution:x3"),
        ("bicubic", {"scale": 2, "luma": True}, "super-resolution:x2-luma"),
        ("dncnn", {}, "denoise:sigma25"),
        ("dncnn", {"sigma": 15.0}, "denoise:sigma15"),
        ("dncnn", {"sigma": 0.5}, "denoise:sigma0.5"),
        ("dncnn", {"noise": "poisson"}, "denoise:poisson30"),
        ("dncnn", {"noise": "saltpepper", "strength": 0.2}, "denoise:saltpepper0.2"),
        ("dncnn", {"clipped": True}, "denoise:sigma25-clipped"),
        ("dncnn", {"quality": 40}, "deblock:q40"),
        ("dncnn", {"scale": 4}, "super-resolution:x4"),
        ("tv", {}, "denoise:sigma25"),
    ],
)
def test_options_say_which_task_is_meant(model: str, options: dict[str, Any], row: str) -> None:
    """Without a name it is the first that the model is made for and that has such options; rows say what is undone."""
    task = tasks_of(model, None, options)[0]
    assert task.row == row
    assert task.parts(nn.Identity()) == [row]


def test_too_small_to_be_made_smaller(tmp_path: Path) -> None:
    """An image of one row and scale 3: its name, its size and the way out."""
    folder = write(tmp_path / "hr", [(20, 20), (2, 30)])
    with pytest.raises(
        InputError, match=r"^1\.png is 30×2, too small to be made 3 times smaller; leave it out$"
    ):
        load_for("bicubic", folder, None, Shelf(), None, {"scale": 3})
    assert load_for("bicubic", folder, None, Shelf(), None, {"scale": 2})[1].spec.height == 2


@pytest.mark.costly
def test_which_images_are_tested_on(tmp_path: Path) -> None:
    """A folder of two parts is learned from and tested on; `:train` and `:test` name one; a folder without parts has
    none, and one of two domains is not one kind of images. A set of one size is tested on its held-out part."""
    for name, sizes in (("train", SIZES), ("test", SIZES[:2])):
        write(tmp_path / "two" / name, sizes)
    two = f"folder:{tmp_path / 'two'}"
    task = make_task("denoise", {})

    def load(text: str, **options: Any) -> Any:
        return make_task("denoise", options).load(text, None, SILENT)

    assert (len(load(two).test), len(load(two).learned)) == (2, 3)
    assert (len(load(f"{two}:train").test), len(load(f"{two}:test").test)) == (3, 2)
    assert len(load(f"{two}:test", train=f"{two}:train").learned) == 3
    with pytest.raises(InputError, match=r"has one part only, and .*:test names one of two"):
        load(f"{write(tmp_path / 'one')}:test")
    for name in ("trainA", "trainB", "testA", "testB"):
        write(tmp_path / "domains" / name)
    with pytest.raises(InputError, match="holds two domains of images, and one kind of images is restored"):
        load(f"folder:{tmp_path / 'domains'}")
    digits = task.load("digits", None, SILENT)
    assert (digits.name, len(digits.test)) == ("digits", 899)  # type: ignore[attr-defined]


def test_what_to_learn_from_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set that is for tests alone, and no train400: three ways out, in one sentence, and only when somebody wants
    to learn."""
    monkeypatch.delenv("BENCHBENCH_DATA", raising=False)
    task, data = opened("denoise", {}, write(tmp_path / "hr"))
    assert "train" not in data.describe()
    with pytest.raises(InputError) as error:
        task.training_data(build_model("dncnn", {"depth": 3, "width": 2}, data.spec), data)
    sentence = str(error.value)
    assert sentence.startswith("folder-hr has no part to be learned from, and train400 is not at hand")
    assert all(
        way in sentence
        for way in (
            "BENCHBENCH_DATA",
            "--task-option train=NAME",
            "train=photographs",
            "--pretrained or --weights",
        )
    )
    assert "\n" not in sentence
    assert ". " not in sentence.replace("et al. ", "")


def test_learning_from_test_images_is_written_down(tmp_path: Path) -> None:
    """Two of three test images are among those that are learned from: the command and the record say so, once it is
    known."""
    write(tmp_path / "learned", SIZES[:2])
    heard = Notes()
    task = make_task("denoise", {"train": f"folder:{tmp_path / 'learned'}"})
    data = task.load(write(tmp_path / "hr"), None, heard)
    assert data.describe()["notes"] == heard.said == []
    task.training_data(build_model("dncnn", {"depth": 3, "width": 2}, data.spec).eval(), data)
    assert (
        data.describe()["notes"] == heard.said == ["2 of 3 held-out images are, pixel by pixel, in training"]
    )


def test_more_than_there_are(tmp_path: Path) -> None:
    """`--samples 4` of three images."""
    task, data = opened("denoise", {}, write(tmp_path / "hr"))
    assert (task.n_samples("dncnn", data, None), task.n_samples("dncnn", data, 2)) == (3, 2)
    with pytest.raises(InputError, match="folder-hr has 3 images to restore; ask for --samples 3 or fewer"):
        task.n_samples("dncnn", data, 4)


@pytest.mark.costly
def test_filters_see_few_pieces() -> None:
    """A filter is tuned on 24 pieces; of what is watched, which it does not look at, no more are cut out."""
    task = make_task("denoise", {"train": "digits"})
    data = task.load("digits", None, SILENT)
    model = build_model("tv", {}, data.spec)
    model.patch = 8  # type: ignore[assignment]
    found = task.training_data(model, data)
    assert (len(found.images), len(found.held_out)) == (24, 24)
