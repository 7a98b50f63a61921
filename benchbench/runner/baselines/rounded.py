"""Weights rounded to float16, half the bytes: shipped where every number of the record stays within its interval."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from benchbench.core.errors import InputError
from benchbench.core.files import cannot_write
from benchbench.core.hashing import canonical_json
from benchbench.core.weights_file import read_weights
from benchbench.runner.baselines.records import OF, Rounded
from benchbench.training.weights import METADATA_KEY

WIDE = (torch.float64, torch.float32)


def rounded_to_float16(weights: Path, to: Path, of: Rounded) -> bool:
    """Write the weights in float16, with the record that they are of in their metadata.

    Args:
        weights: A safetensors file of ours.
        to: What to write.
        of: Their record, and their sha256.

    Returns:
        Whether anything was rounded: False, and nothing is written, where no number is wider than that or one of them
        is too large for it.

    Raises:
        InputError: The file cannot be read, is not ours, or the other cannot be written.
    """
    stored = read_weights(weights, allow_pickle=None)
    try:
        said = json.loads(stored.said[METADATA_KEY])
    except (KeyError, ValueError, RecursionError) as error:
        raise InputError(f"{weights} does not say what it was made with; publish what a run wrote") from error
    if not isinstance(said, dict):
        raise InputError(f"{weights} does not say what it was made with; publish what a run wrote")
    tensors = {
        name: tensor.to(torch.float16).contiguous() if tensor.dtype in WIDE else tensor
        for name, tensor in stored.content.items()
    }
    changed = [name for name, tensor in stored.content.items() if tensor.dtype in WIDE]
    if not changed or not all(bool(tensors[name].isfinite().all()) for name in changed):
        return False
    try:
        save_file(tensors, to, {METADATA_KEY: canonical_json({**said, OF: of._asdict()})})
    except SafetensorError as error:
        raise cannot_write(to, error) from error
    return True


def is_float16(weights: Path) -> bool:
    """Whether any number of a file of weights is one."""
    return any(
        tensor.dtype is torch.float16 for tensor in read_weights(weights, allow_pickle=None).content.values()
    )
