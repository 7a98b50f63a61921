"""A process that has imported torch once and forks a child for every cell.

A fresh interpreter takes seconds until it has imported everything; a fork takes hundredths of a second. `main` is that
process, `ForkServer` its client: lines of JSON on its standard input ask for a child or for the end of one, lines on
its standard output say which child has ended and how.

Isolation: a child is a process of its own. What it changes (memory, random generators, threads, files open, the working
directory, modules) is gone with it, a crash is its own, and the server never carries a cell out. What children share is
what the server had before: imported modules, and read-only the data and networks of the cells before, as far as all
code in them is ours. Somebody else's code runs in children only.

Nothing may have used several threads of torch before a fork: the pool of OpenMP does not survive one, and a child that
needs it hangs. So the server has one thread, and children as many as a fresh interpreter would have.

When its standard input closes, whoever asked is gone, and the server ends; a child is killed by the kernel when the
server is no more (PR_SET_PDEATHSIG). So nothing survives, whichever of them is killed.

Scope: Linux, and cells on the CPU: a device that was touched does not survive a fork.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchbench.core.children import python_command, python_environment
from benchbench.core.errors import BenchbenchError, BenchbenchWarning, CellFailed
from benchbench.core.interrupts import terminable

if TYPE_CHECKING:
    from benchbench.runner.executors.job import JobSpec
    from benchbench.runner.plan import Desk

_PR_SET_PDEATHSIG = 1  # of linux/prctl.h
_PIECE = 65536
_USED_LATE = (
    "benchbench.runner.cell",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "scipy.stats",
    "sklearn.cluster",
    "torch._dynamo",  # eight hundred modules, which torch imports with the first operation that is counted
    "torch.utils.flop_counter",
)
"""What is imported where it is used, and children would import one by one."""


class ForkServer:
    """The client of one server.

    Args:
        log: What takes what the server itself says; nothing as long as all is well.
        variables: Of the environment, beside those of this process.
    """

    def __init__(self, log: Path, variables: dict[str, str]) -> None:
        self._log = log
        with log.open("wb") as errors:
            self._server = subprocess.Popen(
                python_command("benchbench.runner.executors.forks"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=python_environment(**variables),
                start_new_session=True,  # Ctrl-C is for whoever asked to pass on
            )
        self._lines = _Lines()
        self._selector = selectors.DefaultSelector()
        assert self._server.stdout is not None
        self._selector.register(self._server.stdout, selectors.EVENT_READ)

    def start(self, number: int, spec: Path, log: Path) -> None:
        """Ask for a child, under a number of the caller's."""
        self._ask({"start": number, "spec": str(spec), "log": str(log)})

    def end(self, number: int) -> None:
        """Ask the child to end (SIGTERM)."""
        self._ask({"end": number})

    def ended(self, seconds: float) -> list[tuple[int, int]] | None:
        """(number, exit code) of the children that have ended; waits up to so many seconds for one. None where the
        server itself is no more, and with it all of its children."""
        assert self._server.stdout is not None
        if not self._selector.select(seconds):
            return []
        piece = os.read(self._server.stdout.fileno(), _PIECE)
        if not piece:
            return None
        return [(said["ended"], said["code"]) for said in self._lines.of(piece)]

    def close(self) -> None:
        """End the server, and with it what is left of its children."""
        self._selector.close()
        for pipe in (self._server.stdin, self._server.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()
        self._server.wait()
        with suppress(OSError):
            if not self._log.stat().st_size:
                self._log.unlink()

    def _ask(self, request: dict[str, Any]) -> None:
        assert self._server.stdin is not None
        with suppress(BrokenPipeError):  # that it is no more, `ended` says
            self._server.stdin.write(json.dumps(request).encode() + b"\n")
            self._server.stdin.flush()


class _Lines:
    """JSON values out of pieces of lines."""

    def __init__(self) -> None:
        self._begun = b""

    def of(self, piece: bytes) -> Iterator[Any]:
        *lines, self._begun = (self._begun + piece).split(b"\n")
        yield from map(json.loads, lines)


def main() -> int:
    """Serve until standard input closes."""
    return _Server().serve()


class _Server:
    def __init__(self) -> None:
        import torch
        from PIL import Image

        for name in _USED_LATE:
            importlib.import_module(name)
        from benchbench.core.runtime import Runtime
        from benchbench.runner.describe import before

        Image.preinit()  # the modules of its formats
        before(Runtime())  # what is looked up once a process: versions of packages, the platform

        self.random, self.threads = torch.get_rng_state(), torch.get_num_threads()
        torch.set_num_threads(1)
        self.pid = os.getpid()
        self.children: dict[int, int] = {}  # process to number
        self.desk: Desk | None = None
        self.warmed: object = None
        self.answers = os.dup(1)
        os.dup2(2, 1)  # what a library prints is no answer
        self.woken, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self.woken, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)  # it must be handled to wake

    def serve(self) -> int:
        lines, selector = _Lines(), selectors.DefaultSelector()
        selector.register(0, selectors.EVENT_READ)
        selector.register(self.woken, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if self.woken in ready:
                with suppress(BlockingIOError):
                    os.read(self.woken, _PIECE)
                self.collect()
            if 0 in ready:
                if not (piece := os.read(0, _PIECE)):
                    return 0
                for request in lines.of(piece):
                    self.answer(request)

    def answer(self, request: dict[str, Any]) -> None:
        if "start" in request:
            self.start(request["start"], Path(request["spec"]), Path(request["log"]))
            return
        for process, number in self.children.items():
            if number == request["end"]:
                os.kill(process, signal.SIGTERM)

    def start(self, number: int, spec: Path, log: Path) -> None:
        from benchbench.runner.executors.job import read_job

        with suppress(BenchbenchError):  # the child finds the same, and says it
            self.warm(read_job(spec))
        gc.freeze()  # what is there now is nobody's garbage, and looking at it would copy it
        with warnings.catch_warnings(
            action="ignore"
        ):  # of threads: NumPy's survive a fork, torch has none here
            child = os.fork()
        if child == 0:
            code = CellFailed.exit_code
            try:
                code = self.child(spec, log)
            except BaseException:
                traceback.print_exc()
            finally:
                for stream in (sys.stdout, sys.stderr):
                    stream.flush()
                os._exit(code)
        self.children[child] = number

    def child(self, spec: Path, log: Path) -> int:
        from benchbench.runner.executors.job import carry_out, read_job, refuse, settle

        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != self.pid:  # it ended before the kernel was told
            return CellFailed.exit_code
        terminable()
        nothing = os.open(os.devnull, os.O_RDONLY)
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for descriptor, stream in ((nothing, 0), (said, 1), (said, 2)):
            os.dup2(descriptor, stream)
        os.close(self.answers)
        self.as_new()
        try:
            job, asked = read_job(spec), spec.stat().st_mtime_ns
            settle(job)
        except BenchbenchError as error:
            refuse(str(error))
            return error.exit_code
        return carry_out(job, self.desk, asked=asked)

    def as_new(self) -> None:
        """Threads and random numbers as a fresh interpreter has them."""
        import numpy as np
        import torch

        torch.set_num_threads(self.threads)
        torch.set_rng_state(self.random)
        np.random.seed()

    def warm(self, job: JobSpec) -> None:
        """Read the data and networks that the job asks for, where nobody else's code has a part in it: its child has
        them at once then, and so have those after it. What cannot be read is the child's to say."""
        from torch import Tensor

        from benchbench.core.registry import only_ours
        from benchbench.core.runtime import Runtime
        from benchbench.data.dataset import Dataset
        from benchbench.runner.executors.job import settle
        from benchbench.runner.plan import Desk, make_plans

        wanted = (job.folder, job.spec.model_copy(update={"seed": 0, "overrides": {}, "name": None}))
        if ":" in job.spec.model or not only_ours() or wanted == self.warmed:
            return
        settle(job)
        self.desk, self.warmed = self.desk or Desk(Runtime()), wanted
        with warnings.catch_warnings(action="ignore", category=BenchbenchWarning), suppress(Exception):
            [plan] = make_plans(job.spec, [job.spec.seed], self.desk)
            split = plan.dataset.held_out if isinstance(plan.dataset, Dataset) else None
            if split is not None and isinstance(split.images, Tensor):
                # What a network compiles for its first images its children need not compile again.
                for extractor in plan.extractors.loaded.values():
                    extractor(split.images[: min(plan.n_samples, extractor.batch_size)])
        data = self.desk.shelf.held
        if not isinstance(data, Dataset) or not all(
            isinstance(split.images, Tensor) for split in (data.train, data.held_out)
        ):
            self.desk.shelf.drop()  # files that are open have one position for all children

    def collect(self) -> None:
        """Say of every child that has ended how."""
        while self.children:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                return
            said = {"ended": self.children.pop(child), "code": os.waitstatus_to_exitcode(status)}
            os.write(self.answers, json.dumps(said).encode() + b"\n")
