"""What a suite costs beside its cells: planning, and what each trivial cell costs beyond its own work.

    python benchmarks/cells.py --cells 24 --planned 1000

A trivial cell draws 16 images of noise and computes one distance without a network. Its own work is what `run_cell`
takes in a process that has everything loaded; what a suite adds is measured by two suites, one of few cells and one of
many, so that what is done once (imports, reading the data) is told apart. Processor seconds, user and system, of the
suite and of all its processes: wall times mean nothing on a machine that others use.

On two cores of an EPYC on which a dozen programs wanted to run, torch 2.14, one thread; shares, not seconds, are to be
read. What is beyond a cell's own work is pages that a child touches for the first time (a half), the fork and the end
of a process of 560 MB (a third), the plan and the lease:

    own work of a cell                                 373 ms
    a cell, forked from one process                    598 ms
        beyond its own work                            225 ms
        once                                           5.5 s
    planning 1,000 cells, models × datasets × seeds      0.7 s
    planning 1,000 cells, a sweep of one model           5.0 s
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchbench.core.device import describe_machine
from benchbench.core.runtime import Runtime
from benchbench.results.store import Store
from benchbench.runner.cell import run_cell
from benchbench.runner.executors.executor import Queue
from benchbench.runner.executors.local import Interpreters, Local, local
from benchbench.runner.plan import Desk, make_plans
from benchbench.runner.spec import CellSpec
from benchbench.runner.suite import Suite, plan_suite
from benchbench.runner.suite_run import AtWork, run_suite
from benchbench.runner.suite_settings import Settings

FEW = 4
SETTINGS = Settings(samples=16, metrics=("swd",))


class Nobody:
    """A watcher who looks away."""

    def skipped(self, n: int) -> None:
        pass

    def ended(self, name: str, seconds: float, reason: str | None) -> None:
        if reason is not None:
            raise RuntimeError(f"{name}: {reason}")

    def at_work(self, cells: Sequence[AtWork]) -> None:
        pass


def processor(work: Callable[[], object]) -> float:
    """Processor seconds of this process and of all children that have ended meanwhile."""

    def spent() -> float:
        return sum(
            used.ru_utime + used.ru_stime
            for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )

    before = spent()
    work()
    return spent() - before


def own_work(n: int, root: Path) -> float:
    """Of a trivial cell: planned and loaded beforehand."""
    spec = CellSpec.of(model="noise", dataset="digits", samples=16, metrics=["swd"])
    plans = make_plans(spec, range(n + 1), Desk(Runtime()))
    run_cell(plans[n], Store(root), Runtime())  # whatever is done once
    return processor(lambda: [run_cell(plan, Store(root), Runtime()) for plan in plans[:n]]) / n


def suite_of(n: int, root: Path, executor: Callable[[], Queue]) -> float:
    """A suite of so many trivial cells, without its planning."""
    suite, store = (
        Suite(models=["noise"], datasets=["digits"], seeds=range(n), settings=SETTINGS),
        Store(root),
    )
    cells = plan_suite(suite, store, device=torch.device("cpu"))
    return processor(lambda: run_suite(cells, store, executor(), device="cpu", watch=Nobody()))


def planning(root: Path, models: list[str], seeds: int, sweep: dict[str, list[object]]) -> tuple[int, float]:
    """How many cells, and the processor seconds of planning them."""
    settings = SETTINGS.model_copy(update={"sweep": sweep})
    suite = Suite(models=models, datasets=["digits", "grid25"], seeds=range(seeds), settings=settings)
    cells: list[object] = []
    seconds = processor(lambda: cells.extend(plan_suite(suite, Store(root), device=torch.device("cpu"))))
    return len(cells), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=24)
    parser.add_argument("--planned", type=int, default=1000)
    parser.add_argument("--interpreters", action="store_true", help="A fresh interpreter a cell as well.")
    options = parser.parse_args()
    print(describe_machine(torch.device("cpu")), os.environ.get("OMP_NUM_THREADS"), time.strftime("%F"))
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        own = own_work(options.cells, root / "own")
        print(f"{'own work of a cell':<44}{own * 1e3:10.0f} ms")
        ways: dict[str, Callable[[], Queue]] = {"forked from one process": lambda: local(1, "cpu")}
        if options.interpreters:
            ways["an interpreter of its own"] = lambda: Queue(Local(Interpreters({})), 1)
        for name, executor in ways.items():
            few, many = (suite_of(n, root / f"{name}-{n}", executor) for n in (FEW, FEW + options.cells))
            each = (many - few) / options.cells
            print(f"a cell, {name:<36}{each * 1e3:10.0f} ms")
            print(f"    beyond its own work{'':<21}{(each - own) * 1e3:10.0f} ms")
            print(f"    once{'':<36}{few - FEW * each:10.1f} s")
        half = options.planned // 2
        for words, models, seeds, sweep in (
            ("models × datasets × seeds", ["noise", "vae", "dcgan", "ddpm", "real"], half // 5, {}),
            ("a sweep of one model", ["vae"], 1, {"lr": [1e-5 * (1 + i) for i in range(half)]}),
        ):
            n, seconds = planning(root / "planned", models, seeds, sweep)
            print(f"planning {n:,} cells, {words:<30}{seconds:10.1f} s")


if __name__ == "__main__":
    main()
