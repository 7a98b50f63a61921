"""Files of weights, read: names to tensors, whatever the file is, and no code of its author unless that is allowed.

What a file is its first bytes say, and its name where they do not: safetensors, or what `torch.save` writes. The latter
is read with `weights_only=True`, which makes tensors and containers and calls nothing else. A file that would need more
memory than it has bytes, a repeated name in a header and a TorchScript archive, which is a program, are refused.

`plain` says of a tensor why it is no array of numbers that a network could take; `lossless` why it is none for a
certain place in it.
"""

from __future__ import annotations

import json
import os
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from benchbench.core.arrays import dtype_text
from benchbench.core.errors import InputError
from benchbench.core.reading import open_regular
from benchbench.core.text_files import said_twice

SAFETENSORS, TORCH = "safetensors", "torch"
SUFFIXES = {".safetensors": SAFETENSORS, **dict.fromkeys((".pt", ".pth", ".ckpt", ".bin"), TORCH)}
FLOATS = frozenset({torch.float64, torch.float32, torch.float16, torch.bfloat16})
SLACK = 2**24  # bytes of a torch file that may be packed: sources of classes are, tensors never
_LENGTH = 8  # bytes before a safetensors header, which say how long it is
_OTHERS = {
    b"version https://git-lfs": "a Git LFS pointer and not the file it stands for; fetch that with git lfs pull",
    b"<": "a page of the web and not a file of weights; download the file itself",
    b"GGUF": "a GGUF file; use .safetensors, .pt or .pth",
    b"\x89HDF": "an HDF5 file; use .safetensors, .pt or .pth",
}


class Stored(NamedTuple):
    """What a file of weights holds.

    Attributes:
        content: Tensors by name, or whatever else was saved, with such somewhere in it.
        said: What a safetensors file says of itself beside them; empty for others.
    """

    content: Any
    said: Mapping[str, str]


def read_weights(path: Path, *, allow_pickle: bool | None = False) -> Stored:
    """Read a file of weights, onto the CPU.

    Args:
        path: .safetensors, or .pt, .pth, .ckpt or .bin as `torch.save` writes it.
        allow_pickle: Whether unpickling may run code of the file's author; None where nobody can allow it.

    Returns:
        What is in it.

    Raises:
        InputError: It is not there, is damaged or is something else; the message is one sentence.
    """
    if not os.path.exists(path):
        raise InputError(f"there is no weights file {path}")
    try:
        if _kind(path) == SAFETENSORS:
            return _read_safetensors(path)
        return Stored(_read_torch(path, allow_pickle), {})
    except OSError as error:
        raise InputError(f"cannot read the weights {path}: {error.strerror or error}") from error


def plain(tensor: Tensor) -> str | None:
    """Why this is no array of numbers, in a few words that follow a name ("is sparse"); None if it is one."""
    if type(tensor) not in (Tensor, nn.Parameter, nn.Buffer):
        return f"is a {type(tensor).__name__}"
    for kind in ("nested", "quantized", "meta"):
        if getattr(tensor, f"is_{kind}"):
            return {"meta": "has a shape and no values (it was on the device meta)"}.get(kind, f"is {kind}")
    if tensor.layout is not torch.strided:
        return "is sparse"
    if tensor.is_floating_point() and tensor.dtype not in FLOATS:
        return f"is {dtype_text(tensor)}, which means nothing without its scales"
    return None


def lossless(tensor: Tensor, own: Tensor) -> str | None:
    """Why `tensor` cannot stand for `own` of the same shape without becoming other numbers, as `plain` words it; None
    if it can. Floats may be rounded to another width, whole numbers stay what they are."""
    if reason := plain(tensor):
        return reason
    if _sort(tensor) != _sort(own):
        return f"is {dtype_text(tensor)} but must be {dtype_text(own)}"
    if tensor.dtype in FLOATS or tensor.is_complex():
        if not tensor.isfinite().all():
            return "is not finite"
        return None if tensor.to(own.dtype).isfinite().all() else f"is too large for {dtype_text(own)}"
    return None if torch.equal(tensor.to(own.dtype).to(tensor.dtype), tensor) else "has numbers too large"


def _sort(tensor: Tensor) -> str:
    if tensor.dtype is torch.bool:
        return "bool"
    return "complex" if tensor.is_complex() else "float" if tensor.is_floating_point() else "whole"


def _kind(path: Path) -> str:
    """By its first bytes, or by its name where they do not tell."""
    with open_regular(path, "the weights") as file:
        start = file.read(64)
    if not start:
        raise InputError(f"the weights {path} are an empty file; get the file again")
    if start[_LENGTH : _LENGTH + 1] == b"{":  # first, for a length may look like a pickle
        return SAFETENSORS
    if start.startswith(b"PK\x03\x04") or (start[0] == 0x80 and start[1:2] <= b"\x05"):
        return TORCH
    for beginning, what in _OTHERS.items():
        if start.lstrip().startswith(beginning):
            raise InputError(f"the weights {path} are {what}")
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path} has an unknown type of weights; use .safetensors, .pt or .pth")
    return SUFFIXES[path.suffix.lower()]


def _read_safetensors(path: Path) -> Stored:
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in list(file.keys())}
            said = file.metadata() or {}
        with open_regular(path, "the weights") as opened:
            (length,) = struct.unpack("<Q", opened.read(_LENGTH))
            json.loads(opened.read(length), object_pairs_hook=_once)
    except Exception as error:  # SafetensorError, and whatever a dtype that torch does not know raises
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"the weights {path} are damaged or no safetensors file ({reason}); get the file again"
        ) from error
    return Stored(tensors, said)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose names are each there once: of two, every reader takes another."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise SafetensorError(f"{said_twice(pairs)} is there twice")
    return made


def _read_torch(path: Path, allow_pickle: bool | None) -> Any:
    _check_archive(path)
    try:
        with open_regular(path, "the weights") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on sparse and quantised tensors, which are refused by name
            return torch.load(file, map_location="cpu", weights_only=not allow_pickle)
    except (Exception, SystemExit) as error:  # a damaged archive raises whatever the unpacking meets first
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        holds = f" (they hold {found[1]})" if found else ""
        way_out = "get the file again"
        if allow_pickle is False:
            way_out += ", or use --allow-pickle if it is a pickle from somebody you trust"
        raise InputError(f"the weights {path} cannot be read as tensors alone{holds}; {way_out}") from error


def _check_archive(path: Path) -> None:
    """`InputError` for an archive that unpacks to more than it is, and for a program. A file that is no archive is one
    of the older form, a pickle with tensors behind it."""
    with open_regular(path, "the weights") as file:
        if file.read(2) != b"PK":
            return
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
        except Exception:  # damaged; torch says so, or reads it all the same
            return
        size = os.fstat(file.fileno()).st_size
    if any(member.filename.endswith("/constants.pkl") for member in members):
        raise InputError(
            f"the weights {path} are a TorchScript archive, which is a program; score it with benchbench evaluate "
            "--kind torchscript, or save its state_dict() alone"
        )
    if (unpacked := sum(member.file_size for member in members)) > size + SLACK:
        raise InputError(
            f"the weights {path} would unpack from {size:,} to {unpacked:,} bytes, and torch.save packs nothing; "
            "get the file again"
        )
