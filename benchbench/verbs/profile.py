"""`benchbench.profile`: how fast a model is, and what it loses where it is made faster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from benchbench.core.arrays import default_float32
from benchbench.core.device import resolve_device
from benchbench.core.errors import CellFailed, InputError
from benchbench.core.files import atomic_write
from benchbench.core.folders import OUTPUT
from benchbench.core.machine import settle_in
from benchbench.core.names import split_names
from benchbench.core.paths import as_path
from benchbench.core.precision import Precision
from benchbench.core.progress import SILENT, Progress
from benchbench.core.registry import VARIANTS
from benchbench.core.runtime import Runtime
from benchbench.core.validation import shown
from benchbench.results.load import load_results
from benchbench.results.store import Store
from benchbench.runner.cell import CellOutcome, run_cell
from benchbench.runner.failures import failing_alone
from benchbench.runner.plan import Desk, Plan, make_plans
from benchbench.runner.profile import ProfileOptions, profile_cell, refuse_others
from benchbench.runner.spec import CellSpec
from benchbench.verbs.outputs import checked_outputs
from benchbench.views.pareto import pareto, pareto_plot

EVERY = "all"


class Profiled(NamedTuple):
    """A variant: the record of its quality and that of its profile."""

    variant: str
    cell: CellOutcome
    profile: CellOutcome


def profile(
    model: str,
    dataset: str = "digits",
    *,
    variant: str | Sequence[str] = (),
    seed: int = 0,
    time_to: float | None = None,
    most_batch: int | None = None,
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
    plot: Path | str | None = None,
    out: Path | str = OUTPUT,
    device: str = "auto",
    log: Sequence[str] | None = None,
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """Measure how fast, how large and how dear a model is, and the same of its variants beside what each loses.

    Args:
        model: A registered model's name.
        dataset: A dataset's name or a source of images.
        variant: Techniques, "int8,fused+bf16" or a list; "all" for every one that the model can have.
        seed: Of weights, batches and samples.
        time_to: A monitored distance: how many seconds of training reached it is measured, too.
        most_batch: The largest batch that is tried; None for 256 on a processor and 65,536 elsewhere.
        samples: As in `benchbench.run`, and so are the next ones.
        size: Side of the images in pixels.
        recipe: A recipe.toml instead of the shipped one, or the name of another that ships with it, "gpu".
        overrides: Settings over the recipe by name.
        pretrained: Load the published weights.
        weights: Load these weights instead of training.
        allow_pickle: Let `weights` run code.
        metrics: Names, "standard" or "all".
        extractors: Networks that metrics read.
        precision: What the extractors compute in.
        name: What tables call these rows.
        task: What to ask of a model that can be asked for several things.
        task_options: How to ask.
        plot: Write the plane of images/s and the headline to this SVG file as well.
        out: The folder for records.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        log: Sinks that are told of a training as it goes.
        progress: Who is told how far it is.

    Returns:
        The rows of all cells and their profiles, with the columns of `load_results`.

    Raises:
        InputError: The request cannot be carried out; nothing was done.
        CellFailed: A variant could not be carried out; the others were, and have their records and the plot.

    >>> frame = benchbench.profile("dcgan", "digits", variant="fused,int8")  # doctest: +SKIP
    """
    path = checked_outputs({"--plot": plot})["--plot"]
    spec = CellSpec.of(
        model=model,
        dataset=dataset,
        seed=seed,
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
        log=log,
    )
    how = ProfileOptions(most_batch, time_to)
    ended = profiled(spec, variant, how, as_path(out), Runtime(resolve_device(device), None, progress))
    ended.write_plot(path)
    ended.tell_failures()
    return ended.rows


@dataclass(frozen=True)
class Ended:
    """The variants that were carried out, and why others were not."""

    done: list[Profiled]
    failures: list[str]

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Of all records, cells before profiles; of at least one variant."""
        paths = [own.cell.path for own in self.done] + [own.profile.path for own in self.done]
        return pd.concat([load_results(path) for path in paths], ignore_index=True)

    def write_plot(self, path: Path | None) -> None:
        """The plane of both numbers into a file, where one is named and there is a variant."""
        if path is not None and self.done:
            atomic_write(path, pareto_plot(pareto(self.rows)))

    def tell_failures(self) -> None:
        """Raises `CellFailed` where there are any."""
        if self.failures:
            n = len(self.failures) + len(self.done)
            raise CellFailed(f"{len(self.failures)} of {n} variants failed. " + "; ".join(self.failures))


def profiled(
    spec: CellSpec, variants: str | Sequence[str], options: ProfileOptions, out: Path, runtime: Runtime
) -> Ended:
    """What `profile` and the command do: the model as it is, and each variant. One that fails stops no other.

    Everything that can be refused is refused before anything is trained; of "all" what the model cannot have is told
    and left out. Raises `InputError` as `profile`.
    """
    with default_float32():
        settle_in(runtime.progress)
        store = Store(out)
        store.prepare()
        plans = _plans(spec, variants, Desk(runtime))
        done, failures = [], []
        for variant, plan in plans:
            try:
                with failing_alone(plan.made_of):
                    cell = run_cell(plan, store, runtime)
                    done.append(Profiled(variant, cell, profile_cell(plan, options, store, runtime)))
            except (CellFailed, InputError) as error:
                failures.append(f"{variant or 'the model as it is'}: {error}")
                runtime.progress.note(failures[-1])
    return Ended(done, failures)


def _plans(spec: CellSpec, variants: str | Sequence[str], desk: Desk) -> list[tuple[str, Plan]]:
    """The model as it is, then each variant once."""
    try:
        several: Any = (
            [variants] if isinstance(variants, str) or not isinstance(variants, Sequence) else variants
        )
        named = split_names(several) if variants else []
    except ValueError as error:
        raise InputError(f"variant={shown(variants)}: {error}") from error
    found: list[tuple[str, Plan]] = []
    for variant in dict.fromkeys(["", *(own for own in named if own != EVERY), *_every(named)]):
        asked = spec.model_copy(update={"variant": variant})
        try:
            (plan,) = make_plans(asked, [spec.seed], desk)
            refuse_others(plan)
        except InputError as error:
            if variant in named or not variant:
                raise
            desk.runtime.progress.note(f"without {variant}: {error}")
            continue
        if all(plan.key != other.key for _, other in found):
            found.append((variant, plan))
    return found


def _every(named: Sequence[str]) -> list[str]:
    """Every registered technique with the value that it is shown by, where "all" is among the names; of one that is
    another name of a technique nothing."""
    if EVERY not in named:
        return []
    known = dict(VARIANTS.items())
    first = {
        name: own for name, own in known.items() if not any(base in known.values() for base in own.__bases__)
    }
    return [f"{name}={own.example}" if own.example else name for name, own in first.items()]
