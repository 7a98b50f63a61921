"""Images a second of the two extractors that everybody uses: from the device, from arrays, from files of images."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchbench.core.runtime import Runtime
from benchbench.data.pipeline.streams import open_images
from benchbench.features.extract import Reader, extract
from benchbench.metrics.sets.frechet import frechet_distance_from_features
from gpu_sections.child import Bench, SkippedError
from gpu_sections.forwards import NAMES, Forward, forward_of, operations, ours, theirs
from gpu_sections.tools import (
    PRECISIONS,
    cifar,
    device_of,
    needs_cuda,
    peak,
    seconds_of,
    synchronisations,
    trace,
    waits,
)

TARGETS = {
    ("inception_v3", "bfloat16"): 25_000.0,
    ("inception_v3", "float32"): 4_500.0,
}  # one card of H100's class
FROM_FILES = 0.95  # of the network's own rate


def speed(bench: Bench) -> None:
    """The networks, then the way to them, then how often the processor waits."""
    device = device_of(bench)
    images, _, kind = cifar(bench, "train", 64 if bench.small else 8_000)
    peaks = {precision: peak(device, precision, bench.small) for precision in PRECISIONS}
    best: dict[tuple[str, str], float] = {}
    for name in NAMES:
        bench.measure(f"{name}: operations of one image", operations(name) / 1e9, "GFLOP")
        for precision in reversed(PRECISIONS):
            for who in ("theirs", "ours"):
                with bench.item(f"{name}, {precision}, {who}"):
                    _fits(bench, name, precision, who, device)
                    rate = race(bench, name, precision, who, images, device, peaks[precision])
                    best[name, precision] = rate
    with tempfile.TemporaryDirectory() as folder:
        for name, precision in best:
            if precision != "TF32":  # which no extractor of ours lets in
                rate = best[name, precision]
                from_files(bench, name, precision, images, Path(folder), device, rate, kind)
    for name in NAMES:
        with bench.item(f"{name}: synchronisations"):
            needs_cuda(device)
            waiting(bench, name, images, device)


def _fits(bench: Bench, name: str, precision: str, who: str, device: torch.device) -> None:
    """Skip what needs a device, and on two cores what takes long and shows nothing new."""
    if precision == "TF32":
        needs_cuda(device)
    if bench.small and precision == "bfloat16" and (name == "inception_v3" or who == "theirs"):
        raise SkippedError("slow on a processor")


def race(
    bench: Bench,
    name: str,
    precision: str,
    who: str,
    images: Tensor,
    device: torch.device,
    most: float,
) -> float:
    """The rows of one network at one precision; its rate."""
    label = f"{name}, {precision}, {who}"
    forward = (
        theirs(name, device, precision)
        if who == "theirs"
        else forward_of(ours(name, device, precision), precision)
    )
    rate, batch = best_rate(forward, images, device, bench.small)
    target = TARGETS.get((name, precision)) if who == "ours" else None
    share = rate * operations(name) / most
    bench.measure(label, rate, "images/s", target=target, share=share, note=f"batches of {batch}")
    shift(bench, label, name, forward, images, device)
    return rate


def best_rate(forward: Forward, images: Tensor, device: torch.device, small: bool) -> tuple[float, int]:
    """Images a second at the batch size that suits best, and that size."""
    found = []
    for batch in (2,) if small else (128, 512):
        some = images[:batch].to(device)
        seconds = seconds_of(partial(forward, some), device, at_least=0.0 if small else 0.4, warm=1)
        found.append((len(some) / seconds, batch))
    return max(found)


_exact: dict[str, list[Tensor]] = {}  # the features of ours in float32, by extractor


def shift(
    bench: Bench, label: str, name: str, forward: Forward, images: Tensor, device: torch.device
) -> None:
    """FD of one half of some images to the other, beside that on the features of ours in float32."""
    n, batch = (6, 2) if bench.small else (2048, 128)

    def halves(call: Forward) -> list[Tensor]:
        parts = [call(part.to(device)).double() for part in images[:n].split(batch)]
        a, b = torch.cat(parts).chunk(2)
        return [a, b + b.std(0) / 4]  # moved apart, so that FD is more than its bias

    if name not in _exact:
        _exact[name] = halves(forward_of(ours(name, device, "float32"), "float32"))
    before, after = (frechet_distance_from_features(*sides) for sides in (_exact[name], halves(forward)))
    note = f"relative; {n} images, FD {before:.5g} in float32"
    bench.measure(f"{label}: shift of FD", abs(after - before) / before, "", note=note)


def from_files(
    bench: Bench,
    name: str,
    precision: str,
    images: Tensor,
    folder: Path,
    device: torch.device,
    rate: float,
    kind: str,
) -> None:
    """Through `extract`, decoding included, as a share of the network's rate."""
    extractor = ours(name, device, precision)
    few, batch = (4, 2) if bench.small else (2_000, 512)
    for suffix, n in {"npz": 4 if bench.small else len(images), "png": few, "jpg": few}.items():
        label = f"{name}, {precision}, from {suffix}"
        with bench.item(label):
            path = written(images[:n], folder, suffix)
            extractor(images[:batch])  # warm
            start = time.perf_counter()
            batches = open_images(str(path)).batches(batch)
            seen = extract(
                batches, extractor, need_features=True, need_logits=False, runtime=Runtime(batch_size=batch)
            )
            found = seen.moments.n / (time.perf_counter() - start)
            target = FROM_FILES * rate if suffix == "npz" else None
            note = f"{found / rate:.0%} of the network's rate; {n:,} images, {kind}"
            bench.measure(label, found, "images/s", target=target, note=note)


def written(images: Tensor, folder: Path, suffix: str) -> Path:
    """The images as an array or as a folder of files; written once."""
    path = folder / (f"{len(images)}.npz" if suffix == "npz" else f"{suffix}-{len(images)}")
    if path.exists():
        return path
    arrays = images.permute(0, 2, 3, 1).numpy()
    if suffix == "npz":
        np.savez(path, arrays)
        return path
    path.mkdir()
    for number, array in enumerate(arrays):
        Image.fromarray(array).save(path / f"{number:06}.{suffix}", quality=95)
    return path


def waiting(bench: Bench, name: str, images: Tensor, device: torch.device) -> None:
    """Synchronisations a batch of `extract`'s reader: what eight batches more cost beyond four."""
    extractor = ours(name, device, "bfloat16")
    batch = 128

    def read(batches: int) -> None:
        reader = Reader(extractor, need_features=True, need_logits=True)
        for some in _batches(images[: batches * batch].to(device), batch):
            reader.update(some, batch)

    read(4)
    few, many = (waits(trace(partial(read, n), device)) for n in (4, 12))
    note = ", ".join(f"{kind} {(many[kind] - few[kind]) / 8:.2g}" for kind in sorted(many))
    value = (synchronisations(many) - synchronisations(few)) / 8
    bench.measure(f"{name}: synchronisations", value, "a batch", note=f"features and logits kept; {note}")


def _batches(images: Tensor, size: int) -> Iterator[Tensor]:
    yield from images.split(size)
