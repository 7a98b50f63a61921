"""The variants table: images a second against quality, for generators and for an extractor.

    python benchmarks/variants.py [--models dcgan,vae,flow-matching] [--dataset digits] [--out runs/variants] [--small]

A generator is trained by its recipe, once, and each variant is scored and profiled (`benchbench profile`); records go
to `--out`, and a table in Markdown and a plane a model to stdout and there. What is done already is answered from its
record. An extractor's quality is by how much it shifts a Fréchet distance: that between what it says of the dataset's
images as it is and as a variant, 0 at best.

Rates mean something on a quiet machine only; a table that was made on a busy one says so. `--small` tries the script
in a minute or two: a few steps of training, whose quality means nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import benchbench
from benchbench.core.busy import Busy
from benchbench.core.device import describe_machine, resolve_device
from benchbench.core.errors import InputError
from benchbench.core.files import atomic_write
from benchbench.core.registry import EXTRACTORS
from benchbench.data.catalogue import load_dataset
from benchbench.data.pipeline.image_source import in_memory
from benchbench.features.frozen import full_float32
from benchbench.features.moments import Moments
from benchbench.metrics.sets.frechet import frechet_distance
from benchbench.models.variants.technique import accelerated, techniques_of
from benchbench.results.claims.conditions import BUSY
from benchbench.tasks.profiling.curve import batch_curve
from benchbench.tasks.profiling.stored import stored_bytes
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
    "flow-matching": (*(own for own in AFTERWARDS if "fused" not in own), "steps=5", "steps=10", "depthwise"),
}
SMALL: dict[str, Any] = {"training.steps": 5}
CALIBRATION = 32


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
    options: dict[str, Any] = {}
    if asked.small:
        options = {"overrides": SMALL, "samples": 64, "metrics": ["fd"], "most_batch": 4}
    variants = OF_MODELS.get(model, AFTERWARDS)[: 2 if asked.small else None]
    frame = benchbench.profile(
        model, asked.dataset, variant=variants, out=asked.out / "records", device=asked.device, **options
    )
    table = pareto(frame)
    atomic_write(asked.out / f"{model}.svg", pareto_plot(table))
    return f"### {model} on {asked.dataset}\n\n{markdown(table)}"


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
    images = in_memory(load_dataset(asked.dataset).train.images)[: 64 if asked.small else 2000]
    plain = Reading(EXTRACTORS.get(name)(device)).eval()
    some = images[:CALIBRATION].to(device)
    reference = None
    lines = ["| variant | images/s | shift of fd | MiB of weights |", "|---|---:|---:|---:|"]
    busy = Busy()
    for variant in ("", *AFTERWARDS[: 3 if asked.small else None]):
        try:
            with full_float32():
                model: Any = accelerated(
                    plain, techniques_of(variant), lambda own: own.classify(some), device
                )
                seen = Moments.of(torch.cat([features(model, part, device) for part in images.split(64)]))
                reference = reference or seen
                most = 4 if asked.small else None
                rates = batch_curve(lambda n: model.classify(images[:n].to(device)), device, most)  # noqa: B023
        except InputError as error:
            lines.append(f"| {variant} | {error} | | |")
            continue
        rate = rates.rates[rates.best]
        shift = frechet_distance(seen.mean, seen.covariance, reference.mean, reference.covariance)
        size = stored_bytes(model, lambda own: own.classify(some)) / 2**20
        rated = f"{rate.value:.4g} [{rate.low:.4g}, {rate.high:.4g}]"
        lines.append(f"| {name} {variant} | {rated} at {rates.best} | {shift:.3g} | {size:.3g} |")
    others, seconds = busy.others()
    share = others / seconds / (describe_machine(device)["cores"] or 1)
    told = (
        f"† other programs took {share:.0%} of the machine: these rates say little\n" if share > BUSY else ""
    )
    return f"### {name} on {len(images)} images of {asked.dataset}\n\n" + "\n".join([*lines, "", told])


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
    parser.add_argument("--small", action="store_true", help="a few steps, images and variants")
    asked = parser.parse_args()
    tables = [of_model(name, asked) for name in asked.models.split(",") if name != "none"]
    if asked.extractor != "none":
        tables.append(of_extractor(asked.extractor, asked))
    text = "\n".join(tables)
    print(text)
    asked.out.mkdir(parents=True, exist_ok=True)
    atomic_write(asked.out / "variants.md", text)


if __name__ == "__main__":
    main()
