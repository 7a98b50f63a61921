"""The same images and weights give the numbers that they gave before the house was rebuilt: two cells of every task.

`fixtures/before-rebuild` holds the numbers, made by the code of that time, and says how. What has another name, another
version or came later is listed here with its reason. A number that is neither the same nor in a list fails.
"""

from __future__ import annotations

import csv
import functools
import json
import platform
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from math import log
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from benchbench.results.load import load_results
from benchbench.results.manifest import RunManifest
from benchbench.results.provenance import read_manifest
from benchbench.runner.run import run_cells

ROOT = Path(__file__).parents[2]
BEFORE = ROOT / "tests" / "fixtures" / "before-rebuild"
CELLS: dict[str, dict[str, Any]] = tomllib.loads((BEFORE / "cells.toml").read_text(encoding="utf-8"))
FACTS: dict[str, Any] = json.loads((BEFORE / "facts.json").read_text(encoding="utf-8"))
# The records from which the weights come that ship today for these cells.
PUBLISHED = {"vae-digits": "digits/vae/80cf44dd136533e2", "dcgan-digits": "digits/dcgan/6bc4ffb49ccbdb0a"}

# The long ones; the other cells go through the same code.
SLOW = ("vae-digits", "dcgan-digits", "lineart-colorizer-openmoji-lines")

# Facts about the clock and the process; not of the images.
OF_THE_MACHINE = {"machine_load", "machine_busy", "peak_memory_rss"}
RENAMED = {
    # All parameters of the model; those that take part in making an image came beside them (63f39df).
    "parameters": "parameters_training",
}
VERSIONS = {
    "class_kl": (1, 2),  # less its bias (2733358): `less_bias` takes it from the older number
    "authenticity": (1, 2),  # a tie is a copy (2733358); there is no tie in these cells, so the number stays
}
LATER = {
    "duplicate_excess",  # duplicates beyond those among real images (2733358)
    "precision_k3",  # k = 3 as it was published, beside our k = 5 (2733358)
    "recall_k3",
    "clipped_density",  # beside density and coverage, RKE, the real side and the ratio: metrics that came later
    "clipped_coverage",
    "rke",
    "vendi_real",
    "rke_real",
    "effective_rank",
    "fd_ratio",
    "fd_ratio_mean",
    "sym_precision",  # and these, against outliers and what many dimensions do to balls
    "sym_recall",
    "p_precision",
    "p_recall",
    "fld",  # held-out images under a density around generated ones
    "fld_gap",
    *("vif", "gmsd", "fsim", "dists", "niqe"),  # measures of image quality (issue 19)
    "parameters_sampling",  # see RENAMED
    "network_evaluations",  # b4bfe4a
}
# Means of whole numbers: classes, neighbours, right answers. `density` sums them in another order today, 2e-16 away.
COUNTS = {
    "accuracy", "authenticity", "conditional_accuracy", "coverage", "density", "duplicate_excess", "duplicate_rate",
    "modes", "precision", "recall",
}  # fmt: skip

COMPUTED_BY = {
    "torch": torch.__version__.partition("+")[0],
    "machine": platform.machine(),
    "instructions": torch.backends.cpu.get_cpu_capability(),
}
# float32 sums depend on the order in which a CPU adds. With the torch and the instructions of before all numbers are
# equal in every bit but the last of `density`, and within 2e-7 on two threads: at 1e-6 a changed computation shows.
# With AVX2 in place of AVX-512 some of them move, the most by 3e-5 (`pose_error`) or, near 0, by 5e-8
# (`cycle_growth_rounded`), so another torch or CPU is held to 1e-3 and 1e-6, and a count to three images.
SAME = FACTS["computed_by"] == COMPUTED_BY
RELATIVE, NEAR_ZERO = (1e-6, 1e-12) if SAME else (1e-3, 1e-6)

Name = tuple[str, str, str]
"""Task, direction ("" where there is none) and metric."""


class Number(NamedTuple):
    """What is compared of a row: `value` is None where it is not "ok", numbers of images where there are none."""

    value: float | None
    status: str
    n_images: int | None
    n_reference: int | None
    version: int


class Rescored(NamedTuple):
    """What today's code makes of a cell."""

    rows: dict[Name, dict[str, Any]]
    run: RunManifest


def rows_of(record: Path) -> dict[Name, dict[str, Any]]:
    """The rows of a record that are of its images and not of clock and machine; what has no content is None."""
    table = load_results(record)
    table = table[(table["aspect"] != "throughput") & ~table["metric"].isin(OF_THE_MACHINE)]
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return {(row["task"], row["direction"] or "", row["metric"]): row for row in rows}


def number(row: dict[str, Any]) -> Number:
    """The part of a row that is compared."""
    return Number(*(row[name] for name in ("value", "status", "n_images", "n_reference", "metric_version")))


def family(metric: str) -> str:
    """The metric without its extractor, or its extractors: `fd_ratio_mean_2_a_and_b`."""
    if metric.startswith("fd_ratio_mean"):
        return "fd_ratio_mean"
    for extractor in ("_efficientnet_lite0", "_cnn_digits", "_cnn_openmoji-tones"):
        metric = metric.removesuffix(extractor)
    return metric


def numbers_of_before(cell: str) -> dict[Name, Number]:
    """As the old code wrote them, by today's names: a direction was part of the task, `translation_AtoB` (0ef2192)."""

    def whole(text: str) -> int | None:
        return int(text) if text else None

    found = {}
    with (BEFORE / f"{cell}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            task, _, direction = row["task"].partition("_")
            value = float(row["value"]) if row["value"] else None
            counts = whole(row["n_images"]), whole(row["n_reference"])
            name = (task, direction, RENAMED.get(row["metric"], row["metric"]))
            found[name] = Number(value, row["status"], *counts, int(row["metric_version"]))
    return found


@functools.cache
def rescored(cell: str, *, shipped: bool = False) -> Rescored:
    """Score the cell with today's code; its weights are loaded, nothing is trained. shipped: those that ship today."""
    options = dict(CELLS[cell])
    if shipped:
        options.pop("weights", None)
        options["pretrained"] = True
    if "weights" in options:
        options["weights"] = ROOT / options["weights"]
    with tempfile.TemporaryDirectory() as out:
        ((path, _),) = run_cells(**options, out=out, device="cpu")
        return Rescored(rows_of(path), read_manifest(path / "run.json"))


def fingerprints(data: dict[str, Any]) -> Iterator[str]:
    """All that stand in the part `data` of a record, at whatever depth."""
    for name, held in data.items():
        if isinstance(held, dict):
            yield from fingerprints(held)
        elif name == "fingerprint":
            yield held


def less_bias(kl: float, run: RunManifest) -> float:
    """`class_kl` of version 2 from that of version 1, by hand from the images in each class: Σ p ln p/q is the older,
    and (K − 1)/2N + (Σ p/q − 1)/2M is taken off for the K classes of N generated and M real images (Miller 1955)."""
    assert run.classes is not None
    assert run.classes.reference is not None
    n, m = sum(run.classes.generated), sum(run.classes.reference)
    counts = zip(run.classes.generated, run.classes.reference, strict=True)
    shares = [(a / n, b / m) for a, b in counts if a]
    assert kl == pytest.approx(sum(p * log(p / q) for p, q in shares), rel=RELATIVE if SAME else 0.05)
    return kl - (len(shares) - 1) / (2 * n) - (sum(p / q for p, q in shares) - 1) / (2 * m)


def equal(name: Name, before: Number, value: float | None) -> bool:
    """Whether a number is that of before, as the tolerances above say."""
    if before.value is None or value is None:
        return before.value is value
    if family(name[2]) in COUNTS:
        slack = 1e-12 if SAME else 3 / (before.n_images or 1)
        return bool(value == pytest.approx(before.value, rel=1e-12, abs=slack))
    return bool(value == pytest.approx(before.value, rel=RELATIVE, abs=NEAR_ZERO))


def differences(before: dict[Name, Number], today: Rescored) -> list[str]:
    """A line for each number of before that is gone or another one, and for each of today that is in no list."""
    found = [f"{name} is new" for name in today.rows if name not in before and family(name[2]) not in LATER]
    for name, old in before.items():
        if name not in today.rows:
            found.append(f"{name} is gone; it was {old}")
            continue
        if old.status == "unavailable":
            continue  # for want of weights, which were not on that machine and may be on this one; there is no number
        new, kind = number(today.rows[name]), family(name[2])
        if kind in VERSIONS and (old.version, new.version) == VERSIONS[kind]:
            old = old._replace(version=new.version)
        if kind == "class_kl" and old.value is not None:
            old = old._replace(value=less_bias(old.value, today.run))
        if not equal(name, old, new.value) or new._replace(value=old.value) != old:
            found.append(f"{name} was {old} and is {new}")
    return found


@pytest.mark.parametrize(
    "task", ["generation", "reconstruction", "translation", "stylization", "classification"]
)
def test_each_task_has_two_cells(task: str) -> None:
    """What was asked for: two cells a task, each with numbers of its images and not of the network's size alone."""
    sizes = {"parameters_training", "flops_per_image"}
    held = {(cell, name[0]) for cell in CELLS for name in numbers_of_before(cell) if name[2] not in sizes}
    assert len([cell for cell, asked in held if asked == task]) == 2


def slow_ones(cells: Iterable[str]) -> list[Any]:
    """Cells as parameters of a test, those of a minute marked."""
    return [pytest.param(cell, marks=pytest.mark.slow) if cell in SLOW else cell for cell in cells]


@pytest.mark.costly
@pytest.mark.parametrize("cell", slow_ones(CELLS))
def test_numbers_are_those_of_before(cell: str) -> None:
    """Expected: what the code of before the rebuilding made of the same images (fingerprints) and weights (sha256)."""
    today, facts = rescored(cell), FACTS["cells"][cell]
    assert sorted(fingerprints(today.run.model_dump()["data"])) == facts["images"], (
        "other images were decoded"
    )
    assert today.run.weights_loaded_sha256 == facts["weights"]
    assert differences(numbers_of_before(cell), today) == []


@pytest.mark.costly
@pytest.mark.parametrize("cell", slow_ones(PUBLISHED))
def test_numbers_are_those_of_the_published_record(cell: str) -> None:
    """Expected: the record in `results/` from which the weights come. Versions are those of today, and what an interval
    is and its ends are compared as well."""
    published, today = rows_of(ROOT / "results" / PUBLISHED[cell]), rescored(cell, shipped=True).rows
    assert len(published) > 20
    for name, row in published.items():
        again, old = today[name], number(row)
        assert number(again)._replace(value=None) == old._replace(value=None), name
        assert (again["interval"], again["extractor"]) == (row["interval"], row["extractor"]), name
        for end in ("value", "low", "high"):
            assert equal(name, old._replace(value=row[end]), again[end]), (name, end, row[end], again[end])
