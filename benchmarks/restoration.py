"""How fast restorers are, and what tiles cost.

    python benchmarks/restoration.py --threads 1 --rounds 3

Each model restores an image of 256×256 (of what it makes), from small ones at x2 or from noisy ones at sigma 25, with
the settings of its shipped recipe and random weights, which cost what trained ones do. Models take turns; the median
over rounds is reported, in processor time at --threads 1, and as a ratio to bicubic interpolation or to the Gaussian
filter. Then each network restores an image of 1024×1024 whole and in tiles of 256: the ratio of the times, the largest
difference, and the peak memory of a fresh process for each.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from multiprocessing.queues import SimpleQueue

import psutil
import torch
from torch import Tensor, nn

from benchbench.core.busy import Busy
from benchbench.core.device import describe_machine
from benchbench.core.protocols import ImageSpec
from benchbench.data.degrade.degradations import Degrades, Downscaled, Noisy
from benchbench.models.build import build_model
from benchbench.tasks.speed import own_peak_rss
from benchbench.training.recipe import load_recipe

X2, SIGMA25 = Downscaled(2), Noisy("gaussian", 25.0)
MODELS: dict[str, Degrades] = {
    **dict.fromkeys(
        ("bicubic", "nearest", "bilinear", "lanczos", "srcnn", "espcn", "vdsr", "edsr", "srgan"), X2
    ),
    **dict.fromkeys(("gaussian-filter", "median-filter", "bilateral", "wavelet", "nl-means", "tv"), SIGMA25),
    **dict.fromkeys(("dncnn", "dncnn-b", "dae"), SIGMA25),
}
FIRST = {X2: "bicubic", SIGMA25: "gaussian-filter"}
STRENGTHS = {
    "gaussian-filter": 0.8,
    "median-filter": 3.0,
    "bilateral": 0.18,
    "wavelet": 1.0,
    "nl-means": 0.6,
    "tv": 0.06,
}


def made(name: str, **sampling: object) -> nn.Module:
    """A model with the settings of its recipe."""
    hyper = dict(load_recipe(name, "train400").hyper)
    if name in STRENGTHS:
        hyper["strength"] = STRENGTHS[name]
    return build_model(name, hyper, ImageSpec(256, 256, True, 0, MODELS[name]), sampling).eval()


def given(degradation: Degrades, side: int) -> Tensor:
    """A grey image, degraded."""
    generator = torch.Generator().manual_seed(0)
    smooth = torch.rand(1, 1, side // 8, side // 8, generator=generator)
    image = nn.functional.interpolate(smooth, side, mode="bicubic").clamp(0, 1).mul(255).round()
    return degradation.of_image(image.to(torch.uint8).expand(1, 3, -1, -1).contiguous(), 0)


def seconds(model: nn.Module, image: Tensor) -> float:
    """Processor time of one restoration."""
    start = time.process_time()
    with torch.inference_mode():
        model.restore(image)  # type: ignore[operator]
    return time.process_time() - start


def race(rounds: int) -> None:
    """All models, in turns."""
    models = {name: made(name) for name in MODELS}
    images = {degradation: given(degradation, 256) for degradation in FIRST}
    times: dict[str, list[float]] = {name: [] for name in MODELS}
    for name, model in models.items():
        seconds(model, images[MODELS[name]])
    busy = Busy()
    for _ in range(rounds):
        for name, model in models.items():
            times[name].append(seconds(model, images[MODELS[name]]))
    others, elapsed = busy.others()
    print("| model | degraded by | images/s at 256×256 | times the first row's |\n|---|---|---|---|")
    for name, own in times.items():
        first = times[FIRST[MODELS[name]]]
        ratio = statistics.median(a / b for a, b in zip(own, first, strict=True))
        print(f"| `{name}` | {MODELS[name].name} | {1 / statistics.median(own):.3g} | {ratio:.3g} |")
    print(f"\nothers kept {others / elapsed:.2f} cores busy meanwhile; load {psutil.getloadavg()[0]:.1f}\n")


def _peak(name: str, side: int, tile: int | None, threads: int, queue: SimpleQueue[float]) -> None:
    torch.set_num_threads(threads)
    model, image = made(name, tile=tile), given(MODELS[name], side)
    before = own_peak_rss()
    seconds(model, image)
    queue.put((own_peak_rss() - before) / 2**20)


def peak(name: str, side: int, tile: int | None) -> float:
    """MiB that restoring takes in a process of its own."""
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=_peak, args=(name, side, tile, torch.get_num_threads(), queue))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"the process that measures memory ended with code {process.exitcode}")
    return queue.get()


def tiles(side: int, tile: int) -> None:
    """Whole images against tiles."""
    print(
        f"| network, {side}×{side} | tiles of {tile} take | largest difference | MiB whole | MiB in tiles |"
    )
    print("|---|---|---|---|---|")
    for name in ("espcn", "srcnn", "edsr", "dncnn"):
        torch.manual_seed(0)
        model, image = made(name), given(MODELS[name], side)
        planes = image[:, :1].float()
        outputs, taken = [], []
        for own in (side, tile):
            model.sampling = type(model).Sampling(tile=own)  # type: ignore[operator, union-attr]
            start = time.process_time()
            with torch.inference_mode():
                outputs.append(model.whole(planes))  # type: ignore[operator]
            taken.append(time.process_time() - start)
        gap = float((outputs[0] - outputs[1]).abs().max()) / 255
        memory = [peak(name, side, own) for own in (side, tile)]
        print(
            f"| `{name}` | {taken[1] / taken[0]:.2f} times as long | {gap:.1e} of the range | {memory[0]:.0f} | "
            f"{memory[1]:.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--side", type=int, default=1024, help="of the images for tiles")
    parser.add_argument("--tile", type=int, default=256)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(describe_machine(torch.device("cpu")))
    race(options.rounds)
    tiles(options.side, options.tile)


if __name__ == "__main__":
    main()
