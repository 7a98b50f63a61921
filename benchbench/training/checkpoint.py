"""Checkpoints: all that the loop needs to go on as if it had never stopped.

One file, `checkpoint.pt`, replaced atomically: a kill leaves the previous checkpoint or the new one. It is
read with `weights_only=True`, so a planted file cannot run code. It remembers what it was made for, the
`identity`, and refuses to go on as something else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_path
from benchbench.core.hashing import canonical_json

FILE = "checkpoint.pt"
FORMAT = 2  # raised whenever the state has other parts
_MISSING = "nothing"


class Checkpoints(NamedTuple):
    """Where a training is kept, and what it is a training of.

    folder: where `checkpoint.pt` lives. identity: JSON-able facts that must not change between sittings (model,
    hyper-parameters, data fingerprint).
    """

    folder: Path
    identity: Mapping[str, Any]

    def of(self, facts: Mapping[str, Any]) -> Checkpoints:
        """The same with further facts."""
        return self._replace(identity={**self.identity, **facts})


def save_checkpoint(workdir: Path, identity: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Write `state` (tensors, numbers, text and containers of them) for `identity` (JSON-able)."""
    with atomic_path(workdir / FILE) as temporary:
        torch.save({"identity": _canonical(identity), "state": dict(state)}, temporary)


def load_checkpoint(workdir: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """The state saved in `workdir`, on the CPU; None when there is none.

    Raises `InputError` for a file that cannot be read, and for one made with another identity, naming
    each setting that differs.
    """
    path = workdir / FILE
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        before, state = json.loads(content["identity"]), dict(content["state"])
    except Exception as error:  # a damaged archive raises whatever the unpacking meets first
        raise InputError(
            f"the checkpoint {path} is damaged and cannot be read; delete it to train from the start"
        ) from error
    # Through JSON, as the saved one went: a tuple and a list are the same setting.
    if changes := _differences(before, json.loads(_canonical(identity))):
        old = ", ".join(f"{key}={was}" for key, (was, _) in changes.items())
        new = ", ".join(f"{key}={now}" for key, (_, now) in changes.items())
        raise InputError(
            f"the checkpoint in {workdir} was made with {old}, now {new}; remove it to train from the start, "
            f"or use the old {'value' if len(changes) == 1 else 'values'}"
        )
    return state


def _canonical(identity: Mapping[str, Any]) -> str:
    return canonical_json({"checkpoint_format": FORMAT, **identity})


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Setting to (then, now), for settings that differ; nested settings go by their last name."""
    changes: dict[str, tuple[str, str]] = {}
    for key in sorted({*before, *now}):
        was, is_ = before.get(key, _MISSING), now.get(key, _MISSING)
        if isinstance(was, dict) and isinstance(is_, dict):
            changes |= _differences(was, is_)
        elif was != is_:
            changes[key] = (str(was), str(is_))
    return changes
