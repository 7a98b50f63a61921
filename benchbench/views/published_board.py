"""`results/LEADERBOARD.md`: the published records as one page, with what a reader has to know before the boards.

Date, version, commit and machine are those of the records, so that the same records give the same bytes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchbench.results.manifest import RunManifest
from benchbench.views.baseline_card import REMARKS
from benchbench.views.board_notes import DAGGER
from benchbench.views.budget import MARKED as BY_BUDGET_MEANS
from benchbench.views.chosen import MARKED as CHOSEN_MEANS
from benchbench.views.leaderboard import leaderboard
from benchbench.views.published_data import of_data, of_published
from benchbench.views.text import escape_markdown, interval, number

INCEPTION = "inception_v3"
LATER = ("fid", "kid")
"""What the weights that ship have no number of where the weights of that network are not at hand."""


@dataclass(frozen=True)
class ShippedRow:
    """A baseline of a generator.

    Attributes:
        name: Of the baseline.
        dataset: Of its images.
        sha256: Of its weights, as records of loaded weights list it.
    """

    name: str
    dataset: str
    sha256: str


def published_board(
    frame: pd.DataFrame,
    runs: Sequence[RunManifest],
    failures: pd.DataFrame,
    shipped: Sequence[ShippedRow],
    command: str,
    remarks: str = "",
) -> str:
    """The page.

    Args:
        frame: All numbers, of `load_results`.
        runs: What every run.json says.
        failures: Of `load_failures`.
        shipped: The baselines whose weights ship.
        command: That makes the page anew.
        remarks: What people wrote by hand, Markdown; `remarks_of` the page that is there.

    Returns:
        Markdown.
    """
    parts = [
        "# Published baselines",
        *_head(runs, frame, command),
        "## Key",
        "\n".join(f"- {line}" for line in _key()),
        *of_data(runs, frame),
        *_dead(frame, failures),
        *of_published(frame),
        "## Boards",
        leaderboard(frame).rstrip("\n"),
        "## What is missing",
        *_missing(frame, runs, shipped),
        *([REMARKS, remarks] if remarks else []),
    ]
    return "\n\n".join(parts) + "\n"


def _head(runs: Sequence[RunManifest], frame: pd.DataFrame, command: str) -> Iterator[str]:
    made = [run.provenance for run in runs if run.provenance is not None]
    dates = sorted(run.finished for run in runs if run.finished)
    machines = {
        ", ".join(filter(None, [own.device_name, f"{own.cores} cores" if own.cores else None]))
        for run in runs
        if (own := run.machine) is not None
    }
    facts = {
        "date": f"{dates[0][:10]} to {dates[-1][:10]}" if dates else "not stated",
        "version": _several(f"benchbench {own.benchbench}" for own in made if own.benchbench),
        "commit": _several(own.code_revision[:12] for own in made if own.code_revision),
        "machine": _several(machines),
        "records": _counted(frame, runs),
        "training": _trained(runs),
    }
    lines = ["| | |", "|---|---|", *(f"| {name} | {escape_markdown(said)} |" for name, said in facts.items())]
    yield "\n".join(lines)
    yield (
        f"Made by `{command}` from the records beside this page; `benchbench verify results` holds each against its "
        "sums. What was typed to make a record stands in its `run.json` and on its card; the suites beside this page "
        "(`benchbench suite results/generation.toml --out results`) make all of them again. Numbers that surprise are "
        "explained at the end. How to cite a row, load its weights, or add one: `docs/baselines.md`."
    )


def _counted(frame: pd.DataFrame, runs: Sequence[RunManifest]) -> str:
    control = frame["control"].fillna(False).astype(bool)
    landmarks = sorted(set(frame.loc[control, "model"]))
    told = f" and the landmarks {', '.join(landmarks)}" if landmarks else ""
    counts = {"dataset": frame["dataset"].nunique(), "model": frame.loc[~control, "model"].nunique()}
    said = ", ".join(f"{n} {what}{'' if n == 1 else 's'}" for what, n in counts.items())
    return f"{len(runs)}, of {said}{told}"


def _trained(runs: Sequence[RunManifest]) -> str:
    """What all weights took together, each training once."""
    spent = {
        run.training_key or run.cell: run.training.seconds
        for run in sorted(runs, key=lambda own: own.cell)
        if run.training is not None and run.weights_loaded_sha256 is None
    }
    if not spent:
        return "none"
    return (
        f"{sum(spent.values()) / 3600:.1f} hours in {len(spent)} trainings, as the clock has it and beside other work; "
        "nobody measured the energy"
    )


def _several(said: Any) -> str:
    return ", ".join(sorted(set(said))) or "not stated"


def _key() -> Iterator[str]:
    yield "**bold**: the best of a column; <u>underlined</u>: the second"
    yield "brackets: the interval, whose method stands below the board"
    yield "rank: the places that are possible at 95% confidence; rows below the rule are landmarks and have none"
    yield f"{DAGGER} timed while other programs were at work: not ranked"
    yield CHOSEN_MEANS
    yield f"{BY_BUDGET_MEANS}; the rule, and what else trainings can be, is in `docs/baselines.md`"
    yield "no number of seeds behind a name: one seed; what another one would give is not known"
    yield "failed, unavailable: no number; the reason stands below the board"
    yield "n collapsed: of so many seeds the alarm for mode collapse went off; beside the mean stands the median"


def _dead(frame: pd.DataFrame, failures: pd.DataFrame) -> Iterator[str]:
    """Seeds that died: those that collapsed, and those that left no record at all."""
    cells = frame.drop_duplicates("cell")
    trained = cells[cells["budget"].notna()]
    lines = [
        f"- {escape_markdown(f'{model} {variant}'.strip())} on {escape_markdown(str(dataset))}: collapsed "
        f"{int(own['collapse'].notna().sum())} of {len(own)}"
        for (dataset, model, variant), own in trained.groupby(["dataset", "model", "variant"], sort=True)
        if own["collapse"].notna().any()
    ]
    for failed in failures.sort_values(["dataset", "model", "cell"]).to_dict("records"):
        seed = "" if failed["seed"] is None else f", seed {failed['seed']}"
        who = f"{failed['model']} on {failed['dataset']}{seed}"
        lines.append(f"- {escape_markdown(who)}: failed, {escape_markdown(str(failed['reason']))}")
    if lines:
        yield "## Dead seeds"
        yield "\n".join(lines)


def _missing(
    frame: pd.DataFrame, runs: Sequence[RunManifest], shipped: Sequence[ShippedRow]
) -> Iterator[str]:
    """The columns of the network that is seldom at hand, with what is there of them."""
    cells = {
        run.weights_loaded_sha256: run.cell for run in sorted(runs, key=lambda own: own.cell) if _read(run)
    }
    good = frame[(frame["status"] == "ok") & (frame["extractor"] == INCEPTION)]
    heads = " | ".join(f"{name} ↓" for name in LATER)
    lines = [f"| baseline | dataset | {heads} |", "|---|---|---:|---:|"]
    lacking = []
    for own in shipped:
        rows: dict[Any, dict[Hashable, Any]] = {
            row["metric"]: row for row in good[good["cell"] == cells.get(own.sha256)].to_dict("records")
        }
        if not rows.keys() >= set(LATER):
            lacking.append(own.name)
        values = [
            escape_markdown(f"{number(rows[name]['value'])} {interval(rows[name])}".strip())
            if name in rows
            else "not yet"
            for name in LATER
        ]
        lines.append(
            f"| {escape_markdown(own.name)} | {escape_markdown(own.dataset)} | {' | '.join(values)} |"
        )
    if not shipped:
        yield "No weights of generators ship."
        return
    yield "\n".join(lines)
    if lacking:
        yield (
            f"{' and '.join(LATER)} of {len(lacking)} of {len(shipped)} baselines are missing: their network's weights "
            f"need a download. `benchbench fetch {INCEPTION}` and `benchbench baselines score --extractor {INCEPTION}` "
            "add all of them on any machine with a network, then the command above makes this page again."
        )


def _read(run: RunManifest) -> bool:
    """Whether a record of loaded weights has the numbers of that network."""
    network = (run.extractors or {}).get(INCEPTION)
    return run.weights_loaded_sha256 is not None and network is not None and network.unavailable is None
