"""Damaged files of a study: each is read or refused in one sentence, and nothing hangs or grows."""

from __future__ import annotations

import contextlib
import json
import warnings
from pathlib import Path

import pytest
from harness import faults
from mutations import BINARY, COUNT, TEXT, Mutation, mutations
from studies import answer_next, hex_of, make_study, rater

from benchbench.core.hashing import digest
from benchbench.study.answers import read_answers
from benchbench.study.folder import Study, load
from benchbench.study.handed_in import import_answers
from benchbench.study.standing import check_images, standing

pytestmark = [pytest.mark.costly, pytest.mark.usefixtures("every")]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """With three answers of one rater."""
    made = make_study(tmp_path / "s", n=4, side=1)
    for _ in range(3):
        answer_next(made, rater(1))
    return made


def read_study(path: Path) -> None:
    """All that is asked of a study."""
    own = load(path.parent)
    check_images(own)
    standing(own)


def read_sealed(path: Path) -> None:
    """A study.json whose seal fits again, where it is JSON at all."""
    with contextlib.suppress(ValueError, RecursionError, AttributeError):
        said = json.loads(path.read_bytes())
        said["content_sha256"] = digest({name: own for name, own in said.items() if name != "content_sha256"})
        path.write_text(json.dumps(said), encoding="utf-8")
    read_study(path)


def read_rater(path: Path) -> None:
    """A file of answers: what is read fits the study, and the next answer can be given."""
    own = load(path.parents[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for answer in read_answers(own).to_dict("records"):
            assert answer["choice"] in own.manifest.choices
            assert sorted(answer["shown"]) == [0, 1]
            own.item(answer["item"])
    answer_next(own, rater(1))


def read_handed_in(path: Path) -> None:
    """All of it is added, or nothing."""
    own = load(path.parent / "s")
    before = sorted((own.folder / "answers").iterdir())
    try:
        import_answers(own, path)
    finally:
        for file in sorted((own.folder / "answers").iterdir()):
            if file not in before:
                file.unlink()


def damaged(content: bytes, seed: int) -> list[Mutation]:
    """As bytes, and as text."""
    return [*mutations(content, COUNT // 2, seed, BINARY), *mutations(content, COUNT // 2, seed, TEXT)]


@pytest.mark.parametrize("read", [read_study, read_sealed])
def test_manifests(read: object, study: Study) -> None:
    """As the bytes lie there, and under a seal that fits again, for else no damage comes past it."""
    path = study.folder / "study.json"
    assert faults(read, path, damaged(path.read_bytes(), 1)) == []  # type: ignore[arg-type]


def test_answers(study: Study) -> None:
    """Whatever is left of them fits the study."""
    path = study.folder / "answers" / f"{rater(1)}.jsonl"
    assert faults(read_rater, path, damaged(path.read_bytes(), 2)) == []


def test_handed_in(study: Study, tmp_path: Path) -> None:
    """What somebody mails back."""
    answers = [
        {"item": item.id, "place": 1, "shown": [0, 1], "ms": 5, "at": "2026-11-29T12:00:00Z"}
        for item in study.manifest.items[:2]
    ]
    said = {"format": "benchbench-study-answers", "version": 1, "study": study.manifest.id}
    whole = json.dumps({**said, "token": hex_of("x", 32), "answers": answers}).encode()
    assert faults(read_handed_in, tmp_path / "a.json", damaged(whole, 3)) == []
