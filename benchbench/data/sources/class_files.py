"""Which class each image of a folder or an archive is of: by its folder, or by a file that lies beside the images.

    dataset.json                    of StyleGAN's dataset tool: {"labels": [["00000/img00000000.png", 6], …]}, or null
    cat/001.png                     the first folder, unless all of them are numbered shards (00000/, 01000/, …)
    val_annotations.txt, val.txt    of images in one folder: a file's name and its class a line
    LOC_val_solution.csv            of ImageNet as Kaggle has it: ImageId,PredictionString
    …imagelabels.csv                of OpenImages: ImageID,…,LabelName,Confidence; an image with several is of none

What a class is called in words stands in `LOC_synset_mapping.txt`, `synset_words.txt`, `words.txt`, `classes.txt` or
OpenImages' `…class-descriptions….csv`: its label and its name a line. A file counts for the images in the folder where
it lies, and below.
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from benchbench.core.errors import InputError, listed
from benchbench.core.reading import plain
from benchbench.data.pipeline.assemble import FilePart, Labels
from benchbench.data.sources.layout import Layout, split_name
from benchbench.data.sources.other_files import left_aside

STYLEGAN = "dataset.json"
NAMES = (
    *("LOC_synset_mapping.txt", "synset_words.txt", "words.txt", "classes.txt"),
    "*class-descriptions*.csv",
)
LABELS = (
    "LOC_*_solution.csv",
    "val_annotations.txt",
    "train.txt",
    "val.txt",
    "test.txt",
    "*imagelabels*.csv",
)
SHARD = re.compile(r"\d{5,}")
"""How folders are called that only divide images among them: classes have shorter numbers, or names."""

MOST = 2**29
"""Bytes of such a file; OpenImages' largest has 3·10⁸."""


@dataclass(frozen=True)
class Beside:
    """The files that lie among images. where: what errors call the folder or archive. names: relative POSIX ones of all
    that are no images. read: the content of one, with at most so many bytes."""

    where: str
    names: Sequence[str]
    read: Callable[[str, int], bytes]

    def at(self, folder: str, patterns: Sequence[str]) -> list[str]:
        """The files called so in a folder or above it, the nearest first, then in the order of the patterns."""
        found = []
        while True:
            here = [name for name in self.names if posixpath.dirname(name) == folder]
            for pattern in patterns:
                found += [name for name in here if fnmatchcase(posixpath.basename(name), pattern)]
            if not folder:
                return found
            folder = posixpath.dirname(folder)

    def text(self, name: str) -> str:
        """The text in a file; `InputError` where it is none."""
        try:
            return self.read(name, MOST).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"{name} in {self.where} is not UTF-8 text; save it as UTF-8") from error


@dataclass(frozen=True)
class Classes:
    """labels: one an image, None where nobody says. called: in words, by label. notes: what a reader should know. used:
    the files that were read for it."""

    labels: Labels | None = None
    called: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    used: Sequence[str] = ()


def classes_of(names: Sequence[str], at: str, beside: Beside) -> Classes:
    """The classes of images.

    Args:
        names: Relative POSIX names below the folder.
        at: The folder, as a name from where those of `beside` begin; "" for that itself.
        beside: What lies among the images.

    Returns:
        Their labels: folders and words as texts, numbers of a dataset.json as such.

    Raises:
        InputError: There are images both in folders and directly, or a dataset.json lacks one.
    """
    if found := beside.at(at, [STYLEGAN]):
        return _of_stylegan(names, at, found[0], beside)
    flat = [name for name in names if "/" not in name]
    if flat and len(flat) < len(names):
        deep = next(name for name in names if "/" in name)
        where = posixpath.join(beside.where, at).rstrip("/")
        raise InputError(
            f"{where} holds images directly ({flat[0]}) and in folders ({deep}); "
            "put all into class folders, or all into one folder"
        )
    folders = [name.partition("/")[0] for name in names]
    if not flat and not numbered_shards(folders):
        return _in_words(Classes(folders), at, beside)
    notes = []
    if not flat:
        notes = [f"the folders {listed(sorted({*folders}))} are numbered shards and no classes"]
    return _of_lists(names, at, beside, notes)


def grouped(
    part: FilePart, layout: Callable[[], Layout], beside: Beside, around: str = ""
) -> FilePart | None:
    """All images of a tree, each labelled as in its own split; None where some have no class.

    part: all of them, with their names. layout: where the splits are; may raise where that cannot be said. around: the
    folder that holds all of them where there are none. `InputError` where what says so is damaged or contradicts
    itself.
    """
    names = part.names or ()
    found = layout()
    ats = [found.path(title) for title in found.splits.of.values()] or [around]
    labels: dict[str, int | str] = {}
    called: dict[str, str] = {}
    for at in ats:
        own = [name for name in names if not at or name.startswith(f"{at}/")]
        said = classes_of([name.removeprefix(f"{at}/") if at else name for name in own], at, beside)
        labels |= dict(zip(own, said.labels or (), strict=False))
        called |= said.called
    if len(labels) < len(names) or len({type(label) for label in labels.values()}) > 1:
        return None
    return replace(part, labels=[labels[name] for name in names], called=called)  # type: ignore[arg-type]


def without_used(others: Sequence[str], at: str, used: Sequence[str]) -> list[str]:
    """The files of the folder `at` that are no images and were not `used`, which are names from the outermost one."""
    return [name for name in others if posixpath.join(at, name) not in used]


def left_for_classes(others: Sequence[str], title: str) -> list[str]:
    """The notes on files that are no images, among images whose classes are looked up only where they are asked for.

    >>> left_for_classes(["dataset.json"], "faces")
    ['dataset.json in faces is read for the classes of its images alone']
    """
    about = [
        name
        for name in others
        if any(fnmatchcase(posixpath.basename(name), pattern) for pattern in (STYLEGAN, *NAMES, *LABELS))
    ]
    verb = "are" if len(about) > 1 else "is"
    said = [f"{listed(about)} in {title} {verb} read for the classes of its images alone"] if about else []
    return [*said, *left_aside([name for name in others if name not in {*about}], title)]


def numbered_shards(folders: Sequence[str]) -> bool:
    """Whether folders of these names only divide images among them: numbers of five digits or more, all equally long.

    >>> numbered_shards(["00000", "01000"]), numbered_shards(["0", "1"]), numbered_shards(["00000", "cat"])
    (True, False, False)
    """
    return len({len(name) for name in folders}) == 1 and all(SHARD.fullmatch(name) for name in {*folders})


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON with all that it holds, also what it says twice."""


def _of_stylegan(names: Sequence[str], at: str, file: str, beside: Beside) -> Classes:
    """The labels that StyleGAN's dataset tool wrote."""
    try:
        held: Any = json.loads(beside.text(file), object_pairs_hook=_Pairs)
        pairs = dict(held).get("labels") if isinstance(held, _Pairs) else None
        of: dict[str, Any] = {}
        for name, label in pairs or ():
            if of.setdefault(name, label) != label:
                raise InputError(
                    f"{file} of {beside.where} lists {plain(str(name))} twice, with labels {plain(str(of[name]))} and "
                    f"{plain(str(label))}; keep one of them"
                )
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(
            f"cannot read the labels in {file} of {beside.where}: {plain(str(error))}; make it again"
        ) from error
    if not of:
        return Classes(used=[file])
    root = posixpath.dirname(file)
    own = [posixpath.relpath(posixpath.join(at, name), root or ".") for name in names]
    if missing := [name for name in own if name not in of]:
        raise InputError(
            f"{file} of {beside.where} has no label for {missing[0]} ({len(missing)} of {len(own)} images lack one)"
        )
    labels = [of[name] for name in own]
    if not all(type(label) is int for label in labels):
        return Classes(
            notes=[f"the labels in {file} are vectors, no classes, and were left aside"], used=[file]
        )
    return Classes(labels, used=[file])


def _in_words(found: Classes, at: str, beside: Beside) -> Classes:
    """With what its labels are called, where a file says so of all of them."""
    labels = {str(label) for label in found.labels or ()}
    for file in beside.at(at, NAMES):
        rows = (re.match(r"([^\s,]+)[,\s]\s*(\S.*)", line) for line in beside.text(file).splitlines())
        called = {row[1]: row[2].strip().strip('"') for row in rows if row is not None}
        if labels and labels <= called.keys():
            twice = {name for name, n in Counter(called[label] for label in labels).items() if n > 1}
            own = {
                label: called[label] + (f" ({label})" if called[label] in twice else "") for label in labels
            }
            return Classes(found.labels, own, found.notes, [*found.used, file])
    return found


def _of_lists(names: Sequence[str], at: str, beside: Beside, notes: Sequence[str]) -> Classes:
    """The classes of images that lie together, by the files that list them."""
    part = _kind(posixpath.basename(at))
    lists = beside.at(at, LABELS)
    files = [file for file in lists if not part or _kind(posixpath.basename(file)) in ("", part)]
    for file in files:
        try:
            of = _rows(beside.text(file), file.endswith(".csv"))
        except (ValueError, csv.Error) as error:
            raise InputError(f"cannot read {file} in {beside.where}: {plain(str(error))}") from error
        known = [label for name in names if (label := _label(of, name))]
        if len(known) == len(names):
            return _in_words(Classes(_by_number(known, at, beside), notes=notes, used=[file]), at, beside)
        if known:
            notes = [
                *notes,
                f"{file} says one class of {len(known)} of {len(names)} images and was left aside",
            ]
    return Classes(notes=notes)


def _by_number(labels: Sequence[str], at: str, beside: Beside) -> Labels:
    """What lists call 65 is the class of the 66th line of the file that names them; a number where there is none."""
    if not all(label.isdecimal() and label.isascii() and len(label) < 10 for label in labels):
        return labels
    numbers = [int(label) for label in labels]
    for file in beside.at(at, NAMES[:-1]):
        keys = [words[0] for line in beside.text(file).splitlines() if (words := line.split())]
        if max(numbers) < len(keys):
            return [keys[number] for number in numbers]
    return numbers


def _kind(name: str) -> str:
    """The kind of split that a word in a name says; "" for none."""
    words = re.split(r"[-_. ]+", PurePosixPath(name).stem)
    return next((said.kind for word in words if (said := split_name(word)) is not None), "")


def _rows(text: str, table: bool) -> dict[str, str]:
    """The class by the name of a file, "" for several. table: whether the first line names the columns."""
    found: dict[str, str] = {}
    if table:
        reader = csv.DictReader(io.StringIO(text))
        columns = reader.fieldnames or ()
        image = next((name for name in ("ImageID", "ImageId") if name in columns), None)
        label = next((name for name in ("LabelName", "PredictionString") if name in columns), None)
        if image is None or label is None:
            return {}
        rows = [
            (row[image], (row[label] or "").split(" ")[0])
            for row in reader
            if float(row.get("Confidence") or 1) > 0  # OpenImages lists what is not in an image too
        ]
    else:
        rows = [(words[0], words[1]) for line in text.splitlines() if len(words := line.split()) > 1]
    for image, own in rows:
        found[image] = own if found.get(image, own) == own else ""
    return found


def _label(of: Mapping[str, str], name: str) -> str:
    """The class of an image by its name, which lists have with its suffix or without; "" where they have none."""
    file = posixpath.basename(name)
    return next((of[key] for key in (name, file, PurePosixPath(file).stem) if key in of), "")
