"""Our extractors through torch.compile: last of what is measured, since compiling takes longer than running."""

from __future__ import annotations

import time

from gpu_sections.child import Bench, SkippedError
from gpu_sections.extractor_speed import best_rate, shift
from gpu_sections.forwards import NAMES, compiled, operations
from gpu_sections.tools import cifar, device_of, peak


def speed(bench: Bench) -> None:
    """bfloat16 first: the rows that come before time runs out are the ones that matter."""
    device = device_of(bench)
    images, _, _ = cifar(bench, "train", 64 if bench.small else 2048)
    small = device.type != "cuda"
    options = (
        {"backend": "aot_eager"} if small else {}
    )  # without a compiler: it traces the graph all the same
    for precision in ("bfloat16", "float32", "TF32"):
        for name in NAMES:
            label = f"{name}, {precision}, compiled"
            with bench.item(label):
                if small and (precision != "float32" or name != "efficientnet_lite0"):
                    raise SkippedError("not a CUDA device")
                most = peak(device, precision, bench.small)
                forward = compiled(name, device, precision, **options)
                start = time.perf_counter()
                forward(images[:4].to(device))
                waited = time.perf_counter() - start
                rate, batch = best_rate(forward, images, device, bench.small)
                note = f"batches of {batch}; {waited:.0f} s until the first image"
                share = rate * operations(name) / most
                bench.measure(label, rate, "images/s", share=share, note=note)
                shift(bench, label, name, forward, images, device)
