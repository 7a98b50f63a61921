"""Atomic writes: a reader sees the old file or the whole new one, never half of either.

Pattern: write to a unique temporary name in the same folder, flush and fsync, rename over the target, fsync
the folder. Two processes that write the same name each land a whole file; the last one wins. A killed
process leaves at most a temporary file whose name starts with a dot and ends with `.tmp`.

Scope: single files and single folders on one file system. It is not a lock and not a transaction over
several names.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchbench.core.errors import InputError


def temporary_name(target: Path) -> Path:
    """A name beside `target` that no other writer uses."""
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")


@contextmanager
def atomic_path(target: Path | str) -> Iterator[Path]:
    """Yield a temporary path to write; on success it becomes `target`, on any error it vanishes."""
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(target.parent, error) from error
    temporary = temporary_name(target)
    try:
        yield temporary
        _fsync(temporary)
        os.replace(temporary, target)
        _fsync(target.parent)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write(target: Path | str, content: bytes | str) -> None:
    """Write `content` to `target` atomically; text is UTF-8."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def atomic_folder(target: Path | str) -> Iterator[Path]:
    """Yield a temporary folder to fill; on success it becomes `target`, on any error it vanishes.

    When another process put `target` there first, theirs stays and ours is dropped: callers use this for
    content that is a function of its name.
    """
    target = Path(target)
    temporary = temporary_name(target)
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise cannot_write(target.parent, error) from error
    try:
        yield temporary
        for file in sorted(temporary.rglob("*")):
            _fsync(file)
        _fsync(temporary)
        try:
            os.rename(temporary, target)
        except OSError:
            if not target.is_dir():
                raise
        _fsync(target.parent)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def cannot_write(path: Path, error: OSError) -> InputError:
    """The sentence for a folder or file that cannot be written: no permission, no space, a file in the way."""
    return InputError(
        f"cannot write {path}: {error.strerror or error}; choose another folder or free some space"
    )


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
