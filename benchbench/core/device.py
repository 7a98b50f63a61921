"""Devices by name, and what is known of the machine at hand."""

from __future__ import annotations

import os
import platform
from typing import Any

import torch
from torch import Tensor

from benchbench.core.errors import InputError


def resolve_device(name: str = "auto") -> torch.device:
    """ "auto" (CUDA if there is one, else the CPU), "cpu", "cuda", "cuda:1", "mps"; `InputError` if not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"unknown device {name!r}; use auto, cpu, cuda, cuda:N or mps") from error
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            have = f"{count} CUDA device(s) are" if count else "no CUDA device is"
            raise InputError(f"device {name!r} is not there: {have} visible; use --device cpu or auto")
    elif device.type == "mps":
        if not torch.backends.mps.is_available():
            raise InputError("device 'mps' is not there; use --device cpu or auto")
    elif device.type != "cpu":
        raise InputError(f"unknown device {name!r}; use auto, cpu, cuda, cuda:N or mps")
    return device


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on `device`; to CUDA through pinned memory, so that nobody waits for the copy but who needs it."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def free_bytes(device: torch.device) -> int:
    """Bytes of a CUDA device that this process could still have: what nobody has, and what torch holds unused."""
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + unused


def synchronize(device: torch.device) -> None:
    """Wait for the device, so that a host clock read next means something."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def describe_machine(device: torch.device) -> dict[str, Any]:
    """What speed depends on: processor, cores, threads, memory, accelerator, and the load right now."""
    import psutil

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor_name(),
        "processor": _processor_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_1min": load,
        "platform": platform.platform(),
    }


def _processor_name() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
