"""Rule 4 of the design: incomparable numbers refuse to be compared, and say which field differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchbench.core.errors import InputError, NothingComparable
from benchbench.results.compare import check_comparable, comparable, with_fingerprints
from benchbench.results.load import load_results, load_runs
from benchbench.results.record import Row
from benchbench.results.tables import to_frame

MakeRow = Callable[..., Row]


def test_equal_protocols_compare(make_row: MakeRow) -> None:
    """Model, seed, value and cell may differ: they are compared. What only one side has is left out."""
    a = to_frame([make_row(), make_row(metric="ssim")])
    b = to_frame([make_row(model="gan", cell="b" * 16, seed=3, value=1.0), make_row(metric="psnr")])
    assert check_comparable(a, b) == [("digits", "generation", "fd_efficientnet_lite0")]


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("n_images", 5000, "n_images is 1000 against 5000"),
        ("n_reference", None, "n_reference is 1437 against none"),
        ("extractor", "dinov2", "extractor is efficientnet_lite0 against dinov2"),
        ("resize", "tf1-bilinear-299", "resize is bicubic-antialias-128 against tf1-bilinear-299"),
        ("precision", "bfloat16", "precision is float32 against bfloat16"),
        ("metric_version", 2, "metric_version is 1 against 2"),
    ],
)
def test_the_field_that_differs_is_named(make_row: MakeRow, field: str, value: Any, shown: str) -> None:
    """Each field of the protocol alone is enough, in either direction; the exit code is 3."""
    a, b = to_frame([make_row()]), to_frame([make_row(**{field: value})])
    with pytest.raises(
        NothingComparable, match=f"fd_efficientnet_lite0 of generation on digits: {shown}"
    ) as caught:
        check_comparable(a, b)
    assert caught.value.exit_code == 3
    with pytest.raises(NothingComparable, match=field):
        check_comparable(b, a)


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


def test_another_reference_is_refused(tmp_path: Path, make_row: MakeRow, land: Callable[..., Path]) -> None:
    """Same dataset name, other pixels (a re-encoding): the fingerprint in run.json tells."""
    tables = []
    for name in ("ab", "cd"):
        land(tmp_path / name, [make_row()], {"data": {"fingerprint": name * 32}})
        tables.append(with_fingerprints(load_results(tmp_path / name), load_runs(tmp_path / name)))
    with pytest.raises(NothingComparable, match=r"data.fingerprint is abab.* against cdcd"):
        check_comparable(*tables)
    assert check_comparable(tables[0], tables[0])
    with pytest.raises(InputError, match=r"lacks the column\(s\) data.fingerprint"):
        check_comparable(tables[0], to_frame([make_row()]))


def test_records_without_a_fingerprint_are_named(
    tmp_path: Path, make_row: MakeRow, land: Callable[..., Path]
) -> None:
    """Silence there would compare numbers that may have other references."""
    land(tmp_path, [make_row()])
    with pytest.raises(InputError, match=r"do not state data.fingerprint"):
        with_fingerprints(load_results(tmp_path), load_runs(tmp_path))


def test_a_table_without_a_column_is_refused(make_row: MakeRow) -> None:
    """A hand-made frame."""
    with pytest.raises(InputError, match=r"lacks the column.*resize"):
        check_comparable(to_frame([make_row()]).drop(columns="resize"), to_frame([make_row()]))


def test_what_a_clock_measured_needs_the_same_machine(
    tmp_path: Path, make_row: MakeRow, land: Callable[..., Path]
) -> None:
    """A rate on two and on four cores is refused by name; FD and the number of parameters are compared all the same.
    Which accelerator of several, and a table with gaps (floats for whole numbers), make no other machine."""
    rows = [
        make_row(),
        make_row(metric="sampling_rate", aspect="throughput"),
        make_row(metric="parameters", aspect="cost"),
    ]
    tables = []
    for name, machine in {
        "two": {"device": "cuda:0", "cores": 2, "load_1min": 0.5},
        "same": {"device": "cuda:1", "cores": 2, "load_1min": 7.5},
        "four": {"device": "cuda:0", "cores": 4},
    }.items():
        run = {"data": {"fingerprint": "x"}, "machine": machine}
        land(tmp_path / name, rows, run)
        if name == "same":  # a second record that states no machine
            land(tmp_path / name, [make_row(cell="b" * 16, dataset="mnist")], {"data": {"fingerprint": "y"}})
        tables.append(with_fingerprints(load_results(tmp_path / name), load_runs(tmp_path / name)))
    two, same, four = tables
    shared, refused = comparable(two, four)
    assert [metric for *_, metric in shared] == ["fd_efficientnet_lite0", "parameters"]
    ((question, why),) = refused.items()
    assert question == ("digits", "generation", "sampling_rate")
    assert "machine is device cuda, device_name unknown, processor unknown, cores 2" in why
    assert len(check_comparable(two, same)) == 3
