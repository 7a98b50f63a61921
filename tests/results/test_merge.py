"""Stores of two machines as one: what is copied, what is refused before anything is, and what a join never touches.

Cells are written through the store; numbers are by hand.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from benchbench.core.errors import Disagreement, InputError
from benchbench.core.hashing import file_sha256
from benchbench.results.agree import difference
from benchbench.results.load import load_failures, load_results
from benchbench.results.merge import merge_stores
from benchbench.results.provenance import sealed
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.verify import verify_records

MakeRow = Callable[..., Row]
Land = Callable[..., Path]
ONE, TWO = "ab" * 8, "cd" * 8


@pytest.fixture
def stores(tmp_path: Path, make_row: MakeRow, land: Land) -> tuple[Path, Path]:
    """A has seeds 0 and 1 of a model, B seed 1 and, of another model, seed 0."""
    a, b = tmp_path / "a", tmp_path / "b"
    for root, model, seed, cell in (
        (a, "vae", 0, ONE),
        (a, "vae", 1, TWO),
        (b, "vae", 1, TWO),
        (b, "gan", 0, "ef" * 8),
    ):
        land(root, [make_row(model=model, seed=seed, cell=cell, value=10.0 + seed)])
    return a, b


def everything(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_two_stores_are_one(stores: tuple[Path, Path], tmp_path: Path) -> None:
    """Three cells, byte for byte those of the first store that has them; again it does nothing; both stores are as they
    were."""
    before = [everything(root) for root in stores]
    found = merge_stores(stores, tmp_path / "c")
    assert (len(found.copied), found.there, found.agreeing) == (3, [], [TWO])
    assert everything(tmp_path / "c") == before[1] | before[0]
    assert len(load_results(tmp_path / "c")) == 3
    again = merge_stores(stores, tmp_path / "c")
    assert (again.copied, len(again.there)) == ([], 3)
    assert [everything(root) for root in stores] == before


def test_a_store_may_take_in_another(stores: tuple[Path, Path]) -> None:
    """A and B into A: only what A lacks is copied, by one source alone as well."""
    a, b = stores
    kept = everything(a)
    assert merge_stores([b], a).copied == ["ef" * 8]
    assert everything(a).items() >= kept.items()
    assert merge_stores([a, b], a).copied == []


def test_cells_that_disagree_are_named(
    stores: tuple[Path, Path], tmp_path: Path, make_row: MakeRow, land: Land
) -> None:
    """11 against 11.02 are 0.18% apart: more than 0.1%, less than 1%. Nothing is written, not even the folder."""
    other = tmp_path / "other"
    land(other, [make_row(model="vae", seed=1, cell=TWO, value=11.02)])
    with pytest.raises(
        Disagreement, match=rf"1 cell .*{TWO} \(vae on digits.*fd_efficientnet_lite0 is 11 and 11.02 \(0.18%"
    ):
        merge_stores([stores[0], other], tmp_path / "c")
    assert not (tmp_path / "c").exists()
    assert merge_stores([stores[0], other], tmp_path / "c", 0.01).agreeing == [TWO]
    assert sorted(load_results(tmp_path / "c")["value"]) == [10.0, 11.0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"low": 12.4, "high": 12.6}, r"has the interval \[11, 14\] and \[12.4, 12.6\]"),
        (
            {"low": None, "high": None, "interval": None},
            r"has interval '95% bootstrap' and none, has the interval",
        ),
        ({"n_images": 100_000}, "has n_images 1000 and 100000"),
        ({"n_reference": 1438}, "has n_reference 1437 and 1438"),
        ({"resize": "none"}, "has resize 'bicubic-antialias-128' and 'none'"),
        ({"higher_is_better": True}, "has higher_is_better False and True"),
        ({"aspect": "throughput"}, "has aspect 'quality' and 'throughput'"),
    ],
)
def test_a_number_is_more_than_its_value(
    changes: dict[str, object], said: str, tmp_path: Path, make_row: MakeRow, land: Land
) -> None:
    """The same value on other images, read otherwise, or with an interval that no rounding makes of the other."""
    land(tmp_path / "a", [make_row(cell=ONE)])
    land(tmp_path / "b", [make_row(cell=ONE, **changes)])
    with pytest.raises(Disagreement, match=said):
        merge_stores([tmp_path / "a", tmp_path / "b"], tmp_path / "c")


def test_intervals_within_the_tolerance(make_row: MakeRow) -> None:
    """Ends may move by 0.1% of 14, which is 0.014, and of a narrow interval the width by a tenth: [12.49, 12.51]
    against [12.495, 12.505] is half as wide, though its ends moved by 0.005."""
    assert difference(make_row(), make_row(low=11.013, high=14.013)) is None
    assert difference(make_row(), make_row(low=11.02)) == "has the interval [11, 14] and [11.02, 14]"
    narrow = make_row(low=12.49, high=12.51)
    assert difference(narrow, make_row(low=12.4895, high=12.5105)) is None
    assert difference(narrow, make_row(low=12.495, high=12.505)) is not None
    assert difference(make_row(), make_row(low=11.0001), 0.0) is not None


def test_clocks_do_not_disagree(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """A rate is of the machine; a number that one record lacks, or that failed in it, is another answer."""
    rate = {"metric": "sampling_rate", "aspect": "throughput", "extractor": None}
    rows = [make_row(cell=ONE), make_row(cell=ONE, **rate, value=100.0)]
    land(tmp_path / "a", rows)
    land(tmp_path / "b", [rows[0], make_row(cell=ONE, **rate, value=250.0)])
    assert merge_stores([tmp_path / "a", tmp_path / "b"], tmp_path / "c").agreeing == [ONE]
    land(tmp_path / "d", [make_row(cell=ONE, value=None)])
    land(tmp_path / "e", [make_row(cell=ONE), make_row(cell=ONE, metric="kd")])
    for root, said in (("d", "12.5 and failed"), ("e", "kd is only in the second")):
        with pytest.raises(Disagreement, match=said):
            merge_stores([tmp_path / "a", tmp_path / root], tmp_path / "f")


def test_every_fault_is_said_and_nothing_written(stores: tuple[Path, Path], tmp_path: Path) -> None:
    """A number that was changed, and a record of an older schema, whose way out is to migrate it."""
    a, b = stores
    table = a / "digits" / "vae" / ONE / "metrics.csv"
    table.write_text(table.read_text().replace("10.0", "9.0"))
    run = b / "digits" / "vae" / TWO / "run.json"
    run.write_text(json.dumps(sealed({**json.loads(run.read_text()), "schema_version": 1})))
    with pytest.raises(
        InputError, match=r"nothing was written: .*metrics.csv is not what.*benchbench migrate"
    ):
        merge_stores(stores, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_one_within_the_other_is_refused(stores: tuple[Path, Path], tmp_path: Path) -> None:
    """It would hold every cell twice; what is no folder is refused as well."""
    for sources, into in (([stores[0]], stores[0] / "c"), ([tmp_path], stores[1])):
        with pytest.raises(InputError, match="within each other"):
            merge_stores(sources, into)
    with pytest.raises(InputError, match="there is no folder"):
        merge_stores([tmp_path / "nowhere"], tmp_path / "c")


def test_a_fuller_copy_is_taken(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """Of one record twice, once published without its picture, the one with it; line ends become what they were."""
    folder = land(tmp_path / "a", [make_row(cell=ONE)])
    (folder / "samples.png").write_bytes(b"png")
    run = json.loads((folder / "run.json").read_text())
    run["files"]["samples.png"] = file_sha256(folder / "samples.png")
    (folder / "run.json").write_text(json.dumps(sealed(run)))
    written = (folder / "metrics.csv").read_bytes()
    place = tmp_path / "b" / "digits" / "vae" / ONE
    place.mkdir(parents=True)
    (place / "run.json").write_bytes((folder / "run.json").read_bytes())
    (place / "metrics.csv").write_bytes(written.replace(b"\n", b"\r\n"))
    merge_stores([tmp_path / "b", tmp_path / "a"], tmp_path / "c")
    assert everything(tmp_path / "c") == everything(tmp_path / "a")
    merge_stores([tmp_path / "b"], tmp_path / "d")
    copied = everything(tmp_path / "d")
    assert copied[f"digits/vae/{ONE}/metrics.csv"] == written
    assert len(copied) == 2


def test_failed_cells_come_along(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """Until somebody has the cell: then why it failed elsewhere is no news."""
    for root, key in (("a", ONE), ("b", TWO)):
        Store(tmp_path / root).record_failure(
            "digits", "vae", key, {"seed": 0, "reason": "the loss is no number"}
        )
    land(tmp_path / "b", [make_row(cell=ONE)])
    assert merge_stores([tmp_path / "a", tmp_path / "b"], tmp_path / "c").failures == 1
    assert load_failures(tmp_path / "c")["cell"].tolist() == [TWO]
    land(tmp_path / "d", [make_row(cell=TWO)])
    merge_stores([tmp_path / "d"], tmp_path / "c")
    assert load_failures(tmp_path / "c").empty
    assert sorted(load_results(tmp_path / "c")["cell"]) == [ONE, TWO]


def test_hostile_files(stores: tuple[Path, Path], tmp_path: Path) -> None:
    """A pipe in place of a table is said and not waited for; a model's name that climbs stays below the store."""
    table = stores[0] / "digits" / "vae" / ONE / "metrics.csv"
    table.unlink()
    os.mkfifo(table)
    with pytest.raises(InputError, match="is a pipe"):
        merge_stores(stores, tmp_path / "c")
    run = stores[1] / "digits" / "vae" / TWO / "run.json"
    table = run.with_name("metrics.csv")
    table.write_text(table.read_text().replace(",vae,", ",../../../up,"))
    climbing = {**json.loads(run.read_text()), "model": "../../../up"}
    climbing["files"]["metrics.csv"] = file_sha256(table)
    run.write_text(json.dumps(sealed(climbing)))
    merge_stores([stores[1]], tmp_path / "c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_whatever_is_wrong_is_found(stores: tuple[Path, Path], tmp_path: Path) -> None:
    """`verify_records`: all faults and not the first; what is no record and hidden files are nobody's, and pictures may
    be gone."""
    a, b = stores
    assert verify_records([a, b]).faults == [
        f"the same cell is in {a / 'digits/vae' / TWO} and in {b / 'digits/vae' / TWO}; read the two folders one by "
        "one or delete one"
    ]
    (a / "digits" / "vae" / ONE / ".DS_Store").write_text("x")
    assert verify_records([a]).faults == []
    (a / "digits" / "vae" / ONE / "evil.py").write_text("x")
    (a / "digits" / "vae" / TWO).rename(a / "digits" / "vae" / ("12" * 8))
    found = verify_records([a])
    assert found.records == []
    assert len(found.faults) == 2
    assert "evil.py is no file that run.json lists" in found.faults[1]
    assert f"belongs to the cell {TWO}" in found.faults[0]


SHARE = {"metric": "recall_cnn_digits", "scale": "arcsine", "minimum": 0.0, "maximum": 1.0, "value": 0.5}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"value": -3.0}, "row 2: fd_efficientnet_lite0 is -3, and cannot be below 0"),
        (SHARE | {"value": 1.5, "low": 0.2, "high": 0.9}, "is 1.5, and cannot be above 1"),
        ({"low": 14.0, "high": 11.0}, "is 12.5, with an interval from 14 down to 11"),
        ({"value": 9.0, "interval": "95% delta"}, r"is 9, outside its interval [11, 14] (95% delta)"),
    ],
)
def test_what_no_metric_gives(
    changes: dict[str, object], said: str, tmp_path: Path, make_row: MakeRow, land: Land
) -> None:
    """A distance is 0 or more, of a record that doesn't say so too, and a share 1 or less. No join takes such a row."""
    land(tmp_path / "a", [make_row(cell=ONE, **changes)])
    (fault,) = verify_records([tmp_path / "a"]).faults
    assert said in fault
    with pytest.raises(InputError, match="nothing was written"):
        merge_stores([tmp_path / "a"], tmp_path / "b")


def test_what_metrics_may_give(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """Percentiles beside the value of an estimator with a bias; a sum that rounding carried beyond the end; a squared
    distance without a bias, which may be negative."""
    share = SHARE | {"value": 1 + 1e-9, "low": 0.9, "high": 1.0, "interval": "95% Wilson over images"}
    kd = {"metric": "kd_efficientnet_lite0", "value": -0.1, "low": -0.2, "high": 0.1}
    land(tmp_path, [make_row(cell=ONE, value=9.0), make_row(cell=ONE, **share), make_row(cell=ONE, **kd)])
    assert verify_records([tmp_path]).faults == []


def test_a_model_that_its_owner_named(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """`--name` is what rows call the model, and run.json has both: such a record is whole. Rows of any other name are
    not."""
    folder = land(tmp_path / "a", [make_row(cell=ONE, model="Ours")], {"name": "Ours"})
    assert verify_records([tmp_path / "a"]).faults == []
    land(tmp_path / "b", [make_row(cell=ONE, model="vae")], {"name": "Ours"})
    (fault,) = verify_records([tmp_path / "b"]).faults
    assert "has 'vae' as the model of row 2, and run.json says 'Ours'" in fault
    assert folder.parent.name == "Ours"


@pytest.mark.parametrize(("name", "other"), [("model", "gan"), ("dataset", "mnist"), ("seed", 7)])
def test_rows_of_another_run(name: str, other: object, tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """run.json says once whose numbers these are; a row that says otherwise is named."""
    land(tmp_path, [make_row(cell=ONE), make_row(cell=ONE, metric="kd", **{name: other})], {"seed": 0})
    (fault,) = verify_records([tmp_path]).faults
    assert f"has {other!r} as the {name} of row 3, and run.json says" in fault
