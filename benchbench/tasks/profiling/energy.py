"""The energy that images take, as the driver of an NVIDIA GPU counts it for the whole device (NVML)."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

import torch

from benchbench.core.device import synchronize
from benchbench.core.errors import MetricFailed

SHORTEST = 2.0  # seconds over which it is counted: the driver counts in steps of about 0.1 s


def energy_per_image(make: Callable[[int], object], n: int, device: torch.device) -> float:
    """Joules of the whole device an image, its idle draw included.

    Args:
        make: Makes so many images.
        n: How many at once.
        device: Where.

    Returns:
        Joules, the mean over batches of at least two seconds together.

    Raises:
        MetricFailed: The device is no NVIDIA GPU, pynvml is not installed, or the driver does not count.
    """
    joules = _meter(device)
    images, began = 0, time.perf_counter()
    before = joules()
    while time.perf_counter() - began < SHORTEST:
        with torch.inference_mode():
            make(n)
        synchronize(device)
        images += n
    return (joules() - before) / images


def _meter(device: torch.device) -> Callable[[], float]:
    """A function that reads the device's counter, in joules."""
    if device.type != "cuda":
        raise MetricFailed(
            f"nobody counts the energy of {device.type} here; NVIDIA GPUs are asked through NVML"
        )
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError as error:
        raise MetricFailed(
            "energy is read through NVML, and pynvml is not installed; pip install nvidia-ml-py"
        ) from error
    try:
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except nvml.NVMLError as error:
        raise MetricFailed(f"the driver counts no energy of this device ({error})") from error
    return lambda: float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3
