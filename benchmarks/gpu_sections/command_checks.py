"""The product through its front doors: `run` and `evaluate` as a person types them, images that are on the device."""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
import time
from contextlib import redirect_stderr
from functools import partial
from io import StringIO
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import Tensor

import benchbench
from benchbench.cli import main
from gpu_sections.carried import stood_in
from gpu_sections.child import Bench
from gpu_sections.tools import copied_bytes, device_of, needs_cuda, pictures, trace

SMALL = {
    "vae": ("--set", "epochs=1", "--samples", "64", "--metrics", "fd,kd"),
    "dcgan": ("--set", "steps=3", "--samples", "64", "--metrics", "fd,precision"),
}
ROUND_TRIP = 0.5  # of the images' own bytes
TINY = 0.002  # of the device's memory


def commands(bench: Bench) -> None:
    """Each in turn."""
    device = device_of(bench)
    with tempfile.TemporaryDirectory() as folder:
        for model in SMALL:
            with bench.item(f"run {model}"):
                run(bench, model, Path(folder) / "store", device)
        with bench.item("evaluate images that are on the device"):
            evaluate(bench, device)
        with bench.item("out of memory is a sentence"):
            out_of_memory(bench, Path(folder), device)


def command(*arguments: str) -> tuple[int, str]:
    """Exit code and standard error of `benchbench ARGUMENTS`, in this process."""
    errors = StringIO()
    with mock.patch.object(sys, "argv", ["benchbench", *arguments]), redirect_stderr(errors):
        try:
            main()
        except SystemExit as stop:
            code = stop.code
    print(errors.getvalue())
    return code if isinstance(code, int) else 1, errors.getvalue()


def run(bench: Bench, model: str, store: Path, device: torch.device) -> None:
    """`benchbench run` on digits by its recipe, and what the record says of it."""
    options = SMALL[model] if bench.small else ()
    start = time.perf_counter()
    asked = ("--model", model, "--dataset", "digits", "--device", str(device), "--out", str(store))
    code, errors = command("run", *asked, *options)
    seconds = time.perf_counter() - start
    last = errors.strip().splitlines()[-1:] if code else []
    bench.check(f"run {model}: exit code", code, 0.0, *last)
    (record,) = store.glob(f"digits/{model}/*/run.json")
    with (record.parent / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    failed = [f"{row['metric']}: {row['reason']}" for row in rows if row["status"] != "ok"]
    missing = f"; stood in for: {', '.join(stood_in())}" if stood_in() else ""
    bench.check(f"run {model}: failed numbers", len(failed), 0.0, "; ".join(failed) + missing)
    training = json.loads(record.read_text(encoding="utf-8"))["training"]
    bench.measure(f"run {model}: all of it", seconds, "s", note=f"{len(rows)} numbers")
    bench.measure(f"run {model}: training", float(training["images_per_second"]), "images/s")
    with bench.item(f"run {model}: memory of the device"):
        needs_cuda(device)
        memory = float(training["peak_memory_mib"])
        total = torch.cuda.get_device_properties(device).total_memory / 2**20
        note = f"{memory:.0f} MiB allocated in training, of {total:.0f}"
        bench.holds(f"run {model}: memory of the device is in the record", 0 < memory <= total, note)


def evaluate(bench: Bench, device: torch.device) -> None:
    """`benchbench.evaluate` of tensors on the device: does it bring them to the host and back?"""
    few, many = (8, 24) if bench.small else (64, 10_000)
    sides = [tuple(pictures(n, 64, seed=s + n).to(device) for s in (0, 1)) for n in (few, many)]

    def score(images: Tensor, reference: Tensor) -> None:
        with (
            tempfile.TemporaryDirectory() as folder,
            mock.patch.dict(os.environ, {"BENCHBENCH_CACHE": folder}),
        ):
            frame = benchbench.evaluate(images, reference, ["fd"], device=str(device))
        bad = frame[frame["status"] != "ok"]
        if len(bad):
            raise RuntimeError(f"{bad.iloc[0]['metric']}: {bad.iloc[0]['reason']}")

    score(*sides[0])  # warms up
    start = time.perf_counter()
    score(*sides[1])
    rate = 2 * many / (time.perf_counter() - start)
    note = f"fd of {many:,} images a side, 64×64, nothing known beforehand"
    bench.measure("evaluate images that are on the device", rate, "images/s", note=note)
    needs_cuda(device)
    # The network's weights travel each time: what more images cost beyond few is what images cost.
    events = [trace(partial(score, *images), device) for images in sides]
    own = sum(side.numel() for side in sides[1]) - sum(side.numel() for side in sides[0])
    for kind, words in (("Memcpy HtoD", "to the device"), ("Memcpy DtoH", "to the host")):
        copied = (copied_bytes(events[1], kind) - copied_bytes(events[0], kind)) / own
        if words == "to the device":
            note = "bytes copied to the device, of the images' own"
            bench.check("evaluate: images make no round trip", copied, ROUND_TRIP, note)
        else:
            note = "of the images' own bytes; fingerprints are made on the host"
            bench.measure(f"evaluate: bytes copied {words}", copied, "", note=note)


def out_of_memory(bench: Bench, folder: Path, device: torch.device) -> None:
    """`benchbench evaluate` with next to no memory: an exit code of ours and one sentence that says what to change."""
    needs_cuda(device)
    for name in ("a", "b"):
        np.savez(folder / f"{name}.npz", pictures(512, 32, seed=ord(name)).permute(0, 2, 3, 1).numpy())
    arguments = ("evaluate", str(folder / "a.npz"), "--reference", str(folder / "b.npz"), "--metrics", "fd")
    where = ("--device", str(device), "--batch-size", "512", "--out", str(folder / "records"))
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(TINY, device)
    try:
        code, errors = command(*arguments, *where)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    said = errors.strip().splitlines()[-1] if errors.strip() else "nothing"
    note = f"exit code {code}; 2 is what was asked for, 4 is what could not be carried out"
    bench.holds("out of memory: exit code", code in (2, 4), note)
    helpful = "memory" in said and "--batch-size" in said and "bug" not in said
    bench.holds("out of memory: the last line says the way out", helpful, said)
