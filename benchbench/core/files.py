"""Atomic writes: a reader sees the old file or the whole new one, never half of either.

Pattern: write to a unique temporary name in the same folder, flush and fsync, rename over the target, fsync
the folder. Two processes that write the same name each land a whole file; the last one wins. A killed
process leaves at most a temporary file or folder whose name starts with a dot and ends with `.tmp`; it says who made
it, and whoever writes beside it later takes it away (`sweep`).

What is no file is written through and never replaced by one: a link stays and its target is written, a pipe or device
(`core.outlets`) takes the content as it comes.

Scope: single files and single folders on one file system. It is not a lock and not a transaction over
several names.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchbench.core.errors import InputError
from benchbench.core.outlets import is_outlet, landing, opened
from benchbench.core.paths import printable
from benchbench.core.who import born, this_machine

ABANDONED = 7 * 86400
"""Seconds without a change after which something unfinished is nobody's, whichever machine began it."""

_TEMPORARY = re.compile(
    r"\.(?P<target>.+)\.(?:(?P<machine>[0-9a-f]{8})-(?P<pid>\d+)-(?P<born>\d+)-[0-9a-f]{8}|[0-9a-f]{32})\.tmp"
)


def temporary_name(target: Path) -> Path:
    """A name beside `target` that no other writer uses, and that is never too long for a file system. It says which
    process on which machine made it."""
    pid = os.getpid()
    return target.with_name(
        f".{target.name[:32]}.{this_machine()}-{pid}-{born(pid)}-{uuid.uuid4().hex[:8]}.tmp"
    )


def sweep(folder: Path) -> None:
    """Take away what killed writers left in `folder`: temporary files and folders of processes of this machine that are
    no more, and of any machine what nobody has touched for a week. What cannot be removed stays.
    """
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.name.endswith(".tmp")]
    except OSError:
        return
    for name in names:
        if _is_left_over(folder / name):
            _remove(folder / name)


def _is_left_over(path: Path) -> bool:
    """Whether this is a temporary name of ours whose process is no more."""
    said = _TEMPORARY.fullmatch(path.name)
    if said is None:
        return False
    if said["machine"] == this_machine():
        # A process identifier is given out again; with the moment at which the process began it is one process.
        return born(int(said["pid"])) != int(said["born"])
    # Whether a process of another machine lives nobody can see from here.
    return time.time() - last_change(path) > ABANDONED


def last_change(path: Path) -> float:
    """When a file, or anything in a folder, was last written: seconds since the epoch; now for what has just gone."""
    try:
        inside = path.rglob("*") if path.is_dir() else ()
        return max(float(each.lstat().st_mtime) for each in (path, *inside))
    except OSError:
        return time.time()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@contextmanager
def atomic_path(target: Path | str) -> Iterator[Path]:
    """Yield a temporary path to write; on success it becomes `target`, on any error it vanishes."""
    target = Path(target)
    try:
        target = landing(target)
        if is_outlet(target):
            with tempfile.TemporaryDirectory() as folder:
                yield (temporary := Path(folder, "content"))
                with temporary.open("rb") as content, opened(target) as outlet:
                    shutil.copyfileobj(content, outlet)
            return
        _refuse_folder(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent)
        temporary = temporary_name(target)
        try:
            yield temporary
            _fsync(temporary)
            os.replace(temporary, target)
            fsync_folder(target.parent)
        finally:
            with suppress(OSError):  # a read-only file system refuses even to remove what is not there
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(target, error) from error


def atomic_write(target: Path | str, content: bytes | str) -> None:
    """Write `content` to `target` atomically; text is UTF-8."""
    encoded = _encoded(content)
    if not _poured(Path(target), encoded):
        with atomic_path(target) as temporary:
            temporary.write_bytes(encoded)


def create(target: Path, content: str) -> bool:
    """Write a file of people's, which nothing may take from them: whole, and only where nothing has its name. Of two
    writers one writes it. text is UTF-8.

    Returns whether it was written; False where something of that name is there, a dangling link too.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent)
        temporary = temporary_name(target)
        try:
            temporary.write_bytes(_encoded(content))
            _fsync(temporary)
            return _named_once(temporary, target)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(target, error) from error


def _named_once(temporary: Path, target: Path) -> bool:
    """Give a finished file its name unless that is taken."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        try:
            with target.open("xb") as file:
                file.write(temporary.read_bytes())
        except FileExistsError:
            return False
    fsync_folder(target.parent)
    return True


_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def append(target: Path, text: str) -> None:
    """Add `text`, UTF-8, to a file that others write too, as GitHub's step summary is."""
    if _poured(target, _encoded(text)):
        return
    _refuse_folder(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("ab") as file:
            file.write(_encoded(text))
    except OSError as error:
        raise cannot_write(target, error) from error


def _encoded(content: bytes | str) -> bytes:
    return content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content


def _poured(target: Path, content: bytes) -> bool:
    """Whether `target` is no file, and has taken the content then."""
    try:
        target = landing(target)
        if not is_outlet(target):
            return False
        with opened(target) as outlet:
            outlet.write(content)
    except OSError as error:
        raise cannot_write(target, error) from error
    return True


@contextmanager
def atomic_folder(target: Path | str) -> Iterator[Path]:
    """Yield a temporary folder to fill; on success it becomes `target`, on any error it vanishes.

    When another process put `target` there first, theirs stays and ours is dropped: callers use this for
    content that is a function of its name.
    """
    target = Path(target)
    sweep(target.parent)
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
        fsync_folder(target.parent)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_output(target: Path) -> None:
    """`InputError` unless a file can be written there; call it before expensive work. Nothing is made."""
    try:
        target = landing(target)
    except OSError as error:
        raise cannot_write(target, error) from error
    _refuse_folder(target)
    if is_outlet(target):
        return
    folder = next(folder for folder in target.absolute().parents if os.path.lexists(folder))
    if not folder.is_dir():
        raise cannot_write(target, NotADirectoryError(errno.ENOTDIR, f"{folder} is no folder"))
    if not os.access(folder, os.W_OK | os.X_OK):
        code = errno.EROFS if _read_only(folder) else errno.EACCES
        raise cannot_write(target, OSError(code, os.strerror(code)))


def cannot_write(path: Path, error: Exception) -> InputError:
    """The sentence for a folder or file that cannot be written: no permission, no space, a file in the way. error:
    what the system said, or a library in its own words."""
    reason = getattr(error, "strerror", None) or error
    for folder in path.parents:
        if (said := _TEMPORARY.fullmatch(folder.name)) is not None:  # what it will be called says more
            path = folder.with_name(said["target"]) / path.relative_to(folder)
            break
    return InputError(f"cannot write {printable(path)}: {reason}; choose another folder or free some space")


def _refuse_folder(target: Path) -> None:
    if target.is_dir():
        raise InputError(f"{printable(target)} is a folder; name a file to write")


def _read_only(folder: Path) -> bool:
    return bool(hasattr(os, "statvfs") and os.statvfs(folder).f_flag & os.ST_RDONLY)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_NOT_FOR_FOLDERS = (errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOTSUP)


def fsync_folder(folder: Path) -> None:
    """As far as the system lets one: a folder that may be written need not be readable, and network file systems
    cannot all do it. The file is in its place by then."""
    try:
        _fsync(folder)
    except OSError as error:
        if error.errno not in _NOT_FOR_FOLDERS:
            raise
