"""`benchbench.compare`: is A better than B, and how sure is that; and `benchbench.plan`: what would show it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchbench.core.errors import InputError
from benchbench.core.folders import OUTPUT
from benchbench.core.paths import as_path
from benchbench.results.across import across
from benchbench.results.claims import planning
from benchbench.results.claims.planning import Planned
from benchbench.results.claims.verdicts import compare as compare_rows
from benchbench.results.select_records import Hand, at_hand, select
from benchbench.views.comparison import Compared


def compare(
    a: str | Path,
    b: str | Path,
    *,
    results: Path | str = OUTPUT,
    margin: float = 0.1,
    hand: Hand | None = None,
) -> Compared:
    """Say number by number whether A is better than B.

    Args:
        a: A folder of records or a cell; a group such as "model=vae,dataset=digits"; the key of a cell; or a revision,
            as "git:REV" (the folder `results` as it was) or "REV:FOLDER".
        b: Likewise.
        results: Where groups, keys and "git:REV" look.
        margin: A difference that counts as none, as a share of B: 0.1 is 10%.
        hand: Whoever reads `results` already, as `results.select_records.at_hand`; None to read it here.

    Returns:
        The verdicts by pair of models, and what holds over all of them.

    Raises:
        InputError: A text names no records, or a record cannot be read.

    >>> benchbench.compare("model=vae", "model=noise").comparison.pairs  # doctest: +SKIP
    """
    _check_share("margin", margin)
    where = as_path(results)
    everything = hand or at_hand(where)
    left, right = select([str(a), str(b)], where, everything)
    known = everything()[0] if where.is_dir() else None
    comparison = compare_rows(left.rows, right.rows, margin, known)
    failed = [*left.failed("A"), *right.failed("B")]
    settings = (left.settings, right.settings)
    return Compared(left.name, right.name, comparison, across(comparison), failed, settings)


def plan(
    a: str | Path,
    b: str | Path | None = None,
    *,
    results: Path | str = OUTPUT,
    smallest: float = 0.1,
    hand: Hand | None = None,
) -> Sequence[Planned]:
    """Say how many seeds a side, and images a run, would show a difference.

    Args:
        a: Records whose spread is planned with, as in `compare`.
        b: Likewise; None for A alone.
        results: Where groups, keys and "git:REV" look.
        smallest: The difference to be found, as a share of the value: 0.1 is 10%.
        hand: As in `compare`.

    Returns:
        A line for each number of each model.

    Raises:
        InputError: A text names no records, or a record cannot be read.
        NothingComparable: No number has a spread to plan with.

    >>> benchbench.plan("model=vae", smallest=0.05)  # doctest: +SKIP
    """
    _check_share("smallest", smallest)
    where = as_path(results)
    everything = hand or at_hand(where)
    sides = select([str(side) for side in (a, b) if side is not None], where, everything)
    known = everything()[0] if where.is_dir() else None
    return planning.plan([side.rows for side in sides], smallest, known)


def _check_share(name: str, share: float) -> None:
    if not 0 < share < 10:
        raise InputError(f"{name}={share!r} is no share above 0; 0.1 is 10%")
