"""The sentence of a comparison: the verdict of the headline in words, and nothing that the table does not say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchbench.results.claims.verdicts import compare
from benchbench.results.record import Row
from benchbench.results.tables import to_frame
from benchbench.views.answer import answers

MakeRow = Callable[..., Row]
SPREAD = (10.0, 11.0, 12.5, 11.5, 10.25)  # its mean is 11.05


def sentence(make_row: MakeRow, shift: float, seeds: int = 5, scale: float = 1.0, **words: object) -> str:
    """Of two variants of one model, a headline that is `shift` higher (and so worse) in A; scale: of the spread."""
    sides = []
    for variant, add in (("beta=2", shift), ("beta=1", 0.0)):
        values = [10 + scale * (v - 10) + add for v in SPREAD[:seeds]]
        named = {"variant": variant, "headline": True, **words}
        sides.append(
            to_frame(
                [make_row(seed=s, cell=f"{variant}-{s}", value=v, **named) for s, v in enumerate(values)]
            )
        )
    (found,) = answers(compare(*sides))
    return found


def test_each_verdict_has_its_words(make_row: MakeRow) -> None:
    """100 apart with a spread of 1 is a difference; 0 with a spread of 0.1 is shown to be equal to within 10%, which is
    1; 0.9 of few seeds is neither; one seed a side is two sets of images."""
    worse = sentence(make_row, 100.0)
    assert worse.startswith("vae beta=2 is worse than vae beta=1 on digits by fd_efficientnet_lite0: 111.0 ")
    assert "p <0.001, 5 seeds each)." in worse
    assert " is better than " in sentence(make_row, -9.0)
    unsure = sentence(make_row, 0.9, seeds=2)
    assert unsure.startswith("Whether vae beta=2 is better than vae beta=1 on digits by ")
    assert "cannot be said: 11.40 against 10.50" in unsure
    assert "these runs would have shown a worsening of" in unsure
    assert "another seed is another model" in sentence(make_row, 5.0, seeds=1)
    assert "are equal on digits" in sentence(make_row, 0.0, scale=0.1)


def test_landmarks_and_other_numbers_have_none(make_row: MakeRow) -> None:
    """A control is no contestant, and what does not rank gives no answer."""
    frame = to_frame([make_row(seed=s, cell=str(s), value=v, headline=False) for s, v in enumerate(SPREAD)])
    assert answers(compare(frame, frame)) == []


def test_names_move_no_cursor(make_row: MakeRow) -> None:
    """Whatever a record calls its dataset."""
    assert sentence(make_row, 100.0, dataset="a\x1b[2J\nb").isprintable()


@pytest.mark.parametrize("value", [None])
def test_a_failed_headline_is_said(make_row: MakeRow, value: None) -> None:
    """In place of a verdict."""
    rows = [make_row(seed=0, cell="0", value=value, reason="no", headline=True)]
    good = [make_row(seed=s, cell=str(s), value=v, headline=True) for s, v in enumerate(SPREAD)]
    other = [make_row(metric="ssim", aspect="paired", seed=0, cell="0", value=0.5)]
    found = answers(compare(to_frame(rows + other), to_frame(good + other)))
    assert found == ["A and B cannot be compared on digits by fd_efficientnet_lite0: it failed."]
