"""The identity of a model's code: one sha256 over the sources that define it.

Pattern: start at the module of the class, read the import statements of each source (also those inside
functions), and follow the ones that stay in the model's own package; for our own models that is the models
room. What they import from elsewhere (torch, `benchbench.core`) is versioned by its own package. A plugin
that builds on one of our models follows into our models room too.

Trade-off: a changed comment changes the identity. Telling a harmless edit from a harmful one is not worth
one stale number.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from benchbench.core.errors import InputError

OUR_ROOM = "benchbench.models"


def code_hash(model_class: type) -> str:
    """sha256 (hex) over the names and sources, newlines normalised, of the modules behind `model_class`."""
    start = model_class.__module__
    own = OUR_ROOM if _inside(start, OUR_ROOM) else start.split(".")[0]
    sources: dict[str, bytes] = {}
    todo = [start]
    while todo:
        name = todo.pop()
        path = _source_path(name)
        if name in sources or path is None:
            continue
        sources[name] = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        todo += [
            candidate
            for imported in _imports(sources[name], package)
            for candidate in _with_parents(imported)
            if _inside(candidate, own) or _inside(candidate, OUR_ROOM)
        ]
    if not sources:
        raise InputError(f"the source of {model_class.__name__} cannot be found; define it in a module")
    total = hashlib.sha256()
    for name, source in sorted(sources.items()):
        total.update(f"{name}\0{len(source)}\0".encode() + source)
    return total.hexdigest()


def _inside(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def _with_parents(module: str) -> Iterator[str]:
    """a.b.c, a.b, a: importing a module runs the `__init__` of every package above it."""
    while module:
        yield module
        module = module.rpartition(".")[0]


def _imports(source: bytes, package: str) -> Iterator[str]:
    """Every dotted name that an import statement may mean as a module; attributes are among them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            absolute = importlib.util.resolve_name(base, package) if node.level else base
            yield absolute
            yield from (f"{absolute}.{alias.name}" for alias in node.names)


def _source_path(module: str) -> Path | None:
    """The .py file of a module; None for an attribute, an extension module or a namespace package."""
    try:
        found = importlib.util.find_spec(module)
    except (ModuleNotFoundError, ValueError):  # the parent is no package; `__main__` has no spec
        return None
    return Path(found.origin) if found and found.origin and found.origin.endswith(".py") else None
