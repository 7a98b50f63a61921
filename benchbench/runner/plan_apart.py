"""Cells of somebody else's generator, planned in a process apart: whatever its code does there ends no suite.

A plan loads the generator and calls it, and code that was compiled may abort or run into memory that is not its own,
which no `except` sees. So a suite has such cells planned by one process that does nothing else, one request after the
other. Where it ends, the request that it was at has failed, and the next one gets a new process.

Lines of JSON go either way. It ends as soon as its standard input closes.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from benchbench.core.children import python_command, python_environment
from benchbench.core.errors import BenchbenchError, BenchbenchWarning, CellFailed, InputError
from benchbench.core.progress import SILENT, Progress, Stage
from benchbench.runner.executors.executor import ended_by, last_line
from benchbench.runner.spec import CellSpec

if TYPE_CHECKING:
    import torch

    from benchbench.runner.plan import Plan


class Planned(NamedTuple):
    """What a suite has to know of a plan.

    Attributes:
        seed: Of the cell.
        dataset: The dataset's name in the store.
        kept_as: The model's.
        training_key: What its training is kept under; "" of a cell that trains nothing.
        key: That of the cell.
    """

    seed: int
    dataset: str
    kept_as: str
    training_key: str
    key: str

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Of a plan that was made here."""
        trains = plan.training_key if plan.identity["training"] is not None else ""
        return cls(plan.seed, plan.dataset.name, plan.kept_as, trains, plan.key)


class PlannedApart:
    """Who has cells planned by another process, which is started with the first request.

    Args:
        device: Where it computes.
        progress: Who is told what the plans have to say.
        elsewhere: As `runner.plan.Desk` takes it.
    """

    def __init__(self, device: torch.device, progress: Progress, *, elsewhere: bool = False) -> None:
        self._where, self._progress = [str(device), *(["elsewhere"] if elsewhere else [])], progress
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="benchbench-")
        self._log = Path(self._folder.name, "log")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()
        self._folder.cleanup()

    def plan(self, spec: CellSpec, seeds: Sequence[int]) -> list[Planned]:
        """As `make_plans`.

        Raises:
            InputError: The request cannot be carried out.
            CellFailed: The model failed, or ended the process.
        """
        process = self._process or self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        request = {"spec": spec.model_dump(mode="json"), "seeds": list(seeds)}
        with suppress(BrokenPipeError):  # that it is no more, its answer says
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        while line := process.stdout.readline():
            answer = json.loads(line)
            if "note" in answer:
                self._progress.note(answer["note"])
            elif "warning" in answer:
                warnings.warn(answer["warning"], BenchbenchWarning, stacklevel=2)
            elif "refused" in answer:
                raise InputError(answer["refused"])
            elif "failed" in answer:
                raise CellFailed(answer["failed"])
            else:
                return [Planned(*one) for one in answer["planned"]]
        code = process.wait()
        self._end()
        said = last_line(self._log)
        raise CellFailed(
            f"the model {spec.model!r} ended the process that planned it ({ended_by(code)})"
            + (f", which last said: {said}" if said else "")
        )

    def _started(self) -> subprocess.Popen[bytes]:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*python_command("benchbench.runner.plan_apart"), *self._where],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=python_environment(),
                start_new_session=True,  # Ctrl-C is for whoever asked
            )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()  # it has nothing to lose
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()


def main() -> int:
    """Plan what is asked for, until standard input closes."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a generator prints is no answer
    asked: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()

    def tell(**answer: Any) -> None:
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()

    import torch

    from benchbench.core.arrays import default_float32
    from benchbench.core.runtime import Runtime
    from benchbench.runner.plan import Desk, make_plans
    from benchbench.runner.probe import Probes

    runtime = Runtime(torch.device(sys.argv[1]), None, _Notes(tell))
    desk, probes = Desk(runtime, elsewhere="elsewhere" in sys.argv[2:]), Probes()
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, category, *where: (
            tell(warning=str(message)) if issubclass(category, BenchbenchWarning) else None
        )
        while True:
            request = json.loads(asked.get())
            try:
                with default_float32():
                    spec = CellSpec.of(**request["spec"])
                    plans = make_plans(spec, request["seeds"], desk, probes)
            except CellFailed as error:
                tell(failed=str(error))
            except BenchbenchError as error:
                tell(refused=str(error))
            else:
                tell(planned=[Planned.of(plan) for plan in plans])


def _listen(asked: queue.SimpleQueue[bytes]) -> None:
    """Pass on what is asked; end this process when nobody can ask any more, whatever it is doing."""
    with open(0, "rb", closefd=False) as lines:
        for line in lines:
            asked.put(line)
    os._exit(0)


class _Notes:
    """A `Progress` whose notes another process says."""

    def __init__(self, tell: Any) -> None:
        self._tell = tell

    def note(self, text: str) -> None:
        self._tell(note=text)

    def stage(self, title: str, total: int, unit: str, done: int = 0) -> AbstractContextManager[Stage]:
        return SILENT.stage(title, total, unit, done)
