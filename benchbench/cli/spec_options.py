"""The options of a verb that asks for something, made from the fields of its request (`runner.spec`).

Pattern: they are made when the verb's own options are asked for, so that `benchbench --help` imports none of it. What
the verb declares itself is not made: an argument, or an option that means something else there.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import click

from benchbench.cli.answers import ANSWERS
from benchbench.cli.options import Location
from benchbench.core.errors import InputError

if typing.TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from benchbench.runner.spec import Spec

FIRST = ("model", "generator")  # what everything else is about stands at the top of a help page
_NAMES = {
    "model": "NAME",
    "dataset": "NAME|PATH",
    "reference": "NAME|PATH",
    "metrics": "NAME,…",
    "extractors": "NAME,…",
    "extractor": "NAME",
    "task": "NAME",
    "name": "LABEL",
}
_OTHERWISE = {"overrides": "--set", "extractors": "--extractor", "task_options": "--task-option"}


class SpecCommand(click.Command):
    """A verb whose function takes the fields of a request as well, beside what it declares itself.

    spec: the name of the request's class in `runner.spec`.
    """

    def __init__(self, *args: Any, spec: str, **words: Any) -> None:
        super().__init__(*args, **words)
        self.spec = spec

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The options made from the spec, then the verb's own."""
        own = super().get_params(ctx)
        declared = {parameter.name for parameter in own}
        made = [option for option in spec_options(self.spec) if option.name not in declared]
        short = _short_options() if any(option.name == "task_options" for option in made) else ()
        first = [option for option in own if option.name in FIRST]
        return [*first, *made, *short, *(option for option in own if option not in first)]

    def invoke(self, ctx: click.Context) -> Any:
        """As click's; the short options of tasks become their settings."""
        from benchbench.runner.spec import SHORT

        said = {name: ctx.params.pop(name) for name in SHORT if name in ctx.params}
        given = [f"{name}={value}" for name, value in said.items() if value is not None]
        if given:
            other = ctx.params["task_options"]
            named = {setting.partition("=")[0].strip() for setting in other}
            if twice := [name for name, value in said.items() if value is not None and name in named]:
                raise InputError(
                    f"--{twice[0]} and --task-option {twice[0]} say the same thing; give one of them"
                )
            ctx.params["task_options"] = (*other, *given)
        return super().invoke(ctx)


@cache
def _short_options() -> Sequence[click.Option]:
    """One option for each of `SHORT`."""
    from benchbench.runner.spec import SHORT

    return tuple(click.Option([f"--{name}"], help=text) for name, text in SHORT.items())


@cache
def spec_options(spec: str) -> Sequence[click.Option]:
    """One option a field of the request of that name, in their order."""
    from benchbench.runner import spec as requests

    made: type[Spec] = getattr(requests, spec)
    hints = typing.get_type_hints(made)
    return tuple(_option(name, hints[name], field) for name, field in made.model_fields.items())


def _option(name: str, hint: Any, field: FieldInfo) -> click.Option:
    flag = _OTHERWISE.get(name, "--" + name.replace("_", "-"))
    words: dict[str, Any] = {"help": field.description, "required": field.is_required()}
    if name in ("overrides", "task_options"):
        words |= {"multiple": True, "metavar": "KEY=VALUE"}
    elif hint is bool:
        words["is_flag"] = True
    else:
        words |= {"type": _type(_without_none(hint), field), "metavar": _NAMES.get(name), **_default(field)}
    return click.Option([flag, name], shell_complete=ANSWERS.get(name), **words)


def _default(field: FieldInfo) -> Mapping[str, Any]:
    """What help shows; names as one types them."""
    if field.is_required() or field.default is None:
        return {}
    names = isinstance(field.default, tuple)
    return {"default": ",".join(field.default) if names else field.default, "show_default": True}


def _type(hint: Any, field: FieldInfo) -> click.ParamType | None:  # type: ignore[type-arg]  # generic in newer click
    if typing.get_origin(hint) is Literal:
        return click.Choice(typing.get_args(hint))
    if hint is Path:
        return Location()
    if hint is not int:
        return None
    bounds = {
        name: getattr(own, name) for own in field.metadata for name in ("ge", "le") if hasattr(own, name)
    }
    if not bounds:
        return click.INT
    return click.IntRange(min=bounds.get("ge"), max=bounds.get("le"))


def _without_none(hint: Any) -> Any:
    """The type beside None."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        (hint,) = (own for own in typing.get_args(hint) if own is not type(None))
    return hint
