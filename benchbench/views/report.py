"""The report: everything below a folder of records as one HTML file that needs nothing else.

Pattern: records become plain values (`_Section`, `PageBoard`, `ReportModel`, `_Line`), figures become SVG text,
pictures become data URIs, and `report.html.j2` lays them out with every name escaped. The page reads without
JavaScript; with it the table sorts and filters. The same records give the same bytes.

Scope: reads records only. A folder of thousands of cells gives the table and the figures of all; pictures and
curves are of the first seed's record of each model, so the page stays a size that a browser opens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from benchbench.core.errors import InputError
from benchbench.results.claims.conditions import BUSY, CONDITIONS, PROTOCOL, WORDS, of_family, short
from benchbench.results.claims.numbers import Asked
from benchbench.results.claims.ranks import told_apart
from benchbench.results.load import load_failures, records, results_below, which_seed
from benchbench.results.summary import MODEL, summarise
from benchbench.views.apart import apart
from benchbench.views.board import dead_median, is_busy, numbers_by_name
from benchbench.views.board_notes import DAGGER
from benchbench.views.board_parts import RATE
from benchbench.views.figures import looks_of
from benchbench.views.lacking import without_number
from benchbench.views.people_page import PagePeople, page_people
from benchbench.views.planes import higher_is_better, leading, planes
from benchbench.views.report_boards import PageBoard, page_boards
from benchbench.views.report_model import PageRecord, ReportFigure, ReportModel, page_of, report_model
from benchbench.views.text import (
    by_aspect,
    direction_words,
    heading,
    interval,
    model_name,
    number,
    plain,
    protocol,
    standing,
    task_words,
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
    collapsed: int
    protocol: str
    method: str


@dataclass(frozen=True)
class _Section:
    """boards: the headline's first. people: the studies that numbers are from."""

    dataset: str
    boards: list[PageBoard]
    summary: list[str]
    figures: list[ReportFigure]
    people: list[PagePeople]
    models: list[ReportModel]


def render_report(root: Path | str, *, title: str = "benchbench report") -> str:
    """The page, as text. Raises `InputError` as `load_results` does, and for a folder without records."""
    root = Path(root)
    frame, _ = results_below([root], [root])
    runs = [page_of(found) for found in records(root)]
    if frame.empty:
        raise InputError(f"there are no records below {root}; run something with --out {root} first")
    summary = summarise(frame)
    summary = summary.assign(name=[model_name(*who) for who in summary[MODEL].itertuples(index=False)])
    looks = looks_of(own.unique() for _, own in summary.groupby("dataset")["name"])
    environment = Environment(
        loader=PackageLoader("benchbench.views", "."), autoescape=True, undefined=StrictUndefined
    )
    failures = [
        f"{row['model']} on {row['dataset']}, {which_seed(row)}: {row['reason']}"
        for row in load_failures(root).to_dict("records")
    ]
    return environment.get_template("report.html.j2").render(
        title=plain(title),
        sections=[
            section
            for dataset, own in frame.groupby("dataset", sort=True)
            for section in _sections(str(dataset), own, runs, looks)
        ],
        lines=_lines(summary),
        failures=[plain(failure) for failure in failures],
        n_runs=frame["cell"].nunique(),
        n_numbers=int((frame["status"] == "ok").sum()),
        n_without=int((frame["status"] != "ok").sum()),
        without=_without(frame),
    )


def _sections(
    dataset: str, frame: pd.DataFrame, runs: Sequence[PageRecord], looks: Mapping[str, int]
) -> Iterator[_Section]:
    """A section a dataset; where its records were not all made under the same conditions, one for each of them."""
    judged = frame[~frame["aspect"].isin(["throughput", "cost"])]
    parts = apart(judged if len(judged) else frame)
    for told, part in parts:
        cells = set(part["cell"]) if len(parts) > 1 else set(frame["cell"])
        own = [found for found in runs if found[1].cell in cells]
        title = f"{dataset} ({told})" if told else dataset
        yield _section(title, frame[frame["cell"].isin(cells)], own, looks)


def _section(
    title: str, frame: pd.DataFrame, runs: Sequence[PageRecord], looks: Mapping[str, int]
) -> _Section:
    summary = summarise(frame)
    summary = summary.assign(name=[model_name(*who) for who in summary[MODEL].itertuples(index=False)])
    names = {
        str(cell): model_name(*who)
        for cell, *who in frame.drop_duplicates("cell")[["cell", *MODEL]].itertuples(index=False)
    }
    by_model: dict[str, list[PageRecord]] = {}
    for folder, run in runs:
        if run.cell in names:
            by_model.setdefault(names[run.cell], []).append((folder, run))
    lead = leading(summary)
    if len(lead):  # of several directions, those numbers that go with it
        summary = summary[summary["direction"].isin(["", lead.iloc[0]["direction"]])]
    ordered = (
        lead.sort_values(["control", "value"], ascending=[True, not higher_is_better(lead)])
        if len(lead)
        else lead
    )
    order = list(ordered["name"]) if len(lead) else []
    models = [
        report_model(name, sorted(by_model[name], key=_by_seed), frame)
        for name in [*order, *sorted(set(by_model) - set(order))]
        if name in by_model
    ]
    words = [plain(sentence) for sentence in _in_words(summary, frame, lead)]
    people = page_people([run for _, run in runs], frame, looks)
    return _Section(plain(title), page_boards(frame), words, planes(summary, lead, looks), people, models)


def _by_seed(found: PageRecord) -> tuple[int, bool]:
    """The place of a record among those of its model; what people said of images comes behind the images' own
    record."""
    return found[1].seed, found[1].people is not None


def _in_words(summary: pd.DataFrame, frame: pd.DataFrame, lead: pd.DataFrame) -> Iterator[str]:
    """A few plain sentences: who leads and how surely, who covers most, who is fastest, who collapsed."""
    if lead.empty:
        return
    models = lead[~lead["control"]].sort_values("value", ascending=not higher_is_better(lead))
    metric = lead.iloc[0]["metric"] + direction_words(lead.iloc[0]["direction"])
    if len(models):
        first = models.iloc[0]
        best = f"{number(first['value'])} {interval(first)}".rstrip()
        one = len(models) == 1
        yield f"{first['name']} has {metric if one else f'the best {metric} of {len(models)} models'}: {best}."
    if len(models) > 1:
        second = models.iloc[1]
        follows = f"{number(second['value'])} {interval(second)}".rstrip()
        yield f"{second['name']} follows with {follows}{_told_apart(frame, lead, first['name'], second['name'])}."
    for row in lead[lead["control"]].sort_values("name").to_dict("records"):
        yield f"Landmark: {row['name']} has {number(row['value'])} {interval(row)}".rstrip() + "."
    busy = (summary["aspect"] == "throughput") & (summary["busy"].fillna(0) > BUSY)
    contest = summary[~summary["control"].fillna(False).astype(bool) & summary["value"].notna() & ~busy]
    coverage, rate = of_family(contest, "coverage"), contest["metric"] == RATE
    for which, what in ((coverage, "covers most of the reference"), (rate, "samples fastest")):
        lines = contest[which]
        if len(lines) > 1 and lines["machine"].nunique(dropna=False) == 1 and lines["metric"].nunique() == 1:
            best_row = lines.sort_values(["value", "name"]).iloc[-1]
            unit = f" {best_row['unit']}" if best_row["unit"] else ""
            yield f"{best_row['name']} {what}: {best_row['metric']} {number(best_row['value'])}{unit}."
    for row in lead[lead["n_collapsed"] > 0].to_dict("records"):
        told = f"; the median over seeds is {median}" if (median := dead_median(row)) else ""
        yield f"{row['name']} collapsed in {row['n_collapsed']} of {row['n_seeds']} seeds{told}."


def _told_apart(frame: pd.DataFrame, lead: pd.DataFrame, first: str, second: str) -> str:
    """Whether another seed could turn two models round, as a half sentence."""
    asked = [*Asked._fields]
    found = numbers_by_name(frame[(frame[asked] == lead.iloc[0][asked]).all(axis=1)])
    if first not in found or second not in found or found[first].conditions != found[second].conditions:
        return ""
    if max(len(found[name].by_seed) for name in (first, second)) == 1:
        return "; one run each does not tell what another seed would do"
    alike = {name: number for name, number in found.items() if number.conditions == found[first].conditions}
    pairs = told_apart(alike, higher_is_better(lead))
    if (first, second) in pairs:
        return "; the two are told apart"
    return "; other seeds could turn the two round"


def _lines(summary: pd.DataFrame) -> list[_Line]:
    """One line a number, grouped as boards are: dataset, task, direction, aspect, metric, then best first."""
    lines = []
    placed = summary.assign(place=by_aspect, standing=standing)
    key = ["dataset", "task", "direction", "place", "standing", "metric"]
    for _, column in placed.sort_values([*key, "name"], kind="stable").groupby(key, sort=False):
        higher = column.iloc[0]["higher_is_better"]
        ordered = column.sort_values(
            "value", ascending=pd.isna(higher) or not higher, na_position="last", kind="stable"
        )
        ends = pd.concat([column["low"], column["high"], column["value"]]).dropna().astype(float)
        differ = [name for name in _UNSAID if column[name].nunique(dropna=False) > 1]
        for row in ordered.to_dict("records"):
            missing = pd.isna(row["value"])
            lines.append(
                _Line(
                    plain(row["dataset"]),
                    task_words(row["task"], row["direction"]),
                    plain(row["name"]),
                    heading(row),
                    plain(row["aspect"]).replace("_", " "),
                    without_number(row)
                    if missing
                    else number(row["value"]) + (DAGGER if is_busy(row) else ""),
                    None if missing else float(row["value"]),
                    interval(row),
                    None
                    if missing or pd.isna(row["low"])
                    else _bar(row, float(ends.min()), float(ends.max())),
                    int(row["n_seeds"]),
                    int(row["n_collapsed"]),
                    _made_by(row, differ),
                    "" if pd.isna(row["interval"]) else plain(row["interval"]),
                )
            )
    return lines


_UNSAID = [name for name in CONDITIONS if name not in (*PROTOCOL, "unit")]


def _made_by(row: Mapping[Any, Any], differ: Sequence[str]) -> str:
    """The protocol, with those conditions that tell this line from another one of its metric, and what else keeps it
    from being held against the others."""
    said = [protocol(row)]
    if not pd.isna(row["value"]):
        known = [(name, "not stated" if pd.isna(row[name]) else str(row[name])) for name in differ]
        said += [plain(f"{WORDS.get(name, name)} {short(name, value)}") for name, value in known]
    said += [f"the median over seeds is {median}"] if (median := dead_median(row)) else []
    said += ["landmark"] if row["control"] else []
    said += (
        [f"{DAGGER} timed while other programs took more than {BUSY:.0%} of the machine"]
        if is_busy(row)
        else []
    )
    return "; ".join(filter(None, said))


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
