"""The identity of a model's code: one sha256 over the definitions that it is made of.

Pattern: start at the class, read the names that its definition mentions, and follow those that stand for a definition
(a function, a class, a value given at the top of a module) in the model's own package or in our models room; and so on
from each of these. What is hashed is the set of their syntax trees, without what changes no number: comments,
docstrings, layout, the types that signatures state, the texts of errors and of `Field(description=…)`, the paper a
class names as its `reference`, and the modules in which the definitions stand. So code can be moved, documented and
typed, and no finished record is orphaned; a changed constant, operation or default is another identity. What
definitions use from elsewhere (torch, `benchbench.core`) is versioned by its own package.

Trade-offs: what is looked up while running (`getattr` with a computed name, `globals()`) is not followed. A local
variable that has the name of a definition counts as a mention of it, which adds a definition too many and never leaves
one out. A definition that nothing mentions does not count, even in the model's own file. Renaming is a change.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from benchbench.core.errors import InputError

OUR_ROOM = "benchbench.models"
_IMPORTS = (ast.Import, ast.ImportFrom)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SILENT = ("ctx=", "kind=", "type_comment=")  # of a node: how it is to be read, and nothing of what it does


@dataclass
class _Module:
    """What a source defines, and what it imports anywhere, by name. rest: statements at its top that do something all
    the same."""

    name: str
    package: str
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, list[str]] = field(default_factory=dict)
    rest: list[ast.stmt] = field(default_factory=list)

    def imported(self, name: str) -> list[str]:
        """The dotted names that `name` may stand for by an import; that of everything counts where no other does."""
        return self.imports.get(name) or [star[:-1] + name for star in self.imports.get("*", ())]


def code_hash(model_class: type) -> str:
    """The identity of a model's code.

    Args:
        model_class: The class of the model.

    Returns:
        sha256 (hex) over the definitions that it is made of.

    Raises:
        InputError: Its source cannot be found.
    """
    start, name = model_class.__module__, model_class.__qualname__.split(".")[0]
    own = OUR_ROOM if _inside(start, OUR_ROOM) else start.split(".")[0]
    _read.cache_clear()  # a source may have changed since somebody asked
    module = _read(start)
    if module is None or name not in module.definitions:
        raise InputError(f"the source of {model_class.__name__} cannot be found; define it in a module")
    done: set[tuple[str, str]] = set()
    todo = [(start, name)]
    trees: set[str] = set()
    while todo:
        where, what = todo.pop()
        module = _read(where)
        if (where, what) in done or module is None:
            continue
        done.add((where, what))
        for statement in [*module.definitions.get(what, []), *module.rest]:
            trees.add(_text(statement))
            todo += _mentioned(statement, module, own)
    return hashlib.sha256("\n".join(sorted(trees)).encode()).hexdigest()


def _mentioned(statement: ast.stmt, module: _Module, own: str) -> Iterator[tuple[str, str]]:
    """(module, name) of every definition within reach that the statement may mean."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Name):
            if node.id in module.definitions:
                yield module.name, node.id
            for target in module.imported(node.id):
                yield from _resolved(target, own)
        elif isinstance(node, ast.Attribute):
            root, path = _chain(node)
            for target in module.imported(root) if root else ():
                yield from _resolved(f"{target}.{path}", own)


def _resolved(dotted: str, own: str, depth: int = 8) -> Iterator[tuple[str, str]]:
    """The definition behind a dotted name, through whatever imports it on the way; nothing for one out of reach."""
    parts = dotted.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        where, what = ".".join(parts[:cut]), parts[cut]
        if not (_inside(where, own) or _inside(where, OUR_ROOM)):
            continue
        if (module := _read(where)) is None:
            continue
        if what in module.definitions:
            yield where, what
        elif depth:
            for target in module.imported(what):
                yield from _resolved(".".join([target, *parts[cut + 1 :]]), own, depth - 1)
        return


def _chain(node: ast.Attribute) -> tuple[str | None, str]:
    """a.b.c as ("a", "b.c"); None for the attribute of anything but a name."""
    path = [node.attr]
    value = node.value
    while isinstance(value, ast.Attribute):
        path.append(value.attr)
        value = value.value
    return (value.id if isinstance(value, ast.Name) else None), ".".join(reversed(path))


@cache
def _read(name: str) -> _Module | None:
    """What the module of that name defines; None for one that has no source."""
    path = _source_path(name)
    if path is None:
        return None
    module = _Module(name, name if path.name == "__init__.py" else name.rpartition(".")[0])
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, _IMPORTS):
            for imported, target in _imported(node, module.package):
                module.imports.setdefault(imported, []).append(target)
    todo = list(tree.body)
    while todo:
        statement = todo.pop(0)
        if isinstance(statement, ast.If | ast.Try):  # whichever way it goes
            handlers = [step for handler in getattr(statement, "handlers", []) for step in handler.body]
            todo = [
                *statement.body,
                *handlers,
                *statement.orelse,
                *getattr(statement, "finalbody", []),
                *todo,
            ]
        elif not isinstance(statement, _IMPORTS) and not _is_text(statement):
            names = _defined(statement)
            bare = _Bare().visit(statement)
            for defined in names:
                module.definitions.setdefault(defined, []).extend([] if bare is None else [bare])
            if not names:
                module.rest.append(bare)
    return module


def _defined(statement: ast.stmt) -> list[str]:
    """The names that a statement at the top of a module gives a meaning to."""
    if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
        return [statement.name]
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        targets = [statement.target]
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]


def _imported(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, str]]:
    """The names that an import binds, each with the dotted name that it stands for."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.split(".")[0]
            yield (alias.asname, alias.name) if alias.asname else (top, top)
        return
    base = "." * node.level + (node.module or "")
    absolute = importlib.util.resolve_name(base, package) if node.level else base
    for alias in node.names:
        yield alias.asname or alias.name, f"{absolute}.{alias.name}"


class _Bare(ast.NodeTransformer):
    """Takes out of a syntax tree what says nothing of numbers (module docstring)."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = _kept(body)  # type: ignore[attr-defined]
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        """A variable with a type; of a class it is a field, whose type decides what is taken (`visit_ClassDef`)."""
        self.generic_visit(node)
        return None if node.value is None else ast.Assign([node.target], node.value)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        fields = [statement for statement in node.body if isinstance(statement, ast.AnnAssign)]
        stated = {id(statement): statement.annotation for statement in fields}
        body: list[ast.stmt] = []
        for statement in node.body:
            if _defined(statement) == ["reference"]:
                continue
            if id(statement) in stated:
                super().generic_visit(statement)
                body.append(statement)
            elif (kept := self.visit(statement)) is not None:
                body.append(kept)
        node.body = []
        self.generic_visit(node)
        node.body = _kept(body)
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """Which error, and not its words."""
        return ast.Raise(node.exc.func) if isinstance(node.exc, ast.Call) else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "Field":
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "description"]
        return self.generic_visit(node)


def _text(node: object) -> str:
    """A syntax tree as text, the same under every version of Python."""
    if isinstance(node, list):
        return "[" + ",".join(map(_text, node)) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = (f"{name}={_text(value)}" for name, value in ast.iter_fields(node) if value not in (None, []))
    return f"{type(node).__name__}({','.join(part for part in fields if not part.startswith(_SILENT))})"


def _kept(body: list[ast.stmt]) -> list[ast.stmt]:
    """A body without its texts and imports, which say where a thing stands and not what it is."""
    return [step for step in body if not _is_text(step) and not isinstance(step, _IMPORTS)] or [ast.Pass()]


def _is_text(node: object) -> bool:
    """A string that stands alone: a docstring or a remark."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _inside(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def _source_path(module: str) -> Path | None:
    """The .py file of a module; None for an attribute, an extension module or a namespace package."""
    try:
        found = importlib.util.find_spec(module)
    except (
        ModuleNotFoundError,
        ValueError,
        AttributeError,
    ):  # the parent is no package; `__main__` has no spec
        return None
    return Path(found.origin) if found and found.origin and found.origin.endswith(".py") else None
