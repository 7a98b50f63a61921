"""Records from before numbers said their scale, range and headline, and tables without the column `direction`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from benchbench.core.errors import InputError
from benchbench.core.hashing import file_sha256
from benchbench.results.claims.numbers import Asked, Unit, numbers
from benchbench.results.load import load_results
from benchbench.results.older import completed, directed
from benchbench.results.provenance import SEAL, write_run_json
from benchbench.results.record import COLUMNS, OLDER, Row
from benchbench.results.summary import summarise
from benchbench.results.tables import DTYPES, read_rows, to_frame, write_rows

MakeRow = Callable[..., Row]
ROOT = Path(__file__).parents[2]


def test_a_table_of_fewer_columns_is_read_and_completed(
    tmp_path: Path, make_row: MakeRow, land: Callable[..., Path]
) -> None:
    """As the previous version wrote it: the same file without the four last columns, its sha256 mended. FD is compared
    by ratio, a share by its arcsine, and of the two distances the first one leads."""
    metrics = (
        "fd_efficientnet_lite0",
        "fd_infinity_efficientnet_lite0",
        "precision_efficientnet_lite0",
        "fd_cnn_digits",
    )
    values = [12.5, 12.5, 0.5, 12.5]
    folder = land(
        tmp_path, [make_row(metric=name, value=value) for name, value in zip(metrics, values, strict=True)]
    )
    assert len(OLDER) == 23
    assert COLUMNS[:23] == OLDER
    path = folder / "metrics.csv"
    lines = [line.split(",")[:23] for line in path.read_text(encoding="utf-8").splitlines()]
    path.write_text("".join(",".join(line) + "\n" for line in lines), encoding="utf-8")
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    run["files"]["metrics.csv"] = file_sha256(path)
    write_run_json(folder / "run.json", {name: said for name, said in run.items() if name != SEAL})
    found = load_results(tmp_path).set_index("metric")
    assert found["scale"].tolist() == ["log", "sqrt", "arcsine", "log"]
    assert found["minimum"].fillna(-math.inf).tolist() == [0.0, -math.inf, 0.0, 0.0]
    assert found["maximum"].fillna(math.inf).tolist() == [math.inf, math.inf, 1.0, math.inf]
    assert found["headline"].tolist() == [True, False, False, False]
    assert found["value"].tolist() == values


@pytest.fixture
def translated(make_row: MakeRow) -> list[Row]:
    """A number in both directions, one that has none, and a stranger's task that only looks like one."""
    return [
        make_row(task="translation", direction="AtoB", metric="ssim", value=0.25, low=None, high=None),
        make_row(task="translation", direction="BtoA", metric="ssim", value=0.75, low=None, high=None),
        make_row(task="training", metric="training_rate"),
        make_row(task="acme_AtoB", metric="ssim"),
    ]


def without_directions(path: Path, rows: list[Row], columns: tuple[str, ...] = COLUMNS) -> Path:
    """`rows` as they were written when a direction was part of a task's name."""
    write_rows(path, rows)
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    suffix = table["direction"].map(lambda way: way and f"_{way}")
    older = table.assign(task=table["task"] + suffix)[[name for name in columns if name != "direction"]]
    older.to_csv(path, index=False, lineterminator="\n")
    return path


@pytest.mark.parametrize("columns", [COLUMNS, OLDER])
def test_a_file_without_directions_is_read(
    tmp_path: Path, translated: list[Row], columns: tuple[str, ...]
) -> None:
    """Identity: the rows that are written are those that are read from the same file in its older form; another name
    than `translation_AtoB` stays as it is. A column in another place is refused all the same."""
    path = without_directions(tmp_path / "metrics.csv", translated, columns)
    assert "translation_BtoA," in path.read_text(encoding="utf-8")
    assert read_rows(path) == translated
    write_rows(path, translated)
    moved = path.read_text(encoding="utf-8").replace("task,direction,", "direction,task,")
    path.write_text(moved, encoding="utf-8")
    with pytest.raises(InputError, match="in another order"):
        read_rows(path)


def test_a_table_that_somebody_kept_is_understood(tmp_path: Path, translated: list[Row]) -> None:
    """Read by pandas, with its defaults, from a file without directions and from one with: an empty field is a null
    there. Both give the numbers and the lines of the rows themselves."""
    path = tmp_path / "kept.csv"
    kept = []
    for write in (without_directions, write_rows):
        write(path, translated)
        table = pd.read_csv(path)
        table = table.astype({name: dtype for name, dtype in DTYPES.items() if name in table})
        kept.append(table.fillna({"variant": ""}))
    assert "direction" not in kept[0].columns
    assert kept[1]["direction"].isna().sum() == 2
    unit = Unit("digits", "vae", "")
    for table in kept:
        found = numbers(table)[unit]
        assert {asked: same[0].mean for asked, same in found.items()} == {
            Asked("acme_AtoB", "", "ssim"): 12.5,
            Asked("training", "", "training_rate"): 12.5,
            Asked("translation", "AtoB", "ssim"): 0.25,
            Asked("translation", "BtoA", "ssim"): 0.75,
        }
        lines = summarise(table)
        assert lines[["task", "direction", "value"]].to_numpy().tolist() == [
            ["acme_AtoB", "", 12.5],
            ["training", "", 12.5],
            ["translation", "AtoB", 0.25],
            ["translation", "BtoA", 0.75],
        ]


def test_a_table_with_directions_is_left_as_it_is(translated: list[Row]) -> None:
    """The same object: nothing is copied of ten thousand rows. What says its direction is believed."""
    table = to_frame(translated)
    assert directed(table) is table


@pytest.mark.parametrize(
    ("metric", "scale", "low", "high"),
    [
        ("fid", "log", 0.0, None),
        ("fid_infinity", "sqrt", None, None),
        ("kd_dino", "sqrt", None, None),
        ("density_x", "sqrt", 0.0, None),
        ("ssim", "arcsine", -1.0, 1.0),
        ("is_x", "log", 1.0, None),
        ("modes_cnn_digits", "sqrt", 0.0, None),
        ("latency_p95", "log", 0.0, None),
        ("something_else", None, None, None),
    ],
)
def test_what_older_numbers_would_have_said(
    make_row: MakeRow, metric: str, scale: str | None, low: float | None, high: float | None
) -> None:
    """By what the metric is; of a name that nobody knows nothing is made up."""
    found = completed(to_frame([make_row(metric=metric)]))
    got = [
        found[name].astype(object).where(found[name].notna(), None)[0]
        for name in ("scale", "minimum", "maximum")
    ]
    assert got == [scale, low, high]


def test_what_a_record_says_itself_stands(make_row: MakeRow) -> None:
    """One row that says its scale, though another than this page would; an older one beside it is completed and leads,
    and one of a cell that names its own headline does not."""
    new = make_row(scale="linear", minimum=-1.0, headline=False)
    old = make_row(cell="b" * 16)
    found = completed(to_frame([new, old]))
    assert found["scale"].tolist() == ["linear", "log"]
    assert found["minimum"].tolist() == [-1.0, 0.0]
    assert found["headline"].tolist() == [False, True]


def test_each_task_of_a_cell_has_its_headline(make_row: MakeRow) -> None:
    """Two tasks of one cell, distances in both, and a Gram distance where there is no other."""
    rows = [
        make_row(metric="kd_x"),
        make_row(metric="fd_x"),
        make_row(metric="fd_y"),
        make_row(metric="gram_distance_vgg", task="stylization"),
        make_row(metric="psnr", task="reconstruction"),
    ]
    assert completed(to_frame(rows))["headline"].tolist() == [False, True, False, True, False]


def test_each_direction_of_a_cell_has_its_headline(make_row: MakeRow) -> None:
    """Of an older cell with distances in both directions, the first of each."""
    rows = [
        make_row(task="translation", direction=way, metric=metric)
        for way in ("AtoB", "BtoA")
        for metric in ("fd_x", "fd_y")
    ]
    assert completed(to_frame(rows))["headline"].tolist() == [True, False, True, False]


def test_every_published_number_has_a_scale_on_which_it_is_possible() -> None:
    """The store beside the package: each number that is tested has a scale (but PSNR, a logarithm already, that is
    compared as it is), lies within its range, and where it is compared by ratio is not negative; every cell with a
    distance has one headline a task. 1e-9 is rounding of shares."""
    rows = load_results(ROOT / "results")
    numbers = rows[(rows["status"] == "ok") & rows["higher_is_better"].notna()]
    assert len(numbers) > 1000
    assert set(numbers.loc[numbers["scale"].isna(), "metric"]) <= {"psnr"}
    value = numbers["value"]
    assert ((value >= numbers["minimum"] - 1e-9) | numbers["minimum"].isna()).all()
    assert ((value <= numbers["maximum"] + 1e-9) | numbers["maximum"].isna()).all()
    assert (value[numbers["scale"] == "log"] >= 0).all()
    assert rows[rows["headline"]].groupby(["cell", "task", "direction"]).size().eq(1).all()


def test_what_restates_another_number_by_name(make_row: MakeRow) -> None:
    """Of records from before they said so: what stands beside fd, kd and is; a record that says is left alone."""
    beside = ["fd_infinity_efficientnet_lite0", "fid_infinity", "kid_subsets", "inception_score_one_split"]
    rows = [make_row(metric=metric) for metric in (*beside, "fd_efficientnet_lite0", "kid")]
    rows.append(make_row(metric="acme_infinity", gated=True))
    assert completed(to_frame(rows))["gated"].tolist() == [False] * 4 + [True] * 3
