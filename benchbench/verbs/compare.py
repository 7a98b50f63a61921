"""`benchbench.compare`: is A better than B, and how sure is that; and `benchbench.plan`: what would show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchbench.core.errors import InputError
from benchbench.core.folders import OUTPUT
from benchbench.core.paths import as_path
from benchbench.core.progress import SILENT, Progress
from benchbench.core.validation import is_number, shown
from benchbench.results.across import across
from benchbench.results.claims import planning
from benchbench.results.claims.planning import Planned
from benchbench.results.claims.verdicts import compare as compare_rows
from benchbench.results.select_records import Records, Selection, at_hand, select
from benchbench.verbs.group_runs import run_groups
from benchbench.views.comparison import Compared


def compare(
    a: str | Path,
    b: str | Path,
    *,
    results: Path | str = OUTPUT,
    margin: float = 0.1,
    seeds: int | Sequence[int] | None = None,
    device: str = "auto",
    progress: Progress = SILENT,
) -> Compared:
    """Say number by number whether A is better than B.

    Args:
        a: A folder of records or a cell; a group such as "model=vae,dataset=digits"; the key of a cell; or a revision,
            as "git:REV" (the folder `results` as it was) or "REV:FOLDER".
        b: Likewise.
        results: Where groups, keys and "git:REV" look.
        margin: A difference that counts as none, as a share of B: 0.1 is 10%.
        seeds: Compare groups under exactly these seeds (a number n is 0, 1, … n − 1), and run first what `results`
            lacks of them: "model=beta-vae,dataset=digits,beta=2". None to read what is there.
        device: Where they are run: "auto", "cpu", "cuda", "cuda:N" or "mps".
        progress: Who is told how far that is.

    Returns:
        The verdicts by pair of models, and what holds over all of them.

    Raises:
        InputError: A text names no records or what cannot be run, or a record cannot be read.
        CellFailed: A cell could not be carried out.

    >>> benchbench.compare("model=vae", "model=noise").comparison.pairs  # doctest: +SKIP
    """
    _check_share("margin", margin)
    texts, folder = [str(a), str(b)], as_path(results)
    ran = {} if seeds is None else run_groups(texts, seeds, folder, device, progress)
    return compared(Sides.of(texts, folder, ran=ran), margin)


def plan(
    a: str | Path, b: str | Path | None = None, *, results: Path | str = OUTPUT, smallest: float = 0.1
) -> Sequence[Planned]:
    """Say how many seeds a side, and images a run, would show a difference.

    Args:
        a: Records whose spread is planned with, as in `compare`.
        b: Likewise; None for A alone.
        results: Where groups, keys and "git:REV" look.
        smallest: The difference to be found, as a share of the value: 0.1 is 10%.

    Returns:
        A line for each number of each model.

    Raises:
        InputError: A text names no records, or a record cannot be read.
        NothingComparable: No number has a spread to plan with.

    >>> benchbench.plan("model=vae", smallest=0.05)  # doctest: +SKIP
    """
    _check_share("smallest", smallest)
    return planned(Sides.of([str(side) for side in (a, b) if side is not None], as_path(results)), smallest)


@dataclass(frozen=True)
class Sides:
    """What is compared or planned with, and all rows at hand, from which spreads are known as well; None where there is
    no such folder."""

    chosen: Sequence[Selection]
    known: pd.DataFrame | None

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        results: Path,
        missing: Callable[[], None] | None = None,
        ran: Mapping[str, Selection] | None = None,
    ) -> Sides:
        """The records that `texts` name. missing: called before `results` is looked into for one of them. ran: those
        that are known already, by their text."""
        everything = at_hand(results)

        def hand() -> Records:
            if missing is not None:
                missing()
            return everything()

        known = ran or {}
        chosen = [known[text] if text in known else select([text], results, hand)[0] for text in texts]
        return cls(chosen, everything()[0] if results.is_dir() else None)


def compared(sides: Sides, margin: float) -> Compared:
    """The comparison of two sides."""
    left, right = sides.chosen
    comparison = compare_rows(left.rows, right.rows, margin, sides.known)
    failed = [*left.failed("A"), *right.failed("B")]
    settings = (left.settings, right.settings)
    return Compared(left.name, right.name, comparison, across(comparison), failed, settings)


def planned(sides: Sides, smallest: float) -> Sequence[Planned]:
    """The plan for one side or both."""
    return planning.plan([side.rows for side in sides.chosen], smallest, sides.known)


def _check_share(name: str, share: Any) -> None:
    if not is_number(share) or not 0 < share < 10:
        raise InputError(f"{name}={shown(share)} is no share above 0; 0.1 is 10%")
