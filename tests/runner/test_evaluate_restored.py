"""Other people's outputs under a task's protocol: the numbers of the protocol written out, one table with `run`, and
every way in which outputs and references do not go together."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pieces import write_images
from torch import Tensor

import benchbench
from benchbench.core.errors import InputError
from benchbench.data.degrade.resize import imresize, mod_crop, to_uint8
from benchbench.metrics.pairs.paired import psnr, ssim
from benchbench.results.claims.conditions import check_comparable
from benchbench.results.load import load_results
from benchbench.results.provenance import read_run_json
from benchbench.runner.run import run_cells

SIZES = ((61, 60), (48, 52), (70, 75))
"""(H, W) of three references: two whose sides 4 does not divide."""


def references() -> list[Tensor]:
    """Smooth colours, seeded, uint8 1×3×H×W: noise of 9×9 pixels enlarged."""
    rng = np.random.default_rng(3)
    found = []
    for height, width in SIZES:
        coarse = torch.from_numpy(rng.integers(0, 256, (1, 3, 9, 9), np.uint8))
        found.append(to_uint8(imresize(coarse.double(), height, width)))
    return found


def restored(image: Tensor, scale: int = 4) -> Tensor:
    """What bicubic interpolation makes of the protocol's input."""
    whole = mod_crop(image, scale)
    height, width = whole.shape[2:]
    small = to_uint8(imresize(whole.double(), height // scale, width // scale))
    return to_uint8(imresize(small.double(), height, width))


def scored(images: Any, reference: Any, metrics: str = "standard", **options: Any) -> pd.DataFrame:
    """`evaluate` on the CPU as super-resolution by 4, unless options say otherwise."""
    asked = {"task": "super-resolution", "task_options": {"scale": 4}, "device": "cpu", **options}
    return benchbench.evaluate(images, reference, metrics, **asked)


@pytest.mark.costly
def test_the_protocol_of_super_resolution(tmp_path: Path) -> None:
    """Luma without a border of 4, RGB without one of 6: the public functions on each output and its reference cut to a
    multiple of 4, averaged; of folders and of tensors in memory. The rows are of the task, with its headline; what was
    cut is said, and the record says the task."""
    hr = references()
    sr = [restored(image) for image in hr]
    pairs = list(zip(sr, (mod_crop(image, 4) for image in hr), strict=True))
    expected = {
        "psnr_y_crop4": np.mean([float(psnr(*pair, y_channel=True, crop_border=4)) for pair in pairs]),
        "ssim_y_crop4": np.mean([float(ssim(*pair, y_channel=True, crop_border=4)) for pair in pairs]),
        "psnr_crop6": np.mean([float(psnr(*pair, crop_border=6)) for pair in pairs]),
    }
    for i, sides in enumerate(
        ((sr, hr), (write_images(tmp_path / "sr", sr), write_images(tmp_path / "hr", hr)))
    ):
        frame = scored(*sides, out=tmp_path / str(i))
        rows = frame.set_index("metric")
        assert {name: rows.loc[name, "value"] for name in expected} == pytest.approx(expected, rel=1e-12)
        assert set(rows["task"]) == {"super-resolution:x4"}
        assert list(rows.index[rows["headline"]]) == ["psnr_y_crop4"]
        assert "1 whole piece of 64×64 pixels" in str(rows.loc["fd_efficientnet_lite0", "reason"])
        assert frame.attrs["notes"][-1:] == [
            "2 of 3 references were cut at the bottom and at the right to a multiple of 4, as large as their outputs"
        ]
        (file,) = (tmp_path / str(i)).rglob("run.json")
        assert read_run_json(file)["samples"]["options"] == {
            "task": "super-resolution",
            "task_options": {"scale": 4},
        }


@pytest.mark.costly
def test_they_stand_in_one_table_with_runs(tmp_path: Path) -> None:
    """The outputs that a run of `bicubic` keeps, scored from its archive: the same dataset, task and conditions, so
    that the two are compared, and the same numbers."""
    folder = f"folder:{write_images(tmp_path / 'hr', references())}"
    ((path, _),) = run_cells(
        "bicubic",
        folder,
        task="super-resolution",
        task_options={"scale": 2},
        metrics=["psnr_y_crop2", "ssim_y_crop2"],
        device="cpu",
        out=tmp_path / "run",
    )
    frame = scored(
        path / "outputs.zip",
        folder,
        "psnr_y_crop2,ssim_y_crop2",
        task_options={"scale": 2},
        out=tmp_path / "ours",
    )
    theirs = load_results(path).set_index("metric")["value"]
    ours = frame.set_index("metric")["value"]
    assert ours.to_dict() == pytest.approx({name: theirs[name] for name in ours.index}, rel=1e-12)
    tables = [load_results(tmp_path / x) for x in ("run", "ours")]
    names = [("folder-hr", "super-resolution:x2", "", name) for name in ("psnr_y_crop2", "ssim_y_crop2")]
    assert check_comparable(*tables) == names


@pytest.mark.costly
def test_a_task_is_a_record_of_its_own(tmp_path: Path) -> None:
    """The same images as they are, denoised of 25 and of 15: three records, none of which answers for another; the same
    question again is answered from its record."""
    hr = [mod_crop(image, 4) for image in references()]
    sr = [restored(image) for image in hr]
    asked: list[dict[str, Any]] = [
        {"task": None, "task_options": {}},
        {"task": "denoise", "task_options": {"sigma": 25}},
        {"task": "denoise", "task_options": ["sigma=15"]},
        {"task": "denoise", "task_options": {"sigma": 25}},
    ]
    tasks = [set(scored(sr, hr, "psnr", out=tmp_path, **options)["task"]) for options in asked]
    assert tasks == [{"paired"}, {"denoise:sigma25"}, {"denoise:sigma15"}, {"denoise:sigma25"}]
    assert len(list(tmp_path.rglob("run.json"))) == 3


@pytest.mark.costly
def test_registered_photographs_are_taken_at_their_own_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--reference set5` is the folder under BENCHBENCH_DATA, by that name, with a task and for pairs alone; distances
    between sets read a dataset of one size, as ever."""
    monkeypatch.setenv("BENCHBENCH_DATA", str(tmp_path / "data"))
    write_images(tmp_path / "data" / "Set5", references())
    sr = write_images(tmp_path / "sr", [restored(image) for image in references()])
    frame = scored(sr, "set5", "psnr_y_crop4")
    assert (set(frame["dataset"]), set(frame["status"])) == ({"set5"}, {"ok"})
    assert "set5: this copy of set5 has 3 images, and 5 were published" in frame.attrs["notes"]
    same = scored(tmp_path / "data" / "Set5", "set5", "mse", task=None, task_options={})
    assert same["value"].tolist() == [0.0]
    with pytest.raises(InputError, match="images differ in size"):
        scored(sr, "set5", "fd", task=None, task_options={})


def test_what_looks_odd_is_a_note(tmp_path: Path) -> None:
    """Outputs that a viewer converted to grey: the conversion, and what it means for the numbers."""
    hr = [mod_crop(image, 4) for image in references()]
    grey = write_images(tmp_path / "grey", [restored(image) for image in hr], "L")
    notes = scored(grey, write_images(tmp_path / "hr", hr), "psnr_y_crop4").attrs["notes"]
    assert notes == [
        "folder-grey: 3 of 3 images were grey and were copied to three channels",
        "3 of 3 outputs are grey where their references are in colour: of these only metrics on the luma (psnr_y, "
        "ssim_y) mean something",
    ]


def test_the_luma_alone_is_compared_where_that_is_the_task(tmp_path: Path) -> None:
    """With `luma=true` outputs are grey because the task is, and nothing is said of it; rows have a name of their
    own."""
    hr = [mod_crop(image, 4) for image in references()]
    grey = write_images(tmp_path / "grey", [restored(image) for image in hr], "L")
    frame = scored(grey, write_images(tmp_path / "hr", hr), "psnr", task_options={"scale": 4, "luma": True})
    assert set(frame["task"]) == {"super-resolution:x4-luma"}
    assert frame.attrs["notes"] == ["folder-grey: 3 of 3 images were grey and were copied to three channels"]


@pytest.mark.costly
def test_an_alpha_channel_is_composited_and_said(tmp_path: Path) -> None:
    """Opaque RGBA is the RGB of it: the same number, and a note."""
    hr = write_images(tmp_path / "hr", references())
    outputs = [restored(image) for image in references()]
    plain = scored(write_images(tmp_path / "a", outputs), hr, "psnr_y_crop4")
    alpha = scored(write_images(tmp_path / "b", outputs, "RGBA"), hr, "psnr_y_crop4")
    assert alpha["value"].tolist() == plain["value"].tolist()
    assert (
        "folder-b: 3 of 3 images had an alpha channel and were composited over white" in alpha.attrs["notes"]
    )


def test_outputs_of_another_protocol_are_cut_too() -> None:
    """As large as references that 4 does not divide: both are cut, which a note says; the number is that of the cut."""
    hr = references()
    dim = [image // 2 + 40 for image in hr]
    frame = scored(dim, hr, "psnr_crop6")
    cut = [psnr(mod_crop(x, 4), mod_crop(y, 4), crop_border=6) for x, y in zip(dim, hr, strict=True)]
    assert frame["value"].tolist() == pytest.approx([float(torch.cat(cut).mean())], rel=1e-12)
    assert frame.attrs["notes"][-1].startswith(
        "2 of 3 outputs are as large as references whose sides are no multiple of 4"
    )


ODD: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "inputs": (
        lambda image: restored(image)[..., ::4, ::4],
        r"0\.png of folder-sr is 15×15, and its reference 0\.png of folder-hr is 60×61 \(cut to 60×60, a multiple of "
        r"the scale\); the output is as large as the low-resolution input",
    ),
    "another scale": (lambda image: restored(image)[..., ::2, ::2], "the input made 2 times larger"),
    "shaved": (
        lambda image: restored(image)[..., 4:-4, 4:-4],
        "a border of 4 pixels is missing on each side",
    ),
    "turned": (lambda image: image.transpose(2, 3).contiguous(), "turned by 90 degrees"),
    "one row less": (lambda image: restored(image)[..., 1:, :], "give outputs as large as their references"),
    "one pixel": (lambda image: image[..., :1, :1], r"0\.png of folder-sr is 1×1"),
}


@pytest.mark.parametrize("odd", ODD)
def test_sizes_that_do_not_go_together_are_explained(tmp_path: Path, odd: str) -> None:
    """Both files, both sizes, what it looks like and what to give; nothing is recorded."""
    change, sentence = ODD[odd]
    hr = references()
    sides = write_images(tmp_path / "sr", [change(image) for image in hr]), write_images(tmp_path / "hr", hr)
    with pytest.raises(InputError, match=sentence):
        scored(*sides, "psnr", out=tmp_path / "out")
    assert not list(tmp_path.rglob("*.csv"))


def test_without_a_task_the_error_names_the_one_that_cuts(tmp_path: Path) -> None:
    """Outputs of 60×60 against 60×61: 4, 3 and 2 divide the one and not the other."""
    hr = references()[:1]
    with pytest.raises(
        InputError, match="--task super-resolution --scale 2 or 3 or 4 cuts references as papers do"
    ):
        scored([restored(image) for image in hr], hr, "psnr", task=None, task_options={})


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"task_options": {}},
            r"--task super-resolution does not say what the outputs undo; say it with --scale \(in Python, "
            r"task_options=\{'scale': …\}\)",
        ),
        ({"task": None}, "scale is an option of a task; name the task with --task"),
        ({"task_options": {"scale": 5}}, "scale=5: input should be 2, 3, 4 or 8"),
        ({"task_options": {"sigma": 5}}, "sigma"),
        ({"task": "denoise", "task_options": {}}, "say it with --sigma"),
        ({"task": "denoise", "task_options": {"sigma": -1}}, "sigma=-1"),
        ({"task": "denoise", "task_options": {"sigma": 1e9}}, "give at most 255"),
        ({"task": "deblock", "task_options": {"quality": 0}}, "quality=0"),
        (
            {"task": "generation", "task_options": {}},
            "scores no others; those that do: .*denoise, inpaint, super-resolution",
        ),
        ({"task": "superresolution"}, "did you mean 'super-resolution'"),
        ({"metrics": "psnr_crop99"}, "psnr_crop99 cuts 99 pixels off each side, .*; leave it out of the"),
    ],
)
def test_impossible_requests(tmp_path: Path, options: dict[str, Any], sentence: str) -> None:
    """Each is one sentence, before an image is compared."""
    hr = references()
    with pytest.raises(InputError, match=sentence):
        scored([restored(image) for image in hr], hr, **{"metrics": "psnr", "out": tmp_path, **options})
    assert not list(tmp_path.rglob("*.csv"))


@pytest.mark.costly
def test_statistics_hold_no_references(tmp_path: Path) -> None:
    """Whatever metric is asked for, a task needs the images."""
    np.savez(tmp_path / "fid.npz", mu=np.zeros(2048), sigma=np.eye(2048))
    with pytest.raises(InputError, match="is statistics, and super-resolution needs its images"):
        scored(references(), tmp_path / "fid.npz", "fd")


def test_sides_that_do_not_pair_up(tmp_path: Path) -> None:
    """One output less, other names, an empty folder and an empty archive: named, and nothing is recorded."""
    hr = write_images(tmp_path / "hr", references())
    outputs = [restored(image) for image in references()]
    fewer = write_images(tmp_path / "fewer", outputs[:2])
    others = write_images(tmp_path / "others", outputs)
    (others / "2.png").rename(others / "two.png")
    (tmp_path / "none").mkdir()
    zipfile.ZipFile(tmp_path / "none.zip", "w").close()
    for side, sentence in (
        (fewer, r"2\.png \(only in folder-hr\) lacks a partner"),
        (others, r"two\.png \(only in folder-others\), 2\.png \(only in folder-hr\) lack a partner"),
        (tmp_path / "none", "no images in"),
        (tmp_path / "none.zip", "is an empty archive"),
    ):
        for sides in ((side, hr), (hr, side)):
            with pytest.raises(
                InputError, match=sentence if sides[0] == side or "only" not in sentence else "partner"
            ):
                scored(*sides, "psnr", out=tmp_path / "out")
    assert not list(tmp_path.rglob("*.csv"))


def test_one_tiny_reference_among_others(tmp_path: Path) -> None:
    """3×3 pixels hold no block of 4: the file is named, on which side it is, and what to do; of 12×12 a border of 6
    leaves nothing, and that metric alone fails."""
    hr = references()

    def beside(side: int) -> tuple[list[Tensor], list[Tensor]]:
        tiny = torch.full((1, 3, side, side), 100, dtype=torch.uint8)
        return [*(restored(image) for image in hr), tiny - 30], [*hr, tiny]

    with pytest.raises(
        InputError, match=r"image 3 of reference is 3×3, which cannot be made 4 times smaller"
    ):
        scored(*beside(3), "psnr")
    rows = scored(*beside(12), "psnr_y_crop4,psnr_crop6").set_index("metric")
    assert rows["status"].to_dict() == {"psnr_y_crop4": "ok", "psnr_crop6": "failed"}
    assert "the smallest of these, image 3 of images, is 12×12" in str(rows.loc["psnr_crop6", "reason"])


@pytest.mark.costly
def test_distances_between_sets_are_of_pieces(tmp_path: Path) -> None:
    """As `run` has it: references of 130×200 hold 2×3 squares of 64 pixels, so two images are twelve, and the distance
    is that of the squares cut out here, to 1e-6 (float32 features in other batches). What reads outputs alone has no
    meaning."""
    hr = [to_uint8(imresize(image.double(), 130, 200)) for image in references()[:2]]
    sr = [restored(image, 2) for image in hr]
    frame = scored(sr, hr, "fd,vendi,psnr", task_options={"scale": 2}, out=tmp_path)
    rows = frame.set_index("metric")
    assert set(rows["task"]) == {"super-resolution:x2"}
    fd = rows.loc["fd_efficientnet_lite0"]
    assert (fd["n_images"], fd["n_reference"]) == (12, 12)
    squares = [
        torch.cat(
            [
                image[..., top : top + 64, left : left + 64]
                for image in images
                for top in (0, 64)
                for left in (0, 64, 128)
            ]
        )
        for images in (sr, hr)
    ]
    alone = benchbench.evaluate(*squares, "fd", device="cpu").set_index("metric")
    assert fd["value"] == pytest.approx(alone.loc["fd_efficientnet_lite0", "value"], rel=1e-6)
    assert rows.loc["vendi_efficientnet_lite0", "status"] == "failed"
    assert "pieces of all with pieces of the references" in str(
        rows.loc["vendi_efficientnet_lite0", "reason"]
    )
