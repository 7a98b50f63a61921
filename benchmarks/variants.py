"""The variants table: images a second against quality, for generators and for an extractor.

    python benchmarks/variants.py [--models dcgan,vae,flow-matching] [--dataset digits] [--out runs/variants]
        [--whole | --small]

A generator is trained, once, and each variant is scored and profiled (`benchbench profile`); records go to `--out`, and
a table in Markdown and a plane a model to stdout and there. What is done already is answered from its record, so a run
that was killed goes on where it was; the last table, of the extractor, is measured each time. An extractor's quality is
by how much it shifts a Fréchet distance: that between what it says of the dataset's images as it is and as a variant,
0 at best.

Trainings are shortened so that all of it takes about half an hour on two cores (the headings say how);
`--whole` takes the recipes as they are, an hour or more. `--small` tries the script in a few minutes: a few steps of
training, whose quality means nothing. Rates mean something on a quiet machine only: each table says how busy others
kept it, and on a busy one there is no front.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import torch
from torch import Tensor, nn

from benchbench.core.busy import Busy
from benchbench.core.device import describe_machine, resolve_device
from benchbench.core.errors import InputError
from benchbench.core.files import atomic_write
from benchbench.core.progress import SILENT, Stage
from benchbench.core.registry import EXTRACTORS
from benchbench.core.runtime import Runtime
from benchbench.data.catalogue import load_dataset
from benchbench.data.pipeline.image_source import in_memory
from benchbench.features.frozen import full_float32
from benchbench.features.moments import Moments
from benchbench.metrics.metric import Estimate
from benchbench.metrics.sets.frechet import frechet_distance
from benchbench.models.variants.technique import accelerated, techniques_of
from benchbench.results.claims.conditions import BUSY
from benchbench.runner.profile import ProfileOptions
from benchbench.runner.spec import CellSpec
from benchbench.tasks.profiling.curve import batch_curve
from benchbench.tasks.profiling.stored import stored_bytes
from benchbench.verbs.profile import profiled
from benchbench.views.pareto import BESIDE, Pareto, pareto, pareto_notes, pareto_plot

AFTERWARDS = (
    "channels-last",
    "fused",
    "bf16",
    "int8",
    "fused+int8",
    "pruned=0.5",
    "pruned-channels=0.25",
    "compile",
)
OF_MODELS: dict[str, tuple[str, ...]] = {
    "dcgan": (*AFTERWARDS, "depthwise"),
    "vae": (*(own for own in AFTERWARDS if "fused" not in own), "depthwise"),
    "flow-matching": (*(own for own in AFTERWARDS if "fused" not in own), "steps=5", "steps=20", "depthwise"),
}
SHORT: dict[str, dict[str, Any]] = {
    "dcgan": {"training.steps": 400},
    "flow-matching": {"width": 32, "training.steps": 1000},
}
SMALL: dict[str, Any] = {"training.steps": 5}
CALIBRATION = 32
IMAGES = {"whole": 2000, "short": 400, "small": 64}
MOST = {"whole": None, "short": 64, "small": 4}


class Reading(nn.Module):
    """An extractor as a model, so that techniques find its layers: what it is asked is `classify`."""

    def __init__(self, extractor: Any) -> None:
        super().__init__()
        self.extractor, self.network = extractor, extractor.network

    def classify(self, images: Tensor) -> Tensor:
        """Features, float32 (N, dim), of uint8 images."""
        features: Tensor = self.extractor.forward(images).features
        return features.float()


def of_model(model: str, asked: argparse.Namespace) -> str:
    """The table of a generator, its plane beside it in a file."""
    overrides = {} if asked.how == "whole" else SHORT.get(model, {})
    options: dict[str, Any] = {"metrics": ["fd"], "overrides": overrides}
    if asked.how == "small":
        options |= {"overrides": {**overrides, **SMALL}, "samples": 64}
    variants = OF_MODELS.get(model, AFTERWARDS)[: 2 if asked.how == "small" else None]
    ended = profiled(
        CellSpec.of(model=model, dataset=asked.dataset, **options),
        variants,
        ProfileOptions(most=MOST[asked.how]),
        asked.out / "records",
        Runtime(resolve_device(asked.device), None, Told()),
    )
    heading = ", ".join(
        [f"### {model} on {asked.dataset}", *(f"{k}={v}" for k, v in options["overrides"].items())]
    )
    failures = [f"failed: {own}" for own in ended.failures]
    if not ended.done:
        return "\n\n".join([heading, *failures, ""])
    table = pareto(ended.rows)
    atomic_write(asked.out / f"{model}.svg", pareto_plot(table))
    return "\n\n".join([heading, markdown(table), load_of(ended.rows), *failures, ""])


class Told:
    """What is said on the way, on standard error; no bars."""

    def note(self, text: str) -> None:
        """A line."""
        print(text, file=sys.stderr, flush=True)

    def stage(self, title: str, total: int, unit: str, done: int = 0) -> AbstractContextManager[Stage]:
        """Its beginning, in a line."""
        self.note(f"{title}: {total} × {unit}")
        return SILENT.stage(title, total, unit, done)


def load_of(rows: pd.DataFrame) -> str:
    """The machine, and how busy others kept it while each variant was profiled."""
    timed = rows[rows["task"] == "profile"]
    busy, load = (timed[timed["metric"] == name]["value"] for name in ("machine_busy", "machine_load"))
    return (
        f"{machine()}; other programs kept {busy.median():.2f} cores busy (at most {busy.max():.2f}), load "
        f"{load.median():.1f} (at most {load.max():.1f})."
    )


def machine() -> str:
    """In words."""
    about = describe_machine(torch.device("cpu"))
    return f"{about['processor']}, {about['cores']} cores, torch {torch.__version__}"


def markdown(table: Pareto) -> str:
    """A line a variant, fastest first, and the notes below."""

    def ends(point: Any) -> str:
        return "" if point.low is None else f" [{point.low:.4g}, {point.high:.4g}]"

    heads = ["variant", "images/s", table.metric, *BESIDE.values(), "front"]
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    for own in table.standings:
        beside = [f"{own.beside[name]:.4g}" if name in own.beside else "" for name in BESIDE]
        on = {True: "yes", False: "", None: "busy"}[own.front]
        numbers = [f"{point.value:.4g}{ends(point)}" for point in (own.rate, own.quality)]
        lines.append(f"| {' | '.join([own.name, *numbers, *beside, on])} |")
    return "\n".join([*lines, "", *pareto_notes(table), ""])


def of_extractor(name: str, asked: argparse.Namespace) -> str:
    """The table of an extractor: rates, the shift of a Fréchet distance, MiB of weights."""
    device = resolve_device(asked.device)
    images = in_memory(load_dataset(asked.dataset).train.images)[: IMAGES[asked.how]]
    plain = Reading(EXTRACTORS.get(name)(device)).eval()
    reference, lines = None, ["| variant | images/s | shift of fd | MiB of weights |", "|---|---:|---:|---:|"]
    busy = Busy()
    for variant in ("", *AFTERWARDS[: 3 if asked.how == "small" else None]):
        print(f"{name} {variant}", file=sys.stderr, flush=True)
        try:
            found, rate, at, size = read_by(plain, variant, images, device, MOST[asked.how])
        except InputError as error:
            lines.append(f"| {name} {variant} | {error} | | |")
            continue
        reference = reference or found
        shift = frechet_distance(found.mean, found.covariance, reference.mean, reference.covariance)
        rated = f"{rate.value:.4g} [{rate.low:.4g}, {rate.high:.4g}] at {at}"
        lines.append(f"| {name} {variant} | {rated} | {shift:.3g} | {size / 2**20:.3g} |")
    others, seconds = busy.others()
    cores = others / seconds
    told = f"{machine()}; other programs kept {cores:.2f} cores busy, load {psutil.getloadavg()[0]:.1f}."
    if cores / (describe_machine(device)["cores"] or 1) > BUSY:
        told += " That is too busy: these rates say little."
    return f"### {name} on {len(images)} images of {asked.dataset}\n\n" + "\n".join([*lines, "", told, ""])


def read_by(
    plain: Reading, variant: str, images: Tensor, device: torch.device, most: int | None
) -> tuple[Moments, Estimate, int, int]:
    """Moments of what a variant says of the images, its best rate with the batch, and the bytes of its weights."""
    some = images[:CALIBRATION].to(device)

    def show(own: Any) -> object:
        return own.classify(some)

    with full_float32():
        model: Any = accelerated(plain, techniques_of(variant), show, device)
        found = Moments.of(torch.cat([features(model, part, device) for part in images.split(CALIBRATION)]))
        curve = batch_curve(lambda n: model.classify(images[:n].to(device)), device, most)
    size = stored_bytes(model, show)
    return found, curve.rates[curve.best], curve.best, size


def features(model: Any, images: Tensor, device: torch.device) -> Tensor:
    """On the CPU."""
    with torch.inference_mode():
        seen: Tensor = model.classify(images.to(device)).cpu()
    return seen


def main() -> None:
    """Print the tables, and write them to `variants.md`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default=",".join(OF_MODELS), help="with commas; none leaves them out")
    parser.add_argument("--extractor", default="efficientnet_lite0", help="none leaves it out")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("runs/variants"))
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--whole", dest="how", action="store_const", const="whole", help="recipes as they are")
    how.add_argument(
        "--small", dest="how", action="store_const", const="small", help="a few steps and variants"
    )
    parser.set_defaults(how="short")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    work = [(of_model, name) for name in asked.models.split(",")] + [(of_extractor, asked.extractor)]
    tables: list[str] = []
    for make, name in work:
        if name != "none":
            tables.append(make(name, asked))
            print(tables[-1], flush=True)
            atomic_write(asked.out / "variants.md", "\n".join(tables))


if __name__ == "__main__":
    main()
