"""A generator out of a Python file: what it calls so, made and ready to be called.

The file is run as Python would import it: its folder goes before all others while it is. Modules that it imports from
there are forgotten afterwards, so that two files in two folders, each with a `models.py` beside it, get their own.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from benchbench.core.errors import InputError, because, exhausted, unknown_name
from benchbench.core.hashing import digest, file_sha256
from benchbench.models.given.loaded import Loaded
from benchbench.models.given.signature import (
    arguments_of,
    called,
    caller,
    latent_sizes,
    modules_of,
)
from benchbench.models.given.where import Where

FACTORY = "make_generator"
"""What is meant in a file where nobody says."""


def load_python(where: Where, arguments: Mapping[str, Any]) -> Loaded:
    """What a file calls so. `InputError` where it has no such thing, or that makes no generator.

    arguments: by name, of the class or function that makes it.
    """
    path = where.path
    with _imported(path) as (module, sources):
        thing = _named(module, where)
        made = _made(thing, arguments, where.title)
        sha256 = _identity(where, {name: file_sha256(source) for name, source in sorted(sources().items())})
    loaded = from_object(made, where.title)
    loaded.sha256 = sha256
    return loaded


def _identity(where: Where, files: Mapping[str, str]) -> str:
    """Of the files, and of what is meant in them: two generators in one file are two. What is meant where nobody says
    is the file's own."""
    return digest(dict(files) if where.function in ("", FACTORY) else [where.function, dict(files)])


def from_object(thing: Any, title: str) -> Loaded:
    """A module or another callable in memory."""
    if isinstance(thing, nn.parallel.DistributedDataParallel | nn.DataParallel):
        thing = thing.module  # its copies and its peers have no part in drawing
    how = called(arguments_of(thing), title)
    net = modules_of(thing)
    notes = []
    if net is None:
        notes.append("its weights are not seen: it is a function of no module, and costs leave them out")
    return Loaded(
        title=title,
        call=caller(thing, how),
        takes=how.takes,
        labels=how.labels,
        net=net,
        sizes=latent_sizes(thing, net),
        notes=notes,
    )


def _named(module: ModuleType, where: Where) -> Any:
    """What the file calls so; `InputError` for what it does not have."""
    own = [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and callable(thing)
        and (getattr(thing, "__module__", None) == module.__name__ or isinstance(thing, nn.Module))
    ]
    name = where.function
    if not name:
        if FACTORY not in own:
            said = f"; name one of its own: {', '.join(own)}" if own else ""
            raise InputError(f"{where.path} has no {FACTORY}{said}; write {where.path}:NAME")
        name = FACTORY
    if not hasattr(module, name):
        raise InputError(f"{where.path}: {unknown_name('generator', name, own)}")
    if not callable(thing := getattr(module, name)):
        raise InputError(f"{name} in {where.path} is a {type(thing).__name__} and cannot be called")
    return thing


def _made(thing: Any, given: Mapping[str, Any], title: str) -> Callable[..., Any]:
    """The generator: of a class an instance, of a function that needs nothing what it returns, else the thing."""
    if isinstance(thing, nn.Module):
        if given:
            raise InputError(f"{title} is made already; leave args.{next(iter(given))} out")
        return thing
    takes = _parameters(thing, title)
    anything = any(one.kind is one.VAR_KEYWORD for one in takes.values())
    if unknown := [name for name in given if name not in takes and not anything]:
        raise InputError(f"{title}: {unknown_name('argument', unknown[0], takes)}")
    missing = [
        name
        for name, one in takes.items()
        if one.default is one.empty
        and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        and name not in given
    ]
    if not isinstance(thing, type) and missing:
        return functools.partial(thing, **given) if given else thing
    if missing:
        raise InputError(
            f"{title} needs {', '.join(missing)}: give them with "
            f"{' '.join(f'--set args.{name}=…' for name in missing)}, or write a function that makes it"
        )
    with _failing(f"{title} cannot be made"):
        made = thing(**given)
    if not callable(made):
        raise InputError(
            f"{title} returns a {type(made).__name__}: a function that needs no arguments is to return the generator, "
            "and one that makes images takes latents"
        )
    generator: Callable[..., Any] = made
    return generator


def _parameters(thing: Any, title: str) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(thing).parameters
    except (TypeError, ValueError) as error:
        raise InputError(f"{title} has no signature that can be read; write a function around it") from error


@contextmanager
def _failing(what: str) -> Iterator[None]:
    """Whatever somebody else's code raises is one sentence."""
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        if exhausted(error) is not None:
            raise
        raise InputError(f"{what}: {because(error)}") from error


@contextmanager
def _imported(path: Path) -> Iterator[tuple[ModuleType, Callable[[], dict[str, Path]]]]:
    """The file as a module while what it imports from its own folder is known to Python, and those sources by name."""
    folder = path.resolve().parent
    name = (
        f"generator_{hashlib.sha256(str(path.resolve()).encode(errors='surrogateescape')).hexdigest()[:16]}"
    )
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = {known.partition(".")[0] for known in sys.modules}

    def own() -> dict[str, Path]:
        return {
            known: source
            for known, source in _sources(folder).items()
            if known.partition(".")[0] not in before
        }

    def sources() -> dict[str, Path]:
        return {path.name: path, **{n: source for n, source in own().items() if n != name}}

    sys.path.insert(0, str(folder))
    sys.modules[name] = module  # dataclasses and pickles look there
    try:
        with _failing(f"{path} cannot be imported"):
            spec.loader.exec_module(module)
        yield module, sources
    finally:
        sys.path.remove(str(folder))
        for known in own():
            if known != name:
                del sys.modules[known]


def _sources(folder: Path) -> dict[str, Path]:
    """Modules that were read from below a folder, but for what is installed there."""
    found = {}
    for name, module in list(sys.modules.items()):
        source = getattr(module, "__file__", None)
        if isinstance(source, str) and source.endswith(".py"):
            path = Path(source)
            if path.is_relative_to(folder) and not {"site-packages", "dist-packages"} & {*path.parts}:
                found[name] = path
    return found
