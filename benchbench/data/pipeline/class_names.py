"""What classes are called, whatever file says so.

Names come from folders, tables and lists of others and go into records, tables and sentences on a terminal: each is one
line of characters that can be seen, and no two classes of one set share one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from benchbench.core.reading import plain


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Names of classes as they are shown.

    Args:
        names: By label, as files have them.

    Returns:
        The same where each is printable, of at most `LONGEST` characters, and there once. Characters that are not
        printable (control characters, line breaks, halves of surrogate pairs) are spaces, and names that several
        classes share have the number of the class behind them.

    >>> distinct(["cat", "dog", "cat", "\\x1b[31m"])
    ('cat (0)', 'dog', 'cat (2)', ' [31m')
    """
    found = [plain(name) for name in names]
    while len({*found}) < len(found):
        times = Counter(found)
        found = [f"{name} ({i})" if times[name] > 1 else name for i, name in enumerate(found)]
    return tuple(found)
