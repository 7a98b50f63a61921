"""What is known of a model by its class, which need not be imported for that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def of_nearest_class(model: object, known: Mapping[str, T]) -> T | None:
    """The entry of a model's class, or of the nearest class that it derives from; None where there is none.

    known: by "module:Class".
    """
    names = (f"{own.__module__}:{own.__qualname__}" for own in type(model).__mro__)
    return next((known[name] for name in names if name in known), None)
