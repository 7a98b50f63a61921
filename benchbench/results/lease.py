"""Who carries out a cell now: a small file a cell, `ROOT/.leases/KEY`, kept fresh while the work lasts.

Pattern: a lease is a file that only one process can make (`O_EXCL`, which network file systems keep too; nothing here
asks for `flock`). It says which process of which machine holds it, and its time of change is the heartbeat. A process
of this machine is dead when it is no more; one of another machine when its heart has not beaten for `STALE` seconds by
the clock of the file system, which is the same for all machines; a beat from the future is none.

Whoever takes over from a dead holder makes a file that is called after the token of that one, `KEY.TOKEN`: only one
process can, and since no token comes twice, nobody can take over by what he read of a lease that is gone. The holder
is the last of that chain.

Scope: it keeps work from being done twice and nothing else. Were two processes to hold one lease all the same, say
since a machine slept for minutes in between, the store keeps the first cell that lands, as ever.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from platform import node
from typing import Any

from benchbench.core.errors import BenchbenchError
from benchbench.core.files import cannot_write, temporary_name
from benchbench.core.who import born, this_machine

BEAT = 10.0
"""Seconds between heartbeats."""
STALE = 120.0
"""Seconds without one after which the holder on another machine is taken for dead."""
_ATTEMPTS = 100  # to be faster than others, or to follow leases that lead in a circle
_TOKEN = re.compile(r"[0-9a-f]{32}")
_MOST = 4096  # bytes that are read of a lease


@dataclass(frozen=True)
class Holder:
    """Who holds a lease, as its file says.

    Attributes:
        token: What names this one lease; no other one has it.
        host: The name of the machine; "" where the file does not say (it was cut off).
        machine: `core.who.this_machine` of it.
        pid: The process.
        born: `core.who.born` of that process.
        since: When it took the lease, seconds since the epoch by its own clock.
        beat: Its last heartbeat, seconds since the epoch by the clock of the file system.
    """

    token: str
    host: str
    machine: str
    pid: int
    born: int | None
    since: float
    beat: float

    @property
    def words(self) -> str:
        """For people: "process 17 on node3"."""
        return f"process {self.pid} on {self.host}" if self.host else "a process that did not say which"


class Taken(BenchbenchError):
    """Another process carries the cell out.

    Attributes:
        key: That of the cell.
        holder: Which one.
    """

    exit_code = 75  # of sysexits.h: try again later

    def __init__(self, key: str, holder: Holder) -> None:
        super().__init__(f"the cell {key} is being carried out by {holder.words}")
        self.key, self.holder = key, holder

    def __reduce__(self) -> tuple[type[Taken], tuple[str, Holder]]:
        """Ranks hand it each other."""
        return type(self), (self.key, self.holder)


class Leases:
    """The leases of a store.

    Args:
        root: The store's folder; that of leases is made with the first one.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / ".leases"

    @contextmanager
    def held(self, key: str) -> Iterator[None]:
        """Hold the lease inside. `Taken` where another process has it; `InputError` where no file can be made.

        Take it before looking whether the cell is there: what was not there before may have landed since.
        """
        files = self._take(key)
        stop = threading.Event()
        beat = threading.Thread(target=_beat, args=(files[-1], stop), name="heartbeat", daemon=True)
        beat.start()
        try:
            yield
        finally:
            stop.set()
            beat.join()
            self._release(key, files)

    def holder(self, key: str) -> Holder | None:
        """Who carries the cell out now; None where nobody does."""
        chain = self._chain(key)
        return chain[-1] if chain and not self._is_dead(chain[-1]) else None

    def all(self) -> dict[str, Holder]:
        """Who carries out which cell."""
        found = {key: self.holder(key) for key in self._keys()}
        return {key: holder for key, holder in found.items() if holder is not None}

    def tidy(self) -> None:
        """Take away what dead holders left."""
        for key in self._keys():
            with suppress(BenchbenchError):
                self._release(key, self._take(key))
        # Who was killed while he gave a chain up left what hangs on nothing.
        for key in {name.partition(".")[0] for name in self._names() if "." in name} - set(self._keys()):
            for file in self.folder.glob(f"{key}.*"):
                if self._is_dead(_read(file)):
                    file.unlink(missing_ok=True)

    def _keys(self) -> list[str]:
        return [name for name in self._names() if "." not in name]

    def _names(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.folder) if not name.startswith("."))
        except OSError:
            return []

    def _chain(self, key: str) -> list[Holder]:
        """The first holder and who took over from whom."""
        chain: list[Holder] = []
        name = key
        while (holder := _read(self.folder / name)) is not None and holder.token not in {
            h.token for h in chain
        }:
            chain.append(holder)
            name = f"{key}.{holder.token}"
        return chain

    def _take(self, key: str) -> list[Path]:
        """Make the lease ours. Returns the files of the chain, ours the last."""
        for attempt in itertools.count():
            chain = self._chain(key)
            if chain and (attempt == _ATTEMPTS or not self._is_dead(chain[-1])):
                raise Taken(key, chain[-1])
            names = [key, *(f"{key}.{holder.token}" for holder in chain)]
            files = [self.folder / name for name in names]
            token = uuid.uuid4().hex
            if not _made(files[-1], token):
                continue
            # Those before us may have been given up before ours was there; then it hangs on nothing.
            if [holder.token for holder in self._chain(key)] == [*(holder.token for holder in chain), token]:
                return files
            files[-1].unlink(missing_ok=True)
        raise AssertionError("unreachable")

    def _release(self, key: str, files: list[Path]) -> None:
        """Give the lease up, the head of the chain first: what comes after it counts no more then."""
        own = _read(files[-1])
        if own is None or (self.folder / f"{key}.{own.token}").exists():
            return  # it was taken over, and whoever did clears the chain
        for file in files:
            with suppress(OSError):
                file.unlink()

    def _is_dead(self, holder: Holder | None) -> bool:
        if holder is None:
            return True
        if holder.machine == this_machine():
            return born(holder.pid) != holder.born
        # A beat that is still to come is not that of a living heart: a clock was set back, or a copy kept its times.
        return abs(self._now() - holder.beat) > STALE

    def _now(self) -> float:
        """The time by the clock of the file system: machines that share it need not agree on the time."""
        probe = temporary_name(self.folder / "clock")
        try:
            probe.touch()
            return probe.stat().st_mtime
        except OSError:
            return time.time()
        finally:
            with suppress(OSError):
                probe.unlink()


def _beat(file: Path, stop: threading.Event) -> None:
    """Keep the lease fresh until `stop`."""
    while not stop.wait(BEAT):
        with suppress(OSError):  # the next beat may reach it
            os.utime(file)


def _made(file: Path, token: str) -> bool:
    """Make the file of a lease; False where there is one."""
    said = {
        "token": token,
        "host": node(),
        "machine": this_machine(),
        "pid": os.getpid(),
        "born": born(os.getpid()),
        "since": time.time(),
    }
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # a file of that name among them
        raise cannot_write(file, error) from error
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    except OSError as error:
        raise cannot_write(file, error) from error
    try:
        content = json.dumps(said).encode()
        while content:  # a disk that is nearly full takes a part, and refuses the rest
            content = content[os.write(descriptor, content) :]
    except OSError as error:
        file.unlink(missing_ok=True)
        raise cannot_write(file, error) from error
    finally:
        os.close(descriptor)
    return True


def _read(file: Path) -> Holder | None:
    """What a lease says; None where there is none. One that was cut off has a holder all the same, of whom only the
    heartbeat is known."""
    try:
        beat = file.lstat()
        said = _said(file) if file.is_file() else {}
    except OSError:
        return None
    texts = {name: said[name] for name in ("host", "machine") if isinstance(said.get(name), str)}
    numbers = {
        name: said[name]
        for name in ("pid", "born", "since")
        if isinstance(said.get(name), int | float) and abs(said[name]) < 2**62
    }
    token = said.get("token")
    known = isinstance(token, str) and _TOKEN.fullmatch(token) is not None
    return Holder(
        token=str(token) if known else f"{beat.st_mtime_ns:032x}",
        host=texts.get("host", "")[:80],
        machine=texts.get("machine", ""),
        pid=int(numbers.get("pid", 0)),
        born=int(numbers["born"]) if "born" in numbers else None,
        since=float(numbers.get("since", beat.st_mtime)),
        beat=beat.st_mtime,
    )


def _said(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as content:
            said = json.loads(content.read(_MOST))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
