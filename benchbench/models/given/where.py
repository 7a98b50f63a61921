"""Where a generator of somebody's lies, as it is written after `--generator`, and what kind of thing lies there.

    gen.py:make_generator      what a Python file calls so: a function, a class or a module
    gen.pt2, gen.ts, gen.onnx  torch.export, TorchScript, ONNX
    diffusers:PATH_OR_REPO     a pipeline of diffusers, in a folder or in the cache of the hub

What a file without such an ending is, its content says. Nothing of it is executed here.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from pathlib import Path
from typing import Literal, NamedTuple

from benchbench.core.errors import InputError
from benchbench.core.paths import as_path
from benchbench.core.reading import kind_of, require_regular

Kind = Literal["python", "export", "torchscript", "onnx", "diffusers"]
ENDINGS: dict[str, Kind] = {".py": "python", ".pt2": "export", ".onnx": "onnx", ".ts": "torchscript"}
PIPELINE = "diffusers"
PROGRAMS: tuple[Kind, ...] = ("export", "torchscript")
"""Files that run what their authors wrote, and say so by no name that somebody asks for."""
LONGEST = 60  # characters of a name

_WRITE = "write FILE.py:FUNCTION, an archive (.pt2, .ts, .onnx) or diffusers:PATH"


class Where(NamedTuple):
    """kind: what lies there. place: its path, of a pipeline also its name on the hub. function: what is meant in a
    Python file; "" where nobody says."""

    kind: Kind
    place: str
    function: str = ""

    @property
    def path(self) -> Path:
        """The place on the disk."""
        return Path(self.place)

    @property
    def title(self) -> str:
        """What sentences call it."""
        if self.kind == "python" and self.function:
            return f"{self.function} in {self.place}"
        return f"the {'pipeline' if self.kind == 'diffusers' else 'generator in'} {self.place}"


def parse(what: str) -> Where:
    """What is meant by the text.

    Args:
        what: As after `--generator`.

    Returns:
        The kind and the place; the place is there, but of a pipeline, which may be one of the hub.

    Raises:
        InputError: Nothing is there, or no generator is.
    """
    head, colon, rest = what.partition(":")
    if colon and head == PIPELINE:
        if not rest:
            raise InputError("diffusers: names no pipeline; write diffusers:PATH or diffusers:OWNER/NAME")
        path = as_path(rest)
        return Where("diffusers", str(path) if kind_of(path) else rest)
    base, function = what, ""
    if not kind_of(as_path(what)) and ":" in what:
        base, _, function = what.rpartition(":")
    path = as_path(base)
    kind = _kind(path)
    if function and kind != "python":
        raise InputError(f"{base} is no Python file, so nothing stands behind a colon; write {base} alone")
    return Where(kind, str(path), function)


def recorded(what: str) -> str:
    """What tables and folders call a generator whose owner gave it no name: "generator-dcgan" for dcgan.py:Generator.

    Args:
        what: As after `--generator`.

    Returns:
        Letters, digits and . _ -; where others were left out, a digest keeps different names apart.
    """
    where = parse(what)
    name = where.path.resolve().name if where.kind == "diffusers" and where.path.exists() else where.path.stem
    own = plain(name)[:LONGEST]
    told = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:8] if own != name else ""
    return "-".join(filter(None, ["generator", own, told]))


def plain(name: str) -> str:
    """A name in letters, digits and . _ -, as folders may be called."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")


def from_folder(what: str, folder: Path) -> str:
    """What `what`, which stands in a file in `folder`, is called from here: paths are meant from that folder."""
    if folder == Path():
        return what
    head, colon, rest = what.partition(":")
    if colon and head == PIPELINE:
        inside = folder / rest
        return f"{PIPELINE}:{inside}" if kind_of(inside) else what
    return str(folder / as_path(what))


def _kind(path: Path) -> Kind:
    found = kind_of(path)
    if not found:
        raise InputError(f"there is no generator {path}; {_WRITE}")
    if found == "a folder":
        raise InputError(f"the generator {path} is a folder; {_WRITE}, as in diffusers:{path}")
    require_regular(path, "the generator")
    if (kind := ENDINGS.get(path.suffix.lower())) is not None:
        return kind
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any(name.endswith("/constants.pkl") for name in names):
            return "torchscript"
        if any(
            name.endswith("archive_format") or name == "serialized_exported_program.json" for name in names
        ):
            return "export"
    if path.suffix.lower() in {".pt", ".pth", ".ckpt", ".bin", ".safetensors"}:
        raise InputError(
            f"{path} holds weights and no generator; name the module that they belong to with --generator "
            f"FILE.py:CLASS, and these with --weights {path}"
        )
    raise InputError(f"{path} is no generator that is known; {_WRITE}")
