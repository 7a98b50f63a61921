"""`benchbench.evaluate` on pairs that differ in size: each is scored at its own, from whatever holds them."""

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
from PIL import Image
from torch import Tensor

import benchbench
from benchbench.core.errors import InputError
from benchbench.metrics.pairs.paired import mse, psnr, ssim
from benchbench.results.provenance import read_run_json

SIDES = ((40, 31), (12, 19), (40, 31), (26, 26))
"""(H, W) of four images, one size twice."""


def images_of(sizes: tuple[tuple[int, int], ...], seed: int = 0) -> list[Tensor]:
    """Seeded noise, uint8 1×3×H×W each."""
    rng = np.random.default_rng(seed)
    return [torch.from_numpy(rng.integers(0, 256, (1, 3, h, w), np.uint8)) for h, w in sizes]


def dimmed(images: list[Tensor]) -> list[Tensor]:
    """What stands for restored images."""
    return [image // 2 + 3 * i for i, image in enumerate(images)]


def hwc(image: Tensor) -> Any:
    return image[0].permute(1, 2, 0).numpy()


def as_list(path: Path, images: list[Tensor]) -> Any:
    return images


def as_arrays(path: Path, images: list[Tensor]) -> Any:
    return [hwc(image) for image in images]


def as_zip(path: Path, images: list[Tensor]) -> Any:
    folder = write_images(path.with_name(f"{path.name}-files"), images)
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    return path.with_suffix(".zip")


def as_parquet(path: Path, images: list[Tensor]) -> Any:
    folder = write_images(path.with_name(f"{path.name}-files"), images)
    rows = [{"bytes": (folder / f"{i}.png").read_bytes(), "path": None} for i in range(len(images))]
    pd.DataFrame({"image": rows}).to_parquet(path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


def scored(images: Any, reference: Any, metrics: str, **options: Any) -> pd.DataFrame:
    """`evaluate` on the CPU, by metric."""
    return benchbench.evaluate(images, reference, metrics, device="cpu", **options).set_index("metric")


@pytest.mark.costly
@pytest.mark.parametrize("held", [as_list, as_arrays, write_images, as_zip, as_parquet])
def test_numbers_are_the_means_of_each_pair_alone(
    tmp_path: Path, held: Callable[[Path, list[Tensor]], Any]
) -> None:
    """The public functions on one pair at a time, averaged, to 1e-12, in batches of 1 and of 3; the record says from
    which size to which."""
    originals = images_of(SIDES)
    restored = dimmed(originals)
    sides = held(tmp_path / "a", restored), held(tmp_path / "b", originals)
    for batch_size in (1, 3):
        out = tmp_path / str(batch_size)
        frame = scored(*sides, "psnr,ssim,mse,psnr_y_crop4", out=out, batch_size=batch_size)
        assert (frame["status"] == "ok").all()
        for function in (psnr, ssim, mse):
            alone = [float(function(x, y)) for x, y in zip(restored, originals, strict=True)]
            assert frame.loc[function.__name__, "value"] == pytest.approx(np.mean(alone), rel=1e-12)
        luma = [
            float(psnr(x, y, y_channel=True, crop_border=4)) for x, y in zip(restored, originals, strict=True)
        ]
        assert frame.loc["psnr_y_crop4", "value"] == pytest.approx(np.mean(luma), rel=1e-12)
        (file,) = out.rglob("run.json")
        run = read_run_json(file)
        assert run["samples"]["size"] == run["data"]["size"] == "19×12 to 31×40, 3 sizes"
        with Image.open(file.with_name("samples.png")) as picture:
            assert picture.width > picture.height


def test_what_a_small_image_cannot_have_fails_alone(tmp_path: Path) -> None:
    """SSIM has a window of 11 pixels, and a border of 4 leaves nothing of 8; both name the smallest image, which
    neither the first nor the last is. The rest stands."""
    originals = images_of(((40, 31), (30, 12), (8, 14), (26, 26)))
    sides = write_images(tmp_path / "a", dimmed(originals)), write_images(tmp_path / "b", originals)
    frame = scored(*sides, "psnr,ssim,psnr_crop4")
    assert frame["status"].to_dict() == {"psnr": "ok", "psnr_crop4": "failed", "ssim": "failed"}
    assert frame.loc["ssim", "reason"] == (
        "ssim needs images of at least 11×11, and the smallest of these, 2.png of folder-a, is 14×8"
    )
    assert "at least 9×9, and the smallest of these, 2.png of folder-a, is 14×8" in str(
        frame.loc["psnr_crop4", "reason"]
    )


def test_arrays_in_a_list() -> None:
    """H×W×3 is one image, H×W a grey one, which is three equal channels, and N×H×W×3 several; what has four channels or
    floats is refused."""
    rng = np.random.default_rng(0)
    grey, colours = rng.integers(0, 256, (12, 14), np.uint8), rng.integers(0, 256, (2, 12, 13, 3), np.uint8)
    tensors = [torch.from_numpy(np.stack([grey] * 3)[None]), torch.from_numpy(colours.transpose(0, 3, 1, 2))]
    arrays = [grey, colours]
    assert scored(arrays, tensors, "mse").loc["mse", "value"] == 0
    assert scored([colours[0]], [tensors[1][:1]], "mse").loc["mse", "value"] == 0
    for odd, sentence in (
        (np.zeros((12, 14, 4), np.uint8), "images must have shape N×3×H×W"),
        (colours / 255, "must be uint8 in 0..255 but is float64"),
    ):
        with pytest.raises(InputError, match=sentence):
            scored([odd], tensors, "mse")


def test_a_border_that_no_image_has_is_refused(tmp_path: Path) -> None:
    """As it is of images of one size: the largest is 26 pixels high, and 13 off each side leave none."""
    originals = images_of(((24, 31), (26, 26)))
    with pytest.raises(
        InputError, match="psnr_crop13 cuts 13 pixels off each side, and these images are 26×26"
    ):
        scored(dimmed(originals), originals, "psnr_crop13")


def test_sets_need_one_size_and_the_error_names_the_way_out(tmp_path: Path) -> None:
    """Whether it is the reference that differs or the samples alone; and nothing is recorded."""
    several, one = images_of(SIDES), images_of(((26, 26),) * 4)
    for images, reference in ((several, several), (several, one)):
        with pytest.raises(
            InputError, match=r"images differ in size: .* as with --metrics psnr,ssim, may be of any size"
        ):
            scored(images, reference, "psnr,fd", out=tmp_path)
    assert not list(tmp_path.rglob("*.csv"))


def test_one_size_is_brought_about_by_size(tmp_path: Path) -> None:
    """`--size 16` still brings every image of both sides to 16×16, and the record says one size."""
    originals = images_of(SIDES)
    sides = write_images(tmp_path / "a", dimmed(originals)), write_images(tmp_path / "b", originals)
    scored(*sides, "psnr", size=16, out=tmp_path / "out")
    (file,) = (tmp_path / "out").rglob("run.json")
    assert read_run_json(file)["samples"]["size"] == "16×16"


def test_the_record_answers_again(tmp_path: Path) -> None:
    """The second call reads the samples for their pixels alone; a changed pixel is another record."""
    originals = images_of(SIDES)
    restored = dimmed(originals)
    first = scored(restored, originals, "psnr", out=tmp_path)
    pd.testing.assert_frame_equal(scored(restored, originals, "psnr", out=tmp_path), first)
    assert len(list(tmp_path.rglob("run.json"))) == 1
    restored[1][0, 0, 0, 0] ^= 1
    scored(restored, originals, "psnr", out=tmp_path)
    assert len(list(tmp_path.rglob("run.json"))) == 2
