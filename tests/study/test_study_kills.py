"""The server of a study as people start and end it: killed, interrupted, started again. No answer is lost."""

from __future__ import annotations

import http.client
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from answering import PLACE, in_a_browser, stored
from chromium import Chromium
from served import Caller, lines
from studies import make_study

from benchbench.study.answer import rater_of
from benchbench.study.answers import answers_of
from benchbench.study.folder import Study
from benchbench.study.serving.server import Address

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
SERVE = [sys.executable, "-m", "benchbench", "study", "serve"]
PATIENCE = 60


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def started(study: Study, port: int) -> Iterator[subprocess.Popen[str]]:
    """The command on that port, from when browsers may come."""
    with subprocess.Popen(
        [*SERVE, str(study.folder), "--port", str(port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == f"study: http://127.0.0.1:{port}/\n"
            yield process
        finally:
            process.kill()


class Taken(NamedTuple):
    """An answer of which somebody was told that it is kept."""

    token: str
    item: str
    place: int


class Person(threading.Thread):
    """Answers as fast as the server takes it, in order, until it is told to stop; waits while there is no server, and
    begins anew as somebody else at the end."""

    def __init__(self, port: int, seed: int) -> None:
        super().__init__()
        self.caller, self.enough, self.taken = (
            Caller(Address("127.0.0.1", port, True)),
            threading.Event(),
            list[Taken](),
        )
        self._random = random.Random(seed)
        self._token: str | None = None

    def run(self) -> None:
        """Until `enough`."""
        while not self.enough.is_set():
            try:
                self._token = self._token or self.caller.begin()
                self._answer(self._token)
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)  # killed, perhaps with an answer half-way

    def _answer(self, token: str) -> None:
        screen = self.caller.next(token)
        while screen["item"] is not None and not self.enough.is_set():
            place = self._random.randrange(2)
            said = self.caller.answer(token, screen["item"], place)
            if said.status == 200:
                self.taken.append(Taken(token, screen["item"], place))
                screen = said.json
            else:
                assert said.status == 409, said
                screen = self.caller.next(token)
        if screen["item"] is None:
            self._token = None


def killed(study: Study, times: int, seed: int) -> list[Taken]:
    """Three people answer while the server is killed so many times, each time somewhere in the next fifth of a second
    after somebody got an answer through. Returns all of which somebody was told that it is kept."""
    port, chance = free_port(), random.Random(seed)
    people = [Person(port, seed + number) for number in range(3)]
    for person in people:
        person.start()
    try:
        for _ in range(times):
            with started(study, port) as process:
                before, end = sum(len(person.taken) for person in people), time.monotonic() + PATIENCE
                while sum(len(person.taken) for person in people) == before:
                    assert time.monotonic() < end, "nobody gets an answer through"
                    time.sleep(0.005)
                time.sleep(chance.random() / 5)
                process.send_signal(signal.SIGKILL)
                process.wait()
    finally:
        for person in people:
            person.enough.set()
        for person in people:
            person.join(PATIENCE)
    assert not any(person.is_alive() for person in people)
    return [taken for person in people for taken in person.taken]


def check_nothing_lost(study: Study, taken: list[Taken]) -> None:
    """Each answer of which somebody was told is there, as it was given; no item was answered twice by anybody; and
    every file is whole but for a last line that a kill cut off, which is what reading says."""
    held = {rater: {own.item: own for own in answers_of(study, rater)} for rater in lines_of(study)}
    for own in taken:
        answer = held[rater_of(own.token)][own.item]
        assert answer.choice == str(answer.shown[own.place])
    assert len(set(taken)) == len(taken)
    assert sum(map(len, held.values())) >= len(taken)


def lines_of(study: Study) -> list[str]:
    """The raters of whom there is a file."""
    return [file.stem for file in (study.folder / "answers").iterdir()]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the last line of")
def test_no_answer_is_lost_in_fifty_kills(tmp_path: Path) -> None:
    """Whoever got a 200 finds the answer on disk, whenever the server was killed."""
    study = make_study(tmp_path / "s", n=190, checks=10)
    taken = killed(study, 50, seed=20)
    assert len(taken) >= 50
    check_nothing_lost(study, taken)


@pytest.mark.costly
@pytest.mark.filterwarnings("ignore:the last line of")
def test_no_answer_is_lost_in_three_kills(tmp_path: Path) -> None:
    """As the test of fifty, for every day."""
    study = make_study(tmp_path / "s", n=45, checks=5)
    check_nothing_lost(study, killed(study, 3, seed=3))


@pytest.mark.costly
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_ends_when_it_is_told_to(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """While somebody answers and somebody else's connection lies idle: the exit code of the contract, one word on the
    terminal, no traceback, and nothing lost."""
    study, port = make_study(tmp_path / "s", n=45, checks=5), free_port()
    (study.folder / "consent.txt").write_text("Look at pictures.\n")
    person = Person(port, 0)
    with started(study, port) as process, socket.create_connection(("127.0.0.1", port)):
        person.start()
        end = time.monotonic() + PATIENCE
        while len(person.taken) < 5:
            assert time.monotonic() < end
            time.sleep(0.005)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    person.enough.set()
    person.join(PATIENCE)
    assert process.returncode == code, err
    assert out == ""
    ended = {130: "interrupted", 143: "terminated"}[code]
    assert re.fullmatch(rf"Ctrl-C ends it; .*\n\nbenchbench: {ended}\n", err), err
    check_nothing_lost(study, person.taken)


@pytest.mark.costly
def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """One sentence, exit code 2."""
    study = make_study(tmp_path / "s", n=2, checks=0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = subprocess.run(
            [*SERVE, str(study.folder), "--port", str(port)], capture_output=True, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"benchbench: cannot serve on 127.0.0.1 port {port}: Address already in use; give another --port, or --port 0 "
        "for a free one\n"
    )


@pytest.mark.costly
@in_a_browser
def test_a_person_goes_on_after_kills(tmp_path: Path) -> None:
    """Server and browser are killed with signal 9 in the middle: the browser, started again on what it kept, is asked
    the item that was not answered yet and no consent, as the same person. Then the server alone is killed while the
    page is open: it says that the study cannot be reached, and sends its answer when it is there again."""
    study, port = make_study(tmp_path / "s", n=5, checks=1), free_port()
    url, asked = f"http://127.0.0.1:{port}/", "document.querySelector('#choices button:enabled') !== null"
    with started(study, port) as process, Chromium(tmp_path / "profile") as browser:
        browser.open(url)
        browser.wait("document.querySelector('#consent').hidden === false")
        browser.click("#begin")
        for number in (1, 2, 3):
            browser.wait(f"{PLACE} === '{number} of 6' && {asked}")
            time.sleep(0.35)
            if number < 3:
                browser.key("1")
        token = browser.js(f"localStorage.getItem('benchbench-study-{study.manifest.id}')")
        stored(tmp_path / "profile", token)
        process.send_signal(signal.SIGKILL)
        browser.kill()
    before = lines(study)
    assert [len(answers) for answers in before.values()] == [2]
    with Chromium(tmp_path / "profile") as browser:
        with started(study, port):
            browser.open(url)
            browser.wait(f"{PLACE} === '3 of 6' && {asked}")
            assert browser.js("document.querySelector('#consent').hidden")
            time.sleep(0.35)
        browser.key("2")
        browser.wait(
            "document.querySelector('#notice').textContent", lambda text: "cannot be reached" in text
        )
        assert lines(study) == before
        with started(study, port):
            browser.wait(f"{PLACE} === '4 of 6' && {asked}")
            for number in (4, 5, 6):
                time.sleep(0.35)
                browser.key("1")
                browser.wait(
                    f"({PLACE} === '{number + 1} of 6' && {asked}) || !document.querySelector('#end').hidden"
                )
            browser.wait("!document.querySelector('#end').hidden")
    ((rater, answers),) = lines(study).items()
    assert rater == rater_of(token)
    assert [answer["shown"].index(int(answer["choice"])) for answer in answers] == [0, 0, 1, 0, 0, 0]
    assert len({answer["item"] for answer in answers}) == 6
