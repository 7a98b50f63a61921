"""`benchbench.run`: what the command does, from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import pandas as pd

from benchbench.core.arrays import default_float32
from benchbench.core.comm import ALONE, Comm
from benchbench.core.errors import CellFailed
from benchbench.core.folders import OUTPUT
from benchbench.core.machine import settle_in
from benchbench.core.notebook import watching
from benchbench.core.paths import as_path
from benchbench.core.precision import Precision
from benchbench.core.processes import runtime_of_rank
from benchbench.core.progress import AUTO, SILENT, Progress
from benchbench.core.runtime import Runtime
from benchbench.core.toml import lists_of
from benchbench.results.load import load_results
from benchbench.results.store import Store
from benchbench.runner.cell import CellOutcome, run_cell
from benchbench.runner.failures import failing_alone
from benchbench.runner.plan import Desk, Plan, make_plans
from benchbench.runner.probe import Probes
from benchbench.runner.spec import CellOptions, CellSpec, seed_list
from benchbench.runner.sweep import Swept, combinations
from benchbench.views.notebook import NumbersFrame


def run(
    model: str,
    dataset: str,
    *,
    seeds: int | Sequence[int] = (0,),
    samples: int | None = None,
    size: int | None = None,
    recipe: Path | None = None,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    pretrained: bool = False,
    weights: Path | None = None,
    allow_pickle: bool = False,
    metrics: Sequence[str] = ("standard",),
    extractors: Sequence[str] | None = None,
    precision: Precision = "float32",
    name: str | None = None,
    task: str | None = None,
    task_options: Mapping[str, Any] | Sequence[str] = (),
    variant: str = "",
    sweep: Mapping[str, Sequence[Any]] | Sequence[str] = (),
    log: Sequence[str] | None = None,
    out: Path | str = OUTPUT,
    device: str = "auto",
    batch_size: int | None = None,
    progress: Progress = AUTO,
    comm: Comm = ALONE,
) -> pd.DataFrame:
    """Train (or load) a model on a dataset, score it, store the record.

    Args:
        model: A registered model's name, or `generator:WHAT` for a generator of yours, as after `--generator`.
        dataset: A dataset's name or a source of images, as after `--dataset`.
        seeds: One cell each; a number n stands for 0, 1, … n − 1, as in a suite.
        samples: Images to draw; None for as many as the reference, at most 10,000.
        size: Side of the images in pixels; None for the dataset's own.
        recipe: A recipe.toml instead of the shipped one, or the name of another that ships with it, "gpu".
        overrides: Settings over the recipe by name, `{"lr": 1e-3, "sampling.steps": 50}`; or as after `--set`.
        pretrained: Load the published weights of this model on this dataset instead of training.
        weights: Load these weights instead of training.
        allow_pickle: Let `weights` run code; only for files you trust.
        metrics: Names, "standard", "adm" or "all".
        extractors: Networks that metrics read; None for the dataset's own and efficientnet_lite0.
        precision: What the extractors compute in.
        name: What tables call these rows, in place of the model and its variant.
        task: What to ask of a model that can be asked for several things.
        task_options: How to ask, `{"scale": 3}`; as text after `--task-option`.
        variant: Techniques that make the model smaller or faster, such as "int8" or "fused+bf16".
        sweep: Several values of settings, `{"sampling.steps": [5, 10]}`: one cell each, of two settings every
            combination; as text after `--sweep`. Settings of sampling are swept over the same weights.
        log: Sinks that are told of it as it goes, "tensorboard", "wandb" or "mlflow" (docs/dashboards.md); changes no
            number, and one that fails ends no run.
        out: The folder for records.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        batch_size: Images at once when scoring; changes no number.
        progress: Who is told how far it is.
        comm: The ranks that do this together (`benchbench.ranks`); this process alone where nobody says.

    Returns:
        The rows of all cells, with the columns of `load_results`. A finished cell is answered from its record.

    Raises:
        InputError: The request cannot be carried out; nothing was done.
        CellFailed: A cell could not be carried out; the others were.
        RankLost: A rank is gone.

    >>> frame = benchbench.run("vae", "digits", seeds=[0, 1], out="my-results")  # doctest: +SKIP
    """
    outcomes = run_cells(
        model,
        dataset,
        seeds=seeds,
        out=out,
        device=device,
        batch_size=batch_size,
        progress=watching(progress),
        comm=comm,
        samples=samples,
        size=size,
        recipe=recipe,
        overrides=overrides,
        pretrained=pretrained,
        weights=weights,
        allow_pickle=allow_pickle,
        metrics=metrics,
        extractors=extractors,
        precision=precision,
        name=name,
        task=task,
        task_options=task_options,
        variant=variant,
        sweep=sweep,
        log=log,
    )
    return comm.first(
        lambda: NumbersFrame(
            pd.concat([load_results(outcome.path) for outcome in outcomes], ignore_index=True)
        )
    )


def run_cells(
    model: str,
    dataset: str,
    *,
    seeds: int | Sequence[int] = (0,),
    out: Path | str = OUTPUT,
    device: str = "auto",
    batch_size: int | None = None,
    progress: Progress = SILENT,
    comm: Comm = ALONE,
    sweep: Mapping[str, Sequence[Any]] | Sequence[str] = (),
    **options: Unpack[CellOptions],
) -> list[CellOutcome]:
    """`carry_out` of the cells that these options ask for; `runner.spec.CellSpec` says what they mean."""
    runtime = runtime_of_rank(device, batch_size, progress, comm)
    swept = combinations(CellSpec.of(model=model, dataset=dataset, **options), lists_of(sweep))
    return carry_out(swept, seed_list(seeds), as_path(out), runtime)


def carry_out(swept: Sequence[Swept], seeds: Sequence[int], out: Path, runtime: Runtime) -> list[CellOutcome]:
    """Carry out one cell a request and seed, in order.

    A finished cell is answered from its record. A cell that fails does not stop the next one; when all are
    through, `CellFailed` names those that did.
    """
    with default_float32():
        return _carried_out(swept, seeds, out, runtime)


def _carried_out(
    swept: Sequence[Swept], seeds: Sequence[int], out: Path, runtime: Runtime
) -> list[CellOutcome]:
    settle_in(runtime.progress)
    store, comm = Store(out), runtime.comm
    comm.first(store.prepare)
    outcomes, failures = [], []
    plans = comm.first_alone(lambda: _planned(swept, seeds, runtime))
    comm.agree([plan.key for plan, _ in plans])
    for plan, told in plans:
        try:
            with failing_alone(plan.made_of), comm.in_step():
                outcomes.append(run_cell(plan, store, runtime))
        except CellFailed as error:
            failures.append(f"seed {plan.seed}{told and f', {told}'}: {error}")
            if len(plans) > 1:  # the one there is ends the run, which says so
                runtime.progress.note(failures[-1])
    if failures:
        raise CellFailed(f"{len(failures)} of {len(plans)} cells failed. " + "; ".join(failures))
    return outcomes


def _planned(swept: Sequence[Swept], seeds: Sequence[int], runtime: Runtime) -> list[tuple[Plan, str]]:
    """All plans, each with its combination of the sweep in words."""
    desk, probes = Desk(runtime), Probes()
    return [(plan, told) for spec, told in swept for plan in make_plans(spec, seeds, desk, probes)]
