"""The process in which a TorchScript generator runs. Started by its path; imports nothing but Python's own and torch.

A TorchScript file is a program. It cannot call Python, but it can open files (`torch.save`, `torch.from_file`), print,
ask for any amount of memory and never end. So it is loaded and called here, where

- nothing on the disk can be written, made, cut short or removed, and no TCP connection opened (Landlock, which needs
  Linux 6.2 and no rights; `confined` tells the parent whether the system has it). Excepted are the empty folder in
  which it is started, which the parent removes, and devices of an accelerator;
- a file that is written all the same has no bytes (RLIMIT_FSIZE), and no more memory is had than the machine has;
- what it prints goes nowhere, for the parent has the only pipe by another number;
- the parent ends it when an answer takes too long, and it ends itself when the parent is gone.

It can read whatever its user can read, and nothing that it reads leaves it but as images.

Messages either way are eight bytes of length, so much JSON, and tensors behind it, as many bytes as the JSON says.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import json
import os
import queue
import struct
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

LARGEST = 4096  # pixels a side
_RAN = "The following operation failed in the TorchScript interpreter"
_LENGTH = struct.Struct("<Q")

# linux/landlock.h and linux/prctl.h
_CREATE, _ADD, _RESTRICT, _NO_NEW_PRIVILEGES = 444, 445, 446, 38
_VERSION, _BENEATH = 1, 1
_WRITE, _TRUNCATE = 1 << 1, 1 << 14
_CHANGES = (
    _WRITE | sum(1 << bit for bit in range(4, 14)) | _TRUNCATE
)  # of files and folders; reading is not among them
_TCP = 0b11
_TRUNCATES, _KNOWS_TCP = 3, 4  # versions


def main() -> None:
    """Load the generator that the first message names, then answer one message after the other."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, asked), daemon=True).start()
    start, _ = asked.get()
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # where memory runs out, this process ends and no other
    confined = confine(start["device"])  # before torch, whose threads would else not be confined
    import torch

    torch.set_num_threads(start["threads"])
    torch.set_float32_matmul_precision(start["matmul_precision"])
    torch.backends.cudnn.allow_tf32 = start["cudnn_tf32"]
    if start["device"] != "cpu":
        torch.zeros(1, device=start["device"])
    _bound()  # not before: the import writes temporary files
    send(answers, {"confined": confined})
    os.dup2(nowhere, 2)  # so far it said why there is no torch
    asked.get()
    try:
        module = torch.jit.load(start["path"], map_location=start["device"]).eval()
        send(answers, {"arguments": _arguments(module)})
    except Exception as error:
        send(answers, {"failed": _line(error)})
        return
    while True:
        header, content = asked.get()
        try:
            with torch.inference_mode():
                inputs = [tensor.to(start["device"]) for tensor in unpacked(header["tensors"], content)]
                made = module(*inputs)
                answer, tensors = _answer(made, len(inputs[0]))
        except Exception as error:
            answer, tensors = {"failed": _line(error)}, []
        send(answers, answer, tensors)


def confine(device: str) -> bool:
    """Take from this process, for good, the right to change any file outside its own folder and to use TCP.

    device: as torch names it; those of an accelerator stay open to be written.

    Returns whether the system can do that.
    """
    if not sys.platform.startswith("linux"):
        return False
    system = ctypes.CDLL(None, use_errno=True)
    version = system.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)
    if version < _TRUNCATES:
        return False
    rights = [_CHANGES, _TCP] if version >= _KNOWS_TCP else [_CHANGES]
    attributes = (ctypes.c_uint64 * len(rights))(*rights)
    rules = system.syscall(_CREATE, attributes, ctypes.c_size_t(ctypes.sizeof(attributes)), 0)
    if rules < 0:
        return False
    _allow(system, rules, os.getcwd(), _CHANGES)
    accelerators = [*glob.glob("/dev/nvidia*"), "/dev/kfd", *glob.glob("/dev/dri/render*")]
    for path in [os.devnull, *(accelerators if device != "cpu" else [])]:
        _allow(system, rules, path, _WRITE)
    done = system.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0 and system.syscall(_RESTRICT, rules, 0) == 0
    os.close(rules)
    return bool(done)


def _allow(system: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    """Except a file, or a folder and all below it; what is not there needs no exception."""
    with contextlib.suppress(OSError):
        opened = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
        rule = struct.pack("=Qi", rights, opened)  # a packed struct of the kernel
        system.syscall(_ADD, rules, _BENEATH, ctypes.c_char_p(rule), 0)
        os.close(opened)


def _bound() -> None:
    """Files get no bytes from now on; memory, no more than there is."""
    import resource

    for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(limit, (0, 0))
    with contextlib.suppress(ValueError, OSError):  # a smaller limit stays, and not every system has either
        everything = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_DATA, (everything, everything))


def send(to: BinaryIO, header: Mapping[str, Any], tensors: Sequence[Any] = ()) -> None:
    """Write one message; the tensors are on the CPU, and the header says what they are."""
    described = [{"dtype": str(t.dtype).removeprefix("torch."), "shape": list(t.shape)} for t in tensors]
    text = json.dumps({**header, "tensors": described}).encode()
    to.write(_LENGTH.pack(len(text)) + text)
    for tensor in tensors:
        to.write(tensor.contiguous().numpy().tobytes())
    to.flush()


def size_of(described: Sequence[Mapping[str, Any]]) -> int:
    """Bytes of the tensors behind a header."""
    import torch

    total = 0
    for one in described:
        n = getattr(torch, one["dtype"]).itemsize
        for side in one["shape"]:
            n *= side
        total += n
    return total


def unpacked(described: Sequence[Mapping[str, Any]], content: bytearray) -> list[Any]:
    """The tensors behind a header, on the CPU."""
    import torch

    tensors, at = [], 0
    for one in described:
        n = size_of([one])
        part = torch.frombuffer(content[at : at + n], dtype=getattr(torch, one["dtype"]))
        tensors.append(part.reshape(one["shape"]))
        at += n
    return tensors


def _listen(stream: BinaryIO, asked: queue.SimpleQueue[Any]) -> None:
    """Pass on what the parent asks; end this process when the parent is gone, whatever it is doing."""
    while True:
        head = stream.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            os._exit(0)
        header = json.loads(stream.read(_LENGTH.unpack(head)[0]))
        described = header["tensors"]
        asked.put((header, bytearray(stream.read(size_of(described))) if described else bytearray()))


def _arguments(module: Any) -> list[dict[str, Any]] | None:
    """Names of the arguments of `forward`, and whether they have defaults; None if there is no such method."""
    if not hasattr(module, "forward"):
        return None
    return [
        {"name": argument.name, "default": argument.has_default_value()}
        for argument in module.forward.schema.arguments[1:]
    ]


def _answer(made: Any, n: int) -> tuple[dict[str, Any], list[Any]]:
    """What was made for `n` latents, said in words, and itself if it is images: uint8, or float32."""
    import torch

    if not isinstance(made, torch.Tensor):
        return {"type": type(made).__name__}, []
    said = {"type": "tensor", "dtype": str(made.dtype), "shape": list(made.shape)}
    images = made.ndim == 4 and len(made) == n and made.shape[1] in (1, 3) and max(made.shape[2:]) <= LARGEST
    if not images or made.layout is not torch.strided or made.is_quantized or not made.numel():
        return said, []
    if made.dtype is torch.uint8:
        return said, [made.cpu()]
    return said, [made.float().cpu()] if made.is_floating_point() else []


def _line(error: Exception) -> str:
    """The one line of an error that is what happened: of a program that ran the last, for those before are where; of
    one that cannot be read the first, for those behind it are."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1 if lines[0].startswith(_RAN) else 0].rstrip(":")[:500]


if __name__ == "__main__":
    main()
