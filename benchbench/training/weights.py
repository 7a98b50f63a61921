"""Weights on disk: safetensors by default, `.pt`/`.pth` without code, a full pickle only when asked for.

A saved file is a function of the weights and the model's config alone: equal weights give an equal sha256. What others
saved is taken out of what it was saved in (`training.state_dicts`), if that leaves no doubt.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_path, cannot_write
from benchbench.core.hashing import canonical_json, file_sha256
from benchbench.core.progress import SILENT, Progress
from benchbench.core.weights_file import read_weights
from benchbench.training.state_dicts import Fitting, fitting

# One metadata key: safetensors writes several in an order that changes from call to call.
METADATA_KEY = "benchbench"


def save_weights(model: nn.Module, path: Path, name: str | None = None) -> str:
    """Write the model's weights to `path` (.safetensors); returns the file's sha256.

    name: what the model is registered as, else its class is named. The metadata holds it and the config.
    """
    tensors = {key: value.detach().cpu().clone().contiguous() for key, value in model.state_dict().items()}
    config = getattr(model, "config", None)
    metadata = {
        "model": name or f"{type(model).__module__}:{type(model).__qualname__}",
        "config": config.model_dump(mode="json") if config is not None else {},
    }
    with atomic_path(path) as temporary:
        temporary.touch()
        mode = (
            temporary.stat().st_mode
        )  # as the umask has it; safetensors puts a file of its own there, for us alone
        try:
            save_file(tensors, temporary, {METADATA_KEY: canonical_json(metadata)})
        except SafetensorError as error:  # what it makes of a full disk
            raise cannot_write(path, error) from error
        os.chmod(temporary, mode)
    return file_sha256(path)


class MisfitError(InputError):
    """Weights of another model, or of one with other settings."""


def load_weights(
    model: nn.Module, path: Path, allow_pickle: bool = False, progress: Progress = SILENT
) -> str:
    """Put the weights in `path` into `model`; returns the file's sha256. `model` is untouched on any error.

    .safetensors; .pt and .pth holding a state dict of tensors, alone or in a checkpoint; with `allow_pickle` also those
    that hold a whole module, whose unpickling runs code of the file's author. `progress` is told what they were taken
    out of. Raises `InputError` when the file cannot be read or does not fit.
    """
    stored = read_weights(path, allow_pickle=allow_pickle)
    config = _config(path, stored.said)
    found = fitting(model, stored.content, path)
    if found.problems:
        raise MisfitError(_misfit(model, path, found, config))
    asked = getattr(getattr(model, "config", None), "direction", None)
    if asked is not None and config.get("direction", asked) != asked:  # such weights fit and do the opposite
        made_for = config["direction"]
        raise InputError(
            f"the weights {path} are of direction {made_for} but the model of {asked}; use --set direction={made_for}"
        )
    for note in found.notes:
        progress.note(f"note: the weights {path}: {note}")
    model.load_state_dict(found.tensors)
    return file_sha256(path)


def _config(path: Path, said: Mapping[str, str]) -> dict[str, Any]:
    """What our own files say that their weights were made with; empty for others."""
    try:
        described = json.loads(said.get(METADATA_KEY, "{}"))
    except (ValueError, RecursionError):
        described = None
    config = described.get("config", {}) if isinstance(described, dict) else None
    if not isinstance(config, dict):
        raise InputError(
            f"what the weights {path} say of themselves is damaged: their metadata {METADATA_KEY!r} is no JSON "
            "of ours; get the file again"
        )
    return config


def _misfit(model: nn.Module, path: Path, found: Fitting, made_with: Mapping[str, Any]) -> str:
    """The first three reasons, how many more, and the settings that explain them."""
    problems = found.problems
    shown = "; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" if len(problems) > 3 else "")
    config = getattr(model, "config", None)
    now = config.model_dump(mode="json") if config is not None else {}
    changed = [key for key in sorted(made_with) if key in now and made_with[key] != now[key]]
    advice = f"; {found.advice}" if found.advice else ""
    if changed:
        advice += f"; they were made with {', '.join(f'{key}={made_with[key]}' for key in changed)}"
    where = f" ({found.where} in it)" if found.where else ""
    who = getattr(model, "title", type(model).__name__)  # somebody's generator has a name of its own
    return f"the weights {path}{where} do not fit {who}: {shown}{advice}"
