"""The inpainting task: holes in test images, and what fills them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from pieces import outputs_of
from PIL import Image
from ranks import on_ranks
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn

from benchbench.cli import main
from benchbench.core.errors import CellFailed, InputError
from benchbench.core.progress import SILENT
from benchbench.core.protocols import ImageSpec
from benchbench.core.registry import MODELS
from benchbench.core.runtime import Runtime
from benchbench.data.degrade.holes import BINS, HOLE, Holed
from benchbench.data.photos import Photos
from benchbench.models import MODELS as OURS
from benchbench.models.restoration.filling import NearestFill
from benchbench.models.restoration.partial_conv import PartialConv
from benchbench.results.load import load_results
from benchbench.results.provenance import read_run_json
from benchbench.runner.evaluate import evaluate_images
from benchbench.runner.plan import Desk, make_plans
from benchbench.runner.run import run_cells
from benchbench.runner.spec import CellSpec, EvaluationSpec
from benchbench.tasks.choose import make_task, tasks_of
from benchbench.tasks.restoration.inpaint import Filling, Inpaint
from benchbench.tasks.restoration.restoration import restoring

pytestmark = pytest.mark.usefixtures("small_speeds")


def photos(folder: Path, sizes: list[tuple[int, int]], mode: str = "RGB") -> Path:
    """PNG files of noise on a ramp, of these (height, width), called a.png, b.png, …"""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    for i, (height, width) in enumerate(sizes):
        ramp = np.add.outer(np.arange(height), np.arange(width)) % 200
        bands = [
            Image.fromarray((ramp + generator.integers(0, 50, ramp.shape)).astype(np.uint8))
            for _ in Image.new(mode, (1, 1)).getbands()
        ]
        Image.merge(mode, bands).save(folder / f"{chr(97 + i)}.png")
    return folder


def loaded(folder: Path, **options: str) -> tuple[Inpaint, Photos]:
    task = make_task("inpaint", options)
    assert isinstance(task, Inpaint)
    return task, restoring(task.load(str(folder), None, SILENT)).test


@pytest.mark.costly
def test_rows_of_every_bin_and_of_all(tmp_path: Path) -> None:
    """`nearest-fill` on three images of three sizes. Its PSNR and MAE in the hole, and those of whole images, are
    NumPy's of a filling made here by scipy; over all bins, the mean of the six, of as many images as there are. The
    outputs lie in the record, each with its bin in its name."""
    folder = photos(tmp_path / "own", [(40, 56), (33, 47), (64, 64)])
    ((path, _),) = run_cells(
        "nearest-fill", str(folder), task_options={"holes": "boxes"}, out=tmp_path / "runs", device="cpu"
    )
    rows = load_results(path)
    numbers = {(row.task, row.metric): row for row in rows.itertuples()}
    task, test = loaded(folder, holes="boxes")
    found: dict[tuple[str, str], list[float]] = {}
    outputs = outputs_of(path)
    model = NearestFill(NearestFill.Config(), ImageSpec(33, 47, False, 0, task.degradation()))
    for holed in task.degradation().each():
        filling = Filling(model, test, holed, Runtime())
        for row in range(3):
            original = test.image(row)[0].permute(1, 2, 0).double().numpy()
            hole = filling.hole(row)[0, 0].numpy()
            made = original[tuple(distance_transform_edt(hole, return_distances=False, return_indices=True))]
            assert np.array_equal(outputs[f"{'abc'[row]}-{holed.name}.png"], made)
            for name, error in (("", made - original), ("_hole", (made - original)[hole])):
                psnr = 10 * np.log10(255**2 / (error**2).mean())
                found.setdefault((f"inpaint:{holed.name}", f"psnr{name}"), []).append(psnr)
                found.setdefault(("inpaint:boxes", f"psnr{name}"), []).append(psnr)
            mae = float(abs((made - original)[hole]).mean() / 255)
            found.setdefault((f"inpaint:{holed.name}", "mae_hole"), []).append(mae)
    assert len(outputs) == 18
    for key, values in found.items():
        assert numbers[key].value == pytest.approx(np.mean(values), rel=1e-9)
        assert numbers[key].n_images == 3
    assert {row.task for row in rows.itertuples()} == {
        "inpaint:boxes",
        *(f"inpaint:boxes-{own}" for own in BINS),
    }
    # Of three images and not of eighteen: the interval is that of their three means.
    means = np.reshape(found["inpaint:boxes", "psnr_hole"], (6, 3)).mean(0)
    half = 4.302653 * means.std(ddof=1) / 3**0.5  # t of two degrees of freedom, 97.5%
    assert numbers["inpaint:boxes", "psnr_hole"].high == pytest.approx(means.mean() + half, rel=1e-6)
    run = read_run_json(path / "run.json")
    assert run["degradation"]["ratios"] == list(BINS)


@pytest.mark.costly
def test_one_bin(tmp_path: Path) -> None:
    """With a ratio there are the rows of that bin alone, equal to those among all six, and outputs under the images'
    own names, as `benchbench evaluate` pairs them."""
    folder = photos(tmp_path / "own", [(40, 56), (33, 47)])
    kwargs = {"out": tmp_path / "runs", "device": "cpu", "metrics": ["psnr_hole", "ssim_hole", "psnr"]}
    asked = {"holes": "text", "ratio": "40-50"}
    ((one, _),) = run_cells("nearest-fill", str(folder), task_options=asked, **kwargs)  # type: ignore[arg-type]
    ((all_bins, _),) = run_cells("nearest-fill", str(folder), task_options={"holes": "text"}, **kwargs)  # type: ignore[arg-type]
    own, among = load_results(one), load_results(all_bins)
    assert set(own.task) == {"inpaint:text-40-50"}
    for metric in ("psnr_hole", "ssim_hole", "psnr"):
        (value,) = own[own.metric == metric].value
        (other,) = among[(among.metric == metric) & (among.task == "inpaint:text-40-50")].value
        assert value == other
    assert list(outputs_of(one)) == ["a.png", "b.png"]


@pytest.mark.costly
def test_ranks_get_equal_rows(tmp_path: Path) -> None:
    """Five images over three ranks: the values of one process, exactly."""
    folder = photos(tmp_path / "own", [(40, 30 + i) for i in range(5)])
    options = {"holes": "strokes"}
    spec = CellSpec.of(
        model="nearest-fill",
        dataset=str(folder),
        task_options=options,
        metrics=["psnr_hole", "ssim_hole", "mse"],
    )
    plan = make_plans(spec, [0], Desk(Runtime()))[0]

    def values(runtime: Runtime) -> list[tuple[str, float]]:
        numbers = plan.task.run(plan.build(), plan.dataset, plan.request, runtime).numbers
        return [(own.task, own.found.estimate.value) for own in numbers if own.n_images == 5]  # type: ignore[union-attr]

    alone = values(Runtime())
    assert len(alone) == 21
    assert on_ranks(3, lambda comm: values(Runtime(comm=comm))) == [alone] * 3


def test_holes_belong_to_pixels(tmp_path: Path) -> None:
    """An image has the same hole under another name and beside other images; equal pixels have equal holes, others do
    not."""
    first = photos(tmp_path / "one", [(40, 56), (40, 56)])
    other = tmp_path / "two"
    other.mkdir()
    (other / "zz.png").write_bytes((first / "a.png").read_bytes())
    holes = []
    for folder in (first, other):
        task, test = loaded(folder, ratio="30-40")
        filling = Filling(nn.Identity(), test, task.degradation(), Runtime())
        holes.append([filling.hole(row) for row in range(len(test))])
    assert torch.equal(holes[0][0], holes[1][0])
    assert not torch.equal(holes[0][0], holes[0][1])


class Careless(nn.Module):
    """Makes something of the images whose holes it is asked to fill, and writes into what it is given."""

    def __init__(self, make: object = None) -> None:
        super().__init__()
        self.make = make

    def inpaint(self, images: Tensor, holes: Tensor) -> Tensor:
        given = images.clone()
        images.zero_()
        holes.fill_(True)
        return self.make(given) if callable(self.make) else given + 1


def test_known_pixels_are_put_back(tmp_path: Path) -> None:
    """A model that changes every pixel, and what it was given in place: outside the hole the output is the original;
    in it the level of a hole and one, for that is what it made of it."""
    task, test = loaded(photos(tmp_path, [(40, 56)]), holes="centre")
    filling = Filling(Careless(), test, task.degradation(), Runtime())
    made, original = filling.restored(0), test.image(0)
    hole = filling.hole(0)
    assert torch.equal(hole, Holed("centre").hole(40, 56, 0))
    assert torch.equal(made, torch.where(hole, torch.tensor(HOLE + 1, dtype=torch.uint8), original))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda given: given[..., 1:], "of a.png the model made 1×3×40×55, where 1×3×40×56"),
        (lambda given: given.float(), "of a.png the model made float32, where uint8"),
        (lambda given: None, "of a.png the model made NoneType"),
    ],
)
def test_outputs_that_are_no_images(tmp_path: Path, make: object, words: str) -> None:
    """Another size, another type and nothing at all: the cell fails with the image's name and what was made."""
    task, test = loaded(photos(tmp_path, [(40, 56)]), ratio="1-10")
    with pytest.raises(CellFailed, match=words):
        Filling(Careless(make), test, task.degradation(), Runtime()).restored(0)


@pytest.mark.costly
def test_what_has_no_error_has_no_psnr(tmp_path: Path) -> None:
    """Flat images are filled without an error: PSNR is infinite, so there is a reason with a way out in its place, and
    `mae_hole` is 0."""
    tmp_path.joinpath("own").mkdir()
    Image.new("RGB", (40, 30), (9, 9, 9)).save(tmp_path / "own" / "flat.png")
    ((path, _),) = run_cells(
        "nearest-fill",
        str(tmp_path / "own"),
        task_options={"holes": "centre"},
        metrics=["psnr_hole", "mae_hole", "fd"],
        out=tmp_path / "runs",
        device="cpu",
    )
    rows = load_results(path).set_index("metric")
    assert "report mae_hole instead" in rows.loc["psnr_hole"].reason
    assert rows.loc["mae_hole"].value == 0
    assert rows.loc["mae_hole"].task == "inpaint:centre"
    assert "image by image" in rows.loc["fd_efficientnet_lite0"].reason


def test_who_is_asked() -> None:
    """Models with `inpaint`, and no restorers; whoever fills holes is asked for nothing else."""
    task = make_task("inpaint", {})
    able = {name for name in OURS.keys() & {*MODELS.names()} if task.takes(MODELS.get(name))}
    assert able == {"nearest-fill", "biharmonic", "context-encoder", "partial-conv"}
    for name in able:
        assert [own.name for own in tasks_of(name)] == ["inpaint"]


def test_one_training_serves_all_holes(tmp_path: Path) -> None:
    """Inpainters learn all kinds and bins at once, so weights depend on what is learned from alone: the same for text
    and for the centre, not so for other images."""
    here, there = photos(tmp_path / "one", [(64, 64)]), photos(tmp_path / "two", [(65, 64)])
    found = []
    for holes, learned in (("text", here), ("centre", here), ("text", there)):
        task = make_task("inpaint", {"holes": holes, "train": str(learned)})
        data = task.load(str(here), None, SILENT)
        model = PartialConv(PartialConv.Config(width=1), data.spec)
        found.append(task.trains_on(model, data))
        assert task.training_data(model, data).images.height == 64  # type: ignore[union-attr]
    assert found[0] == found[1]
    assert found[0] != found[2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"holes": "round"}, "holes='round'"),
        ({"ratio": "5-15"}, "ratio='5-15'"),
        ({"holes": "centre", "ratio": "1-10"}, "leave the ratio out"),
        ({"scale": 2}, "'scale'"),
    ],
)
def test_options_that_are_none(options: dict[str, object], words: str) -> None:
    """Kinds, bins and settings that there are not: one sentence that names them."""
    with pytest.raises(InputError, match=words):
        make_task("inpaint", options)


@pytest.mark.parametrize(
    ("size", "options", "words"),
    [
        ((1, 1), [], "a.png has a single pixel"),
        ((2, 3), [], "a.png is 3×2: no number of its 6 pixels is 1-10 percent of them; leave it out"),
        ((1, 1), ["--holes", "centre"], "a.png has a single pixel"),
    ],
)
def test_small_images_are_refused(
    tmp_path: Path,
    size: tuple[int, int],
    options: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before anything is computed, in a sentence and with exit code 2."""
    folder = photos(tmp_path / "own", [size])
    arguments = ["run", "--model", "nearest-fill", "--dataset", str(folder), "--out", str(tmp_path / "runs")]
    monkeypatch.setattr("sys.argv", ["benchbench", *arguments, *options])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert words in " ".join(capsys.readouterr().err.split())


@pytest.mark.costly
@pytest.mark.parametrize("mode", ["L", "LA", "RGBA"])
def test_grey_and_alpha(tmp_path: Path, mode: str) -> None:
    """Grey files, and such with transparency, which is put over white as everywhere: a number, and the output is grey
    where the image was."""
    folder = photos(tmp_path / "own", [(20, 30)], mode)
    ((path, _),) = run_cells(
        "nearest-fill",
        str(folder),
        task_options={"ratio": "10-20"},
        metrics=["psnr_hole"],
        out=tmp_path / "runs",
        device="cpu",
    )
    rows = load_results(path).set_index("metric")
    assert rows.loc["psnr_hole"].value > 5
    pixels = outputs_of(path)["a.png"]
    assert pixels.shape == (20, 30, 3)
    assert (pixels[..., 0] == pixels[..., 1]).all() == (mode != "RGBA")


@pytest.mark.costly
def test_outputs_of_others(tmp_path: Path) -> None:
    """`evaluate` of what `run` left behind, in the same bin: the same numbers in the holes and over all. A changed
    pixel that was known is put back, so nothing but a note says so."""
    folder = photos(tmp_path / "own", [(40, 56), (33, 47)])
    asked = {"holes": "text", "ratio": "40-50"}
    metrics = ["psnr_hole", "ssim_hole", "mae_hole", "psnr"]
    ((path, _),) = run_cells(
        "nearest-fill", str(folder), task_options=asked, metrics=metrics, out=tmp_path / "runs", device="cpu"
    )
    rows = load_results(path).set_index("metric")
    with zipfile.ZipFile(path / "outputs.zip") as kept:
        kept.extractall(tmp_path / "made")
    pixels = np.asarray(Image.open(tmp_path / "made" / "a.png")).copy()
    _, test = loaded(folder, **asked)
    task = make_task("inpaint", asked)
    assert isinstance(task, Inpaint)
    down, across = (~task.hole(test.image(0))[0, 0]).nonzero()[0].tolist()
    pixels[down, across] ^= 255
    Image.fromarray(pixels).save(tmp_path / "made" / "a.png")
    spec = EvaluationSpec.of(
        images=str(tmp_path / "made"),
        reference=str(folder),
        task="inpaint",
        task_options=asked,
        metrics=metrics,
    )
    found = evaluate_images(spec, None, Runtime())
    values = found.rows.set_index("metric")
    assert set(values.task) == {"inpaint:text-40-50"}
    for metric in metrics:
        assert values.loc[metric].value == rows.loc[metric].value
    (note,) = (note for note in found.notes if "where pixels were known" in note)
    assert note.startswith("1 of 2 outputs differ from their references")
    several = EvaluationSpec.of(
        images=str(tmp_path / "made"), reference=str(folder), task="inpaint", task_options={"holes": "text"}
    )
    with pytest.raises(InputError, match=r"takes pixels of each image in 6 ways.*ratio=20-30"):
        evaluate_images(several, None, Runtime())
