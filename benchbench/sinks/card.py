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
from benchbench.results.load import Record
from benchbench.results.manifest import RunManifest
from benchbench.results.record import Row
from benchbench.results.rows import read_file
from benchbench.results.store import WEIGHTS
from benchbench.results.touched import damaged
from benchbench.sinks.over_seeds import mean_rows
from benchbench.sinks.replay import pictures_of
from benchbench.sinks.sink import flat
from benchbench.sinks.yaml_text import to_yaml

Weights = Literal["copy", "link"]
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
    found: Sequence[Record], folder: Path, *, dataset: str | None = None, weights: Weights | None = None
) -> bool:
    """Fill a folder with a model's card, results, pictures and, where asked for, weights.

    Args:
        found: Its record, or those of several seeds: then numbers are means over them, and what cannot be averaged,
            pictures and weights, is that of the first.
        folder: Is there, and empty.
        dataset: The id of its dataset on the Hub, "owner/name"; None for the one that is known.
        weights: Whether the weights are copied, or linked as one file (a hard link); None leaves them out.

    Returns:
        Whether the results were written for leaderboards too: without an id of the dataset they are on the card alone.

    Raises:
        InputError: A record is damaged or has no weights, numbers have no mean, or the folder cannot be written.
    """
    rows, record = mean_rows(found), found[0]
    runs = [run for _, run in found]
    known = dataset or ON_THE_HUB.get(record[1].dataset)
    pictures = dict(pictures_of(record))
    files = {f"{name.removeprefix('record/')}.png": content for name, content in pictures.items()}
    if "training.png" in record[1].files and (record[0] / "training.png").exists():
        files["training.png"] = read_file(*record, "training.png")
    for name, content in files.items():
        atomic_write(folder / name, content)
    if weights is not None:
        _place_weights(record, folder, weights)
    atomic_write(folder / README, card(runs, rows, known, list(files), weights is not None))
    if known is not None:
        results = folder / RESULTS / f"{known.replace('/', '_')}.yaml"
        atomic_write(results, to_yaml(eval_results(runs, rows, known)))
    return known is not None


def checked_dataset(name: str | None) -> str | None:
    """An id as the Hub has them; `InputError` for what is none."""
    part = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
    if name is not None and not re.fullmatch(rf"{part}/{part}", name):
        raise InputError(f"{name[:80]!r} is no dataset of the Hub; write OWNER/NAME, as in uoft-cs/cifar10")
    return name


def card(
    runs: Sequence[RunManifest],
    rows: Sequence[Row],
    dataset: str | None,
    pictures: Sequence[str],
    weights: bool,
) -> str:
    """The README.md. runs: one a seed. dataset: its id on the Hub. pictures: files beside it. weights: whether they are
    beside it."""
    run, made = (
        runs[0],
        [own for own in runs if own.people is None] or runs,
    )  # what people said has no images of its own
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
        _about(made),
        *(_pictured(file) for file in sorted(pictures, key=lambda name: not name.startswith("samples"))),
        "## Numbers",
        "A number is named after its metric and the network whose features it reads; ↓ says that lower is better, "
        "brackets hold the interval, and what ranks models is bold. Numbers compare only with those of the same "
        "metric, network, resize, reference and number of images.",
        _table(rows),
        *(f"{_plain(study)}: people were asked {_plain(said)}." for study, said in _asked(runs).items()),
        "## How it was made",
        _made(runs, weights),
    ]
    return f"---\n{to_yaml(head)}---\n\n" + "\n\n".join(filter(None, body)) + "\n"


def _asked(runs: Sequence[RunManifest]) -> dict[str, str]:
    """By the name of a study, as numbers have it, what people were asked there."""
    return {
        study: run.people.words for run in runs if run.people is not None for study in run.extractors or ()
    }


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


def eval_results(runs: Sequence[RunManifest], rows: Sequence[Row], dataset: str) -> list[dict[str, Any]]:
    """The entries of a file in `.eval_results`: one a metric, each a task of the dataset. runs: one a seed. dataset:
    its id."""
    run = runs[-1]
    return [
        {
            "dataset": {
                "id": dataset,
                "task_id": "_".join(filter(None, (row.task, row.direction, row.metric))),
            },
            "value": row.value,
            **({"date": run.finished} if run.finished else {}),
            "notes": f"benchbench {_version(run)}; {_conditions(row, runs)}",
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


def _conditions(row: Row, runs: Sequence[RunManifest]) -> str:
    """Under which a number was made, in a line."""
    said = {
        "images": row.n_images,
        "reference images": row.n_reference,
        "network": row.extractor,
        "resize": row.resize,
    }
    parts = [f"{name} {value}" for name, value in said.items() if value is not None]
    if row.low is not None and row.high is not None:
        return ", ".join([*parts, _seeds(runs), f"interval {row.low:.6g} to {row.high:.6g} ({row.interval})"])
    return ", ".join([*parts, _seeds(runs)])


def _seeds(runs: Sequence[RunManifest]) -> str:
    """ "seed 0", or "mean over seeds 0, 1, 2"."""
    seeds = list(dict.fromkeys(str(run.seed or 0) for run in runs))
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"mean over seeds {', '.join(seeds)}"


def _about(runs: Sequence[RunManifest]) -> str:
    """What this is, in two sentences."""
    run = runs[0]
    data = run.data
    size = data.size if data is not None and isinstance(data.size, str) else None
    size_said = "" if size is None else f" of {size} pixels"
    each = "" if len(runs) == 1 else " of each seed"
    images = "" if run.n_samples is None else f" {run.n_samples:,} images{size_said}{each} were scored."
    stopped = [str(own.seed or 0) for own in runs if own.status == "collapsed"]
    of = f" of seed {', '.join(stopped)}" if len(runs) > 1 else ""
    status = f" Its training{of} was stopped by the alarm for mode collapse." if stopped else ""
    pictures = "" if len(runs) == 1 else f" Pictures and weights are those of seed {run.seed or 0}."
    return f"Scored by benchbench {_plain(_version(run))}, {_seeds(runs)}.{images}{status}{pictures}"


def _pictured(file: str) -> str:
    """A picture with its name below it."""
    words = _plain(Path(file).stem.replace("_", " ").replace("-", " "))
    return f"![{words}]({file})\n*{words}*"


def _made(runs: Sequence[RunManifest], weights: bool) -> str:
    """The commands, the settings, and where to look it up."""
    run = runs[0]
    commands = dict.fromkeys(own.provenance.command for own in runs if own.provenance is not None)
    records = f"Record{'' if len(runs) == 1 else 's'} {', '.join(f'`{own.cell}`' for own in runs)}"
    facts = [f"{records}; `run.json` there has data, code and versions by their digests."]
    training = None if run.recipe is None or run.training is None else run.recipe.training
    for what, made in (("Model", run.config), ("Training", training), ("Sampling", run.sampling)):
        if made:
            facts.append(
                f"{what}: " + ", ".join(_plain(f"{name}={value}") for name, value in flat(made)) + "."
            )
    if weights:
        facts.append(f"`{WEIGHTS}` has the weights that were scored, read by `benchbench run --weights`.")
    typed = [own for own in commands if own and own.startswith("benchbench ")]  # not the worker of a suite
    if typed:
        facts.insert(0, "\n".join(f"    {line}" for own in typed for line in own.splitlines()))
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
