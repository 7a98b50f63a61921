"""Outputs that something else made, under the protocol of a task of restoration: `evaluate --task super-resolution`.

The task says what was undone, which metrics papers report of it and what rows call it; here an output and its reference
are brought together as it does with a model's own (references cut to a multiple of the scale), and what does not look
like the protocol is said: as an error where sizes cannot be brought together, else as a note.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from pydantic import BaseModel
from torch import Tensor

from benchbench.core.comm import Comm
from benchbench.core.errors import InputError
from benchbench.core.hashing import digest
from benchbench.core.registry import TASKS
from benchbench.data.degrade.degradations import Degrades
from benchbench.data.degrade.resize import cut_to
from benchbench.data.pipeline.fingerprint import combine
from benchbench.data.pipeline.image_stream import ImageStream, Pairs
from benchbench.metrics.metric import Metric
from benchbench.runner.advice import Signs, why_unlike
from benchbench.tasks.base import NoOptions
from benchbench.tasks.choose import make_task
from benchbench.tasks.restoration.inpaint import IN_HOLES
from benchbench.tasks.restoration.pieces import pieces_of

OTHERWISE = "a restored image is compared with its reference, and pieces of all with pieces of the references"

TYPED = ("scale", "sigma", "quality", "holes")
"""Settings of tasks that the command has an option for."""


@runtime_checkable
class Undoing(Protocol):
    """A task whose outputs somebody else may have made: all that it asks of a model is to undo a degradation."""

    name: str
    version: int
    standard: Sequence[str]

    @property
    def row(self) -> str: ...
    def degradation(self) -> Degrades: ...


@runtime_checkable
class WithHoles(Undoing, Protocol):
    """One that takes pixels away, which of them anybody can tell from the image: known ones are put back before outputs
    are compared.

    Attributes:
        ways: In how many ways each image is degraded; outputs of others are of one.
    """

    ways: int

    def hole(self, image: Tensor) -> Tensor: ...


def asked_task(name: str | None, options: Mapping[str, Any]) -> Undoing | None:
    """The task under whose protocol outputs are scored, None where none was named; `InputError` for one that scores
    none but a model's own, and where nothing says what was undone: a default that is another would name rows
    wrongly."""
    if name is None:
        if options:
            raise InputError(f"{', '.join(options)} is an option of a task; name the task with --task")
        return None
    task = make_task(TASKS.spelled(name), options)
    if not isinstance(task, Undoing):
        able = [own for own, one in TASKS.made() if isinstance(one, Undoing)]
        raise InputError(
            f"the task {name} asks a model for its outputs and scores no others; those that do: {', '.join(able)}, and "
            "text-to-image with --prompts"
        )
    options_of: type[BaseModel] = getattr(task, "Options", NoOptions)
    said = [own for own in options_of.model_fields if own != "train"]
    if said and not any(own in options for own in said):
        typed = next((f"--{own}" for own in TYPED if own in said), f"--task-option {said[0]}=…")
        raise InputError(
            f"--task {name} does not say what the outputs undo; say it with {typed} (in Python, "
            f"task_options={{'{said[0]}': …}})"
        )
    if isinstance(task, WithHoles) and task.ways > 1:
        raise InputError(
            f"--task {name} takes pixels of each image in {task.ways} ways, and outputs are of one; say which with "
            "--task-option ratio=20-30, for example"
        )
    return task


class Fitting:
    """How the outputs of others meet the references of a task, and what a pass over them shows."""

    def __init__(self, task: Undoing, pairs: Pairs) -> None:
        self._degradation = task.degradation()
        self._scale = self._degradation.scale
        self._pairs = pairs
        self._filling = task if isinstance(task, WithHoles) else None
        self._found = Counter[str]()
        # Of known pixels, which are put back, a border says nothing.
        self._signs = Signs(self._scale if self._filling is None else 0)

    def fitted(self, row: int, outputs: Tensor, references: Tensor) -> tuple[Tensor, ...]:
        """Pairs as they are compared, and behind them their holes, where pixels were missing. row: the number of the
        first. outputs, references: uint8 N×3×H×W, each of one size; `InputError` where these cannot be brought
        together."""
        own, other = ((images.shape[2], images.shape[3]) for images in (outputs, references))
        whole = cut_to(other, self._scale)
        if not all(whole):
            raise InputError(
                f"{self._pairs.b.called(row)} is {other[1]}×{other[0]}, which cannot be made {self._scale} times "
                "smaller; leave it out on both sides"
            )
        if own not in (whole, other):
            raise self._unlike(row, own, other)
        if other != whole:
            if own == whole:
                self._found["cut"] += len(outputs)
            else:
                self._found["uncut"] += len(outputs)
        x, y = (images[..., : whole[0], : whole[1]] for images in (outputs, references))
        beside: tuple[Tensor, ...] = ()
        if self._filling is not None:
            holes = torch.cat([self._filling.hole(image[None]) for image in y.cpu()]).to(y.device)
            self._found["changed"] += int(((x != y) & ~holes).flatten(1).any(1).sum())
            x, beside = torch.where(holes, x, y), (holes,)
        # Of others' outputs nobody knows what was restored: they are taken as originals are.
        x, y = (torch.cat([self._degradation.original(own[None]) for own in side]) for side in (x, y))
        self._signs.update(x, y)
        return (x, y, *beside)

    def _unlike(self, row: int, own: tuple[int, int], other: tuple[int, int]) -> InputError:
        why = why_unlike(own, other, self._scale) or "give outputs as large as their references"
        whole = cut_to(other, self._scale)
        cut = "" if whole == other else f" (cut to {whole[1]}×{whole[0]}, a multiple of the scale)"
        return InputError(
            f"{self._pairs.a.called(row)} is {own[1]}×{own[0]}, and its reference {self._pairs.b.called(row)} is "
            f"{other[1]}×{other[0]}{cut}; {why}"
        )

    def put_together(self, comm: Comm) -> None:
        """What the passes of all ranks showed, each of its own pairs; on all of them."""
        everybody = comm.gather((self._found, self._signs))
        self._found = sum((found for found, _ in everybody), Counter())
        self._signs = Signs.merged([signs for _, signs in everybody])

    def pieces(self, images: Tensor) -> Tensor:
        """Squares of images, uint8 N×3×H×W, side by side: what distances between sets are of, whatever the sizes."""
        return torch.cat([pieces_of(image[None]) for image in images])

    def notes(self) -> list[str]:
        """What a reader of the numbers should know."""
        said, n, scale = [], self._pairs.a.n, self._scale
        cut, uncut, changed = (self._found[name] for name in ("cut", "uncut", "changed"))
        if cut:
            said.append(
                f"{cut} of {n} references were cut at the bottom and at the right to a multiple of {scale}, as "
                "large as their outputs"
            )
        if uncut:
            said.append(
                f"{uncut} of {n} outputs are as large as references whose sides are no multiple of {scale}: "
                "papers cut these before they are made smaller, so the outputs were made otherwise; both were cut "
                "to be compared"
            )
        if changed:
            said.append(
                f"{changed} of {n} outputs differ from their references where pixels were known; these were put "
                "back, as the task does with a model's own. Where most do, the masks are others: an image's mask comes "
                "from its own pixels"
            )
        return said + self._signs.sentences()


def fingerprint(task: Undoing, reference: ImageStream) -> str:
    """Of the images and what was done to them, as a run of the task records it."""
    return digest([combine(reference.digests, None), task.degradation().settings()])


def readable(metric: Metric, task: Undoing | None) -> bool:
    """Whether a metric compares an output with its right answer, or does where pixels were missing and a task says
    which."""
    return metric.needs == {"truth"} or (metric.needs == {"hole"} and isinstance(task, WithHoles))


def inapplicable(metric: Metric, task: Undoing) -> str | None:
    """Why a metric has no meaning for the outputs of others under a task; None where it has one: where it compares
    pairs, or features of both sides."""
    if readable(metric, task):
        return None
    if isinstance(task, WithHoles):
        return IN_HOLES
    of_features = bool(metric.readers) and not metric.needs - {"features", "moments", "logits"}
    return None if of_features and metric.needs_reference else OTHERWISE
