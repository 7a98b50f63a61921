"""The options of a verb that asks for a cell, made from the fields of `runner.spec.CellSpec`.

Pattern: they are made when the verb's own options are asked for, so that `benchbench --help` imports none of it.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import click

_OTHERWISE = {"overrides": "--set", "extractors": "--extractor"}
_BESIDE = frozenset({"seed"})  # the verb has its own


class SpecCommand(click.Command):
    """A verb whose function takes what `CellSpec` takes as well, beside its own options."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The options made from the spec, then the verb's own."""
        return [*spec_options(), *super().get_params(ctx)]


@cache
def spec_options() -> tuple[click.Option, ...]:
    """One option a field, in their order."""
    from benchbench.runner.spec import CellSpec

    hints = typing.get_type_hints(CellSpec)
    made = []
    for name, field in CellSpec.model_fields.items():
        if name in _BESIDE:
            continue
        least = next((own.ge for own in field.metadata if hasattr(own, "ge")), None)
        made.append(
            _option(name, hints[name], field.description or "", field.is_required(), field.default, least)
        )
    return tuple(made)


def _option(
    name: str, hint: Any, description: str, required: bool, default: Any, least: int | None
) -> click.Option:
    flag = _OTHERWISE.get(name, "--" + name.replace("_", "-"))
    words: dict[str, Any] = {"help": description, "required": required}
    hint = _without_none(hint)
    if name == "overrides":
        return click.Option([flag, name], multiple=True, metavar="KEY=VALUE", **words)
    if hint is bool:
        return click.Option([flag, name], is_flag=True, **words)
    if typing.get_origin(hint) is Literal:
        choice = click.Choice(typing.get_args(hint))
        return click.Option([flag, name], type=choice, default=default, show_default=True, **words)
    if hint is int:
        kind: Any = int if least is None else click.IntRange(min=least)
        return click.Option([flag, name], type=kind, **words)
    if hint is Path:
        return click.Option([flag, name], type=click.Path(path_type=Path), **words)
    if typing.get_origin(hint) is Sequence:
        shown: dict[str, Any] = (
            {} if default is None else {"default": ",".join(default), "show_default": True}
        )
        return click.Option([flag, name], callback=_listed, **shown, **words)
    return click.Option([flag, name], **words)


def _listed(ctx: click.Context, param: click.Parameter, text: str | None) -> list[str] | None:
    return None if text is None else text.split(",")


def _without_none(hint: Any) -> Any:
    """The type beside None."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        (hint,) = (own for own in typing.get_args(hint) if own is not type(None))
    return hint
