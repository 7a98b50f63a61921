"""A generator out of an ONNX file, computed by ONNX Runtime (the extra `onnx`)."""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchbench.core.errors import InputError, because
from benchbench.core.hashing import digest, file_sha256
from benchbench.core.reading import open_regular
from benchbench.models.given.loaded import Loaded
from benchbench.models.given.signature import Argument, called
from benchbench.models.given.where import Where

_LOCATION = re.compile(rb"\x0a\x08location\x12(.)", re.DOTALL)
"""An entry of `external_data` as protobuf writes it: key "location", then a name after its length."""

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}


def load_onnx(where: Where) -> Loaded:
    """What an ONNX file computes; `InputError` where ONNX Runtime is missing or cannot read it."""
    runtime = _runtime()
    sha256 = _sha256(where.path)
    session = _session(where.path, sha256, "cpu")
    inputs = session.get_inputs()
    # Labels may come first in a graph: they are the input of whole numbers.
    inputs = sorted(inputs, key=lambda one: "int" in one.type)
    how = called([Argument(one.name, True) for one in inputs], where.title)
    if how.takes == "rng" or any(one.type not in _TYPES for one in inputs):
        raise InputError(
            f"{where.title} takes {', '.join(f'{one.name} of {one.type}' for one in inputs)}; it may take latents, or "
            "latents and labels"
        )
    if len(session.get_outputs()) != 1:
        raise InputError(
            f"{where.title} returns {len(session.get_outputs())} tensors and must return one of images"
        )
    batch, *shape = inputs[0].shape
    labels = next((one for one in inputs if one.name == how.label), None)

    def call(first: Tensor, asked: Tensor | None) -> Tensor:
        given = {inputs[0].name: _array(first, inputs[0].type)}
        if labels is not None and asked is not None:
            given[labels.name] = _array(asked, labels.type)
        (made,) = _session(where.path, sha256, first.device.type).run(None, given)
        return torch.from_numpy(made)

    return Loaded(
        title=where.title,
        call=call,
        labels=how.labels,
        sha256=sha256,
        latent=tuple(shape) if all(isinstance(side, int) for side in shape) else None,
        batch=batch if isinstance(batch, int) else None,
        one_hot=None if labels is None else "int" not in labels.type,
        outside=f"its network runs in ONNX Runtime {runtime.__version__}, where nobody counts",
        stored=True,
        notes=[f"computed by ONNX Runtime {runtime.__version__}"],
    )


def _array(tensor: Tensor, kind: str) -> Any:
    return tensor.cpu().numpy().astype(_TYPES[kind])


def _runtime() -> Any:
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise InputError("ONNX files need ONNX Runtime: pip install onnxruntime") from error


@cache
def _session(path: Path, sha256: str, device: str) -> Any:
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors; the rest is for whoever wrote the file
    able = set(runtime.get_available_providers())
    wanted = ["CUDAExecutionProvider"] if device == "cuda" else []
    providers = [own for own in (*wanted, "CPUExecutionProvider") if own in able]
    try:
        return runtime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # of many kinds, all of its own
        raise InputError(
            f"ONNX Runtime cannot read {path} ({because(error)}); get the file again, with its .data file beside it"
        ) from error


def _sha256(path: Path) -> str:
    """Of the file, and of those beside it in which it keeps weights."""
    with open_regular(path, "the generator") as file:
        content = file.read()
    names = {
        content[found.end() : found.end() + found[1][0]].decode(errors="surrogateescape")
        for found in _LOCATION.finditer(content)
    }
    whole = file_sha256(path)
    beside = {
        name: file_sha256(path.parent / name) for name in sorted(names) if (path.parent / name).is_file()
    }
    return digest({"": whole, **beside}) if beside else whole
