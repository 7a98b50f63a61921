"""Which records are meant: a folder, a cell, a group, or the results of a git revision.

Pattern: one text names a set of records, read as the first of these that fits:

    a folder                        a cell's, or any folder of records
    `model=vae,dataset=cifar10`     what has these values in these columns, of the results at hand
    `model=beta-vae,beta=4`         and whose recipe has these settings, defaults too
    `92c2d9757649d4c6`              a cell's key, or the beginning of one, of the results at hand
    `git:v1.0`                      the results at hand as they were at a revision
    `v1.0:some/folder`              a folder of the repository at a revision

Scope: nothing is checked out. The records of a revision, `run.json` and `metrics.csv` alone, are unpacked into a
temporary folder, read, and removed.
"""

from __future__ import annotations

import functools
import io
import os
import re
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from benchbench.core.errors import InputError, listed, no_record, short, unknown_name
from benchbench.core.folders import OUTPUT, PUBLISHED
from benchbench.core.toml import settings_of as typed
from benchbench.results.claims.numbers import Unit
from benchbench.results.load import load_failures, results_below, walked, which_seed
from benchbench.results.record import COLUMNS
from benchbench.results.settings import setting_text
from benchbench.results.store import FAILED, METRICS, RUN

MOST_NAMED = 8  # models in an error message


@dataclass(frozen=True)
class Selection:
    """What one text names. rows: as `load_results` has them. failures: as `load_failures` has them. recipes: what tells
    the recipe of each cell apart (`recipes.settings_of`)."""

    name: str
    rows: pd.DataFrame
    failures: pd.DataFrame
    recipes: Mapping[str, Mapping[str, str]]

    @property
    def settings(self) -> dict[Unit, Mapping[str, str]]:
        """Of each unit the settings of its first cell."""
        firsts = self.rows.drop_duplicates([*Unit._fields])
        return {
            Unit(str(row["dataset"]), str(row["model"]), str(row["variant"])): self.recipes.get(
                row["cell"], {}
            )
            for row in firsts.to_dict("records")
        }

    def failed(self, side: str) -> list[str]:
        """`vae on digits, seed 3, of A failed: the loss is no number`: a sentence a cell without a record."""
        return [
            f"{cell['model']} on {cell['dataset']}, {which_seed(cell)}, of {side} failed: {cell['reason']}"
            for cell in self.failures.to_dict("records")
        ]


_Recipes = dict[str, dict[str, str]]
Records = tuple[pd.DataFrame, pd.DataFrame, _Recipes]  # rows, failures, settings by cell
Hand = Callable[[], Records]


def at_hand(results: Path) -> Hand:
    """Everything below `results`, read at the first call and only then."""
    return functools.cache(lambda: _everything(results))


def select(texts: Sequence[str], results: Path, hand: Hand | None = None) -> list[Selection]:
    """The records that each of `texts` names; `results` is the folder that keys, groups and `git:` speak of.

    hand: what `at_hand(results)` gives, for a caller that reads it as well. Raises `InputError` for a text that names
    nothing, saying what there is, and for whatever is wrong with the records.
    """
    known = hand or at_hand(results)  # one walk for all
    return [
        Selection(text, *_select(text, results, lambda: _that_are_there(known(), results))) for text in texts
    ]


def _select(text: str, results: Path, hand: Hand) -> Records:
    if os.path.isdir(folder := os.path.expanduser(text)):  # of whatever may not be a path at all it is none
        return _read(Path(folder))
    if "=" in text:
        return group(text, results, hand())
    if re.fullmatch(r"[0-9a-f]{4,64}", text):
        return _cell(text, results, *hand())
    revision, colon, path = text.partition(":")
    if revision == "git":
        return _at_revision(path, _inside_repository(results))
    if colon:
        return _at_revision(revision, path)
    try:
        there = _there_is(results, hand()[0])
    except InputError as error:  # nor is there anything that groups and keys could be of
        there = str(error)
    raise InputError(
        f"{short(text)!r} is no folder, no group (model=vae,dataset=digits), no key of a cell and no git revision "
        f"(git:REV or REV:FOLDER); {there}"
    )


def _read(path: Path) -> Records:
    return _that_are_there(_everything(path), path)


def _everything(path: Path) -> Records:
    return everything_below([path])


def everything_below(paths: Sequence[Path], asked: Collection[Path] | None = None) -> Records:
    """Rows, failures and settings of all that lies below some folders. asked: as `rows.possible` takes it."""
    walks = {path: walked(path) for path in paths}
    frame, recipes = results_below(paths, asked, walks)
    failures = pd.concat([load_failures(path, walks[path]) for path in paths]).drop_duplicates(
        "path", ignore_index=True
    )
    return frame, failures, {cell: recipe.settings for cell, recipe in recipes.items()}


def _that_are_there(found: Records, path: Path) -> Records:
    if found[0].empty:
        raise InputError(
            f"there are no records below {path}; name a folder that benchbench wrote results into"
        )
    return found


def _cell(key: str, results: Path, rows: pd.DataFrame, failures: pd.DataFrame, recipes: _Recipes) -> Records:
    cells = sorted(cell for cell in rows["cell"].unique() if cell.startswith(key))
    if len(cells) != 1:
        if cells:
            raise InputError(
                f"{key} begins the keys of {len(cells)} cells, such as {cells[0]} and {cells[1]}; say more"
            )
        raise InputError(f"no cell has the key {key}; {_there_is(results, rows)}")
    return rows[rows["cell"] == cells[0]], failures[:0], recipes


def group(text: str, results: Path | str, found: Records) -> Records:
    """Of records those that `model=vae,dataset=digits` names. results: where they lie, as errors call it."""
    rows, failures, recipes = found
    settings = {name for own in recipes.values() for name in own}
    for column, value in _conditions(text, settings).items():
        if column not in COLUMNS:
            rows, failures = (
                _with_setting(column, value, rows, recipes),
                failures[:0],
            )  # which state no settings
            continue
        chosen = rows[_texts(rows[column]) == value]
        if chosen.empty:
            known = sorted(set(_texts(rows[column])) - {""})
            if value in known or len(known) > MOST_NAMED:
                raise InputError(f"no record has {text}; {_there_is(results, rows)}")
            raise no_record(f"has {column}={value}", value, known)
        rows = chosen
        if column in failures.columns:
            failures = failures[_texts(failures[column]) == value]
    return rows, failures, recipes


def _with_setting(name: str, value: str, rows: pd.DataFrame, recipes: _Recipes) -> pd.DataFrame:
    """The rows whose recipe has a setting of this value, a default as well as one that was set; `4.0` means `4`."""
    asked = setting_text(typed([f"{name}={value}"])[name])
    found = {cell: recipes.get(cell, {}).get(name) for cell in rows["cell"].unique()}
    chosen = rows[rows["cell"].isin([cell for cell, text in found.items() if text == asked])]
    if chosen.empty:
        there = {text for text in found.values() if text is not None}
        raise no_record(f"has {name}={value}", value, there)
    return chosen


def _conditions(text: str, settings: Collection[str] = ()) -> dict[str, str]:
    """`model=vae,variant=latent=16,width=16` -> column or setting to value; a variant may hold commas of its own."""
    conditions: dict[str, str] = {}
    last = ""
    for piece in text.split(","):
        column, equals, value = (part.strip() for part in piece.partition("="))
        if column not in COLUMNS and last == "variant":
            conditions[last] += f",{piece}"
            continue
        if column not in COLUMNS and column not in settings:
            raise unknown_name("column", column, {*COLUMNS, *settings})
        if not equals or column in conditions:
            raise InputError(f"{text!r} must give each column one value, as in model=vae,dataset=digits")
        conditions[column], last = value, column
    return conditions


def _texts(column: pd.Series) -> pd.Series:
    """The values as one would type them: `true`, `3`; nulls as the empty text."""
    texts = column.astype("string").fillna("")
    return texts.str.lower() if column.dtype == "boolean" else texts


def _there_is(results: Path | str, rows: pd.DataFrame) -> str:
    names = [
        f"{model} on {dataset}"
        for model, dataset in sorted(set(zip(rows["model"], rows["dataset"], strict=True)))
    ]
    return f"{results} holds {listed(names, MOST_NAMED)}"


def _at_revision(revision: str, folder: str) -> Records:
    """The records in `folder` ("" for the whole repository, else from its top) as of `revision`."""
    where = f"{revision}:{folder}"
    unknown = f"this repository has no revision {revision!r}; git log --oneline and git tag list those it has"
    if not revision or revision.startswith("-"):  # git would take it for an option
        raise InputError(unknown)
    asked = ("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    try:
        commit = _git(*asked, otherwise=unknown).decode().strip()
    except _NotThereError as error:
        raise InputError(unknown + _shallow()) from error
    files = _files_at(commit, folder)
    if not files:
        way = f"git ls-tree -d -r --name-only {revision} lists the folders there"
        named = PurePosixPath(folder)
        published = named.parent / PUBLISHED
        # git seldom has what was only tried
        if named.name == OUTPUT.name and _files_at(commit, str(published)):
            way = f"{revision}:{published} holds some, say that instead"
        raise InputError(f"there are no records in {where}; {way}")
    with tempfile.TemporaryDirectory() as temporary:
        for name, content in zip(files, _blobs(list(files.values())), strict=True):
            target = Path(temporary, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        shown = where.rstrip("/")  # in place of a folder that nobody has seen
        with warnings.catch_warnings(record=True) as skipped:
            warnings.simplefilter("always")
            try:
                found = _read(Path(temporary))
            except InputError as error:
                raise InputError(str(error).replace(temporary, shown)) from error
    for warning in skipped:
        warnings.warn(str(warning.message).replace(temporary, shown), warning.category, stacklevel=2)
    return found


def _files_at(commit: str, folder: str) -> dict[str, str]:
    """What records are read from, in a folder of a commit: path below it -> the object that holds its content."""
    tree = f"{commit}:{folder.rstrip('/')}"
    try:
        listing = _git("ls-tree", "-r", "-z", "--full-tree", tree, otherwise=f"there is no folder {tree}")
    except _NotThereError:
        return {}
    files = {}
    for entry in filter(None, listing.decode("utf-8", "surrogateescape").split("\0")):
        facts, _, name = entry.partition("\t")
        path = PurePosixPath(name)
        if path.name in (RUN, METRICS, FAILED) and facts.startswith("100") and ".." not in path.parts:
            files[name] = facts.split()[2]
    return files


def _inside_repository(folder: Path) -> str:
    """`folder` as git has it: from the top of the repository around the working folder."""
    top = _git("rev-parse", "--show-toplevel", otherwise=_NO_REPOSITORY).decode().removesuffix("\n")
    try:
        inside = folder.resolve().relative_to(Path(top).resolve()).as_posix()
    except ValueError as error:
        raise InputError(
            f"{folder} lies outside the repository {top}; say REV:FOLDER, or --results"
        ) from error
    return "" if inside == "." else inside


def _blobs(objects: list[str]) -> Iterator[bytes]:
    """The contents of git objects, in order. One process for all; attributes and filters do not touch them."""
    request = "".join(f"{name}\n" for name in objects).encode()
    answer = io.BytesIO(
        _git(
            "cat-file", "--batch", input=request, otherwise="git could not read the records of that revision"
        )
    )
    for name in objects:
        header = answer.readline().split()  # object, type, size
        if header[1:2] != [b"blob"]:
            raise InputError(
                f"git lacks the object {name} of that revision; fetch it (a shallow or partial clone?)"
            )
        yield answer.read(int(header[2]))
        answer.readline()


class _NotThereError(InputError):
    """The revision, or a folder in it, is not there."""


_NO_REPOSITORY = "the working folder lies in no git repository, so that it has no revisions; name folders"
# What git says where a revision or a folder in it is simply not there.
_NOT_THERE = (
    *("not a valid object name", "invalid object name", "needed a single revision", "path '", "bad revision"),
    "not a tree object",
)


def _git(*arguments: str, otherwise: str, input: bytes = b"") -> bytes:
    """What git says; `InputError` where it fails: with the sentence `otherwise` where what was asked for is not there,
    else with git's own reason. It asks nobody for a password."""
    plainly = {**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(["git", *arguments], env=plainly, capture_output=True, input=input)
    except FileNotFoundError as error:
        raise InputError("a revision needs git, which is not installed; name folders instead") from error
    except OSError as error:
        raise InputError(f"a revision needs git, which cannot be started ({error.strerror})") from error
    if done.returncode:
        why = _why(done.stderr.decode("utf-8", "replace"))
        raise _NotThereError(otherwise) if why is None else InputError(why)
    return done.stdout


def _why(said: str) -> str | None:
    """Of what git wrote on stderr a sentence; None where it only says that something is not there."""
    lines = [line.partition(": ")[2] for line in said.splitlines() if line.startswith(("fatal: ", "error: "))]
    if not lines or lines[0].lower().startswith(_NOT_THERE):
        return None
    if "not a git repository" in lines[0]:
        return _NO_REPOSITORY
    way_out = next((line.strip() for line in said.splitlines() if "git config" in line), "")
    return f"git cannot read that: {lines[0]}" + (f"; {way_out} allows it" if way_out else "")


def _shallow() -> str:
    """What to do where the repository has only the newest revisions; "" where it has all."""
    shallow = _git("rev-parse", "--is-shallow-repository", otherwise=_NO_REPOSITORY).strip() == b"true"
    return "; this is a shallow clone: git fetch --unshallow --tags brings the rest" if shallow else ""
