"""Of which class each image of a set is, and how the classes of two sets are told to be the same.

Labels are numbers within one source; which number means a cat its names say. Fingerprints know nothing of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchbench.core.errors import InputError, listed


@dataclass(frozen=True)
class Kinds:
    """names: of the classes. labels: the class of each image, int64 (N,), in 0..len(names)-1."""

    names: Sequence[str]
    labels: Tensor

    def chosen(self, rows: Sequence[int] | slice) -> Kinds:
        """Those of some images."""
        return Kinds(self.names, self.labels[rows if isinstance(rows, slice) else torch.tensor(rows)])

    @property
    def present(self) -> list[str]:
        """The names of the classes that have images."""
        return [self.names[label] for label in self.labels.unique().tolist()]


def by_number(labels: Tensor | None, n: int) -> Kinds | None:
    """Of what was made by label, by somebody who has no names for the `n` classes."""
    return None if labels is None else Kinds([str(i) for i in range(n)], labels)


def in_classes_of(ours: Kinds, theirs: Kinds) -> tuple[Tensor, list[str]]:
    """The labels of `ours` as `theirs` numbers its classes.

    Args:
        ours: Of one set.
        theirs: Of the set it is held against.

    Returns:
        int64 (N,), and what a reader should know: classes that one side only numbers are taken in the order of the
        other's names, those of `ours` where they are as many. Where both have numbers, equal ones are one class.

    Raises:
        InputError: Some class of `ours` is none of `theirs`.

    >>> cats = Kinds(["cat", "dog"], torch.tensor([0, 1, 1]))
    >>> in_classes_of(Kinds(["dog"], torch.tensor([0, 0])), cats)[0].tolist()
    [1, 1]
    >>> in_classes_of(Kinds(["0", "1"], torch.tensor([0, 1])), cats)
    (tensor([0, 1]), ['classes 0, 1 are numbers and were taken for cat, dog'])
    >>> in_classes_of(cats, Kinds(["0", "1"], torch.tensor([0, 1])))
    (tensor([0, 1, 1]), ['classes cat, dog were taken for the numbers 0, 1'])
    """
    present, place = ours.present, {name: i for i, name in enumerate(theirs.names)}
    notes: list[str] = []
    # What a number means follows from what the two sources call their classes, never from which classes were drawn.
    if all(map(_number, ours.names)) and not any(map(_number, theirs.names)):
        place = {name: int(name) for name in present if int(name) < len(theirs.names)}
        meant = [theirs.names[place[name]] for name in present if name in place]
        notes = [f"classes {listed(present)} are numbers and were taken for {listed(meant)}"]
    elif [*theirs.names] == [str(i) for i in range(len(ours.names))] and not any(map(_number, ours.names)):
        place = {name: i for i, name in enumerate(ours.names)}
        meant = [str(place[name]) for name in present]
        notes = [f"classes {listed(present)} were taken for the numbers {listed(meant)}"]
    if unknown := [name for name in present if name not in place]:
        raise InputError(
            f"images of class {unknown[0]} have no like: the classes are {listed(list(theirs.names))}"
        )
    return torch.tensor(
        [place[ours.names[label]] for label in ours.labels.tolist()], dtype=torch.int64
    ), notes


def _number(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) < 10
