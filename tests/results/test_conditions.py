"""Rule 4 of the design: incomparable numbers refuse to be compared, and say which field differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchbench.core.errors import InputError, NothingComparable
from benchbench.results.claims.conditions import (
    CONDITIONS,
    FACTS,
    check_comparable,
    conditions_of,
    differences,
    facts_of,
)
from benchbench.results.load import load_results
from benchbench.results.manifest import RunFacts, RunManifest
from benchbench.results.record import Row
from benchbench.results.tables import to_frame

MakeRow = Callable[..., Row]
Land = Callable[..., Path]


def test_equal_conditions_compare(make_row: MakeRow) -> None:
    """Model, seed, value and cell may differ: they are compared. What only one side has is left out."""
    a = to_frame([make_row(), make_row(metric="ssim")])
    b = to_frame([make_row(model="gan", cell="b" * 16, seed=3, value=1.0), make_row(metric="psnr")])
    assert check_comparable(a, b) == [("digits", "generation", "", "fd_efficientnet_lite0")]


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("n_images", 5000, "n_images is 1000 against 5000"),
        ("n_reference", None, "n_reference is 1437 against none"),
        ("extractor", "dinov2", "extractor is efficientnet_lite0 against dinov2"),
        ("resize", "tf1-bilinear-299", "resize is bicubic-antialias-128 against tf1-bilinear-299"),
        ("precision", "bfloat16", "precision is float32 against bfloat16"),
        ("metric_version", 2, "metric_version is 1 against 2"),
        ("unit", "dB", "unit is  against dB"),
    ],
)
def test_the_field_that_differs_is_named(make_row: MakeRow, field: str, value: Any, shown: str) -> None:
    """Each column alone is enough, in either direction; the exit code is 3."""
    a, b = to_frame([make_row()]), to_frame([make_row(**{field: value})])
    with pytest.raises(
        NothingComparable, match=f"fd_efficientnet_lite0 of generation on digits: {shown}"
    ) as caught:
        check_comparable(a, b)
    assert caught.value.exit_code == 3
    with pytest.raises(NothingComparable, match=field):
        check_comparable(b, a)


RUN: dict[str, Any] = {
    "data": {"fingerprint": "a" * 64, "size": "32×32", "decoder": "pillow 12"},
    "extractors": {"efficientnet_lite0": {"weights_sha256": "c" * 64}},
    "machine": {"device": "cuda:0", "cores": 2, "load_1min": 0.5},
}


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"data": {"fingerprint": "b" * 64}}, "the reference data is aaaaaaaa against bbbbbbbb"),
        ({"data": {"size": "64×64"}}, "the size is 32×32 against 64×64"),
        ({"data": {"decoder": "pillow 11"}}, "decoder is pillow 12 against pillow 11"),
        (
            {"extractors": {"efficientnet_lite0": {"weights_sha256": "d" * 64}}},
            "the weights of the extractor is cccccccc against dddddddd",
        ),
        ({"extractors": {}}, "the weights of the extractor is cccccccc against none"),
    ],
)
def test_what_only_the_record_knows_is_a_condition_too(
    tmp_path: Path, make_row: MakeRow, land: Land, changes: dict[str, Any], shown: str
) -> None:
    """Other pixels or another size under one name, another decoder, another weights file of one extractor: run.json
    tells, and nothing in the table does."""
    other = {name: value | changes.get(name, {}) for name, value in RUN.items()} | (
        changes if "extractors" in changes else {}
    )
    tables = []
    for name, run in (("one", RUN), ("other", other)):
        land(tmp_path / name, [make_row()], dict(run))
        tables.append(load_results(tmp_path / name))
    with pytest.raises(NothingComparable) as caught:
        check_comparable(*tables)
    assert f"fd_efficientnet_lite0 of generation on digits: {shown}; run both alike" in str(caught.value)
    assert check_comparable(tables[0], tables[0])


def test_a_judge_is_a_condition_of_what_it_judged(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """A number that no network looked at has no extractor, whatever networks the run had."""
    rows = [make_row(), make_row(metric="psnr", extractor=None)]
    land(tmp_path, rows, dict(RUN))
    assert load_results(tmp_path)["extractor_weights"].fillna("none").tolist() == ["c" * 16, "none"]


def test_a_mixture_on_one_side_is_refused(make_row: MakeRow) -> None:
    """Both sides hold the same two sample counts; a mean over them would still mix two metrics."""
    both = to_frame([make_row(), make_row(n_images=5000, seed=1)])
    with pytest.raises(NothingComparable, match="n_images is 1000 and 5000 against 1000 and 5000"):
        check_comparable(both, both)


@pytest.mark.parametrize("change", [{"dataset": "mnist"}, {"task": "reconstruction"}, {"value": None}])
def test_nothing_shared_is_an_error(make_row: MakeRow, change: dict[str, Any]) -> None:
    """Another dataset, another task, or no number at all: a check that compared nothing must not pass."""
    with pytest.raises(NothingComparable, match="share no number: one has fd_efficientnet_lite0 on digits"):
        check_comparable(to_frame([make_row()]), to_frame([make_row(**change)]))


def test_a_table_without_a_column_is_refused(make_row: MakeRow) -> None:
    """A hand-made frame."""
    with pytest.raises(InputError, match=r"lacks the column.*resize"):
        check_comparable(to_frame([make_row()]).drop(columns="resize"), to_frame([make_row()]))


def test_what_a_clock_measured_needs_the_same_machine(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """A rate on two and on four cores is refused by name; FD and the number of parameters have no machine. Which
    accelerator of several, and the load, make no other machine."""
    rows = [
        make_row(),
        make_row(metric="sampling_rate", aspect="throughput"),
        make_row(metric="peak_memory_rss", aspect="cost"),
        make_row(metric="parameters_sampling", aspect="cost"),
    ]
    tables = {}
    for name, machine in {
        "two": {"device": "cuda:0", "cores": 2, "load_1min": 0.5},
        "same": {"device": "cuda:1", "cores": 2, "load_1min": 7.5},
        "four": {"device": "cuda:0", "cores": 4},
    }.items():
        land(tmp_path / name, rows, {**RUN, "machine": machine})
        tables[name] = load_results(tmp_path / name)
    assert len(check_comparable(tables["two"], tables["same"])) == 4
    with pytest.raises(NothingComparable) as caught:
        check_comparable(tables["two"], tables["four"])
    said = str(caught.value)
    assert "sampling_rate of generation on digits: machine is device cuda, device_name unknown" in said
    assert "cores 2" in said
    assert "cores 4" in said
    assert "peak_memory_rss" in said
    assert "parameters_sampling" not in said
    assert tables["two"]["machine"].isna().tolist() == [True, False, False, True]


def test_what_others_took_while_a_task_was_timed(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """By hand: 1.5 of 2 cores by the task's own row, which is about that task alone; a record without it has the load
    before the run, 3/2 a core less the one that the run itself takes; unknown cores say nothing."""
    own = {"aspect": "cost", "higher_is_better": None, "low": None, "high": None, "interval": None}
    timed = make_row(metric="machine_busy", value=1.5, **own)
    other = make_row(task="reconstruction")
    machine = {"cores": 2, "load_1min": 3.0}
    land(tmp_path / "known", [make_row(), timed, other], {"machine": machine})
    land(tmp_path / "quiet", [make_row()], {"machine": {"cores": 2, "load_1min": 0.5}})
    land(tmp_path / "unknown", [make_row(), timed], {"machine": {"load_1min": 3.0}})
    assert load_results(tmp_path / "known")["busy"].tolist() == [0.75, 0.75, 0.5]
    assert load_results(tmp_path / "quiet")["busy"].tolist() == [0.0]
    assert load_results(tmp_path / "unknown")["busy"].isna().all()


def read(said: dict[str, Any], model: str = "vae") -> RunManifest:
    """As it is read of a record that says this."""
    return RunManifest.seal(RunFacts(**said), cell="0" * 16, dataset="digits", model=model, files={})


@pytest.mark.parametrize(
    ("model", "said", "control"),
    [("vae", None, False), ("noise", None, True), ("noise", False, False), ("mine", True, True)],
)
def test_a_record_says_whether_it_is_a_control(model: str, said: bool | None, control: bool) -> None:
    """Its own word, else the names that older records have."""
    assert facts_of(read({} if said is None else {"control": said}, model))["control"] is control


def test_the_facts_of_a_record() -> None:
    """Each from where run.json has it; the alarm's words are null where it was silent."""
    facts = facts_of(read(RUN | {"collapse": {"step": 3, "words": "few classes"}}))
    assert facts.keys() >= FACTS.keys()
    assert (facts["data"], facts["size"], facts["decoder"]) == ("a" * 64, "32×32", "pillow 12")
    assert (facts["extractor_weights"], facts["busy"]) == ({"efficientnet_lite0": "c" * 16}, 0.0)
    assert facts["collapse"] == "few classes"
    assert facts_of(read({}))["collapse"] is None
    assert facts_of(read({"data": {"size": [32, 32]}}))["size"] is None


def test_a_table_of_nothing_but_rows_has_conditions_too(make_row: MakeRow) -> None:
    """What a frame that was not loaded lacks is "none", in the order of CONDITIONS."""
    (made,) = conditions_of(to_frame([make_row()]))
    assert [name for name, _ in made] == CONDITIONS
    assert dict(made)["n_images"] == "1000"
    assert dict(made)["data"] == "none"
    assert conditions_of(to_frame([])) == []


def test_conditions_may_be_mixed_in_another_way() -> None:
    """Two fields with two values each, combined otherwise: both are named with what either side has."""
    plain = dict.fromkeys(CONDITIONS, "none")

    def made(**changes: str) -> tuple[tuple[str, str], ...]:
        return tuple((plain | changes).items())

    a = [made(n_images="1", size="2"), made(n_images="3", size="4")]
    b = [made(n_images="1", size="4"), made(n_images="3", size="2")]
    assert differences(a, b) == "the size is 2 and 4 against 2 and 4, n_images is 1 and 3 against 1 and 3"
    assert differences(a[:1], b[:1]) == "the size is 2 against 4"


def test_conditions_are_text_whatever_the_dtype(make_row: MakeRow) -> None:
    """A table with gaps has floats for whole numbers: 1000.0 would be another condition than 1000."""
    frame = pd.concat([to_frame([make_row()]), to_frame([make_row(n_images=None)])])
    assert [dict(made)["n_images"] for made in conditions_of(frame)] == ["1000", "none"]
