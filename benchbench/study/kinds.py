"""What a person may be asked about images: one entry a kind of study.

A choice is canonical: it means the place of an image in its item, whatever place the page showed it at.
"""

from __future__ import annotations

from dataclasses import dataclass

TIE, TRUE, FAKE = "tie", "real", "fake"


@dataclass(frozen=True)
class Kind:
    """One kind of question.

    Attributes:
        name: As `--kind` takes it.
        images: How many images an item has, beside the source.
        source: Whether the right answer is shown above them.
        question: What is asked where the study has no words of its own.
        choices: What may be answered, a tie left out: "0" is the first image of the item.
        ties: Whether "tie" may be a choice as well.
    """

    name: str
    images: int
    source: bool
    question: str
    choices: tuple[str, ...]
    ties: bool


KINDS: dict[str, Kind] = {
    own.name: own
    for own in (
        Kind("pairwise", 2, False, "Which of the two looks better?", ("0", "1"), True),
        Kind("real-or-fake", 1, False, "Is this picture real or generated?", (TRUE, FAKE), False),
        Kind("closer-to-source", 2, True, "Which one is closer to the picture above?", ("0", "1"), True),
        Kind("triplet", 3, False, "Which one is not a real picture?", ("0", "1", "2"), False),
    )
}
"""Pairwise comparison (Bradley & Terry 1952; ties as Davidson 1970 has them), real or fake without a limit of time
(HYPE-infinity, Zhou et al. 2019), comparison with a right answer, and forced choice of three, which needs no
criterion of the rater (Macmillan & Creelman 2005, chapter 10)."""
