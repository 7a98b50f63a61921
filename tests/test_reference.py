"""The reference of the site is whole: what people write against is on it, with every argument and field.

The set is what docs/reference names after `:::`. The expected names come from the code itself: parameters from
signatures, fields from annotations.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

import benchbench

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "reference").glob("*.md"))
EXTENDING = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


def found(dotted: str) -> Any:
    """The module, class or function of that name."""
    parts = dotted.split(".")
    thing: Any = importlib.import_module(parts[0])
    for i, part in enumerate(parts[1:], start=2):
        thing = getattr(thing, part) if hasattr(thing, part) else importlib.import_module(".".join(parts[:i]))
    return thing


def things() -> Iterator[tuple[str, Any]]:
    """Every class and function of the reference, of a module all public ones that it defines."""
    for page in PAGES:
        for dotted in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
            thing = found(dotted)
            if not isinstance(thing, ModuleType):
                yield dotted, thing
                continue
            for name, own in vars(thing).items():
                defined = inspect.isclass(own) or inspect.isfunction(own)
                if defined and own.__module__ == dotted and not name.startswith("_"):
                    yield f"{dotted}.{name}", own


def members(of: type) -> Iterator[tuple[str, Any]]:
    """What a class defines itself and the site shows, methods as plain functions."""
    for name, own in vars(of).items():
        method = own.__func__ if isinstance(own, classmethod | staticmethod) else own
        shown = not name.startswith("_") or name == "__call__"
        if shown and (inspect.isfunction(method) or isinstance(method, property | cached_property)):
            yield name, method


THINGS = dict(things())
MEMBERS = {
    f"{name}.{member}": method
    for name, thing in THINGS.items()
    if inspect.isclass(thing)
    for member, method in members(thing)
}


def section(text: str | None, title: str) -> list[str]:
    """The names that a section of a Google docstring describes."""
    body = re.search(rf"^{title}:\n((?: +\S.*\n|\n)+)", inspect.cleandoc(text or "") + "\n", re.MULTILINE)
    return re.findall(r"^    (\*{0,2}\w+): \S", body[1], re.MULTILINE) if body else []


def parameters(function: Callable[..., Any]) -> list[str]:
    """What a caller gives, as docstrings write it."""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    asked = inspect.signature(function).parameters.values()
    return [stars.get(one.kind, "") + one.name for one in asked if one.name not in ("self", "cls")]


def faults_of_function(function: Callable[..., Any]) -> list[str]:
    """What the docstring of a function lacks, or says of parameters that there are not."""
    text = inspect.cleandoc(function.__doc__ or "")
    if not text:
        return ["has no docstring"]
    asked, described = parameters(function), section(text, "Args")
    same = re.match(r"As `([\w.]+)`", text)
    if same and not described:
        (other,) = (own for name, own in (THINGS | MEMBERS).items() if name.endswith("." + same[1]))
        return [] if parameters(other) == asked else [f"is not called as {same[1]} is"]
    faults = []
    if asked != described:
        faults.append(f"takes {asked} and describes {described}")
    returns = inspect.signature(function).return_annotation not in (None, "None", inspect.Signature.empty)
    if asked and returns and not re.search(r"^(Returns|Yields):$", text, re.MULTILINE):
        faults.append("does not say what it returns")
    if typed := re.search(r"^(?:Returns|Yields):\n +(.+): ", text, re.MULTILINE):
        faults.append(f"the site would show {typed[1]!r} as the type of what it returns")
    return faults


def faults_of_class(of: type) -> list[str]:
    """Fields and arguments that neither the class nor a base describes, and members without a docstring."""
    if not of.__doc__:
        return ["has no docstring"]
    texts = [base.__doc__ for base in of.__mro__]
    attributes = {name for text in texts for name in section(text, "Attributes")}
    fields = [name for name in vars(of).get("__annotations__", {}) if not name.startswith("_")]
    faults = [f"does not describe the field {name}" for name in fields if name not in attributes]
    start = vars(of).get("__init__")
    written = inspect.isfunction(start) and start.__module__ == of.__module__ and not is_dataclass(of)
    if written and parameters(start) != (described := section(of.__doc__, "Args")):
        faults.append(f"is made from {parameters(start)} and describes {described}")
    for name, own in members(of):
        inherited = any(getattr(base, name, None) for base in of.__mro__[1:])
        if not own.__doc__ and not inherited and name not in attributes and name != "__call__":
            faults.append(f"has {name} without a docstring")
    return faults


@pytest.mark.parametrize("name", sorted(THINGS))
def test_what_the_reference_shows_is_described(name: str) -> None:
    """Every parameter, field and return of it, and of its methods."""
    thing = THINGS[name]
    if not inspect.isclass(thing):
        assert faults_of_function(thing) == []
        return
    assert faults_of_class(thing) == []
    for member, method in members(thing):
        if inspect.isfunction(method) and method.__doc__:
            assert (member, faults_of_function(method)) == (member, [])


def test_nothing_reads_as_html() -> None:
    """Words in angle brackets would be tags on the site, and nobody would see them: they stand in backticks."""
    bare = {name: re.sub(r"`[^`]*`", "", own.__doc__ or "") for name, own in (THINGS | MEMBERS).items()}
    assert [name for name, text in bare.items() if re.search(r"</?\w+>", text)] == []


def test_what_is_missing_is_found() -> None:
    """The checks above see what they are there for."""

    class Half:
        """Half described.

        Attributes:
            told: A number.
        """

        told: int
        untold: ClassVar[int]

        def __init__(self, silent: int) -> None:
            """It takes something."""

        def bare(self) -> None:
            pass

    def half(told: int, untold: int) -> int:  # noqa: D417  which is the fault
        """Half described.

        Args:
            told: A number.
            gone: Is there no more.
        """

    assert faults_of_class(Half) == [
        "does not describe the field untold",
        "is made from ['silent'] and describes []",
        "has bare without a docstring",
    ]
    assert faults_of_function(half) == [
        "takes ['told', 'untold'] and describes ['told', 'gone']",
        "does not say what it returns",
    ]


def test_the_package_is_on_it() -> None:
    """All that `import benchbench` brings."""
    things = {name: getattr(benchbench, name) for name in benchbench.__all__ if name != "__version__"}
    expected = {f"benchbench.{name}" for name, own in things.items() if not inspect.ismodule(own)}
    for module in filter(inspect.ismodule, things.values()):
        own = [
            name
            for name, it in vars(module).items()
            if inspect.isfunction(it) and it.__module__ == module.__name__
        ]
        expected |= {f"{module.__name__}.{name}" for name in own if not name.startswith("_")}
    assert expected <= THINGS.keys()


def test_whatever_extending_names_is_on_it() -> None:
    """The dotted names, imports, classes and calls of docs/extending.md; what its own code defines needs no page."""
    own = set(re.findall(r"^ *class (\w+)", EXTENDING, re.MULTILINE))
    dotted = set(re.findall(r"`(benchbench(?:\.\w+){2,})", EXTENDING))
    dotted |= {
        f"{module}.{name}"
        for module, names in re.findall(r"^from (benchbench\S+) import (.+)$", EXTENDING, re.MULTILINE)
        for name in names.split(", ")
    }
    modules = {thing.__module__ for thing in THINGS.values()}
    assert dotted - THINGS.keys() - modules == set()
    known = {name.rpartition(".")[2] for name in (*THINGS, *MEMBERS)}
    classes = set(re.findall(r"`([A-Z]\w*[a-z]\w*)(?:[.(][^`]*)?`", EXTENDING))
    assert classes - own - known == set()
    texts = "\n".join(own.__doc__ or "" for own in (*THINGS.values(), *MEMBERS.values()))
    calls = set(re.findall(r"`(?:\w+\.)*(\w+)\([^`]*\)`", EXTENDING))
    assert {name for name in calls - known if f"`{name}(" not in texts} == set()
