"""`evaluate --prompts`: images that something else made of captions, under a judge that knows every image."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import Tensor

import benchbench
import benchbench.data
import benchbench.features
from benchbench.cli import cli
from benchbench.core.errors import InputError, MetricFailed
from benchbench.core.progress import SILENT, Progress
from benchbench.data.dataset import Dataset
from benchbench.data.pipeline.assemble import assemble
from benchbench.data.pipeline.cache import Decoded
from benchbench.data.pipeline.fingerprint import pixel_digests
from benchbench.features.extractor import Features
from benchbench.features.networks.clip_folder import ENV
from benchbench.metrics.pairs.captions import NO_CAPTIONS
from benchbench.runner import prompted
from benchbench.tasks import captioned

N = 110


def pictures(n: int, seed: int) -> np.ndarray:
    """Noise, with the number of the picture in its first pixel."""
    images = np.random.default_rng(seed).integers(0, 256, (n, 3, 16, 16), np.uint8)
    images[:, :, 0, 0] = np.arange(n)[:, None]
    return images


class Toys:
    """Held-out picture k is called "thing k"."""

    reference: ClassVar[str] = "none"
    licence: ClassVar[str] = "CC0"

    def load(self, size: int | None, progress: Progress) -> Dataset:
        parts = [Decoded(images, pixel_digests(images), {}) for images in (pictures(9, 1), pictures(N, 2))]
        names = [[f"thing {k + 200}" for k in range(9)], [f"thing {k}" for k in range(N)]]
        return assemble("toys", parts, [None, None], captions=names, source={})


class Judge:
    """Knows the number of every image and of every caption."""

    weights_sha256 = "5a" * 32

    def __init__(self, dataset: str, device: torch.device) -> None:
        assert dataset == "toys"

    def images(self, images: Tensor) -> Tensor:
        return torch.eye(384)[images[:, 0, 0, 0].long()]

    def captions(self, conditions: Tensor) -> Tensor:
        return conditions / conditions.norm(dim=1, keepdim=True)

    def describe(self) -> dict[str, Any]:
        return {"weights_sha256": self.weights_sha256}


class Clip:
    """An extractor that knows them too."""

    name, dim, n_logits, resize, input_side, batch_size = "clip_folder", 384, 0, "none", None, 8
    field_names: ClassVar[dict[str, str]] = {"clip_score": "clip_score"}
    weights_sha256 = "c1" * 32

    def __init__(self, device: torch.device | str = "cpu") -> None:
        pass

    def __call__(self, images: Tensor) -> Features:
        return Features(torch.eye(384)[images[:, 0, 0, 0].long()], None)

    def captions(self, texts: Sequence[str]) -> Tensor:
        return torch.eye(384)[[int(text.split()[1]) for text in texts]]

    def describe(self) -> dict[str, Any]:
        shared = {"resize": self.resize, "precision": "float32"}
        return {"name": self.name, "weights_sha256": self.weights_sha256, **shared}


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = ModuleType("toys_with_captions")
    vars(module).update(Toys=Toys, Clip=Clip)
    monkeypatch.setitem(sys.modules, "toys_with_captions", module)
    monkeypatch.setitem(benchbench.data.DATASETS, "toys", "toys_with_captions:Toys")
    monkeypatch.syspath_prepend(tmp_path)  # registered names are read once for each `sys.path`

    def embedded(captions: Sequence[str], progress: Progress = SILENT) -> Tensor:
        return torch.eye(384)[[int(caption.split()[1]) for caption in captions]]

    monkeypatch.setattr(captioned, "embedded", embedded)
    monkeypatch.setattr(prompted, "MatcherJudge", Judge)
    monkeypatch.delenv(ENV, raising=False)


@pytest.fixture
def clip(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CLIP is at hand."""
    monkeypatch.setitem(benchbench.features.EXTRACTORS, "clip_folder", "toys_with_captions:Clip")


def made(folder: Path, numbers: Sequence[int], prompts: str) -> Path:
    """images/1.png, 2.png, … that show these things, and prompts.txt beside them."""
    (folder / "images").mkdir()
    for place, number in enumerate(numbers, start=1):
        picture = pictures(N, 3)[number].transpose(1, 2, 0)
        Image.fromarray(np.ascontiguousarray(picture)).save(folder / "images" / f"{place}.png")
    (folder / "prompts.txt").write_text(prompts, encoding="utf-8")
    return folder


def evaluated(folder: Path, **asked: Any) -> pd.DataFrame:
    """Rows by metric, of a metric that is cheap."""
    asked = {"reference": "toys:test", "metrics": "fd", "extractors": "cnn_digits", **asked}
    options = {"task": "text-to-image", "prompts": folder / "prompts.txt", **asked}
    return benchbench.evaluate(str(folder / "images"), **options).set_index("metric")


def test_line_k_is_the_prompt_of_image_k(tmp_path: Path) -> None:
    """In natural order, 2.png before 10.png: twelve images in the order of their prompts are all found; one that is
    wrong is as far as all, R-precision 1/100 and rank 1 + 1 + 108 / 2, so 11.01 of 12 and (11 + 56) / 12."""
    numbers = [40 + k for k in range(12)]
    right = made(tmp_path, numbers, "".join(f"thing {k}\n" for k in numbers))
    rows = evaluated(right)
    assert (rows.loc["r_precision", "value"], rows.loc["retrieval_rank_mean", "value"]) == (1, 1)
    assert rows.loc["r_precision", "task"] == "text-to-image"
    numbers[11] = 7
    (right / "prompts.txt").write_text("".join(f"thing {k}\n" for k in numbers))
    rows = evaluated(right)
    assert rows.loc["retrieval_rank_mean", "value"] == pytest.approx((11 + 56) / 12)
    assert rows.loc["r_precision", "value"] <= 11.01 / 12


def test_prompts_of_ones_own(tmp_path: Path) -> None:
    """A prompt that is no caption of the dataset stands among them all the same; a line may be there several times, and
    then the interval is over prompts."""
    folder = made(tmp_path, [105, 105, 3, 3], "thing 105\nthing 105\nthing 300\nthing 300\n")
    rows = evaluated(folder)
    assert rows.loc["r_precision", "value"] <= 0.5 + 0.005  # 3 is not 300, which all are as far from
    assert rows.loc["r_precision", "interval"] == "95% Wilson over prompts"
    # Thing 3 is nearer, 109 others are as far as thing 300.
    assert rows.loc["retrieval_rank_median", "value"] == pytest.approx((1 + 1 + 1 + 109 / 2) / 2)


def test_a_record(tmp_path: Path) -> None:
    """The command leaves one and answers from it; other prompts are another question."""
    folder = made(tmp_path, [4, 5, 6], "thing 4\nthing 5\nthing 6\n")
    command = ["evaluate", str(folder / "images"), "--reference", "toys:test", "--task", "text-to-image"]
    command += ["--metrics", "fd", "--extractor", "cnn_digits", "--out", str(tmp_path / "runs")]
    command += ["--prompts", str(folder / "prompts.txt")]

    def run() -> Any:
        return CliRunner().invoke(cli, command)

    first = run()
    assert first.exit_code == 0, first.output
    assert "r_precision" in first.output
    assert "3 images" in first.output
    run()
    assert len(list((tmp_path / "runs").glob("*/*/*/run.json"))) == 1
    (folder / "prompts.txt").write_text("thing 4\nthing 5\nthing 7\n")
    assert run().exit_code == 0
    assert len(list((tmp_path / "runs").glob("*/*/*/run.json"))) == 2


@pytest.mark.parametrize(
    ("prompts", "asked", "message"),
    [
        ("thing 1\n", {}, "there are 1 prompts and 3 images"),
        ("thing 1\nthing 2\nthing 3\nthing 4\n", {}, "there are 4 prompts and 3 images"),
        ("thing 1\n\nthing 3\n", {}, "line 2 of .*prompts.txt is empty"),
        ("", {}, "prompts.txt is empty; write one prompt a line"),
        ("thing 1\nthing 2\nthing 3\n", {"task": None}, "say --task text-to-image too"),
        ("thing 1\nthing 2\nthing 3\n", {"prompts": None}, "name a text file with a line for each image"),
        ("thing 1\nthing 2\nthing 3\n", {"prompts": "nowhere.txt"}, "nowhere.txt"),
        ("thing 1\nthing 2\nthing 3\n", {"task_options": {"per_prompt": 2}}, "leave per_prompt out"),
        ("thing 1\nthing 2\nthing 3\n", {"reference": "images"}, "--reference openmoji-captions:test"),
        (
            "thing 1\nthing 2\nthing 3\n",
            {"reference": "digits"},
            "digits has no captions, so it can have no matcher",
        ),
    ],
)
def test_refusals(tmp_path: Path, prompts: str, asked: dict[str, Any], message: str) -> None:
    """One sentence each, before an image is scored."""
    folder = made(tmp_path, [1, 2, 3], prompts)
    if asked.get("reference") == "images":
        asked = {"reference": str(folder / "images")}
    with pytest.raises(InputError, match=message):
        evaluated(folder, **asked)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", ["", "end"])
def test_lines_are_those_of_an_editor(end: str, last: str, tmp_path: Path) -> None:
    """Three kinds of line ends, with or without one behind the last line and a mark before the first; what Unicode
    calls a separator within a line ends none, nor does a page break. By hand."""
    prompts = ("a cat", "two\u2028parts", "a page\x0cbreak", "next\x85line")
    file = tmp_path / "prompts.txt"
    file.write_bytes(("\ufeff" + end.join(prompts) + (end if last else "")).encode())
    assert prompted.read_prompts(file) == prompts


def test_without_a_matcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows with the reason; distances between sets stand."""

    def missing(dataset: str, device: torch.device) -> Judge:
        raise MetricFailed("no matcher of toys is at hand", status="unavailable")

    monkeypatch.setattr(prompted, "MatcherJudge", missing)
    rows = evaluated(made(tmp_path, [1, 2, 3], "thing 1\nthing 2\nthing 3\n"))
    assert rows.loc["r_precision", "reason"] == "no matcher of toys is at hand"
    assert (rows["status"] == "ok").any()


FOUR = "".join(f"thing {k}\n" for k in (4, 4, 5, 6))


@pytest.mark.usefixtures("clip")
def test_clip_score(tmp_path: Path) -> None:
    """Of the set `standard` where a CLIP is at hand: three of four images show their prompts, two of which are one
    prompt, and one does not: by definition 100 of each, and 0."""
    rows = evaluated(made(tmp_path, [4, 4, 5, 7], FOUR), metrics="standard")
    own = rows.loc["clip_score"]
    assert (own["value"], own["interval"]) == (pytest.approx(75), "95% t over prompts")
    assert (own["task"], own["extractor"], own["n_images"]) == ("text-to-image", "clip_folder", 4)
    assert {"fd_cnn_digits", "r_precision"} <= set(rows.index)
    assert "fd_clip_folder" not in rows.index


@pytest.mark.usefixtures("clip")
def test_which_clip_is_in_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights and those of the matcher stand in run.json; with others it is another record."""
    folder = made(tmp_path, [4, 4, 5, 6], FOUR)
    out = tmp_path / "runs"
    for sha256 in ("c1" * 32, "c1" * 32, "c2" * 32):
        monkeypatch.setattr(Clip, "weights_sha256", sha256)
        evaluated(folder, metrics="clip_score", out=out)
    found = [json.loads(path.read_text()) for path in sorted(out.glob("*/*/*/run.json"))]
    assert sorted(run["extractors"]["clip_folder"]["weights_sha256"] for run in found) == [
        "c1" * 32,
        "c2" * 32,
    ]
    assert found[0]["text_to_image"]["matcher"] == {"weights_sha256": Judge.weights_sha256}
    assert found[0]["text_to_image"]["prompts"] == 3


def test_without_a_clip(tmp_path: Path) -> None:
    """No row where nobody asked for it; by name one that is unavailable and says what to do."""
    folder = made(tmp_path, [4, 4, 5, 6], FOUR)
    assert "clip_score" not in evaluated(folder, metrics="standard").index
    rows = evaluated(folder, metrics="clip_score,fd")
    assert rows.loc["clip_score", "status"] == "unavailable"
    assert ENV in rows.loc["clip_score", "reason"]
    assert rows.loc["fd_cnn_digits", "status"] == "ok"


@pytest.mark.usefixtures("clip")
def test_images_without_prompts_have_no_clip_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name a failed row with the reason; among `all` none, and no CLIP is loaded for it."""
    folder = made(tmp_path, [4, 4, 5, 6], FOUR)
    rows = evaluated(folder, metrics="clip_score,fd", task=None, prompts=None)
    assert rows.loc["clip_score", "reason"] == NO_CAPTIONS

    def fail(self: Clip, device: torch.device) -> None:
        raise AssertionError("nobody asked for it")

    monkeypatch.setattr(Clip, "__init__", fail)
    assert "clip_score" not in evaluated(folder, metrics="all", task=None, prompts=None).index
