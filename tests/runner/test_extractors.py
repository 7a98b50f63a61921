"""Which extractors a cell reads where nobody says so, each loaded once; and what run.json states of judges and data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchbench.core.registry import MODELS, Registry
from benchbench.core.runtime import Runtime
from benchbench.data.catalogue import load_dataset, load_domains
from benchbench.data.dataset import Dataset
from benchbench.features.networks.cnn import CNN
from benchbench.features.networks.efficientnet_lite0 import EfficientNetLite0
from benchbench.metrics.select import select_metrics
from benchbench.runner.describe import CONTROLS, describe_data, is_control
from benchbench.runner.extractors import (
    Chosen,
    ExtractorLoader,
    choose_extractors,
    enlarged_notes,
    load_chosen,
    load_extractors,
)
from benchbench.runner.plan import Desk, Plan, make_plans
from benchbench.runner.spec import CellSpec

CPU = torch.device("cpu")
LOAD = ExtractorLoader(CPU)
LITE = "efficientnet_lite0"


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return replace(load_dataset("digits"), extractor="cnn_digits", native=8)


@pytest.mark.costly
def test_the_judge_of_the_dataset_leads(digits: Dataset) -> None:
    """Its judge first and the general network second; points and stacked sets have no class of ImageNet, so their judge
    alone; without a judge, without a dataset, and for two domains the general network. What was asked for stands."""
    assert choose_extractors(None, digits, LOAD).names == ["cnn_digits", LITE]
    assert choose_extractors(None, digits, LOAD).own == "cnn_digits"
    points = replace(digits, name="ring8", extractor="modes_ring8", classes=tuple("abcdefgh"))
    assert choose_extractors(None, points, LOAD).names == ["modes_ring8"]
    assert choose_extractors(None, replace(digits, extractor=None), LOAD).names == [LITE]
    assert choose_extractors(None, None, LOAD) == Chosen([LITE])
    assert choose_extractors(None, load_domains("photographs", size=32), LOAD).names == [LITE]
    assert choose_extractors(["vgg16"], digits, LOAD) == Chosen(["vgg16"], classes=("digits", 10))


def test_a_judge_that_is_not_at_hand_is_told(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The general network stands in under its own name, and the note names both and the reason; metrics on classes are
    left out, but for those that were named."""
    monkeypatch.setenv("BENCHBENCH_CNN_DIGITS_WEIGHTS", str(tmp_path / "nowhere"))
    load = ExtractorLoader(CPU)
    chosen = choose_extractors(None, digits, load)
    assert chosen.names == [LITE]
    (note,) = chosen.notes
    assert "cnn_digits, which is not here; these numbers are on efficientnet_lite0" in note
    assert "nowhere, which is not a file" in note
    metrics = select_metrics(["fd", "modes"], chosen.names, chosen.own)
    kept, judges = load_chosen(metrics, chosen, set(), load, "float32")
    assert [metric.name for metric in kept] == [f"fd_{LITE}"]
    assert not judges.failures
    kept, judges = load_chosen(metrics, chosen, {"modes_cnn_digits"}, load, "float32")
    assert [metric.name for metric in kept] == [f"fd_{LITE}", "modes_cnn_digits"]
    assert set(judges.failures) == {"cnn_digits"}


def plan(**options: Any) -> Plan:
    spec = CellSpec.of(model="noise", dataset="digits", **{"samples": 16, **options})
    (found,) = make_plans(spec, [0], Desk(Runtime()))
    return found


def test_each_extractor_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge of the dataset is that of its classes too; to know that it is at hand it is loaded, and not again."""
    loaded: list[str] = []
    for network in (CNN.of("digits"), EfficientNetLite0):
        original = network.__init__

        def counted(self: Any, *args: Any, original: Any = original, **options: Any) -> None:
            loaded.append(self.name)
            original(self, *args, **options)

        monkeypatch.setattr(network, "__init__", counted)
    found = plan()
    assert sorted(loaded) == ["cnn_digits", LITE]
    assert list(found.ranked_on) == ["cnn_digits", LITE]
    names = [metric.name for metric in found.metrics]
    assert {"fd_cnn_digits", f"fd_{LITE}", "modes_cnn_digits"} <= set(names)
    assert len(names) == len(set(names))


def test_a_judge_of_another_number_of_classes_counts_as_not_at_hand(digits: Dataset) -> None:
    """Ten classes on a dataset of two: asked for, its rows are unavailable with the reason; by default another network
    stands in. On another dataset it is a network like any other."""
    two = replace(digits, classes=("even", "odd"))
    asked = choose_extractors(["cnn:digits", "cnn_digits"], two, LOAD)
    assert asked.names == ["cnn_digits"]
    _, judges = load_chosen(select_metrics(["fd"], asked.names), asked, (), LOAD, "float32")
    assert "cnn_digits tells 10 classes apart, and digits has 2" in judges.failures["cnn_digits"].reason
    assert choose_extractors(None, two, LOAD).names == [LITE]
    stranger = choose_extractors(["cnn:digits"], replace(two, name="parity"), LOAD)
    _, judges = load_chosen(select_metrics(["fd"], stranger.names), stranger, (), LOAD, "float32")
    assert list(judges.loaded) == ["cnn_digits"]


def test_the_judge_that_nobody_named_stays_float32() -> None:
    """As it did for metrics on classes alone; one that was asked for computes in what was asked for."""
    found = plan(precision="bfloat16", metrics=["fd"])
    precisions = {metric.name: found.extractors.precision(metric) for metric in found.metrics}
    assert precisions == {"fd_cnn_digits": "float32", f"fd_{LITE}": "bfloat16"}
    named = plan(precision="bfloat16", metrics=["fd"], extractors=["cnn_digits"])
    assert [named.extractors.precision(metric) for metric in named.metrics] == ["bfloat16"]


@pytest.mark.costly
def test_extractors_that_are_asked_for_make_the_same_cell() -> None:
    """The key holds metrics and networks, not how they came about: the judge of points that is the default now is the
    one that had to be named before."""
    bare, named = (
        make_plans(
            CellSpec(model="noise", dataset="ring8", samples=16, extractors=asked), [0], Desk(Runtime())
        )[0]
        for asked in (None, ["modes_ring8"])
    )
    assert bare.key == named.key


def test_what_an_extractor_sees_beyond_the_pictures_is_noted(digits: Dataset) -> None:
    """128 pixels a side of pictures that hold 8: 16 times as many; 32 against 8 is more than twice too. Where the
    dataset states no resolution there is nothing to say."""
    judges = load_extractors(select_metrics(["fd"], ["cnn_digits", LITE]), LOAD)
    notes = enlarged_notes(digits, judges)
    assert [note.split()[0] for note in notes] == ["cnn_digits", LITE]
    assert "16 times as many a side as these 8×8" in notes[1]
    assert enlarged_notes(replace(digits, native=None), judges) == []
    assert enlarged_notes(replace(digits, native=64), judges) == []
    assert enlarged_notes(None, judges) == []
    assert plan(metrics=["fd"]).notes == notes


def test_control_rows_are_told_apart_from_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours are those of models/controls.py, the identity, the kernels that edit and independent pixels, no more; a
    plugin's model says it of itself, as these do."""
    ours = {name for name in MODELS.names() if MODELS.get(name).__module__ == "benchbench.models.controls"}
    assert ours | {"identity"} == CONTROLS
    edits = {"edit-nearest", "edit-bilinear", "edit-bicubic"}
    assert {name for name in MODELS.names() if is_control(name)} == CONTROLS | edits | {"independent-pixels"}
    theirs = type("Theirs", (), {"control": True})
    monkeypatch.setattr(Registry, "get", lambda self, name: theirs)
    assert is_control("theirs")


@pytest.mark.costly
def test_data_states_its_size_and_what_decoded_it(digits: Dataset) -> None:
    """Width × height of the images as they are, of two domains too; a decoder where the source knows it."""
    stated = describe_data(digits, ["beside"])
    assert (stated["size"], stated["notes"]) == ("32×32", [*digits.notes, "beside"])
    assert "decoder" not in stated
    assert describe_data(replace(digits, source={"decoder": "libjpeg 9"}))["decoder"] == "libjpeg 9"
    wide = replace(digits, train=replace(digits.train, images=digits.train.images[..., :20, :]))
    assert describe_data(wide)["size"] == "32×20"
    assert describe_data(load_domains("photographs", size=48))["size"] == "48×48"


def test_what_a_metric_brings_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its weights are not at hand the metric goes, and nothing is said to have failed; one that was named stays,
    as unavailable."""
    monkeypatch.delenv("BENCHBENCH_CLIP_FOLDER_WEIGHTS", raising=False)
    metrics = select_metrics(["clip_score", "fd"], ["cnn_digits"])
    for named, families, failed in (
        (set(), ["fd"], []),
        ({"clip_score"}, ["clip_score", "fd"], ["clip_folder"]),
    ):
        kept, loaded = load_chosen(metrics, Chosen(["cnn_digits"]), named, LOAD, "float32")
        assert [metric.family for metric in kept] == families
        assert (list(loaded.loaded), list(loaded.failures)) == (["cnn_digits"], failed)
