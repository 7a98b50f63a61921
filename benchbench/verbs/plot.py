"""`benchbench.plot`: figures for a paper, from the records; `benchbench plot` writes the same as a file."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchbench.core.errors import InputError, listed, unknown_name
from benchbench.core.folders import OUTPUT
from benchbench.core.hashing import file_sha256
from benchbench.core.numpy_files import DAMAGE, read_arrays
from benchbench.core.validation import is_number, shown
from benchbench.results.load import Record, records_below
from benchbench.results.manifest import RunManifest
from benchbench.results.rows import read_file
from benchbench.results.summary import MODEL, summarise
from benchbench.results.touched import damaged
from benchbench.verbs.leaderboard import Folders, folders_in, rows_below
from benchbench.verbs.outputs import checked_outputs
from benchbench.views import paper_figures
from benchbench.views.apart import apart
from benchbench.views.choice import Choice, chosen, names_in
from benchbench.views.figures import Line
from benchbench.views.paper_figures import COLUMN, NARROWEST, WIDEST, PaperFigure, format_of, save_figure
from benchbench.views.planes import SPEED, leading
from benchbench.views.report_model import WATCHED
from benchbench.views.text import model_name

CURVES = "curves.csv"
SAMPLES = "samples.npz"
MOST_CURVES = 6
MOST_IMAGES = 256


def curves(
    folder: Folders = OUTPUT,
    *,
    out: Path | str | None = None,
    where: str | None = None,
    models: str | Iterable[str] = (),
    quantities: str | Iterable[str] = (),
    width: float = COLUMN,
) -> PaperFigure:
    """Draw training curves of several models, an axis a quantity, a line a seed.

    Args:
        folder: Folders of records; they are found whatever the depth.
        out: Write the figure to this .pdf, .svg or .png as well.
        where: Only records such as "model=vae,dataset=digits".
        models: Only models of these names, as tables show them; patterns such as "*gan*" as well.
        quantities: Columns of `curves.csv`, "loss,monitor_distance" or a list; none for what a look at training shows
            first.
        width: Of the figure, in inches.

    Returns:
        A matplotlib figure; `caption` says what it shows.

    Raises:
        InputError: There are no curves, a name means nothing, records are of several datasets, or the file cannot be
            written.

    >>> benchbench.plot.curves("runs", models="vae,dcgan", out="curves.pdf")  # doctest: +SKIP
    """
    path = _output(out, width)
    rows = _rows(folder, where, models)
    lines = list(_lines(rows, _records(folder, rows)))
    if not lines:
        raise InputError(
            f"none of these records has training curves; {listed(_names(rows))} were not trained here"
        )
    return _saved(paper_figures.curves(lines, _quantities(lines, quantities), width), path)


def scatter(
    folder: Folders = OUTPUT,
    *,
    out: Path | str | None = None,
    where: str | None = None,
    models: str | Iterable[str] = (),
    x: str = SPEED.metric,
    y: str | None = None,
    width: float = COLUMN,
) -> PaperFigure:
    """Draw models between two numbers, quality against speed where none are named, with intervals and Pareto front.

    Args:
        folder: As in `curves`.
        out: As in `curves`.
        where: As in `curves`.
        models: As in `curves`.
        x: The metric across, such as "sampling_rate" or "recall".
        y: The metric upwards; None for the one by which models are ranked.
        width: As in `curves`.

    Returns:
        A matplotlib figure; `caption` says how the numbers were made and who is on the front.

    Raises:
        InputError: No model has both numbers, a name means nothing or several numbers, they were not made alike,
            records are of several datasets, or the file cannot be written.

    >>> benchbench.plot.scatter("results", where="dataset=digits", out="speed.pdf")  # doctest: +SKIP
    """
    path = _output(out, width)
    rows = _rows(folder, where, models)
    summary = _named(summarise(rows))
    if y is None:
        if (lead := leading(summary)).empty:
            raise InputError("no record names a number by which models are ranked; say which with --y")
        upwards = lead
    else:
        upwards = _of(summary, rows, y)
    first = upwards.iloc[0]
    beside = summary["task"].isin([first["task"], "training"]) & summary["direction"].isin(
        ["", first["direction"]]
    )
    across = _of(summary[beside], rows, x)
    return _saved(paper_figures.scatter(across, upwards, width), path)


def grid(
    folder: Folders = OUTPUT,
    *,
    out: Path | str | None = None,
    where: str | None = None,
    models: str | Iterable[str] = (),
    images: int = 16,
    columns: int = 4,
    width: float = COLUMN,
) -> PaperFigure:
    """Draw samples of several models side by side: the first ones of the first seed of each.

    Args:
        folder: As in `curves`.
        out: As in `curves`.
        where: As in `curves`.
        models: As in `curves`.
        images: Of each model, at most 256.
        columns: Images a line of each model.
        width: As in `curves`.

    Returns:
        A matplotlib figure.

    Raises:
        InputError: A record keeps no single samples, a name means nothing, records are of several datasets, or the file
            cannot be written.

    >>> benchbench.plot.grid("runs", models="vae,dcgan,real", out="samples.pdf")  # doctest: +SKIP
    """
    for name, given in (("images", images), ("columns", columns)):
        if type(given) is not int or not 1 <= given <= MOST_IMAGES:
            raise InputError(f"{name}={shown(given)} must be a whole number from 1 to {MOST_IMAGES}")
    path = _output(out, width)
    rows = _rows(folder, where, models)
    shown_of: dict[str, Record] = {}
    names = _names_of(rows)
    for record in sorted(_records(folder, rows), key=lambda own: (own[1].seed or 0, own[1].cell)):
        if SAMPLES in record[1].files and (record[0] / SAMPLES).exists():
            shown_of.setdefault(names[record[1].cell], record)
    if lacking := sorted(set(names.values()) - shown_of.keys()):
        raise InputError(
            f"no record of {listed(lacking)} keeps its samples one by one ({SAMPLES}); leave them out with --models, "
            "or run them again"
        )
    panels = [(name, _samples(*shown_of[name])[:images]) for name in sorted(shown_of)]
    return _saved(paper_figures.grid(panels, columns, width), path)


def _output(out: Path | str | None, width: float) -> Path | None:
    """Where the figure is written; refused before anything is read."""
    if not is_number(width) or not NARROWEST <= width <= WIDEST:
        raise InputError(
            f"width={shown(width)} must be inches from {NARROWEST:g} to {WIDEST:g}, such as {COLUMN}"
        )
    path = checked_outputs({"--out": out})["--out"]
    if path is not None:
        format_of(path)
    return path


def _saved(figure: PaperFigure, path: Path | None) -> PaperFigure:
    if path is not None:
        save_figure(figure, path)
    return figure


def _rows(folder: Folders, where: str | None, models: str | Iterable[str]) -> pd.DataFrame:
    """The rows of what is drawn, of one dataset."""
    rows = chosen(rows_below(folder, where), Choice.of(models))
    if rows.empty:
        raise InputError(
            "there is nothing to draw: no records; name a folder that benchbench wrote results into"
        )
    if len(datasets := sorted(set(rows["dataset"]))) > 1:
        raise InputError(
            f"these records are of {listed(datasets)}; one figure is of one dataset: --where dataset={datasets[0]}"
        )
    return rows


def _records(folder: Folders, rows: pd.DataFrame) -> list[Record]:
    cells = set(rows["cell"])
    return [record for record in records_below(folders_in(folder)) if record[1].cell in cells]


def _names_of(rows: pd.DataFrame) -> dict[str, str]:
    """What tables call the model of each cell."""
    firsts = rows.drop_duplicates("cell")[["cell", *MODEL]]
    return {str(cell): model_name(*who) for cell, *who in firsts.itertuples(index=False)}


def _names(rows: pd.DataFrame) -> list[str]:
    return sorted(set(_names_of(rows).values()))


def _named(summary: pd.DataFrame) -> pd.DataFrame:
    return summary.assign(name=[model_name(*who) for who in summary[MODEL].itertuples(index=False)])


def _lines(rows: pd.DataFrame, found: list[Record]) -> Iterable[Line]:
    names = _names_of(rows)
    trained = [own for own in found if CURVES in own[1].files]
    looks = {name: place for place, name in enumerate(sorted({names[run.cell] for _, run in trained}))}
    for folder, run in sorted(trained, key=lambda own: (names[own[1].cell], own[1].seed or 0)):
        try:
            table = pd.read_csv(BytesIO(read_file(folder, run, CURVES)))
        except ValueError as error:  # of pandas and of an encoding
            raise damaged(folder / CURVES, "is no table of training curves") from error
        if "step" not in table.columns:
            raise damaged(folder / CURVES, "has no column step")
        name = names[run.cell]
        yield Line(name, table, looks[name], None if run.collapse is None else run.collapse.step)


def _quantities(lines: list[Line], asked: str | Iterable[str]) -> list[str]:
    """What is drawn: what was asked for, else what a look at training shows first, losses before the monitor's."""
    there = dict.fromkeys(
        name
        for line in lines
        for name in line.table.columns
        if name not in ("step", "epoch") and pd.to_numeric(line.table[name], errors="coerce").notna().any()
    )
    if named := list(dict.fromkeys(names_in(asked))):
        for name in named:
            if name not in there:
                raise unknown_name("quantity", name, list(there))
        return named
    first = [name for start in WATCHED for name in there if name.startswith(start)]
    if not (chosen_ones := list(dict.fromkeys(first or there))[:MOST_CURVES]):
        raise InputError("these training curves hold no numbers to draw")
    return chosen_ones


def _of(summary: pd.DataFrame, rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The lines of one metric, made under one set of conditions."""
    choice = Choice.of(metrics=metric)
    if summary.empty:
        raise InputError(f"no model has {metric} beside the other number; name two that a model has")
    lines = chosen(summary[summary["value"].notna()], choice)
    if len(names := sorted(set(lines["metric"]))) > 1:
        raise InputError(f"{metric} is {listed(names)}; name one of them")
    if len(asked := lines[["task", "direction"]].drop_duplicates()) > 1:
        what = "task" if asked["task"].nunique() > 1 else "direction"
        ways = sorted(filter(None, set(asked[what])))
        raise InputError(f"{metric} is of {listed(ways)}; choose one with --where {what}={ways[0]}")
    own = rows[rows["metric"].isin(names) & rows["task"].isin(lines["task"])]
    if len(parts := apart(own)) > 1:
        told = " and of ".join(told for told, _ in parts)
        raise InputError(
            f"{metric} was not made alike: it is of {told}; choose records that were with --where"
        )
    return lines.drop_duplicates("name").assign(control=lines["control"].fillna(False).astype(bool))


def _samples(folder: Path, run: RunManifest) -> npt.NDArray[np.uint8]:
    """The single samples of a record, uint8 N×H×W×3, as they were written."""
    try:
        if file_sha256(folder / SAMPLES) != run.files[SAMPLES]:
            raise damaged(folder / SAMPLES, "is not what run.json lists")
        return read_arrays(folder / SAMPLES, ["images"])["images"]
    except DAMAGE as error:
        raise damaged(folder / SAMPLES, f"is no file of images: {error}") from error
