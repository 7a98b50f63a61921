"""A baseline as a model that can be asked."""

from __future__ import annotations

from torch import nn

from benchbench.core.arrays import default_float32
from benchbench.core.baselines import Shipped
from benchbench.core.runtime import Runtime
from benchbench.results.load import Record
from benchbench.results.rows import rows_of
from benchbench.runner.again import NotScored, task_of
from benchbench.runner.plan import Desk, make_plans
from benchbench.runner.spec import CellSpec
from benchbench.training.weights import load_weights


def loaded(shipped: Shipped, record: Record, runtime: Runtime) -> nn.Module:
    """Build the model of a record with the weights and the recipe that ship for it, as `--pretrained` does.

    Args:
        shipped: The baseline.
        record: Its own.
        runtime: Where the model goes.

    Returns:
        The model in eval mode.

    Raises:
        NotScored: The record does not say what to build.
        InputError: The weights are not those that were published, or the data, by which a model is built, is not here.
    """
    folder, run = record
    rows = rows_of(folder, run)
    led = next((row for row in rows if row.headline and row.value is not None), None)
    if run.recipe is None or run.recipe.model is None or led is None:
        raise NotScored("its record does not say what to build")
    task, options = task_of(run, rows)
    spec = CellSpec.of(
        model=run.recipe.model,
        dataset=run.dataset,
        pretrained=True,
        task=task,
        task_options=options,
        # A plan has a number to compute; none is, and other networks need not be read.
        metrics=[led.metric],
        extractors=None if led.extractor is None else [led.extractor],
    )
    with default_float32():
        (plan,) = make_plans(spec, [run.seed or 0], Desk(runtime))
        model = plan.build().to(runtime.device)
        plan.task.introduce(model, plan.dataset)
        load_weights(model, shipped.checked(), progress=runtime.progress)
    return model.eval()
