"""What a user writes for a system: a record that keeps its images one by one, or NAME=FOLDER of anybody's images."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchbench.core.errors import InputError, listed, short
from benchbench.core.hashing import digest
from benchbench.core.paths import as_path, printable
from benchbench.core.progress import Progress
from benchbench.data.sources.spec import KINDS
from benchbench.results.claims.conditions import full_task
from benchbench.results.load import records_below
from benchbench.results.manifest import RunManifest
from benchbench.results.record import COLUMNS
from benchbench.results.select_records import Hand, at_hand, select
from benchbench.results.store import WEIGHTS, check_file
from benchbench.study.evaluated import Bound, bind, evaluated, fitting
from benchbench.study.image_sets import ImageSet, images_in, images_of
from benchbench.study.manifest import MOST_SYSTEMS, System
from benchbench.views.text import model_name

FIRST = ("samples.npz", "outputs.zip")
"""The artefacts that are looked for before others."""
BESIDE = ("reconstruction", "likelihood", "training", "profile")
"""Tasks of which a record has numbers and whose images it does not keep."""
LONGEST_NAME = 80


@dataclass(frozen=True)
class Given:
    """A system with its images.

    Attributes:
        system: As study.json has it.
        images: What it made.
        notes: What a reader should know.
    """

    system: System
    images: ImageSet
    notes: tuple[str, ...] = ()


def given_systems(texts: Sequence[str], results: Path, progress: Progress) -> list[Given]:
    """What each text names, each under a name of its own.

    Args:
        texts: A record as `results.select_records` names one, or NAME=FOLDER.
        results: Where keys and groups of records are looked for.
        progress: Who is told how far it is.

    Returns:
        As many, in this order.

    Raises:
        InputError: A text names nothing, several models, or a record without images; or two name one thing.
    """
    if len(texts) > MOST_SYSTEMS:
        raise InputError(
            f"a study is of at most {MOST_SYSTEMS} systems, and {len(texts)} are named; name fewer"
        )
    hand = at_hand(results)
    found = _joined([_given(text, results, hand, progress) for text in texts], results, progress)
    for i, own in enumerate(found):
        for other in found[:i]:
            if own.system.cell and own.system.cell == other.system.cell:
                raise InputError(f"{texts[i]} names {own.system.name} a second time; name each system once")
    return _told_apart(found)


def _given(text: str, results: Path, hand: Hand, progress: Progress) -> Given:
    name, equals, where = text.partition("=")
    if equals and name not in COLUMNS and _names_images(where):
        return _named_images(name.strip(), where, progress)
    if equals and name not in COLUMNS and os.sep in where:  # no value of a column or a setting
        raise InputError(
            f"there is nothing at {printable(where)}; NAME=FOLDER names images by where they lie, as in ours=samples/"
        )
    return _of_record(text, results, hand, progress)


def _joined(found: list[Given], results: Path, progress: Progress) -> list[Given]:
    """Those of folders with the records that `benchbench evaluate` made of their images."""
    if all(own.system.cell for own in found):
        return found
    known = evaluated(results)
    bound = fitting(
        [
            Bound(own.system, own.notes) if own.system.cell else bind(own.system, own.images, known, progress)
            for own in found
        ]
    )
    return [Given(its.system, own.images, its.notes) for own, its in zip(found, bound, strict=True)]


def _names_images(where: str) -> bool:
    prefix, colon, _ = where.partition(":")
    return (bool(colon) and prefix in KINDS) or (bool(where) and os.path.exists(as_path(where)))


def _named_images(name: str, where: str, progress: Progress) -> Given:
    if not name or not name.isprintable() or len(name) > LONGEST_NAME:
        raise InputError(
            f"{printable(name[:LONGEST_NAME])!r} is no name for the images in {printable(where)}; write NAME={where} "
            f"with at most {LONGEST_NAME} characters"
        )
    images = images_of(where, progress)
    return Given(System(name=name, n=len(images), source="folder"), images)


def _of_record(text: str, results: Path, hand: Hand, progress: Progress) -> Given:
    rows = select([text], results, hand)[0].rows
    labels = rows[["model", "variant", "dataset"]].drop_duplicates()
    who = sorted(
        f"{model_name(model, variant)} on {dataset}"
        for model, variant, dataset in labels.itertuples(index=False)
    )
    if len(who) > 1:
        raise InputError(
            f"{text} names records of {listed(who)}; a system is one model on one dataset: name each by its key or as "
            "model=NAME,dataset=NAME"
        )
    made_for = sorted({_task(rows, cell) for cell in set(rows["cell"])})
    asked = [own for own in made_for if own[0] not in BESIDE]  # a profile, say, leaves no images
    if len(asked) > 1:
        raise InputError(
            f"{text} names records of {who[0]} for {listed([full_task(*own) for own in asked])}; a system did one "
            f"task: name its record by the key, or with task={asked[0][0]} after a comma"
        )
    here = os.path.expanduser(text)
    kept = _keeping(set(rows["cell"]), Path(here) if os.path.isdir(here) else results, text, who[0])
    folder, run, file = kept[0]
    check_file(folder / file, run.files[file])
    images = _in_groups(images_in(folder / file, progress), run)
    own = _headline(rows, run.cell)
    more = f"of {len(kept)} records of {who[0]} that of seed {run.seed or 0}, {run.cell}, is shown"
    system = System(
        name=short(model_name(str(own["model"]), str(own["variant"])), LONGEST_NAME),
        cell=run.cell,
        model=str(own["model"]),
        dataset=str(own["dataset"]),
        task=str(own["task"]),
        direction=str(own["direction"]),
        variant=str(own["variant"]),
        seed=run.seed or 0,
        n=len(images),
        source=Path(file).stem,
    )
    return Given(system, images, (more,) if len(kept) > 1 else ())


def _headline(rows: pd.DataFrame, cell: str) -> pd.Series:
    """The row that says what a record's images were made for, before what stands beside it."""
    own = rows[rows["cell"] == cell]
    own = own.assign(beside=own["task"].isin(BESIDE))
    return own.sort_values(["beside", "headline"], ascending=[True, False], kind="stable").iloc[0]


def _task(rows: pd.DataFrame, cell: str) -> tuple[str, str]:
    """Of which task, in which direction, a record's images are."""
    own = _headline(rows, cell)
    return str(own["task"]), str(own["direction"])


def _keeping(cells: set[str], root: Path, text: str, who: str) -> list[tuple[Path, RunManifest, str]]:
    """Those of some records that keep their images, with the file; by seed and key. `InputError` where none does."""
    found = [own for own in records_below([root]) if own[1].cell in cells]
    if not found:
        raise InputError(
            f"{text} is not in a folder here, and images are kept in folders alone; name a folder"
        )
    found.sort(key=lambda own: (own[1].seed or 0, own[1].cell))
    kept = [(folder, run, file) for folder, run in found if (file := _kept(folder, run)) is not None]
    if not kept:
        folder, run = found[0]
        gone = _files(run)
        what = f"{gone[0]} was taken away from" if gone else "no images are kept one by one in"
        raise InputError(f"{what} the record of {who}, {printable(folder)}; {_way_out(folder, run, who)}")
    return kept


def _files(run: RunManifest) -> list[str]:
    """The files of a record that hold single images, whether they are there or not."""
    files = [file for file in run.files if file.endswith((".npz", ".zip"))]
    return sorted(files, key=lambda file: (FIRST.index(file) if file in FIRST else len(FIRST), file))


def _kept(folder: Path, run: RunManifest) -> str | None:
    return next((file for file in _files(run) if (folder / file).exists()), None)


def _way_out(folder: Path, run: RunManifest, who: str) -> str:
    if run.samples is not None:
        name = who.rpartition(" on ")[0]
        return f"name the folder of the images themselves, as in {name}=FOLDER, which joins this record"
    command = ["benchbench", "run", "--model", (run.recipe and run.recipe.model) or run.model]
    command += ["--dataset", run.dataset, "--seed", str(run.seed or 0)]
    if (folder / WEIGHTS).exists():
        return f"its weights draw them again: {shlex.join([*command, '--weights', str(folder / WEIGHTS)])}"
    return f"run it again with its settings into another folder: {shlex.join([*command, '--out', 'again'])}"


def _in_groups(images: ImageSet, run: RunManifest) -> ImageSet:
    """Classes are those of the dataset; images of captions belong to one, where the same ones were asked for."""
    if images.groups is not None:
        return images.in_groups(images.groups, f"class of {run.dataset}")
    facts = run.stated()
    each, prompts, shown = (facts.get(name) for name in ("per_prompt", "prompts", "shown"))
    if type(each) is not int or each < 1:
        return images
    asked = digest([run.dataset, run.seed, prompts, shown])
    return images.in_groups([i // each for i in range(len(images))], f"caption of {asked}")


def _told_apart(found: list[Given]) -> list[Given]:
    """Each system under a name of its own: of records of one name with the seed, and where that is one too the key."""

    def twice(names: list[str]) -> set[str]:
        return {name for name in names if names.count(name) > 1}

    names = [own.system.name for own in found]
    for more in (lambda own: f"seed {own.seed}", lambda own: own.cell[:8]):
        again = twice(names)
        names = [
            f"{name} {more(own.system)}" if name in again and own.system.cell else name
            for name, own in zip(names, found, strict=True)
        ]
    if again := twice(names):
        raise InputError(f"two systems are called {sorted(again)[0]}; give one another name: NAME=FOLDER")
    return [
        Given(own.system.model_copy(update={"name": name}), own.images, own.notes)
        for name, own in zip(names, found, strict=True)
    ]
