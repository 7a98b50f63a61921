"""The script for minutes on a GPU: its sections cannot harm each other, a plain checkout is enough, and nothing is
left out of its lists."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import io
import json
import math
import os
import pkgutil
import sys
import time
import tomllib
from pathlib import Path
from types import ModuleType

import gpu
import numpy as np
import pytest
import torch
from gpu_sections import prepare as preparing
from gpu_sections.carried import (
    IMAGES,
    ROOT,
    STAND_INS,
    _StandIn,
    _StandIns,
    images_of,
    stood_in,
    write_metadata,
)
from gpu_sections.child import Bench, Settings
from gpu_sections.draws import DrawnOnCPU
from gpu_sections.harness import Section, run_sections
from gpu_sections.metric_checks import NEEDS, compare, difference
from gpu_sections.metric_table import CALLS, LEFT_OUT
from gpu_sections.networks import RANDOMLY
from gpu_sections.recipes import trainable_models
from gpu_sections.rows import Report, Row, row
from gpu_sections.tools import CPU
from gpu_sections.train import RESERVE, TimeIsUpError, Until
from PIL import Image

import benchbench.metrics
from benchbench.core.registry import EXTRACTORS, METRICS, MODELS
from benchbench.features.networks.inception_v3 import InceptionV3


def toy(name: str, seconds: float = 30.0) -> Section:
    return Section(name, f"toy_sections:{name}", seconds, seconds)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path, list[str]]:
    """All toy sections in one run: the report, its folder, and what was said. `gpu.json` is read whenever something is
    said, so it was whole each time."""
    folder = tmp_path_factory.mktemp("gpu")
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        json.loads((folder / "gpu.json").read_text(encoding="utf-8"))

    sections = [
        toy("good"),
        toy("raises"),
        toy("sleeps", 2.0),
        toy("dies"),
        toy("skips"),
        toy("prints"),
        Section("train", "toy_sections:prints", 0, 0),
    ]
    report = Report({"device": "a toy"})
    run_sections(sections, Settings("cpu", True, folder), report, folder, seconds=90, say=say, preload=())
    return report, folder, said


@pytest.mark.costly
def test_sections_do_not_harm_each_other(ran: tuple[Report, Path, list[str]]) -> None:
    """Each ends in its own way, with its reason, and what it had said before stays."""
    report, folder, _ = ran
    ends = {s["section"]: (s["status"], s["reason"], len(s["rows"])) for s in report.sections}
    assert ends == {
        "good": ("ok", "", 6),
        "raises": ("failed", "RuntimeError: it broke", 1),
        "sleeps": ("timeout", "not done after 2 s", 1),
        "dies": ("failed", "its process ended with exit code 7", 1),
        "skips": ("skipped", "no device", 0),
        "prints": ("ok", "", 0),
        "train": ("ok", "", 0),
    }
    assert json.loads((folder / "gpu.json").read_text(encoding="utf-8"))["sections"] == report.sections
    assert (folder / "logs" / "prints.log").read_text(encoding="utf-8") == "to stdout\nto stderr\n"
    assert "RuntimeError: it broke" in (folder / "logs" / "raises.log").read_text(encoding="utf-8")


@pytest.mark.costly
def test_what_a_killed_section_started_is_killed(ran: tuple[Report, Path, list[str]]) -> None:
    """The child of the section that slept is gone with it (or nobody's any more and about to be buried)."""
    (sleeping,) = (s for s in ran[0].sections if s["section"] == "sleeps")
    assert sleeping["seconds"] < 10
    pid = int(sleeping["rows"][0]["value"])
    status = Path(f"/proc/{pid}/status")
    for _ in range(50):
        if not status.exists() or "State:\tZ" in status.read_text(encoding="utf-8"):
            return
        time.sleep(0.1)
    os.kill(pid, 9)
    pytest.fail("the child of a killed section lives")


@pytest.mark.costly
def test_what_is_broken_decides(ran: tuple[Report, Path, list[str]]) -> None:
    """Failed checks, what is no number, what went wrong, and sections that did not end by themselves; not what was
    skipped, nor a target that was missed."""
    assert ran[0].broken == [
        "good: far",
        "good: not a number",
        "good: broken",
        "raises: failed (RuntimeError: it broke)",
        "sleeps: timeout (not done after 2 s)",
        "dies: failed (its process ended with exit code 7)",
    ]


@pytest.mark.costly
def test_tables(ran: tuple[Report, Path, list[str]]) -> None:
    """Every row is in gpu.md in one line, whatever a reason holds; gpu.json has no NaN."""
    _, folder, _ = ran
    text = (folder / "gpu.md").read_text(encoding="utf-8")
    assert "| good | close | 0.1 | ≤ 0.5 |  | yes |  |" in text
    assert "| good | far | 0.7 | ≤ 0.5 |  | **NO** | too far |" in text
    assert "| good | rate | 12,346 images/s | 20,000 images/s | 25% |  |  |" in text
    assert "| good | broken |  |  |  | **NO** | ValueError: of its own |" in text
    assert "| good | absent |  |  |  | skipped | not here |" in text
    assert "| good | not a number |  | ≤ 0.5 |  | **NO** | value is nan |" in text
    assert "NaN" not in (folder / "gpu.json").read_text(encoding="utf-8")


def test_no_time_left(tmp_path: Path) -> None:
    """What comes after the time is up is skipped and says so."""
    report = Report({})
    run_sections(
        [toy("good")],
        Settings("cpu", True, tmp_path),
        report,
        tmp_path,
        seconds=0.5,
        say=lambda text: None,
        preload=(),
    )
    assert report.sections[0]["status"] == "skipped"
    assert report.broken == ["nothing was run"]
    assert row("x", "skip")["ok"] is None


@pytest.mark.costly
def test_limits() -> None:
    """The sections take eight minutes at most, and every one is there to be run."""
    assert sum(section.seconds for section in gpu.SECTIONS) <= 480
    for section in gpu.SECTIONS:
        module, function = section.run.split(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_entry_points_of_a_plain_checkout(tmp_path: Path) -> None:
    """What is written for a checkout that nobody installed says what pyproject.toml says."""
    write_metadata(ROOT / "pyproject.toml", tmp_path)
    (found,) = importlib.metadata.distributions(path=[str(tmp_path)])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (found.metadata["Name"], found.version) == (project["name"], project["version"])
    for group, entries in project["entry-points"].items():
        assert {entry.name: entry.value for entry in found.entry_points.select(group=group)} == entries
    assert next(iter(found.entry_points.select(group="console_scripts"))).value == "benchbench.cli:main"


def test_stand_ins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package that is not there imports, whatever is taken from it; packages that are there are left alone."""
    finder = _StandIns()
    assert all(finder.find_spec(name) is not None for name in STAND_INS)
    assert finder.find_spec("torch") is None
    assert finder.find_spec("matplotlib.figure") is not None
    stand_in = _StandIn("matplotlib")
    assert not isinstance(3, stand_in.types.Table)
    picture = tmp_path / "picture.png"
    stand_in.figure.Figure(figsize=(1, 1)).savefig(picture, format="png")
    assert picture.read_bytes() == b""
    assert not hasattr(stand_in, "__path_of_nothing__")
    monkeypatch.setitem(sys.modules, "matplotlib", stand_in)
    assert stood_in() == ["matplotlib"]


def test_images_that_travelled(tmp_path: Path) -> None:
    """Files go in as they are and come out decoded, in their order, with their labels; where none went in, None."""
    assert images_of(None, "cifar10_train", 3) is None
    assert images_of(tmp_path, "cifar10_train", 3) is None
    pictures = [np.full((4, 5, 3), shade, np.uint8) for shade in (10, 20, 30)]
    files = []
    for picture in pictures:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "png")
        files.append(buffer.getvalue())
    np.savez(
        tmp_path / IMAGES,
        cifar10_train_bytes=np.frombuffer(b"".join(files), np.uint8),
        cifar10_train_ends=np.cumsum([len(file) for file in files]).astype(np.int32),
        cifar10_train_labels=np.array([3, 1, 2], np.uint8),
    )
    found = images_of(tmp_path, "cifar10_train", 2)
    assert found is not None
    assert found[0].shape == (2, 3, 4, 5)
    assert found[0][:, 0, 0, 0].tolist() == [10, 20]
    assert found[1].tolist() == [3, 1]
    assert images_of(tmp_path, "mnist_train", 2) is None


def test_no_more_travels_than_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too much is refused in a sentence."""
    monkeypatch.setattr(preparing, "MOST", 1000)
    monkeypatch.setattr(
        preparing, "_download", lambda wheels, *rest: (wheels / "a.whl").write_bytes(bytes(2000))
    )
    with pytest.raises(ValueError, match=r"the wheels alone are 0\.0 MB; say --without"):
        preparing.prepare(tmp_path, "3.12")


def metric_modules() -> dict[str, ModuleType]:
    """The modules of the room, of every wing, by the last part of their names."""
    names = [info.name for info in pkgutil.walk_packages(benchbench.metrics.__path__, "benchbench.metrics.")]
    return {name.rpartition(".")[2]: importlib.import_module(name) for name in names}


def public_functions() -> set[str]:
    """The functions of `benchbench.metrics` that read tensors, as "module.function"."""
    found = set()
    for module in metric_modules().values():
        for name, function in inspect.getmembers(module, inspect.isfunction):
            own = function.__module__ == module.__name__ and not name.startswith("_")
            parameters = inspect.signature(function).parameters.values()
            if own and any(
                kind in str(p.annotation) for p in parameters for kind in ("Tensor", "ArrayLike", "Side")
            ):
                found.add(f"{module.__name__.rpartition('.')[2]}.{name}")
    return found


def test_every_metric_function_is_checked() -> None:
    """A function that reads tensors is called on both devices, or the table says why not."""
    assert not public_functions() - CALLS.keys() - LEFT_OUT.keys()
    assert not CALLS.keys() & LEFT_OUT.keys()
    modules = metric_modules()
    for name in [*CALLS, *LEFT_OUT]:
        module, function = name.split(".")
        assert callable(getattr(modules[module], function)), name


def test_every_metric_has_its_evidence(tmp_path: Path) -> None:
    """What the script makes up is enough for every registered metric: each has a value, or its weights are missing."""
    found: list[Row] = []
    bench = Bench(Settings("cpu", True, tmp_path), math.inf, found.append)
    for name in METRICS.names():
        with bench.item(name):
            compare(bench, name, max(60, NEEDS.get(name, 0)), 12, CPU)
    assert [entry for entry in found if entry["ok"] is False] == []


@pytest.mark.costly
def test_every_extractor_can_be_made() -> None:
    """From what ships, or from random weights; of DINOv2 there is no code without a download."""
    for name in EXTRACTORS.names():
        kind = EXTRACTORS.get(name)
        needs_weights = hasattr(kind, "weights") or name == "cnn_cifar10"
        if needs_weights and not issubclass(kind, InceptionV3) and not name.startswith("dinov2"):
            assert name in RANDOMLY, f"gpu_sections.networks cannot make {name} without a download"


@pytest.mark.costly
def test_every_trainable_model_is_there() -> None:
    """Models without a recipe are those that learn nothing."""
    others = set(MODELS.names()) - set(trainable_models())
    classical = {
        name
        for name in others
        if MODELS.get(name).__module__.endswith((".interpolation", ".classical", ".filling", ".resampling"))
    }
    assert len(classical) == 15
    assert others - classical == {
        "collapsed", "degraded", "identity", "independent-pixels", "memorizer", "noise", "nst", "real",
    }  # fmt: skip


def test_training_stops_at_a_checkpoint(tmp_path: Path) -> None:
    """Time that is up between two checkpoints ends nothing; at the next one it does, or it would be lost."""
    bench = Bench(Settings("cpu", True, tmp_path), time.monotonic() + RESERVE, lambda row: None)
    until = Until(bench, every=3)
    with until.stage("training", 100, "step", done=4) as stage:
        stage.advance(1, loss=0.5)
        with pytest.raises(TimeIsUpError):
            stage.advance(1)
    assert (until.first, until.step, until.loss) == (4, 6, 0.5)
    patient = Until(Bench(bench.settings, time.monotonic() + 1000, bench.send), every=3)
    for _ in range(6):
        patient.advance()


def test_difference() -> None:
    """Relative to the largest number of a part; infinite where the parts are not the same."""
    assert difference({"a": torch.tensor([1.0, 4.0]), "b": 2}, {"a": torch.tensor([1.0, 4.4]), "b": 2}) == (
        pytest.approx(0.1)
    )
    assert difference([1.0, float("nan")], [1.0, float("nan")]) == 0
    assert difference([float("inf")], [float("inf")]) == 0
    assert difference([1.0], [float("nan")]) == float("inf")
    assert difference([1.0, 2.0], [1.0]) == float("inf")


def test_draws_come_from_one_generator() -> None:
    """Inside the mode numbers are those of the processor's generator; dropout keeps the mean and its share."""
    torch.manual_seed(5)
    expected = torch.randn(3), torch.rand(2, 2), torch.randint(9, (4,)), torch.empty(3).normal_(2.0)
    torch.manual_seed(5)
    with DrawnOnCPU():
        drawn = torch.randn(3), torch.rand(2, 2), torch.randint(9, (4,)), torch.empty(3).normal_(2.0)
        like = torch.randn_like(torch.ones(5))
        kept = torch.nn.functional.dropout(torch.ones(10_000), 0.25)
    assert all(torch.equal(a, b) for a, b in zip(expected, drawn, strict=True))
    assert like.shape == (5,)
    # Six standard deviations of a share of 10,000.
    assert abs(float((kept == 0).float().mean()) - 0.25) < 6 * (0.25 * 0.75 / 10_000) ** 0.5
    assert kept.unique().tolist() == pytest.approx([0, 1 / 0.75])
