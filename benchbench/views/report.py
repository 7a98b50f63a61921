"""The report: everything below a folder of records as one HTML file that needs nothing else.

Pattern: records become plain values (`_Section`, `_Model`, `_Line`), figures become SVG text, pictures become data
URIs, and `report.html.j2` lays them out with every name escaped. The page reads without JavaScript; with it the
table sorts and filters. The same records give the same bytes.

Scope: reads records only. A folder of thousands of cells gives the table and the figures of all; pictures and
curves are of the first seed's record of each model, so the page stays a size that a browser opens.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from benchbench.core.errors import InputError
from benchbench.results.load import load_failures, read_file, records, results_of
from benchbench.results.provenance import demand
from benchbench.results.ranks import pareto_front
from benchbench.results.store import RUN
from benchbench.results.summary import MODEL, summarise
from benchbench.results.words import mode_words
from benchbench.views import figures
from benchbench.views.board import RATE
from benchbench.views.curves import Alarm
from benchbench.views.figures import Point
from benchbench.views.text import (
    arrow,
    by_aspect,
    direction,
    heading,
    interval,
    model_name,
    not_leading,
    number,
    plain,
    protocol,
    task_words,
)

PICTURES = {
    "samples.png": "generated samples beside real images",
    "neighbours.png": "samples with their nearest training images",
    "reconstructions.png": "reconstructions below their originals",
    "translations.png": "translations beside their sources",
    "stylizations.png": "contents on the left in the styles on top",
}
# What a look at training shows first; a curves.csv may hold more.
WATCHED = (
    "loss",
    "monitor_distance",
    "monitor_recall",
    "monitor_coverage",
    "monitor_modes",
    "monitor_duplicate_rate",
)
MOST_CURVES = 9
# What the page says of every record, by its name in run.json.
STATED = (
    *("model", "variant", "dataset", "seed", "extractors", "data.fingerprint", "data.notes"),
    *("machine.device", "machine.device_name", "machine.cores"),
    *(f"provenance.{name}" for name in ("benchbench", "code_revision", "python", "packages")),
)


@dataclass(frozen=True)
class _Line:
    """A row of the table. `bar`: (from, to, value) in percent of the metric's range, None without an interval."""

    dataset: str
    task: str
    model: str
    metric: str
    aspect: str
    value: str
    sort: float | None
    interval: str
    bar: tuple[float, float, float] | None
    seeds: int
    protocol: str
    method: str


@dataclass(frozen=True)
class _Figure:
    caption: str
    svg: Markup
    label: str


@dataclass(frozen=True)
class _Picture:
    caption: str
    uri: str


@dataclass(frozen=True)
class _Model:
    name: str
    words: list[str]
    figures: list[_Figure] = field(default_factory=list)
    pictures: list[_Picture] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Section:
    dataset: str
    summary: list[str]
    figures: list[_Figure]
    models: list[_Model]


def render_report(root: Path | str, *, title: str = "benchbench report") -> str:
    """The page, as text. Raises `InputError` as `load_results` does, and for a folder without records."""
    root = Path(root)
    runs = list(records(root))
    for folder, run in runs:
        demand(folder / RUN, run, STATED)
        sides = [f"data.domains.{name}" for name in run["data"].get("domains", ())] or ["data"]
        demand(folder / RUN, run, [f"{side}.{split}.n" for side in sides for split in ("train", "held_out")])
    frame = results_of(runs)
    if frame.empty:
        raise InputError(f"there are no records below {root}; run something with --out {root} first")
    summary = summarise(frame)
    summary = summary.assign(name=[model_name(*who) for who in summary[MODEL].itertuples(index=False)])
    looks = {name: place for place, name in enumerate(sorted(set(summary["name"])))}
    environment = Environment(
        loader=PackageLoader("benchbench.views", "."), autoescape=True, undefined=StrictUndefined
    )
    failures = [
        f"{row['model']} on {row['dataset']}, seed {row['seed']}: {row['reason']}"
        for row in load_failures(root).to_dict("records")
    ]
    return environment.get_template("report.html.j2").render(
        title=plain(title),
        sections=[
            _section(str(dataset), own, frame[frame["dataset"] == dataset], runs, looks)
            for dataset, own in summary.groupby("dataset", sort=True)
        ],
        lines=_lines(summary),
        failures=[plain(failure) for failure in failures],
        n_runs=len(runs),
        n_numbers=int((frame["status"] == "ok").sum()),
        n_without=int((frame["status"] != "ok").sum()),
        without=_without(frame),
    )


def _section(
    dataset: str,
    summary: pd.DataFrame,
    frame: pd.DataFrame,
    runs: Sequence[tuple[Path, dict[str, Any]]],
    looks: Mapping[str, int],
) -> _Section:
    own = [(folder, run) for folder, run in runs if run["dataset"] == dataset]
    by_model: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
    for folder, run in own:
        by_model.setdefault(model_name(run["model"], run["variant"]), []).append((folder, run))
    lead = _lead(summary)
    if len(lead):  # of several directions, those numbers that go with it
        summary = summary[summary["task"].map(direction).isin(["", direction(lead.iloc[0]["task"])])]
    order = list(lead.sort_values("value", ascending=not _higher(lead))["name"]) if len(lead) else []
    names = [*order, *sorted(set(by_model) - set(order))]
    models = [
        _model(name, sorted(by_model[name], key=lambda found: int(found[1]["seed"])), frame)
        for name in names
        if name in by_model
    ]
    return _Section(plain(dataset), _in_words(summary, lead, order), _planes(summary, lead, looks), models)


def _lead(summary: pd.DataFrame) -> pd.DataFrame:
    """The lines of the number that models are ranked by: the first Fréchet distance, else the first quality."""
    numbers = summary[
        (summary["aspect"] == "quality") & summary["value"].notna() & summary["higher_is_better"].notna()
    ]
    if numbers.empty:
        return numbers
    ordered = numbers.assign(lead=not_leading).sort_values(["lead", "metric", "task"], kind="stable")
    best = ordered.iloc[0]
    alike = (numbers["metric"] == best["metric"]) & (numbers["task"] == best["task"])
    lead: pd.DataFrame = numbers[alike].drop_duplicates("name")
    return lead


def _higher(lines: pd.DataFrame) -> bool:
    return bool(lines.iloc[0]["higher_is_better"])


def _in_words(summary: pd.DataFrame, lead: pd.DataFrame, order: Sequence[str]) -> list[str]:
    """A few plain sentences: who leads, who covers most, who is fastest."""
    if not order:
        return []
    metric = lead.iloc[0]["metric"] + direction(lead.iloc[0]["task"])
    first = lead[lead["name"] == order[0]].iloc[0]
    said = [
        f"{order[0]} has the best {metric} of {len(order)} model{'' if len(order) == 1 else 's'}: "
        f"{number(first['value'])} {interval(first)}".rstrip()
        + "."
    ]
    if len(order) > 1:
        second = lead[lead["name"] == order[1]].iloc[0]
        apart = _apart(first, second)
        said.append(
            f"{order[1]} follows with {number(second['value'])} {interval(second)}".rstrip()
            + (
                "; the intervals do not overlap."
                if apart
                else "; the intervals overlap."
                if apart is False
                else "."
            )
        )
    for start, what in (("coverage_", "covers most of the reference"), (RATE, "samples fastest")):
        lines = summary[summary["metric"].str.startswith(start) & summary["value"].notna()]
        if len(lines) > 1:
            best = lines.sort_values(["value", "name"]).iloc[-1]
            unit = f" {best['unit']}" if best["unit"] else ""
            said.append(f"{best['name']} {what}: {best['metric']} {number(best['value'])}{unit}.")
    return [plain(sentence) for sentence in said]


def _apart(a: Any, b: Any) -> bool | None:
    if pd.isna(a["low"]) or pd.isna(b["low"]):
        return None
    return bool(a["high"] < b["low"] or b["high"] < a["low"])


def _planes(summary: pd.DataFrame, lead: pd.DataFrame, looks: Mapping[str, int]) -> list[_Figure]:
    found = []
    way = direction(lead.iloc[0]["task"]) if len(lead) else ""
    for extractor in sorted(set(summary["extractor"].dropna())):
        pair = [_points(summary, f"{metric}_{extractor}") for metric in ("recall", "precision")]
        if both := _both(*pair):
            label = f"precision against recall on {extractor}{way}"
            svg = figures.plane(both, "recall ↑", "precision ↑", looks)
            found.append(
                _Figure(f"Quality against diversity: {label}. Up and right is better.", Markup(svg), label)
            )
    if len(lead):
        metric, higher = lead.iloc[0]["metric"], _higher(lead)
        both = _both(_points(summary, RATE), _points(summary, metric))
        if both:
            sign = 1 if higher else -1
            kept = pareto_front(
                [x.value for x, _ in both.values()], [sign * y.value for _, y in both.values()]
            )
            front = [name for name, on_it in zip(both, kept, strict=True) if on_it]
            x_name = "sampling rate, images/s ↑"
            svg = figures.plane(both, x_name, f"{metric} {arrow(higher)}", looks, log_x=True, front=front)
            caption = f"Quality against throughput; the dashed line joins the Pareto front{way}: {', '.join(front)}."
            found.append(_Figure(plain(caption), Markup(svg), f"{plain(metric)} against sampling rate{way}"))
    return found


def _points(summary: pd.DataFrame, metric: str) -> dict[str, Point]:
    lines = summary[(summary["metric"] == metric) & summary["value"].notna()].drop_duplicates("name")
    return {
        str(row["name"]): Point(
            float(row["value"]), *(None if pd.isna(row[end]) else float(row[end]) for end in ("low", "high"))
        )
        for row in lines.to_dict("records")
    }


def _both(x: Mapping[str, Point], y: Mapping[str, Point]) -> dict[str, tuple[Point, Point]]:
    return {name: (x[name], y[name]) for name in x if name in y}


def _model(name: str, runs: Sequence[tuple[Path, dict[str, Any]]], frame: pd.DataFrame) -> _Model:
    words = []
    for _, run in runs:
        said = mode_words(run, frame[frame["cell"] == run["cell"]])
        if said:
            words.append(plain(f"seed {run['seed']}: {said}"))
    folder, first = runs[0]
    pictures = [
        _Picture(plain(f"{name}, seed {first['seed']}: {caption}"), _data_uri(read_file(folder, first, file)))
        for file, caption in PICTURES.items()
        if file in first["files"] and (folder / file).exists()  # records are published without pictures
    ]
    return _Model(plain(name), words, [*_curves(name, runs), *_classes(name, runs)], pictures, _facts(runs))


def _curves(name: str, runs: Sequence[tuple[Path, dict[str, Any]]]) -> list[_Figure]:
    tables, alarms = {}, {}
    for folder, run in runs:
        if "curves.csv" in run["files"]:
            tables[int(run["seed"])] = pd.read_csv(BytesIO(read_file(folder, run, "curves.csv")))
            if collapse := run.get("collapse"):
                alarms[int(run["seed"])] = Alarm(int(collapse["step"]), str(collapse["words"]))
    if not tables:
        return []
    columns = [column for column in next(iter(tables.values())).columns if column not in ("epoch", "step")]
    first = [column for column in columns if column.startswith(WATCHED)]
    names = [*first, *(column for column in columns if column not in first and not column.startswith("lr"))]
    names = [
        column
        for column in names
        if any(table[column].notna().any() for table in tables.values() if column in table)
    ]
    caption = f"Training of {name}, a line a seed" + ("; dashed: collapse alarm" if alarms else "") + "."
    svg = figures.curves(tables, names[:MOST_CURVES], alarms)
    return [_Figure(plain(caption), Markup(svg), plain(f"training curves of {name}"))]


def _classes(name: str, runs: Sequence[tuple[Path, dict[str, Any]]]) -> list[_Figure]:
    seen = [run["classes"] for _, run in runs if (run.get("classes") or {}).get("reference")]
    if not seen:
        return []
    first = seen[0]
    made = [sum(counts) for counts in zip(*(own["generated"] for own in seen), strict=True)]
    real = [sum(counts) for counts in zip(*(own["reference"] for own in seen), strict=True)]
    svg = figures.histogram(_shares(made), _shares(real), first["names"])
    caption = (
        f"Classes of {name}'s samples as {first['judge']} sees them, all seeds together, beside real images."
    )
    return [_Figure(plain(caption), Markup(svg), plain(f"class histogram of {name}"))]


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]


def _splits(data: dict[str, Any]) -> str:
    """How many images there are, of each domain where there are two."""
    if "domains" in data:
        return "; ".join(f"{name}: {_splits(own)}" for name, own in data["domains"].items())
    return f"{data['train']['n']} training, {data['held_out']['n']} held out"


def _facts(runs: Sequence[tuple[Path, dict[str, Any]]]) -> list[tuple[str, str]]:
    """Where the numbers come from, as (what, which)."""
    _, first = runs[0]
    provenance, machine, data = first["provenance"], first["machine"], first["data"]
    packages = ", ".join(f"{name} {version}" for name, version in sorted(provenance["packages"].items()))
    judges = "; ".join(
        f"{name}, weights {str(said.get('weights_sha256', said.get('unavailable')))[:16]}, {said.get('resize', '')}"
        for name, said in sorted(first["extractors"].items())
    )
    weights = first["files"].get("weights.safetensors") or first.get("weights_loaded_sha256")
    made = first.get("protocol") or {}
    facts = [
        ("cells", ", ".join(f"{run['cell']} (seed {run['seed']})" for _, run in runs)),
        ("code", f"benchbench {provenance['benchbench']}, revision {provenance['code_revision']}"),
        ("data", f"fingerprint {data['fingerprint'][:16]}, {_splits(data)}"),
        ("notes on the data", "; ".join(data["notes"])),
        ("judges", judges),
        ("weights of the first seed", weights or "none"),
        (
            "choices that change numbers",
            ", ".join(f"{key}: {value}" for key, value in made.items() if value is not None),
        ),
        ("machine", f"{machine['device_name']}, {machine['cores']} cores, {machine['device']}"),
        ("packages", f"Python {provenance['python']}, {packages}"),
    ]
    return [(what, plain(which)) for what, which in facts if which]


def _lines(summary: pd.DataFrame) -> list[_Line]:
    """One line a number, grouped as boards are: dataset, task, aspect, metric, then best first."""
    lines = []
    placed = summary.assign(place=by_aspect, lead=not_leading)
    key = ["dataset", "task", "place", "lead", "metric"]
    for _, column in placed.sort_values([*key, "name"], kind="stable").groupby(key, sort=False):
        higher = column.iloc[0]["higher_is_better"]
        ordered = column.sort_values(
            "value", ascending=pd.isna(higher) or not higher, na_position="last", kind="stable"
        )
        ends = pd.concat([column["low"], column["high"], column["value"]]).dropna().astype(float)
        for row in ordered.to_dict("records"):
            missing = pd.isna(row["value"])
            lines.append(
                _Line(
                    plain(row["dataset"]),
                    task_words(row["task"]),
                    plain(row["name"]),
                    heading(row),
                    plain(row["aspect"]).replace("_", " "),
                    "failed" if missing else number(row["value"]),
                    None if missing else float(row["value"]),
                    interval(row),
                    None
                    if missing or pd.isna(row["low"])
                    else _bar(row, float(ends.min()), float(ends.max())),
                    int(row["n_seeds"]),
                    protocol(row),
                    "" if pd.isna(row["interval"]) else plain(row["interval"]),
                )
            )
    return lines


def _bar(row: Mapping[Any, Any], least: float, most: float) -> tuple[float, float, float]:
    span = (most - least) or 1.0
    low, high, value = (round(100 * (float(row[end]) - least) / span, 2) for end in ("low", "high", "value"))
    return low, high, value


def _without(frame: pd.DataFrame) -> list[str]:
    """Each reason for a missing number once, with how many it concerns."""
    lost = frame[frame["status"] != "ok"]
    counts = lost.groupby(["metric", "status", "reason"], sort=True).size().reset_index(name="n")
    return [
        plain(f"{row['metric']} is {row['status']} ({row['n']}): {row['reason']}")
        for row in counts.to_dict("records")
    ]


def _data_uri(picture: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(picture).decode()
