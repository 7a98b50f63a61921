"""How long a large store takes to read: ten models on ten datasets, as many seeds as it needs.

    python benchmarks/store.py --records 10000

Records are written by the store's own code, with the columns, protocols and run.json of a real evaluation and random
values; every hundredth lacks its Fréchet distance, so that models differ in their seeds. fsync is left out while
they are written. The first line reads all records and keeps what it read (`results.kept`); what follows finds it, as
every command does from the second on. Commands are whole ones, from the start of the interpreter to its end.

Processor seconds, user and system, of one thread: wall times mean nothing on a machine that others use. Beside each its
ratio to ten million additions in a loop of the same interpreter, a moment before, which compares machines and loads.

10,000 records of 20 numbers on two cores of an EPYC on which two programs wanted to run, pandas 3.1. Before readings
were kept and boards were made by columns every load took 8.3 s, the boards 8.8 s and a check, beside its loads, 6.5 s.

    load_results, for the first time                10.3 s    35.3
    load_results, again                              0.6 s     2.1
    load_runs                                        2.3 s     8.3
    boards as markdown, of the table                 2.3 s     7.9
    an interpreter that imports benchbench.cli       0.1 s     0.3
    benchbench leaderboard                           2.7 s     9.1
    benchbench check, both sides this large          2.8 s     9.4
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import numpy as np
import torch

from benchbench.core.device import describe_machine
from benchbench.core.hashing import digest
from benchbench.results.kept import SETTLED
from benchbench.results.load import load_results, load_runs
from benchbench.results.manifest import RunFacts
from benchbench.results.provenance import collect_provenance
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import write_rows
from benchbench.views.leaderboard import leaderboard

MODELS, DATASETS = 10, 10
SHARES = ("coverage", "precision", "recall", "duplicate_rate", "authenticity")  # at most 1
T = TypeVar("T")

JUDGE = {"extractor": "efficientnet_lite0", "resize": "bicubic-antialias-128", "precision": "float32"}
NO_JUDGE = {"extractor": None, "resize": None, "precision": None}
# metric, aspect, unit, higher is better, kind of interval, reference images
METRICS: tuple[tuple[str, str, str, bool | None, str | None, int | None], ...] = (
    ("coverage_efficientnet_lite0", "diversity", "", True, "95% Wilson over real images", 2000),
    ("density_efficientnet_lite0", "quality", "", True, "95% normal over generated images", 2000),
    ("fd_efficientnet_lite0", "quality", "", False, "95% delta", 50000),
    ("is_efficientnet_lite0", "quality", "", True, "95% t over 10 splits", None),
    ("kd_efficientnet_lite0", "quality", "", False, "95% u-statistic", 2000),
    ("kd_subsets_efficientnet_lite0", "quality", "", False, None, 2000),
    ("precision_efficientnet_lite0", "quality", "", True, "95% Wilson over generated images", 2000),
    ("recall_efficientnet_lite0", "diversity", "", True, "95% Wilson over real images", 2000),
    ("vendi_efficientnet_lite0", "diversity", "", True, None, None),
    ("ndb_efficientnet_lite0", "mode_collapse", "", False, None, 50000),
    ("duplicate_rate_efficientnet_lite0", "mode_collapse", "", False, None, None),
    ("authenticity_efficientnet_lite0", "memorization", "", True, "95% Wilson over generated images", 50000),
    ("swd", "quality", "", False, "95% t over projections", 2000),
    ("training_rate", "throughput", "images/s", True, None, None),
    ("sampling_rate", "throughput", "images/s", True, "range of 5 repeats", None),
    ("latency_p50", "throughput", "ms", False, None, None),
    ("parameters_sampling", "cost", "", False, None, None),
    ("flops_per_image", "cost", "FLOP", False, None, None),
    ("peak_memory_rss", "cost", "MiB", False, None, None),
    ("machine_load", "cost", "runnable processes", None, None, None),
)


def rows(cell: str, model: int, dataset: int, seed: int, rng: np.random.Generator) -> Iterator[Row]:
    """The numbers of one cell; models differ by more than their seeds do."""
    values = 10 + model + rng.normal(size=len(METRICS))
    for value, (name, aspect, unit, better, interval, n_reference) in zip(values, METRICS, strict=True):
        lost = name.startswith("fd_") and seed % 100 == 10 * dataset + model
        known = interval is not None and not lost
        unit_of = 0.01 if name.startswith(SHARES) else 1.0
        yield Row(
            cell=cell,
            model=f"model{model}",
            variant="",
            dataset=f"dataset{dataset}",
            task="training" if name == "training_rate" else "generation",
            direction="",
            seed=seed,
            metric=name,
            aspect=aspect,
            value=None if lost else unit_of * float(value),
            low=unit_of * (float(value) - 0.5) if known else None,
            high=unit_of * (float(value) + 0.5) if known else None,
            interval=interval if known else None,
            unit=unit,
            higher_is_better=better,
            n_images=2000,
            n_reference=n_reference,
            **(JUDGE if name.endswith(JUDGE["extractor"]) else NO_JUDGE),
            status="failed" if lost else "ok",
            reason="the covariance is not finite" if lost else None,
            metric_version=1,
        )


def fill(root: Path, n: int) -> None:
    """`n` records below `root`."""
    rng, store = np.random.default_rng(0), Store(root)
    provenance, machine = collect_provenance(), describe_machine(torch.device("cpu"))
    for i in range(n):
        seed, (dataset, model) = i // (MODELS * DATASETS), divmod(i % (MODELS * DATASETS), MODELS)
        cell = digest([model, dataset, seed])[:16]
        run: dict[str, Any] = {
            "seed": seed,
            "variant": "",
            "n_samples": 2000,
            "config": {"depth": 3, "hidden": 256, "latent": 64, "width": 32},
            "data": {
                "fingerprint": digest(dataset),
                "held_out": {"n": 10000, "fingerprint": digest(["held_out", dataset])},
                "train": {"n": 50000, "fingerprint": digest(["train", dataset])},
                "notes": [],
            },
            "extractors": {JUDGE["extractor"]: {**JUDGE, "weights_sha256": digest("weights")}},
            "machine": machine,
            "provenance": provenance,
            "recipe": {"training": {"batch_size": 128, "betas": [0.9, 0.999], "lr": 0.001, "epochs": 8}},
            "seconds": {"evaluation": 90.3, "training": 141.7},
            "training_key": digest(["training", model, dataset, seed]),
        }
        with store.write(f"dataset{dataset}", f"model{model}", cell, RunFacts(**run)) as folder:
            write_rows(folder / "metrics.csv", rows(cell, model, dataset, seed, rng))


def processor() -> float:
    """Processor seconds of this process and of all children that have ended."""
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def additions() -> float:
    """Processor seconds of ten million additions."""
    before, total = time.process_time(), 0
    for i in range(10_000_000):
        total += i
    return time.process_time() - before


def timed(what: str, call: Callable[[], T]) -> T:
    """One line of the table."""
    unit, before = additions(), processor()
    answer = call()
    own = processor() - before
    print(f"{what:<44}{own:8.1f} s{own / unit:8.1f}", flush=True)
    return answer


def command(*arguments: object) -> str:
    """What a command of benchbench prints."""
    words = [sys.executable, "-m", "benchbench", *map(str, arguments)]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, help="fill this folder, or read it if it is there already")
    options = parser.parse_args()
    print(describe_machine(torch.device("cpu")))
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["BENCHBENCH_CACHE"] = str(Path(temporary, "cache"))
        root = options.keep or Path(temporary, "results")
        print(f"{options.records:,} records, {len(METRICS)} numbers each{'processor':>22}{'ratio':>8}")
        if not root.exists():
            with mock.patch.object(os, "fsync"):
                timed("write them", lambda: fill(root, options.records))
            time.sleep(SETTLED + 1)
        frame = timed("load_results, for the first time", lambda: load_results(root))
        timed("load_results, again", lambda: load_results(root))
        timed("load_runs", lambda: load_runs(root))
        timed("boards as markdown, of the table", lambda: leaderboard(frame))
        timed("an interpreter that imports benchbench.cli", lambda: command("--version"))
        timed("benchbench leaderboard", lambda: command("leaderboard", root, "--format", "markdown"))
        report = timed(
            "benchbench check, both sides this large", lambda: command("check", root, "--baseline", root)
        )
        print(report.splitlines()[-1])


if __name__ == "__main__":
    main()
