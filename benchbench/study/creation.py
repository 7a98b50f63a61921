"""A study from systems and a reference: what is asked, which items, under which ids."""

from __future__ import annotations

import secrets
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import benchbench
from benchbench.core.bounds import MOST_SEED, MOST_SIDE
from benchbench.core.errors import InputError, listed, unknown_name
from benchbench.core.progress import Progress
from benchbench.core.validation import is_number, shown
from benchbench.results.claims.conditions import full_task
from benchbench.results.provenance import utc_now
from benchbench.study.check_count import SHARE, how_many
from benchbench.study.checks import checks
from benchbench.study.destroyed import destroyed
from benchbench.study.drawing import DRAWING, Drawn, Ref, Table
from benchbench.study.folder import Study, create_folder
from benchbench.study.given import Given
from benchbench.study.image_sets import ImageSet
from benchbench.study.kinds import KINDS
from benchbench.study.manifest import DESTROYED, LONGEST_QUESTION, MOST_ITEMS, REAL, Item, StudyFacts
from benchbench.study.order import drawn

MOST_CHECKED = 0.5


@dataclass(frozen=True)
class Asked:
    """What a study is to be.

    Attributes:
        kind: One of `KINDS`.
        n: Items beside the check items, 1 to `MOST_ITEMS`.
        checks: The share of check items beside them, above 0 and at most `MOST_CHECKED`; four at least.
        question: What raters are asked; None for the kind's own words.
        ties: Whether "tie" may be answered, where the kind has ties.
        seed: Of what is drawn.

    Raises:
        InputError: One of them cannot be.
    """

    kind: str = "pairwise"
    n: int = 200
    checks: float = SHARE
    question: str | None = None
    ties: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("kind of study", str(self.kind), KINDS)
        if type(self.n) is not int or not 1 <= self.n <= MOST_ITEMS:
            raise InputError(f"--n {shown(self.n)} must be a whole number of items from 1 to {MOST_ITEMS:,}")
        if not is_number(self.checks) or not 0 < self.checks <= MOST_CHECKED:
            raise InputError(
                f"--checks {shown(self.checks)} must be a share above 0 and at most {MOST_CHECKED:g}, such as 0.1"
            )
        if type(self.seed) is not int or not 0 <= self.seed <= MOST_SEED:
            raise InputError(f"--seed {shown(self.seed)} must be a whole number from 0 to {MOST_SEED}")
        if type(self.ties) is not bool:
            raise InputError(f"ties={shown(self.ties)} must be True or False")
        said = self.question
        if said is not None and not (isinstance(said, str) and 0 < len(said.strip()) <= LONGEST_QUESTION):
            raise InputError(f"a question has 1 to {LONGEST_QUESTION} characters; {shown(said)} has not")
        if said is not None and any(unicodedata.category(own) in ("Cc", "Cs") for own in said.strip()):
            raise InputError(
                f"the question {shown(said)} is no single line of text; write it without control characters"
            )


def check_systems(asked: Asked, given: Sequence[Given]) -> None:
    """`InputError` where these systems cannot be asked about so."""
    least = 2 if KINDS[asked.kind].ties else 1
    if len(given) < least:
        raise InputError(
            f"a study of the kind {asked.kind} compares {least} systems or more; name another one"
        )
    if len(datasets := sorted({own.system.dataset for own in given} - {""})) > 1:
        raise InputError(
            f"these systems made images of {listed(datasets)}, which nobody can compare; name records of one dataset"
        )
    asked_of = sorted({full_task(own.system.task, own.system.direction) for own in given if own.system.cell})
    if len(asked_of) > 1:
        raise InputError(
            f"these systems were asked for {listed(asked_of)}, which nobody can compare; name records of one task, or "
            "the images alone as NAME=FOLDER"
        )
    for own in given:
        if max(map(max, own.images.sizes)) > MOST_SIDE:
            raise InputError(
                f"an image of {own.system.name} has more than {MOST_SIDE:,} pixels a side; make it smaller"
            )


def create(
    folder: Path, asked: Asked, given: Sequence[Given], name: str, reference: ImageSet, progress: Progress
) -> Study:
    """Draw a study and write it.

    Args:
        folder: Where; nothing is there.
        asked: What it is to be.
        given: The systems, which `check_systems` let pass.
        name: What the reference is called.
        reference: Real images, or right answers.
        progress: Who is told how far it is.

    Returns:
        The study.

    Raises:
        InputError: There are not images enough, they do not belong together, or the folder cannot be written.
    """
    rng = np.random.Generator(np.random.Philox(key=[asked.seed, 2**62]))  # no run's images draw from it
    table = Table([own.system.name for own in given], [own.images for own in given], reference, rng)
    items = list(DRAWING[asked.kind](table, asked.n))
    items += checks(table, asked.kind, how_many(asked.n, asked.checks))
    items = [items[int(i)] for i in rng.permutation(len(items))]
    secret = secrets.token_hex(32)
    ids = {own: _id(secret, "image", k) for k, own in enumerate(_refs(items))}
    kind = KINDS[asked.kind]
    facts = StudyFacts(
        id=secrets.token_hex(8),
        kind=asked.kind,
        question=kind.question if asked.question is None else asked.question.strip(),
        ties=kind.ties and asked.ties,
        seed=asked.seed,
        secret=secret,
        systems=tuple(own.system for own in given),
        reference=name,
        items=tuple(_item(secret, k, own, ids) for k, own in enumerate(items)),
        created=utc_now(),
        benchbench=benchbench.__version__,
        notes=(*(note for own in given for note in own.notes), *_notes(table, items)),
    )
    with progress.stage("write images", len(ids), "image") as stage:

        def images() -> Iterator[tuple[str, NDArray[np.uint8]]]:
            for ref, own in sorted(ids.items(), key=lambda entry: entry[1]):
                yield own, _pixels(table, ref, asked.seed)
                stage.advance()

        return create_folder(folder, facts, images())


def _refs(items: Sequence[Drawn]) -> list[Ref]:
    """Every image that items show, once."""
    return list(dict.fromkeys(ref for own in items for ref in (*own.images, own.source) if ref is not None))


def _id(secret: str, what: str, number: int) -> str:
    return f"{drawn(secret, what, str(number)) >> 64:016x}"


def _item(secret: str, number: int, own: Drawn, ids: dict[Ref, str]) -> Item:
    return Item(
        id=_id(secret, "item", number),
        images=tuple(ids[ref] for ref in own.images),
        systems=tuple(ref.maker for ref in own.images),
        source=None if own.source is None else ids[own.source],
        check=own.check,
    )


def _pixels(table: Table, ref: Ref, seed: int) -> NDArray[np.uint8]:
    if ref.maker >= 0:
        return table.sets[ref.maker].pixels(ref.row)
    pixels = table.reference.pixels(ref.row)
    if ref.maker == REAL:
        return pixels if ref.above is None else pixels[: ref.above[0], : ref.above[1]]
    assert ref.maker == DESTROYED
    return destroyed(pixels, np.random.Generator(np.random.Philox(key=[seed, 2**62 + 1 + ref.version])))


def _notes(table: Table, items: Sequence[Drawn]) -> Iterator[str]:
    """What a reader of the answers should know of how the images were drawn."""
    sizes = [set(own.sizes) for own in table.sets]
    if any(own != sizes[0] for own in sizes):
        yield (
            "images of different systems differ in size ("
            + "; ".join(f"{name}: {_sizes(own)}" for name, own in zip(table.names, sizes, strict=True))
            + "), by which raters can tell them apart"
        )
    shown_beside = {ref.maker for own in items for ref in own.images if own.check is None}
    lossy = {own.lossy for own in table.sets} | ({table.reference.lossy} if REAL in shown_beside else set())
    if len(lossy) > 1:
        yield "some images came out of JPEG files and others did not, by which raters may tell them apart"
    if any(own.source and own.source.above != table.reference.sizes[own.source.row] for own in items):
        yield "sources are cut at the bottom and at the right to the size of what was made of them"
    used = Counter(ref for own in items for ref in own.images)
    for maker, name in enumerate(table.names):
        most = max((times for ref, times in used.items() if ref.maker == maker), default=0)
        if most > 1:
            yield f"{name} has {len(table.sets[maker]):,} images, and some are shown in {most} items"
    beside = Counter(ref for own in items if own.check is None for ref in own.images if ref.maker == REAL)
    if (most := max(beside.values(), default=0)) > 1:
        yield (
            f"the reference has {len(table.reference):,} images, and some are shown in {most} items, by which raters "
            "can know that they are real"
        )
    shown = Counter(ref.maker for own in items if own.check is None for ref in own.images)
    if absent := [name for maker, name in enumerate(table.names) if not shown[maker]]:
        yield f"there are fewer items than pairs of systems, and none shows {listed(absent)}"


def _sizes(sizes: set[tuple[int, int]]) -> str:
    if len(sizes) > 1:
        return f"{len(sizes)} sizes"
    ((height, width),) = sizes
    return f"{width}×{height}"
