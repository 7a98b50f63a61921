"""Answers that an exported page hands back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from studies import answer_next, hex_of, make_study, rater

from benchbench.core.errors import InputError
from benchbench.study.answers import answers_of, raters
from benchbench.study.folder import Study
from benchbench.study.handed_in import Imported, import_answers
from benchbench.study.order import in_file_of
from benchbench.study.rater_file import file_of

TOKEN = hex_of("token 1", 32)


def handed_in(of: Study, n: int, token: str = TOKEN, **changes: Any) -> dict[str, Any]:
    """What a page hands back of the first `n` items of the manifest: image 0, wherever it was shown."""
    dealt = {own.item.id: own.order for own in in_file_of(of, token)}
    answers = [
        {
            "item": item.id,
            "place": dealt[item.id].index(0),
            "shown": list(dealt[item.id]),
            "ms": 900 + i,
            "at": "2026-11-29T12:00:00Z",
        }
        for i, item in enumerate(of.manifest.items[:n])
    ]
    return {
        "format": "benchbench-study-answers", "version": 1, "study": of.manifest.id, "token": token,
        "answers": answers,
    } | changes  # fmt: skip


def write(folder: Path, said: object) -> Path:
    """As a file."""
    path = folder / "answers.json"
    path.write_text(json.dumps(said))
    return path


def test_places_become_canonical_choices(tmp_path: Path) -> None:
    """Image 0 was chosen at the left and at the right, so every answer means 0."""
    study = make_study(tmp_path / "s")
    said = handed_in(study, 5)
    assert {own["place"] for own in said["answers"]} == {0, 1}
    assert import_answers(study, write(tmp_path, said)) == Imported(rater(1), 5, 0)
    found = answers_of(study, rater(1))
    assert [own.choice for own in found] == ["0"] * 5
    assert [own.ms for own in found] == [900, 901, 902, 903, 904]


def test_an_order_that_nobody_was_shown_is_refused(tmp_path: Path) -> None:
    """The other way round the same place means the other image; the page of this token shows one order alone."""
    study = make_study(tmp_path / "s")
    said = handed_in(study, 3)
    said["answers"][1]["shown"].reverse()
    with pytest.raises(
        InputError, match="answer 2 that images were shown in an order that the page never shows"
    ):
        import_answers(study, write(tmp_path, said))
    assert raters(study) == []


def test_twice_adds_nothing_and_more_adds_the_rest(tmp_path: Path) -> None:
    """By the contract, and the file of answers does not change where nothing is added."""
    study = make_study(tmp_path / "s")
    path = write(tmp_path, handed_in(study, 3))
    import_answers(study, path)
    before = (study.folder / "answers" / f"{rater(1)}.jsonl").read_bytes()
    assert import_answers(study, path) == Imported(rater(1), 0, 3)
    assert (study.folder / "answers" / f"{rater(1)}.jsonl").read_bytes() == before
    assert import_answers(study, write(tmp_path, handed_in(study, 5))) == Imported(rater(1), 2, 3)
    assert len(answers_of(study, rater(1))) == 5


def test_a_tie_and_a_word_mean_themselves(tmp_path: Path) -> None:
    """`tie` where there are ties, `real` and `fake` where those are asked for."""
    study = make_study(tmp_path / "s")
    said = handed_in(study, 1)
    said["answers"][0]["place"] = "tie"
    import_answers(study, write(tmp_path, said))
    assert answers_of(study, rater(1))[0].choice == "tie"
    one = make_study(tmp_path / "t", "real-or-fake")
    said = handed_in(one, 1)
    said["answers"][0] |= {"place": "fake", "shown": [0]}
    import_answers(one, write(tmp_path, said))
    assert answers_of(one, rater(1))[0].choice == "fake"


def test_the_text_that_was_agreed_to_is_kept(tmp_path: Path) -> None:
    """Where the page says it; where it does not, nobody knows."""
    study = make_study(tmp_path / "s")
    import_answers(study, write(tmp_path, handed_in(study, 1, consent="a" * 64)))
    assert file_of(study, rater(1)).head.consent == "a" * 64  # type: ignore[union-attr]
    import_answers(study, write(tmp_path, handed_in(study, 1, token=hex_of("token 2", 32))))
    assert file_of(study, rater(2)).head.consent is None  # type: ignore[union-attr]


def test_a_file_where_the_answers_belong_is_named(tmp_path: Path) -> None:
    """And not called a want of room."""
    study = make_study(tmp_path / "s")
    (study.folder / "answers").rmdir()
    (study.folder / "answers").write_text("mine")
    with pytest.raises(InputError, match="answers is no folder; take it away"):
        import_answers(study, write(tmp_path, handed_in(study, 2)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "other"}, "no file of answers"),
        ({"version": 2}, "not of version 1"),
        ({"version": True}, "not of version 1"),
        ({"study": "0" * 16}, "answers the study"),
        ({"token": "../../x"}, "names no rater"),
        ({"answers": []}, "says of answers"),
        ({"answers": "all"}, "says of answers"),
        ({"name": "Ada"}, "says of name"),
        ({"consent": "yes"}, "says of consent"),
    ],
)
def test_what_is_no_such_file_is_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    """In one sentence; a name or another datum of a person is refused too."""
    study = make_study(tmp_path / "s")
    with pytest.raises(InputError, match=words):
        import_answers(study, write(tmp_path, handed_in(study, 2) | changes))
    assert raters(study) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"item": "0" * 16}, "no item"),
        ({"item": "../../study"}, "says of item"),
        ({"place": 2}, "no image was shown"),
        ({"place": -1}, "no image was shown"),
        ({"place": True}, "place"),
        ({"place": 1.0}, "place"),
        ({"place": "0"}, "a place is a number"),
        ({"place": "fake"}, "no answer to this question"),
        ({"shown": [0, 0]}, "no order"),
        ({"shown": [0, 5]}, "no order|no image|no answer"),
        ({"shown": []}, "no image was shown"),
        ({"ms": -1}, "ms"),
        ({"ms": 1e999}, "Infinity|beyond"),
        ({"ms": "1"}, "ms"),
        ({"at": "yesterday"}, "says of at"),
        ({"at": "2026-02-31T12:00:00Z"}, "says of at .*no such day"),
        ({"at": "9999-99-99T99:99:99Z"}, "says of at .*no such day"),
        ({"rater": "me"}, "says of answers"),
    ],
)
def test_one_bad_answer_refuses_all(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    """Validated whole: the good answers before it are not added."""
    study = make_study(tmp_path / "s")
    said = handed_in(study, 3)
    said["answers"][2] |= change
    with pytest.raises(InputError, match=words) as caught:
        import_answers(study, write(tmp_path, said))
    assert "answers.json" in str(caught.value)
    assert raters(study) == []


def test_contradictions_are_refused(tmp_path: Path) -> None:
    """One item twice in a file, and another answer than the one that is there."""
    study = make_study(tmp_path / "s")
    said = handed_in(study, 2)
    with pytest.raises(InputError, match="twice"):
        import_answers(study, write(tmp_path, said | {"answers": [said["answers"][0]] * 2}))
    import_answers(study, write(tmp_path, said))
    said["answers"][1]["place"] = 1 - said["answers"][1]["place"]
    with pytest.raises(InputError, match="otherwise"):
        import_answers(study, write(tmp_path, said))
    assert len(answers_of(study, rater(1))) == 2


def test_a_rater_may_go_on_elsewhere(tmp_path: Path) -> None:
    """What was answered offline is not shown again online, and the other way round."""
    study = make_study(tmp_path / "s")
    import_answers(study, write(tmp_path, handed_in(study, len(study.manifest.items) - 1)))
    assert answer_next(study, rater(1)) is not None
    assert answer_next(study, rater(1)) is None


@pytest.mark.parametrize("content", [b"", b"null", b"[1]", b"{", b"\0" * 9, b'{"a":' * 300, b"\xff\xfe{}"])
def test_damaged_files_are_refused(content: bytes, tmp_path: Path) -> None:
    """Whatever became of it."""
    study = make_study(tmp_path / "s")
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json"):
        import_answers(study, tmp_path / "a.json")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A pipe, a folder, nothing."""
    study = make_study(tmp_path / "s")
    os.mkfifo(tmp_path / "pipe")
    for path, words in ((tmp_path / "pipe", "pipe"), (tmp_path, "folder"), (tmp_path / "none", "No such")):
        with pytest.raises(InputError, match=words):
            import_answers(study, path)
