"""Which folders of a source are its splits: read off their names, in any spelling that people use (`SPELLINGS`).

For folders, archives, parquet files and the arrays of an `.npz` alike: there is one part of each kind and domain; of
several held-out parts the first of `HELD_OUT` counts, and a note names the others; what lies beside `train/` under
another name is refused by that name, for nobody can say to which part it belongs. Where no name is one of a split, two
that differ in the word for it alone are: DIV2K_train_HR and DIV2K_valid_HR (`alike`); a note says so.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from benchbench.core.errors import InputError, listed

TRAIN = "train"
HELD_OUT = ("test", "eval", "val")
"""Kinds of held-out parts; the first that is there counts."""

SPELLINGS = {
    "train": ("train", "training", "trn"),
    "test": ("test", "testing", "tst", "holdout", "heldout"),
    "eval": ("eval", "evaluation"),
    "val": ("val", "valid", "validation", "validate", "dev", "development"),
}
"""How each kind is written, in any case; Hugging Face's `datasets` knows most of them (`data_files`)."""

_KINDS = {word: kind for kind, words in SPELLINGS.items() for word in words}
_BESIDE = frozenset("set sets split data dataset folder images image imgs img samples x seg".split())  # noqa: SIM905
_TOKENS = re.compile(r"[a-z]+|\d+")


class SplitName(NamedTuple):
    """What a name says. kind: "train", "test", "eval" or "val". side: "A" or "B", a domain, else "". rest: what else is
    in it, as 2017 in val2017."""

    kind: str
    side: str = ""
    rest: tuple[str, ...] = ()


def split_name(name: str) -> SplitName | None:
    """What the name of a folder, a file without its suffix, or an array says of splits; None where it says nothing.

    >>> [split_name(name) for name in ("Validation", "trainA", "val2017")]  # doctest: +NORMALIZE_WHITESPACE
    [SplitName(kind='val', side='', rest=()), SplitName(kind='train', side='A', rest=()),
     SplitName(kind='val', side='', rest=('2017',))]
    >>> split_name("train_station") is None
    True
    """
    plain = re.sub(r"held[-_ ]?out|hold[-_ ]?out", "heldout", name.casefold())
    if not re.fullmatch(r"[a-z0-9]+([-_. ]+[a-z0-9]+)*", plain):
        return None
    tokens = [token for found in _TOKENS.findall(plain) for token in _taken_apart(found)]
    kinds = [token for token in tokens if token in _KINDS]
    if len(kinds) != 1:
        return None
    rest = list(tokens)
    rest.remove(kinds[0])
    sides = [token for token in rest if token in ("a", "b")]
    others = tuple(token for token in rest if token not in ("a", "b"))
    if len(sides) > 1 or not all(token in _BESIDE or token.isdigit() for token in others):
        return None
    return SplitName(_KINDS[kinds[0]], "".join(sides).upper(), others)


def _taken_apart(token: str) -> Sequence[str]:
    """ "traina" to "train", "a"; "testset" to "test", "set"; what is one word as it is."""
    if token in _KINDS:
        return (token,)
    for word in sorted(_KINDS, key=len, reverse=True):
        rest = token.removeprefix(word)
        if rest != token and (rest in ("a", "b") or rest in _BESIDE):
            return (word, rest)
    return (token,)


@dataclass(frozen=True)
class Splits:
    """Which of some names are which parts. of: kind and domain to the name. others: names that say nothing."""

    of: dict[tuple[str, str], str] = field(default_factory=dict)
    others: Sequence[str] = ()

    @property
    def sided(self) -> bool:
        """Whether there are two domains."""
        return any(side for _, side in self.of)

    def held_out(self) -> str | None:
        """The kind of held-out part that counts."""
        return next((kind for kind in HELD_OUT if any(own == kind for own, _ in self.of)), None)

    def two(self) -> list[str]:
        """The names of train and of the held-out part, where there are both and no domains."""
        held_out = self.held_out()
        found = [self.of.get((TRAIN, "")), self.of.get((held_out or "", ""))]
        return [name for name in found if name is not None] if None not in found else []

    def notes(self) -> list[str]:
        """The note on held-out parts that do not count."""
        counts = self.held_out()
        notes = []
        if odd := sorted(name for name in self.of.values() if split_name(name.rpartition("/")[2]) is None):
            notes = [f"taken for splits, since they differ in this word alone: {', '.join(odd)}"]
        aside = [name for (kind, _), name in self.of.items() if kind not in (TRAIN, counts)]
        chosen = [name for (kind, _), name in self.of.items() if kind == counts]
        if aside:
            notes.append(
                f"{', '.join(sorted(aside))} was left aside: the held-out part is {', '.join(sorted(chosen))}"
            )
        return notes


def splits_among(names: Iterable[str], where: str) -> Splits:
    """Which of `names` are splits of what `where` names; `InputError` for two that are the same one."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    others = []
    for name in sorted(names):
        said = split_name(name)
        if said is None:
            others.append(name)
        else:
            found[said.kind, said.side].append(name)
    return Splits(_one_of_each(found, where), others)


def alike(names: Iterable[str], where: str) -> Splits:
    """Which of `names`, none of which is that of a split, are splits all the same: those that are equal but for the
    word for one, train in one of them and held-out in another. `InputError` for two that are the same one.

    >>> alike(["DIV2K_train_HR", "DIV2K_valid_HR", "cat"], "x").of
    {('train', ''): 'DIV2K_train_HR', ('val', ''): 'DIV2K_valid_HR'}
    """
    names = sorted(names)
    around: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for name in names:
        for word, kind in _KINDS.items():
            for at in re.finditer(word, name.casefold()):
                around[name.casefold()[: at.start()], name.casefold()[at.end() :]][kind] = name
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for (_, behind), kinds in around.items():
        if TRAIN in kinds and len(kinds) > 1:
            side = behind.strip("-_. ").upper()
            for kind, name in kinds.items():
                found[kind, side if side in ("A", "B") else ""].add(name)
    of = _one_of_each({key: sorted(same) for key, same in found.items()}, where)
    return Splits(of, [name for name in names if name not in of.values()])


def splits_or_alike(names: Iterable[str], where: str) -> Splits:
    """`splits_among`, or where none of the names is one `alike`; `InputError` as they."""
    names = list(names)
    splits = splits_among(names, where)
    return splits if splits.of else alike(names, where)


def _one_of_each(found: Mapping[tuple[str, str], Sequence[str]], where: str) -> dict[tuple[str, str], str]:
    """The one name of each part; `InputError` for two."""
    for same in found.values():
        if len(same) > 1:
            raise InputError(
                f"{where} has {' and '.join(same)}, which name the same part; put them together, or move one away"
            )
    return {key: name for key, (name,) in found.items()}


def check_complete(splits: Splits, beside: Sequence[str], where: str, slash: str = "/") -> None:
    """`InputError` where there is a held-out part but no train, or images `beside` the parts under other names. slash:
    what ends the name of a part."""
    if not splits.of:
        return
    known = ", ".join(sorted(f"{name}{slash}" for name in splits.of.values()))
    if splits.sided and any(not side for _, side in splits.of):
        raise InputError(
            f"{where} has {known}, parts of one set of images and of two domains; keep one kind of them"
        )
    others = f"images in {listed(beside)}"
    if not splits.sided and (TRAIN, "") not in splits.of:
        classes = f" (but {others}); if all are classes, put their folders into train/" if beside else ""
        raise InputError(
            f"{where} has {known} but no train{slash}{classes}; add it, or name the images' own folder"
        )
    if beside:
        raise InputError(
            f"{where} has {known} and beside that {others}, which names no split: a held-out part is called test, "
            "val, valid, validation, dev or eval. Rename it or move it away; if all of them are classes, put their "
            "folders into one called train"
        )


class Tree:
    """Folders by relative POSIX names, "" for the outermost one, and the images in them.

    Args:
        folders: All that are there, also those without images.
        images: Relative POSIX names.
    """

    def __init__(self, folders: Iterable[str], images: Iterable[str]) -> None:
        self._folders: dict[str, set[str]] = defaultdict(set)
        self._images: dict[str, list[str]] = defaultdict(list)
        self._filled = {""}
        for name in images:
            at, _, file = name.rpartition("/")
            self._images[at].append(file)
            while at not in self._filled:
                self._filled.add(at)
                at = self._enter(at)
        for name in folders:
            self._enter(name)

    def _enter(self, name: str) -> str:
        at, _, own = name.rpartition("/")
        self._folders[at].add(own)
        return at

    def folders(self, at: str) -> Sequence[str]:
        """The names of the folders in one."""
        return sorted(self._folders[at])

    def images(self, at: str) -> Sequence[str]:
        """The names of the images that lie directly in one."""
        return self._images[at]

    def holds_images(self, at: str) -> bool:
        """Whether there are images in or below one."""
        return at in self._filled


@dataclass(frozen=True)
class Layout:
    """How the images of a tree lie. root: the folder in which the splits are, "" for the outermost one or where there
    are none. splits: its folders by what they are. beside: what else holds images there."""

    root: str
    splits: Splits
    beside: Sequence[str]

    def path(self, name: str) -> str:
        """A folder of the root, as a name in the tree."""
        return posixpath.join(self.root, name)


def lay_out(tree: Tree, where: str) -> Layout:
    """Where the splits of a tree are: in the outermost folder, or in the only one in it that holds images. `InputError`
    for splits that contradict each other, or that lie inside classes."""
    at = ""
    while True:
        folders, here = tree.folders(at), f"{where}/{at}" if at else where
        splits = splits_among(folders, here)
        inside = [name for name in splits.others if tree.holds_images(posixpath.join(at, name))]
        loose = list(tree.images(at))
        if not splits.of:
            splits = alike(inside, here)
            inside = list(splits.others) if splits.of else inside
        if splits.of:
            of = {key: _innermost(tree, at, name) for key, name in splits.of.items()}
            return Layout(at, Splits(of, splits.others), [*(f"{name}/" for name in inside), *loose])
        if loose or len(inside) != 1:
            break
        at = posixpath.join(at, inside[0])
    for name in inside:
        within = posixpath.join(at, name)
        kinds = {said.kind: own for own in tree.folders(within) if (said := split_name(own)) is not None}
        if TRAIN in kinds and len(kinds) > 1:
            raise InputError(
                f"{where} has its splits inside other folders ({within}/{kinds[TRAIN]}/): put the splits outermost and "
                f"the classes in them, as train/{name}/, or name one of these folders"
            )
    return Layout("", Splits(), ())


def _innermost(tree: Tree, at: str, name: str) -> str:
    """A part's folder, or the one of the same part that alone is in it: seg_train/seg_train/."""
    while True:
        here = posixpath.join(at, name)
        inside = [own for own in tree.folders(here) if tree.holds_images(f"{here}/{own}")]
        if len(inside) != 1 or tree.images(here) or not _same_part(inside[0], here.rpartition("/")[2]):
            return name
        name = f"{name}/{inside[0]}"


def _same_part(one: str, other: str) -> bool:
    return one == other or split_name(one) == split_name(other) is not None
