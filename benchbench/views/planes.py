"""Planes of the report: models between two numbers, of which one costs the other.

Quality against diversity, perception against distortion, quality against what an image costs: seconds, and evaluations
of the network, which samplers of several steps trade for each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pandas as pd
from markupsafe import Markup

from benchbench.results.claims.conditions import BUSY
from benchbench.results.claims.ranks import pareto_front
from benchbench.views import figures
from benchbench.views.board_parts import RATE
from benchbench.views.figures import Point
from benchbench.views.report_model import ReportFigure
from benchbench.views.text import arrow, direction_words, plain


class _Cost(NamedTuple):
    """What an image costs, as an axis. title: what a figure is of, behind "Quality against"."""

    metric: str
    name: str
    unit: str
    title: str
    higher: bool


class Plane(NamedTuple):
    """Models between two numbers. log: whether x and y are seen best on a logarithmic axis; front: the models that none
    beats in both; busy: whether x was timed while other programs were at work, so that there is no front."""

    points: Mapping[str, tuple[Point, Point]]
    log: tuple[bool, bool]
    front: list[str]
    busy: bool


SPEED = _Cost(RATE, "sampling rate", "images/s", "throughput", True)
EVALUATIONS = _Cost(
    "network_evaluations", "network evaluations", "an image", "evaluations of the network", False
)


def planes(summary: pd.DataFrame, lead: pd.DataFrame, looks: Mapping[str, int]) -> list[ReportFigure]:
    """All planes of one dataset.

    Args:
        summary: Its numbers over seeds, with the models' names.
        lead: The lines of its headline, one a model; may be empty.
        looks: The number of each model's colour and marker.
    """
    return [
        *_quality_and_diversity(summary, lead, looks),
        *_perception(summary, looks),
        *_quality_and_cost(summary, lead, looks),
    ]


def higher_is_better(lines: pd.DataFrame) -> bool:
    """Of lines of one metric."""
    return bool(lines.iloc[0]["higher_is_better"])


def _quality_and_diversity(
    summary: pd.DataFrame, lead: pd.DataFrame, looks: Mapping[str, int]
) -> Iterator[ReportFigure]:
    way = direction_words(lead.iloc[0]["direction"]) if len(lead) else ""
    for extractor in sorted(set(summary["extractor"].dropna())):
        pair = [_points(summary, f"{metric}_{extractor}") for metric in ("recall", "precision")]
        if both := _both(*pair):
            label = f"precision against recall on {extractor}{way}"
            svg = figures.plane(both, "recall ↑", "precision ↑", looks)
            yield ReportFigure(
                f"Quality against diversity: {label}. Up and right is better.", Markup(svg), label
            )


def _quality_and_cost(
    summary: pd.DataFrame, lead: pd.DataFrame, looks: Mapping[str, int]
) -> Iterator[ReportFigure]:
    """The headline against the sampling rate. Where models differ in how often their network is evaluated for an image,
    all that their samplers trade against that as well."""
    if lead.empty:
        return
    there = summary[summary["value"].notna()]
    own = there[there["task"] == lead.iloc[0]["task"]]  # of several tasks, the rates of the one that leads
    rates, counts = (own[own["metric"] == cost.metric] for cost in (SPEED, EVALUATIONS))
    iterative = counts.loc[counts["value"] > 0, "value"].nunique() > 1
    for lines in [lead, *(_beside(there, lead) if iterative else ())]:
        if rates["machine"].nunique(dropna=False) == 1:
            yield from _against(SPEED, rates, lines, looks)
        if iterative:
            yield from _against(EVALUATIONS, counts[counts["value"] > 0], lines, looks)


def _beside(there: pd.DataFrame, lead: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Recall, on the headline's extractor, and bits per dimension: the lines of each."""
    names = there["metric"].astype(str)
    wanted = (names == f"recall_{lead.iloc[0]['extractor']}") | names.str.startswith("bits_per_dim")
    for metric, lines in there[wanted & (names != lead.iloc[0]["metric"])].groupby("metric", sort=True):
        del metric
        yield lines.assign(control=lines["control"].fillna(False).astype(bool))


def _against(
    cost: _Cost, costs: pd.DataFrame, lines: pd.DataFrame, looks: Mapping[str, int]
) -> Iterator[ReportFigure]:
    """Lines of one metric against what images cost."""
    if (found := plane_of(costs, lines)) is None:
        return
    metric, way = lines.iloc[0]["metric"], direction_words(lines.iloc[0]["direction"])
    x_name = f"{cost.name}, {cost.unit} {arrow(cost.higher)}"
    y_name = f"{metric} {arrow(higher_is_better(lines))}"
    log_y, front = found.log[1], found.front
    svg = figures.plane(found.points, x_name, y_name, looks, log_x=True, log_y=log_y, front=front)
    told = (
        f"; the dashed line joins the Pareto front{way}: {', '.join(front)}"
        if front
        else "; some rates were taken while other programs were at work, so there is no Pareto front"
        if found.busy
        else ""
    )
    label = f"{plain(metric)} against {cost.name}{way}"
    yield ReportFigure(plain(f"Quality against {cost.title}{told}."), Markup(svg), label)


def plane_of(x: pd.DataFrame, y: pd.DataFrame) -> Plane | None:
    """Models between two numbers, of the lines of either; None where no model has both. Where neither way of a number
    is better there is no front."""
    if x.empty or y.empty or not (both := _both(*(_points(own, own.iloc[0]["metric"]) for own in (x, y)))):
        return None
    busy = bool(((x["aspect"] == "throughput") & (x["busy"].fillna(0) > BUSY)).any())
    ways = [own.iloc[0]["higher_is_better"] for own in (x, y)]
    front = [] if busy or any(map(pd.isna, ways)) else _front(both, y, bool(ways[0]), bool(ways[1]))
    # A distance whose spread goes with its size is seen best on the scale on which it is compared.
    log_x, log_y = (
        str(own.iloc[0]["scale"]) == "log"
        and min(values) > 0
        and (side == 1 or min(values) < max(values))  # of one number there are no decades
        for side, own in enumerate((x, y))
        for values in [[point[side].value for point in both.values()]]
    )
    return Plane(both, (log_x, log_y), front, busy)


def leading(summary: pd.DataFrame) -> pd.DataFrame:
    """The lines of the headline, by which models are ranked; where no record states one, of the first quality."""
    where = ["task", "direction"]
    stated = summary[summary["value"].notna() & summary["higher_is_better"].notna()]
    lines = stated[stated["headline"].fillna(False)]
    if lines.empty:
        lines = stated[(stated["aspect"] == "quality") & stated["gated"].fillna(True)]
        if lines.empty:
            return lines
        lines = lines[lines["metric"] == lines["metric"].min()]
    best = lines.sort_values(where, kind="stable").iloc[0]
    alike = (stated[["metric", *where]] == best[["metric", *where]]).all(axis=1)
    lead: pd.DataFrame = stated[alike].drop_duplicates("name")
    return lead.assign(control=lead["control"].fillna(False).astype(bool))


def _perception(summary: pd.DataFrame, looks: Mapping[str, int]) -> Iterator[ReportFigure]:
    """Of each scale of super-resolution, what Blau & Michaeli 2018 ("The Perception-Distortion Tradeoff") draw: how far
    outputs are from their originals against how far all of them are from originals as images."""
    tasks = summary[summary["task"].astype(str).str.startswith("super-resolution")]
    for task, own in tasks.groupby("task", sort=True):
        ranked = own[own["headline"].fillna(False) & own["value"].notna()]
        for extractor in sorted(set(own["extractor"].dropna())):
            distance = f"fd_{extractor}"
            if ranked.empty or not (
                both := _both(_points(own, metric := str(ranked.iloc[0]["metric"])), _points(own, distance))
            ):
                continue
            svg = figures.plane(both, f"{metric} (dB) ↑", f"{distance} of pieces ↓", looks, log_y=True)
            yield ReportFigure(
                plain(
                    f"Perception against distortion, {task}: right is closer to the originals, down is closer to what "
                    "originals look like; a method that is best in one can be beaten in the other."
                ),
                Markup(svg),
                plain(f"{distance} against {metric}, {task}"),
            )


def _front(
    both: Mapping[str, tuple[Point, Point]], lines: pd.DataFrame, x_higher: bool, y_higher: bool
) -> list[str]:
    """The models that none beats in both; controls take no part."""
    controls = set(lines.loc[lines["control"], "name"])
    names = [name for name in both if name not in controls]
    if not names:
        return []
    x_sign, y_sign = (1 if higher else -1 for higher in (x_higher, y_higher))
    kept = pareto_front(
        [x_sign * both[n][0].value for n in names], [y_sign * both[n][1].value for n in names]
    )
    return [name for name, on_it in zip(names, kept, strict=True) if on_it]


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
