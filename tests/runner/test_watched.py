"""Conditional and watched runs from command to record, with a small painter that is asked for classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from noted import Notes
from pydantic import BaseModel, Field
from safetensors.torch import load_file
from torch import Tensor, nn

import benchbench
from benchbench.cli import cli
from benchbench.core.errors import InputError
from benchbench.core.images import quantize
from benchbench.core.protocols import Batch, ImageSpec
from benchbench.core.registry import MODELS, Registry
from benchbench.core.seeds import ImageRng
from benchbench.data.builtin.digits import Digits
from benchbench.features.networks.cnn import CNN
from benchbench.results.manifest import Machine, RunFacts
from benchbench.results.provenance import read_run_json, sealed, write_run_json
from benchbench.results.words import mode_words
from benchbench.runner.monitor import Panel
from benchbench.runner.run import run_cells
from benchbench.runner.trained import _busy_by_load, read_training
from benchbench.tasks.generation import labels_like
from benchbench.training.watch import scans
from benchbench.training.watch.alarm import Collapse

pytestmark = pytest.mark.costly


class Painter(nn.Module):
    """One picture a class, learned by squared error, and a little noise on it."""

    reference: ClassVar[str] = "none"

    class Config(BaseModel, extra="forbid", frozen=True):
        """Whether labels are looked at."""

        conditional: bool = Field(default=True, description="paint what was asked for")

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config, self.conditional = config, config.conditional
        self.pictures = nn.Parameter(torch.zeros(spec.n_classes, spec.channels, spec.height, spec.width))
        self.unused = nn.BatchNorm2d(3)  # as a discriminator's: no part of what is painted

    def sample(self, n: int, rng: ImageRng, labels: Tensor | None = None) -> Tensor:
        noise = 0.05 * rng.normal(*self.pictures.shape[1:])
        if labels is None or not self.conditional:
            labels = rng.integers(len(self.pictures))
        return quantize(self.pictures[labels] + noise)

    def players(self) -> Mapping[str, nn.Module]:
        return {"painter": self}

    def turns(self, step: int) -> Sequence[str]:
        return ("painter",)

    def loss(self, player: str, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        assert batch.labels is not None
        return (self.pictures[batch.labels] - batch.x).square().mean(), {}


@pytest.fixture(autouse=True)
def _painter(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = Registry._entries
    painter = EntryPoint("painter", f"{__name__}:Painter", MODELS.group)

    def with_painter(self: Registry) -> dict[str, EntryPoint]:
        return entries(self) | ({"painter": painter} if self.kind == "model" else {})

    monkeypatch.setattr(Registry, "_entries", with_painter)


CLASSES: dict[str, Any] = {
    "metrics": ["conditional_accuracy", "modes", "class_kl"],
    "device": "cpu",
    "overrides": ["steps=40", "batch_size=64", "lr=0.05"],
}


def run(out: Path, *overrides: str, **options: Any) -> tuple[Path, dict[str, Any]]:
    """The record of one painter, and its run.json."""
    settings = {**CLASSES, **options, "overrides": [*CLASSES["overrides"], *overrides]}
    ((path, _),) = run_cells("painter", "digits", out=out, **settings)
    return path, read_run_json(path / "run.json")


def weights(path: Path, name: str = "weights") -> Tensor:
    return load_file(path / f"{name}.safetensors")["pictures"]


def test_a_conditional_run_asks_for_the_training_distribution(tmp_path: Path) -> None:
    """898 samples, as many as training images, are asked to be of exactly their classes. The accuracy in the record
    is that of the saved weights, painted and classified here by hand; without naming an extractor the judge is the
    digits' own. A picture of every class is there after 40 steps, so all ten are covered and nearly all are right."""
    path, described = run(tmp_path)
    rows = benchbench.load_results(path).set_index("metric")
    data = Digits().load()
    assert data.train.labels is not None
    model = Painter(Painter.Config(), data.spec)
    model.load_state_dict(load_file(path / "weights.safetensors"))
    asked = labels_like(data.train.labels, 0, 898)
    assert torch.equal(asked.bincount(), data.train.labels.bincount())
    judge = CNN.of("digits")()
    with torch.inference_mode():
        seen = judge(model.sample(898, ImageRng(0, range(898)), asked)).logits
    assert seen is not None
    right = float((seen.argmax(1) == asked).double().mean())
    assert rows.loc["conditional_accuracy_cnn_digits", "value"] == pytest.approx(right, abs=1e-12)
    assert right > 0.8
    assert rows.loc["modes_cnn_digits", "value"] == 10
    with np.load(path / "samples.npz") as kept:
        assert np.array_equal(kept["labels"], asked[:256].numpy())
        with torch.inference_mode():
            drawn = model.sample(256, ImageRng(0, range(256)), asked[:256])
        assert np.array_equal(kept["images"], drawn.permute(0, 2, 3, 1).numpy())
    protocol = {"ema": 0, "batch_norm": None, "labels": "training distribution", "checkpoint": "last"}
    assert described["protocol"].items() >= {**protocol, "precision": "fp32"}.items()
    assert described["training"]["selected_on"] is None
    classes = described["classes"]
    assert classes["judge"] == "cnn_digits"
    assert classes["names"] == list("0123456789")
    assert classes["generated"] == seen.argmax(1).bincount(minlength=10).tolist()
    assert sum(classes["reference"]) == 898
    assert (described["status"], described["collapse"], described["monitor"]) == ("finished", None, None)


def test_nobody_asks_an_unconditional_model(tmp_path: Path) -> None:
    """The same model told not to look at labels: the row of the accuracy that was named says why it has no number;
    nothing about labels in its protocol; its weight average is stated."""
    path, described = run(tmp_path, "conditional=false", "ema_decay=0.5")
    rows = benchbench.load_results(path).set_index("metric")
    assert rows.loc["modes_cnn_digits", "status"] == "ok"
    assert rows.loc["conditional_accuracy_cnn_digits", "status"] == "failed"
    assert (
        rows.loc["conditional_accuracy_cnn_digits", "reason"]
        == "this needs a model that is asked for classes"
    )
    assert described["protocol"]["labels"] is None
    assert described["protocol"]["ema"] == 0.5


def test_looking_changes_no_weight(tmp_path: Path) -> None:
    """With a look every 8 steps and without: equal weights, and the same cell, since no number differs. A look has
    its columns in curves.csv (steps 8, 16 and the end, 20), and run.json says who looked. A plan that looks does not
    take the weights of a training that nobody watched, but a plan that does not look takes any."""
    plain, unwatched = run(tmp_path / "plain", "steps=20")
    watched, described = run(tmp_path / "watched", "steps=20", "monitor_every=8")
    assert plain.name == watched.name
    assert torch.equal(weights(plain), weights(watched))
    curves = pd.read_csv(watched / "curves.csv")
    looks = curves[curves["monitor_distance"].notna()]
    assert looks["step"].tolist() == [8, 16, 20]
    assert looks[["monitor_modes", "monitor_recall", "monitor_duplicate_rate"]].notna().all(axis=None)
    seen = described["monitor"]
    assert [seen[name] for name in ("every", "judge", "n_samples", "n_reference")] == [
        8,
        "cnn_digits",
        898,
        898,
    ]
    assert unwatched["monitor"] is None

    watch = {"metrics": ["modes"]}
    trained_again, looked = run(tmp_path / "plain", "steps=20", "monitor_every=8", **watch)
    assert looked["monitor"] == seen
    assert "monitor_distance" in pd.read_csv(trained_again / "curves.csv")
    _, reused = run(tmp_path / "watched", "steps=20", **watch)
    assert reused["monitor"] == seen


def test_a_record_that_nobody_watched_says_so(tmp_path: Path) -> None:
    """It answers a watched request too, for its numbers are the same; one note says what it lacks."""
    first, _ = run(tmp_path)
    progress = Notes()
    again, _ = run(tmp_path, "monitor_every=7", progress=progress)
    assert again == first
    assert [note for note in progress.said if "without a monitor" in note]


@pytest.fixture
def _alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The alarm goes off at the second look whatever it saw; the distance is the step, so the first look is best."""

    def collapse_at(curves: Sequence[Mapping[str, float]], planned: int) -> Collapse | None:
        step = int(curves[-1]["step"])
        return Collapse(step, "fall", "coverage fell from 0.9 to 0.2") if step >= 20 else None

    monkeypatch.setattr(scans, "collapse_at", collapse_at)
    monkeypatch.setattr(Panel, "panel", lambda self, model, step: {"monitor_distance": float(step)})


@pytest.mark.usefixtures("_alarm")
def test_a_run_that_the_alarm_ended_is_marked(tmp_path: Path) -> None:
    """Stopped at step 20 of 40: status and words in run.json, real numbers of the weights at 20 (they equal those of a
    training of 20 steps), and the best ones, of step 10, beside them. The record of the same training with other
    metrics has all of it too."""
    path, described = run(tmp_path / "a", "monitor_every=10", "on_collapse=stop")
    assert described["status"] == "collapsed"
    assert described["collapse"] == {"step": 20, "rule": "fall", "words": "coverage fell from 0.9 to 0.2"}
    assert (described["training"]["n_steps"], described["training"]["best_step"]) == (20, 10)
    assert benchbench.load_results(path)["status"].eq("ok").all()
    for steps, name in ((20, "weights"), (10, "best")):
        shorter, _ = run(tmp_path / name, f"steps={steps}")
        assert torch.equal(weights(path, name), weights(shorter))
    assert "where training was stopped: coverage fell" in mode_words(
        RunFacts(**described), benchbench.load_results(path)
    )

    again, reread = run(tmp_path / "a", "monitor_every=10", "on_collapse=stop", metrics=["modes"])
    assert again != path
    assert reread["training"] == described["training"]
    assert (reread["status"], reread["collapse"], reread["monitor"]) == (
        "collapsed",
        described["collapse"],
        described["monitor"],
    )
    for name in ("curves.csv", "training.png", "weights.safetensors", "best.safetensors"):
        assert reread["files"][name] == described["files"][name]


@pytest.mark.usefixtures("_alarm")
def test_a_warned_run_goes_on_and_the_best_can_be_handed_out(tmp_path: Path) -> None:
    """Warned at 20, trained to 40, not marked. With checkpoint=best the weights are those of step 10 alone, in a cell
    of its own whose protocol says so, and of a training on the 674 images that are left of 898: not those of step 10
    of the other."""
    warned, described = run(tmp_path / "a", "monitor_every=10")
    assert (described["status"], described["collapse"]["step"]) == ("finished", 20)
    assert described["training"]["n_steps"] == 40
    best, chosen = run(tmp_path / "a", "monitor_every=10", "checkpoint=best")
    assert best != warned
    assert chosen["protocol"]["checkpoint"] == "best"
    assert not (best / "best.safetensors").exists()
    assert chosen["training"]["selected_on"] == "validation, 224 of 898 training images"
    assert chosen["training"]["best_step"] == 10
    assert chosen["monitor"]["distance_to"] == 224
    assert not torch.equal(weights(best), weights(warned, "best"))


def test_reused_weights_are_judged_by_the_present_alarm(tmp_path: Path) -> None:
    """A cell says that nothing was amiss, but its curves are those of a painter of one class: read again, the last of
    five looks says so. One whose alarm was a false one has none; one whose alarm ended the training keeps it."""
    path, described = run(tmp_path, "monitor_every=8")
    file = path / "curves.csv"
    curves = pd.read_csv(file).assign(
        monitor_duplicate_rate=0.0
    )  # a painter of ten pictures does repeat itself
    curves.to_csv(file, index=False)
    looks = curves["monitor_distance"].notna()
    assert looks.sum() == 5
    assert read_training(path).collapse is None
    false = {"step": 8, "rule": "fall", "words": "a false alarm"}
    told = described | {"collapse": false, "training": described["training"] | {"collapse": false}}
    write_run_json(path / "run.json", sealed(told))
    assert read_training(path).collapse is None

    sick = curves.assign(monitor_modes=1.0, monitor_class_kl=2.3)
    sick.loc[looks, "monitor_distance"] = [5.0, 9.0, 2.0, 5.0, 9.0]
    sick.to_csv(file, index=False)
    found = read_training(path).collapse
    assert found is not None
    assert (found["step"], found["rule"]) == (40, "never")
    write_run_json(path / "run.json", sealed(told | {"status": "collapsed"}))
    assert read_training(path).collapse == false


def test_the_command_takes_the_two_settings(tmp_path: Path) -> None:
    """They are training settings under names of their own; after the table the record is put into words."""
    line = "run --model painter --dataset digits --set steps=4 --metrics modes --device cpu --monitor-every 2"
    done = CliRunner().invoke(cli, [*line.split(), "--on-collapse", "stop", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    (path,) = tmp_path.rglob("run.json")
    described = read_run_json(path)
    training = described["recipe"]["training"]
    assert (training["monitor_every"], training["on_collapse"]) == (2, "stop")
    words = mode_words(RunFacts(**described), benchbench.load_results(tmp_path))
    assert words.startswith("covered ")
    assert words in done.output


def test_a_judge_that_is_not_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the weights of digits' own classifier a set leaves the metrics on classes out, with one note; a metric
    that was named is a row that says how to get them."""
    monkeypatch.setenv("BENCHBENCH_CNN_DIGITS_WEIGHTS", str(tmp_path / "nowhere"))
    progress = Notes()
    options: dict[str, Any] = {"samples": 16, "device": "cpu", "progress": progress, "out": tmp_path / "out"}
    ((path, _),) = run_cells("noise", "digits", metrics=["standard"], **options)
    rows = benchbench.load_results(path)
    assert set(rows["extractor"].dropna()) == {"efficientnet_lite0"}
    assert "unavailable" not in set(rows["status"])
    assert len([note for note in progress.said if "metrics on classes are left out" in note]) == 1
    assert read_run_json(path / "run.json")["classes"] is None

    ((path, _),) = run_cells("noise", "digits", metrics=["standard", "modes"], **options)
    rows = benchbench.load_results(path).set_index("metric")
    assert rows.loc["modes_cnn_digits", "status"] == "unavailable"
    assert "class_kl_cnn_digits" not in rows.index


def test_a_judge_that_nobody_named_computes_in_float32(tmp_path: Path) -> None:
    """bfloat16 is asked of the networks; the dataset's own judge, which is there unasked, stays in float32, and the
    rows say what each computed in."""
    options: dict[str, Any] = {"samples": 16, "device": "cpu", "precision": "bfloat16", "out": tmp_path}
    ((path, _),) = run_cells("noise", "digits", metrics=["fd", "modes"], **options)
    rows = benchbench.load_results(path).set_index("metric")
    assert rows.loc["fd_efficientnet_lite0", "precision"] == "bfloat16"
    assert rows.loc["fd_cnn_digits", "precision"] == "float32"
    assert rows.loc["modes_cnn_digits", "precision"] == "float32"


def test_what_is_named_is_all_that_is_read(tmp_path: Path) -> None:
    """--extractor keeps its meaning: nothing else reads, so there are no classes; asked for by name they are
    refused."""
    options: dict[str, Any] = {"samples": 16, "device": "cpu", "out": tmp_path}
    named = {**options, "extractors": ["efficientnet_lite0"]}
    ((path, _),) = run_cells("noise", "digits", metrics=["is", "standard"], **named)
    assert set(benchbench.load_results(path)["extractor"].dropna()) == {"efficientnet_lite0"}
    with pytest.raises(InputError, match="modes is not defined on efficientnet_lite0"):
        run_cells("noise", "digits", metrics=["modes"], **named)
    ((path, _),) = run_cells("noise", "digits", metrics=["modes"], **options)
    assert benchbench.load_results(path)["extractor"].dropna().tolist() == ["cnn_digits"]


def test_a_classifier_draws_nothing_to_look_at(tmp_path: Path) -> None:
    """Refused before anything is trained."""
    with pytest.raises(InputError, match=r"'cnn' draws no images from noise, .*; leave monitor_every at 0"):
        run_cells("cnn", "digits", out=tmp_path, device="cpu", overrides=["monitor_every=5"])


def test_others_keep_no_more_cores_busy_than_there_are() -> None:
    """A training from before anybody measured it, on 2 cores under a load of 9.2, of 2.5 and of 1: by hand 9.2 / 2 − 1
    is 3.6 machines, which is all of one; 0.25 machines are half a core; and one process alone leaves nothing."""
    for load, cores in ((9.2, 2.0), (2.5, 0.5), (1.0, 0.0)):
        assert _busy_by_load(Machine(cores=2, load_1min=load)) == cores
    assert _busy_by_load(Machine()) is None
