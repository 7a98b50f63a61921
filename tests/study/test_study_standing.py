"""Who has answered how much of a study."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from studies import answer_next, hex_of, make_study, rater

from benchbench.study import import_answers, status
from benchbench.study.order import presented
from benchbench.views.raters import raters_headline


def test_a_line_a_rater(tmp_path: Path) -> None:
    """One who answers check items rightly, one who never does, one who has just begun."""
    study = make_study(tmp_path / "s", n=6, checks=4)
    for number, right in ((1, True), (2, False)):
        for shown in presented(study, rater(number)):
            correct = 0 if shown.item.check is None else shown.order.index(int(shown.item.check))
            answer_next(study, rater(number), correct if right else 1 - correct)
    answer_next(study, rater(3))
    found = status(study.folder).set_index("rater")
    assert found.loc[rater(1), ["answered", "items", "checks_right", "checks"]].tolist() == [10, 10, 4, 4]
    assert found.loc[rater(2), ["checks_right", "checks"]].tolist() == [0, 4]
    assert found.loc[rater(3), ["answered", "median_seconds"]].tolist() == [1, 1.0]
    assert set(found["consent"]) == {"this text"}
    assert raters_headline(found) == "21 answers of 3 raters, 2 of whom answered everything"


def test_a_consent_text_that_was_edited_is_said(tmp_path: Path) -> None:
    """Who began before agreed to another text; who begins afterwards to this one; a page may not have said."""
    study = make_study(tmp_path / "s", n=4)
    answer_next(study, rater(1))
    (study.folder / "consent.txt").write_text("Another text.")
    answer_next(study, rater(1))
    answer_next(study, rater(2))
    item = study.manifest.items[0]
    answer = {"item": item.id, "place": 0, "shown": [0, 1], "ms": 5, "at": "2026-11-29T12:00:00Z"}
    said = {
        "format": "benchbench-study-answers", "version": 1, "study": study.manifest.id,
        "token": hex_of("token 3", 32), "answers": [answer],
    }  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(said))
    assert [own.added for own in import_answers(study.folder, tmp_path / "a.json")] == [1]
    found = status(study.folder).set_index("rater")["consent"]
    assert [found[rater(i)] for i in (1, 2, 3)] == ["another text", "this text", "not said"]
    assert raters_headline(status(study.folder)).endswith(
        "1 agreed to another text than consent.txt holds now"
    )


@pytest.mark.parametrize("content", [b"", b"{}\n", b"x" * 50])
def test_a_damaged_file_of_answers_is_named(content: bytes, tmp_path: Path) -> None:
    """An empty one, and one that was cut off in its first line, are those of raters who have not begun."""
    study = make_study(tmp_path / "s", n=4)
    (study.folder / "answers" / f"{rater(1)}.jsonl").write_bytes(content)
    if content.endswith(b"\n"):
        with pytest.raises(Exception, match=rater(1)):
            status(study.folder)
    else:
        with pytest.warns(match="cut off" if content else "is empty"):
            assert status(study.folder)["answered"].tolist() == [0]
