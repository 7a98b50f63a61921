"""Studies that tests ask about: small, of coloured squares, written by the code that writes real ones."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchbench.study.answers import Answer, append, next_shown, rater_of
from benchbench.study.folder import Study, create_folder
from benchbench.study.kinds import KINDS
from benchbench.study.manifest import DESTROYED, REAL, Item, StudyFacts, System

SECRET = "5" * 64
Make = Callable[..., Path]


def noise(seed: int, n: int, side: int = 8) -> NDArray[np.uint8]:
    """`n` images of noise, uint8 N×side×side×3."""
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """As a file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write_folder(folder: Path, images: NDArray[np.uint8], names: Sequence[str] = ()) -> Path:
    """As PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, own in enumerate(images):
        (folder / (names[i] if names else f"{i}.png")).write_bytes(png(own))
    return folder


def hex_of(text: str, digits: int = 16) -> str:
    """Digits that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def rater(number: int) -> str:
    """The rater of the token that stands for a number."""
    return rater_of(hex_of(f"token {number}", 32))


def items_of(kind: str, systems: int, n: int, checks: int) -> list[Item]:
    """`n` items, systems in turn, and `checks` check items behind them; each image is shown once."""
    asks = KINDS[kind]

    def item(number: int, made_by: Sequence[int], check: str | None) -> Item:
        images = tuple(hex_of(f"image {number} {place}") for place in range(asks.images))
        source = hex_of(f"source {number}") if asks.source else None
        own = hex_of(f"item {number}")
        return Item(id=own, images=images, systems=tuple(made_by), source=source, check=check)

    made = []
    pairs = [(a, b) for a in range(systems) for b in range(systems) if a != b]
    for i in range(n):
        by = {
            "pairwise": pairs[i % len(pairs)] if pairs else (0, 0),
            "closer-to-source": pairs[i % len(pairs)] if pairs else (0, 0),
            "real-or-fake": (REAL if i % 2 else i // 2 % systems,),
            "triplet": tuple(i // 3 % systems if place == i % 3 else REAL for place in range(3)),
        }[kind]
        made.append(item(i, by, None))
    for i in range(checks):
        right = str(i % asks.images) if kind != "real-or-fake" else "fake"
        by = {
            "pairwise": (REAL, DESTROYED) if i % 2 == 0 else (DESTROYED, REAL),
            "closer-to-source": (REAL, REAL),
            "real-or-fake": (DESTROYED,),
            "triplet": tuple(DESTROYED if place == i % 3 else REAL for place in range(3)),
        }[kind]
        made.append(item(n + i, by, right))
    return made


def make_study(
    folder: Path,
    kind: str = "pairwise",
    *,
    systems: int = 3,
    n: int = 12,
    checks: int = 4,
    ties: bool | None = None,
    side: int = 4,
    names: Sequence[str] = (),
) -> Study:
    """A study on disk."""
    facts = StudyFacts(
        id=hex_of(f"study {kind}"),
        kind=kind,
        question=KINDS[kind].question,
        ties=KINDS[kind].ties if ties is None else ties,
        seed=0,
        secret=SECRET,
        systems=tuple(
            System(name=names[i] if names else f"system {i}", cell=hex_of(f"cell {i}"), n=n, source="samples")
            for i in range(systems)
        ),
        reference="digits",
        items=tuple(items_of(kind, systems, n, checks)),
        created="2026-11-29T12:00:00Z",
        benchbench="0.1.0",
    )
    images = (
        (own, np.full((side, side, 3), [int(own[i : i + 2], 16) for i in (0, 2, 4)], np.uint8))
        for own in sorted(facts.image_ids)
    )
    return create_folder(folder, facts, images)


def answer_next(
    study: Study, who: str, place: int | str = 0, at: str = "2026-11-29T12:00:01Z"
) -> Answer | None:
    """Answer what the rater is shown by the image at a place, or by a word; None where nothing is left."""
    shown = next_shown(study, who)
    if shown is None:
        return None
    answer = Answer(item=shown.item.id, choice=shown.choice(place), shown=shown.order, ms=1000, at=at)
    append(study, who, answer)
    return answer
