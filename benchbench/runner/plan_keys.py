"""The keys of a cell: under which its training goes on, and under which its record lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchbench.core.hashing import digest
from benchbench.models.identity import code_hash
from benchbench.models.variants.technique import Technique
from benchbench.results.key import cell_key

TRAINING_VERSION = 1  # raised whenever the loop would make other weights from the same recipe
SAMPLING_VERSION = 1  # raised whenever the same weights would be asked with other random numbers


class Keys(NamedTuple):
    """Under which a training goes on and its weights are found again, and under which the record lies."""

    training: str
    cell: str


def keys_of(
    identity: Mapping[str, Any],
    *,
    sampling: Mapping[str, Any],
    task: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    n_samples: int,
) -> Keys:
    """The keys of a cell. identity: what its weights come from, as `Plan.identity` has it. The rest as in
    `results.key.cell_key`, `sampling` without its version."""
    cell = cell_key(
        model_code=identity["code"],
        hyper={"model": identity["model"], **identity["hyper"]},  # two models may share a class and a config
        sampling={**sampling, "sampling_version": SAMPLING_VERSION},
        training=identity["training"],
        weights_sha256=identity["weights_sha256"],
        dataset_fingerprint=identity["dataset"],
        task=task,
        metrics=metrics,
        n_samples=n_samples,
        seed=identity["seed"],
    )
    return Keys(digest(dict(identity)), cell)


def specified(techniques: Sequence[Technique]) -> list[list[str]]:
    """What a key says of the techniques that change a model: each as it is written, and the identity of its code."""
    return [[own.text, code_hash(type(own))] for own in techniques if not own.settings()]
