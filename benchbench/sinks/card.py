"""A record as a folder for the Hugging Face Hub: a model card, its results as the Hub reads them, pictures, weights.

The card's head has the numbers as `model-index` (github.com/huggingface/hub-docs, modelcard.md), `.eval_results/` has
them as the Hub's leaderboards read them (eval_results.yaml beside it), which know a dataset by its id on the Hub alone.
No network is needed: the folder is uploaded by whoever owns it.
"""

from __future__ import annotations

import html
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from benchbench import __version__
from benchbench.core.errors import InputError
from benchbench.core.files import atomic_write
from benchbench.core.hashing import file_sha256
from benchbench.results.load import Record, read_file, rows_of
from benchbench.results.manifest import RunManifest
from benchbench.results.record import Row
from benchbench.results.touched import damaged
from benchbench.sinks.replay import pictures_of
from benchbench.sinks.sink import flat
from benchbench.sinks.yaml_text import to_yaml

Weights = Literal["copy", "link"]
WEIGHTS = "weights.safetensors"
README = "README.md"
RESULTS = ".eval_results"

ON_THE_HUB: Mapping[str, str] = {"mnist": "ylecun/mnist", "cifar10": "uoft-cs/cifar10"}
"""Datasets of ours by their id on the Hub, where the very same images are there."""
TASKS: Mapping[str, str] = {
    "generation": "unconditional-image-generation",
    "text-to-image": "text-to-image",
    "classification": "image-classification",
}
"""What the Hub calls our tasks; the others, and parts of them, are image-to-image."""


def write_card(
    record: Record, folder: Path, *, dataset: str | None = None, weights: Weights | None = None
) -> bool:
    """Fill a folder with a record's card, results, pictures and, where asked for, weights.

    Args:
        record: The record.
        folder: Is there, and empty.
        dataset: The id of its dataset on the Hub, "owner/name"; None for the one that is known.
        weights: Whether the weights are copied, or linked as one file (a hard link); None leaves them out.

    Returns:
        Whether the results were written for leaderboards too: without an id of the dataset they are on the card alone.

    Raises:
        InputError: The record is damaged or has no weights, or the folder cannot be written.
    """
    rows = rows_of(record[0], record[1])
    known = dataset or ON_THE_HUB.get(record[1].dataset)
    pictures = dict(pictures_of(record))
    files = {f"{name.removeprefix('record/')}.png": content for name, content in pictures.items()}
    if "training.png" in record[1].files and (record[0] / "training.png").exists():
        files["training.png"] = read_file(*record, "training.png")
    for name, content in files.items():
        atomic_write(folder / name, content)
    if weights is not None:
        _place_weights(record, folder, weights)
    atomic_write(folder / README, card(record[1], rows, known, list(files), weights is not None))
    if known is not None:
        results = folder / RESULTS / f"{known.replace('/', '_')}.yaml"
        atomic_write(results, to_yaml(eval_results(record[1], rows, known)))
    return known is not None


def checked_dataset(name: str | None) -> str | None:
    """An id as the Hub has them; `InputError` for what is none."""
    part = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
    if name is not None and not re.fullmatch(rf"{part}/{part}", name):
        raise InputError(f"{name[:80]!r} is no dataset of the Hub; write OWNER/NAME, as in uoft-cs/cifar10")
    return name


def card(
    run: RunManifest, rows: Sequence[Row], dataset: str | None, pictures: Sequence[str], weights: bool
) -> str:
    """The README.md. dataset: its id on the Hub. pictures: files beside it. weights: whether they are beside it."""
    name = run.name or " ".join(filter(None, (run.model, run.variant)))
    index = {"name": name, "results": model_index(run, rows, dataset)}
    tasks = list(dict.fromkeys(_task(row) for row in rows if _shown(row)))
    head = {
        "library_name": "benchbench",
        "tags": ["benchbench", run.model],
        **({"pipeline_tag": tasks[0]} if tasks else {}),
        **({"datasets": [dataset]} if dataset else {}),
        "model-index": [index],
    }
    body = [
        f"# {_plain(name)} on {_plain(run.dataset)}",
        _about(run),
        *(_pictured(file) for file in sorted(pictures, key=lambda name: not name.startswith("samples"))),
        "## Numbers",
        "A number is named after its metric and the network whose features it reads; ↓ says that lower is better, "
        "brackets hold the interval, and what ranks models is bold. Numbers compare only with those of the same "
        "metric, network, resize, reference and number of images.",
        _table(rows),
        "## How it was made",
        _made(run, weights),
    ]
    return f"---\n{to_yaml(head)}---\n\n" + "\n\n".join(filter(None, body)) + "\n"


def model_index(run: RunManifest, rows: Sequence[Row], dataset: str | None) -> list[dict[str, Any]]:
    """The results of a model index: one a task and direction, with the metrics that have a value."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in filter(_shown, rows):
        groups.setdefault((_task(row), row.task, row.direction), []).append(row)
    return [
        {
            "task": {"type": kind, "name": " ".join(filter(None, (task, direction)))},
            "dataset": {"type": dataset or run.dataset, "name": run.dataset},
            "metrics": [_metric(row) for row in own],
        }
        for (kind, task, direction), own in groups.items()
    ]


def eval_results(run: RunManifest, rows: Sequence[Row], dataset: str) -> list[dict[str, Any]]:
    """The entries of a file in `.eval_results`: one a metric, each a task of the dataset. dataset: its id."""
    return [
        {
            "dataset": {
                "id": dataset,
                "task_id": "_".join(filter(None, (row.task, row.direction, row.metric))),
            },
            "value": row.value,
            **({"date": run.finished} if run.finished else {}),
            "notes": f"benchbench {_version(run)}; {_conditions(row)}",
        }
        for row in rows
        if _shown(row)
    ]


def _shown(row: Row) -> bool:
    """Whether a row is a result of the model, and no measurement of a machine."""
    return row.value is not None and row.aspect not in ("throughput", "cost")


def _task(row: Row) -> str:
    return TASKS.get(row.task, "image-to-image")


def _metric(row: Row) -> dict[str, Any]:
    """One metric of a model index."""
    ends = {"low": row.low, "high": row.high, "interval": row.interval, "unit": row.unit or None}
    of = {"n_images": row.n_images, "n_reference": row.n_reference, "extractor": row.extractor}
    how = {"resize": row.resize, "precision": row.precision, "version": row.metric_version}
    arguments = {name: said for name, said in {**ends, **of, **how}.items() if said is not None}
    return {"type": row.metric, "name": row.metric, "value": row.value, "args": arguments}


def _conditions(row: Row) -> str:
    """Under which a number was made, in a line."""
    ends = (
        None if row.low is None or row.high is None else f"{row.low:.6g} to {row.high:.6g} ({row.interval})"
    )
    said = {
        "images": row.n_images,
        "reference images": row.n_reference,
        "network": row.extractor,
        "resize": row.resize,
        "seed": row.seed,
        "interval": ends,
    }
    return ", ".join(f"{name} {value}" for name, value in said.items() if value is not None)


def _about(run: RunManifest) -> str:
    """What this is, in two sentences."""
    data = run.data
    size = data.size if data is not None and isinstance(data.size, str) else None
    size_said = "" if size is None else f" of {size} pixels"
    images = "" if run.n_samples is None else f" {run.n_samples:,} images{size_said} were scored."
    status = "" if run.status != "collapsed" else " Its training was stopped by the alarm for mode collapse."
    return f"Scored by benchbench {_plain(_version(run))}, seed {run.seed or 0}.{images}{status}"


def _pictured(file: str) -> str:
    """A picture with its name below it."""
    words = _plain(Path(file).stem.replace("_", " ").replace("-", " "))
    return f"![{words}]({file})\n*{words}*"


def _made(run: RunManifest, weights: bool) -> str:
    """The command, the settings, and where to look it up."""
    command = None if run.provenance is None else run.provenance.command
    facts = [f"Record `{run.cell}`; `run.json` of that record has data, code and versions by their digests."]
    training = None if run.recipe is None or run.training is None else run.recipe.training
    for what, made in (("Model", run.config), ("Training", training), ("Sampling", run.sampling)):
        if made:
            facts.append(
                f"{what}: " + ", ".join(_plain(f"{name}={value}") for name, value in flat(made)) + "."
            )
    if weights:
        facts.append(f"`{WEIGHTS}` has the weights that were scored, read by `benchbench run --weights`.")
    if command and command.startswith("benchbench "):  # not the worker of a suite
        facts.insert(0, "".join(f"    {line}\n" for line in command.splitlines()).rstrip("\n"))
    return "\n\n".join(facts)


def _version(run: RunManifest) -> str:
    stated = None if run.provenance is None else run.provenance.benchbench
    return stated or __version__


def _table(rows: Sequence[Row]) -> str:
    """The numbers in Markdown, task by task, those that rank models first and bold; failed ones say why."""
    lines = ["| task | metric | value | how |", "|---|---|---|---|"]
    better = {True: " ↑", False: " ↓", None: ""}
    kept = [row for row in rows if row.aspect not in ("throughput", "cost")]
    tasks = [row.task for row in kept]
    for row in sorted(kept, key=lambda own: (tasks.index(own.task), not own.headline)):
        value = f"{row.value:.4g}" if row.value is not None else f"none: {row.reason}"
        if row.value is not None and row.low is not None and row.high is not None:
            value += f" [{row.low:.4g}, {row.high:.4g}]"
        task, name = " ".join(filter(None, (row.task, row.direction))), row.metric
        value, bold = _plain(f"{value} {row.unit}".strip()), "**" if row.headline else ""
        cells = (
            _plain(task),
            f"{bold}{_plain(name)}{bold}{better[row.higher_is_better]}",
            value,
            _plain(_how(row)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _how(row: Row) -> str:
    """Of which images a number is and by what: "898 images against 898; cnn_digits, bilinear-antialias-32; 95% t"."""
    images = "" if row.n_images is None else f"{row.n_images:,} images"
    against = "" if row.n_reference is None else f" against {row.n_reference:,}"
    network = ", ".join(filter(None, (row.extractor, row.resize)))
    return "; ".join(filter(None, (images + against, network, row.interval)))


def _plain(text: str) -> str:
    """What anybody may have written, as plain text in Markdown: no tag, no link, no end of a line or of a cell."""
    escaped = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_{}\[\]#|!~])", r"\\\1", escaped)


def _place_weights(record: Record, folder: Path, how: Weights) -> None:
    """The weights beside the card, which must be those that the record lists."""
    source, listed = record[0] / WEIGHTS, record[1].files.get(WEIGHTS)
    if listed is None or not source.is_file():
        raise InputError(
            f"{record[0]} holds no {WEIGHTS}: they were taken away or there are none; leave --weights out"
        )
    target = folder / WEIGHTS
    try:
        if how == "link":
            os.link(source, target)
        else:
            shutil.copyfile(source, target)
    except OSError as error:
        way_out = "; --weights copy needs no link" if how == "link" else ""
        raise InputError(f"cannot {how} {source} to {target}: {error.strerror}{way_out}") from error
    if file_sha256(target) != listed:
        raise damaged(source, "is not what run.json lists (its sha256 differs)")
