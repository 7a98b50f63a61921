"""Checkpoints: all that the loop needs to go on as if it had never stopped.

`checkpoint.pt` is replaced atomically and the one before is kept as `checkpoint.before.pt`, so a kill leaves one of
them whole. A file ends with the sha256 of what comes before: whatever a disk or a hand did to it is seen, the file
is set aside as `checkpoint.pt.damaged`, and training goes on from the one before or from the start. It is read with
`weights_only=True`, so a planted file cannot run code. It remembers what it was made for, the `identity`, and
refuses to go on as something else.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_path, cannot_write
from benchbench.core.hashing import canonical_json
from benchbench.core.progress import Progress

FILE = "checkpoint.pt"
BEFORE = "checkpoint.before.pt"
FORMAT = 2  # raised whenever the state has other parts
_MISSING = "nothing"
_SEAL = b"\nsha256 "  # and 64 hexadecimal digits, behind the archive
_SEAL_BYTES = len(_SEAL) + 64


class Checkpoints(NamedTuple):
    """Where a training is kept, and what it is a training of.

    folder: where `checkpoint.pt` lives. identity: JSON-able facts that must not change between sittings (model,
    hyper-parameters, data fingerprint).
    """

    folder: Path
    identity: Mapping[str, Any]

    def of(self, facts: Mapping[str, Any]) -> Checkpoints:
        """The same with further facts."""
        return self._replace(identity={**self.identity, **facts})


class DamagedCheckpointError(Exception):
    """A checkpoint that cannot be gone on from. Its text says why, as the end of a sentence."""


def has_checkpoint(workdir: Path) -> bool:
    """Whether there is something to go on from."""
    return any((workdir / name).is_file() for name in (FILE, BEFORE))


def save_checkpoint(workdir: Path, identity: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Write `state` (tensors, numbers, text and containers of them) for `identity` (JSON-able).

    Raises `InputError` where it cannot be written, for want of space for instance; those that were there stay.
    """
    written_again(lambda: _save(workdir, identity, state))


def written_again(write: Callable[[], None]) -> None:
    """Write, once more where the folder went away meanwhile: another process with the same training was done first, and
    cleared it."""
    try:
        write()
    except InputError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        write()


def _save(workdir: Path, identity: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    with atomic_path(workdir / FILE) as temporary:
        with open(temporary, "wb") as file:
            sealed = _Sealed(file)
            try:
                torch.save({"identity": _canonical(identity), "state": dict(state)}, sealed)  # type: ignore[arg-type]
            except RuntimeError as error:  # what torch makes of a file that cannot be written
                raise sealed.failure or error from error
            file.write(_SEAL + sealed.digest.hexdigest().encode())
        if (workdir / FILE).exists():
            os.replace(workdir / FILE, workdir / BEFORE)


def resume(
    checkpoints: Checkpoints, restore: Callable[[Mapping[str, Any]], None], progress: Progress
) -> Path | None:
    """Go on from the newest checkpoint that is whole.

    restore: takes the state, its tensors on the CPU; raises `DamagedCheckpointError` for one with parts that are not
    there, are unknown or do not fit, and then has changed nothing.

    Returns the file; None where there is none to go on from. Raises `InputError` for one made with another identity,
    naming each setting that differs.
    """
    there = [path for name in (FILE, BEFORE) if (path := checkpoints.folder / name).exists()]
    for path in there:
        try:
            restore(load_checkpoint(path, checkpoints.identity))
        except DamagedCheckpointError as error:
            aside = path.with_name(f"{path.name}.damaged")
            try:
                os.replace(path, aside)
            except OSError as fault:
                raise cannot_write(aside, fault) from fault
            progress.note(f"the checkpoint {path} {error}; it is set aside as {aside.name}")
            continue
        return path
    if there:
        progress.note("no other checkpoint is left: training begins anew")
    return None


def load_checkpoint(path: Path, identity: Mapping[str, Any]) -> dict[str, Any]:
    """The state saved in `path`, on the CPU.

    Raises `DamagedCheckpointError` for a file that is not what was written, and `InputError` for one made with another
    identity, naming each setting that differs.
    """
    try:
        _check_seal(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        before, state = json.loads(content["identity"]), dict(content["state"])
    except DamagedCheckpointError:
        raise
    except OSError as error:
        raise InputError(f"cannot read the checkpoint {path}: {error.strerror or error}") from error
    except Exception as error:  # a damaged archive raises whatever the unpacking meets first
        raise DamagedCheckpointError("is damaged and cannot be read") from error
    # Through JSON, as the saved one went: a tuple and a list are the same setting.
    if changes := _differences(before, json.loads(_canonical(identity))):
        old = ", ".join(f"{key}={was}" for key, (was, _) in changes.items())
        new = ", ".join(f"{key}={now}" for key, (_, now) in changes.items())
        raise InputError(
            f"the checkpoint in {path.parent} was made with {old}, now {new}; remove it to train from the start, "
            f"or use the old {'value' if len(changes) == 1 else 'values'}"
        )
    return state


class _Sealed:
    """A file that is written to, and the sha256 of what was written. Only what `torch.save` asks of a file; through a
    Python file, since one that torch opens itself says nothing of a full disk."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.digest = file, hashlib.sha256()
        self.failure: OSError | None = None

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        try:
            return self.file.write(data)
        except OSError as error:
            self.failure = error
            raise

    def flush(self) -> None:
        self.file.flush()


def _check_seal(path: Path) -> None:
    """`DamagedCheckpointError` unless the file is, to the last bit, what was written."""
    if not path.is_file():
        raise DamagedCheckpointError("is no regular file")
    left = path.stat().st_size - _SEAL_BYTES
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while left > 0:
            piece = file.read(min(left, 2**20))
            digest.update(piece)
            left -= len(piece) or left
        seal = file.read()
    if not seal.startswith(_SEAL):
        raise DamagedCheckpointError("is damaged: it was cut off, or is of a version that wrote no checksum")
    if seal != _SEAL + digest.hexdigest().encode():
        raise DamagedCheckpointError("is damaged: it is not what was written (its sha256 differs)")


def _canonical(identity: Mapping[str, Any]) -> str:
    return canonical_json({"checkpoint_format": FORMAT, **identity})


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Setting to (then, now), for settings that differ; nested settings go by their last name."""
    changes: dict[str, tuple[str, str]] = {}
    for key in sorted({*before, *now}):
        was, is_ = before.get(key, _MISSING), now.get(key, _MISSING)
        if isinstance(was, dict) and isinstance(is_, dict):
            changes |= _differences(was, is_)
        elif was != is_:
            changes[key] = (str(was), str(is_))
    return changes
