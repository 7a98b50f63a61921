"""The side of a section's process: it says rows, how it ended, and writes everything else into a log."""

from __future__ import annotations

import importlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from gpu_sections.carried import use
from gpu_sections.rows import Row, row


@dataclass(frozen=True)
class Settings:
    """What all sections are told.

    device: a name such as "cuda". small: sizes for two cores and a minute. out: the folder of the results. carried:
    what travelled here (`prepare`), None for nothing. site: the folder of unpacked wheels. train: the model whose
    CIFAR-10 recipe is trained, from the checkpoint in `resume` where there is one.
    """

    device: str
    small: bool
    out: Path
    carried: Path | None = None
    site: Path | None = None
    train: str | None = None
    resume: Path | None = None


class SkippedError(Exception):
    """Says why a row, or a whole section, has no number here."""


@dataclass(frozen=True)
class Bench:
    """What a section is given: its settings, when it will be killed, and how it says what it finds."""

    settings: Settings
    end: float  # on the clock of time.monotonic()
    send: Callable[[Row], None]

    @property
    def small(self) -> bool:
        """Whether sizes are for two cores and a minute."""
        return self.settings.small

    def left(self) -> float:
        """Seconds until this section is killed."""
        return self.end - time.monotonic()

    def check(self, name: str, value: float, limit: float, note: str = "") -> None:
        """`value` has to be at most `limit`; what is not a number fails."""
        self.send(row(name, "check", value=float(value), limit=limit, ok=bool(value <= limit), note=note))

    def holds(self, name: str, truth: bool, note: str = "") -> None:
        """A check of what is either so or not."""
        self.check(name, 0.0 if truth else 1.0, 0.0, note)

    def measure(
        self,
        name: str,
        value: float,
        unit: str,
        *,
        target: float | None = None,
        share: float | None = None,
        note: str = "",
    ) -> None:
        """A number that nothing depends on, beside its target. share: of the machine's peak."""
        self.send(row(name, "measure", value=float(value), unit=unit, target=target, share=share, note=note))

    def skip(self, name: str, reason: str) -> None:
        """Why there is no number."""
        self.send(row(name, "skip", note=reason))

    @contextmanager
    def item(self, name: str) -> Iterator[None]:
        """One of several things: what goes wrong inside is a failed row `name`, and the next thing gets its turn."""
        try:
            yield
        except SkippedError as reason:
            self.skip(name, str(reason))
        except Exception as error:
            traceback.print_exc()
            self.send(row(name, "check", ok=False, note=one_line(error)))


def one_line(error: BaseException) -> str:
    """An exception as one short line."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200] if text else 'no details'}"


def main(name: str, run: str, settings: Settings, limit: float, sender: Connection) -> None:
    """Run one section and say how it ended: the last message is (status, reason)."""
    end = time.monotonic() + limit
    with suppress(PermissionError):
        os.setsid()
    _log_to(settings.out / "logs" / f"{name}.log")
    try:
        if settings.site is not None:
            use(settings.site)
        module, function = run.split(":")
        getattr(importlib.import_module(module), function)(Bench(settings, end, sender.send))
    except SkippedError as reason:
        sender.send(("skipped", str(reason)))
    except BaseException as error:
        traceback.print_exc()
        sender.send(("failed", one_line(error)))
    else:
        sender.send(("ok", ""))
    sys.stdout.flush()
    sys.stderr.flush()


def _log_to(path: Path) -> None:
    """All that this process and its children print goes into `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
