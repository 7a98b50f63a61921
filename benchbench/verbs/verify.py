"""`benchbench verify`: are records what was written, and do their numbers come out again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from benchbench.core.device import resolve_device
from benchbench.core.errors import InputError, listed
from benchbench.core.folders import OUTPUT
from benchbench.core.notebook import watching
from benchbench.core.paths import as_path
from benchbench.core.progress import AUTO, Progress
from benchbench.core.runtime import Runtime
from benchbench.core.validation import shown
from benchbench.results.agree import TOLERANCE, checked_tolerance
from benchbench.results.load import records
from benchbench.results.verify import Verified, verify_records
from benchbench.runner.again import NotScored
from benchbench.runner.rescore import Rescored, drawn_by_lot
from benchbench.runner.rescore import rescore as score_again

MOST = 1000


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        files: The records that are whole, and all faults of the others.
        rescored: Those that were scored again.
        not_scored: Why others that the lot fell on could not be, by folder.
        asked: Whether any was to be scored again: there was one to choose, or nothing was left out as known.
    """

    files: Verified
    rescored: list[Rescored] = field(default_factory=list)
    not_scored: dict[Path, str] = field(default_factory=dict)
    asked: bool = False

    @property
    def faults(self) -> list[str]:
        """All that is wrong, a sentence each."""
        numbers = [f"{own.folder}: {fault}" for own in self.rescored for fault in own.faults]
        return [*self.files.faults, *numbers]

    @property
    def exit_code(self) -> int:
        """1 where anything is wrong, 3 where a record was to be scored again and none could be, else 0."""
        if self.faults:
            return 1
        return 3 if self.asked and not self.rescored else 0

    @property
    def headline(self) -> str:
        """The whole in one sentence."""
        n, faults = len(self.files.records), len(self.faults)
        said = [f"{n} record{'' if n == 1 else 's'} whole"]
        if self.files.detached:
            said.append(f"{len(self.files.detached)} of them without weights, pictures or single images")
        for own in self.rescored:
            found = "all as recorded" if not own.faults else f"{len(own.faults)} otherwise"
            numbers = f"{own.compared} number{'' if own.compared == 1 else 's'}"
            said.append(f"{own.cell} scored again {own.how}: {numbers}, {found}")
        if self.exit_code == 3:
            reasons = sorted(set(self.not_scored.values())) or ["there is no record"]
            said.append(f"none could be scored again ({listed(reasons, 2)})")
        said.append(f"{faults} fault{'' if faults == 1 else 's'}" if faults else "no fault")
        return "; ".join(said)


def verify(
    folder: Path | str = OUTPUT,
    *,
    rescore: int = 0,
    seed: int = 0,
    known: Path | str | None = None,
    tolerance: float = TOLERANCE,
    device: str = "auto",
    batch_size: int | None = None,
    progress: Progress = AUTO,
) -> Verification:
    """Hold every file of the records below a folder against its sha256, and score some records again.

    Args:
        folder: A folder of records.
        rescore: How many records are scored again, chosen by lot among those that can be: from the samples that they
            keep, or from images that are drawn anew by the weights that they keep.
        seed: Of the lot.
        known: Records that are in this folder too are not scored again, only those that came beside them.
        tolerance: How far apart a number and what comes out may be, relative: 0.001 is 0.1%.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        batch_size: Images at once when scoring; changes no number.
        progress: Who is told how far it is.

    Returns:
        All faults, not only the first; `exit_code` and `headline` say what they mean.

    Raises:
        InputError: A folder is not there or cannot be read, or a number cannot be meant.

    >>> benchbench.verify("results", rescore=1, seed=7).exit_code  # doctest: +SKIP
    0
    """
    for name, given, most in (("rescore", rescore, MOST), ("seed", seed, 2**63 - 1)):
        if type(given) is not int or not 0 <= given <= most:
            raise InputError(f"{name}={shown(given)} must be a whole number from 0 to {most:,}")
    checked_tolerance(tolerance)
    before = set() if known is None else {run.cell for _, run in records(as_path(known))}
    files = verify_records([as_path(folder)])
    found = Verification(files)
    if not rescore:
        return found
    there = [record for record in files.records if record[1].cell not in before]
    runtime = Runtime(resolve_device(device), batch_size, watching(progress))
    for record in drawn_by_lot(there, seed):
        if len(found.rescored) == rescore:
            break
        try:
            found.rescored.append(score_again(record, runtime, tolerance))
        except NotScored as why:
            found.not_scored[record[0]] = str(why)
    return Verification(files, found.rescored, found.not_scored, asked=bool(there) or known is None)
