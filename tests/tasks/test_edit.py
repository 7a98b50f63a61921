"""The edit task on editors whose every answer is known, and on the three kernels."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from pieces import photos_of
from ranks import on_ranks
from torch import Tensor, nn

from benchbench.cli import cli
from benchbench.core.errors import CellFailed, InputError
from benchbench.core.progress import SILENT
from benchbench.core.protocols import Editor, ImageSpec
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng
from benchbench.data.edits.edit import EDITS, EXACT, GEOMETRIC
from benchbench.data.photos import Photos, photos_of_images
from benchbench.metrics.select import score, select_metrics
from benchbench.models.editing import resampling
from benchbench.results.load import load_results
from benchbench.results.provenance import read_run_json
from benchbench.tasks.base import Request
from benchbench.tasks.choose import make_task
from benchbench.tasks.edit import MARGIN, Desk, EditData, EditTask, finer

METRICS = ("psnr", "ssim", "mae", "mse")


class Idle(nn.Module):
    """Hands back what it is given."""

    edits = EXACT

    def edit(self, images: Tensor, edit: str, strength: float, rng: ImageRng) -> Tensor:
        return images

    def undo(self, images: Tensor, edit: str, strength: float, rng: ImageRng) -> Tensor:
        return images


class Growing(Idle):
    def edit(self, images: Tensor, edit: str, strength: float, rng: ImageRng) -> Tensor:
        return images.repeat_interleave(2, 3)


def photos(*sizes: tuple[int, int]) -> Photos:
    """Smooth colour images of these sizes, seeded."""
    images = []
    for i, size in enumerate(sizes):
        coarse = torch.rand(
            1, 3, size[0] // 6 + 1, size[1] // 6 + 1, generator=torch.Generator().manual_seed(i)
        )
        fine = nn.functional.interpolate(coarse, size, mode="bicubic").mul(200).add(20).clamp(0, 255)
        images.append(fine.to(torch.uint8))
    return photos_of(images)


def scored(
    model: nn.Module, data: EditData, runtime: Runtime | None = None, **options: Any
) -> dict[str, Any]:
    """(edit with its strength, metric) to what became of it; without the clock."""
    task = make_task("edit", options)
    assert isinstance(task, EditTask)
    request = Request(select_metrics(METRICS, []), [], {}, {}, len(data.test), 0)
    desk = Desk(model, data.test, 0, runtime or Runtime())
    return {
        (f"edit:{edit}{strength:g}{kind}", found.metric.name): found
        for edit, strength in task.asked.items()
        for kind, evidence in desk.scored(edit, strength, request).items()
        for found in score(request.metrics, evidence)
    }


def value(found: dict[str, Any], task: str, metric: str) -> float:
    return float(found[task, metric].estimate.value)


def test_who_does_nothing_is_found_out_by_the_exact_answer() -> None:
    """Translation by a whole pixel of a coarse image, which is four of the fine one: the exact answer is a shift of
    columns, so the mean absolute error of doing nothing is that of two neighbouring columns, within the margin. The way
    back is perfect: a round trip alone proves nothing."""
    data = EditData("d", photos((128, 160)))
    found = scored(Idle(), data, edit="translate", strength=1)
    assert {task for task, _ in found} == {"edit:translate1", "edit:translate1-back"}
    fine = data.test.image(0).double().numpy()
    given = fine.reshape(1, 3, 32, 4, 40, 4).mean((3, 5)).round()
    by_hand = np.abs(given[..., 1 + MARGIN :] - given[..., MARGIN:-1]).mean() / 255
    assert value(found, "edit:translate1", "mae") == pytest.approx(by_hand, rel=1e-9)
    assert value(found, "edit:translate1-back", "mae") == 0
    assert "infinite" in found["edit:translate1-back", "psnr"].reason


def test_formulas_are_exact_answers() -> None:
    """64 levels of brightness where nothing reaches white: doing nothing is off by 64 everywhere, and PSNR is that of
    it. There is no way back from it, so none is scored."""
    data = EditData("d", photos((64, 64)))
    dark = EditData("d", photos_of_images(data.test.image(0) // 2, [b"0" * 32], [], {}))
    found = scored(Idle(), dark, edit="brightness", strength=64)
    assert {task for task, _ in found} == {"edit:brightness64"}
    assert value(found, "edit:brightness64", "mae") == pytest.approx(64 / 255)
    assert value(found, "edit:brightness64", "psnr") == pytest.approx(20 * math.log10(255 / 64))


@pytest.mark.costly
@pytest.mark.parametrize("kernel", ["Nearest", "Bilinear", "Bicubic"])
def test_permutations_are_exact(kernel: str) -> None:
    """Quarter turns of a square, a flip and whole pixels need no interpolation: every kernel is right to the last
    level, with an odd number of coarse pixels as well."""
    model = getattr(resampling, kernel)(resampling.Nearest.Config(), ImageSpec(32, 32, False, 0))
    assert isinstance(model, Editor)
    data = EditData("d", photos((66, 66)))
    for edit, strength in (("rotate", 90), ("rotate", -180), ("flip", 1), ("flip", 0.5), ("translate", 3)):
        found = scored(model, data, edit=edit, strength=strength)
        for kind in ("", "-back"):
            assert value(found, f"edit:{edit}{strength}{kind}", "mae") == 0


@pytest.mark.costly
def test_better_kernels_come_nearer_to_the_exact_answer() -> None:
    """On smooth images, by the order of what kernels reproduce: constants, lines, cubics. The way back says the
    opposite of the nearest pixel: enlarged by a crop and made small again, every pixel is what it was."""
    data = EditData("d", photos((64, 80), (140, 130)))
    kernels = [resampling.Nearest, resampling.Bilinear, resampling.Bicubic]
    found = [scored(kernel(kernel.Config(), data.spec), data) for kernel in kernels]
    for edit in ("crop0.1", "rotate15", "translate2.5", "perspective0.05"):
        errors = [value(own, f"edit:{edit}", "mse") for own in found]
        assert errors[0] > errors[1] > errors[2], edit
    assert value(found[0], "edit:crop0.1-back", "mae") == 0
    assert value(found[2], "edit:crop0.1-back", "mae") > 0


@pytest.mark.costly
def test_default_edits_and_what_rows_say() -> None:
    """Every geometric edit at the middle strength of the ladder, each with its way back, of images of two sizes; the
    section of each in the picture, and the parts that the key has."""
    task, data = EditTask(), EditData("d", photos((64, 80), (140, 130)))
    names = [f"edit:{edit}{EDITS[edit].middle:g}" for edit in GEOMETRIC]
    assert task.parts(nn.Module()) == names
    found = scored(Idle(), data)
    assert {task for task, _ in found} == {*names, *(f"{name}-back" for name in names)}
    assert [finer(64, 80), finer(140, 130)] == [2, 4]
    assert (data.spec.height, data.spec.width) == (32, 32)
    result = task.run(Idle(), data, Request([], [], {}, {}, 2, 0), Runtime())
    (picture,) = result.pictures
    assert len(picture.sections) == len(names)
    assert all(
        images.shape == (2, 3, 32, 32) for section in picture.sections for _, images in section.columns
    )


@pytest.mark.costly
def test_ranks_get_equal_rows() -> None:
    """Three images over three ranks: the values of one process, exactly."""
    data = EditData("d", photos((64, 80), (70, 64), (140, 130)))
    model = resampling.Bilinear(resampling.Bilinear.Config(), data.spec)

    def values(runtime: Runtime) -> dict[Any, float]:
        found = scored(model, data, runtime, edit="rotate")
        return {key: own.estimate.value for key, own in found.items() if own.estimate is not None}

    alone = values(Runtime())
    assert len(alone) == 8
    assert on_ranks(3, lambda comm: values(Runtime(comm=comm))) == [alone] * 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"strength": 2}, "a strength of 2 is meant for one edit; name it with --task-option edit=NAME"),
        ({"edit": "rotate", "strength": 900}, "rotate cannot have the strength 900"),
        ({"edit": "noise"}, "noise has no one right answer to hold an editor against"),
        ({"edit": "object"}, "object has no one right answer"),
        ({"edit": "rotte"}, "did you mean 'rotate'"),
        ({"edit": "rotate", "strength": "x"}, "strength='x': input should be a valid number"),
        ({"angle": 3}, "angle"),
    ],
)
def test_what_cannot_be_asked(options: dict[str, Any], words: str) -> None:
    """One sentence each, before any image is read."""
    with pytest.raises(InputError, match=words):
        make_task("edit", options)


def test_what_is_refused() -> None:
    """An edit that a model lacks, one pixel, nothing left to score, more images than there are; an editor that changes
    the size; training."""
    fine = EditData("d", photos((64, 64)))
    reason = make_task("edit", {"edit": "colour"}).refuse("edit-nearest", fine)
    assert reason is not None
    assert "cannot be asked for colour; it can for crop, rotate" in reason
    reason = EditTask().refuse("edit-nearest", EditData("d", photos((64, 64), (1, 1))))
    assert reason is not None
    assert "1.png is 1×1" in reason
    reason = make_task("edit", {"edit": "translate", "strength": 40}).refuse("edit-nearest", fine)
    assert reason is not None
    assert "translate by 40 leaves nothing of 0.png, which an editor is given at 32×32" in reason
    assert EditTask().refuse("edit-nearest", fine) is None
    with pytest.raises(InputError, match="d has 1 images to edit; ask for --samples 1 or fewer"):
        EditTask().n_samples("edit-nearest", fine, 2)
    with pytest.raises(CellFailed, match="an image of 32×32 came edited as 64×32"):
        scored(Growing(), fine, edit="rotate")
    with pytest.raises(InputError, match="edit trains no editor"):
        EditTask().training_data(Idle(), fine)


@pytest.mark.slow
def test_the_table_of_the_page() -> None:
    """docs/editing.md: each kernel on the two photographs, to the exact answer and of the way back, to the tenth of
    dB."""
    text = (Path(__file__).parents[2] / "docs" / "editing.md").read_text(encoding="utf-8")
    data = EditTask().load("photographs", None, SILENT)
    assert isinstance(data, EditData)
    for kernel in (resampling.Nearest, resampling.Bilinear, resampling.Bicubic):
        found = scored(kernel(kernel.Config(), data.spec), data)
        cells = []
        for edit in ("crop0.1", "rotate15", "scale0.9", "translate2.5", "perspective0.05"):
            own = [found[f"edit:{edit}{kind}", "psnr"].estimate for kind in ("", "-back")]
            cells.append(" / ".join("∞" if each is None else f"{each.value:.1f}" for each in own))
        assert f"| `edit-{kernel.kernel}` | {' | '.join(cells)} |" in text


@pytest.mark.costly
def test_from_the_command(tmp_path: Path) -> None:
    """The photographs of scikit-image, with no download: rows of both tasks, the headline among them, the strength in
    the record, and the picture."""
    command = [
        "run", "--model", "edit-bilinear", "--dataset", "photographs", "--size", "64", "--out", str(tmp_path),
        "--task-option", "edit=rotate", "--task-option", "strength=15",
    ]  # fmt: skip
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0, done.output
    (folder,) = (tmp_path / "photographs" / "edit-bilinear").iterdir()
    rows = load_results(folder)
    own = rows[rows.metric == "psnr"].set_index("task")
    assert set(own.index) == {"edit:rotate15", "edit:rotate15-back"}
    assert own.headline.all()
    assert own.n_images.eq(2).all()
    assert read_run_json(folder / "run.json")["edits"] == {"rotate": {"strength": 15, "unit": "degrees"}}
    assert (folder / "edited.png").exists()
