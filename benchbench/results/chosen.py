"""What chose the weights of a run among those of its training: nothing, so that they are the last, or a number."""

from __future__ import annotations

from typing import NamedTuple

from benchbench.results.manifest import RunManifest

LAST = "last"
VALIDATION_LOSS = "validation_loss"
"""What early stopping goes by."""


class Chosen(NamedTuple):
    """by: a metric's name, `VALIDATION_LOSS` or `LAST`; None where nothing was trained, or nobody says. step: optimiser
    steps done at the weights that a metric chose."""

    by: str | None = None
    step: int | None = None


def chosen_of(run: RunManifest) -> Chosen:
    """As a record says it; of older records, which do not, as it follows from their settings and their monitor."""
    made = run.protocol
    if made is None or made.checkpoint is None:
        return Chosen()
    if made.checkpoint != "best":
        return Chosen(LAST)
    by = made.chosen_by or _older(run)
    step = None if run.training is None or by == VALIDATION_LOSS else run.training.best_step
    return Chosen(by, step)


def _older(run: RunManifest) -> str | None:
    settings = (run.recipe and run.recipe.training) or {}
    if settings.get("patience"):
        return VALIDATION_LOSS
    network = (run.monitor or {}).get("judge")
    if not isinstance(network, str):
        return None
    return "fid" if network == "inception_v3" else f"fd_{network}"
