"""`benchbench.evaluate`: images that others made, scored against a reference.

Pattern: everything that can be refused is refused first, then one pass over the samples (`runner.evaluation`),
then the record. The reference is read for its pixels and answered from the cache of reference features where
they are known.

Trade-offs: what the images are is known when all of them have been read, and so is the key of the record. The
first evaluation does not read them twice to learn it beforehand. Only where a finished record answers the same
question (same names, reference, metrics and networks) are they read first, without any network, to tell
whether they are still the same; then that record is the answer.

A metric that cannot be computed (too few images for k = 5, say) is a row with its reason, and the others stand.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from benchbench.core.arrays import default_float32
from benchbench.core.comm import ALONE, Comm
from benchbench.core.errors import InputError
from benchbench.core.machine import settle_in
from benchbench.core.notebook import watching
from benchbench.core.precision import Precision
from benchbench.core.processes import runtime_of_rank
from benchbench.core.progress import AUTO, Progress
from benchbench.core.runtime import Runtime
from benchbench.data.dataset import size_text, sizes_text
from benchbench.data.pipeline.image_stream import MixedSizesError
from benchbench.results.load import load_results
from benchbench.results.manifest import (
    Artefact,
    ImagesEvaluated,
    RunManifest,
    SampleFacts,
    Seconds,
    with_facts,
)
from benchbench.results.provenance import read_manifest
from benchbench.results.store import METRICS, RUN, Store
from benchbench.results.tables import to_frame, write_rows
from benchbench.runner.beside import baselines_of, score_beside
from benchbench.runner.describe import Before, before, describe_data, stated
from benchbench.runner.evaluation import Scored, score_images
from benchbench.runner.evaluation_plan import Evaluation, make_evaluation, read_reference, resolve
from benchbench.runner.extractors import missing_today
from benchbench.runner.sources import BOTH_NAMED, InMemory, Samples, generator_sha256, named
from benchbench.runner.spec import EvaluationSpec
from benchbench.views.grid import image_grid
from benchbench.views.notebook import NumbersFrame

PICTURE = Artefact(
    file="samples.png", kind="samples", caption="the images that were scored, and the reference"
)


ANY_SIZE = "pairs alone, as with --metrics psnr,ssim, may be of any size"


class Evaluated(NamedTuple):
    """What an evaluation found.

    Attributes:
        rows: One line a number, as `evaluate` returns them.
        notes: What a reader of the numbers should know.
        path: The folder of the record; None where none was asked for.
        cached: Whether the record was there before.
    """

    rows: pd.DataFrame
    notes: list[str]
    path: Path | None
    cached: bool


def evaluate(
    images: Samples,
    reference: Samples,
    metrics: str | Sequence[str] = "standard",
    *,
    extractors: str | Sequence[str] | None = None,
    precision: Precision = "float32",
    name: str | None = None,
    samples: int | None = None,
    size: int | None = None,
    kind: str | None = None,
    latent: int | None = None,
    classes: int | None = None,
    seed: int = 0,
    allow_pickle: bool = False,
    task: str | None = None,
    task_options: Mapping[str, Any] | Sequence[str] = (),
    prompts: Path | str | None = None,
    baselines: str | Sequence[str] = (),
    out: Path | str | None = None,
    device: str = "auto",
    batch_size: int | None = None,
    progress: Progress = AUTO,
    comm: Comm = ALONE,
) -> pd.DataFrame:
    """Score images that something else made against a reference.

    Args:
        images: A spec as on the command line ("samples/", "samples.zip", "cifar10:train", …) or uint8 RGB tensors
            N×3×H×W, one or several; in a list also arrays H×W×3 or, grey, H×W. Or a generator of yours, a module or a
            callable, as `benchbench.generator` takes it: then `samples` says how many are drawn.
        reference: Likewise; or an .npz of statistics.
        metrics: Names, "standard", "adm" or "all", in a list or with commas. Those on pairs are computed only if
            named; then image i is held against the reference image of its name (or place).
        extractors: Networks that metrics read, likewise; None for those of `run` on the reference's dataset, else
            efficientnet_lite0, or the network of the reference's statistics (inception_v3 where these do not say).
        precision: What the extractors compute in.
        name: What rows call whatever made the images, instead of where they lie.
        samples: Only the first so many images; for a generator, how many to draw. An iterator needs it.
        size: Bring the images of both sides to size×size pixels; for files and datasets.
        kind: What `images` is where its name does not tell: "torchscript", "folder", "zip", "npz", …
        latent: A generator's latent size.
        classes: A conditional generator's number of classes.
        seed: Of a generator's noise; samples of one name under several seeds are replicates.
        allow_pickle: Let .npz, .npy and TorchScript files run code; only for files you trust.
        task: Score images under the protocol of this task, "super-resolution" or "text-to-image" for example.
        task_options: What the images undo, `{"scale": 4}`; as text after `--task-option`.
        prompts: A text file with what each image was to show, a line an image, for the task "text-to-image".
        baselines: Also draw and score these shipped baselines of the reference's dataset, on as many images: names of
            models, or "all", with real images; their lines follow, and `out` has their records.
        out: The folder for the record; None for no record.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        batch_size: Images at once when scoring; changes no number.
        progress: Who is told how far it is.
        comm: The ranks that do this together (`benchbench.ranks`), each of which is given the same images; this process
            alone where nobody says.

    Returns:
        One line a number, with the columns of `results.record.Row`; of a record that was written also those that
        `load_results` adds. What a reader of the numbers should know is in `.attrs["notes"]`.

    Raises:
        InputError: The request cannot be carried out; nothing was written.
        CellFailed: A baseline could not be scored; everything else was.
        RankLost: A rank is gone.

    >>> frame = benchbench.evaluate(images, "cifar10:train", ["fd", "kd"])  # doctest: +SKIP
    """
    spec = EvaluationSpec.of(
        images=named(images),
        reference=named(reference),
        metrics=metrics,
        extractors=extractors,
        precision=precision,
        name=name,
        samples=samples,
        size=size,
        kind=kind,
        latent=latent,
        classes=classes,
        seed=seed,
        allow_pickle=allow_pickle,
        task=task,
        task_options=task_options,
        prompts=prompts,
    )
    runtime = runtime_of_rank(device, batch_size, watching(progress), comm)
    held = InMemory.of(images, reference)
    beside = baselines_of(baselines, spec)
    if beside and out is None:
        raise InputError("baselines leave records; say in which folder, with out")
    found = evaluate_images(spec, None if out is None else Path(out), runtime, held)
    tables = [found.rows]
    if found.path is not None and out is not None:
        tables += [load_results(path) for path in score_beside(beside, found.path, Path(out), runtime)]
    rows = NumbersFrame(found.rows if len(tables) == 1 else pd.concat(tables, ignore_index=True))
    rows.attrs["notes"] = found.notes
    return rows


def evaluate_images(
    spec: EvaluationSpec, out: Path | None, runtime: Runtime, held: InMemory = BOTH_NAMED
) -> Evaluated:
    """What `evaluate` and the command do.

    Args:
        spec: What is asked for.
        out: The folder for the record; None for no record.
        runtime: Where, how many images at once, and who is told; changes no number.
        held: The sides in memory, which `spec` does not name.

    Returns:
        The rows, and where they are recorded.

    Raises:
        InputError: The request cannot be carried out; nothing was written.
    """
    with default_float32(), runtime.comm.in_step():
        try:
            return _evaluated(spec, out, runtime, held)
        except MixedSizesError as error:
            raise InputError(f"{error}; {ANY_SIZE}") from error


def _evaluated(spec: EvaluationSpec, out: Path | None, runtime: Runtime, held: InMemory) -> Evaluated:
    settle_in(runtime.progress)
    comm = runtime.comm
    asked = resolve(spec, held)
    store = None if out is None else Store(out)
    if store is not None:
        comm.first(store.prepare)
    plan = comm.first_alone(lambda: make_evaluation(asked, runtime))
    read_reference(plan, runtime)
    comm.agree(plan.request)
    done = None if store is None else _finished(plan, store, runtime)
    if done is not None:
        for note in missing_today(plan.extractors):
            runtime.progress.note(note)
        return comm.first(lambda: _answered(plan, done))
    known, start = before(runtime), time.perf_counter()
    scored = score_images(plan, runtime)
    comm.agree(plan.key)
    if store is None:
        return Evaluated(to_frame(scored.rows), scored.notes, None, cached=False)
    seconds = Seconds(evaluation=round(time.perf_counter() - start, 3))

    def recorded() -> Evaluated:
        path = _record(plan, scored, _facts(plan, scored, known, seconds), store)
        return Evaluated(load_results(path), scored.notes, path, cached=False)

    return comm.first(recorded)


def _answered(plan: Evaluation, done: Path) -> Evaluated:
    """What the record in `done` says."""
    rows = _with_reasons_of_today(load_results(done), plan)
    return Evaluated(rows, _notes_of(read_manifest(done / RUN)), done, cached=True)


def _with_reasons_of_today(rows: pd.DataFrame, plan: Evaluation) -> pd.DataFrame:
    """The rows of an older record with what extractors that are still not at hand lack now, such as the right file."""
    for name, failure in plan.extractors.failures.items():
        rows.loc[(rows["extractor"] == name) & (rows["status"] != "ok"), "reason"] = failure.reason
    return rows


def _facts(plan: Evaluation, scored: Scored, known: Before, seconds: Seconds) -> ImagesEvaluated:
    """What the run.json of an evaluation says."""
    spec = plan.spec
    under = {} if spec.task is None else {"task": spec.task, "task_options": spec.task_options}
    samples = SampleFacts(
        n=plan.samples.n,
        fingerprint=plan.samples.fingerprint,
        size=sizes_text(plan.samples.sizes),
        options={
            **spec.model_dump(include={"samples", "kind", "latent", "classes"}, exclude_none=True),
            **under,
        },
        generator_sha256=generator_sha256(spec.images, spec.kind),
    )
    data = _data(plan, scored)
    common = stated(plan, known, data, seconds=seconds, artefacts=[PICTURE])
    own = ImagesEvaluated(**common.stated(), samples=samples, request=plan.request)
    return own if plan.prompted is None else with_facts(own, {"text_to_image": plan.prompted.facts()})


def _record(plan: Evaluation, scored: Scored, run: ImagesEvaluated, store: Store) -> Path:
    """Write the record. Returns its folder."""
    samples = plan.samples
    with store.write(plan.dataset_name, samples.name, plan.key, run) as folder:
        write_rows(folder / METRICS, scored.rows)
        image_grid(
            [
                (label, images.permute(0, 2, 3, 1).numpy())
                for label, images in scored.panels
                if images is not None
            ],
            folder / PICTURE.file,
            f"{plan.model} against {plan.dataset_name}",
        )
    return store.cell_dir(plan.dataset_name, samples.name, plan.key)


def _data(plan: Evaluation, scored: Scored) -> dict[str, Any]:
    """What the reference is, as `describe_data` says it of the data of a run. Statistics know no size: theirs is that
    of the samples that were held against them."""
    against = plan.reference
    whole = {} if against.dataset is None else describe_data(against.dataset)
    size = size_text(scored.samples) if against.images is None else sizes_text(against.images.sizes)
    return {
        **whole,
        "fingerprint": plan.fingerprint,
        "n": against.n,
        "imported": against.imported,
        "statistics_sha256": against.statistics.sha256 if against.statistics else None,
        "size": size,
        "notes": scored.notes,
    }


def _notes_of(run: RunManifest) -> list[str]:
    """The notes in a run.json, which older ones have beside `data`."""
    of_data = None if run.data is None else run.data.notes
    return list(run.notes or () if of_data is None else of_data)


def _finished(plan: Evaluation, store: Store, runtime: Runtime) -> Path | None:
    """The record of this evaluation, if there is one; the samples are read only if there may be one."""

    def asked_before() -> bool:
        return any(
            read_manifest(folder / RUN).request == plan.request
            for folder in store.cells(plan.dataset_name, plan.samples.name)
        )

    if plan.samples.once or not runtime.comm.first(asked_before):
        return None
    plan.samples.scan(runtime.progress, one_size=not plan.any_size, comm=runtime.comm)
    return runtime.comm.first(lambda: store.find(plan.dataset_name, plan.samples.name, plan.key))
