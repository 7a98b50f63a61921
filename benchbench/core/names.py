"""Names as people write them: several at once, with commas and blanks between, in capitals or not.

One splitter for all lists of names, from the command line, from Python and from files; one rule for capitals.
"""

from __future__ import annotations

from collections.abc import Iterable

EMPTY = "a name is empty; give one or more, with commas between"


def split_names(given: str | Iterable[str]) -> tuple[str, ...]:
    """Each name without the blanks around it, in the order given.

    Args:
        given: One text with commas between the names, a final one allowed; or several such texts.

    Returns:
        At least one name; one that is given twice is there twice.

    Raises:
        ValueError: A name is empty or no text.

    >>> split_names("fd, kd,")
    ('fd', 'kd')
    >>> split_names(["fd ", "is,kd"])
    ('fd', 'is', 'kd')
    """
    texts = (given,) if isinstance(given, str) else tuple(given)
    names: list[str] = []
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"{text!r} is no name; names are texts")
        pieces = [piece.strip() for piece in text.split(",")]
        names += pieces[:-1] if len(pieces) > 1 and not pieces[-1] else pieces
    if not names or "" in names:
        raise ValueError(EMPTY)
    return tuple(names)


def spelled(name: str, known: Iterable[str]) -> str:
    """A name as it is registered: itself if it is known, else the one that differs in capitals alone, else itself.

    >>> spelled("FD", ["fd", "kd"]), spelled("x", ["fd"])
    ('fd', 'x')
    """
    known = list(known)
    if name in known:
        return name
    alike = [other for other in known if other.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else name
