"""The key of a cell: one short digest of everything that its numbers depend on.

Pattern: the caller states what went in, `cell_key` hashes the canonical JSON of it together with the schema
version. What cannot change a number beyond floating-point noise (evaluation batch size, device, workers) is
no argument at all, so it cannot get into a key by mistake.

Scope: a key says "same inputs", never "same numbers". The golden tests pin it: a change that moves the key
of unchanged inputs orphans every finished record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from benchbench.core.errors import InputError
from benchbench.core.hashing import canonical_json, digest
from benchbench.results.record import SCHEMA_VERSION

# 64 bits. By the birthday bound n²/2⁶⁵, a store of a million cells holds a collision with odds of 3e-8; and
# two cells only meet at all when dataset and model have the same name too.
KEY_LENGTH = 16


def is_key(name: str) -> bool:
    """Whether a cell may be called `name`: by a digest such as `cell_key` makes, or a shorter or longer one."""
    return re.fullmatch(r"[0-9a-f]{8,64}", name) is not None


def metric_specification(
    *,
    name: str,
    version: int,
    extractor: str | None,
    weights_sha256: str | None,
    resize: str | None,
    precision: str | None,
) -> dict[str, Any]:
    """What a key says of a metric: its version, and the network it reads. float32 goes without saying, so that the keys
    of records from before there was a choice still hold."""
    specification = {
        "name": name,
        "version": version,
        "extractor": extractor,
        "weights_sha256": weights_sha256,
        "resize": resize,
    }
    return specification if precision in (None, "float32") else {**specification, "precision": precision}


def cell_key(
    *,
    model_code: str,
    hyper: Mapping[str, Any],
    sampling: Mapping[str, Any],
    training: Mapping[str, Any] | None,
    weights_sha256: str | None,
    dataset_fingerprint: str,
    metrics: Sequence[Mapping[str, Any]],
    n_samples: int,
    seed: int,
    task: Mapping[str, Any] | None = None,
) -> str:
    """16 hexadecimal digits that name a cell.

    model_code: identity of the code behind the model. hyper: its hyper-parameters, defaults included. sampling: how it
    draws, likewise; the weights do not depend on it.
    training: the recipe, None when weights are given. weights_sha256: None when they come out of training.
    dataset_fingerprint: of both splits together.
    metrics: one mapping each (name, version, extractor, weights sha256, resize); their order means nothing.
    n_samples: images asked of the model. seed: of the run.
    task: whatever a protocol fixes beyond that (a direction, a degradation).

    All values are JSON-able. Raises `InputError` where one is NaN or infinite, which has no identity.
    """
    parts = {
        "schema_version": SCHEMA_VERSION,
        "model_code": model_code,
        "hyper": dict(hyper),
        "sampling": dict(sampling),
        "training": None if training is None else dict(training),
        "weights_sha256": weights_sha256,
        "dataset_fingerprint": dataset_fingerprint,
        "task": dict(task or {}),
        "n_samples": n_samples,
        "seed": seed,
    }
    try:
        ordered = sorted((dict(metric) for metric in metrics), key=canonical_json)
        return digest({**parts, "metrics": ordered})[:KEY_LENGTH]
    except ValueError as error:  # canonical JSON has no NaN and no infinity
        raise InputError(
            "a setting of this run is NaN or infinite, so the run has no identity; give it a finite value"
        ) from error
