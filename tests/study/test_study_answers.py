"""Answers on disk: none lost, none doubled, none that does not fit."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from studies import answer_next, hex_of, make_study, rater

from benchbench.core.errors import InputError, SkippedWarning
from benchbench.study import rater_file as module
from benchbench.study.answers import (
    Answer,
    AnswerRefused,
    answers_of,
    append,
    next_shown,
    rater_of,
    raters,
    read_answers,
)
from benchbench.study.folder import Study
from benchbench.study.rater_file import file_of


def answer_file(study: Study, who: str) -> Path:
    """Where a rater's answers are."""
    return study.folder / "answers" / f"{who}.jsonl"


def test_a_rater_goes_through_everything(tmp_path: Path) -> None:
    """Each item once, in the order in which it is shown; the table has what was answered."""
    study = make_study(tmp_path / "s")
    who = rater(1)
    given_answers = []
    while (answer := answer_next(study, who)) is not None:
        given_answers.append(answer)
    assert len(given_answers) == len(study.manifest.items)
    assert answers_of(study, who) == given_answers
    table = read_answers(study)
    assert list(table.columns) == ["rater", "item", "choice", "shown", "ms", "at"]
    assert table["item"].tolist() == [own.item for own in given_answers]
    assert table["shown"].tolist() == [own.shown for own in given_answers]
    assert set(table["rater"]) == {who}


def test_no_answers_are_an_empty_table(tmp_path: Path) -> None:
    """The same columns, and a study whose answers' folder git did not keep is one without answers."""
    study = make_study(tmp_path / "s")
    assert len(read_answers(study)) == 0
    (study.folder / "answers").rmdir()
    assert list(read_answers(study).columns) == ["rater", "item", "choice", "shown", "ms", "at"]
    assert answer_next(study, rater(1)) is not None


def test_the_file_says_of_which_study_and_which_text(tmp_path: Path) -> None:
    """Its first line, once."""
    study = make_study(tmp_path / "s")
    answer_next(study, rater(1))
    answer_next(study, rater(1))
    lines = answer_file(study, rater(1)).read_text().splitlines()
    assert json.loads(lines[0]) == {"study": study.manifest.id, "consent": study.consent_sha256}
    assert len(lines) == 3


def test_what_does_not_fit_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    """Each reason by its word, and no file of a rater who gave no answer."""
    study = make_study(tmp_path / "s", ties=False)
    who = rater(1)
    due = next_shown(study, who)
    assert due is not None
    other = next(item for item in study.manifest.items if item.id != due.item.id)
    right = Answer(item=due.item.id, choice="0", shown=due.order, ms=1, at="2026-11-29T12:00:00Z")
    changes = {
        "unknown item": {"item": "0" * 16},
        "unknown choice": {"choice": "tie"},
        "not the item shown": {"item": other.id},
        "not the order shown": {"shown": due.order[::-1]},
    }
    for why, change in changes.items():
        with pytest.raises(AnswerRefused) as caught:
            append(study, who, right.model_copy(update=change))
        assert caught.value.why == why
    for nonsense in ((0,), (0, 0), (0, 1, 2)):
        with pytest.raises(AnswerRefused, match="order"):
            append(study, who, right.model_copy(update={"shown": nonsense}))
    assert os.listdir(study.folder / "answers") == []
    append(study, who, right)
    with pytest.raises(AnswerRefused) as caught:
        append(study, who, right)
    assert caught.value.why == "answered before"
    assert len(answers_of(study, who)) == 1


def test_a_token_is_no_path() -> None:
    """32 hexadecimal digits, and the rater does not say the token."""
    token = hex_of("x", 32)
    assert rater_of(token) not in token
    assert rater_of(token) == rater_of(token)
    for nonsense in ("", "../../etc/passwd", token.upper(), token + "0", token[:-1] + "\n", "é" * 32):
        with pytest.raises(AnswerRefused):
            rater_of(nonsense)


def test_a_rater_is_no_path(tmp_path: Path) -> None:
    """Whoever is asked for, no file outside of the folder is looked at."""
    study = make_study(tmp_path / "s")
    for nonsense in ("", "..", "../study", "0" * 15, "0" * 16 + "\n", "G" * 16):
        with pytest.raises(AnswerRefused, match="16 hexadecimal"):
            next_shown(study, nonsense)


@pytest.mark.costly
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_kill_loses_nothing_that_was_taken(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A file cut at any byte behind the answers that were taken reads as these answers, and takes the next one."""
    study = _CUT.setdefault("study", make_study(tmp_path_factory.mktemp("cut") / "s"))
    path = answer_file(study, rater(1))
    path.unlink(missing_ok=True)
    taken = [answer_next(study, rater(1)) for _ in range(data.draw(st.integers(1, 4)))]
    whole = path.stat().st_size
    answer_next(study, rater(1))
    cut = data.draw(st.integers(whole, path.stat().st_size - 1))
    with path.open("r+b") as file:
        file.truncate(cut)
    found = file_of(study, rater(1))
    assert list(found.answers) == taken
    assert found.cut == (cut > whole)
    again = answer_next(study, rater(1))
    assert list(file_of(study, rater(1)).answers) == [*taken, again]


_CUT: dict[str, Study] = {}


def test_a_kill_in_the_first_line_loses_nothing(tmp_path: Path) -> None:
    """Before the first answer was taken nothing was: any beginning of the file is a rater who has not begun."""
    study = make_study(tmp_path / "s")
    answer_next(study, rater(1))
    path = answer_file(study, rater(1))
    content = path.read_bytes()
    first = content.index(b"\n") + 1
    for cut in (0, 1, first - 1, first, first + 1, len(content) - 1):
        path.write_bytes(content[:cut])
        assert file_of(study, rater(1)).answers == ()
        answer_next(study, rater(1))
        assert path.read_bytes().count(b"\n") == 2
        assert len(answers_of(study, rater(1))) == 1


def test_a_line_that_was_cut_off_is_said(tmp_path: Path) -> None:
    """A note, not an error."""
    study = make_study(tmp_path / "s")
    answer_next(study, rater(1))
    with answer_file(study, rater(1)).open("ab") as file:
        file.write(b'{"item":"0')
    with pytest.warns(SkippedWarning, match="cut off"):
        assert len(read_answers(study)) == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "line 2"),
        (b"{}", "line 2 .* says of item"),
        (b"\0" * 40, "line 2"),
        (
            b'{"item":"0000000000000000","choice":"0","shown":[0,1],"ms":1,"at":"2026-11-29T12:00:00Z"}',
            "no item",
        ),
        (b"\xff\xfe", "line 2"),
        (b"[" * 5000, "line 2"),
    ],
)
def test_a_damaged_line_is_named(line: bytes, words: str, tmp_path: Path) -> None:
    """In the middle no kill leaves one: a slip, in a sentence with file and number; nothing is added."""
    study = make_study(tmp_path / "s")
    answer_next(study, rater(1))
    answer_next(study, rater(1))
    path = answer_file(study, rater(1))
    lines = path.read_bytes().split(b"\n")
    lines.insert(1, line)
    path.write_bytes(b"\n".join(lines))
    for call in (lambda: read_answers(study), lambda: answer_next(study, rater(1))):
        with pytest.raises(InputError, match=words) as caught:
            call()
        assert path.name in str(caught.value)


def test_answers_of_another_study_or_twice_are_refused(tmp_path: Path) -> None:
    """A file that was copied, and a line that was."""
    study, other = make_study(tmp_path / "s"), make_study(tmp_path / "t", "triplet")
    answer_next(study, rater(1))
    path = answer_file(study, rater(1))
    (other.folder / "answers" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="another study"):
        read_answers(other)
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[-1])
    with pytest.raises(InputError, match="a second time"):
        read_answers(study)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A link would be written through, a pipe would be waited for."""
    study = make_study(tmp_path / "s")
    path = answer_file(study, rater(1))
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="no regular file"):
        answer_next(study, rater(1))
    assert not (tmp_path / "elsewhere").exists()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InputError, match=r"pipe|regular file"):
        answer_next(study, rater(1))
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match=r"folder|directory"):
        answer_next(study, rater(1))


def test_an_empty_file_is_said(tmp_path: Path) -> None:
    """It may have been emptied; of a rater of whom there is no file nothing is said."""
    study = make_study(tmp_path / "s")
    assert answers_of(study, rater(1)) == []
    path = study.folder / "answers" / f"{rater(1)}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.touch()
    with pytest.warns(SkippedWarning, match=rf"{rater(1)}\.jsonl is empty: .* restore it"):
        assert answers_of(study, rater(1)) == []


def test_a_new_file_is_in_its_folder_before_a_line_stands_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut may take away a file whose folder was not synced, with lines that were: the folder comes first, once
    a rater."""
    study = make_study(tmp_path / "s")
    path = study.folder / "answers" / f"{rater(1)}.jsonl"
    synced: list[tuple[Path, int]] = []
    monkeypatch.setattr(module, "fsync_folder", lambda folder: synced.append((folder, path.stat().st_size)))
    answer_next(study, rater(1))
    answer_next(study, rater(1))
    assert synced == [(path.parent, 0)]


def test_others_files_are_passed_over(tmp_path: Path) -> None:
    """With a note; hidden ones without."""
    study = make_study(tmp_path / "s")
    answer_next(study, rater(1))
    for name in ("notes.txt", ".DS_Store", "ABC.jsonl"):
        (study.folder / "answers" / name).write_text("x")
    with pytest.warns(SkippedWarning, match=r"ABC\.jsonl .*2 such files"):
        assert raters(study) == [rater(1)]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write of which the system takes a part and then no more, for the reason that is said, and an fsync that fails:
    the file is as before, and the answer can be given again. One that takes a part at a time is written to whole."""
    study = make_study(tmp_path / "s")
    answer_next(study, rater(1))
    before = answer_file(study, rater(1)).read_bytes()
    real_write, real_fsync = os.write, os.fsync

    def half(descriptor: int, block: bytes) -> int:
        if not block.startswith(b"{"):
            raise OSError(errno.EFBIG, "File too large")
        return real_write(descriptor, block[: len(block) // 2])

    def bit_by_bit(descriptor: int, block: bytes) -> int:
        return real_write(descriptor, block[:7])

    def failing(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    for name, broken in (("write", half), ("fsync", failing)):
        with monkeypatch.context() as patched:
            patched.setattr(module.os, name, broken)
            with pytest.raises(InputError, match=r"cannot write .*: (File too large|Input/output error)"):
                answer_next(study, rater(1))
        assert answer_file(study, rater(1)).read_bytes() == before
    assert (real_write, real_fsync) == (os.write, os.fsync)
    with monkeypatch.context() as patched:
        patched.setattr(module.os, "write", bit_by_bit)
        assert answer_next(study, rater(1)) is not None
    assert answer_next(study, rater(1)) is not None


def _answers_all(folder: str, who: str) -> None:
    """Another process: answers whatever is due; what somebody else was faster with is refused and asked for anew."""
    from benchbench.study.folder import load

    study = load(folder)
    while True:
        try:
            if answer_next(study, who) is None:
                return
        except AnswerRefused:
            continue


@pytest.mark.costly
@pytest.mark.parametrize("same", [True, False])
def test_processes_at_once_lose_and_double_nothing(same: bool, tmp_path: Path) -> None:
    """Three processes for one rater, or for three: each item is there once a rater, and every line is whole."""
    study = make_study(tmp_path / "s", n=30)
    whom = [rater(1)] * 3 if same else [rater(i) for i in range(3)]
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_answers_all, args=(str(study.folder), who)) for who in whom]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    for who in set(whom):
        assert [own.item for own in answers_of(study, who)] == _in_order(study, who)


def test_threads_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    """As a server's: several tabs of one rater."""
    study = make_study(tmp_path / "s", n=20)
    threads = [threading.Thread(target=_answers_all, args=(str(study.folder), rater(1))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [own.item for own in answers_of(study, rater(1))] == _in_order(study, rater(1))


def _in_order(study: Study, who: str) -> list[str]:
    from benchbench.study.order import presented

    return [shown.item.id for shown in presented(study, who)]


ANSWERS_AND_SAYS = """
import sys
from pathlib import Path
from studies import answer_next
from benchbench.study.folder import load
study = load(sys.argv[1])
print("ready", flush=True)
while (answer := answer_next(study, sys.argv[2])) is not None:
    print(answer.item, flush=True)
"""


@pytest.mark.costly
def test_no_answer_is_lost_where_its_process_is_killed(tmp_path: Path) -> None:
    """Six processes, one after the other, each killed at another moment: what it said was taken is on disk, in the
    order of the rater, and the next one goes on from there."""
    study = make_study(tmp_path / "s", n=120, side=1)
    taken: list[str] = []
    for kill in range(6):
        command = [sys.executable, "-c", ANSWERS_AND_SAYS, str(study.folder), rater(1)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        said = [process.stdout.readline().strip() for _ in range(2 + 3 * kill)]
        process.kill()
        said += process.stdout.read().split()
        process.wait()
        process.stdout.close()
        taken += said
        found = [own.item for own in file_of(study, rater(1)).answers]
        assert found[: len(taken)] == taken
        assert len(found) <= len(taken) + 1  # one may be on disk that nobody was told of
        taken = found
    assert taken == _in_order(study, rater(1))[: len(taken)]
