"""Weights on disk: safetensors by default, `.pt`/`.pth` without code, a full pickle only when asked for.

A saved file is a function of the weights and the model's config alone: equal weights give an equal sha256.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_path
from benchbench.core.hashing import canonical_json, file_sha256

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
        save_file(tensors, temporary, {METADATA_KEY: canonical_json(metadata)})
    return file_sha256(path)


def load_weights(model: nn.Module, path: Path, allow_pickle: bool = False) -> str:
    """Put the weights in `path` into `model`; returns the file's sha256. `model` is untouched on any error.

    .safetensors; .pt and .pth holding a state dict of tensors; with `allow_pickle` also those that hold a
    whole module, whose unpickling runs code of the file's author. Raises `InputError` when the file cannot be
    read or does not fit.
    """
    if not path.is_file():
        raise InputError(f"there is no weights file {path}")
    if path.suffix == ".safetensors":
        tensors, config = _read_safetensors(path)
    elif path.suffix in {".pt", ".pth"}:
        tensors, config = _read_torch(path, allow_pickle), {}
    else:
        raise InputError(f"{path} has an unknown type of weights; use .safetensors, .pt or .pth")
    if problems := _mismatches(model, tensors):
        shown = "; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" if len(problems) > 3 else "")
        raise InputError(
            f"the weights {path} do not fit {type(model).__name__}: {shown}{_advice(model, config)}"
        )
    asked = getattr(getattr(model, "config", None), "direction", None)
    if (made_for := config.get("direction", asked)) != asked:  # such weights fit and do the opposite
        raise InputError(
            f"the weights {path} are of direction {made_for} but the model of {asked}; use --set direction={made_for}"
        )
    model.load_state_dict(tensors)
    return file_sha256(path)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in list(file.keys())}
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"the weights {path} are damaged or no safetensors file ({error}); get the file again"
        ) from error
    return tensors, json.loads(metadata.get(METADATA_KEY, "{}")).get("config", {})


def _read_torch(path: Path, allow_pickle: bool) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=not allow_pickle)
    except Exception as error:  # a damaged archive raises whatever the unpacking meets first
        way_out = (
            "get the file again"
            if allow_pickle
            else "get the file again, or use --allow-pickle if it is a pickled module from somebody you trust"
        )
        raise InputError(f"the weights {path} cannot be read as tensors alone; {way_out}") from error
    if isinstance(content, nn.Module):
        content = content.state_dict()
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"the weights {path} hold no state dict of tensors; save model.state_dict() alone")
    return dict(content)


def _mismatches(model: nn.Module, tensors: Mapping[str, Tensor]) -> list[str]:
    own = model.state_dict()
    problems = [f"{key} is missing" for key in own if key not in tensors]
    problems += [f"{key} is unknown" for key in tensors if key not in own]
    problems += [
        f"{key} is {_shape(tensors[key])} but must be {_shape(own[key])}"
        for key in own
        if key in tensors and tensors[key].shape != own[key].shape
    ]
    problems += [
        f"{key} is not finite"
        for key, value in tensors.items()
        if value.is_floating_point() and not value.isfinite().all()
    ]
    return problems


def _advice(model: nn.Module, made_with: Mapping[str, Any]) -> str:
    config = getattr(model, "config", None)
    now = config.model_dump(mode="json") if config is not None else {}
    changed = [key for key in sorted(made_with) if key in now and made_with[key] != now[key]]
    if not changed:
        return ""
    return f"; they were made with {', '.join(f'{key}={made_with[key]}' for key in changed)}"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a scalar"
