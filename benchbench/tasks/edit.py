"""The edit task: an editor is told to edit test images, and is held against the exact answer and against the way back.

The exact answer is known without a network. Of a geometric edit it is that of a finer image: test images are averaged
down, two by two or four by four pixels, before the editor sees them, and the edit of the fine ones is averaged after it
(`data.edits.edit.exact`). A hue that is turned, a level that is raised, a Gaussian blur are formulas. Edits that are
random, or that must know an object, have no one answer and are not asked for.

A row's task says edit and strength, `edit:rotate15`; `edit:rotate15-back` is the image after edit and undo against what
it was. Both are scored on the largest rectangle that shows what the original shows: what is mirrored at the edge of a
turned image is nobody's answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from benchbench.core.errors import CellFailed, InputError
from benchbench.core.images import check_images
from benchbench.core.progress import Progress
from benchbench.core.protocols import Editor, ImageSpec
from benchbench.core.registry import MODELS
from benchbench.core.runtime import Runtime
from benchbench.core.seeds import ImageRng, permutation
from benchbench.data.edits.edit import EDITS, EXACT, GEOMETRIC, averaged, checked, exact, rounded
from benchbench.data.edits.geometry import MATRICES, Window, kept, largest_window
from benchbench.data.photos import Photos, described_photos
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.metric import Metric
from benchbench.metrics.pairs.paired import PairedMetric, PairReader
from benchbench.metrics.select import score
from benchbench.tasks.base import Number, Request, TaskData, TaskResult, WithOptions
from benchbench.tasks.evidence import paired
from benchbench.tasks.pictures import BRIGHTER, Columns, Section, difference
from benchbench.tasks.restoration.data import test_images
from benchbench.tasks.speed import Measurement, measure_cost, measure_rates
from benchbench.training.data import TrainingData

SMALLEST = 32  # pixels a side of test images, so that half as many are left for SSIM's window
FINE = 128  # from here on four by four pixels are averaged
MARGIN = 3  # pixels that kernels read beyond what they show
MAX_IMAGES = 100
SHOWN = 4
DETAIL = 96
BACK = "-back"


@dataclass(frozen=True)
class EditData:
    """Test images of any sizes (`tasks.base.TaskData`)."""

    name: str
    test: Photos
    native: None = None
    extractor: None = None

    @property
    def fingerprint(self) -> str:
        """Of the test images."""
        return self.test.fingerprint

    @property
    def spec(self) -> ImageSpec:
        """The smallest size that an editor sees."""
        sizes = [given_size(*size) for size in self.test.sizes]
        height, width = (min(size[axis] for size in sizes) for axis in (0, 1))
        return ImageSpec(height, width, all(self.test.grey), 0)

    def describe(self) -> dict[str, Any]:
        """What the images are, for run.json."""
        return described_photos(self.test, self.fingerprint)


def finer(height: int, width: int) -> int:
    """How many times finer than what an editor sees images of this size are: 4 from 128 pixels a side on, else 2."""
    return 4 if min(height, width) >= FINE else 2


def given_size(height: int, width: int) -> tuple[int, int]:
    """(H, W) of what an editor sees of an image of this size."""
    times = finer(height, width)
    return height // times, width // times


class EditOptions(BaseModel, extra="forbid", frozen=True):
    """Which edits are asked for."""

    edit: str | None = Field(default=None, description=f"one of {', '.join(EXACT)}; else every geometric one")
    strength: float | None = Field(
        default=None, description="how strong, in the unit of the edit; else the middle one of the ladder"
    )


class EditTask(WithOptions):
    """Test images edited as told, held against the exact answer and, where there is a way back, against themselves."""

    name: ClassVar[str] = "edit"
    Options: ClassVar[type[BaseModel]] = EditOptions
    standard: ClassVar[Sequence[str]] = ("psnr", "ssim", "mae")
    headlines: ClassVar[Mapping[str, Sequence[str]]] = {"edit": ("psnr", "ssim", "mae")}
    reads_extractors: ClassVar[bool] = False
    options: EditOptions

    def __init__(self, options: EditOptions | None = None) -> None:
        super().__init__(options)
        self.asked = _asked(self.options)

    def takes(self, model: type) -> bool:
        """A model that edits, and knows the way back."""
        return all(hasattr(model, name) for name in ("edits", "edit", "undo"))

    def load(self, dataset: str, size: int | None, progress: Progress) -> TaskData:
        """As `Task.load`: images of any sizes, without what they may be learned from."""
        return EditData(*test_images(dataset, size, progress))

    def refuse(self, model: str, data: TaskData) -> str | None:
        """As `Task.refuse`: edits that the model lacks, too small images, and edits that leave nothing of them."""
        lacking = [edit for edit in self.asked if edit not in MODELS.get(model).edits]
        if lacking:
            able = ", ".join(MODELS.get(model).edits)
            return f"the model {model!r} cannot be asked for {lacking[0]}; it can for {able}"
        test = _own(data).test
        for name, (height, width) in zip(test.names, test.sizes, strict=True):
            if min(height, width) < SMALLEST:
                return (
                    f"{name} is {width}×{height}, and images of less than {SMALLEST}×{SMALLEST} are too small to be "
                    "edited; leave it out, or give a larger --size"
                )
            small = given_size(height, width)
            for edit, strength in self.asked.items():
                if not all(window(edit, strength, *small, of).pixels for of in ("edited", "back")):
                    return (
                        f"{edit} by {strength:g} leaves nothing of {name}, which an editor is given at "
                        f"{small[1]}×{small[0]}; give a weaker --task-option strength"
                    )
        return None

    def parts(self, model: nn.Module) -> list[str]:
        """As `Task.parts`: the edits with their strengths."""
        return [f"{self.name}:{edit}{strength:g}" for edit, strength in self.asked.items()]

    def n_samples(self, model: str, data: TaskData, asked: int | None) -> int:
        """As `Task.n_samples`: as many as were asked for, else all, at most 100."""
        have = len(_own(data).test)
        if asked is not None and asked > have:
            raise InputError(f"{data.name} has {have} images to edit; ask for --samples {have} or fewer")
        return asked or min(have, MAX_IMAGES)

    def inapplicable(self, metric: Metric, model: nn.Module, data: TaskData) -> str | None:
        """As `Task.inapplicable`: whatever is no comparison of an image with its right answer."""
        if metric.needs == {"truth"}:
            return None
        return "an edited image is compared with its right answer, and with nothing else"

    def training_data(self, model: nn.Module, data: TaskData) -> TrainingData:
        """As `Task.training_data`; `InputError`: this task teaches nobody."""
        raise InputError("edit trains no editor; give the weights of one that is trained with --weights")

    def run(self, model: nn.Module, data: TaskData, request: Request, runtime: Runtime) -> TaskResult:
        """Every edit of every image, and what editing costs."""
        assert isinstance(model, Editor)
        desk = Desk(model, _own(data).test, request.seed, runtime)
        numbers: list[Number] = []
        for edit, strength in self.asked.items():
            name = f"{self.name}:{edit}{strength:g}"
            for kind, evidence in desk.scored(edit, strength, request).items():
                outcomes = [*score(request.metrics, evidence, runtime.comm), *request.unmet]
                numbers += [Number(found, name + kind, request.n_samples) for found in outcomes]
        first = next(iter(self.asked.items()))
        speed = runtime.comm.first(lambda: desk.speed(*first))
        sections = [desk.section(edit, strength, request.n_samples) for edit, strength in self.asked.items()]
        return TaskResult(
            [*numbers, *(Number(found, self.name) for found in speed)],
            [
                Columns(
                    "edited",
                    sections,
                    f"given, edited, the exact answer, the difference ×{BRIGHTER}, and back",
                )
            ],
            {
                "edits": {
                    edit: {"strength": own, "unit": EDITS[edit].unit} for edit, own in self.asked.items()
                }
            },
        )


def _own(data: TaskData) -> EditData:
    assert isinstance(data, EditData)
    return data


def _asked(options: EditOptions) -> dict[str, float]:
    """The edits that are asked for, with their strengths; `InputError` for what cannot be asked."""
    if options.edit is None:
        if options.strength is not None:
            raise InputError(
                f"a strength of {options.strength:g} is meant for one edit; name it with --task-option edit=NAME"
            )
        return {edit: EDITS[edit].middle for edit in GEOMETRIC}
    strength = (
        EDITS[options.edit].middle if options.strength is None and options.edit in EDITS else options.strength
    )
    found = checked(options.edit, 0.0 if strength is None else strength)
    if options.edit not in EXACT:
        raise InputError(
            f"{options.edit} has no one right answer to hold an editor against; ask for one of {', '.join(EXACT)}"
        )
    return {options.edit: found}


@cache
def window(edit: str, strength: float, height: int, width: int, of: str) -> Window:
    """What is scored of images of this size: the largest rectangle of `geometry.kept`, less a margin; all of them for
    an edit that moves nothing."""
    if edit not in MATRICES:
        return Window(0, height, 0, width)
    mask = kept(edit, strength, height, width, of="back" if of == "back" else "edited")
    return largest_window(mask, MARGIN)


@dataclass(frozen=True)
class Edited:
    """One image, uint8 1×3×H×W each: as it was given, edited, as it should be, and back again (None where no edit
    leads back)."""

    given: Tensor
    made: Tensor
    truth: Tensor
    back: Tensor | None


def given_of(fine: Tensor) -> Tensor:
    """The image that an editor is given of a test image: uint8 1×3×h×w."""
    return rounded(averaged(fine, finer(*fine.shape[2:])))


@dataclass(frozen=True)
class Desk:
    """An editor at work on test images."""

    model: Editor
    photos: Photos
    seed: int
    runtime: Runtime

    def edited(self, row: int, edit: str, strength: float) -> Edited:
        """One image edited, on the CPU."""
        fine = self.photos.image(row)
        given, device = given_of(fine), self.runtime.device
        with torch.inference_mode():
            made = self.model.edit(given.to(device), edit, strength, ImageRng(self.seed, [row], device))
            made = _same_size(check_images(made, "edited images", 1), given, "edited")
            back = None
            if edit in GEOMETRIC:
                back = self.model.undo(made, edit, strength, ImageRng(self.seed, [row], device))
                back = _same_size(check_images(back, "images after the way back", 1), given, "undone").cpu()
        if edit in MATRICES:
            times = finer(*fine.shape[2:])
            cut = fine[..., : given.shape[2] * times, : given.shape[3] * times]
            truth = exact(cut, edit, strength, times)
        else:
            truth = exact(given, edit, strength)
        return Edited(given, made.cpu(), rounded(truth), back)

    def scored(self, edit: str, strength: float, request: Request) -> dict[str, Evidence]:
        """What paired metrics say of this rank's share of the images: of the edit (""), and of the way back."""
        kinds = ("", BACK) if edit in GEOMETRIC else ("",)
        per_image = {m.name: m.of_pairs for m in request.metrics if isinstance(m, PairedMetric)}
        readers = {kind: PairReader(per_image) for kind in kinds}
        comm, shard = self.runtime.comm, self.runtime.comm.shard(request.n_samples)

        def read() -> None:
            with self.runtime.progress.stage(f"editing images: {edit}", len(shard), "image") as stage:
                for row in shard:
                    own = self.edited(row, edit, strength)
                    size = (own.given.shape[2], own.given.shape[3])
                    shown = window(edit, strength, *size, "edited")
                    readers[""].update(shown.of(own.made), shown.of(own.truth))
                    if own.back is not None:
                        shown = window(edit, strength, *size, "back")
                        readers[BACK].update(shown.of(own.back), shown.of(own.given))
                    stage.advance(1)

        comm.together(read)
        return {kind: Evidence(pairs={"truth": paired(reader, comm)}) for kind, reader in readers.items()}

    def speed(self, edit: str, strength: float) -> list[Measurement]:
        """How fast the first image is edited, and what the model takes."""
        device = self.runtime.device
        image = given_of(self.photos.image(0)).to(device)

        def make(n: int) -> Tensor:
            rng = ImageRng(self.seed, range(n), device)
            return self.model.edit(image.expand(n, -1, -1, -1), edit, strength, rng)

        assert isinstance(self.model, nn.Module)
        return [
            *measure_rates(make, device=device, batch_size=1),
            *measure_cost(self.model, device=device, once=lambda: make(1)),
        ]

    def section(self, edit: str, strength: float, n: int) -> Section:
        """The middles of some images, as large as the smallest of them allows."""
        rows = permutation(0, n)[:SHOWN].tolist()
        found = [self.edited(row, edit, strength) for row in rows]
        side = min(DETAIL, *(length for own in found for length in own.given.shape[2:]))
        labels = ("given", "edited", "exact", "difference", *(("back",) if edit in GEOMETRIC else ()))
        lines = [list(_columns(own, side)) for own in found]
        columns = [torch.cat(own) for own in zip(*lines, strict=True)]
        return Section(f"{edit} {strength:g} {EDITS[edit].unit}", list(zip(labels, columns, strict=True)))


def _same_size(images: Tensor, given: Tensor, what: str) -> Tensor:
    if images.shape != given.shape:
        have, want = (f"{shape[3]}×{shape[2]}" for shape in (images.shape, given.shape))
        raise CellFailed(
            f"an image of {want} came {what} as {have}; an editor keeps the size of what it is given"
        )
    return images


def _columns(own: Edited, side: int) -> Iterator[Tensor]:
    shown = [own.given, own.made, own.truth, difference(own.made, own.truth)]
    for image in shown if own.back is None else [*shown, own.back]:
        top, left = ((length - side) // 2 for length in image.shape[2:])
        yield image[..., top : top + side, left : left + side]
