"""What Tab is answered with where a parameter takes the names of something. Nothing heavy is imported for it: names are
known without what is behind them (`core.registry`)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import click
from click.shell_completion import CompletionItem

Answer = Callable[[click.Context, click.Parameter, str], list["CompletionItem[str]"]]


def _known(kind: str) -> list[str]:
    """The registered names of a kind. What is wrong with a plugin is said when a command runs, not at Tab."""
    from benchbench.core.registry import Registry

    with warnings.catch_warnings(action="ignore"):
        return Registry(kind).names()


def _one(kind: str, *, files: bool = False) -> Answer:
    """One name of a kind; files: or a path."""

    def answer(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        found = [CompletionItem(name) for name in _known(kind) if name.startswith(incomplete)]
        return found if found or not files else [CompletionItem(incomplete, type="file")]

    return answer


def _several(kind: str) -> Answer:
    """The last of several names with commas between."""

    def answer(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        before, comma, last = incomplete.rpartition(",")
        names = (name for name in _known(kind) if name.startswith(last) and name not in before.split(","))
        return [CompletionItem(f"{before}{comma}{name}") for name in names]

    return answer


def of_the_kind(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """One name of what the word before says, "models"."""
    return _one(str(ctx.params["what"]).removesuffix("s"))(ctx, param, incomplete)


ANSWERS: Mapping[str, Answer] = {
    "model": _one("model"),
    "models": _several("model"),
    "dataset": _one("dataset", files=True),
    "images": _one("dataset", files=True),
    "reference": _one("dataset", files=True),
    "metrics": _several("metric"),
    "extractors": _several("extractor"),
    "extractor": _one("extractor"),
    "task": _one("task"),
}
"""What completes a parameter, by its name in Python: the same name means the same in every verb."""
