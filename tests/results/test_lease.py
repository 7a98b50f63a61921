"""Leases: one holder at a time, whoever dies, wherever it ran."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import threading
import time
from pathlib import Path

import pytest

from benchbench.core.errors import InputError
from benchbench.core.who import born, this_machine
from benchbench.results import lease
from benchbench.results.lease import STALE, Leases, Taken

KEY = "00112233aabbccdd"
FORK = multiprocessing.get_context("fork")


def left_by(root: Path, name: str = KEY, *, age: float = 0.0, **said: object) -> Path:
    """A lease as somebody left it; `age` is that of its last heartbeat."""
    file = root / ".leases" / name
    file.parent.mkdir(exist_ok=True)
    own = {"token": "ab" * 16, "host": "node3", "machine": "01234567", "pid": 17, "born": 5, "since": 0.0}
    file.write_text(json.dumps(own | said))
    os.utime(file, (time.time() - age,) * 2)
    return file


def test_a_lease_is_held_and_given_up(tmp_path: Path) -> None:
    """While one has it no other gets it, and the words say who; afterwards nothing is left, whatever was raised."""
    leases = Leases(tmp_path)
    with leases.held(KEY):
        with (
            pytest.raises(Taken, match=f"{KEY} is being carried out by process {os.getpid()} on "),
            leases.held(KEY),
        ):
            pass
        assert {key: holder.pid for key, holder in leases.all().items()} == {KEY: os.getpid()}
        with leases.held("f" * 16):
            assert len(leases.all()) == 2
    with pytest.raises(ZeroDivisionError), leases.held(KEY):
        _ = 1 / 0
    assert leases.all() == {}
    assert list((tmp_path / ".leases").iterdir()) == []


def test_a_dead_process_of_this_machine_is_followed_at_once(tmp_path: Path) -> None:
    """A child is killed with the lease in its hand: its heart beat a moment ago, and yet nobody waits."""

    def hold() -> None:
        with Leases(tmp_path).held(KEY):
            time.sleep(600)

    child = FORK.Process(target=hold)
    child.start()
    while Leases(tmp_path).holder(KEY) is None:
        time.sleep(0.01)
    with pytest.raises(Taken), Leases(tmp_path).held(KEY):
        pass
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while Leases(tmp_path).holder(KEY) is not None:  # collected or not, it is dead
        assert time.monotonic() < deadline
    with Leases(tmp_path).held(KEY):
        assert Leases(tmp_path).holder(KEY) is not None
    child.join()
    assert list((tmp_path / ".leases").iterdir()) == []


def test_a_process_with_the_number_of_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    """Process identifiers are given out again; when a process began tells them apart."""
    left_by(tmp_path, machine=this_machine(), pid=os.getpid(), born=(born(os.getpid()) or 0) - 1)
    assert Leases(tmp_path).holder(KEY) is None


@pytest.mark.parametrize(
    ("age", "alive"), [(0.0, True), (STALE - 30, True), (STALE + 30, False), (-STALE - 600, False)]
)
def test_another_machine_lives_as_long_as_its_heart_beats(tmp_path: Path, age: float, alive: bool) -> None:
    """Nobody can see its processes from here, so the time of change decides, whatever the process is called. A beat
    from the future (a clock that was set back) is that of nobody who lives: it would be waited for until then."""
    left_by(tmp_path, age=age, pid=os.getpid())
    leases = Leases(tmp_path)
    assert (leases.holder(KEY) is not None) == alive
    if alive:
        with pytest.raises(Taken, match=r"process .* on node3"), leases.held(KEY):
            pass
    else:
        with leases.held(KEY):
            assert leases.holder(KEY).machine == this_machine()  # type: ignore[union-attr]
        assert list((tmp_path / ".leases").iterdir()) == []


def test_the_heart_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of change moves while a lease is held."""
    monkeypatch.setattr(lease, "BEAT", 0.01)
    with Leases(tmp_path).held(KEY):
        file = tmp_path / ".leases" / KEY
        os.utime(file, (0, 0))
        deadline = time.monotonic() + 60
        while file.stat().st_mtime == 0:
            assert time.monotonic() < deadline


def test_who_took_over_by_mistake_keeps_it(tmp_path: Path) -> None:
    """A holder sleeps for longer than anybody waits, another one takes over, the first wakes up and gives up: the
    second still holds the lease, and gives it up whole."""
    leases = Leases(tmp_path)
    first = leases.held(KEY)
    first.__enter__()
    head = tmp_path / ".leases" / KEY
    said = json.loads(head.read_text())
    head.write_text(json.dumps({**said, "machine": "01234567"}))  # as seen from another machine
    os.utime(head, (0, 0))
    with leases.held(KEY):
        first.__exit__(None, None, None)
        assert leases.holder(KEY) is not None
        with pytest.raises(Taken), leases.held(KEY):
            pass
    assert list((tmp_path / ".leases").iterdir()) == []


@pytest.mark.parametrize("dead", [False, True])
def test_many_at_once_and_never_two(tmp_path: Path, dead: bool) -> None:
    """12 threads ask for one lease until each had it twice, that of a dead holder at first or not: never two inside."""
    inside, most, turns = [0], [0], [0]
    guard = threading.Lock()
    if dead:
        left_by(tmp_path, age=STALE + 30)

    def ask() -> None:
        leases, mine = Leases(tmp_path), 0
        while mine < 2:
            try:
                with leases.held(KEY):
                    with guard:
                        inside[0] += 1
                        most[0], turns[0] = max(most[0], inside[0]), turns[0] + 1
                    mine += 1
                    time.sleep(0.0002)
                    with guard:
                        inside[0] -= 1
            except Taken:
                time.sleep(0.0001)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert turns[0] == 24
    assert list((tmp_path / ".leases").iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b'{"token": "../../x"}',
     b'{"pid": 1e999, "since": -Infinity, "born": [], "host": 3}', b"[" * 4000],
)  # fmt: skip
def test_a_lease_that_was_cut_off_or_edited(tmp_path: Path, content: bytes) -> None:
    """Its holder cannot be known: it counts while it is fresh, and is followed when it is old."""
    file = left_by(tmp_path)
    file.write_bytes(content)
    with pytest.raises(Taken, match=r"did not say|node"), Leases(tmp_path).held(KEY):
        pass
    os.utime(file, (0, 0))
    with Leases(tmp_path).held(KEY):
        pass
    assert list((tmp_path / ".leases").iterdir()) == []


def test_leases_that_lead_in_a_circle(tmp_path: Path) -> None:
    """No program of ours writes two with one token; whoever does has no one waiting for ever."""
    left_by(tmp_path, age=STALE + 30)
    left_by(tmp_path, f"{KEY}.{'ab' * 16}", age=STALE + 30)
    assert Leases(tmp_path).holder(KEY) is None
    with pytest.raises(Taken), Leases(tmp_path).held(KEY):
        pass


def test_a_pipe_or_folder_in_the_place_of_a_lease(tmp_path: Path) -> None:
    """Nobody waits for a writer."""
    (tmp_path / ".leases").mkdir()
    os.mkfifo(tmp_path / ".leases" / KEY)
    (tmp_path / ".leases" / ("f" * 16)).mkdir()
    for key in (KEY, "f" * 16):
        with pytest.raises(Taken), Leases(tmp_path).held(key):
            pass


def test_tidying_takes_what_is_nobodys(tmp_path: Path) -> None:
    """Of dead holders, and of what a kill left hanging; a living one stays."""
    left_by(tmp_path, age=STALE + 30)
    left_by(tmp_path, f"{'e' * 16}.{'cd' * 16}", age=STALE + 30)
    left_by(tmp_path, "f" * 16)
    Leases(tmp_path).tidy()
    assert [file.name for file in (tmp_path / ".leases").iterdir()] == ["f" * 16]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """One sentence."""
    (tmp_path / ".leases").write_text("in the way")
    with pytest.raises(InputError, match="cannot write"), Leases(tmp_path).held(KEY):
        pass


def test_a_disk_that_takes_a_part_of_a_lease_is_full(tmp_path: Path) -> None:
    """A file may have 100 bytes here, fewer than a lease has: the system writes these and says so, and refuses what is
    left. One sentence and no lease, instead of trying for ever to hold one that nobody can read."""

    def hold() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            with Leases(tmp_path).held(KEY):
                os._exit(1)
        except InputError as error:
            os._exit(42 if "cannot write" in str(error) else 2)

    child = FORK.Process(target=hold)
    child.start()
    child.join(60)
    try:
        assert child.exitcode == 42
    finally:
        child.kill()
    assert list((tmp_path / ".leases").iterdir()) == []
