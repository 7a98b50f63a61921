"""The card of a baseline, made from its record: what its numbers are, how they were made, and where they end.

The same record gives the same bytes, so that a test can tell a card that is out of date. What people write by hand
stands below `REMARKS` and is kept. Names and notes come from records that anybody may have written: they are text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from benchbench.core.baselines import WEIGHTS
from benchbench.results.budget import WATCHED, Ended
from benchbench.results.chosen import LAST, chosen_of
from benchbench.results.claims.conditions import MEASURED
from benchbench.results.manifest import RunManifest
from benchbench.results.record import Row
from benchbench.views.board_notes import NOT_CANONICAL
from benchbench.views.paper_numbers import PaperNumber
from benchbench.views.text import arrow, direction_words, escape_markdown, number, task_words

REMARKS = "## Remarks"
FEW = 10_000
"""Images; at fewer a distance is far from that of many, and papers have more."""
FEW_PAIRS = 100
"""Test images, each held against its own right answer."""
POINTS = 6
"""Of a curve that are shown."""


@dataclass(frozen=True)
class Seed:
    """A run of the model under one seed.

    Attributes:
        run: What its run.json says.
        rows: Its numbers.
        ended: How its training ended; None where it was not trained there.
    """

    run: RunManifest
    rows: Sequence[Row]
    ended: Ended | None

    @property
    def headline(self) -> Row | None:
        """The number by which models are ranked; else the first of pairs."""
        good = [row for row in self.rows if row.value is not None]
        marked = [row for row in good if row.headline]
        return next(iter(marked or [row for row in good if row.aspect == "paired"]), None)


@dataclass(frozen=True)
class CardFacts:
    """What a card is made from.

    Attributes:
        name: Of the baseline.
        command: That loads its weights.
        shipped: The run whose weights these are.
        seeds: All published runs of it, `shipped` among them, by seed.
        curves: The curves.csv of `shipped`; "" without one.
        pictures: Files with pictures of its images by what they show, as the card links them.
        record: The folder of `shipped` in the published records.
        weights_sha256: Of the weights as they ship.
        weights_size: In bytes.
        float16: Whether they were rounded to it.
        licence: Of the images it learned from.
        papers: What papers report.
        without: Why none does, as half a sentence; "" where nobody says so.
    """

    name: str
    command: str
    shipped: Seed
    seeds: Sequence[Seed]
    curves: str
    pictures: Sequence[tuple[str, str]]
    record: str
    weights_sha256: str
    weights_size: int
    float16: bool
    licence: str
    papers: Sequence[PaperNumber]
    without: str = ""


def remarks_of(card: str) -> str:
    """What people wrote by hand in a card; "" where nothing is."""
    _, found, below = card.partition(f"\n{REMARKS}\n")
    return below.strip() if found else ""


def baseline_card(facts: CardFacts, remarks: str = "") -> str:
    """The card.md. remarks: what people wrote by hand, Markdown."""
    run = facts.shipped.run
    parts = [
        f"# {escape_markdown(run.model)} on {escape_markdown(run.dataset)}",
        f"The weights that `{facts.command}` loads. `benchbench baselines verify {facts.name}` computes the numbers "
        "below again. Made by `benchbench baselines publish` from the record; what is written by hand stands under "
        f"{REMARKS.removeprefix('## ')}.",
        *(f"![{caption}]({file})" for caption, file in facts.pictures),
        "## Numbers",
        _numbers(facts.shipped),
        *_of_seeds(facts.seeds),
        "## Training",
        _table(_training(facts)),
        *_curve(facts.curves),
        "## Data and protocol",
        _table([*_data(run, facts.licence), *_protocol(facts.shipped)]),
        "## The paper",
        _papers(facts.papers, facts.without),
        "## Limits",
        "\n".join(f"- {limit}" for limit in _limits(facts)),
        "## Weights",
        _table(_weights(facts)),
    ]
    if remarks:
        parts += [REMARKS, remarks]
    return "\n\n".join(parts) + "\n"


def _table(lines: Iterable[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in lines)])


def _numbers(seed: Seed) -> str:
    """All but what the clock, memory and the training say, in the order of the record, of each direction the headline
    first and bold."""
    shown = [row for row in seed.rows if row.aspect not in MEASURED and row.task != "training"]
    lines = ["| number | value | interval | of |", "|---|---:|---|---|"]
    there = (own for own in shown if own.value is not None)
    for row in sorted(there, key=lambda own: (own.direction, not own.headline)):
        of_task = "" if row.task == "generation" else f", {task_words(row.task, row.direction)}"
        name = escape_markdown(f"{row.metric}{of_task}")
        bold = "**" if row.headline else ""
        assert row.value is not None
        held = "" if row.low is None or row.high is None else f"\\[{number(row.low)}, {number(row.high)}\\]"
        unit = f" {escape_markdown(row.unit)}" if row.unit else ""
        of = " against ".join(f"{n:,}" for n in (row.n_images, row.n_reference) if n is not None)
        said = " ".join(filter(None, [f"{bold}{name}{bold}", arrow(row.higher_is_better)]))
        how = escape_markdown(", ".join(filter(None, [of, row.interval])))
        lines.append(f"| {said} | {number(row.value)}{unit} | {held} | {how} |")
    if lost := {
        f"{row.metric}{direction_words(row.direction)} ({row.status})" for row in shown if row.value is None
    }:
        lines += [
            "",
            f"Without a value, for the reason in the record: {escape_markdown(', '.join(sorted(lost)))}.",
        ]
    return "\n".join(lines)


def _of_seeds(seeds: Sequence[Seed]) -> Iterator[str]:
    """Every seed, with its alarm: a dead one is a result, and no part of a mean without being named."""
    led = [(own, row) for own in seeds if (row := own.headline) is not None and row.value is not None]
    if len(seeds) < 2 or not led:
        return
    metric = escape_markdown(led[0][1].metric)
    lines = [f"| seed | {metric} | interval | collapse | training |", "|---:|---:|---|---|---|"]
    for own, row in led:
        held = "" if row.low is None or row.high is None else f"\\[{number(row.low)}, {number(row.high)}\\]"
        dead = escape_markdown(own.run.collapse.words) if own.run.collapse is not None else "no"
        assert row.value is not None
        lines.append(f"| {own.run.seed} | {number(row.value)} | {held} | {dead} | {_verdict(own.ended)} |")
    values = [row.value for _, row in led if row.value is not None]
    dead_seeds = sum(own.run.collapse is not None for own, _ in led)
    yield f"## Seeds\n\nMedian over {len(led)} seeds: {number(median(values))}; collapsed {dead_seeds} of {len(led)}."
    yield "\n".join(lines)


def _verdict(ended: Ended | None) -> str:
    if ended is None:
        return "not trained here"
    by = "" if ended.watched is None else f", by {ended.watched}"
    return escape_markdown(f"{ended.verdict}{by}: {ended.words}")


def _training(facts: CardFacts) -> Iterator[tuple[str, str]]:
    run, ended = facts.shipped.run, facts.shipped.ended
    yield "made by", f"`{_command(run)}`"
    if run.training is not None:
        yield "budget", f"{run.training.n_steps:,} steps, {run.training.seconds:,.0f} s of them"
    yield "had it stopped improving?", _verdict(ended)
    yield "collapse alarm", "silent" if run.collapse is None else escape_markdown(run.collapse.words)
    if run.machine is not None:
        said = [run.machine.device_name, f"{run.machine.cores} cores" if run.machine.cores else None]
        yield "machine", escape_markdown(", ".join(filter(None, said)) or "not stated")
    if run.provenance is not None:
        version, commit = run.provenance.benchbench or "?", run.provenance.code_revision
        yield "code", escape_markdown(f"benchbench {version}" + (f", commit {commit[:12]}" if commit else ""))


def _command(run: RunManifest) -> str:
    """What was typed; of a cell of a suite what makes the same."""
    typed = None if run.provenance is None else run.provenance.command
    if not typed or not typed.startswith("benchbench "):
        every = (run.monitor or {}).get("every")
        watched = f" --monitor-every {every}" if every else ""
        typed = f"benchbench run --model {run.model} --dataset {run.dataset} --seed {run.seed}{watched}"
    return " ".join(typed.replace("`", "").replace("|", " ").split())


def _curve(curves: str) -> Iterator[str]:
    """What was watched, at a few steps."""
    rows = list(csv.DictReader(io.StringIO(curves)))
    for column in WATCHED:
        seen = [row for row in rows if row.get(column) and row.get("step")]
        if not seen:
            continue
        n = len(seen)
        places = sorted({min(n - 1, max(0, round((i + 1) * n / POINTS) - 1)) for i in range(POINTS)})
        try:
            steps = [f"{int(seen[i]['step']):,}" for i in places]
            values = [number(float(seen[i][column])) for i in places]
        except (ValueError, OverflowError):  # a table that somebody else wrote
            return
        yield "\n".join(
            [
                f"| step | {' | '.join(steps)} |",
                f"|---|{'---:|' * len(steps)}",
                f"| {escape_markdown(column)} | {' | '.join(values)} |",
            ]
        )
        return


def _data(run: RunManifest, licence: str) -> Iterator[tuple[str, str]]:
    data = run.data
    if data is None:
        return
    size = f", {data.size}" if isinstance(data.size, str) else ""
    for what, split in (("training images", data.train), ("held-out images", data.held_out)):
        if split is not None:
            yield what, escape_markdown(f"{split.n:,}, fingerprint {str(split.fingerprint)[:12]}…")
    if data.fingerprint is not None:
        yield "data", escape_markdown(f"{run.dataset}{size}, fingerprint {data.fingerprint[:12]}…")
    if data.canonical is not None:
        yield "published pixels", "yes" if data.canonical else "no"
    yield "licence of the data", escape_markdown(licence)


def _protocol(seed: Seed) -> Iterator[tuple[str, str]]:
    run = seed.run
    if run.n_samples is not None:
        yield "images", f"{run.n_samples:,}, seed {run.seed}"
    for name, own in sorted((run.extractors or {}).items()):
        if own.unavailable is None:
            weights = f", weights {own.weights_sha256[:12]}…" if own.weights_sha256 else ""
            yield "network", escape_markdown(f"{name}, {own.resize}, {own.precision}{weights}")
    made = run.protocol
    if made is not None:
        said = {
            "average of weights": made.ema or None,
            "batch norms": made.batch_norm,
            "labels": made.labels,
            "checkpoint": made.checkpoint,
            "precision of training": made.precision,
        }
        told = ", ".join(f"{name} {value}" for name, value in said.items() if value is not None)
        yield "weights and samples", escape_markdown(told)
    if run.sampling:
        told = ", ".join(f"{name}={value}" for name, value in sorted(run.sampling.items()))
        yield "drawing", escape_markdown(told)


def _papers(papers: Sequence[PaperNumber], without: str) -> str:
    if not papers and without:
        return f"No number of a paper stands beside these: {escape_markdown(without)}."
    if not papers:
        return "No number of a paper on this dataset is known here."
    lines = ["| paper | number | protocol |", "|---|---|---|"]
    for own in papers:
        value = " ".join(filter(None, [own.value, own.unit]))
        lines.append(f"| {' | '.join(map(escape_markdown, (own.paper, value, own.protocol)))} |")
    lines += ["", "A number compares with those above only where the protocol is the same."]
    return "\n".join(lines)


def _limits(facts: CardFacts) -> Iterator[str]:
    run, ended = facts.shipped.run, facts.shipped.ended
    pairs = facts.shipped.headline is not None and facts.shipped.headline.aspect == "paired"
    if pairs and run.n_samples is not None and run.n_samples < FEW_PAIRS:
        yield f"{run.n_samples:,} test images are few: the mean over others like them may be anywhere in its interval."
    elif not pairs and run.n_samples is not None and run.n_samples < FEW:
        yield f"{run.n_samples:,} images are few: numbers compare with others of as many, and with no paper's."
    if len(facts.seeds) < 2:
        yield "One seed: what another one would give is not known."
    if ended is not None and ended.verdict == "stopped by budget":
        yield "Its budget ended the training while it still improved: a longer one is better than this."
    if ended is not None and ended.verdict in ("unknown", "undecided"):
        yield "Whether a longer training would be better, the curves do not tell."
    if ended is not None and ended.verdict == "rising":
        yield "What was watched became worse towards the end: an earlier stop would be better by it."
    if run.collapse is not None:
        yield "The alarm for mode collapse went off: these weights show a dead seed."
    chosen = chosen_of(run)
    if chosen.by not in (None, LAST):
        yield f"The weights were chosen by {escape_markdown(str(chosen.by))}, which favours them by that."
    data = run.data
    if data is not None and data.canonical is False:
        yield f"{NOT_CANONICAL}."
    for note in (data.notes if data is not None else None) or []:
        yield f"{escape_markdown(note)}."
    yield "It was trained on the data named above and on nothing else: of other images it knows nothing."


def _weights(facts: CardFacts) -> Iterator[tuple[str, str]]:
    counted = {row.metric: row.value for row in facts.shipped.rows if row.metric.startswith("parameters")}
    total, drawing = counted.get("parameters_training"), counted.get("parameters_sampling")
    said = [f"{total:,.0f} parameters" if total else "", f"{drawing:,.0f} of them draw" if drawing else ""]
    yield "file", f"`{WEIGHTS}`, {facts.weights_size / 1e6:.1f} MB, sha256 `{facts.weights_sha256[:12]}…`"
    if any(said):
        yield "size", ", ".join(filter(None, said))
    rounded = "float16; every number above came out within its interval with them" if facts.float16 else ""
    yield "precision", rounded or "as they were trained"
    yield "record", f"`{facts.record}`, cell `{facts.shipped.run.cell}`"
    yield "licence", "Apache-2.0, as the project; the images it learned from are not in it"
