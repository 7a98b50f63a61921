"""A cell that is being carried out, as sinks are told of it (`benchbench.sinks`)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from benchbench.core.errors import because
from benchbench.core.registry import SINKS
from benchbench.core.runtime import Runtime
from benchbench.results.provenance import read_manifest
from benchbench.results.store import RUN, Store
from benchbench.runner.plan import Plan
from benchbench.sinks.feed import Feed
from benchbench.sinks.replay import described, replay
from benchbench.sinks.sink import LoggedRun, Status
from benchbench.views.grid import grid_png

SCANNED = "training/samples"
"""What pictures of samples are called that were made while a model was trained."""


@contextmanager
def logged(plan: Plan, store: Store, runtime: Runtime) -> Iterator[Feed]:
    """The sinks of a cell for as long as it is carried out. One that fails is named once, with the way to have its
    curves all the same, and told no more. Of several ranks the first one has them."""
    progress = runtime.progress

    def failed(name: str, error: BaseException) -> None:
        progress.note(
            f"logging to {name} stopped ({because(error)}); the run goes on, and {export_line(plan, store, name)} "
            "shows it there when it is done"
        )

    sinks = {
        name: (SINKS.make(name), _run_of(plan, store.root / f".{name}"))
        for name in plan.log
        if runtime.comm.rank == 0
    }
    feed = Feed(sinks, failed)
    for name, where in feed.where.items():
        progress.note(f"logging to {name}: {where}")
    status: Status = "failed"
    try:
        yield feed
        status = "finished"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        feed.close(status)


def tell_record(feed: Feed, folder: Path) -> None:
    """Tell what the stored record says that the sinks do not have yet."""
    if feed:
        replay((folder, read_manifest(folder / RUN)), feed)


def tell_samples(feed: Feed, step: int, images: Tensor) -> None:
    """Tell how samples looked. images: uint8 RGB, N×3×H×W."""
    feed.picture(step, SCANNED, grid_png(images.permute(0, 2, 3, 1).cpu().numpy()))


def export_line(plan: Plan, store: Store, name: str) -> str:
    """What to type to have the record of a plan in a sink."""
    folder = store.cell_dir(plan.dataset.name, plan.kept_as, plan.key)
    return f"benchbench export {shlex.quote(str(folder))} --to {name} --out FOLDER"


def _run_of(plan: Plan, folder: Path) -> LoggedRun:
    """The run of a plan, as `sinks.replay.run_of` has that of its record. folder: where a sink may write."""
    trained = plan.identity["training"] is not None
    return described(
        key=plan.key,
        dataset=plan.dataset.name,
        model=plan.kept_as,
        called=f"{plan.model} {plan.variant}".strip(),
        seed=plan.seed,
        made={
            "hyper": plan.config.model_dump(mode="json"),
            "sampling": plan.sampling.model_dump(mode="json"),
            "training": plan.recipe.training.model_dump(mode="json") if trained else None,
        },
        folder=folder,
        offline=False,
    )
