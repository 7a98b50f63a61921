"""Cells of restoration: what is trained once serves other test images, how a task is asked, and what the views make of
the records."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from noted import Notes
from pieces import astronaut, outputs_of, write_images
from PIL import Image
from skimage import data

import benchbench
from benchbench.cli import cli
from benchbench.core.baselines import published_weights
from benchbench.core.errors import InputError, NothingComparable
from benchbench.core.runtime import Runtime
from benchbench.models.restoration.classical import GaussianFilter
from benchbench.results.claims.conditions import check_comparable
from benchbench.results.load import load_results
from benchbench.results.provenance import read_run_json
from benchbench.results.store import Store
from benchbench.runner.plan import Desk, make_plans
from benchbench.runner.resolve import resolve
from benchbench.runner.run import run_cells
from benchbench.runner.spec import CellSpec
from benchbench.runner.suite import load_suite, plan_suite

pytestmark = [pytest.mark.costly, pytest.mark.usefixtures("small_speeds")]

BLIND = {"depth": 3, "width": 2, "steps": 2, "batch_size": 3}


def write(folder: Path, *sizes: tuple[int, int], top: int = 0) -> str:
    """Pieces of scikit-image's astronaut, H×W each; the source as one writes it."""
    pieces = [astronaut(*size, top + 60 * i, 150 + 40 * i) for i, size in enumerate(sizes)]
    return f"folder:{write_images(folder, pieces)}"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str, str]:
    """Two sets of test images, and images to learn from."""
    return (
        write(tmp_path / "one", (24, 31), (30, 26)),
        write(tmp_path / "other", (25, 25), top=200),
        write(tmp_path / "learned", *[(60, 60)] * 3, top=100),
    )


def cell(model: str, dataset: str, out: Path, **options: Any) -> tuple[Path, list[str]]:
    """The record, and what was said meanwhile."""
    notes = Notes()
    options = {"metrics": ["psnr"], "device": "cpu", **options}
    ((path, _),) = run_cells(model, dataset, out=out, progress=notes, **options)
    return path, notes.said


def test_weights_serve_other_images_and_other_noise(tmp_path: Path, folders: tuple[str, str, str]) -> None:
    """A blind denoiser learns the same whatever it is tested on and whatever noise: it is trained once, with one
    training key, and every cell is a record of its own; of another seed it is another training."""
    one, other, learned = folders
    asked = [
        (one, {"sigma": 25}),
        (other, {"sigma": 25}),
        (one, {"sigma": 15}),
        (one, {"noise": "poisson"}),
    ]
    found = [
        cell(
            "dncnn-b", dataset, tmp_path / "out", overrides=BLIND, task_options={"train": learned, **options}
        )
        for dataset, options in asked
    ]
    runs = [read_run_json(path / "run.json") for path, _ in found]
    assert len({path for path, _ in found}) == 4
    assert len({run["training_key"] for run in runs}) == 1
    again = [any("the weights are there already" in note for note in said) for _, said in found]
    assert again == [False, True, True, True]
    weights = {(path / "weights.safetensors").read_bytes() for path, _ in found}
    assert len(weights) == 1
    _, said = cell(
        "dncnn-b", one, tmp_path / "out", overrides=BLIND, task_options={"train": learned}, seeds=[1]
    )
    assert not any("already" in note for note in said)


def test_another_scale_or_noise_is_another_training(tmp_path: Path, folders: tuple[str, str, str]) -> None:
    """What a network is told to undo, and the images it learns from, are what its weights depend on; its test images
    and whether only the luma is compared are not."""
    one, other, learned = folders
    desk = Desk(Runtime())

    def key(model: str, dataset: str, **options: Any) -> str:
        spec = CellSpec.of(
            model=model, dataset=dataset, metrics=["psnr"], task_options={"train": learned, **options}
        )
        return make_plans(spec, [0], desk)[0].training_key

    plain = key("espcn", one, scale=2)
    assert key("espcn", other, scale=2) == plain
    assert key("espcn", one, scale=2, luma=True) == plain
    assert key("espcn", one, scale=3) != plain
    assert key("espcn", one, scale=2, train=other) != plain
    assert key("dncnn", one, sigma=25) != key("dncnn", one, sigma=15)
    assert key("dncnn", one, sigma=25) != key("dncnn", one, sigma=25, clipped=True)
    assert key("dncnn-3", one, sigma=25) == key("dncnn-3", other, scale=3) == key("dncnn-3", one, quality=10)


def test_a_filter_is_tuned_on_what_is_learned_from(
    tmp_path: Path, folders: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other test images, the same strength, from the same means: none of them was looked at. With a strength that is
    set nothing is learned from, and nothing needs to be at hand."""
    one, other, learned = folders
    monkeypatch.delenv("BENCHBENCH_DATA", raising=False)
    monkeypatch.setattr(GaussianFilter, "patch", 40)
    chosen = []
    for dataset in (one, other):
        path, _ = cell("gaussian-filter", dataset, tmp_path / "out", task_options={"train": learned})
        run = read_run_json(path / "run.json")
        chosen.append(run["chosen"])
        assert run["degradation"]["strength"] == 25
    assert chosen[0] == chosen[1]
    assert len(chosen[0]["chosen_among"]) == len(GaussianFilter.candidates)
    path, _ = cell("gaussian-filter", one, tmp_path / "out", overrides={"strength": 0.8})
    assert read_run_json(path / "run.json")["chosen"] == {"strength": 0.8}
    with pytest.raises(InputError, match="train400 is not at hand"):
        cell("gaussian-filter", one, tmp_path / "out")


def test_the_headline_is_that_of_the_papers(tmp_path: Path, folders: tuple[str, str, str]) -> None:
    """Rows are of super-resolution:x3, and the number that ranks is psnr_y_crop3, also where psnr_y and psnr are asked
    for before it; a batch and a device that are said change nothing, for the record answers."""
    one, _, _ = folders
    asked: dict[str, Any] = {
        "metrics": ["psnr", "psnr_y", "psnr_y_crop3", "ssim_y_crop3"],
        "task_options": {"scale": 3},
    }
    path, _ = cell("bicubic", one, tmp_path, **asked)
    rows = load_results(path)
    assert set(rows["task"]) == {"super-resolution:x3"}
    assert list(rows.loc[rows["headline"], "metric"]) == ["psnr_y_crop3"]
    assert set(rows.loc[rows["metric"] == "psnr", "n_images"]) == {2}
    (again,) = run_cells("bicubic", one, out=tmp_path, device="cpu", batch_size=1, **asked)
    assert again == (path, True)


def test_how_options_are_typed(tmp_path: Path, folders: tuple[str, str, str]) -> None:
    """`--scale 3`, `--task-option scale=3`, a mapping and a list of texts in Python are one question with one answer;
    said in two ways at once, or not as KEY=VALUE, it is refused."""
    one, _, _ = folders
    out = tmp_path / "out"
    plain = [
        "run",
        "--model",
        "bicubic",
        "--dataset",
        one,
        "--metrics",
        "psnr",
        "--device",
        "cpu",
        "--out",
        str(out),
    ]

    def typed(*words: str) -> Any:
        return CliRunner().invoke(cli, [*plain, *words])

    assert typed("--scale", "3").exit_code == 0
    done = typed("--task-option", "scale=3")
    assert "already done" in done.output
    for options in ({"scale": 3}, ["scale=3"], {"scale": 3.0}):
        rows = benchbench.run("bicubic", one, metrics=["psnr"], task_options=options, out=out, device="cpu")
        assert set(rows["task"]) == {"super-resolution:x3"}
    assert len(list(out.rglob("run.json"))) == 1
    for words, sentence in (
        (("--scale", "3", "--task-option", "scale=2"), "--scale and --task-option scale say the same thing"),
        (
            ("--task-option", "scale"),
            "--task-option 'scale' must look like key=value, for example --task-option",
        ),
        (("--sigma", "3"), "nothing that the model 'bicubic' can be asked for has the option sigma"),
        (("--scale", ""), "scale='': input should be 2, 3, 4 or 8"),
    ):
        error = typed(*words).exception
        assert isinstance(error, InputError)
        assert sentence in str(error)
    assert len(list(out.rglob("run.json"))) == 1


def test_a_suite_asks_as_run_does(tmp_path: Path, folders: tuple[str, str, str]) -> None:
    """`task_options` of all cells, those of some over them; `train` is a path from the suite's folder, as datasets are;
    the keys are those of `run` with the same options."""
    (tmp_path / "suite.toml").write_text(
        """
        models = ["bicubic", "espcn"]
        datasets = ["folder:one"]
        [settings]
        metrics = ["psnr"]
        [settings.task_options]
        scale = 3
        train = "folder:learned"
        [[override]]
        match = { model = "espcn" }
        task_options = { scale = 2 }
        """
    )
    suite = load_suite(tmp_path / "suite.toml")
    cells = plan_suite(suite, Store(tmp_path / "out"), device=torch.device("cpu"))
    options = {cell.model: cell.spec.task_options for cell in cells}
    learned = f"folder:{tmp_path / 'learned'}"
    assert options == {"bicubic": {"scale": 3, "train": learned}, "espcn": {"scale": 2, "train": learned}}
    desk = Desk(Runtime())
    for own in cells:
        spec = CellSpec.of(
            model=own.model, dataset=folders[0], metrics=["psnr"], task_options=options[own.model]
        )
        assert make_plans(spec, [0], desk)[0].key == own.key
    bad = (tmp_path / "suite.toml").read_text().replace("scale = 3", "scale = 5")
    (tmp_path / "bad.toml").write_text(bad)
    with pytest.raises(InputError, match=r"bicubic on .*: option of super-resolution scale=5"):
        plan_suite(load_suite(tmp_path / "bad.toml"), Store(tmp_path), device=torch.device("cpu"))


def test_scales_are_never_ranked_together(tmp_path: Path, folders: tuple[str, str, str]) -> None:
    """Two models at x2 and x3: a board for each scale, in which each model stands once; what is compared across them
    is nothing."""
    one, _, _ = folders
    for model in ("bicubic", "nearest"):
        for scale in (2, 3):
            cell(model, one, tmp_path / f"x{scale}", task_options={"scale": scale}, metrics=["psnr_y"])
    board = benchbench.leaderboard(tmp_path, output=tmp_path / "board.md")
    own = board[board["metric"] == "psnr_y"]
    assert sorted(zip(own["model"], own["task"], strict=True)) == [
        (model, f"super-resolution:x{scale}") for model in ("bicubic", "nearest") for scale in (2, 3)
    ]
    means = own.set_index(["model", "task"])["value"]
    assert means["bicubic", "super-resolution:x2"] > means["bicubic", "super-resolution:x3"]
    text = (tmp_path / "board.md").read_text()
    for scale in (2, 3):
        _, _, board_of = text.partition(f"super-resolution:x{scale}")
        board_of, _, _ = board_of.partition("super-resolution:")
        assert re.findall(r"^\| (bicubic|nearest)", board_of, re.MULTILINE) == ["bicubic", "nearest"]
    tables = [load_results(tmp_path / f"x{scale}") for scale in (2, 3)]
    with pytest.raises(NothingComparable, match="the two share no number"):
        check_comparable(*tables)


def test_a_record_of_images_of_several_sizes(tmp_path: Path, folders: tuple[str, str, str]) -> None:
    """run.json says the sizes, smallest and largest; the archive has each output at its own size, under names of its
    own where two images would be called alike; the report shows the picture, and the board the number."""
    folder = Path(folders[0].removeprefix("folder:"))
    Image.fromarray(data.astronaut()[:70, 200:290]).save(folder / "0.bmp")
    path, _ = cell("lanczos", f"folder:{folder}", tmp_path / "out", task_options={"scale": 2})
    run = read_run_json(path / "run.json")
    assert run["data"]["size"] == "31×24 to 90×70, 3 sizes"
    assert [artefact["file"] for artefact in run["artefacts"]] == ["restored.png", "outputs.zip"]
    sizes = {name: image.shape[:2] for name, image in outputs_of(path).items()}
    assert sizes == {"0.bmp.png": (70, 90), "0.png": (24, 30), "1.png": (30, 26)}
    page = benchbench.report(tmp_path / "out", output=tmp_path / "report.html").read_text()
    assert "super-resolution:x2" in page
    assert "details at native resolution" in page
    picture = np.asarray(Image.open(path / "restored.png").convert("RGB"))
    assert picture.std() > 20


def test_generation_on_photographs_asks_for_one_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--model vae --dataset set5`: the photographs differ in size, and the way out is said."""
    monkeypatch.setenv("BENCHBENCH_DATA", str(tmp_path))
    write(tmp_path / "Set5", (24, 31), (30, 26), (30, 30), (20, 20), (24, 24))
    with pytest.raises(InputError, match=r"images differ in size.*--size N resizes and crops all to N×N"):
        cell("vae", "set5", tmp_path / "out")
    path, _ = cell("bicubic", "set5", tmp_path / "out")
    assert path.parts[-3] == "set5"
    with pytest.raises(
        InputError, match="set5 has no part to be learned from, as set5:train says; write set5"
    ):
        cell("bicubic", "set5:train", tmp_path / "out")


def test_weights_are_looked_up_by_what_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the dataset first, then for what is undone, then for all that a model does; without any, those that are
    published are named."""
    monkeypatch.setattr("benchbench.core.baselines.baselines_folder", lambda: tmp_path)

    def publish(name: str) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.safetensors").write_bytes(name.encode())
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        (tmp_path / name / "weights.safetensors.sha256").write_text(f"{sha256}  weights.safetensors\n")

    with pytest.raises(InputError, match="no weights of vdsr on set5 or for x2 are published"):
        published_weights("vdsr", "set5", "x2")
    for name in ("vdsr", "vdsr-x2", "vdsr-set5"):
        publish(name)
        assert published_weights("vdsr", "set5", "x2").parent.name == name
    assert published_weights("vdsr", "set14", "x2").parent.name == "vdsr-x2"
    assert published_weights("vdsr", "set14", "x3").parent.name == "vdsr"
    with pytest.raises(
        InputError, match=r"no weights of srcnn on set5 or for x2 .*Published: vdsr, vdsr-set5, vdsr-x2"
    ):
        published_weights("srcnn", "set5", "x2")


@pytest.mark.parametrize(
    ("model", "setting", "said"),
    [
        (
            "srcnn",
            "scale=2",
            r"scale is an option of the task super-resolution .* write --scale 2 in place of --set",
        ),
        (
            "dncnn",
            "sigma=25",
            r"an option of the task denoise and no setting of the model 'dncnn'; write --sigma 25",
        ),
        ("context-encoder", "holes=strokes", r"an option of the task inpaint .* write --holes strokes"),
        ("srcnn", "luma=true", r"write --task-option luma=true in place of --set luma=true"),
        ("vae", "scale=2", r"unknown setting 'scale'"),  # which can be asked for no task that has one
    ],
)
def test_an_option_of_the_task_is_no_setting_of_the_model(model: str, setting: str, said: str) -> None:
    """What is typed after --set belongs elsewhere: the sentence says where."""
    with pytest.raises(InputError, match=said):
        resolve(CellSpec(model=model, dataset="set5", overrides=[setting]))  # type: ignore[arg-type]  # as typed
