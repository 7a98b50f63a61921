"""`benchbench.baselines`: the weights that ship, verified, scored and published, and the pages made from their
records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from benchbench.core.baselines import (
    CARD,
    WEIGHTS,
    Shipped,
    baselines_folder,
    published_records,
    shipped_baselines,
)
from benchbench.core.device import resolve_device
from benchbench.core.errors import InputError, MetricFailed, unknown_name
from benchbench.core.files import atomic_write
from benchbench.core.names import split_names
from benchbench.core.notebook import watching
from benchbench.core.paths import as_path
from benchbench.core.progress import AUTO, Progress
from benchbench.core.registry import EXTRACTORS
from benchbench.core.runtime import Runtime
from benchbench.results.endings import ended_of
from benchbench.results.load import Record, load_failures, records, results_of
from benchbench.results.rows import rows_of
from benchbench.runner.again import NotScored
from benchbench.runner.baselines.cards import card_of, remarks_in
from benchbench.runner.baselines.loaded import loaded
from benchbench.runner.baselines.publish import Published
from benchbench.runner.baselines.publish import publish as publish_record
from benchbench.runner.baselines.records import record_of
from benchbench.runner.baselines.scored import score_shipped
from benchbench.runner.baselines.verified import Verified, verified
from benchbench.views.published_board import ShippedRow, published_board

BOARD = "LEADERBOARD.md"
RENDER = "benchbench baselines render"


def shipped() -> pd.DataFrame:
    """The baselines whose weights ship.

    Returns:
        A table with one line a baseline, `name`, `size` in bytes, `sha256`, the `record` that its numbers are in (null
        where none is published), and how its training ended (`budget`).

    Raises:
        InputError: A checksum or a record is damaged.

    >>> benchbench.baselines.list()  # doctest: +SKIP
    """
    root = published_records()
    found = [] if root is None else [*records(root)]
    lines = []
    for own in shipped_baselines():
        record = record_of(own, found)
        end = None if record is None else ended_of(*record)
        lines.append(
            {
                "name": own.name,
                "size": own.size,
                "sha256": own.sha256,
                "record": None
                if record is None
                else f"{record[1].dataset}/{record[1].model}/{record[1].cell}",
                "budget": None if end is None else end.verdict,
            }
        )
    return pd.DataFrame(lines, columns=["name", "size", "sha256", "record", "budget"])


def load(name: str, *, device: str = "auto", progress: Progress = AUTO) -> nn.Module:
    """A baseline as a model: its network with the weights that ship, held against their sha256.

    Its class says what it can be asked (`benchbench.core.protocols`): `sample` of a generator, `restore` of a restorer.
    The data that it learned from has to be at hand, for a network is built by its size and classes.

    Args:
        name: Of the baseline, "dcgan-digits".
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        progress: Who is told how far it is.

    Returns:
        A torch module in eval mode, on the device.

    Raises:
        InputError: The name is none of a baseline, no record says how it was built, its weights are damaged, or its
            data is not at hand.

    Examples:
        Sixteen images, image i the same whatever their number (uint8 RGB, 16×3×32×32):

        >>> from benchbench.core.seeds import ImageRng
        >>> model = benchbench.baselines.load("dcgan-digits")  # doctest: +SKIP
        >>> images = model.sample(16, ImageRng(0, range(16)))  # doctest: +SKIP
    """
    own, *others = _named([name])
    if others:
        raise InputError(f"{name} names several baselines; load them one by one")
    record = record_of(own, [*records(_records(None))])
    if record is None:
        raise InputError(
            f"{name} has no published record that says how to build it; {own.folder / WEIGHTS} has its weights"
        )
    try:
        return loaded(own, record, Runtime(resolve_device(device), None, watching(progress)))
    except NotScored as failure:
        raise InputError(f"{name} cannot be loaded here: {failure}") from failure


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        baselines: One entry a baseline, by name.
    """

    baselines: Sequence[Verified]

    @property
    def table(self) -> pd.DataFrame:
        """One line a baseline: `name`, `state`, how many `numbers` came out within their intervals, and what else there
        is to say."""
        lines = [(own.name, own.state, own.numbers, own.words) for own in self.baselines]
        return pd.DataFrame(lines, columns=["name", "state", "numbers", "words"])

    @property
    def exit_code(self) -> int:
        """1 where anything is not what was published, 3 where no number could be computed again, else 0."""
        if any(own.wrong for own in self.baselines):
            return 1
        return 0 if any(own.state == "reproduced" for own in self.baselines) else 3

    @property
    def headline(self) -> str:
        """The whole in one sentence."""
        states = [own.state for own in self.baselines]
        counts = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
        return f"{len(states)} baseline{'' if len(states) == 1 else 's'}: {', '.join(counts) or 'none'}"


def verify(
    names: str | Iterable[str] = (),
    *,
    fast: bool = False,
    results: Path | str | None = None,
    device: str = "auto",
    batch_size: int | None = None,
    progress: Progress = AUTO,
) -> Verification:
    """Hold shipped weights against their checksums, draw images with them, and hold every number against the record.

    Args:
        names: Of baselines, "dcgan-digits" or a list; by default all.
        fast: Compute the numbers of two of them alone, those that take the least time; all checksums.
        results: A folder of published records; by default that beside the package.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        batch_size: Images at once when scoring; changes no number.
        progress: Who is told how far it is.

    Returns:
        What was found of each; `exit_code` and `headline` say what it means.

    Raises:
        InputError: A name is none of a baseline, or the records are not there or are damaged.

    >>> benchbench.baselines.verify(fast=True).exit_code  # doctest: +SKIP
    0
    """
    chosen, found = _named(names), [*records(_records(results))]
    runtime = Runtime(resolve_device(device), batch_size, watching(progress))
    return Verification(verified(chosen, found, runtime, fast=fast))


def score(
    names: str | Iterable[str] = (),
    *,
    extractor: str,
    results: Path | str | None = None,
    device: str = "auto",
    batch_size: int | None = None,
    progress: Progress = AUTO,
) -> list[Path]:
    """Add the numbers of a network, FID by `inception_v3`, to the published records: of all weights of generators that
    ship, and of the real images of their datasets.

    Args:
        names: Of baselines; by default all of generators.
        extractor: The network, whose weights are at hand.
        results: A folder of published records; by default that beside the package.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        batch_size: Images at once; changes no number.
        progress: Who is told how far it is.

    Returns:
        The new records; those that are there already are left out.

    Raises:
        InputError: The network is not at hand (the message says how to get it), a name is none of a baseline, or the
            records are not there.
    """
    root, chosen = _records(results), _named(names)
    runtime = Runtime(resolve_device(device), batch_size, watching(progress))
    try:
        return score_shipped(chosen, EXTRACTORS.recorded(EXTRACTORS.spelled(extractor)), root, runtime)
    except MetricFailed as failure:
        raise InputError(f"{extractor} is not at hand here: {failure.reason}") from failure
    except NotScored as failure:
        raise InputError(str(failure)) from failure


def publish(
    record: Path | str,
    *,
    name: str | None = None,
    exact: bool = False,
    results: Path | str | None = None,
    baselines: Path | str | None = None,
    device: str = "auto",
    batch_size: int | None = None,
    progress: Progress = AUTO,
) -> Published:
    """Make a baseline of a record: its numbers among the published records, its weights and its card among baselines.
    Of a model without weights, such as `real` or `bicubic`, the numbers are published alone.

    Args:
        record: Its folder, or one with those of several seeds of one model on one dataset.
        name: Of the baseline, as --pretrained finds it; by default the model and what it is for.
        exact: Ship the weights as they were trained; by default as float16 where no number leaves its interval.
        results: The folder of published records; by default that beside the package.
        baselines: The folder of baselines; by default that beside the package.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        batch_size: Images at once when scoring; changes no number.
        progress: Who is told how far it is.

    Returns:
        What was published.

    Raises:
        InputError: The record failed, is damaged, keeps no weights, cannot be scored again here, or the weights would
            be too many.
    """
    root = _records(results)
    runtime = Runtime(resolve_device(device), batch_size, watching(progress))
    place = baselines_folder() if baselines is None else as_path(baselines)
    return publish_record(as_path(record), name, baselines=place, results=root, exact=exact, runtime=runtime)


def render(
    *, check: bool = False, results: Path | str | None = None, baselines: Path | str | None = None
) -> list[Path]:
    """Make the board of the published records and the cards of all baselines anew.

    Args:
        check: Write nothing; say what would be written.
        results: The folder of published records; by default that beside the package.
        baselines: The folder of baselines; by default that beside the package.

    Returns:
        The files that are another now; none where all were up to date.

    Raises:
        InputError: A record is damaged, or a file cannot be written.
    """
    root, place = _records(results), baselines_folder() if baselines is None else as_path(baselines)
    if not place.is_dir():
        raise InputError(f"there is no folder {place}; name the one with the baselines")
    stale = []
    for file, text in _pages(root, place):
        if not file.is_file() or file.read_bytes() != text.encode("utf-8"):
            stale.append(file)
            if not check:
                atomic_write(file, text)
    return stale


def _pages(root: Path, baselines: Path) -> list[tuple[Path, str]]:
    """Every page that is made from the published records, with what it ought to say."""
    found = [*records(root)]
    pairs = [(own, record_of(own, found)) for own in shipped_baselines(baselines)]
    pages = [
        (own.folder / CARD, card_of(own, record, found, root)) for own, record in pairs if record is not None
    ]
    generators = [
        ShippedRow(own.name, record[1].dataset, own.sha256)
        for own, record in pairs
        if record is not None and _generates(record)
    ]
    runs = [run for _, run in found]
    file = root / BOARD
    board = published_board(
        results_of(found), runs, load_failures(root), generators, RENDER, remarks_in(file)
    )
    return [*pages, (file, board)]


def _generates(record: Record) -> bool:
    return any(row.task == "generation" for row in rows_of(*record))


def _records(results: Path | str | None) -> Path:
    root = published_records() if results is None else as_path(results)
    if root is None:
        raise InputError(
            "the published records lie in a checkout of the project; --results names a folder of them"
        )
    return root


def _named(names: str | Iterable[str]) -> list[Shipped]:
    """The baselines of these names; all where none is named. `InputError` for one that is none."""
    there = {own.name: own for own in shipped_baselines()}
    if isinstance(names, Sequence) and not names:
        return [*there.values()]
    try:
        asked = list(dict.fromkeys(split_names(names)))
    except ValueError as error:
        raise InputError(str(error)) from error
    for name in asked:
        if name not in there:
            raise unknown_name("baseline", name, there)
    return [there[name] for name in asked]


def __getattr__(name: str) -> Any:
    if name == "list":  # as the verb is called; in here the name stays Python's own
        return shipped
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
