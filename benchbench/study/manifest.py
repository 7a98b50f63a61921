"""What `study.json` says, as types: whose images a study shows, in which items, and how they are answered.

No browser ever gets it: it holds the names of the systems, the right answers of the check items and the secret by
which raters are dealt their order.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from benchbench.core.bounds import MOST_SEED, MOST_SIDE
from benchbench.core.hashing import digest
from benchbench.results.record import LARGEST_INTEGER
from benchbench.study.kinds import KINDS, TIE, Kind

SCHEMA = 1
"""Of study.json; another one is not read."""
REAL, DESTROYED = -1, -2
"""In the place of a system: an image of the reference, and one that was destroyed beyond doubt."""
MOST_ITEMS, MOST_CHECKS, MOST_SYSTEMS = 10_000, 5_000, 100
"""Nobody answers so many; the items and images of a study are all in one folder and in memory."""
LONGEST_QUESTION = 300

Digits16 = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Digits64 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class System(_Part):
    """Somebody or something that made images.

    Attributes:
        name: What tables call it.
        cell: The key of its record; "" for images that a folder brought.
        model: As rows have it; "" for a folder's.
        dataset: As rows have it.
        task: Whose images they are.
        direction: Of a translation, else "".
        variant: As rows have it.
        seed: Of the run; None for a folder's.
        n: How many images were there to draw from.
        source: Which artefact of the record they come from, or "folder".
    """

    name: Annotated[str, Field(min_length=1, max_length=200)]
    cell: str = ""
    model: str = ""
    dataset: str = ""
    task: str = ""
    direction: str = ""
    variant: str = ""
    seed: Count | None = None
    n: Count
    source: str


class Item(_Part):
    """One question.

    Attributes:
        id: 16 hexadecimal digits.
        images: The ids of its images, in canonical order, which is random too.
        systems: Who made each: an index into `StudyManifest.systems`, `REAL` or `DESTROYED`.
        source: The id of the right answer that is shown above them; None where the kind has none.
        check: The right canonical choice of a check item; None for an item of which nobody knows one.
    """

    id: Digits16
    images: tuple[Digits16, ...]
    systems: tuple[Annotated[int, Field(ge=DESTROYED)], ...]
    source: Digits16 | None = None
    check: str | None = None


class Picture(_Part):
    """An image of a study.

    Attributes:
        sha256: Of its PNG file.
        width: In pixels.
        height: In pixels.
    """

    sha256: Digits64
    width: Annotated[int, Field(ge=1, le=MOST_SIDE)]
    height: Annotated[int, Field(ge=1, le=MOST_SIDE)]


class StudyFacts(_Part):
    """What a study is before its images are written.

    Attributes:
        schema_version: `SCHEMA`.
        id: Of the study, 16 hexadecimal digits.
        kind: One of `KINDS`.
        question: What raters are asked.
        ties: Whether "tie" may be answered.
        seed: By which images and items were drawn.
        secret: 64 hexadecimal digits, by which ids were made and raters are dealt their order.
        systems: Whose images they are.
        reference: The dataset of real images and right answers.
        items: All of them, check items among them.
        created: When, UTC.
        benchbench: The version.
        pass_checks: The share of check items that a careful rater answers rightly; who counts, `study.raters` decides
            by it.
        notes: What a reader of the numbers should know.
    """

    schema_version: Literal[1] = 1
    id: Digits16
    kind: str
    question: Annotated[str, Field(min_length=1, max_length=LONGEST_QUESTION)]
    ties: bool
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)]
    secret: Digits64
    systems: tuple[System, ...]
    reference: str
    items: Annotated[tuple[Item, ...], Field(min_length=1, max_length=MOST_ITEMS + MOST_CHECKS)]
    created: str
    benchbench: str
    pass_checks: Annotated[float, Field(ge=0, le=1)] = 0.9
    notes: tuple[str, ...] = ()

    @property
    def asks(self) -> Kind:
        """The kind of question."""
        return KINDS[self.kind]

    @property
    def choices(self) -> tuple[str, ...]:
        """What may be answered, canonically."""
        return (*self.asks.choices, TIE) if self.ties else self.asks.choices

    @property
    def image_ids(self) -> frozenset[str]:
        """The ids of all images that items show."""
        return frozenset(own for item in self.items for own in (*item.images, item.source) if own is not None)

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind[:40]!r} is no kind of study, which are {', '.join(KINDS)}")
        if self.ties and not self.asks.ties:
            raise ValueError(f"a study of the kind {self.kind} has no ties")
        if len({item.id for item in self.items}) < len(self.items):
            raise ValueError("two items have one id")
        for item in self.items:
            if (fault := self._fault_of(item)) is not None:
                raise ValueError(f"the item {item.id} {fault}")
        return self

    def _fault_of(self, item: Item) -> str | None:
        if len(item.images) != self.asks.images or len(item.systems) != self.asks.images:
            return f"has not {self.asks.images} images, as {self.kind} has"
        if (item.source is not None) != self.asks.source:
            return f"{'lacks a source' if self.asks.source else 'has a source'}, unlike {self.kind}"
        if max(item.systems) >= len(self.systems):
            return "names a system that the study does not have"
        if item.check is not None and item.check not in self.asks.choices:
            return f"has the right answer {item.check[:20]!r}, which nobody can give"
        return None


class StudyManifest(StudyFacts):
    """A whole `study.json`.

    Attributes:
        images: Of each image of the study its file's sha256 and its size, by id.
        content_sha256: Of all the rest as canonical JSON: an edit is seen; it is no signature.
    """

    images: dict[Digits16, Picture]
    content_sha256: Digits64

    @classmethod
    def seal(cls, facts: StudyFacts, images: dict[str, Picture]) -> Self:
        """Put the images and the seal to the facts.

        Args:
            facts: What the study is.
            images: All that its items show, by id.

        Returns:
            What is written to study.json.

        Raises:
            ValueError: An item shows another image, or one is shown by none.
        """
        said: dict[str, Any] = {**dict(facts), "images": images}
        content = StudyFacts.model_dump(facts, mode="json") | {
            "images": {own: picture.model_dump(mode="json") for own, picture in images.items()}
        }
        return cls(**said, content_sha256=digest(content))

    @property
    def is_sealed(self) -> bool:
        """Whether it says what it said when it was sealed."""
        return self.content_sha256 == digest(self.model_dump(mode="json", exclude={"content_sha256"}))

    @model_validator(mode="after")
    def _images_of_items(self) -> Self:
        if self.images.keys() != self.image_ids:
            raise ValueError("the images that items show and those that the study has differ")
        return self
